//! The figures of a run, and the files that `--json` and `--save` ask for.

use std::path::{Path, PathBuf};

use nn_core::Scalar;
use nn_core::models::Network;
use nn_train::History;
use nn_train::files::{check_writable, write_atomically};
use nn_train::metrics::{ClassificationReport, ConfusionMatrix};
use nn_train::weights::write_weights;
use serde::Serialize;
use serde_json::Value;

use super::config::TrainConfig;
use crate::args::{CallbackArgs, Log};
use crate::environment::Environment;
use crate::failure::Failure;

/// The content of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    pub(crate) history: &'a History,
    /// Of the test images; row: true class.
    pub(crate) confusion_matrix: &'a ConfusionMatrix,
    pub(crate) classification_report: &'a ClassificationReport,
    pub(crate) seconds: Seconds,
    /// Images trained on per second of training.
    pub(crate) images_per_second: f64,
    pub(crate) environment: &'a Environment,
    pub(crate) data: DataFacts<'a>,
    pub(crate) config: Value,
}

/// What the images were.
#[derive(Debug, Serialize)]
pub(crate) struct DataFacts<'a> {
    name: &'a str,
    /// Of an image, in pixels.
    rows: usize,
    columns: usize,
    /// The classes' names.
    classes: &'a [String],
}

impl<'a> DataFacts<'a> {
    pub(crate) fn new(data: &'a mnist_data::Dataset) -> Self {
        let (_, rows, columns) = data.train.images.shape();
        Self { name: &data.name, rows, columns, classes: &data.classes }
    }
}

/// Wall-clock time, in seconds. What is counted from the start is from the program's first instruction of its own on; what the
/// system does before, loading it, is not in it.
#[derive(Debug, Serialize)]
pub(crate) struct Seconds {
    /// From the start until data and network are there: options, reading data, bringing them into the form that the first
    /// layer gets them in, building the network.
    pub(crate) load: f64,
    /// From the start until the first update of this run begins: `load`, and saying what is about to happen. None if there
    /// was none.
    pub(crate) until_first_step: Option<f64>,
    /// All epochs' updates.
    pub(crate) training: f64,
    /// Measuring validation and test images after each epoch.
    pub(crate) evaluation: f64,
    /// From the start until the files are written.
    pub(crate) total: f64,
}

/// The files that were asked for beside the run's folder.
#[derive(Debug)]
pub(crate) struct Outputs {
    json: Option<PathBuf>,
    save: Option<PathBuf>,
    /// Whether callbacks write something while training goes on.
    callbacks: bool,
}

impl Outputs {
    /// Finds out what can't be written before anything is computed. Nothing is written yet.
    pub(crate) fn check(config: &TrainConfig) -> Result<Self, Failure> {
        let CallbackArgs { checkpoint, log, tensorboard, .. } = &config.callbacks;
        let files = [&config.json, &config.save, checkpoint].into_iter().filter_map(|path| path.as_deref());
        for path in files.chain(log.as_ref().map(Log::path)) {
            check_writable(path)?;
        }
        let callbacks = checkpoint.is_some() || log.is_some() || tensorboard.is_some();
        Ok(Self { json: config.json.clone(), save: config.save.clone(), callbacks })
    }

    /// Whether no file was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        !self.callbacks && self.keeps_nothing()
    }

    /// Whether no file was asked for that is written when training is over.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.json.is_none() && self.save.is_none()
    }

    /// Writes them all.
    pub(crate) fn write<T: Scalar>(&self, record: &Record<'_>, network: &Network<T>) -> Result<(), Failure> {
        if let Some(path) = &self.json {
            write_json(path, record)?;
        }
        if let Some(path) = &self.save {
            write_weights(path, &network.weights())?;
        }
        Ok(())
    }
}

/// Writes a value as JSON, whole or not at all.
pub(crate) fn write_json(path: &Path, content: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(content)
        .map_err(|e| Failure::other(format_args!("{}: cannot write: {e}", path.display())))?;
    text.push(b'\n');
    Ok(write_atomically(path, &text)?)
}
