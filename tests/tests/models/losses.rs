//! Losses and metrics of outputs that are probabilities, and of such that are logits.

use nn_core::Result;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Batch, Compile, Network, Sequential, Target};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;

use super::{FEATURES, options, rows};
use nn_tests::random::Rng;

const ROWS: usize = 30;

fn network(outputs: usize, f: impl Into<Nonlinearity>, loss: Loss) -> Result<Network<f64>> {
    let compile = Compile::new(Optimizer::sgd(0.5), loss).metric(Metric::Accuracy);
    Sequential::new(FEATURES).add(Dense::new(outputs).activation(f)).compile(compile, options())
}

/// Every figure and every weight of some steps, of both; they must be the same bits.
fn assert_alike(
    mut one: Network<f64>,
    mut other: Network<f64>,
    batch: &Batch<'_, f64>,
) -> Result<Network<f64>> {
    for step in 0..5 {
        assert_eq!(one.train(batch)?, other.train(batch)?, "step {step}");
    }
    assert_eq!(one.test(batch)?, other.test(batch)?);
    assert_eq!(one.weights(), other.weights());
    Ok(one)
}

#[test]
fn softmax_or_logits_make_no_difference_to_the_cross_entropies() -> Result<()> {
    let mut rng = Rng(2);
    let (x, labels) = (rng.values(ROWS * FEATURES, 1.0), rng.classes(ROWS, 3));
    let mut one_hot = vec![0.0; ROWS * 3];
    labels.iter().enumerate().for_each(|(row, &class)| one_hot[row * 3 + class as usize] = 1.0);
    let cases = [
        (Loss::SparseCategoricalCrossEntropy, Target::Classes(&labels)),
        (Loss::CategoricalCrossEntropy, Target::Values(rows(&one_hot, 3))),
    ];
    for (loss, target) in cases {
        let batch = Batch::of(&[rows(&x, FEATURES)], &[target]);
        let softmax = network(3, Nonlinearity::Softmax, loss)?;
        let mut trained = assert_alike(softmax, network(3, Activation::Linear, loss)?, &batch)?;
        // The loss is that of the probabilities: −ln p of the row's class, a dozen roundings for each row.
        let figure = trained.test(&batch)?.loss();
        let p = trained.predict_on_batch(rows(&x, FEATURES))?;
        let own = labels.iter().enumerate().map(|(row, &class)| -p[row * 3 + class as usize].ln());
        let expected = own.sum::<f64>() / ROWS as f64;
        let tolerance = (ROWS + 12) as f64 * f64::EPSILON * (1.0 + expected);
        assert!((figure - expected).abs() <= tolerance, "{loss}: {figure} {expected}");
    }
    Ok(())
}

#[test]
fn sigmoid_or_logits_make_no_difference_to_binary_cross_entropy_and_its_accuracy() -> Result<()> {
    for outputs in [1, 2] {
        let mut rng = Rng(2);
        let x = rng.values(ROWS * FEATURES, 1.0);
        let targets: Vec<f64> = (0..ROWS * outputs).map(|_| rng.below(2) as f64).collect();
        let batch = Batch::of(&[rows(&x, FEATURES)], &[Target::Values(rows(&targets, outputs))]);
        let loss = Loss::BinaryCrossEntropy;
        let (sigmoid, logits) =
            (network(outputs, Activation::Sigmoid, loss)?, network(outputs, Activation::Linear, loss)?);
        let mut trained = assert_alike(sigmoid, logits, &batch)?;
        let found = trained.test(&batch)?.get("accuracy");
        let p = trained.predict_on_batch(rows(&x, FEATURES))?;
        let right = p.iter().zip(&targets).filter(|&(&p, &t)| (p > 0.5) == (t > 0.5)).count();
        assert!(right < ROWS * outputs, "some are wrong, or every answer would do");
        // Shares of 1/outputs are exact.
        assert_eq!(found, Some(right as f64 / outputs as f64 / ROWS as f64));
    }
    Ok(())
}

#[test]
fn probabilities_of_the_wrong_kind_are_an_error_not_logits() {
    let says = |result: Result<Network<f64>>, parts: [&str; 2]| {
        let error = result.expect_err(parts[0]).to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let sparse = Loss::SparseCategoricalCrossEntropy;
    says(network(3, Activation::Sigmoid, sparse), ["output is a sigmoid", "binary_crossentropy"]);
    says(
        network(3, Activation::Sigmoid, Loss::CategoricalCrossEntropy),
        ["expected a softmax or logits", "output \"dense\""],
    );
    says(
        network(3, Nonlinearity::Softmax, Loss::BinaryCrossEntropy),
        ["output is a softmax", "categorical_crossentropy"],
    );
}

#[test]
fn two_figures_of_one_name_are_an_error() {
    let twice = Compile::new(Optimizer::sgd(0.5), Loss::SparseCategoricalCrossEntropy)
        .metric(Metric::Accuracy)
        .metric_of("dense", Metric::Accuracy);
    let result = Sequential::new(FEATURES).add(Dense::new(3)).compile::<f64>(twice, options());
    let error = result.expect_err("one of them would be lost").to_string();
    assert!(error.contains("two figures would be called \"accuracy\""), "{error}");
}
