//! The options of `nn train` that watch a run, end it early, keep it, and go on with it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct CallbackArgs {
    /// Stop once N epochs in a row were no better than the best before them; whenever training ends, the best epoch's
    /// weights are put back
    #[arg(long, value_name = "N", help_heading = "Stopping and resuming")]
    pub(crate) early_stopping: Option<NonZeroUsize>,
    /// Multiply the learning rate by FACTOR once N epochs in a row were no better [default FACTOR: 0.1]
    #[arg(long, value_name = "N[:FACTOR]", value_parser = Plateau::parse, help_heading = "Stopping and resuming")]
    pub(crate) reduce_on_plateau: Option<Plateau>,
    /// The figure that these two watch, such as val_accuracy [default: val_loss with --validation-split; else test_loss,
    /// or loss where there are no test images]
    #[arg(long, value_name = "NAME", help_heading = "Stopping and resuming")]
    pub(crate) monitor: Option<String>,
    /// After each epoch, write all that --resume needs to FILE
    #[arg(long, value_name = "FILE", help_heading = "Stopping and resuming")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Go on after the epochs of the checkpoint FILE, up to --epochs in all, with the bits of a run that was not stopped;
    /// the other options are those of that run
    #[arg(long, value_name = "FILE", help_heading = "Stopping and resuming")]
    pub(crate) resume: Option<PathBuf>,

    /// Write each epoch's figures to FILE as soon as it is done: a table or lines of JSON, by its ending
    #[arg(long, value_name = "FILE.csv|FILE.jsonl", value_parser = Log::parse, help_heading = "Output")]
    pub(crate) log: Option<Log>,
    /// Write figures, histograms of the weights and the graph to DIR, for TensorBoard
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) tensorboard: Option<PathBuf>,
}

/// When the learning rate falls, and to which share of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plateau {
    pub(crate) patience: NonZeroUsize,
    pub(crate) factor: f64,
}

impl Plateau {
    /// Keras' own.
    const FACTOR: f64 = 0.1;

    fn parse(text: &str) -> Result<Self, String> {
        let (patience, factor) = text.split_once(':').map_or((text, None), |(n, f)| (n, Some(f)));
        let patience = patience.parse().ok();
        let factor = factor.map_or(Some(Self::FACTOR), |factor| factor.parse().ok());
        let factor = factor.filter(|&factor| factor > 0.0 && factor < 1.0);
        patience.zip(factor).map(|(patience, factor)| Self { patience, factor }).ok_or_else(|| {
            "expected a number of epochs from 1 on, and a factor between 0 and 1 if wanted, such as 3 or 3:0.5".into()
        })
    }
}

/// A file that grows by a line per epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Log {
    Csv(PathBuf),
    Json(PathBuf),
}

impl Log {
    fn parse(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        match ending.to_str() {
            Some("csv") => Ok(Self::Csv(path)),
            Some("jsonl") => Ok(Self::Json(path)),
            _ => Err("expected a name that ends in .csv or .jsonl".into()),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        let (Self::Csv(path) | Self::Json(path)) = self;
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plateau_is_a_number_of_epochs_and_a_factor_if_wanted() {
        let read = |text: &str| Plateau::parse(text).ok().map(|found| (found.patience.get(), found.factor));
        assert_eq!((read("3"), read("1:0.5")), (Some((3, 0.1)), Some((1, 0.5))));
        for wrong in ["", "0", "0:0.5", "3:", "3:0", "3:1", "3:nan", "3:-0.5", "3:0.5:1", "x", ":0.5", "1.5"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_log_is_what_its_name_ends_in() {
        assert_eq!(Log::parse("a/b.csv"), Ok(Log::Csv("a/b.csv".into())));
        assert_eq!(Log::parse("b.JSONL"), Ok(Log::Json("b.JSONL".into())));
        for wrong in ["", "csv", ".csv", "b.json", "b.csv.gz"] {
            assert!(Log::parse(wrong).is_err(), "{wrong}");
        }
    }
}
