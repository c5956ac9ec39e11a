//! MNIST and other IDX image sets: the data itself, downloads, checks, views and seeded batches.
