//! A whole data set: training and test split, each images with labels.

use std::path::Path;

use crate::error::{Error, Origin, Result};
use crate::files::SetFiles;
use crate::holdout::Holdout;
use crate::{Images, Labels, idx};

/// Images with the class of each; the two are equally long.
///
/// ```
/// use mnist_data::{Images, Labels, Split};
///
/// let split = Split::new(Images::new(1, 2, 2, vec![0; 4])?, Labels::new(vec![5]))?;
/// assert_eq!(split.len(), 1);
/// # Ok::<(), mnist_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// The images.
    pub images: Images,
    /// The class of each image.
    pub labels: Labels,
}

impl Split {
    /// Pairs images with labels.
    ///
    /// # Errors
    /// [`Error::CountMismatch`] if there are more of one than of the other.
    pub fn new(images: Images, labels: Labels) -> Result<Split> {
        Split::pair(images, labels, Origin::MEMORY, Origin::MEMORY)
    }

    /// How many examples.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The examples at `indices`, in that order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an index beyond the last example.
    pub fn select(&self, indices: &[usize]) -> Result<Split> {
        Ok(Split { images: self.images.select(indices)?, labels: self.labels.select(indices)? })
    }

    /// Training and validation examples as splits of their own. Errors are those of
    /// [`select`](Split::select).
    pub fn divide(&self, holdout: &Holdout) -> Result<(Split, Split)> {
        Ok((self.select(&holdout.train)?, self.select(&holdout.validation)?))
    }

    fn pair(images: Images, labels: Labels, of: Origin, at: Origin) -> Result<Split> {
        if images.len() != labels.len() {
            return Err(Error::CountMismatch {
                images: of,
                labels: at,
                expected: images.len(),
                found: labels.len(),
            });
        }
        Ok(Split { images, labels })
    }
}

/// A data set with training and test split: images of one size, labels below the class count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dataset {
    /// Its name, for people.
    pub name: String,
    /// The classes' names, for people; label `c` means `classes[c]`.
    pub classes: Vec<String>,
    /// What to learn from.
    pub train: Split,
    /// What to measure on.
    pub test: Split,
}

impl Dataset {
    /// Puts a data set together.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] if training and test images differ in size, [`Error::LabelOutOfRange`] for
    /// a label that no class has.
    pub fn new(name: impl Into<String>, classes: Vec<String>, train: Split, test: Split) -> Result<Dataset> {
        let memory = [const { Origin::MEMORY }; 4];
        Dataset::assemble(name.into(), Some(classes), train, test, &memory)
    }

    /// Reads the four IDX files of a directory, plain or `.gz`, by their standard names (those that
    /// [`SetFiles::find`] looks for). The number of classes comes from the training labels; the data
    /// set is named after the directory.
    ///
    /// # Errors
    /// [`Error::MissingFile`], [`Error::Io`], and whatever is wrong with the files.
    pub fn from_dir(directory: impl AsRef<Path>) -> Result<Dataset> {
        let directory = directory.as_ref();
        let name = directory.file_name().map_or_else(|| "data".into(), |n| n.to_string_lossy().into_owned());
        Dataset::from_files(name, None, &SetFiles::find(directory)?)
    }

    /// Reads four IDX files whatever their names are. Without `classes`, their number comes from the
    /// training labels and their names are numbers.
    ///
    /// # Errors
    /// [`Error::Io`], and whatever is wrong with the files.
    pub fn from_files(
        name: impl Into<String>,
        classes: Option<Vec<String>>,
        files: &SetFiles,
    ) -> Result<Dataset> {
        let origins = files.paths().map(Origin::file);
        let [train_images, train_labels, test_images, test_labels] = origins.clone();
        let train = Split::pair(
            idx::read_images(&files.train_images)?,
            idx::read_labels(&files.train_labels)?,
            train_images,
            train_labels,
        )?;
        let test = Split::pair(
            idx::read_images(&files.test_images)?,
            idx::read_labels(&files.test_labels)?,
            test_images,
            test_labels,
        )?;
        Dataset::assemble(name.into(), classes, train, test, &origins)
    }

    /// How many classes there are.
    pub fn class_count(&self) -> usize {
        self.classes.len()
    }

    fn assemble(
        name: String,
        classes: Option<Vec<String>>,
        train: Split,
        test: Split,
        [train_images, train_labels, test_images, test_labels]: &[Origin; 4],
    ) -> Result<Dataset> {
        let (_, rows, columns) = train.images.shape();
        let (_, test_rows, test_columns) = test.images.shape();
        if (rows, columns) != (test_rows, test_columns) {
            return Err(Error::SizeMismatch {
                train: train_images.clone(),
                test: test_images.clone(),
                expected: (rows, columns),
                found: (test_rows, test_columns),
            });
        }
        let classes = classes.unwrap_or_else(|| numbered(train.labels.class_count()));
        train.labels.check(classes.len(), train_labels)?;
        test.labels.check(classes.len(), test_labels)?;
        Ok(Dataset { name, classes, train, test })
    }
}

/// Class names "0", "1", …
pub(crate) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|c| c.to_string()).collect()
}
