//! Hooks into the training loop.

use nn_core::Scalar;

use crate::{History, Result, Trainable};

/// What a callback may look at, or ask for, while [`fit`](crate::fit()) runs. All hooks do nothing by default. An error ends
/// the training with that error.
///
/// ```
/// use nn_core::Scalar;
/// use nn_train::{Callback, EpochEnd, Flow, Result, Trainable};
///
/// /// Stops as soon as the validation data are recognised well enough.
/// struct StopAt(f64);
///
/// impl<T: Scalar> Callback<T> for StopAt {
///     fn on_epoch_end(&mut self, epoch: &EpochEnd<'_>, _: &dyn Trainable<T>) -> Result<Flow> {
///         let reached = epoch.history.last("val_accuracy").is_some_and(|a| a >= self.0);
///         Ok(if reached { Flow::Stop } else { Flow::Continue })
///     }
/// }
/// ```
pub trait Callback<T: Scalar> {
    /// Before the first epoch.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it ends the training.
    fn on_train_begin(&mut self, train: &TrainBegin) -> Result<()> {
        let _ = train;
        Ok(())
    }

    /// Before the first batch of an epoch.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it ends the training.
    fn on_epoch_begin(&mut self, epoch: usize) -> Result<()> {
        let _ = epoch;
        Ok(())
    }

    /// After each update. On [`Flow::Stop`] training ends here, and the unfinished epoch is not recorded.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it ends the training.
    fn on_batch_end(&mut self, batch: &BatchEnd) -> Result<Flow> {
        let _ = batch;
        Ok(Flow::Continue)
    }

    /// After an epoch's last update and its evaluations. On [`Flow::Stop`] no other epoch begins.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it ends the training.
    fn on_epoch_end(&mut self, epoch: &EpochEnd<'_>, network: &dyn Trainable<T>) -> Result<Flow> {
        let _ = (epoch, network);
        Ok(Flow::Continue)
    }

    /// After the last epoch, or the one that was asked to be the last.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it is `fit`'s error then.
    fn on_train_end(&mut self, history: &History) -> Result<()> {
        let _ = history;
        Ok(())
    }
}

/// Whether training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It ends.
    Stop,
}

/// What is known before training begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainBegin {
    /// The number that the first epoch has; 0 unless training resumes.
    pub initial_epoch: usize,
    /// The number after the last epoch's.
    pub epochs: usize,
    /// Updates per epoch.
    pub batches: usize,
    /// Rows trained on, without those held back for validation.
    pub train_rows: usize,
    /// Rows evaluated after each epoch as `val_…`.
    pub validation_rows: usize,
    /// Rows evaluated after each epoch as `test_…`.
    pub test_rows: usize,
}

/// Where training stands after an update. Epochs and batches count from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchEnd {
    /// The epoch.
    pub epoch: usize,
    /// The number after the last epoch's.
    pub epochs: usize,
    /// The batch within the epoch.
    pub batch: usize,
    /// Updates per epoch.
    pub batches: usize,
    /// Rows of this epoch trained on so far.
    pub rows_done: usize,
    /// Rows per epoch.
    pub rows: usize,
    /// `rows_done` per second since the epoch began.
    pub rows_per_second: f64,
    /// The mean loss over the rows so far, each taken before the update it led to.
    pub loss: f64,
    /// The share of the rows so far that were recognised.
    pub accuracy: f64,
}

/// An epoch that is done.
#[derive(Debug, Clone, Copy)]
pub struct EpochEnd<'a> {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// The number after the last epoch's.
    pub epochs: usize,
    /// Everything measured by this call of `fit`, this epoch last.
    pub history: &'a History,
    /// Rows trained on in this epoch.
    pub rows: usize,
    /// Seconds spent on the epoch's updates.
    pub training_seconds: f64,
    /// Seconds spent on evaluating the validation and test data after them.
    pub evaluation_seconds: f64,
}
