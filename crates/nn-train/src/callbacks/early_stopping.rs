//! Stopping when it no longer gets better.

use nn_core::Scalar;
use nn_core::models::NamedTensor;

use super::Mode;
use super::monitor::Monitor;
use crate::{Callback, EpochEnd, Flow, History, Result, TrainBegin, TrainEnd, Trainable};

/// Stops when a figure has not improved for more than `patience` epochs, as `keras.callbacks.EarlyStopping` does.
///
/// After each epoch from `start_from` on: an improvement is a value better than the best so far by more than `min_delta`;
/// the first always is.
/// Epochs since then are counted; an improvement ends the count only if the value is also better than the `baseline`,
/// where there is one. Training stops at an epoch without improvement where the count has reached `patience`, though never
/// after the very first epoch. So a patience of 0 and of 1 both stop at the first epoch that is no better.
///
/// ```
/// use nn_train::callbacks::{EarlyStopping, Mode};
/// let stop = EarlyStopping::<f32>::new("val_accuracy").mode(Mode::Max).min_delta(0.001).patience(3).restore_best();
/// assert_eq!(stop.stopped_after(), None);
/// ```
#[derive(Debug, Clone)]
pub struct EarlyStopping<T> {
    monitor: Monitor,
    patience: usize,
    baseline: Option<f64>,
    start_from: usize,
    restore: bool,
    waited: usize,
    best_epoch: Option<usize>,
    best_weights: Option<Vec<NamedTensor<T>>>,
    stopped_after: Option<usize>,
    earlier: Option<(History, Option<BestWeights<T>>)>,
}

/// The weights of the best epoch so far, by the figure of this name: what early stopping puts back.
#[derive(Debug, Clone, PartialEq)]
pub struct BestWeights<T> {
    /// The figure's name.
    pub monitor: String,
    /// All weights of the network.
    pub weights: Vec<NamedTensor<T>>,
}

/// What an epoch's value came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Improved,
    NoBetter { stop: bool },
}

impl<T: Clone> EarlyStopping<T> {
    /// Watches the figure of this name: with no patience, for any improvement, from the first epoch on.
    pub fn new(monitor: impl Into<String>) -> Self {
        Self {
            monitor: Monitor::new(monitor, 0.0),
            patience: 0,
            baseline: None,
            start_from: 0,
            restore: false,
            waited: 0,
            best_epoch: None,
            best_weights: None,
            stopped_after: None,
            earlier: None,
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

    /// With so many epochs to wait for an improvement.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// Where only what is better than `value` is worth going on for.
    #[must_use]
    pub fn baseline(mut self, value: f64) -> Self {
        self.baseline = Some(value);
        self
    }

    /// Without a look at the epochs before the one with this number.
    #[must_use]
    pub fn start_from(mut self, epoch: usize) -> Self {
        self.start_from = epoch;
        self
    }

    /// Puts the best epoch's weights back when training ends, whether it was stopped or not. (The optimizer keeps what it
    /// remembers.)
    #[must_use]
    pub fn restore_best(mut self) -> Self {
        self.restore = true;
        self
    }

    /// Goes on from the epochs that a run was resumed after, as if it had watched them: `history` is what they measured,
    /// `best` what [`best`](Self::best) was after the last of them. Where weights are to be put back, both are needed, and
    /// of this figure; otherwise it begins anew.
    #[must_use]
    pub fn earlier(mut self, history: History, best: Option<BestWeights<T>>) -> Self {
        self.earlier = Some((history, best));
        self
    }

    /// The epoch, counted from 0, after which this stopped the last run; none if it did not.
    pub fn stopped_after(&self) -> Option<usize> {
        self.stopped_after
    }

    /// The best epoch of the last run, counted from 0: the one whose weights are put back.
    pub fn best_epoch(&self) -> Option<usize> {
        self.best_epoch
    }

    /// What is the best so far, while training goes on; none if nothing is to be put back.
    pub fn best(&self) -> Option<BestWeights<T>> {
        let weights = self.best_weights.clone()?;
        Some(BestWeights { monitor: self.monitor.name.clone(), weights })
    }

    /// Takes an epoch's value in.
    fn watch(&mut self, epoch: usize, value: f64) -> Verdict {
        self.waited += 1;
        if !self.monitor.improved(value) {
            return Verdict::NoBetter { stop: self.waited >= self.patience && epoch > 0 };
        }
        self.best_epoch = Some(epoch);
        if self.baseline.is_none_or(|baseline| self.monitor.improves(value, baseline)) {
            self.waited = 0;
        }
        Verdict::Improved
    }

    /// Takes in what came before the run's first epoch.
    fn catch_up(&mut self) {
        let Some((history, best)) = &self.earlier else { return };
        let best = best.clone().filter(|best| best.monitor == self.monitor.name);
        if self.restore && best.is_none() {
            return;
        }
        let values = history.get(&self.monitor.name).unwrap_or_default().to_vec();
        for (epoch, value) in values.into_iter().enumerate().skip(self.start_from) {
            self.watch(epoch, value);
        }
        self.best_weights =
            best.filter(|_| self.restore && self.best_epoch.is_some()).map(|best| best.weights);
    }
}

impl<T: Scalar> Callback<T> for EarlyStopping<T> {
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        self.monitor.begin("early stopping", train)?;
        self.waited = 0;
        (self.best_epoch, self.best_weights, self.stopped_after) = (None, None, None);
        self.catch_up();
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, network: &mut dyn Trainable<T>) -> Result<Flow> {
        let current = epoch.history.last(&self.monitor.name);
        let Some(current) = current.filter(|_| epoch.epoch >= self.start_from) else {
            return Ok(Flow::Continue);
        };
        match self.watch(epoch.epoch, current) {
            Verdict::Improved => {
                self.best_weights = self.restore.then(|| network.weights());
                Ok(Flow::Continue)
            }
            Verdict::NoBetter { stop } => {
                self.stopped_after = stop.then_some(epoch.epoch);
                Ok(Flow::stop_if(stop))
            }
        }
    }

    fn on_train_end(&mut self, _: &TrainEnd<'_>, network: &mut dyn Trainable<T>) -> Result<()> {
        match self.best_weights.take() {
            Some(weights) => Ok(network.set_weights(&weights)?),
            None => Ok(()),
        }
    }
}
