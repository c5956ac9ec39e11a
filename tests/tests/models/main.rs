//! Models: what is shared, what is named, what is kept, and how they run.

mod compiling;
mod lines;
mod losses;
mod running;
mod sharing;
mod summaries;
mod weights;

use std::sync::Arc;

use nn_core::backend::Naive;
use nn_core::exec::SessionOptions;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::metrics::Metric;
use nn_core::models::{Compile, NamedTensor, Network, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_core::{Result, Scalar};
use nn_tests::random::Rng;

fn options() -> SessionOptions<f64> {
    SessionOptions { threads: 2, seed: 5, ..SessionOptions::new(Arc::new(Naive)) }
}

/// Rows of `columns` numbers. Panics if they don't fill the rows.
fn rows<T: Scalar>(values: &[T], columns: usize) -> InputRef<'_, T> {
    InputRef::dense(MatRef::new(values, values.len() / columns, columns).expect("whole rows"))
}

const FEATURES: usize = 4;
const CLASSES: usize = 3;

/// Rows of `FEATURES` numbers, and a class for each.
fn examples<T: Scalar>(count: usize, seed: u64) -> (Vec<T>, Vec<i32>) {
    let mut rng = Rng(seed);
    (rng.values(count * FEATURES, 1.0), rng.classes(count, CLASSES))
}

/// 4 → 5 (tanh) → 3 (softmax)
fn stack() -> Sequential {
    Sequential::new(FEATURES)
        .add(Dense::new(5).activation(Activation::Tanh))
        .add(Dense::new(CLASSES).activation(Nonlinearity::Softmax))
}

fn classify(optimizer: Optimizer) -> Compile {
    Compile::new(optimizer, Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy)
}

/// The loss of each of some steps on the same batch.
fn losses_of_steps<T: Scalar>(
    network: &mut Network<T>,
    (x, labels): &(Vec<T>, Vec<i32>),
    steps: usize,
) -> Result<Vec<f64>> {
    (0..steps).map(|_| Ok(network.train_on_batch(rows(x, FEATURES), labels)?.loss())).collect()
}

fn names<T>(tensors: &[NamedTensor<T>]) -> Vec<&str> {
    tensors.iter().map(|tensor| tensor.name.as_str()).collect()
}

fn values<T: Clone>(tensors: &[NamedTensor<T>]) -> Vec<Vec<T>> {
    tensors.iter().map(|tensor| tensor.values.clone()).collect()
}

/// The only tensor whose name ends so.
fn ending<'t, T>(tensors: &'t [NamedTensor<T>], end: &str) -> &'t NamedTensor<T> {
    let mut found = tensors.iter().filter(|tensor| tensor.name.ends_with(end));
    match (found.next(), found.next()) {
        (Some(tensor), None) => tensor,
        (first, _) => panic!("{end}: expected one, found {}", if first.is_some() { "more" } else { "none" }),
    }
}
