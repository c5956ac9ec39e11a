//! Losses, their derivatives, and metrics against Keras' figures.

use nn_core::Result;
use nn_core::exec::Feed;
use nn_core::graph::{DType, Graph};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::ops::Activation;
use nn_tests::engine::{deterministic_backends, rows, session_on};
use nn_tests::reference::{Array, Reference};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Scores {
    scores: Array,
    classes: Vec<i32>,
    one_hot: Array,
    bits: Array,
    numbers: Array,
    weights: Array,
}

#[derive(Debug, Deserialize)]
struct LossSettings {
    kind: String,
    form: String,
}

#[derive(Debug, Deserialize)]
struct LossFigures {
    loss: Array,
    gradient: Array,
    weighted_loss: Array,
    weighted_gradient: Array,
}

#[test]
fn every_loss_and_its_gradient_are_keras_with_and_without_weights() -> Result<()> {
    let reference = Reference::<Scores, LossSettings, LossFigures>::load("losses");
    let given = &reference.given;
    let cols = given.scores.cols();
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let loss: Loss = case.settings.kind.parse()?;
        let mut g = Graph::new();
        let scores = g.placeholder("scores", &[None, Some(cols)])?;
        let weights = g.placeholder("weights", &[None])?;
        let (target, values) = match loss {
            Loss::SparseCategoricalCrossEntropy => {
                (g.typed_placeholder("classes", &[None], DType::Int)?, Feed::Ints(&given.classes))
            }
            _ => {
                let values = match loss {
                    Loss::CategoricalCrossEntropy => &given.one_hot,
                    Loss::BinaryCrossEntropy => &given.bits,
                    _ => &given.numbers,
                };
                (g.placeholder("values", &[None, Some(cols)])?, rows(&values.values, cols))
            }
        };
        let output = match case.settings.form.as_str() {
            "softmax" => g.softmax(scores)?,
            "sigmoid" => g.activation(Activation::Sigmoid, scores)?,
            "logits" | "" => scores,
            other => panic!("{}: {other}", case.name),
        };
        let plain = loss.mean(&mut g, output, target)?;
        let weighted = loss.weighted_mean(&mut g, output, target, weights)?;
        let slope = g.gradients(plain, &[scores])?[0];
        let weighted_slope = g.gradients(weighted, &[scores])?[0];

        let mut session = session_on(g, backend.clone(), 2)?;
        let of_weights = (weights, rows(&given.weights.values, 1));
        let feeds = [(scores, rows(&given.scores.values, cols)), (target, values), of_weights];
        let out = session.run(&[plain, slope, weighted, weighted_slope], &feeds)?;
        let expected = &case.expected;
        let all = [&expected.loss, &expected.gradient, &expected.weighted_loss, &expected.weighted_gradient];
        for (i, (expected, name)) in
            all.into_iter().zip(["loss", "gradient", "weighted loss", "its gradient"]).enumerate()
        {
            expected.assert_met(&format!("{}: {name} on {backend:?}", case.name), out.floats(i)?);
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Predictions {
    scores: Array,
    classes: Vec<i32>,
    one_hot: Array,
    logits: Array,
    bits: Array,
}

#[derive(Debug, Deserialize)]
struct MetricSettings {
    kind: String,
}

#[derive(Debug, Deserialize)]
struct MetricFigures {
    figures: Array,
}

/// Rows per batch, as in the file.
const BATCH: usize = 8;

#[test]
fn every_metric_adds_up_over_batches_to_keras_figure() -> Result<()> {
    let reference = Reference::<Predictions, MetricSettings, MetricFigures>::load("metrics");
    let given = &reference.given;
    let classes = given.scores.cols();
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let metrics: Vec<Metric> = match case.settings.kind.as_str() {
            "sparse_accuracy" | "categorical_accuracy" | "binary_accuracy" => vec![Metric::Accuracy],
            "top_2" => vec![Metric::TopK(2)],
            "top_3" => vec![Metric::TopK(3)],
            "precision" => (0..classes).map(Metric::Precision).collect(),
            "recall" => (0..classes).map(Metric::Recall).collect(),
            "mean_absolute_error" => vec![Metric::MeanAbsoluteError],
            "mean_squared_error" => vec![Metric::MeanSquaredError],
            other => panic!("metric {other}"),
        };
        let of_bits = matches!(
            case.settings.kind.as_str(),
            "binary_accuracy" | "mean_absolute_error" | "mean_squared_error"
        );
        let x = if of_bits { &given.logits } else { &given.scores };
        let targets = match case.settings.kind.as_str() {
            "categorical_accuracy" => Some(&given.one_hot),
            _ => of_bits.then_some(&given.bits),
        };

        let mut g = Graph::new();
        let scores = g.placeholder("scores", &[None, Some(x.cols())])?;
        let output = if of_bits { g.activation(Activation::Sigmoid, scores)? } else { scores };
        let target = match targets {
            Some(values) => g.placeholder("values", &[None, Some(values.cols())])?,
            None => g.typed_placeholder("classes", &[None], DType::Int)?,
        };
        let mut nodes = Vec::new();
        for metric in &metrics {
            nodes.push(metric.nodes(&mut g, output, target)?);
        }
        let mut session = session_on(g, backend.clone(), 2)?;
        let mut ratios = vec![(0.0, 0.0); nodes.len()];
        for first in (0..x.dims[0]).step_by(BATCH) {
            let part = |array: &'_ Array| first * array.cols()..(first + BATCH) * array.cols();
            let feed = match targets {
                Some(values) => rows(&values.values[part(values)], values.cols()),
                None => Feed::Ints(&given.classes[first..first + BATCH]),
            };
            let feeds = [(scores, rows(&x.values[part(x)], x.cols())), (target, feed)];
            for (nodes, (sum, count)) in nodes.iter().zip(&mut ratios) {
                let fetches: Vec<_> = [nodes.sum].into_iter().chain(nodes.count).collect();
                let out = session.run(&fetches, &feeds)?;
                *sum += out.scalar(0)?;
                *count += if nodes.count.is_some() { out.scalar(1)? } else { BATCH as f64 };
            }
        }
        let found: Vec<f64> =
            ratios.into_iter().map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect();
        case.expected.figures.assert_met(&format!("{} on {backend:?}", case.name), &found);
    }
    Ok(())
}
