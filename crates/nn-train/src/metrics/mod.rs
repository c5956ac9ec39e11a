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

/// The share of rows whose class is among the `k` greatest scores: fewer than `k` are greater than its own. 0 for no rows at
/// all. `scores`: \[n, classes\], row-major. As in Keras and in [`nn_core::metrics::Metric::TopK`], equal scores all count, and a
/// class whose score is NaN is never among them.
///
/// # Errors
/// If `scores` is not one row of `classes` for each class in `truth`, one of those is not in `0 .. classes`, or `k` is 0.
///
/// ```
/// use nn_train::metrics::top_k_accuracy;
/// let scores = [0.1, 0.3, 0.6, 0.5, 0.4, 0.1];
/// assert_eq!(top_k_accuracy(&[1, 2], &scores, 3, 2)?, 0.5);
/// # Ok::<(), nn_train::Error>(())
/// ```
pub fn top_k_accuracy<T: Copy + PartialOrd>(
    truth: &[i32],
    scores: &[T],
    classes: usize,
    k: usize,
) -> Result<f64> {
    if k == 0 {
        return Err(Error::invalid("top-k accuracy: expected a k of 1 or more, found 0"));
    }
    if truth.len().checked_mul(classes) != Some(scores.len()) {
        return Err(Error::invalid(format_args!(
            "top-k accuracy: expected {} rows of {classes} scores, found {} scores",
            truth.len(),
            scores.len()
        )));
    }
    let mut hits = 0usize;
    for (i, (&label, row)) in truth.iter().zip(scores.chunks_exact(classes.max(1))).enumerate() {
        let Some(class) = usize::try_from(label).ok().filter(|&class| class < classes) else {
            return Err(Error::invalid(format_args!(
                "top-k accuracy: expected a class in 0..{classes}, found {label} in row {i}"
            )));
        };
        let own = row[class];
        let greater = row.iter().filter(|&&other| other > own).count();
        let is_number = own.partial_cmp(&own).is_some();
        hits += usize::from(is_number && greater < k);
    }
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
    fn the_k_best_are_those_that_sorting_puts_first_with_all_that_equal_the_last_of_them() -> Result<()> {
        for row in [[0.5, 0.5, 0.2, 0.9], [0.0, -0.0, f64::INFINITY, -1.0], [4.0, 3.0, 2.0, 1.0], [0.25; 4]] {
            let mut falling = row;
            falling.sort_by(|a, b| b.total_cmp(a));
            for k in 1..6usize {
                let least = falling[k.min(4) - 1];
                for (class, &score) in row.iter().enumerate() {
                    let found = top_k_accuracy(&[class as i32], &row, 4, k)?;
                    assert_eq!(found == 1.0, score >= least, "class {class} of {row:?}, k {k}");
                }
            }
        }
        let nan = f64::NAN;
        assert_eq!(top_k_accuracy(&[0, 1], &[nan, 0.0, nan, 0.0], 2, 1)?, 0.5, "no NaN is among the best");
        Ok(())
    }

    #[test]
    fn top_k_refuses_what_has_no_meaning() -> Result<()> {
        let message = |r: Result<f64>| r.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message(top_k_accuracy(&[0], &[1.0, 2.0], 2, 0)).contains("found 0"));
        assert!(message(top_k_accuracy(&[0, 1], &[1.0, 2.0], 2, 1)).contains("2 rows of 2 scores, found 2"));
        assert!(message(top_k_accuracy(&[2], &[1.0, 2.0], 2, 1)).contains("0..2, found 2 in row 0"));
        assert!(message(top_k_accuracy(&[-1], &[1.0, 2.0], 2, 1)).contains("found -1 in row 0"));
        assert_eq!(top_k_accuracy::<f32>(&[], &[], 0, 1)?, 0.0);
        Ok(())
    }

    #[test]
    fn accuracy_refuses_lists_of_different_length_and_is_zero_for_none() -> Result<()> {
        assert!(accuracy(&[1], &[]).is_err());
        assert_eq!(accuracy(&[], &[])?, 0.0);
        Ok(())
    }
}
