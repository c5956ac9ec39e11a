//! The history as it grows, as a table.

use std::path::PathBuf;

use nn_core::Scalar;

use super::log_file::LogFile;
use crate::{Callback, EpochEnd, Flow, Result, TrainBegin, TrainEnd, Trainable};

/// Writes a CSV file: a line of names, then a line per epoch as soon as it is done. The first column is the epoch, counted
/// from 0 as in `keras.callbacks.CSVLogger`; numbers are the shortest that read back as the same bits; what was not measured
/// is empty.
///
/// ```
/// use nn_train::callbacks::CsvLog;
/// let log = CsvLog::new("run/history.csv");
/// let resumed = CsvLog::new("run/history.csv").resume();
/// ```
#[derive(Debug)]
pub struct CsvLog {
    file: LogFile,
    names: Vec<String>,
}

impl CsvLog {
    /// Writes to `path`, over what is there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { file: LogFile::new(path.into()), names: Vec::new() }
    }

    /// Keeps what is there of the epochs before the run's first.
    #[must_use]
    pub fn resume(mut self) -> Self {
        self.file.resume();
        self
    }
}

impl<T: Scalar> Callback<T> for CsvLog {
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        self.names = train.figures.to_vec();
        let mut header = "epoch".to_owned();
        for name in &self.names {
            header.push(',');
            header += &quoted(name);
        }
        let epoch_of = |line: &str| line.split(',').next()?.parse().ok();
        self.file.begin(Some(&header), train.initial_epoch, epoch_of)
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, _: &mut dyn Trainable<T>) -> Result<Flow> {
        let mut line = epoch.epoch.to_string();
        for name in &self.names {
            let value = epoch.history.latest().find(|(n, _)| n == name);
            line += &value.map_or(",".to_owned(), |(_, value)| format!(",{value}"));
        }
        self.file.line(&line)?;
        Ok(Flow::Continue)
    }

    fn on_train_end(&mut self, _: &TrainEnd<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        self.file.end();
        Ok(())
    }
}

/// A name as a CSV field (RFC 4180).
fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_name_with_a_comma_stays_one_field() {
        assert_eq!(quoted("val_loss"), "val_loss");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
