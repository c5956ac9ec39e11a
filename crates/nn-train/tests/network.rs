//! The training loop over `nn-core`'s own network.

mod common;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use common::{CLASSES, COLUMNS, examples};
use nn_core::backend::Naive;
use nn_core::exec::SessionOptions;
use nn_core::layers::{Concatenate, Dense};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Compile, Model, Network, Sequential, Target, input};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_train::callbacks::{EarlyStopping, LearningRateSchedule, ModelCheckpoint, ReduceOnPlateau};
use nn_train::checkpoint::Checkpoint;
use nn_train::metrics::{accuracy, argmax_rows};
use nn_train::weights::{match_weights, read_weights, write_weights};
use nn_train::{BatchSize, Dataset, FitData, FitOptions, Trainable, evaluate, fit, predict, predict_outputs};

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn network(seed: u64) -> nn_core::Result<Network<f32>> {
    let options = SessionOptions { threads: 1, seed, ..SessionOptions::new(Arc::new(Naive)) };
    Sequential::new(COLUMNS).add(Dense::new(8).activation(Activation::Tanh)).add(Dense::new(CLASSES)).compile(
        Compile::new(Optimizer::adam(0.01), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy),
        options,
    )
}

fn options(epochs: usize) -> FitOptions {
    let batch_size = NonZeroUsize::new(16).map_or(BatchSize::Full, BatchSize::Rows);
    FitOptions { epochs, batch_size, seed: 3, ..FitOptions::default() }
}

fn table() -> (Vec<f32>, Vec<i32>) {
    let (x, labels) = examples(100);
    // The first column is the row's number, up to 99, and no feature.
    (x.iter().enumerate().map(|(i, &v)| if i % COLUMNS == 0 { 0.0 } else { v as f32 }).collect(), labels)
}

#[test]
fn adam_stopped_and_resumed_goes_through_the_same_bits() -> TestResult {
    let (x, labels) = table();
    let data = FitData::new(Dataset::new(InputRef::dense(MatRef::new(&x, 100, COLUMNS)?), &labels)?);
    let mut whole = network(1)?;
    let uninterrupted = fit(&mut whole, &data, &options(4), &mut [])?;

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("run.safetensors");
    fit(&mut network(1)?, &data, &options(3), &mut [&mut ModelCheckpoint::new(&path)])?;
    let from = Checkpoint::<f32>::load(&path)?;
    // Other first weights: everything must come from the checkpoint.
    let mut resumed = network(2)?;
    resumed.set_state(&from.state)?;
    let rest = FitOptions { initial_epoch: from.epochs_done, ..options(4) };
    let mut history = from.history;
    history.append(&fit(&mut resumed, &data, &rest, &mut [])?.history);
    assert_eq!(resumed.state(), whole.state());
    assert_eq!(history, uninterrupted.history);
    Ok(())
}

#[test]
fn weights_go_through_a_file_under_keras_names_and_answer_the_same() -> TestResult {
    let (x, labels) = table();
    let data = Dataset::new(InputRef::dense(MatRef::new(&x, 100, COLUMNS)?), &labels)?;
    let mut trained = network(1)?;
    fit(&mut trained, &FitData::new(data.clone()), &options(3), &mut [])?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("model.safetensors");
    write_weights(&path, &trained.weights())?;
    let found = read_weights::<f32>(&path)?;
    let names: Vec<(&str, &[usize])> = found.iter().map(|t| (t.name.as_str(), &t.dims[..])).collect();
    assert_eq!(
        names,
        [
            ("dense/bias", &[8][..]),
            ("dense/kernel", &[COLUMNS, 8]),
            ("dense_1/bias", &[CLASSES]),
            ("dense_1/kernel", &[8, CLASSES])
        ]
    );
    let mut loaded = network(2)?;
    let expected = loaded.weights();
    loaded.set_weights(&match_weights(Path::new("model.safetensors"), &expected, found)?)?;
    let answers = predict(&mut loaded, data.x())?;
    assert_eq!(answers, predict(&mut trained, data.x())?);
    let share = accuracy(&labels, &argmax_rows(&answers, CLASSES)?)?;
    assert_eq!(
        evaluate(&mut loaded, &data)?.get("accuracy"),
        Some(share),
        "a count of rows, exact in f32 too"
    );
    Ok(())
}

/// Two inputs, of two columns each, that meet in one layer; two outputs, of classes and of one number.
fn branched() -> nn_core::Result<Network<f64>> {
    let (left, right) = (input("left", &[2]), input("right", &[2]));
    let both = Concatenate::new().apply([&left, &right])?;
    let hidden = Dense::new(6).activation(Activation::Tanh).apply(&both)?;
    let class = Dense::new(CLASSES).name("class").apply(&hidden)?;
    let size = Dense::new(1).name("size").apply(&hidden)?;
    let model = Model::new([&left, &right], [&class, &size])?;
    let compile = Compile::outputs(Optimizer::sgd(0.1))
        .loss("class", Loss::SparseCategoricalCrossEntropy, 1.0)
        .loss("size", Loss::MeanSquaredError, 0.5)
        .metric_of("class", Metric::Accuracy);
    let options = SessionOptions { threads: 1, seed: 5, ..SessionOptions::new(Arc::new(Naive)) };
    model.compile(compile, options)
}

/// The first columns of the table, the others, and a number for each row.
fn columns() -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<i32>) {
    let (x, labels) = examples(100);
    let part = |at: usize| x.chunks(COLUMNS).flat_map(|row| [row[at].sin(), row[at + 1]]).collect();
    let sizes = labels.iter().map(|&label| f64::from(label) / 2.0).collect();
    (part(0), part(2), sizes, labels)
}

#[test]
fn two_inputs_and_two_outputs_are_trained_measured_and_asked() -> TestResult {
    let (left, right, sizes, labels) = columns();
    let matrix = |values, columns| MatRef::new(values, 100, columns).map(InputRef::dense);
    let (left, right, sizes) = (matrix(&left, 2)?, matrix(&right, 2)?, matrix(&sizes, 1)?);
    let weights: Vec<f64> = (0..100).map(|row| f64::from(row % 3)).collect();
    let plain = Dataset::of(&[left, right], &[Target::Classes(&labels), Target::Values(sizes)])?;
    let data = plain.clone().weighted(&weights)?;

    let mut network = branched()?;
    let before = network.evaluate(&data)?;
    let mut best = EarlyStopping::new("val_class_accuracy").patience(100).restore_best();
    let options = FitOptions { validation_split: 0.2, ..options(6) };
    let history = network.fit(&FitData::new(data.clone()), &options, &mut [&mut best])?.history;
    let names: Vec<&str> = history.iter().map(|(name, _)| name).collect();
    let each = ["loss", "class_loss", "size_loss", "class_accuracy"];
    let validation = each.map(|name| format!("val_{name}"));
    assert_eq!(names, [each.map(String::from), validation].concat());
    assert!(network.evaluate(&data)?.loss() < before.loss(), "it learns");

    // The losses are the sum over the outputs; what is left out with weight 0 changes nothing.
    let last = |name: &str| history.last(name).unwrap_or(f64::NAN);
    let sum = last("class_loss") + 0.5 * last("size_loss");
    assert!((last("loss") - sum).abs() < 1e-12 * sum, "{} for {sum}: a hundred roundings", last("loss"));
    let mut strange = labels.clone();
    strange.iter_mut().step_by(3).for_each(|label| *label = (*label + 1) % 3);
    let strange = Dataset::of(&[left, right], &[Target::Classes(&strange), Target::Values(sizes)])?;
    let strange = network.evaluate(&strange.weighted(&weights)?)?;
    let found = network.evaluate(&data)?;
    assert_eq!(strange.loss(), found.loss(), "rows 0, 3, … weigh nothing");
    assert_ne!(strange.get("class_accuracy"), found.get("class_accuracy"), "metrics count each row alike");

    let answers = predict_outputs(&mut network, &[left, right])?;
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [100 * CLASSES, 100]);
    let share = accuracy(&labels, &argmax_rows(&answers[0], CLASSES)?)?;
    assert_eq!(found.get("class_accuracy"), Some(share));
    assert!(predict(&mut network, left).is_err(), "one input of two");
    Ok(())
}

#[test]
fn what_does_not_fit_a_network_is_refused_before_any_update() -> TestResult {
    let (left, right, sizes, labels) = columns();
    let matrix = |values, columns| MatRef::new(values, 100, columns).map(InputRef::dense);
    let (left, right, sizes) = (matrix(&left, 2)?, matrix(&right, 2)?, matrix(&sizes, 1)?);
    let (class, size) = (Target::Classes(&labels), Target::Values(sizes));
    let by_class = FitOptions { class_weights: vec![(0, 2.0)], ..options(1) };
    for (inputs, targets, options, words) in [
        (&[left][..], &[class, size][..], &options(1), "2 inputs"),
        (&[left, right], &[class], &options(1), "2 targets"),
        (&[left, right], &[size, class], &options(1), "given numbers"),
        (&[left, sizes], &[class, size], &options(1), "rows of 1 numbers"),
        (
            &[left, right],
            &[class, size],
            &by_class,
            "class weights: expected one target, of classes, found 2",
        ),
    ] {
        let mut network = branched()?;
        let before = network.state();
        let data = FitData::new(Dataset::of(inputs, targets)?);
        let message = network.fit(&data, options, &mut []).map(|_| ()).map_err(|e| e.to_string());
        assert!(message.as_ref().is_err_and(|m| m.contains(words)), "{message:?} for {words}");
        assert_eq!(network.state(), before);
    }
    Ok(())
}

#[test]
fn a_run_whose_learning_rate_callbacks_changed_goes_on_with_it_when_resumed() -> TestResult {
    let (x, labels) = table();
    let data = FitData::new(Dataset::new(InputRef::dense(MatRef::new(&x, 100, COLUMNS)?), &labels)?);
    let falling = || LearningRateSchedule::new(|epoch, rate| if epoch == 0 { rate } else { rate / 2.0 });
    let mut whole = network(1)?;
    let uninterrupted = whole.fit(&data, &options(4), &mut [&mut falling()])?.history;
    let halves = [0.01, 0.005, 0.0025, 0.00125].map(|rate| f64::from(rate as f32));
    assert_eq!(uninterrupted.get("learning_rate"), Some(&halves[..]));

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("run.safetensors");
    network(1)?.fit(&data, &options(2), &mut [&mut falling(), &mut ModelCheckpoint::new(&path)])?;
    let from = Checkpoint::<f32>::load(&path)?;
    let mut resumed = network(2)?;
    resumed.set_state(&from.state)?;
    let rest = FitOptions { initial_epoch: from.epochs_done, ..options(4) };
    let mut history = from.history;
    history.append(&resumed.fit(&data, &rest, &mut [&mut falling()])?.history);
    assert_eq!((resumed.state(), history), (whole.state(), uninterrupted));
    Ok(())
}

#[test]
fn a_plateau_slows_a_real_network_down() -> TestResult {
    let (x, labels) = table();
    let data = FitData::new(Dataset::new(InputRef::dense(MatRef::new(&x, 100, COLUMNS)?), &labels)?);
    let mut network = network(1)?;
    // No loss falls by 10, so each epoch after the first is one of a plateau.
    let mut slower = ReduceOnPlateau::new("loss").min_delta(10.0).patience(1).factor(0.5).min_lr(0.003);
    let history = network.fit(&data, &options(4), &mut [&mut slower])?.history;
    let rates = [0.01, 0.01, 0.005, 0.003].map(|rate| f64::from(rate as f32));
    assert_eq!(history.get("learning_rate"), Some(&rates[..]));
    Ok(())
}
