//! Callbacks of a run that was stopped and goes on.

use nn_train::callbacks::{BestWeights, EarlyStopping, ReduceOnPlateau};
use nn_train::{Callback, EpochEnd, Flow, History, Result, TrainBegin, TrainEnd, Trainable};

use crate::TestResult;
use crate::scripted::Scripted;

/// Losses that improve, worsen, and are no better for as long as it takes.
const LOSSES: [f64; 9] = [5.0, 3.0, 4.0, 2.0, 2.5, 2.25, 2.0, 1.0, 0.5];

/// Early stopping, and the best weights as a checkpoint after each epoch would have them.
struct Kept {
    stop: EarlyStopping<f64>,
    best: Option<BestWeights<f64>>,
}

impl Callback<f64> for Kept {
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, network: &mut dyn Trainable<f64>) -> Result<()> {
        self.stop.on_train_begin(train, network)
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, network: &mut dyn Trainable<f64>) -> Result<Flow> {
        let flow = self.stop.on_epoch_end(epoch, network);
        self.best = self.stop.best();
        flow
    }

    fn on_train_end(&mut self, train: &TrainEnd<'_>, network: &mut dyn Trainable<f64>) -> Result<()> {
        self.stop.on_train_end(train, network)
    }
}

fn kept(patience: usize) -> Kept {
    Kept { stop: EarlyStopping::new("loss").patience(patience).restore_best(), best: None }
}

#[test]
fn early_stopping_that_goes_on_ends_as_if_it_had_watched_all_epochs() -> TestResult {
    for patience in 1..=4 {
        let (mut whole, mut network) = (kept(patience), Scripted::new(&LOSSES));
        network.train(0, &mut [&mut whole])?;
        let expected = (whole.stop.stopped_after(), whole.stop.best_epoch(), network.updates);
        let last = whole.stop.stopped_after().unwrap_or(LOSSES.len() - 1);
        for at in 1..=last {
            let mut first = kept(patience);
            let history = Scripted::new(&LOSSES[..at]).train(0, &mut [&mut first])?.history;
            let mut later = kept(patience);
            later.stop = later.stop.earlier(history, first.best);
            let mut network = Scripted::new(&LOSSES);
            network.updates = at as f64;
            network.train_to(at, LOSSES.len(), &mut [&mut later])?;
            let found = (later.stop.stopped_after(), later.stop.best_epoch(), network.updates);
            assert_eq!(found, expected, "patience {patience}, resumed after {at}");
        }
    }
    Ok(())
}

#[test]
fn without_the_best_weights_or_with_those_of_another_figure_it_begins_anew() -> TestResult {
    let mut history = History::default();
    history.push("loss", 1.0);
    let weights = || Scripted::new(&[]).weights();
    for best in [None, Some(BestWeights { monitor: "figure".into(), weights: weights() })] {
        let mut later = kept(5);
        later.stop = later.stop.earlier(history.clone(), best);
        Scripted::new(&[9.0, 8.0]).train(1, &mut [&mut later])?;
        assert_eq!(later.stop.best_epoch(), Some(2), "there is no way back to the epoch before");
    }
    let mut careless = EarlyStopping::new("loss").patience(5).earlier(history, None);
    Scripted::new(&[9.0, 8.0]).train(1, &mut [&mut careless])?;
    assert_eq!(careless.best_epoch(), Some(0), "nothing is to be put back");
    Ok(())
}

#[test]
fn the_learning_rate_falls_as_if_all_epochs_had_been_watched() -> TestResult {
    for (patience, cooldown) in [(1, 0), (2, 0), (1, 2), (2, 1)] {
        let slower =
            || ReduceOnPlateau::new("loss").patience(patience).cooldown(cooldown).factor(0.5).min_lr(0.25);
        let mut whole = Scripted::new(&LOSSES);
        whole.train(0, &mut [&mut slower()])?;
        for at in 1..LOSSES.len() {
            let mut first = Scripted::new(&LOSSES[..at]);
            let history = first.train(0, &mut [&mut slower()])?.history;
            let mut later = Scripted::new(&LOSSES);
            (later.updates, later.rate) = (at as f64, first.rate);
            later.train_to(at, LOSSES.len(), &mut [&mut slower().earlier(history)])?;
            assert_eq!([first.rates, later.rates].concat(), whole.rates, "resumed after {at}");
        }
    }
    Ok(())
}
