//! Which class was taken for which.

use std::fmt;

use serde::{Serialize, Serializer};

use super::same_length;
use crate::{Error, Result};

/// Counts of (true class, predicted class): row = true class, column = predicted class.
///
/// It serializes as its rows, `[[…], …]`, and displays as an aligned table.
///
/// ```
/// use nn_train::metrics::ConfusionMatrix;
/// let m = ConfusionMatrix::from_labels(&[0, 0, 1, 1], &[0, 1, 1, 1], 2)?;
/// assert_eq!((m.count(0, 1), m.accuracy()), (1, 0.75));
/// let table = [
///     "       predicted",
///     " true   0   1",
///     "    0   1   1",
///     "    1   0   2",
/// ];
/// assert_eq!(m.to_string().lines().collect::<Vec<_>>(), table);
/// # Ok::<(), nn_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// All counts zero.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// From a list of labels and one of predictions.
    ///
    /// # Errors
    /// If the lists differ in length, or a class is not in `0 .. classes`.
    pub fn from_labels(truth: &[i32], predicted: &[i32], classes: usize) -> Result<Self> {
        same_length(truth, predicted)?;
        let mut matrix = Self::new(classes);
        for (&t, &p) in truth.iter().zip(predicted) {
            matrix.add(t, p)?;
        }
        Ok(matrix)
    }

    /// From its rows, as it serializes.
    ///
    /// # Errors
    /// If a row has not as many counts as there are rows, or the counts add up to more than a `u64` holds.
    pub fn from_rows(rows: &[Vec<u64>]) -> Result<Self> {
        let classes = rows.len();
        if let Some((truth, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != classes) {
            return Err(Error::invalid(format_args!(
                "confusion matrix: expected {classes} counts in each of {classes} rows, found {} in row {truth}",
                row.len()
            )));
        }
        let counts = rows.concat();
        if counts.iter().try_fold(0u64, |sum, &n| sum.checked_add(n)).is_none() {
            return Err(Error::invalid("confusion matrix: the counts add up to more than a u64 holds"));
        }
        Ok(Self { classes, counts })
    }

    /// Counts one more example of class `truth` that was taken for `predicted`.
    ///
    /// # Errors
    /// If either class is not in `0 .. classes`.
    pub fn add(&mut self, truth: i32, predicted: i32) -> Result<()> {
        let (t, p) = (self.class(truth)?, self.class(predicted)?);
        self.counts[t * self.classes + p] += 1;
        Ok(())
    }

    /// Adds the counts of another matrix, such as that of another part of the data.
    ///
    /// # Errors
    /// If it has another number of classes.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.classes != self.classes {
            return Err(Error::invalid(format_args!(
                "confusion matrix: expected {} classes, found {}",
                self.classes, other.classes
            )));
        }
        for (sum, &count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        Ok(())
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many examples of class `truth` were taken for `predicted`. Panics if there is no such class.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.row(truth)[predicted]
    }

    /// What the examples of class `truth` were taken for: one count per predicted class. Panics if there is no such class.
    pub fn row(&self, truth: usize) -> &[u64] {
        assert!(truth < self.classes, "class {truth} of {}", self.classes);
        &self.counts[truth * self.classes..][..self.classes]
    }

    /// Examples that are of this class: the sum of its row.
    pub fn support(&self, class: usize) -> u64 {
        self.row(class).iter().sum()
    }

    /// Examples that were taken for this class: the sum of its column.
    pub fn predictions(&self, class: usize) -> u64 {
        (0..self.classes).map(|t| self.count(t, class)).sum()
    }

    /// Examples that were recognised: the sum of the diagonal.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|c| self.count(c, c)).sum()
    }

    /// All examples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of examples that were recognised; 0 for no examples at all.
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.total().max(1) as f64
    }

    fn class(&self, label: i32) -> Result<usize> {
        usize::try_from(label).ok().filter(|&c| c < self.classes).ok_or_else(|| {
            Error::invalid(format_args!(
                "confusion matrix: expected a class in 0..{}, found {label}",
                self.classes
            ))
        })
    }
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = |n: u64| n.to_string().len();
        let largest = self.counts.iter().copied().max().unwrap_or(0);
        let width = digits(largest).max(digits(self.classes.saturating_sub(1) as u64)) + 3;
        writeln!(f, "{:5}  predicted", "")?;
        write!(f, "{:>5}", "true")?;
        for class in 0..self.classes {
            write!(f, "{class:width$}")?;
        }
        for truth in 0..self.classes {
            write!(f, "\n{truth:5}")?;
            for count in self.row(truth) {
                write!(f, "{count:width$}")?;
            }
        }
        writeln!(f)
    }
}

impl Serialize for ConfusionMatrix {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.classes).map(|truth| self.row(truth)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_the_parts_gives_the_matrix_of_the_whole() -> Result<()> {
        let (truth, predicted) = ([0, 1, 2, 2, 1, 0], [0, 2, 2, 1, 1, 0]);
        let whole = ConfusionMatrix::from_labels(&truth, &predicted, 3)?;
        let mut merged = ConfusionMatrix::from_labels(&truth[..2], &predicted[..2], 3)?;
        merged.merge(&ConfusionMatrix::from_labels(&truth[2..], &predicted[2..], 3)?)?;
        assert_eq!(merged, whole);
        assert_eq!(whole.row(2), [0, 1, 1]);
        assert_eq!((whole.support(1), whole.predictions(1), whole.correct(), whole.total()), (2, 2, 4, 6));
        assert!(merged.merge(&ConfusionMatrix::new(2)).is_err());
        Ok(())
    }

    #[test]
    fn it_comes_back_from_its_rows_and_from_no_others() -> Result<()> {
        let whole = ConfusionMatrix::from_labels(&[0, 1, 1], &[1, 1, 0], 2)?;
        assert_eq!(ConfusionMatrix::from_rows(&[vec![0, 1], vec![1, 1]])?, whole);
        for wrong in [vec![vec![1, 2]], vec![vec![1, 2], vec![3]], vec![vec![u64::MAX, 1], vec![0, 0]]] {
            assert!(ConfusionMatrix::from_rows(&wrong).is_err(), "{wrong:?}");
        }
        Ok(())
    }

    #[test]
    fn a_class_that_is_not_there_is_an_error_that_names_it() {
        for (t, p) in [(3, 0), (0, 3), (-1, 0), (0, -1)] {
            let message = ConfusionMatrix::new(3).add(t, p).map_err(|e| e.to_string());
            let odd = if t == 0 { p } else { t };
            assert_eq!(message, Err(format!("confusion matrix: expected a class in 0..3, found {odd}")));
        }
    }

    #[test]
    fn the_table_stays_aligned_when_counts_and_classes_have_many_digits() -> Result<()> {
        let mut m = ConfusionMatrix::new(12);
        for _ in 0..1234 {
            m.add(11, 3)?;
        }
        let text = m.to_string();
        let mut lines = text.lines().skip(1);
        let width = lines.next().map(str::len);
        assert!(lines.all(|line| Some(line.len()) == width), "{text}");
        assert_eq!(text.lines().count(), 14);
        Ok(())
    }

    #[test]
    fn it_serializes_as_rows_of_true_classes() -> Result<(), serde_json::Error> {
        let mut m = ConfusionMatrix::new(2);
        assert!(m.add(0, 1).is_ok());
        assert_eq!(serde_json::to_string(&m)?, "[[0,1],[0,0]]");
        Ok(())
    }
}
