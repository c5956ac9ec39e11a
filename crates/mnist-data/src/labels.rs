//! Class labels, one byte each.

use crate::error::{Error, Origin, Result};
use crate::idx;
use crate::images::out_of_range;
use crate::scalar::Scalar;

/// The classes of a split's images, in the same order.
///
/// ```
/// use mnist_data::Labels;
///
/// let labels = Labels::new(vec![2, 0]);
/// assert_eq!(labels.one_hot::<f32>(3)?, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
/// assert_eq!(labels.counts(3)?, [1, 0, 1]);
/// # Ok::<(), mnist_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Vec<u8>);

impl Labels {
    /// Wraps one class index per image.
    pub fn new(classes: Vec<u8>) -> Self {
        Labels(classes)
    }

    /// One class index per image.
    pub fn classes(&self) -> &[u8] {
        &self.0
    }

    /// How many labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fewest classes that these labels can come from: the highest label plus one, 0 without labels.
    pub fn class_count(&self) -> usize {
        self.0.iter().max().map_or(0, |&c| usize::from(c) + 1)
    }

    /// One-hot rows: the matrix `[len, class_count]`, row-major, one where the class is and zero elsewhere.
    ///
    /// # Errors
    /// [`Error::LabelOutOfRange`] for a label of `class_count` or more.
    pub fn one_hot<T: Scalar>(&self, class_count: usize) -> Result<Vec<T>> {
        self.check(class_count, &Origin::MEMORY)?;
        let mut rows = vec![T::ZERO; self.len() * class_count];
        if class_count > 0 {
            for (row, &class) in rows.chunks_exact_mut(class_count).zip(&self.0) {
                row[usize::from(class)] = T::ONE;
            }
        }
        Ok(rows)
    }

    /// How often each of `class_count` classes occurs.
    ///
    /// # Errors
    /// [`Error::LabelOutOfRange`] for a label of `class_count` or more.
    pub fn counts(&self, class_count: usize) -> Result<Vec<usize>> {
        self.check(class_count, &Origin::MEMORY)?;
        let mut counts = vec![0; class_count];
        for &class in &self.0 {
            counts[usize::from(class)] += 1;
        }
        Ok(counts)
    }

    /// The labels at `indices`, in that order, repeats allowed.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an index beyond the last label.
    pub fn select(&self, indices: &[usize]) -> Result<Labels> {
        let pick = |&i: &usize| self.0.get(i).copied().ok_or_else(|| out_of_range(i, self.len()));
        indices.iter().map(pick).collect::<Result<_>>().map(Labels)
    }

    /// The labels as an IDX file's bytes.
    pub fn to_idx(&self) -> Vec<u8> {
        let mut file = idx::header(&[self.len()]);
        file.extend_from_slice(&self.0);
        file
    }

    /// Refuses labels of `class_count` or more.
    pub(crate) fn check(&self, class_count: usize, origin: &Origin) -> Result<()> {
        match self.0.iter().position(|&c| usize::from(c) >= class_count) {
            None => Ok(()),
            Some(index) => Err(Error::LabelOutOfRange {
                origin: origin.clone(),
                offset: LABELS_HEADER + index as u64,
                expected: class_count,
                found: self.0[index],
            }),
        }
    }
}

/// Bytes in front of the first label in an IDX file.
const LABELS_HEADER: u64 = 8;
