//! `fit` against Keras' own: a model of several inputs and outputs, class weights and sample weights.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use nn_core::exec::SessionOptions;
use nn_core::layers::{Add, Concatenate, Dense};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Compile, Model, Sequential, Shared, Target, input};
use nn_core::ops::Activation;
use nn_core::optim::{Optimizer, Sgd};
use nn_tests::engine::deterministic_backends;
use nn_tests::reference::{Array, Reference, Weights, assert_weights_met, begin_with};
use nn_train::{BatchSize, Dataset, FitData, FitOptions, Result, fit};
use serde::Deserialize;

/// One list for each figure, one number for each epoch.
type History = BTreeMap<String, Array>;

/// Panics unless the history has these figures and no others.
fn assert_history_met(context: &str, found: &nn_train::History, expected: &History) {
    let names = |all: &mut dyn Iterator<Item = &str>| {
        let mut names: Vec<String> = all.map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&mut found.iter().map(|(name, _)| name)),
        names(&mut expected.keys().map(String::as_str)),
        "{context}: the history's figures"
    );
    for (name, values) in found.iter() {
        expected[name].assert_met(&format!("{context}: {name}"), values);
    }
}

/// In order, with the last rows held back.
fn in_order(epochs: usize, batch_size: usize, validation_split: f64) -> FitOptions {
    let batch_size = BatchSize::Rows(NonZeroUsize::new(batch_size).expect("a batch of some rows"));
    FitOptions { epochs, batch_size, shuffle: false, validation_split, ..FitOptions::default() }
}

#[derive(Debug, Deserialize)]
struct Pairs {
    a: Array,
    b: Array,
    class: Vec<i32>,
    value: Array,
    test_a: Array,
    test_b: Array,
    weights: Weights,
}

#[derive(Debug, Deserialize)]
struct Functional {
    lr: f64,
    momentum: f64,
    epochs: usize,
    batch_size: usize,
    validation_split: f64,
    loss_weights: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
struct Predictions {
    class: Array,
    value: Array,
}

#[derive(Debug, Deserialize)]
struct FunctionalFigures {
    history: History,
    weights: Weights,
    predictions: Predictions,
}

/// Two inputs, a layer shared by both, a model within the model, two outputs.
fn two_inputs_and_two_outputs() -> nn_core::Result<Model> {
    let joined = input("joined", &[14]);
    let hidden = Dense::new(8).activation(Activation::Tanh).name("inner_1").apply(&joined)?;
    let features = Dense::new(6).activation(Activation::Sigmoid).name("inner_2").apply(&hidden)?;
    let inner = Model::new(&joined, &features)?.name("inner");

    let (a, b) = (input("a", &[6]), input("b", &[6]));
    let shared = Shared::new(Dense::new(7).activation(Activation::Relu).name("shared"));
    let (of_a, of_b) = (shared.apply(&a)?, shared.apply(&b)?);
    let both = Concatenate::new().apply([&of_a, &of_b])?;
    let (features, sum) = (inner.apply(&both)?, Add::new().apply([&of_a, &of_b])?);
    let trunk = Concatenate::new().apply([&features, &sum])?;
    let class = Dense::new(4).name("class").apply(&trunk)?;
    let value = Dense::new(2).name("value").apply(&trunk)?;
    Model::new([&a, &b], [&class, &value])
}

#[test]
fn a_model_with_two_inputs_two_outputs_and_a_model_in_it_fits_as_keras_fits_it() -> Result<()> {
    let reference = Reference::<Pairs, Functional, FunctionalFigures>::load("functional");
    let given = &reference.given;
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let context = format!("{} on {backend:?}", case.name);
        let Functional { lr, momentum, epochs, batch_size, validation_split, ref loss_weights } =
            case.settings;
        let compile = Compile::outputs(Sgd::new(lr).momentum(momentum))
            .loss("class", Loss::SparseCategoricalCrossEntropy, loss_weights["class"])
            .loss("value", Loss::MeanSquaredError, loss_weights["value"])
            .metric_of("class", Metric::Accuracy)
            .metric_of("value", Metric::MeanAbsoluteError);
        let mut network = two_inputs_and_two_outputs()?.compile(compile, SessionOptions::new(backend))?;
        begin_with(&mut network, &given.weights)?;

        let inputs = [given.a.matrix(), given.b.matrix()];
        let targets = [Target::Classes(&given.class), Target::Values(given.value.matrix())];
        let data = FitData::new(Dataset::of(&inputs, &targets)?);
        let options = in_order(epochs, batch_size, validation_split);
        let fitted = fit(&mut network, &data, &options, &mut [])?;
        assert_history_met(&context, &fitted.history, &case.expected.history);
        assert_weights_met(&context, &network.weights(), &case.expected.weights);
        let outputs = network.predict(&[given.test_a.matrix(), given.test_b.matrix()])?;
        case.expected.predictions.class.assert_met(&format!("{context}: class"), outputs[0]);
        case.expected.predictions.value.assert_met(&format!("{context}: value"), outputs[1]);
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct WeightedRows {
    x: Array,
    classes: Vec<i32>,
    weights: Weights,
    sample_weights: Array,
}

#[derive(Debug, Deserialize)]
struct Weighted {
    lr: f64,
    epochs: usize,
    batch_size: usize,
    validation_split: f64,
    /// Of class 0, 1, …; without them, the rows' own weights count.
    class_weights: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
struct WeightedFigures {
    history: History,
    weights: Weights,
}

#[test]
fn class_weights_and_sample_weights_count_as_in_keras_fit() -> Result<()> {
    let reference = Reference::<WeightedRows, Weighted, WeightedFigures>::load("weighted");
    let given = &reference.given;
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let context = format!("{} on {backend:?}", case.name);
        let mut network = Sequential::new(6)
            .add(Dense::new(5).activation(Activation::Relu).name("hidden"))
            .add(Dense::new(3).name("output"))
            .compile(
                Compile::new(Optimizer::sgd(case.settings.lr), Loss::SparseCategoricalCrossEntropy)
                    .metric(Metric::Accuracy),
                SessionOptions::new(backend),
            )?;
        begin_with(&mut network, &given.weights)?;
        let mut options =
            in_order(case.settings.epochs, case.settings.batch_size, case.settings.validation_split);
        let mut data = Dataset::new(given.x.matrix(), &given.classes)?;
        match &case.settings.class_weights {
            Some(weights) => options.class_weights = (0..).zip(weights.iter().copied()).collect(),
            None => data = data.weighted(&given.sample_weights.values)?,
        }
        let fitted = fit(&mut network, &FitData::new(data), &options, &mut [])?;
        assert_history_met(&context, &fitted.history, &case.expected.history);
        assert_weights_met(&context, &network.weights(), &case.expected.weights);
    }
    Ok(())
}
