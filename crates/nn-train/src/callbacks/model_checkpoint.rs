//! Saving the network while it trains.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use nn_core::Scalar;

use super::Mode;
use super::monitor::Monitor;
use super::path_pattern::PathPattern;
use crate::checkpoint::Checkpoint;
use crate::files::check_writable;
use crate::weights::write_weights;
use crate::{Callback, EpochEnd, Error, Flow, History, Result, TrainBegin, Trainable};

/// What it is called in messages.
const NAME: &str = "model checkpoint";

/// Saves the network after each epoch, or after each that is the best so far, as `keras.callbacks.ModelCheckpoint` does.
///
/// What is saved is a [`Checkpoint`] to resume from, or the weights alone. The path may have places: `{epoch}`, counted
/// from 1, `{epoch:03}` with zeros before it, `{val_loss:.2}` or any other figure of the epoch. Without one, each file
/// replaces the one before. Files are written whole or not at all; missing directories are made.
///
/// ```
/// use nn_train::callbacks::ModelCheckpoint;
/// let latest = ModelCheckpoint::new("run/latest.safetensors");
/// let best = ModelCheckpoint::new("run/best.safetensors").weights_only().best("val_loss");
/// let some = ModelCheckpoint::new("run/{epoch:03}.safetensors").every(std::num::NonZeroUsize::MIN);
/// ```
#[derive(Debug, Clone)]
pub struct ModelCheckpoint {
    path: PathPattern,
    weights_only: bool,
    best: Option<Monitor>,
    threshold: Option<f64>,
    every: NonZeroUsize,
    earlier: History,
    saved: Option<PathBuf>,
}

impl ModelCheckpoint {
    /// Saves a checkpoint to `path` after every epoch.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: PathPattern::new(path.into()),
            weights_only: false,
            best: None,
            threshold: None,
            every: NonZeroUsize::MIN,
            earlier: History::default(),
            saved: None,
        }
    }

    /// The weights alone, as [`write_weights`] writes them.
    #[must_use]
    pub fn weights_only(mut self) -> Self {
        self.weights_only = true;
        self
    }

    /// Only where the figure of this name is the best so far.
    #[must_use]
    pub fn best(mut self, monitor: impl Into<String>) -> Self {
        self.best = Some(Monitor::new(monitor, 0.0));
        self
    }

    /// Only where it is the best so far, with which way is better.
    #[must_use]
    pub fn best_by(mut self, monitor: impl Into<String>, mode: Mode) -> Self {
        let mut monitor = Monitor::new(monitor, 0.0);
        monitor.mode = mode;
        self.best = Some(monitor);
        self
    }

    /// Where the best so far is `value` at first: what an earlier run reached.
    #[must_use]
    pub fn threshold(mut self, value: f64) -> Self {
        self.threshold = Some(value);
        self
    }

    /// Only after every so many epochs.
    #[must_use]
    pub fn every(mut self, epochs: NonZeroUsize) -> Self {
        self.every = epochs;
        self
    }

    /// With what was measured before this run: the history of the checkpoint that it resumes from.
    #[must_use]
    pub fn earlier(mut self, history: History) -> Self {
        self.earlier = history;
        self
    }

    /// The file that the last run saved last.
    pub fn saved(&self) -> Option<&Path> {
        self.saved.as_deref()
    }
}

impl<T: Scalar> Callback<T> for ModelCheckpoint {
    /// Finds out that files can't be written before there is anything to lose.
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        if let Some(monitor) = &mut self.best {
            monitor.begin(NAME, train)?;
            monitor.best = self.threshold;
        } else if self.threshold.is_some() {
            return Err(Error::invalid(format_args!(
                "{NAME}: a threshold is for the best epochs; expected best(…) too"
            )));
        }
        self.saved = None;
        self.path.read(train.figures)?;
        let probe = self.path.probe();
        make_directory_of(&probe)?;
        check_writable(&probe)
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, network: &mut dyn Trainable<T>) -> Result<Flow> {
        let due = (epoch.epoch + 1).is_multiple_of(self.every.get());
        let wanted = due
            && match &mut self.best {
                None => true,
                Some(monitor) => {
                    let value = epoch.history.last(&monitor.name);
                    value.is_some_and(|value| monitor.improved(value))
                }
            };
        if wanted {
            let path = self.path.of(epoch.epoch, epoch.history);
            make_directory_of(&path)?;
            if self.weights_only {
                write_weights(&path, &network.weights())?;
            } else {
                let mut history = self.earlier.clone();
                history.append(epoch.history);
                Checkpoint::new(network.state(), history, epoch.epoch + 1).save(&path)?;
            }
            self.saved = Some(path);
        }
        Ok(Flow::Continue)
    }
}

fn make_directory_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::create_dir_all(parent).map_err(|e| Error::file(parent, "make the directory", e))
        }
        _ => Ok(()),
    }
}
