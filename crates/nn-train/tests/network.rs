//! The training loop over `nn-core`'s own network.

mod common;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use common::{CLASSES, COLUMNS, examples};
use nn_core::backend::Naive;
use nn_core::exec::SessionOptions;
use nn_core::layers::Dense;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::models::{Network, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_train::callbacks::ModelCheckpoint;
use nn_train::checkpoint::Checkpoint;
use nn_train::metrics::{accuracy, argmax_rows};
use nn_train::weights::{match_weights, read_weights, write_weights};
use nn_train::{BatchSize, Dataset, FitData, FitOptions, evaluate, fit, predict};

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn network(seed: u64) -> nn_core::Result<Network<f32>> {
    let options = SessionOptions { threads: 1, seed, ..SessionOptions::new(Arc::new(Naive)) };
    Sequential::new(COLUMNS)
        .add(Dense::new(8).activation(Activation::Tanh))
        .add(Dense::new(CLASSES))
        .compile(Optimizer::adam(0.01), options)
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
