//! Smaller steps where larger ones no longer help.

use nn_core::Scalar;

use super::monitor::Monitor;
use super::schedule::rate_of;
use super::{LEARNING_RATE, Mode};
use crate::{Callback, EpochEnd, Error, Flow, History, Result, TrainBegin, Trainable};

/// What it is called in messages.
const NAME: &str = "reduce on plateau";

/// Multiplies the learning rate by a factor when a figure has not improved for `patience` epochs, as
/// `keras.callbacks.ReduceLROnPlateau` does.
///
/// An improvement is a value better than the best so far by more than `min_delta`. After a reduction, `cooldown` epochs
/// pass without being counted. Each epoch's learning rate, before a reduction at its end, is recorded as `learning_rate`.
///
/// ```
/// use nn_train::callbacks::ReduceOnPlateau;
/// let slower = ReduceOnPlateau::new("val_loss").factor(0.2).patience(5).min_lr(0.001);
/// ```
#[derive(Debug, Clone)]
pub struct ReduceOnPlateau {
    monitor: Monitor,
    factor: f64,
    patience: usize,
    cooldown: usize,
    min_lr: f64,
    waited: usize,
    cooling: usize,
    earlier: History,
}

impl ReduceOnPlateau {
    /// Watches the figure of this name, with Keras' numbers: factor 0.1, patience 10, min_delta 1e-4, no cooldown, no
    /// least learning rate.
    pub fn new(monitor: impl Into<String>) -> Self {
        Self {
            monitor: Monitor::new(monitor, 1e-4),
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_lr: 0.0,
            waited: 0,
            cooling: 0,
            earlier: History::default(),
        }
    }

    /// With which way is better.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.monitor.mode = mode;
        self
    }

    /// Where a change must exceed `delta` to be an improvement.
    #[must_use]
    pub fn min_delta(mut self, delta: f64) -> Self {
        self.monitor.min_delta = delta;
        self
    }

    /// Where the learning rate is multiplied by `factor`, in (0, 1).
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// After so many epochs without an improvement.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// With so many epochs after a reduction that don't count.
    #[must_use]
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// Never below `rate`.
    #[must_use]
    pub fn min_lr(mut self, rate: f64) -> Self {
        self.min_lr = rate;
        self
    }

    /// Goes on from the epochs that a run was resumed after, as if it had watched them. (The learning rate that they came
    /// to is part of the network's state.)
    #[must_use]
    pub fn earlier(mut self, history: History) -> Self {
        self.earlier = history;
        self
    }

    /// Takes an epoch's value in. Whether the learning rate is to fall, which is `rate` now.
    fn watch(&mut self, value: f64, rate: f64) -> bool {
        if self.cooling > 0 {
            self.cooling -= 1;
            self.waited = 0;
        }
        if self.monitor.improved(value) {
            self.waited = 0;
        } else if self.cooling == 0 {
            self.waited += 1;
            if self.waited >= self.patience && rate > self.min_lr {
                (self.cooling, self.waited) = (self.cooldown, 0);
                return true;
            }
        }
        false
    }

    /// Takes in what came before the run's first epoch.
    fn catch_up(&mut self) {
        let earlier = std::mem::take(&mut self.earlier);
        let rates = earlier.get(LEARNING_RATE).unwrap_or_default();
        for (epoch, &value) in earlier.get(&self.monitor.name).unwrap_or_default().iter().enumerate() {
            // Without a record, nothing says that the rate had come to its least.
            self.watch(value, rates.get(epoch).copied().unwrap_or(f64::INFINITY));
        }
        self.earlier = earlier;
    }
}

impl<T: Scalar> Callback<T> for ReduceOnPlateau {
    fn adds(&self) -> Vec<String> {
        vec![LEARNING_RATE.to_owned()]
    }

    fn on_train_begin(&mut self, train: &TrainBegin<'_>, network: &mut dyn Trainable<T>) -> Result<()> {
        self.monitor.begin(NAME, train)?;
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(Error::invalid(format_args!(
                "{NAME}: expected a factor in (0, 1), found {}",
                self.factor
            )));
        }
        if !(self.min_lr.is_finite() && self.min_lr >= 0.0) {
            return Err(Error::invalid(format_args!(
                "{NAME}: expected a least learning rate that is finite and not negative, found {}",
                self.min_lr
            )));
        }
        rate_of(NAME, network)?;
        (self.waited, self.cooling) = (0, 0);
        self.catch_up();
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, network: &mut dyn Trainable<T>) -> Result<Flow> {
        let rate = rate_of(NAME, network)?;
        epoch.history.record(LEARNING_RATE, rate);
        let Some(current) = epoch.history.last(&self.monitor.name) else { return Ok(Flow::Continue) };
        if self.watch(current, rate) {
            network.set_learning_rate((rate * self.factor).max(self.min_lr))?;
        }
        Ok(Flow::Continue)
    }
}
