//! Layers against Keras' figures, step by step: regularisers, batch normalisation, weights shared over a loop.

use std::collections::BTreeMap;

use nn_core::Result;
use nn_core::exec::SessionOptions;
use nn_core::layers::{Activate, Add, BatchNormalization, Dense};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::models::{Apply, Compile, Model, Network, Sequential, Shared, input};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_tests::engine::deterministic_backends;
use nn_tests::reference::{Array, Reference, Weights, assert_weights_met, begin_with};
use serde::Deserialize;

/// A classifier's rows and weights at the start.
#[derive(Debug, Deserialize)]
struct Rows {
    x: Array,
    classes: Vec<i32>,
    weights: Weights,
}

/// The loss before each step, and the weights after the last.
#[derive(Debug, Deserialize)]
struct Steps {
    losses: Array,
    weights: Weights,
}

/// Softmax cross-entropy of classes, from logits.
fn classifier(optimizer: impl Into<Optimizer>) -> Compile {
    Compile::new(optimizer, Loss::SparseCategoricalCrossEntropy)
}

/// The loss of each of `steps` steps over all rows.
fn losses(network: &mut Network<f64>, rows: &Rows, steps: usize) -> Result<Vec<f64>> {
    (0..steps).map(|_| Ok(network.train_on_batch(rows.x.matrix(), &rows.classes)?.loss())).collect()
}

#[derive(Debug, Deserialize)]
struct Regularised {
    lr: f64,
    steps: usize,
    /// l1 and l2 of each tensor that is regularised.
    terms: BTreeMap<String, (f64, f64)>,
}

#[test]
fn regularisers_of_kernels_and_biases_pull_as_keras_do() -> Result<()> {
    let reference = Reference::<Rows, Regularised, Steps>::load("regularizers");
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let context = format!("{} on {backend:?}", case.name);
        let term = |name: &str| case.settings.terms.get(name).copied().unwrap_or_default();
        let layer = |name: &str, units| {
            let (kernel, bias) = (term(&format!("{name}/kernel")), term(&format!("{name}/bias")));
            Dense::new(units).name(name).regularizer(kernel.0, kernel.1).bias_regularizer(bias.0, bias.1)
        };
        let mut network = Sequential::new(6)
            .add(layer("hidden", 5).activation(Activation::Relu))
            .add(layer("output", 3))
            .compile(classifier(Optimizer::sgd(case.settings.lr)), SessionOptions::new(backend))?;
        begin_with(&mut network, &reference.given.weights)?;
        let found = losses(&mut network, &reference.given, case.settings.steps)?;
        case.expected.losses.assert_met(&context, &found);
        assert_weights_met(&context, &network.weights(), &case.expected.weights);
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct NormalisedRows {
    #[serde(flatten)]
    rows: Rows,
    test_x: Array,
    test_classes: Vec<i32>,
}

#[derive(Debug, Deserialize)]
struct Normalised {
    lr: f64,
    /// The first so many.
    rows: usize,
    /// Some fit one shard of the engine's, some don't.
    batch_size: usize,
    momentum: f64,
    epsilon: f64,
}

#[derive(Debug, Deserialize)]
struct NormalisedFigures {
    #[serde(flatten)]
    steps: Steps,
    test_loss: Array,
    test_logits: Array,
}

#[test]
fn batch_normalisation_trains_and_remembers_as_keras_does() -> Result<()> {
    let reference = Reference::<NormalisedRows, Normalised, NormalisedFigures>::load("batch_normalization");
    let NormalisedRows { rows, test_x, test_classes } = &reference.given;
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let context = format!("{} on {backend:?}", case.name);
        let Normalised { lr, rows: taken, batch_size, momentum, epsilon } = case.settings;
        let mut network = Sequential::new(6)
            .add(Dense::new(5).name("hidden"))
            .add(BatchNormalization::new().momentum(momentum).epsilon(epsilon).name("normalization"))
            .add(Activate::new(Activation::Relu))
            .add(Dense::new(3).name("output"))
            .compile(classifier(Optimizer::sgd(lr)), SessionOptions::new(backend))?;
        begin_with(&mut network, &rows.weights)?;
        let mut found = Vec::new();
        for (x, classes) in
            rows.x.values.chunks(batch_size * rows.x.cols()).zip(rows.classes[..taken].chunks(batch_size))
        {
            let x = InputRef::dense(MatRef::new(x, classes.len(), rows.x.cols())?);
            found.push(network.train_on_batch(x, classes)?.loss());
        }
        case.expected.steps.losses.assert_met(&context, &found);
        assert_weights_met(&context, &network.weights(), &case.expected.steps.weights);
        let test = network.test_on_batch(test_x.matrix(), test_classes)?;
        case.expected.test_loss.assert_met(&context, &[test.loss()]);
        case.expected.test_logits.assert_met(&context, network.predict_on_batch(test_x.matrix())?);
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Unrolled {
    lr: f64,
    steps: usize,
    times: usize,
}

#[derive(Debug, Deserialize)]
struct UnrolledFigures {
    #[serde(flatten)]
    steps: Steps,
    logits: Array,
}

#[test]
fn a_layer_applied_in_a_loop_learns_from_every_turn_of_it() -> Result<()> {
    let reference = Reference::<Rows, Unrolled, UnrolledFigures>::load("unrolled");
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let context = format!("{} on {backend:?}", case.name);
        let x = input("x", &[5]);
        let step = Shared::new(Dense::new(5).activation(Activation::Tanh).name("step"));
        let mut h = x.clone();
        for _ in 0..case.settings.times {
            let next = step.apply(&h)?;
            h = Add::new().apply([&next, &x])?;
        }
        let model = Model::new(&x, &Dense::new(3).name("output").apply(&h)?)?;
        let compile = classifier(Optimizer::sgd(case.settings.lr));
        let mut network = model.compile(compile, SessionOptions::new(backend))?;
        begin_with(&mut network, &reference.given.weights)?;
        let found = losses(&mut network, &reference.given, case.settings.steps)?;
        case.expected.steps.losses.assert_met(&context, &found);
        assert_weights_met(&context, &network.weights(), &case.expected.steps.weights);
        let logits = network.predict_on_batch(reference.given.x.matrix())?;
        case.expected.logits.assert_met(&context, logits);
    }
    Ok(())
}
