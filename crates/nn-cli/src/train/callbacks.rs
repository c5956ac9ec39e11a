//! What watches a run, ends it early and writes it down while it goes on.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nn_core::Scalar;
use nn_core::models::Network;
use nn_train::Callback;
use nn_train::callbacks::{
    CsvLog, EarlyStopping, Interrupt, JsonLog, ReduceOnPlateau, TensorBoard, TerminateOnNan,
};
use nn_train::checkpoint::Checkpoint;
use nn_train::files::check_writable;

use super::config::TrainConfig;
use super::keep::Keep;
use super::progress::Progress;
use crate::args::{CallbackArgs, Log};
use crate::failure::Failure;

/// The figures that are watched unless `--monitor` says otherwise: the first of these that there is.
const WATCHED: [&str; 3] = ["val_loss", "test_loss", "loss"];

/// The callbacks that the options ask for, and those that are always there.
pub(super) struct Callbacks<T> {
    slower: Option<ReduceOnPlateau>,
    pub(super) nan: TerminateOnNan,
    pub(super) interrupt: Interrupt,
    pub(super) keep: Keep<T>,
    log: Option<Box<dyn Callback<T>>>,
    board: Option<TensorBoard>,
}

impl<T: Scalar> Callbacks<T> {
    /// `monitor`: the figure to watch. `resumed`: what the run goes on from; if nothing, a checkpoint without epochs.
    /// `interrupt`: what ends training once it is set.
    pub(super) fn new(
        args: &CallbackArgs,
        monitor: &str,
        resumed: &Checkpoint<T>,
        interrupt: Arc<AtomicBool>,
    ) -> Self {
        let history = || resumed.history.clone();
        let slower = args.reduce_on_plateau.map(|plateau| {
            let slower = ReduceOnPlateau::new(monitor).factor(plateau.factor);
            slower.patience(plateau.patience.get()).earlier(history())
        });
        let stop = args.early_stopping.map(|epochs| {
            let stop = EarlyStopping::new(monitor).patience(epochs.get()).restore_best();
            stop.earlier(history(), resumed.best.clone())
        });
        let goes_on = args.resume.is_some();
        let log = args.log.as_ref().map(|log| -> Box<dyn Callback<T>> {
            match log {
                Log::Csv(path) if goes_on => Box::new(CsvLog::new(path).resume()),
                Log::Csv(path) => Box::new(CsvLog::new(path)),
                Log::Json(path) if goes_on => Box::new(JsonLog::new(path).resume()),
                Log::Json(path) => Box::new(JsonLog::new(path)),
            }
        });
        Self {
            slower,
            nan: TerminateOnNan::default(),
            interrupt: Interrupt::new(interrupt),
            keep: Keep::new(stop, args.checkpoint.clone(), history(), resumed.run.clone()),
            log,
            board: args.tensorboard.as_ref().map(TensorBoard::new),
        }
    }

    /// All of them in the order in which they work: what changes the learning rate and records it comes before what shows
    /// and writes it.
    pub(super) fn with<'a>(&'a mut self, progress: &'a mut Progress<'_>) -> Vec<&'a mut dyn Callback<T>> {
        let mut all: Vec<&mut dyn Callback<T>> = Vec::new();
        all.extend(self.slower.as_mut().map(|callback| callback as &mut dyn Callback<T>));
        all.push(progress);
        all.push(&mut self.nan);
        all.push(&mut self.interrupt);
        all.push(&mut self.keep);
        if let Some(log) = &mut self.log {
            all.push(&mut **log);
        }
        all.extend(self.board.as_mut().map(|callback| callback as &mut dyn Callback<T>));
        all
    }
}

/// The figure to watch, one of those that each epoch will have.
pub(super) fn monitor<T: Scalar>(
    config: &TrainConfig,
    network: &Network<T>,
    has_test: bool,
) -> Result<String, Failure> {
    let prefixes = [(true, ""), (config.fit.validation_split > 0.0, "val_"), (has_test, "test_")];
    let prefixes = prefixes.iter().filter(|(measured, _)| *measured).map(|(_, prefix)| prefix);
    let names = network.figure_names();
    let all: Vec<String> =
        prefixes.flat_map(|prefix| names.iter().map(move |name| format!("{prefix}{name}"))).collect();
    match &config.callbacks.monitor {
        Some(name) if !all.contains(name) => Err(Failure::usage(format_args!(
            "--monitor {name}: no figure of this name is measured; there are {}",
            all.join(", ")
        ))),
        Some(name) => Ok(name.clone()),
        None => {
            let watched = WATCHED.into_iter().find(|&name| all.iter().any(|known| known == name));
            Ok(watched.unwrap_or_default().to_owned())
        }
    }
}

/// What is watched, and what for, in a few words; none if nothing is.
pub(super) fn in_words(args: &CallbackArgs, monitor: &str) -> Option<String> {
    let epochs = |n: usize| if n == 1 { "1 epoch".to_owned() } else { format!("{n} epochs") };
    let stop = args.early_stopping.map(|n| format!("stops after {} without a better one", epochs(n.get())));
    let slower = args.reduce_on_plateau.map(|plateau| {
        format!("learning rate times {} after {}", plateau.factor, epochs(plateau.patience.get()))
    });
    let all: Vec<String> = stop.into_iter().chain(slower).collect();
    (!all.is_empty()).then(|| format!("{monitor}: {}", all.join(", ")))
}

/// Makes TensorBoard's directory, and finds out whether it can be written to.
pub(super) fn prepare_tensorboard(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|e| {
        Failure::other(format_args!(
            "{}: cannot make the directory: {e}; name another with --tensorboard",
            dir.display()
        ))
    })?;
    Ok(check_writable(&dir.join("events"))?)
}
