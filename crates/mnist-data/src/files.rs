//! The four files that a data set consists of, and how they are found in a directory.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The standard names of the four files: training images, training labels, test images, test labels.
pub const STANDARD_NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Where the four files of a data set are. Sets with names of their own, such as EMNIST's, are read by
/// filling this in and calling [`Dataset::from_files`](crate::Dataset::from_files).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetFiles {
    /// Training images, rank 3.
    pub train_images: PathBuf,
    /// Training labels, rank 1.
    pub train_labels: PathBuf,
    /// Test images, rank 3.
    pub test_images: PathBuf,
    /// Test labels, rank 1.
    pub test_labels: PathBuf,
}

impl SetFiles {
    /// Finds the four files in `directory` by their [`STANDARD_NAMES`], also with a dot before `idx` as some
    /// programs unpack them (`train-images.idx3-ubyte`), and each also with `.gz`; plain files win.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read, [`Error::MissingFile`] for the first file that is not there.
    pub fn find(directory: impl AsRef<Path>) -> Result<SetFiles> {
        let directory = directory.as_ref();
        std::fs::read_dir(directory).map_err(Error::io("read", directory))?;
        let [train_images, train_labels, test_images, test_labels] = STANDARD_NAMES;
        Ok(SetFiles {
            train_images: find(directory, train_images)?,
            train_labels: find(directory, train_labels)?,
            test_images: find(directory, test_images)?,
            test_labels: find(directory, test_labels)?,
        })
    }

    /// The four paths, in the order of [`STANDARD_NAMES`].
    pub fn paths(&self) -> [&Path; 4] {
        [&self.train_images, &self.train_labels, &self.test_images, &self.test_labels]
    }
}

/// The file under which a standard name is there, if it is.
pub(crate) fn existing(directory: &Path, name: &str) -> Option<PathBuf> {
    variants(name).iter().map(|n| directory.join(n)).find(|p| p.is_file())
}

fn find(directory: &Path, name: &'static str) -> Result<PathBuf> {
    existing(directory, name).ok_or_else(|| Error::MissingFile {
        directory: directory.to_path_buf(),
        file: name,
        tried: variants(name),
    })
}

/// Every name under which a standard file is looked for, best first.
fn variants(name: &str) -> Vec<String> {
    let dotted = name.replace("-idx", ".idx");
    vec![name.to_owned(), dotted.clone(), format!("{name}.gz"), format!("{dotted}.gz")]
}
