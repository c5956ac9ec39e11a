//! Rows with their labels.

use nn_core::Scalar;
use nn_core::matrix::{InputRef, Rows};

use crate::{Error, Result};

/// Examples: the rows of an input in any of its forms, and one class number per row. It borrows; a copy costs nothing.
///
/// ```
/// use nn_core::matrix::InputRef;
/// use nn_train::Dataset;
/// let x = InputRef::bytes(&[0, 255, 51, 0], 2, 2, 255.0f32)?;
/// let data = Dataset::new(x, &[7, 2])?;
/// assert_eq!(data.rows(), 2);
/// assert!(Dataset::new(x, &[7]).is_err());
/// # Ok::<(), nn_train::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Dataset<'a, T> {
    x: InputRef<'a, T>,
    labels: &'a [i32],
}

impl<'a, T: Scalar> Dataset<'a, T> {
    /// All rows of `x`, with their labels.
    ///
    /// # Errors
    /// If there is not one label per row, if `x` is a selection of some rows of its data, or if there are more than 2³² rows.
    pub fn new(x: InputRef<'a, T>, labels: &'a [i32]) -> Result<Self> {
        if x.rows() != labels.len() {
            return Err(Error::invalid(format_args!(
                "data set: expected one label per row, found {} rows and {} labels",
                x.rows(),
                labels.len()
            )));
        }
        if u32::try_from(labels.len()).is_err() {
            return Err(Error::invalid(format_args!("data set: {} rows are more than 2³²", labels.len())));
        }
        // Batches select rows by their number in the data, so the selection must be the data.
        if x.select(Rows::Range { start: labels.len(), len: 1 }).is_ok() {
            return Err(Error::invalid(
                "data set: expected all rows of the input, found a selection of them",
            ));
        }
        Ok(Self { x, labels })
    }

    /// How many examples there are.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// The inputs.
    pub fn x(&self) -> InputRef<'a, T> {
        self.x
    }

    /// The labels.
    pub fn labels(&self) -> &'a [i32] {
        self.labels
    }

    /// The examples before and from the last `fraction` of them on, as Keras' `validation_split` takes them: the first
    /// part has ⌊rows · (1 − fraction)⌋.
    ///
    /// # Errors
    /// If the fraction is not in (0, 1), or leaves either part empty.
    ///
    /// ```
    /// # use nn_core::matrix::InputRef;
    /// # use nn_train::Dataset;
    /// # let bytes = [0; 10];
    /// # let data = Dataset::new(InputRef::bytes(&bytes, 10, 1, 255.0f32)?, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
    /// let (train, validation) = data.split_last(0.25)?;
    /// assert_eq!((train.rows(), validation.labels()), (7, &[7, 8, 9][..]));
    /// # Ok::<(), nn_train::Error>(())
    /// ```
    pub fn split_last(&self, fraction: f64) -> Result<(Self, Self)> {
        let rows = self.rows();
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::invalid(format_args!(
                "validation split: expected a fraction in (0, 1), found {fraction}"
            )));
        }
        let first = (rows as f64 * (1.0 - fraction)).floor() as usize;
        if first == 0 || first == rows {
            return Err(Error::invalid(format_args!(
                "validation split: {fraction} of {rows} rows leaves {first} for training and {} for validation; both \
                 need at least one",
                rows - first
            )));
        }
        Ok((self.part(0, first), self.part(first, rows - first)))
    }

    /// `len` examples from `start` on. Panics if they are not all there.
    pub(crate) fn part(&self, start: usize, len: usize) -> Self {
        Self { x: self.x.slice(start, len), labels: &self.labels[start..start + len] }
    }

    /// That every label is one of the network's classes.
    pub(crate) fn check_labels(&self, classes: usize) -> Result<()> {
        let known = |&label: &i32| usize::try_from(label).is_ok_and(|label| label < classes);
        match self.labels.iter().position(|label| !known(label)) {
            None => Ok(()),
            Some(row) => Err(Error::invalid(format_args!(
                "data set: row {row} has the label {}; the network's classes are 0 to {}",
                self.labels[row],
                classes.saturating_sub(1)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_keras_own_and_never_leaves_a_part_empty() -> Result<()> {
        let (bytes, labels) = (vec![0u8; 60_000], vec![0; 60_000]);
        let data = Dataset::new(InputRef::bytes(&bytes, 60_000, 1, 255.0f64)?, &labels)?;
        // int(math.floor(60000 * (1.0 - split))), evaluated by Python.
        for (split, first) in [(0.05, 57_000), (0.1, 54_000), (0.2, 48_000), (0.3, 42_000), (0.99999, 0)] {
            match data.split_last(split) {
                Ok((train, validation)) => {
                    assert_eq!((train.rows(), validation.rows()), (first, 60_000 - first), "{split}");
                }
                Err(_) => assert_eq!(first, 0, "{split}"),
            }
        }
        for split in [0.0, 1.0, -0.1, f64::NAN, 1e-300] {
            assert!(data.split_last(split).is_err(), "{split}");
        }
        Ok(())
    }

    #[test]
    fn a_selection_of_rows_is_refused_because_batches_would_take_others() -> Result<()> {
        let x = InputRef::bytes(&[1, 2, 3, 4], 4, 1, 255.0f32)?;
        assert!(Dataset::new(x.slice(1, 2), &[0, 0]).is_err());
        assert!(Dataset::new(x, &[0; 4]).is_ok());
        Ok(())
    }

    #[test]
    fn a_label_that_is_no_class_is_named_with_its_row() -> Result<()> {
        let x = InputRef::bytes(&[1, 2, 3], 3, 1, 255.0f32)?;
        for (labels, odd) in [([0, 9, 10], "row 2 has the label 10"), ([0, -1, 3], "row 1 has the label -1")]
        {
            let message = Dataset::new(x, &labels)?.check_labels(10).map_err(|e| e.to_string());
            assert_eq!(message, Err(format!("data set: {odd}; the network's classes are 0 to 9")));
        }
        Ok(())
    }
}
