//! MNIST, by name.

use std::path::Path;

use crate::dataset::numbered;
use crate::error::Result;
use crate::{Dataset, SetFiles};

/// The MNIST database of handwritten digits: 60,000 training and 10,000 test images of 28×28 pixels,
/// ten classes. © Yann LeCun and Corinna Cortes, CC BY-SA 3.0; derived from NIST's special databases.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// let data = mnist_data::Mnist::bundled()?;
/// assert_eq!(data.train.images.shape(), (60_000, 28, 28));
/// assert_eq!(data.test.labels.classes()[..3], [7, 2, 1]);
/// # }
/// # Ok::<(), mnist_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Mnist {}

impl Mnist {
    /// Unpacks the data set that is part of this crate; no file and no network is needed. It takes 55 MB of
    /// memory and a fraction of a second, so load it once.
    ///
    /// # Errors
    /// [`Error::Bundle`](crate::Error::Bundle) if the program's copy is damaged.
    #[cfg(feature = "bundled")]
    pub fn bundled() -> Result<Dataset> {
        crate::bundled::load()
    }

    /// Reads MNIST, or a set with the same ten classes' numbers, from the four files of a directory, plain
    /// or `.gz`. [`Dataset::from_dir`] does the same for any number of classes.
    ///
    /// # Errors
    /// [`Error::MissingFile`](crate::Error::MissingFile), [`Error::Io`](crate::Error::Io), and whatever is
    /// wrong with the files.
    pub fn from_dir(directory: impl AsRef<Path>) -> Result<Dataset> {
        Dataset::from_files("MNIST", Some(numbered(10)), &SetFiles::find(directory)?)
    }
}
