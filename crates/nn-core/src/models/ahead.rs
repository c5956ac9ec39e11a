//! Whether it pays to compute the next training step when a batch is only to be measured.
//!
//! What is measured on a batch right after a step on it, its loss and its hits, is what the next step on it computes first.
//! Who trains on the whole of a data set and looks at it after each step would have each forward pass done twice. Instead,
//! the measurement can be taken from the next step, computed ahead ([`Session::run_ahead`]), and the next step only has to
//! change the weights. But if there is no next step, or something else comes first that it depends on, its backward pass was
//! done for nothing. So it is only done for who has done the same before: trained on a batch, tested it, and trained on it
//! again, with no variable changed in between.
//!
//! This is about time alone: the session makes sure that results are the same either way.
//!
//! [`Session::run_ahead`]: crate::exec::Session::run_ahead

use smallvec::SmallVec;

use super::batch::{Batch, Target};
use crate::Scalar;
use crate::matrix::{InputRef, RowsId};

/// What tells a batch from others; none if nothing does, or its rows don't count alike, as no test's need to.
pub(super) type BatchId = Option<SmallVec<[PartId; 4]>>;

/// What tells an input or a target from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartId {
    /// Rows of a data set.
    Rows(RowsId),
    /// Classes: where they begin, and how many there are. Others may be there the next time, which the session sees.
    Classes(usize, usize),
}

/// What tells `batch` from others.
pub(super) fn id<T: Scalar>(batch: &Batch<'_, T>) -> BatchId {
    let rows = |x: &InputRef<'_, T>| x.id().map(PartId::Rows);
    let target = |target: &Target<'_, T>| match target {
        Target::Classes(classes) => Some(PartId::Classes(classes.as_ptr().addr(), classes.len())),
        Target::Values(values) => rows(values),
    };
    let parts = batch.inputs.iter().map(rows).chain(batch.targets.iter().map(target));
    if batch.weights.is_some() { None } else { parts.collect() }
}

/// What was done with the batch that was trained on last.
#[derive(Debug, Default)]
pub(super) struct Habit {
    trained: BatchId,
    /// Whether it was tested since then, and the version of the variables at that time.
    tested: Option<u64>,
    /// Whether, when that was so the last time, the next step was on the same rows and the same variables.
    returns: bool,
}

impl Habit {
    /// A step on a batch is going to be made.
    pub(super) fn train(&mut self, batch: BatchId, version: u64) {
        let same = batch.is_some() && batch == self.trained;
        self.returns = match self.tested.take() {
            Some(tested) => same && tested == version,
            None => same && self.returns,
        };
        self.trained = batch;
    }

    /// A batch is going to be tested: whether a step on it can be expected to be next.
    pub(super) fn test(&mut self, batch: &BatchId, version: u64) -> bool {
        let same = batch.is_some() && *batch == self.trained;
        if same {
            self.tested = Some(version);
        }
        same && self.returns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use crate::matrix::SparseBytes;

    /// Two batches that differ, and one that can't be known.
    fn batches() -> Result<[BatchId; 3]> {
        let data = SparseBytes::new(&[1, 2, 3, 4], 4, 1, 1.0f32)?;
        let x = InputRef::sparse_bytes(&data);
        let dense = InputRef::bytes(&[1, 2], 2, 1, 1.0f32)?;
        Ok([x.slice(0, 2), x.slice(2, 2), dense].map(|x| id(&Batch::new(x, &[0, 0]))))
    }

    #[test]
    fn a_step_is_expected_from_the_second_time_on_and_not_once_it_did_not_come() -> Result<()> {
        let [a, b, _] = batches()?;
        let mut habit = Habit::default();
        habit.train(a.clone(), 0);
        assert!(!habit.test(&a, 1), "it may have been the last step");
        habit.train(a.clone(), 1);
        assert!(habit.test(&a, 2));
        assert!(!habit.test(&b, 2), "another batch");
        habit.train(a.clone(), 2);
        habit.train(a.clone(), 3);
        assert!(habit.test(&a, 4), "two steps, then a test: the step after the last test came");
        habit.train(b.clone(), 4);
        assert!(
            !habit.test(&a, 5) && !habit.test(&b, 5),
            "after the last test, the step was on another batch"
        );
        habit.train(b.clone(), 5);
        assert!(habit.test(&b, 6));
        Ok(())
    }

    #[test]
    fn a_step_that_comes_after_variables_were_changed_is_none() -> Result<()> {
        let [a, ..] = batches()?;
        let mut habit = Habit::default();
        for epoch in 0..5 {
            habit.train(a.clone(), 2 * epoch);
            assert!(!habit.test(&a, 2 * epoch + 1), "epoch {epoch}: a new learning rate each time");
        }
        Ok(())
    }

    #[test]
    fn a_step_on_other_classes_or_with_weights_is_none_on_the_batch() -> Result<()> {
        let data = SparseBytes::new(&[1, 2], 2, 1, 1.0f32)?;
        let (labels, smoothed) = ([0, 1], [0, 1]);
        let batch = Batch::new(InputRef::sparse_bytes(&data), &labels);
        let (same, other) = (id(&batch), id(&Batch::new(batch.inputs[0], &smoothed)));
        assert_eq!(same, id(&batch));
        assert_ne!(same, other);
        assert_eq!(id(&batch.weighted(&[1.0, 2.0])), None);
        Ok(())
    }

    #[test]
    fn nothing_is_expected_of_rows_that_may_change() -> Result<()> {
        let [.., lent] = batches()?;
        assert_eq!(lent, None);
        let mut habit = Habit::default();
        for version in 0..4 {
            habit.train(lent.clone(), version);
            assert!(!habit.test(&lent, version + 1));
        }
        Ok(())
    }
}
