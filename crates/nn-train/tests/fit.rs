//! The training loop, over a network that remembers what it was given.

mod common;
mod linear;

use std::num::NonZeroUsize;

use common::{CLASSES, COLUMNS, examples};
use linear::Linear;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::models::{Batch, NamedTensor};
use nn_train::callbacks::ModelCheckpoint;
use nn_train::checkpoint::Checkpoint;
use nn_train::{
    BatchEnd, BatchSize, Callback, Dataset, Ending, EpochEnd, FitData, FitOptions, Fitted, Flow, History,
    Result, TrainBegin, TrainEnd, Trainable, evaluate, fit, predict,
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
    let history = network.fit(&FitData::new(dataset(&x, &labels)?), &options, &mut [])?.history;
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
    let data = FitData { train: train.clone(), validation: Some(train.clone()), test: Some(test.clone()) };
    let mut network = Linear::new(COLUMNS);
    let history = fit(&mut network, &data, &options, &mut [])?.history;
    let names: Vec<&str> = history.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"]);

    // The same steps by hand.
    let mut again = Linear::new(COLUMNS);
    for epoch in 0..2 {
        let (mut loss, mut hits) = (0.0, 0.0);
        for (start, len) in [(0, 8), (8, 8), (16, 8), (24, 6)] {
            let batch = Batch::new(train.x().slice(start, len), &labels[start..start + len]);
            let figures = again.train_batch(&batch)?;
            loss += figures.loss() * len as f64;
            hits += figures.get("accuracy").unwrap_or(f64::NAN) * len as f64;
        }
        let on_train = evaluate(&mut again, &train)?;
        let on_test = evaluate(&mut again, &test)?;
        for (name, expected) in [
            ("loss", loss / 30.0),
            ("accuracy", hits / 30.0),
            ("val_loss", on_train.loss()),
            ("val_accuracy", on_train.get("accuracy").unwrap_or(f64::NAN)),
            ("test_loss", on_test.loss()),
            ("test_accuracy", on_test.get("accuracy").unwrap_or(f64::NAN)),
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
    assert_eq!(uninterrupted.ending, Ending::Finished);

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("run.safetensors");
    let mut saver = ModelCheckpoint::new(&path);
    let stopped = FitOptions { epochs: 2, ..options.clone() };
    fit(&mut Linear::new(COLUMNS), &data, &stopped, &mut [&mut saver])?;

    let from = Checkpoint::<f64>::load(&path)?;
    assert_eq!((from.epochs_done, updates(&from.state)), (2, 12.0));
    let mut resumed = Linear::new(COLUMNS);
    resumed.set_state(&from.state)?;
    let mut saver = ModelCheckpoint::new(&path).earlier(from.history);
    let rest = FitOptions { initial_epoch: from.epochs_done, ..options };
    fit(&mut resumed, &data, &rest, &mut [&mut saver])?;

    assert_eq!(resumed.state(), whole.state());
    let last = Checkpoint::<f64>::load(&path)?;
    assert_eq!(last.state, whole.state());
    assert_eq!(last.history, uninterrupted.history);
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
    Checkpoint::new(state, History::default(), 1).save(&path)?;
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

impl Callback<f64> for Recorder {
    fn on_train_begin(&mut self, t: &TrainBegin<'_>, _: &mut dyn Trainable<f64>) -> Result<()> {
        self.calls.push(format!(
            "train {}..{}: {} batches, {}+{}+{} rows",
            t.initial_epoch, t.epochs, t.batches, t.train_rows, t.validation_rows, t.test_rows
        ));
        assert_eq!(t.figures, ["loss", "accuracy", "val_loss", "val_accuracy"]);
        Ok(())
    }

    fn on_epoch_begin(&mut self, epoch: usize, network: &mut dyn Trainable<f64>) -> Result<()> {
        self.calls.push(format!("epoch {epoch}: {} updates", updates(&network.state())));
        Ok(())
    }

    fn on_batch_end(&mut self, b: &BatchEnd<'_>, network: &mut dyn Trainable<f64>) -> Result<Flow> {
        self.calls.push(format!("batch {}/{}: {}/{} rows", b.batch, b.batches, b.rows_done(), b.rows));
        let accuracy = b.figures.get("accuracy").unwrap_or(f64::NAN);
        assert!(b.figures.loss().is_finite() && (0.0..=1.0).contains(&accuracy), "{b:?}");
        assert!(b.seconds > 0.0 && b.rows_per_second() > 0.0, "{b:?}");
        assert_eq!(b.seconds_left() == 0.0, b.batch + 1 == b.batches, "{b:?}");
        assert_eq!(updates(&network.state()), (b.epoch * b.batches + b.batch + 1) as f64);
        Ok(Flow::stop_if(self.stop_after_batch == Some((b.epoch, b.batch))))
    }

    fn on_epoch_end(&mut self, e: &mut EpochEnd<'_>, network: &mut dyn Trainable<f64>) -> Result<Flow> {
        self.calls.push(format!("end of {}/{}: {} updates", e.epoch, e.epochs, updates(&network.state())));
        assert_eq!((e.history.epochs(), e.rows), (e.epoch + 1, 8));
        assert!(e.seconds >= e.training_seconds && (e.seconds_left() > 0.0) == (e.epoch + 1 < e.epochs));
        Ok(Flow::stop_if(self.stop_after_epoch == Some(e.epoch)))
    }

    fn on_train_end(&mut self, end: &TrainEnd<'_>, _: &mut dyn Trainable<f64>) -> Result<()> {
        self.calls.push(format!("done after {}: {:?}", end.history.epochs(), end.ending));
        Ok(())
    }
}

fn recorded(mut recorder: Recorder) -> Result<(Vec<String>, Fitted)> {
    let (x, labels) = examples(10);
    let options =
        FitOptions { epochs: 2, batch_size: batches_of(5), validation_split: 0.2, ..FitOptions::default() };
    let data = FitData::new(dataset(&x, &labels)?);
    let fitted = fit(&mut Linear::new(COLUMNS), &data, &options, &mut [&mut recorder])?;
    Ok((recorder.calls, fitted))
}

#[test]
fn hooks_are_called_in_order_with_what_they_need() -> TestResult {
    let (calls, _) = recorded(Recorder::default())?;
    let expected = [
        "train 0..2: 2 batches, 8+2+0 rows",
        "epoch 0: 0 updates",
        "batch 0/2: 5/8 rows",
        "batch 1/2: 8/8 rows",
        "end of 0/2: 2 updates",
        "epoch 1: 2 updates",
        "batch 0/2: 5/8 rows",
        "batch 1/2: 8/8 rows",
        "end of 1/2: 4 updates",
        "done after 2: Finished",
    ];
    assert_eq!(calls, expected);
    Ok(())
}

#[test]
fn a_callback_can_stop_after_an_epoch_and_within_one_and_only_whole_epochs_are_recorded() -> TestResult {
    let (calls, fitted) = recorded(Recorder { stop_after_epoch: Some(0), ..Recorder::default() })?;
    assert_eq!(calls.last().map(String::as_str), Some("done after 1: StoppedAfter { epoch: 0 }"));
    assert_eq!((fitted.history.epochs(), fitted.ending), (1, Ending::StoppedAfter { epoch: 0 }));

    let (calls, fitted) = recorded(Recorder { stop_after_batch: Some((1, 0)), ..Recorder::default() })?;
    let ending = Ending::StoppedWithin { epoch: 1, batches: 1 };
    assert_eq!(calls[calls.len() - 2..], ["batch 0/2: 5/8 rows", &format!("done after 1: {ending:?}")]);
    assert_eq!((fitted.history.get("loss").map(<[_]>::len), fitted.ending), (Some(1), ending));

    // With its last update made the epoch is whole.
    let (calls, fitted) = recorded(Recorder { stop_after_batch: Some((0, 1)), ..Recorder::default() })?;
    assert_eq!(calls[calls.len() - 2], "end of 0/2: 2 updates");
    assert_eq!((fitted.history.epochs(), fitted.ending), (1, Ending::StoppedAfter { epoch: 0 }));
    Ok(())
}

/// A callback that adds a figure of its own to each epoch.
struct Adds(&'static str);

impl Callback<f64> for Adds {
    fn adds(&self) -> Vec<String> {
        vec![self.0.to_owned()]
    }

    fn on_epoch_end(&mut self, e: &mut EpochEnd<'_>, _: &mut dyn Trainable<f64>) -> Result<Flow> {
        e.history.record(self.0, e.epoch as f64);
        Ok(Flow::Continue)
    }
}

#[test]
fn figures_that_callbacks_add_are_known_beforehand_and_part_of_the_history() -> TestResult {
    struct Knows(Vec<String>);
    impl Callback<f64> for Knows {
        fn on_train_begin(&mut self, t: &TrainBegin<'_>, _: &mut dyn Trainable<f64>) -> Result<()> {
            self.0 = t.figures.to_vec();
            Ok(())
        }
    }
    let (x, labels) = examples(10);
    let data = FitData::new(dataset(&x, &labels)?);
    let mut knows = Knows(Vec::new());
    let mut network = Linear::new(COLUMNS);
    let options = FitOptions { epochs: 3, ..FitOptions::default() };
    let callbacks: &mut [&mut dyn Callback<f64>] = &mut [&mut knows, &mut Adds("mood"), &mut Adds("mood")];
    let history = network.fit(&data, &options, callbacks)?.history;
    assert_eq!(knows.0, ["loss", "accuracy", "mood"]);
    assert_eq!(history.iter().map(|(name, _)| name).collect::<Vec<_>>(), knows.0);
    assert_eq!(history.get("mood"), Some(&[0.0, 1.0, 2.0][..]));
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
    assert_eq!(network.predict_batch(&[data.x()])?, [pieces]);
    let whole = network.test_batch(&Batch::new(data.x(), &labels))?;
    assert_eq!(in_pieces.rows(), 20_000);
    assert!((whole.loss() - in_pieces.loss()).abs() < 1e-11, "20,000 terms: n · 2⁻⁵³ = 2e-12 relative");
    assert_eq!(
        whole.get("accuracy"),
        in_pieces.get("accuracy"),
        "whole numbers of hits, whole numbers of rows"
    );
    Ok(())
}

#[test]
fn options_that_contradict_the_data_are_refused_before_any_update() -> TestResult {
    let (x, labels) = examples(10);
    let data = dataset(&x, &labels)?;
    let with_validation = FitData { validation: Some(data.clone()), ..FitData::new(data.clone()) };
    let mut strange = labels.clone();
    strange[4] = 3;
    let strange = dataset(&x, &strange)?;
    let strange_test = FitData { test: Some(strange.clone()), ..FitData::new(data.clone()) };
    let strange = FitData::new(strange);
    let empty = dataset(&[], &[])?;
    let empty_validation = FitData { validation: Some(empty.clone()), ..FitData::new(data.clone()) };
    let empty = FitData::new(empty);
    let split = FitOptions { validation_split: 0.5, ..FitOptions::default() };
    let backwards = FitOptions { epochs: 1, initial_epoch: 2, ..FitOptions::default() };
    let too_much = FitOptions { validation_split: 0.95, ..FitOptions::default() };
    let usual = FitOptions::default();
    let classes = |class_weights: &[(i32, f64)]| FitOptions {
        class_weights: class_weights.to_vec(),
        ..FitOptions::default()
    };
    for (data, options, complaint) in [
        (with_validation, &split, "validation data or a validation split, found both"),
        (strange, &usual, "row 4 is of class 3"),
        (strange_test, &usual, "fit: test data: "),
        (empty_validation, &usual, "at least one row of validation data"),
        (FitData::new(data.clone()), &classes(&[(0, -1.0)]), "found -1 for class 0"),
        (FitData::new(data.clone()), &classes(&[(0, f64::NAN)]), "found NaN for class 0"),
        (FitData::new(data.clone()), &classes(&[(1, 1.0), (1, 2.0)]), "class 1 has two weights"),
        (empty, &usual, "at least one training row"),
        (FitData::new(data.clone()), &backwards, "comes after the last"),
        (FitData::new(data), &too_much, "leaves 0 for training"),
    ] {
        let mut network = Linear::new(COLUMNS);
        let message = fit(&mut network, &data, options, &mut []).map_err(|e| e.to_string()).err();
        assert!(message.as_ref().is_some_and(|m| m.contains(complaint)), "{message:?} for {complaint}");
        assert!(network.trained.is_empty());
    }
    Ok(())
}

#[test]
fn class_weights_are_weights_of_rows_and_multiply_those_that_there_are() -> TestResult {
    let (x, labels) = examples(20);
    let own: Vec<f64> = (0..20).map(|row| f64::from(row) / 4.0).collect();
    let by_class = |label: i32| {
        if label == 1 {
            0.5
        } else if label == 2 {
            3.0
        } else {
            1.0
        }
    };
    let options = FitOptions {
        epochs: 2,
        batch_size: batches_of(6),
        class_weights: vec![(1, 0.5), (2, 3.0)],
        validation_split: 0.25,
        ..FitOptions::default()
    };
    let plain = dataset(&x, &labels)?;
    for (data, own) in [(plain.clone(), vec![1.0; 20]), (plain.clone().weighted(&own)?, own.clone())] {
        let mut network = Linear::new(COLUMNS);
        let fitted = network.fit(&FitData::new(data.clone()), &options, &mut [])?;
        assert_eq!(network.weighed.len(), 6, "two epochs of three batches over 15 of the 20 rows");
        for (rows, weights) in network.trained.iter().zip(&network.weighed) {
            let expected: Vec<f64> =
                rows.iter().map(|&row| own[row as usize] * by_class(labels[row as usize])).collect();
            assert_eq!(weights, &expected);
        }

        // The same by hand: all weights as weights of rows, and held back rows with their own alone.
        let all: Vec<f64> = own.iter().zip(&labels).map(|(w, &label)| w * by_class(label)).collect();
        let by_hand = FitData {
            validation: Some(data.split_last(0.25)?.1),
            ..FitData::new(plain.clone().weighted(&all)?.split_last(0.25)?.0)
        };
        let options = FitOptions { class_weights: Vec::new(), validation_split: 0.0, ..options.clone() };
        let mut again = Linear::new(COLUMNS);
        assert_eq!(again.fit(&by_hand, &options, &mut [])?, fitted);
        assert_eq!(again.state(), network.state());
    }
    Ok(())
}

#[test]
fn weights_make_the_loss_their_sum_over_the_rows_and_leave_accuracy_alone() -> TestResult {
    let (x, labels) = examples(3);
    let data = dataset(&x, &labels)?;
    let mut network = Linear::new(COLUMNS);
    let each: Vec<f64> = (0..3)
        .map(|row| {
            let mut weights = [0.0; 3];
            weights[row] = 1.0;
            Ok(3.0 * network.evaluate(&data.clone().weighted(&weights)?)?.loss())
        })
        .collect::<Result<_>>()?;
    let weighted = network.evaluate(&data.clone().weighted(&[2.0, 0.0, 0.5])?)?;
    let plain = network.evaluate(&data)?;
    assert!((weighted.loss() - (2.0 * each[0] + 0.5 * each[2]) / 3.0).abs() < TOLERANCE);
    assert!((plain.loss() - each.iter().sum::<f64>() / 3.0).abs() < TOLERANCE);
    assert_eq!(weighted.get("accuracy"), plain.get("accuracy"));
    Ok(())
}

#[test]
fn the_held_back_part_of_a_data_set_can_be_trained_on_shuffled() -> TestResult {
    let (x, labels) = examples(30);
    let (_, last) = dataset(&x, &labels)?.split_last(0.5)?;
    let mut network = Linear::new(COLUMNS);
    network.fit(
        &FitData::new(last),
        &FitOptions { batch_size: batches_of(4), ..FitOptions::default() },
        &mut [],
    )?;
    let mut rows = network.trained.concat();
    rows.sort_by(f64::total_cmp);
    assert_eq!(rows, (15..30).map(f64::from).collect::<Vec<_>>());
    Ok(())
}
