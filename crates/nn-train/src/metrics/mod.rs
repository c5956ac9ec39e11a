//! How good a classifier is: accuracy, the confusion matrix, and the report that scikit-learn prints.

mod confusion;
mod report;

pub use confusion::ConfusionMatrix;
pub use report::{Averages, ClassScores, ClassificationReport};

use crate::{Error, Result};

/// The share of labels that were predicted: #{i : yᵢ = ŷᵢ} / n, in [0, 1]; 0 for no labels at all.
///
/// # Errors
/// If there are not as many predictions as labels.
///
/// ```
/// use nn_train::metrics::accuracy;
/// assert_eq!(accuracy(&[7, 2, 1, 0], &[7, 2, 1, 6])?, 0.75);
/// # Ok::<(), nn_train::Error>(())
/// ```
pub fn accuracy(truth: &[i32], predicted: &[i32]) -> Result<f64> {
    same_length(truth, predicted)?;
    let hits = truth.iter().zip(predicted).filter(|(t, p)| t == p).count();
    Ok(hits as f64 / truth.len().max(1) as f64)
}

/// The class of each row: the column of its greatest value, the first of them where several are equal.
/// `scores`: \[n, classes\], row-major: probabilities or logits, it makes no difference. A NaN is never the greatest;
/// a row of nothing else counts as class 0.
///
/// # Errors
/// If `scores` is not a whole number of rows, or `classes` is 0.
///
/// ```
/// use nn_train::metrics::argmax_rows;
/// assert_eq!(argmax_rows(&[0.1, 0.9, 0.5, 0.5], 2)?, [1, 0]);
/// # Ok::<(), nn_train::Error>(())
/// ```
pub fn argmax_rows<T: Copy + PartialOrd>(scores: &[T], classes: usize) -> Result<Vec<i32>> {
    if classes == 0 || !scores.len().is_multiple_of(classes) {
        return Err(Error::invalid(format_args!(
            "argmax: expected whole rows of {classes} scores, found {} scores",
            scores.len()
        )));
    }
    Ok(scores.chunks_exact(classes).map(|row| argmax(row) as i32).collect())
}

fn argmax<T: Copy + PartialOrd>(row: &[T]) -> usize {
    let beats = |a: T, b: T| a > b || (b.partial_cmp(&b).is_none() && a.partial_cmp(&a).is_some());
    (1..row.len()).fold(0, |best, i| if beats(row[i], row[best]) { i } else { best })
}

fn same_length(truth: &[i32], predicted: &[i32]) -> Result<()> {
    if truth.len() == predicted.len() {
        return Ok(());
    }
    Err(Error::invalid(format_args!(
        "expected one prediction per label, found {} labels and {} predictions",
        truth.len(),
        predicted.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_takes_the_first_of_equals_and_never_a_nan_beside_a_number() -> Result<()> {
        let nan = f64::NAN;
        assert_eq!(argmax_rows(&[1.0, 3.0, 3.0], 3)?, [1]);
        assert_eq!(argmax_rows(&[nan, -5.0, nan, nan, nan, nan], 3)?, [1, 0]);
        assert_eq!(argmax_rows(&[f64::NEG_INFINITY, -1.0], 2)?, [1]);
        Ok(())
    }

    #[test]
    fn a_torn_row_of_scores_is_an_error() {
        assert!(argmax_rows(&[1.0f32, 2.0, 3.0], 2).is_err());
        assert!(argmax_rows(&[1.0f32], 0).is_err());
    }

    #[test]
    fn accuracy_refuses_lists_of_different_length_and_is_zero_for_none() -> Result<()> {
        assert!(accuracy(&[1], &[]).is_err());
        assert_eq!(accuracy(&[], &[])?, 0.0);
        Ok(())
    }
}
