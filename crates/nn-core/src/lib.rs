//! Dataflow graph, autodiff, executor, layers and models over interchangeable backends.
