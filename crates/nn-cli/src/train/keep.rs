//! What is kept of a run while it goes on: the best weights, and a checkpoint of every epoch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nn_core::Scalar;
use nn_core::models::Network;
use nn_train::callbacks::EarlyStopping;
use nn_train::checkpoint::Checkpoint;
use nn_train::{Callback, EpochEnd, Flow, History, Result, TrainBegin, TrainEnd, Trainable};

use crate::failure::Failure;

/// Stops early, and writes checkpoints that know what early stopping remembers.
pub(super) struct Keep<T> {
    stop: Option<EarlyStopping<T>>,
    path: Option<PathBuf>,
    /// What was measured before this run.
    earlier: History,
    /// What the run was told.
    run: BTreeMap<String, String>,
    saved: bool,
}

impl<T: Scalar> Keep<T> {
    pub(super) fn new(
        stop: Option<EarlyStopping<T>>,
        path: Option<PathBuf>,
        earlier: History,
        run: BTreeMap<String, String>,
    ) -> Self {
        Self { stop, path, earlier, run, saved: false }
    }

    /// The checkpoint, if this run wrote one.
    pub(super) fn saved(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.saved)
    }

    /// Whether training was ended early, and whose weights the network has, in a few words; none if it has those of the
    /// last epoch, which is the one before `epochs`.
    pub(super) fn outcome(&self, monitor: &str, epochs: usize) -> Option<String> {
        let stop = self.stop.as_ref()?;
        let best = stop.best_epoch()? + 1;
        let back = format!("the weights are those of epoch {best}, the best by {monitor}");
        match stop.stopped_after() {
            Some(last) => Some(format!("after epoch {}; {back}", last + 1)),
            None => (best != epochs).then_some(back),
        }
    }
}

impl<T: Scalar> Callback<T> for Keep<T> {
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, network: &mut dyn Trainable<T>) -> Result<()> {
        self.stop.iter_mut().try_for_each(|stop| stop.on_train_begin(train, network))
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, network: &mut dyn Trainable<T>) -> Result<Flow> {
        let flow = match &mut self.stop {
            Some(stop) => stop.on_epoch_end(epoch, network)?,
            None => Flow::Continue,
        };
        let Some(path) = &self.path else { return Ok(flow) };
        let state = network.state();
        // Nothing of use can go on from what is not finite: the last checkpoint that is of use stays.
        let measured = epoch.history.latest().all(|(_, value)| value.is_finite());
        if measured && state.iter().all(|tensor| tensor.values.iter().all(|value| value.wide().is_finite())) {
            let mut history = self.earlier.clone();
            history.append(epoch.history);
            let best = self.stop.as_ref().and_then(EarlyStopping::best);
            let run = self.run.clone();
            Checkpoint { best, run, ..Checkpoint::new(state, history, epoch.epoch + 1) }.save(path)?;
            self.saved = true;
        }
        Ok(flow)
    }

    fn on_train_end(&mut self, train: &TrainEnd<'_>, network: &mut dyn Trainable<T>) -> Result<()> {
        self.stop.iter_mut().try_for_each(|stop| stop.on_train_end(train, network))
    }
}

/// Puts the state of the checkpoint `path` into the network. `run`: what this run was told, which is what that one was told;
/// `epochs`: how many it was told in all.
pub(super) fn resume<T: Scalar>(
    path: &Path,
    network: &mut Network<T>,
    run: BTreeMap<String, String>,
    epochs: usize,
) -> std::result::Result<Checkpoint<T>, Failure> {
    let mut checkpoint = Checkpoint::load(path)?;
    let found = std::mem::take(&mut checkpoint.run);
    let said = |all: &BTreeMap<String, String>, name: &str| {
        all.get(name).map_or("not given", |text| text).to_owned()
    };
    let names = run.keys().chain(found.keys().filter(|name| !run.contains_key(*name)));
    let differ: Vec<String> = names
        .filter(|name| run.get(*name) != found.get(*name))
        .map(|name| format!("{name}: {} there, {} here", said(&found, name), said(&run, name)))
        .collect();
    if !differ.is_empty() {
        return Err(Failure::other(format_args!(
            "{}: the checkpoint of a run with other options, after which the same bits can't follow ({}); give those of that \
             run, such as --config with its config.toml",
            path.display(),
            differ.join("; ")
        )));
    }
    if checkpoint.epochs_done >= epochs {
        return Err(Failure::usage(format_args!(
            "--epochs {epochs}: the checkpoint {} has {} already; expected more in all",
            path.display(),
            checkpoint.epochs_done
        )));
    }
    network.set_state(&checkpoint.state).map_err(|e| {
        Failure::other(format_args!("{}: not a checkpoint of this network: {e}", path.display()))
    })?;
    checkpoint.run = run;
    Ok(checkpoint)
}
