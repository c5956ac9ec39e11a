//! Compiled, compiled again, and not compiled after all.

use nn_core::Result;
use nn_core::layers::Dense;
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Batch, Compile, Sequential};
use nn_core::optim::{Optimizer, Sgd};

use super::{FEATURES, classify, ending, examples, losses_of_steps, names, options, rows, stack};

#[test]
fn compiled_again_a_network_keeps_its_weights_and_begins_with_a_fresh_optimizer() -> Result<()> {
    let data = examples(30, 1);
    let mut network = stack().compile(classify(Optimizer::adam(0.01)), options())?;
    losses_of_steps(&mut network, &data, 3)?;
    let trained = network.weights();
    assert_eq!(ending(&network.state(), "iterations").values, [3.0]);

    network.compile(classify(Optimizer::adam(0.02)))?;
    assert_eq!(network.weights(), trained);
    let state = network.state();
    // Weights, two slots for each, the rate and the count: nothing of the first optimizer.
    assert_eq!(state.len(), trained.len() * 3 + 2, "{:?}", names(&state));
    assert_eq!(ending(&state, "iterations").values, [0.0]);
    assert_eq!(network.learning_rate(), Some(0.02));
    let slots = state.iter().filter(|t| t.name.ends_with("momentum") || t.name.ends_with("velocity"));
    assert!(slots.flat_map(|slot| &slot.values).all(|&value| value == 0.0));

    let mut fresh = stack().compile(classify(Optimizer::adam(0.02)), options())?;
    assert_eq!(names(&state), names(&fresh.state()), "called as if it were the first");
    fresh.set_weights(&trained)?;
    assert_eq!(losses_of_steps(&mut network, &data, 5)?, losses_of_steps(&mut fresh, &data, 5)?);
    assert_eq!(network.weights(), fresh.weights());
    Ok(())
}

#[test]
fn state_goes_from_a_network_that_was_compiled_twice_to_one_that_was_compiled_once() -> Result<()> {
    let data = examples(30, 1);
    let mut twice = stack().compile(classify(Optimizer::adam(0.01)), options())?;
    twice.compile(classify(Optimizer::adam(0.01)))?;
    losses_of_steps(&mut twice, &data, 4)?;
    let mut once = stack().compile(classify(Optimizer::adam(0.01)), options())?;
    once.set_state(&twice.state())?;
    assert_eq!(losses_of_steps(&mut once, &data, 4)?, losses_of_steps(&mut twice, &data, 4)?);
    assert_eq!(once.state(), twice.state());
    twice.set_state(&once.state())?;
    Ok(())
}

#[test]
fn a_layer_called_as_the_optimizer_keeps_its_name() -> Result<()> {
    let model = Sequential::new(FEATURES).add(Dense::new(3).name("adam"));
    let mut network = model.compile(classify(Optimizer::adam(0.01)), options())?;
    for _ in 0..2 {
        let state = network.state();
        let mut all = names(&state);
        assert_eq!(all[..2], ["adam/kernel", "adam/bias"]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), state.len(), "each has a name of its own");
        network.set_state(&state)?;
        network.compile(classify(Optimizer::adam(0.01)))?;
    }
    Ok(())
}

#[test]
fn a_compile_that_fails_leaves_the_network_as_it_was() -> Result<()> {
    let data = examples(30, 1);
    let make = || stack().compile(classify(Sgd::new(0.1).momentum(0.9).into()), options());
    let (mut network, mut twin) = (make()?, make()?);
    losses_of_steps(&mut network, &data, 2)?;
    losses_of_steps(&mut twin, &data, 2)?;
    let nodes = network.session().graph().nodes().len();
    let failing = [
        classify(Optimizer::sgd(-1.0)),
        classify(Optimizer::adam(0.1)).metric(Metric::Recall(9)),
        Compile::new(Optimizer::adam(0.1), Loss::MeanSquaredError).metric(Metric::TopK(0)),
        Compile::outputs(Optimizer::adam(0.1)),
    ];
    for compile in failing {
        assert!(network.compile(compile.clone()).is_err(), "{compile:?}");
        assert_eq!(network.state(), twin.state());
        assert_eq!(network.figure_names(), twin.figure_names());
        assert_eq!(network.session().graph().nodes().len(), nodes);
    }
    assert_eq!(losses_of_steps(&mut network, &data, 3)?, losses_of_steps(&mut twin, &data, 3)?);
    assert_eq!(network.state(), twin.state());
    Ok(())
}

#[test]
fn rows_of_weight_zero_have_no_influence_on_the_update() -> Result<()> {
    let make = || stack().compile(classify(Optimizer::adam(0.01)), options());
    let (mut network, mut other) = (make()?, make()?);
    let (x, labels) = examples(20, 1);
    let weights: Vec<f64> =
        (0..20).map(|row| if row % 3 == 0 { 0.0 } else { 0.5 + f64::from(row) }).collect();
    let (mut x2, mut labels2) = (x.clone(), labels.clone());
    for row in (0..20).filter(|row| row % 3 == 0) {
        x2[row * FEATURES..(row + 1) * FEATURES].fill(7.0);
        labels2[row] = (labels2[row] + 1) % 3;
    }
    for _ in 0..4 {
        let loss = network.train(&Batch::new(rows(&x, FEATURES), &labels).weighted(&weights))?.loss();
        let other = other.train(&Batch::new(rows(&x2, FEATURES), &labels2).weighted(&weights))?.loss();
        assert_eq!(loss, other);
    }
    assert_eq!(network.state(), other.state());
    Ok(())
}

#[test]
fn weights_of_one_are_no_weights_up_to_rounding_and_share_the_optimizer() -> Result<()> {
    const ROWS: usize = 20;
    const STEPS: usize = 6;
    let make = || stack().compile(classify(Sgd::new(0.1).momentum(0.9).into()), options());
    let (mut plain, mut mixed) = (make()?, make()?);
    let before = mixed.state();
    let (x, labels) = examples(ROWS, 1);
    let batch = || Batch::new(rows(&x, FEATURES), &labels);
    let ones = [1.0; ROWS];
    for step in 0..STEPS {
        plain.train(&batch())?;
        if step % 2 == 0 {
            mixed.train(&batch().weighted(&ones))?
        } else {
            mixed.train(&batch())?
        };
    }
    let (expected, found) = (plain.state(), mixed.state());
    assert_eq!(names(&found), names(&before), "built on demand, with nothing of its own to learn");
    assert_eq!(ending(&found, "iterations").values, [STEPS as f64]);
    // A gradient is a mean of `ROWS` products below 4 in size (|x| < 1, |δ| < 1, |W| < 2 over the first layer): whatever the
    // order of its roundings, it is off by (ROWS + 8) ε · 4. Momentum adds up to 10 of them, at a rate of 0.1; each step
    // after the first begins with weights that are off, which the (smooth, small) network amplifies by less than 2.
    let tolerance = (ROWS + 8) as f64 * f64::EPSILON * 4.0 * f64::from(1 << STEPS);
    for (e, f) in expected.iter().zip(&found) {
        for (e, f) in e.values.iter().zip(&f.values) {
            assert!((e - f).abs() <= tolerance, "{e} and {f}");
        }
    }
    Ok(())
}

#[test]
fn a_weighted_loss_is_the_mean_over_all_rows_of_weight_times_loss() -> Result<()> {
    let mut network = stack().compile(classify(Optimizer::sgd(0.0)), options())?;
    let (x, labels) = examples(9, 1);
    let weights: Vec<f64> = (0..9).map(|row| f64::from(row) / 4.0).collect();
    let mut expected = 0.0;
    for row in 0..9 {
        let one = rows(&x[row * FEATURES..(row + 1) * FEATURES], FEATURES);
        expected += weights[row] * network.test_on_batch(one, &labels[row..=row])?.loss() / 9.0;
    }
    let found = network.test(&Batch::new(rows(&x, FEATURES), &labels).weighted(&weights))?;
    // Nine terms, three roundings each.
    assert!((found.loss() - expected).abs() <= 27.0 * f64::EPSILON * expected, "{} {expected}", found.loss());
    // Metrics count rows, as in Keras, where those that know weights have another list.
    assert_eq!(found.get("accuracy"), network.test_on_batch(rows(&x, FEATURES), &labels)?.get("accuracy"));
    Ok(())
}
