//! Dropout has no reference figures, because its masks are the engine's own; it is held to its statistics. Where a share of
//! n independent draws is expected to be p, it is allowed five standard deviations √(p (1 − p) / n): a right engine fails
//! with probability 6e-7 for one seed, and the seed is fixed.

use nn_core::Result;
use nn_core::exec::{Session, SessionOptions};
use nn_core::graph::{Graph, Node};
use nn_core::layers::{Dense, Dropout, Mode, Updates, dropout};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::models::{Compile, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_tests::engine::{assert_close, deterministic_backends, rows, session_on};
use nn_tests::random::Rng;

/// Rows and columns: some shards of rows, the last not full, and columns that are no multiple of a vector.
const ROWS: usize = 1000;
const COLS: usize = 101;
const RATES: [f64; 3] = [0.1, 0.5, 0.8];

/// x, dropout of it, the derivative of the output's sum by x, and what has to run for a step to count.
#[derive(Debug, Clone, Copy)]
struct Nodes {
    x: Node,
    output: Node,
    slope: Node,
    step: Node,
}

fn build(rate: f64) -> Result<(Graph, Nodes)> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(COLS)])?;
    let mut updates = Updates::default();
    let output = dropout(&mut g, x, rate, &mut Mode::Training(&mut updates))?;
    let sum = g.reduce_sum(output)?;
    let slope = g.gradients(sum, &[x])?[0];
    let assignments = updates.assign(&mut g)?;
    let step = g.group(&assignments);
    Ok((g, Nodes { x, output, slope, step }))
}

/// Rows without zeros, so that a zero is a dropped number.
fn data() -> Vec<f64> {
    let mut rng = Rng(7);
    rng.values(ROWS * COLS, 1.0).into_iter().map(|x: f64| x + 2.0).collect()
}

/// Output and derivative of one step.
fn step(session: &mut Session<f64>, nodes: Nodes, x: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
    let out = session.run(&[nodes.output, nodes.slope, nodes.step], &[(nodes.x, rows(x, COLS))])?;
    Ok((out.floats(0)?.to_vec(), out.floats(1)?.to_vec()))
}

/// Panics unless `hits` of `n` are the share `p`, but for chance.
fn assert_share(context: &str, hits: usize, n: usize, p: f64) {
    let (share, deviation) = (hits as f64 / n as f64, (p * (1.0 - p) / n as f64).sqrt());
    assert!(
        (share - p).abs() <= 5.0 * deviation,
        "{context}: {share} of {n}, expected {p} ± {deviation:.1e}"
    );
}

/// How many of the pairs are both zero or both not.
fn alike<'a>(pairs: impl Iterator<Item = (&'a f64, &'a f64)>) -> (usize, usize) {
    pairs.fold((0, 0), |(hits, n), (a, b)| (hits + usize::from((*a == 0.0) == (*b == 0.0)), n + 1))
}

#[test]
fn the_rate_is_dropped_and_the_rest_is_scaled_so_that_the_mean_stays() -> Result<()> {
    let x = data();
    for rate in RATES {
        let (g, nodes) = build(rate)?;
        let mut session = session_on(g, deterministic_backends().remove(0), 2)?;
        let (output, _) = step(&mut session, nodes, &x)?;
        assert_share(&format!("rate {rate}"), output.iter().filter(|y| **y == 0.0).count(), x.len(), rate);
        let kept: Vec<f64> = output.iter().copied().filter(|y| *y != 0.0).collect();
        let scaled: Vec<f64> =
            x.iter().zip(&output).filter(|(_, y)| **y != 0.0).map(|(x, _)| x / (1.0 - rate)).collect();
        assert_close(&format!("rate {rate}: what is left"), &kept, &scaled, 4.0 * f64::EPSILON);
        // Each term x·k/(1 − rate), with k = 1 of probability 1 − rate, has the variance x² rate/(1 − rate).
        let variance: f64 = x.iter().map(|x| x * x * rate / (1.0 - rate)).sum();
        let off = output.iter().sum::<f64>() - x.iter().sum::<f64>();
        assert!(off.abs() <= 5.0 * variance.sqrt(), "rate {rate}: the sum is off by {off}");
    }
    Ok(())
}

#[test]
fn masks_differ_from_step_to_step_and_from_row_to_row_as_independent_draws_do() -> Result<()> {
    let x = data();
    for rate in RATES {
        let same = rate * rate + (1.0 - rate) * (1.0 - rate);
        let (g, nodes) = build(rate)?;
        let mut session = session_on(g, deterministic_backends().remove(0), 2)?;
        let (first, _) = step(&mut session, nodes, &x)?;
        let (second, _) = step(&mut session, nodes, &x)?;
        let (hits, n) = alike(first.iter().zip(&second));
        assert_share(&format!("rate {rate}: two steps"), hits, n, same);
        // The next number, the next row, and the same place in another shard (of 256 rows). Pairs that overlap are
        // not independent of each other unless the rate is one half, so only every other one counts.
        for distance in [1, COLS, 256 * COLS] {
            let blocks = first.chunks_exact(2 * distance).map(|both| both.split_at(distance));
            let (hits, n) =
                blocks.map(|(a, b)| alike(a.iter().zip(b))).fold((0, 0), |s, t| (s.0 + t.0, s.1 + t.1));
            assert_share(&format!("rate {rate}: numbers {distance} apart"), hits, n, same);
        }
    }
    Ok(())
}

#[test]
fn the_gradient_passes_where_the_number_passed_in_the_same_step() -> Result<()> {
    let x = data();
    for rate in RATES {
        let (g, nodes) = build(rate)?;
        let mut session = session_on(g, deterministic_backends().remove(0), 2)?;
        for t in 0..3 {
            let (output, slope) = step(&mut session, nodes, &x)?;
            let expected: Vec<f64> =
                output.iter().map(|y| if *y == 0.0 { 0.0 } else { 1.0 / (1.0 - rate) }).collect();
            assert_close(&format!("rate {rate}, step {t}"), &slope, &expected, 4.0 * f64::EPSILON);
        }
    }
    Ok(())
}

#[test]
fn the_mask_is_the_same_on_every_backend_and_any_number_of_threads() -> Result<()> {
    let x = data();
    let mut masks: Option<Vec<bool>> = None;
    for backend in deterministic_backends() {
        for threads in 1..=3 {
            let (g, nodes) = build(0.5)?;
            let mut session = session_on(g, backend.clone(), threads)?;
            let mask: Vec<bool> = step(&mut session, nodes, &x)?.0.iter().map(|y| *y == 0.0).collect();
            assert_eq!(*masks.get_or_insert_with(|| mask.clone()), mask, "{backend:?}, {threads} threads");
        }
    }
    Ok(())
}

#[test]
fn nothing_is_dropped_when_a_network_predicts_or_is_tested() -> Result<()> {
    let x = data();
    let x = InputRef::dense(MatRef::new(&x, ROWS, COLS)?);
    let classes: Vec<i32> = (0..ROWS as i32).map(|i| i % 3).collect();
    let compile = || Compile::new(Optimizer::sgd(0.0), Loss::SparseCategoricalCrossEntropy);
    let options = || SessionOptions::<f64>::new(deterministic_backends().remove(0));
    let (hidden, output) = (Dense::new(20).activation(Activation::Relu), Dense::new(3));
    let mut plain =
        Sequential::new(COLS).add(hidden.clone()).add(output.clone()).compile(compile(), options())?;
    let mut dropping = Sequential::new(COLS)
        .add(Dropout::new(0.3))
        .add(hidden)
        .add(Dropout::new(0.5))
        .add(output)
        .compile(compile(), options())?;
    dropping.set_weights(&plain.weights())?;

    let expected = plain.test_on_batch(x, &classes)?.loss();
    let mut trained = Vec::new();
    for _ in 0..2 {
        assert_eq!(dropping.predict_on_batch(x)?, plain.predict_on_batch(x)?);
        assert_eq!(dropping.test_on_batch(x, &classes)?.loss(), expected);
        // At a learning rate of 0, nothing but the masks tells one training step from the next.
        trained.push(dropping.train_on_batch(x, &classes)?.loss());
    }
    assert!(trained[0] != expected && trained[0] != trained[1], "{trained:?}, tested {expected}");
    Ok(())
}
