//! A learning rate for each epoch.

use std::fmt;

use nn_core::Scalar;

use super::LEARNING_RATE;
use crate::{Callback, EpochEnd, Error, Flow, Result, TrainBegin, Trainable};

/// What it is called in messages.
const NAME: &str = "learning rate schedule";

/// Sets the learning rate before each epoch, as `keras.callbacks.LearningRateScheduler` does, and records it as
/// `learning_rate`. The function gets the epoch, counted from 0, and the learning rate that there is.
///
/// ```
/// use nn_train::callbacks::LearningRateSchedule;
/// let constant_and_then_falling = LearningRateSchedule::new(|epoch, rate| if epoch < 10 { rate } else { rate * 0.9 });
/// ```
pub struct LearningRateSchedule<F> {
    rate: F,
}

impl<F: FnMut(usize, f64) -> f64> LearningRateSchedule<F> {
    /// From (epoch, learning rate) to the epoch's learning rate. A run that resumes asks only for the epochs that are
    /// left: let the rate depend on the two alone.
    pub fn new(rate: F) -> Self {
        Self { rate }
    }
}

impl<F> fmt::Debug for LearningRateSchedule<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LearningRateSchedule").finish_non_exhaustive()
    }
}

impl<T: Scalar, F: FnMut(usize, f64) -> f64> Callback<T> for LearningRateSchedule<F> {
    fn adds(&self) -> Vec<String> {
        vec![LEARNING_RATE.to_owned()]
    }

    fn on_train_begin(&mut self, _: &TrainBegin<'_>, network: &mut dyn Trainable<T>) -> Result<()> {
        rate_of(NAME, network).map(|_| ())
    }

    fn on_epoch_begin(&mut self, epoch: usize, network: &mut dyn Trainable<T>) -> Result<()> {
        let rate = (self.rate)(epoch, rate_of(NAME, network)?);
        if !(rate.is_finite() && rate >= 0.0) {
            return Err(Error::invalid(format_args!(
                "{NAME}: expected a learning rate that is finite and not negative, found {rate} for epoch {epoch}"
            )));
        }
        Ok(network.set_learning_rate(rate)?)
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, network: &mut dyn Trainable<T>) -> Result<Flow> {
        epoch.history.record(LEARNING_RATE, rate_of(NAME, network)?);
        Ok(Flow::Continue)
    }
}

/// The learning rate that `callback` changes.
pub(super) fn rate_of<T: Scalar>(callback: &str, network: &dyn Trainable<T>) -> Result<f64> {
    network.learning_rate().ok_or_else(|| {
        Error::invalid(format_args!(
            "{callback}: expected an optimizer with a learning rate that can be set; this network's has none, or one that \
             follows a schedule of its own"
        ))
    })
}
