//! Hooks into the training loop.

use nn_core::Scalar;
use nn_core::models::Figures;

use crate::{Ending, History, Result, Trainable};

/// What a callback may look at, change, or ask for, while [`fit`](crate::fit()) runs. All hooks do nothing by default. An
/// error ends the training with that error, and no other hook is called.
///
/// Those that come with the crate are in [`callbacks`](crate::callbacks). Hooks are called in the order in which the
/// callbacks were given.
///
/// ```
/// use nn_core::Scalar;
/// use nn_train::{Callback, EpochEnd, Flow, Result, Trainable};
///
/// /// Stops as soon as the validation data are recognised well enough.
/// struct StopAt(f64);
///
/// impl<T: Scalar> Callback<T> for StopAt {
///     fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, _: &mut dyn Trainable<T>) -> Result<Flow> {
///         let reached = epoch.history.last("val_accuracy").is_some_and(|a| a >= self.0);
///         Ok(if reached { Flow::Stop } else { Flow::Continue })
///     }
/// }
/// ```
pub trait Callback<T: Scalar> {
    /// The names of figures that this callback adds to each epoch's ([`History::record`]), so that others know of them
    /// before training begins.
    fn adds(&self) -> Vec<String> {
        Vec::new()
    }

    /// Before the first epoch.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it ends the training.
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, network: &mut dyn Trainable<T>) -> Result<()> {
        let _ = (train, network);
        Ok(())
    }

    /// Before the first batch of an epoch. Epochs count from 0.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it ends the training.
    fn on_epoch_begin(&mut self, epoch: usize, network: &mut dyn Trainable<T>) -> Result<()> {
        let _ = (epoch, network);
        Ok(())
    }

    /// After each update. On [`Flow::Stop`] training ends here; an epoch that is not finished is not recorded, one whose
    /// last update this was is measured and recorded as any other.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it ends the training.
    fn on_batch_end(&mut self, batch: &BatchEnd<'_>, network: &mut dyn Trainable<T>) -> Result<Flow> {
        let _ = (batch, network);
        Ok(Flow::Continue)
    }

    /// After an epoch's last update and its evaluations. On [`Flow::Stop`] no other epoch begins.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it ends the training.
    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, network: &mut dyn Trainable<T>) -> Result<Flow> {
        let _ = (epoch, network);
        Ok(Flow::Continue)
    }

    /// After the last epoch, or wherever training was asked to end.
    ///
    /// # Errors
    /// Whatever the callback finds wrong; it is `fit`'s error then.
    fn on_train_end(&mut self, train: &TrainEnd<'_>, network: &mut dyn Trainable<T>) -> Result<()> {
        let _ = (train, network);
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

impl Flow {
    /// To stop if this is so.
    pub fn stop_if(stop: bool) -> Self {
        if stop { Self::Stop } else { Self::Continue }
    }
}

/// What is known before training begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainBegin<'a> {
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
    /// The names of the figures that each epoch will have, in the history's order.
    pub figures: &'a [String],
}

/// Where training stands after an update. Epochs and batches count from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchEnd<'a> {
    /// The epoch.
    pub epoch: usize,
    /// The number after the last epoch's.
    pub epochs: usize,
    /// The batch within the epoch.
    pub batch: usize,
    /// Updates per epoch.
    pub batches: usize,
    /// Rows per epoch.
    pub rows: usize,
    /// The figures of the epoch's rows so far, each row measured before the update that it led to.
    pub figures: &'a Figures,
    /// Seconds since the epoch began.
    pub seconds: f64,
}

impl BatchEnd<'_> {
    /// Rows of this epoch trained on so far.
    pub fn rows_done(&self) -> usize {
        self.figures.rows()
    }

    /// Rows trained on per second since the epoch began.
    pub fn rows_per_second(&self) -> f64 {
        self.rows_done() as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Seconds until the epoch's last update, if it goes on as it went so far.
    pub fn seconds_left(&self) -> f64 {
        let left = self.rows - self.rows_done();
        self.seconds * left as f64 / self.rows_done().max(1) as f64
    }
}

/// An epoch that is done.
#[derive(Debug)]
pub struct EpochEnd<'a> {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// The number after the last epoch's.
    pub epochs: usize,
    /// Everything measured by this call of `fit`, this epoch last. A callback may [`record`](History::record) more.
    pub history: &'a mut History,
    /// Rows trained on in this epoch.
    pub rows: usize,
    /// Seconds spent on the epoch's updates.
    pub training_seconds: f64,
    /// Seconds spent on evaluating the validation and test data after them.
    pub evaluation_seconds: f64,
    /// Seconds since training began, over all epochs.
    pub seconds: f64,
}

impl EpochEnd<'_> {
    /// Seconds until the end of the last epoch, if it goes on as it went so far.
    pub fn seconds_left(&self) -> f64 {
        let left = self.epochs.saturating_sub(self.epoch + 1);
        self.seconds * left as f64 / self.history.epochs().max(1) as f64
    }
}

/// Training that is over.
#[derive(Debug, Clone, Copy)]
pub struct TrainEnd<'a> {
    /// Everything measured by this call of `fit`.
    pub history: &'a History,
    /// How it ended.
    pub ending: Ending,
}
