//! The bundled data are MNIST, to the byte.

use mnist_data::{Mnist, PixelStats};

/// Written out rather than taken from the crate, so that the crate's own list is checked as well.
const TRAIN_IMAGES: &str = "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db";
const TRAIN_LABELS: &str = "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5";
const TEST_IMAGES: &str = "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7";
const TEST_LABELS: &str = "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2";

#[test]
fn bundled_files_are_the_original_idx_files_byte_for_byte() {
    let data = Mnist::bundled().unwrap();
    let found = [
        data.train.images.to_idx(),
        data.train.labels.to_idx(),
        data.test.images.to_idx(),
        data.test.labels.to_idx(),
    ]
    .map(|file| mnist_data::named::sha256(&file));
    assert_eq!(found, [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS]);
}

#[test]
fn bundled_and_published_digests_agree() {
    let idx = mnist_data::NamedSet::mnist().files.map(|f| f.idx.unwrap());
    assert_eq!(idx, [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS]);
}

/// The figures everyone who normalises MNIST uses (0.1307 and 0.3081), and 67 pixels that no digit reaches.
#[test]
fn statistics_of_the_training_images_are_the_well_known_ones() {
    let data = Mnist::bundled().unwrap();
    let stats = PixelStats::of(&data.train.images);
    assert_eq!(format!("{:.4}", stats.mean / 255.0), "0.1307");
    assert_eq!(format!("{:.4}", stats.std / 255.0), "0.3081");
    assert_eq!(format!("{:.3}", stats.zero_fraction), "0.809");
    assert_eq!(stats.never_lit, 67);
    assert_eq!((stats.min, stats.max), (0, 255));
    assert_eq!(
        data.train.labels.counts(10).unwrap(),
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    );
}
