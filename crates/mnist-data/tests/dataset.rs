//! Four files make a data set only if they belong together.

use std::path::Path;

use mnist_data::{Dataset, Error, Images, Labels, Mnist, NamedSet, STANDARD_NAMES, SetFiles};
use tempfile::TempDir;

/// Three training and two test images of 1×2 pixels, classes 0 to 2.
fn files() -> [Vec<u8>; 4] {
    [
        Images::new(3, 1, 2, vec![1, 2, 3, 4, 5, 6]).unwrap().to_idx(),
        Labels::new(vec![0, 2, 1]).to_idx(),
        Images::new(2, 1, 2, vec![7, 8, 9, 10]).unwrap().to_idx(),
        Labels::new(vec![1, 0]).to_idx(),
    ]
}

fn write(directory: &Path, files: &[Vec<u8>; 4]) {
    for (name, bytes) in STANDARD_NAMES.iter().zip(files) {
        std::fs::write(directory.join(name), bytes).unwrap();
    }
}

fn load(files: &[Vec<u8>; 4]) -> Result<Dataset, Error> {
    let directory = TempDir::new().unwrap();
    write(directory.path(), files);
    Dataset::from_dir(directory.path())
}

#[test]
fn class_count_and_image_size_come_from_the_data() {
    let data = load(&files()).unwrap();
    assert_eq!(data.classes, ["0", "1", "2"]);
    assert_eq!(data.train.images.shape(), (3, 1, 2));
    assert_eq!(data.test.labels.classes(), [1, 0]);
}

#[test]
fn files_with_a_dot_in_their_names_are_found_and_plain_ones_win() {
    let directory = TempDir::new().unwrap();
    write(directory.path(), &files());
    let standard = directory.path().join(STANDARD_NAMES[0]);
    let dotted = directory.path().join("train-images.idx3-ubyte");
    std::fs::rename(&standard, &dotted).unwrap();
    std::fs::write(directory.path().join("train-labels-idx1-ubyte.gz"), b"not even gzip").unwrap();
    assert_eq!(SetFiles::find(directory.path()).unwrap().train_images, dotted);
    assert_eq!(Dataset::from_dir(directory.path()).unwrap().train.len(), 3);
}

#[test]
fn each_missing_file_is_named_with_all_the_names_that_would_do() {
    for name in STANDARD_NAMES {
        let directory = TempDir::new().unwrap();
        write(directory.path(), &files());
        std::fs::remove_file(directory.path().join(name)).unwrap();
        match Dataset::from_dir(directory.path()) {
            Err(Error::MissingFile { file, tried, .. }) => {
                assert_eq!(file, name);
                assert!(tried.contains(&format!("{name}.gz")));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let error = Mnist::from_dir("no/such/directory").unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().contains("no/such/directory"), "{error}");
}

#[test]
fn more_or_fewer_labels_than_images_are_refused() {
    for labels in [vec![0, 1], vec![0, 1, 2, 0]] {
        let count = labels.len();
        let mut files = files();
        files[1] = Labels::new(labels).to_idx();
        match load(&files) {
            Err(Error::CountMismatch { expected, found, labels, .. }) => {
                assert_eq!((expected, found), (3, count));
                assert!(labels.path().unwrap().ends_with(STANDARD_NAMES[1]));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_test_label_of_a_class_that_training_lacks_is_located() {
    let mut files = files();
    files[3] = Labels::new(vec![1, 3]).to_idx();
    match load(&files) {
        Err(Error::LabelOutOfRange { offset, expected, found, origin }) => {
            assert_eq!((offset, expected, found), (9, 3, 3));
            assert!(origin.path().unwrap().ends_with(STANDARD_NAMES[3]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn mnist_has_ten_classes_whatever_the_labels_say() {
    let directory = TempDir::new().unwrap();
    let mut files = files();
    write(directory.path(), &files);
    assert_eq!(Mnist::from_dir(directory.path()).unwrap().class_count(), 10);
    files[1] = Labels::new(vec![0, 10, 1]).to_idx();
    write(directory.path(), &files);
    let error = Mnist::from_dir(directory.path()).unwrap_err();
    assert!(matches!(error, Error::LabelOutOfRange { expected: 10, found: 10, offset: 9, .. }));
}

#[test]
fn training_and_test_images_of_different_sizes_are_refused() {
    let mut files = files();
    files[2] = Images::new(2, 2, 1, vec![0; 4]).unwrap().to_idx();
    let error = load(&files).unwrap_err();
    assert!(matches!(error, Error::SizeMismatch { expected: (1, 2), found: (2, 1), .. }), "{error}");
}

#[test]
fn a_broken_file_is_named_with_its_path() {
    let mut files = files();
    files[2].pop();
    let error = load(&files).unwrap_err();
    assert!(matches!(error, Error::Truncated { expected: 20, found: 19, .. }));
    assert!(error.to_string().contains(STANDARD_NAMES[2]), "{error}");
}

#[test]
fn verify_finds_the_file_that_is_not_the_published_one() {
    let directory = TempDir::new().unwrap();
    write(directory.path(), &files());
    let error = NamedSet::mnist().verify(directory.path()).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }));
    assert!(error.to_string().contains("ba891046e6505d7a"), "{error}");
    // Plain files of a set of which only the packed digests are published: nothing to compare with.
    let reports = NamedSet::fashion_mnist().verify(directory.path()).unwrap();
    assert!(reports.iter().all(|r| r.verified.is_none()));
}

#[test]
fn an_unknown_set_is_answered_with_the_known_ones() {
    assert_eq!(NamedSet::find("fashion-mnist").unwrap().classes[9], "Ankle boot");
    let message = NamedSet::find("fashion").unwrap_err().to_string();
    assert!(message.contains("mnist or fashion-mnist"), "{message}");
}
