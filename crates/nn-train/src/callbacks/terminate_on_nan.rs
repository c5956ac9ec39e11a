//! Stopping where there is nothing left to save.

use nn_core::Scalar;

use crate::{BatchEnd, Callback, Flow, Result, TrainBegin, Trainable};

/// Stops after the batch that made the loss NaN or infinite, as `keras.callbacks.TerminateOnNaN` does.
///
/// ```
/// use nn_train::callbacks::TerminateOnNan;
/// let nan = TerminateOnNan::default();
/// assert_eq!(nan.found(), None);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TerminateOnNan {
    found: Option<(usize, usize)>,
}

impl TerminateOnNan {
    /// Epoch and batch, counted from 0, of the last run's first loss that was not finite.
    pub fn found(&self) -> Option<(usize, usize)> {
        self.found
    }
}

impl<T: Scalar> Callback<T> for TerminateOnNan {
    fn on_train_begin(&mut self, _: &TrainBegin<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        self.found = None;
        Ok(())
    }

    fn on_batch_end(&mut self, batch: &BatchEnd<'_>, _: &mut dyn Trainable<T>) -> Result<Flow> {
        // One term that is not finite makes the epoch's sum so far not finite.
        let lost = !batch.figures.loss().is_finite();
        if lost {
            self.found = Some((batch.epoch, batch.batch));
        }
        Ok(Flow::stop_if(lost))
    }
}
