//! Layers and models that are called several times.

use nn_core::Result;
use nn_core::graph::{DType, Graph, Node};
use nn_core::init::Initializer;
use nn_core::layers::{Add, BatchNormalization, Concatenate, Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Batch, Endpoints, Model, Network, Shared, Target, input};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;

use super::{CLASSES, classify, ending, names, options, rows, values};
use nn_tests::random::Rng;

const UNITS: usize = 3;

/// Two inputs through one layer, side by side into another.
fn siamese() -> Result<Model> {
    let (a, b) = (input("a", &[4]), input("b", &[4]));
    let shared = Shared::new(Dense::new(UNITS).activation(Activation::Tanh).name("shared"));
    let both = Concatenate::new().apply([&shared.apply(&a)?, &shared.apply(&b)?])?;
    let class = Dense::new(CLASSES).activation(Nonlinearity::Softmax).name("class").apply(&both)?;
    Model::new([&a, &b], &class)
}

/// The same without layers and models.
fn siamese_by_hand(rate: f64) -> Result<Network<f64>> {
    let mut g = Graph::new();
    let inputs = [g.placeholder("a", &[None, Some(4)])?, g.placeholder("b", &[None, Some(4)])?];
    let w = g.variable("shared/kernel", &[4, UNITS], Initializer::GlorotUniform)?;
    let b = g.variable("shared/bias", &[UNITS], Initializer::Zeros)?;
    let v = g.variable("class/kernel", &[2 * UNITS, CLASSES], Initializer::GlorotUniform)?;
    let c = g.variable("class/bias", &[CLASSES], Initializer::Zeros)?;
    let branch = |g: &mut Graph, x: Node| {
        let product = g.matmul(x, w)?;
        let sum = g.add(product, b)?;
        g.tanh(sum)
    };
    let (left, right) = (branch(&mut g, inputs[0])?, branch(&mut g, inputs[1])?);
    let both = g.concatenate(&[left, right])?;
    let product = g.matmul(both, v)?;
    let logits = g.add(product, c)?;
    let output = g.softmax(logits)?;
    let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
    let losses = g.softmax_cross_entropy(logits, labels)?;
    let loss = g.reduce_mean(losses)?;
    let hits = Metric::Accuracy.nodes(&mut g, logits, labels)?.sum;
    let train = Optimizer::sgd(rate).minimize(&mut g, loss)?;
    let ends = Endpoints::classifier(inputs[0], labels, output, [loss, hits, train]);
    Network::new(g, Endpoints { inputs: inputs.to_vec(), ..ends }, options())
}

#[test]
fn a_layer_that_is_called_twice_has_one_set_of_weights_and_learns_from_both_calls() -> Result<()> {
    const ROWS: usize = 40;
    let mut rng = Rng(3);
    let (a, b) = (rng.values(ROWS * 4, 1.0), rng.values(ROWS * 4, 1.0));
    let labels = rng.classes(ROWS, CLASSES);
    let mut model = siamese()?.compile(classify(Optimizer::sgd(0.3)), options())?;
    let mut by_hand = siamese_by_hand(0.3)?;
    assert_eq!(names(&model.weights()), ["shared/kernel", "shared/bias", "class/kernel", "class/bias"]);
    assert_eq!(model.weights(), by_hand.weights(), "the same seed, the same first weights");
    let batch = Batch::of(&[rows(&a, 4), rows(&b, 4)], &[Target::Classes(&labels)]);
    for step in 0..10 {
        assert_eq!(model.train(&batch)?.loss(), by_hand.train(&batch)?.loss(), "step {step}");
    }
    assert_eq!(model.weights(), by_hand.weights());
    Ok(())
}

#[test]
fn the_gradient_of_a_shared_layer_is_the_sum_of_those_that_its_calls_would_have_alone() -> Result<()> {
    const ROWS: usize = 40;
    let mut rng = Rng(3);
    let (x, y) = (rng.values(ROWS * 4, 1.0), rng.values(ROWS * 4, 1.0));
    let labels = rng.classes(ROWS, CLASSES);
    let batch = Batch::of(&[rows(&x, 4), rows(&y, 4)], &[Target::Classes(&labels)]);
    let mut shared = siamese()?.compile(classify(Optimizer::sgd(1.0)), options())?;
    let before = shared.weights();

    let (a, b) = (input("a", &[4]), input("b", &[4]));
    let branch = || Dense::new(UNITS).activation(Activation::Tanh);
    let both = Concatenate::new().apply([&branch().apply(&a)?, &branch().apply(&b)?])?;
    let class = Dense::new(CLASSES).activation(Nonlinearity::Softmax).name("class").apply(&both)?;
    let mut apart = Model::new([&a, &b], &class)?.compile(classify(Optimizer::sgd(1.0)), options())?;
    let [kernel, bias, ..] = before.as_slice() else { panic!("four weights") };
    let apart_before: Vec<_> =
        [kernel, bias, kernel, bias].into_iter().cloned().chain(before[2..].iter().cloned()).collect();
    apart.set_weights_in_order(&apart_before)?;

    shared.train(&batch)?;
    apart.train(&batch)?;
    let (together, alone) = (shared.weights(), apart.weights());
    // Each step is a mean of ROWS products below 1 in size, subtracted from a weight below 2: rounded ROWS + 3 times.
    let tolerance = 2.0 * (ROWS + 3) as f64 * 2.0 * f64::EPSILON;
    for tensor in 0..2 {
        for i in 0..before[tensor].values.len() {
            let moved = |after: f64| after - before[tensor].values[i];
            let sum = moved(alone[tensor].values[i]) + moved(alone[tensor + 2].values[i]);
            let found = moved(together[tensor].values[i]);
            assert!((found - sum).abs() <= tolerance, "{}: {found} and {sum}", before[tensor].name);
            assert!(found.abs() > 1e3 * tolerance, "it moved");
        }
    }
    Ok(())
}

#[test]
fn a_model_that_is_called_twice_is_its_layers_called_twice() -> Result<()> {
    const ROWS: usize = 12;
    let layers = || (Dense::new(5).activation(Activation::Tanh), Dense::new(2).name("end"));
    let inner = || -> Result<Model> {
        let x = input("x", &[4]);
        let (first, second) = layers();
        Model::new(&x, &second.apply(&first.apply(&x)?)?)
    };
    let (a, b) = (input("a", &[4]), input("b", &[4]));
    let twice = Shared::new(inner()?.name("inner"));
    let nested = Model::new([&a, &b], &Add::new().apply([&twice.apply(&a)?, &twice.apply(&b)?])?)?;

    let (first, second) = layers();
    let (first, second) = (Shared::new(first), Shared::new(second));
    let (of_a, of_b) = (second.apply(&first.apply(&a)?)?, second.apply(&first.apply(&b)?)?);
    let flat = Model::new([&a, &b], &Add::new().apply([&of_a, &of_b])?)?;

    let learn = || nn_core::models::Compile::new(Optimizer::adam(0.05), Loss::MeanSquaredError);
    let (mut nested, mut flat) = (nested.compile(learn(), options())?, flat.compile(learn(), options())?);
    assert_eq!(
        names(&nested.weights()),
        ["inner/dense/kernel", "inner/dense/bias", "inner/end/kernel", "inner/end/bias"]
    );
    assert_eq!(names(&flat.weights()), ["dense/kernel", "dense/bias", "end/kernel", "end/bias"]);
    flat.set_weights_in_order(&nested.weights())?;
    let mut rng = Rng(8);
    let (x, y, t) = (rng.values(ROWS * 4, 1.0), rng.values(ROWS * 4, 1.0), rng.values(ROWS * 2, 1.0));
    let batch = Batch::of(&[rows(&x, 4), rows(&y, 4)], &[Target::Values(rows(&t, 2))]);
    for step in 0..5 {
        assert_eq!(nested.train(&batch)?.loss(), flat.train(&batch)?.loss(), "step {step}");
    }
    assert_eq!(values(&nested.weights()), values(&flat.weights()));
    Ok(())
}

#[test]
fn a_model_in_a_model_in_a_model_names_its_variables_by_the_way_to_them() -> Result<()> {
    let x = input("x", &[4]);
    let inner = Model::new(&x, &Dense::new(3).apply(&x)?)?.name("inner");
    let middle = Model::new(&x, &Dense::new(2).apply(&inner.apply(&x)?)?)?.name("middle");
    let outer = Model::new(&x, &Dense::new(1).name("last").apply(&middle.apply(&x)?)?)?;
    let network = outer.build(options())?;
    let expected = ["middle/inner/dense", "middle/dense", "last"];
    let expected: Vec<String> =
        expected.iter().flat_map(|layer| [format!("{layer}/kernel"), format!("{layer}/bias")]).collect();
    assert_eq!(names(&network.weights()), expected);
    assert_eq!(outer.parameters(), (4 * 3 + 3) + (3 * 2 + 2) + (2 + 1));
    Ok(())
}

#[test]
fn given_names_are_kept_and_others_made_around_them() -> Result<()> {
    let x = input("dense_2", &[4]);
    let first = Dense::new(2).apply(&x)?;
    let second = Dense::new(2).name("dense").apply(&first)?;
    let third = Dense::new(2).apply(&second)?;
    let network = Model::new(&x, &third)?.build(options())?;
    let kernels: Vec<String> =
        network.weights().into_iter().map(|t| t.name).filter(|name| name.ends_with("kernel")).collect();
    assert_eq!(kernels, ["dense_1/kernel", "dense/kernel", "dense_3/kernel"]);
    Ok(())
}

#[test]
fn batch_normalisation_that_is_called_twice_moves_its_averages_twice_in_a_step() -> Result<()> {
    let (a, b) = (input("a", &[1]), input("b", &[1]));
    let shared = Shared::new(BatchNormalization::new().momentum(0.5).name("norm"));
    let sum = Add::new().apply([&shared.apply(&a)?, &shared.apply(&b)?])?;
    let model = Model::new([&a, &b], &Dense::new(1).apply(&sum)?)?;
    let compile = nn_core::models::Compile::new(Optimizer::sgd(0.0), Loss::MeanSquaredError);
    let mut network = model.compile(compile, options())?;
    // Means 2 and 4, variances 1 and 9: ½ (½ · 0 + ½ · 2) + ½ · 4 and ½ (½ · 1 + ½ · 1) + ½ · 9, exact in binary.
    let (x, y, t) = ([1.0, 3.0], [1.0, 7.0], [0.0, 0.0]);
    network.train(&Batch::of(&[rows(&x, 1), rows(&y, 1)], &[Target::Values(rows(&t, 1))]))?;
    let weights = network.weights();
    assert_eq!(ending(&weights, "moving_mean").values, [2.5]);
    assert_eq!(ending(&weights, "moving_variance").values, [5.0]);
    Ok(())
}
