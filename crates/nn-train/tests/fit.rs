//! The training loop, over a network that remembers what it was given.

mod common;
mod linear;

use std::num::NonZeroUsize;

use common::{CLASSES, COLUMNS, examples};
use linear::Linear;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::models::NamedTensor;
use nn_train::checkpoint::{Checkpoint, CheckpointSaver};
use nn_train::{
    BatchEnd, BatchSize, Callback, Dataset, EpochEnd, FitData, FitOptions, Flow, History, Result, TrainBegin,
    Trainable, evaluate, fit, predict,
};

type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

/// Sums of at most a few hundred f64 values of magnitude 1, taken in two orders: n · 2⁻⁵³, with room for the logarithms.
const TOLERANCE: f64 = 1e-13;

fn updates(state: &[NamedTensor<f64>]) -> f64 {
    state.iter().find(|t| t.name == "sgd/iterations").map_or(f64::NAN, |t| t.values[0])
}

fn batches_of(rows: usize) -> BatchSize {
    NonZeroUsize::new(rows).map_or(BatchSize::Full, BatchSize::Rows)
}

fn dataset<'a>(x: &'a [f64], labels: &'a [i32]) -> Result<Dataset<'a, f64>> {
    Dataset::new(InputRef::dense(MatRef::new(x, labels.len(), COLUMNS)?), labels)
}

#[test]
fn every_epoch_trains_on_each_row_once_and_never_on_the_validation_rows() -> TestResult {
    let (x, labels) = examples(50);
    let mut network = Linear::new(COLUMNS);
    let options =
        FitOptions { epochs: 3, batch_size: batches_of(7), validation_split: 0.2, ..FitOptions::default() };
    let history = fit(&mut network, &FitData::new(dataset(&x, &labels)?), &options, &mut [])?;
    assert_eq!(history.epochs(), 3);
    let epochs: Vec<Vec<f64>> = network.trained.chunks(6).map(<[_]>::concat).collect();
    assert_eq!(epochs.len(), 3);
    for epoch in &epochs {
        let mut rows = epoch.clone();
        rows.sort_by(f64::total_cmp);
        assert_eq!(rows, (0..40).map(f64::from).collect::<Vec<_>>());
    }
    assert_ne!(epochs[0], epochs[1], "each epoch has an order of its own");
    let sizes: Vec<usize> = network.trained.iter().take(6).map(Vec::len).collect();
    assert_eq!(sizes, [7, 7, 7, 7, 7, 5], "the last, smaller batch is trained on too");
    assert_eq!(network.measured, [10, 10, 10]);
    Ok(())
}

#[test]
fn without_shuffling_rows_come_in_the_order_of_the_data() -> TestResult {
    let (x, labels) = examples(10);
    let data = FitData::new(dataset(&x, &labels)?);
    let mut network = Linear::new(COLUMNS);
    let options = FitOptions { batch_size: batches_of(4), shuffle: false, ..FitOptions::default() };
    fit(&mut network, &data, &options, &mut [])?;
    assert_eq!(network.trained, [vec![0.0, 1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0, 7.0], vec![8.0, 9.0]]);

    let mut network = Linear::new(COLUMNS);
    let options = FitOptions { batch_size: BatchSize::Full, ..FitOptions::default() };
    fit(&mut network, &data, &options, &mut [])?;
    assert_eq!(network.trained, [(0..10).map(f64::from).collect::<Vec<_>>()], "one batch has no order");
    Ok(())
}

#[test]
fn reported_figures_are_means_over_rows_and_later_ones_are_measured_after_the_updates() -> TestResult {
    let (x, labels) = examples(45);
    let (train, test) =
        (dataset(&x[..30 * COLUMNS], &labels[..30])?, dataset(&x[30 * COLUMNS..], &labels[30..])?);
    let options =
        FitOptions { epochs: 2, batch_size: batches_of(8), shuffle: false, ..FitOptions::default() };
    let data = FitData { train, validation: Some(train), test: Some(test) };
    let mut network = Linear::new(COLUMNS);
    let history = fit(&mut network, &data, &options, &mut [])?;
    let names: Vec<&str> = history.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"]);

    // The same steps by hand.
    let mut again = Linear::new(COLUMNS);
    for epoch in 0..2 {
        let (mut loss, mut hits) = (0.0, 0.0);
        for (start, len) in [(0, 8), (8, 8), (16, 8), (24, 6)] {
            let stats = again.train_on_batch(train.x().slice(start, len), &labels[start..start + len])?;
            loss += stats.loss * len as f64;
            hits += stats.accuracy * len as f64;
        }
        let on_train = evaluate(&mut again, &train)?;
        let on_test = evaluate(&mut again, &test)?;
        for (name, expected) in [
            ("loss", loss / 30.0),
            ("accuracy", hits / 30.0),
            ("val_loss", on_train.loss),
            ("val_accuracy", on_train.accuracy),
            ("test_loss", on_test.loss),
            ("test_accuracy", on_test.accuracy),
        ] {
            let found = history.get(name).map_or(f64::NAN, |series| series[epoch]);
            assert!((found - expected).abs() <= TOLERANCE, "{name} of epoch {epoch}: {found} for {expected}");
        }
    }
    assert!(history.get("loss").is_some_and(|l| l[1] < l[0]), "it learns: {history:?}");
    Ok(())
}

#[test]
fn a_run_that_is_stopped_and_resumed_goes_through_the_same_bits() -> TestResult {
    let (x, labels) = examples(60);
    let data = FitData::new(dataset(&x, &labels)?);
    let options = FitOptions {
        epochs: 5,
        batch_size: batches_of(9),
        seed: 7,
        validation_split: 0.1,
        ..FitOptions::default()
    };
    let mut whole = Linear::new(COLUMNS);
    let uninterrupted = fit(&mut whole, &data, &options, &mut [])?;

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("run.safetensors");
    let mut saver = CheckpointSaver::new(&path, History::default());
    let stopped = FitOptions { epochs: 2, ..options.clone() };
    fit(&mut Linear::new(COLUMNS), &data, &stopped, &mut [&mut saver])?;

    let from = Checkpoint::<f64>::load(&path)?;
    assert_eq!((from.epochs_done, updates(&from.state)), (2, 12.0));
    let mut resumed = Linear::new(COLUMNS);
    resumed.set_state(&from.state)?;
    let mut saver = CheckpointSaver::new(&path, from.history);
    let rest = FitOptions { initial_epoch: from.epochs_done, ..options };
    fit(&mut resumed, &data, &rest, &mut [&mut saver])?;

    assert_eq!(resumed.state(), whole.state());
    let last = Checkpoint::<f64>::load(&path)?;
    assert_eq!(last.state, whole.state());
    assert_eq!(last.history, uninterrupted);
    assert_eq!(std::fs::read_dir(dir.path())?.count(), 1, "no drafts are left");
    Ok(())
}

#[test]
fn a_checkpoint_of_another_element_type_or_a_plain_weight_file_is_refused() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("run.safetensors");
    let state = Linear::new(COLUMNS).state();
    nn_train::weights::write_weights(&path, &state)?;
    let message = |e: nn_train::Error| e.to_string();
    let found = Checkpoint::<f64>::load(&path).map_err(message);
    assert!(found.is_err_and(|m| m.ends_with("found a safetensors file of something else")));
    Checkpoint { state, history: History::default(), epochs_done: 1 }.save(&path)?;
    let found = Checkpoint::<f32>::load(&path).map_err(message);
    assert!(found.is_err_and(|m| m.ends_with("format 1 in f32, found format 1 in f64")));
    Ok(())
}

/// Writes down which hooks were called, and stops where it is told to.
#[derive(Default)]
struct Recorder {
    calls: Vec<String>,
    stop_after_batch: Option<(usize, usize)>,
    stop_after_epoch: Option<usize>,
}

fn stop_if(stop: bool) -> Flow {
    if stop { Flow::Stop } else { Flow::Continue }
}

impl Callback<f64> for Recorder {
    fn on_train_begin(&mut self, t: &TrainBegin) -> Result<()> {
        self.calls.push(format!(
            "train {}..{}: {} batches, {}+{}+{} rows",
            t.initial_epoch, t.epochs, t.batches, t.train_rows, t.validation_rows, t.test_rows
        ));
        Ok(())
    }

    fn on_epoch_begin(&mut self, epoch: usize) -> Result<()> {
        self.calls.push(format!("epoch {epoch}"));
        Ok(())
    }

    fn on_batch_end(&mut self, b: &BatchEnd) -> Result<Flow> {
        self.calls.push(format!("batch {}/{}: {}/{} rows", b.batch, b.batches, b.rows_done, b.rows));
        assert!(b.loss.is_finite() && b.rows_per_second > 0.0 && (0.0..=1.0).contains(&b.accuracy), "{b:?}");
        Ok(stop_if(self.stop_after_batch == Some((b.epoch, b.batch))))
    }

    fn on_epoch_end(&mut self, e: &EpochEnd<'_>, network: &dyn Trainable<f64>) -> Result<Flow> {
        self.calls.push(format!("end of {}/{}: {} updates", e.epoch, e.epochs, updates(&network.state())));
        assert_eq!((e.history.epochs(), e.rows), (e.epoch + 1, 8));
        Ok(stop_if(self.stop_after_epoch == Some(e.epoch)))
    }

    fn on_train_end(&mut self, history: &History) -> Result<()> {
        self.calls.push(format!("done after {}", history.epochs()));
        Ok(())
    }
}

fn recorded(mut recorder: Recorder) -> Result<(Vec<String>, History)> {
    let (x, labels) = examples(10);
    let options =
        FitOptions { epochs: 2, batch_size: batches_of(5), validation_split: 0.2, ..FitOptions::default() };
    let data = FitData::new(dataset(&x, &labels)?);
    let history = fit(&mut Linear::new(COLUMNS), &data, &options, &mut [&mut recorder])?;
    Ok((recorder.calls, history))
}

#[test]
fn hooks_are_called_in_order_with_what_they_need() -> TestResult {
    let (calls, _) = recorded(Recorder::default())?;
    let expected = [
        "train 0..2: 2 batches, 8+2+0 rows",
        "epoch 0",
        "batch 0/2: 5/8 rows",
        "batch 1/2: 8/8 rows",
        "end of 0/2: 2 updates",
        "epoch 1",
        "batch 0/2: 5/8 rows",
        "batch 1/2: 8/8 rows",
        "end of 1/2: 4 updates",
        "done after 2",
    ];
    assert_eq!(calls, expected);
    Ok(())
}

#[test]
fn a_callback_can_stop_after_an_epoch_and_within_one_and_only_whole_epochs_are_recorded() -> TestResult {
    let (calls, history) = recorded(Recorder { stop_after_epoch: Some(0), ..Recorder::default() })?;
    assert_eq!(calls.last().map(String::as_str), Some("done after 1"));
    assert_eq!(history.epochs(), 1);
    let (calls, history) = recorded(Recorder { stop_after_batch: Some((1, 0)), ..Recorder::default() })?;
    assert_eq!(calls[calls.len() - 2..], ["batch 0/2: 5/8 rows", "done after 1"]);
    assert_eq!(history.get("loss").map(<[_]>::len), Some(1));
    Ok(())
}

#[test]
fn prediction_and_evaluation_in_pieces_are_those_of_the_whole() -> TestResult {
    let (x, labels) = examples(20_000);
    let data = dataset(&x, &labels)?;
    let mut network = Linear::new(COLUMNS);
    let pieces = predict(&mut network, data.x())?;
    assert_eq!(pieces.len(), 20_000 * CLASSES);
    let in_pieces = evaluate(&mut network, &data)?;
    assert_eq!(network.measured.iter().sum::<usize>(), 40_000);
    assert!(network.measured.len() > 2, "in several batches: {:?}", network.measured);
    assert_eq!(network.predict_on_batch(data.x())?, pieces);
    let whole = network.test_on_batch(data.x(), &labels)?;
    assert_eq!(in_pieces.rows, 20_000);
    assert!((whole.loss - in_pieces.loss).abs() < 1e-11, "20,000 terms: n · 2⁻⁵³ = 2e-12 relative");
    assert!((whole.accuracy - in_pieces.accuracy).abs() < 1e-11);
    Ok(())
}

#[test]
fn options_that_contradict_the_data_are_refused_before_any_update() -> TestResult {
    let (x, labels) = examples(10);
    let data = dataset(&x, &labels)?;
    let with_validation = FitData { validation: Some(data), ..FitData::new(data) };
    let mut strange = labels.clone();
    strange[4] = 3;
    let strange = FitData::new(dataset(&x, &strange)?);
    let empty = FitData::new(dataset(&[], &[])?);
    let split = FitOptions { validation_split: 0.5, ..FitOptions::default() };
    let backwards = FitOptions { epochs: 1, initial_epoch: 2, ..FitOptions::default() };
    let too_much = FitOptions { validation_split: 0.95, ..FitOptions::default() };
    let usual = FitOptions::default();
    for (data, options, complaint) in [
        (with_validation, &split, "validation data or a validation split, found both"),
        (strange, &usual, "row 4 has the label 3"),
        (empty, &usual, "at least one training row"),
        (FitData::new(data), &backwards, "comes after the last"),
        (FitData::new(data), &too_much, "leaves 0 for training"),
    ] {
        let mut network = Linear::new(COLUMNS);
        let message = fit(&mut network, &data, options, &mut []).map_err(|e| e.to_string()).err();
        assert!(message.as_ref().is_some_and(|m| m.contains(complaint)), "{message:?} for {complaint}");
        assert!(network.trained.is_empty());
    }
    Ok(())
}
