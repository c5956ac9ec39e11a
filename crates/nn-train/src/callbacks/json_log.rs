//! The history as it grows, for programs.

use std::path::PathBuf;

use nn_core::Scalar;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::log_file::LogFile;
use crate::{Callback, EpochEnd, Error, Flow, History, Result, TrainBegin, TrainEnd, Trainable};

/// Writes JSON lines: an object per epoch as soon as it is done.
///
/// It holds `epoch`, counted from 0, every figure under its name (`null` for what is not finite), `rows` trained on, and
/// `training_seconds` and `evaluation_seconds`.
///
/// ```
/// use nn_train::callbacks::JsonLog;
/// let log = JsonLog::new("run/epochs.jsonl");
/// ```
#[derive(Debug)]
pub struct JsonLog {
    file: LogFile,
}

impl JsonLog {
    /// Writes to `path`, over what is there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { file: LogFile::new(path.into()) }
    }

    /// Keeps what is there of the epochs before the run's first.
    #[must_use]
    pub fn resume(mut self) -> Self {
        self.file.resume();
        self
    }
}

impl<T: Scalar> Callback<T> for JsonLog {
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        #[derive(Deserialize)]
        struct Numbered {
            epoch: usize,
        }
        let epoch_of = |line: &str| Some(serde_json::from_str::<Numbered>(line).ok()?.epoch);
        self.file.begin(None, train.initial_epoch, epoch_of)
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, _: &mut dyn Trainable<T>) -> Result<Flow> {
        let line = Line {
            epoch: epoch.epoch,
            figures: Latest(epoch.history),
            rows: epoch.rows,
            training_seconds: epoch.training_seconds,
            evaluation_seconds: epoch.evaluation_seconds,
        };
        let line = serde_json::to_string(&line).map_err(|e| Error::format(self.file.path(), e))?;
        self.file.line(&line)?;
        Ok(Flow::Continue)
    }

    fn on_train_end(&mut self, _: &TrainEnd<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        self.file.end();
        Ok(())
    }
}

#[derive(Serialize)]
struct Line<'a> {
    epoch: usize,
    #[serde(flatten)]
    figures: Latest<'a>,
    rows: usize,
    training_seconds: f64,
    evaluation_seconds: f64,
}

/// The latest epoch's figures, in their order.
struct Latest<'a>(&'a History);

impl Serialize for Latest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.latest() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}
