//! Optimizers against their formulas, one number at a time.

use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Naive};
use nn_core::exec::Feed;
use nn_core::graph::Graph;
use nn_core::init::Initializer;
use nn_core::optim::Optimizer;
use nn_tests::engine::{assert_close, session_on};
use nn_tests::random::Rng;

/// One weight with what its optimizer remembers.
#[derive(Debug, Clone, Copy)]
struct Weight {
    w: f64,
    first: f64,
    second: f64,
}

impl Weight {
    /// The `t`-th step (from 1) along the gradient `g`, as the papers and Keras' documentation write it.
    fn step(&mut self, optimizer: &Optimizer, g: f64, t: i32) {
        let slowed = |lr: f64, decay: f64| lr / (1.0 + decay * f64::from(t - 1));
        match *optimizer {
            Optimizer::Sgd { learning_rate, momentum, nesterov, decay } => {
                let lr = slowed(learning_rate, decay);
                self.first = momentum * self.first - lr * g;
                self.w += if nesterov { momentum * self.first - lr * g } else { self.first };
            }
            Optimizer::RmsProp { learning_rate, rho, epsilon, decay } => {
                self.second = rho * self.second + (1.0 - rho) * g.powi(2);
                self.w -= slowed(learning_rate, decay) * g / (self.second + epsilon).sqrt();
            }
            Optimizer::Adam { learning_rate, beta_1, beta_2, epsilon, decay } => {
                self.first = beta_1 * self.first + (1.0 - beta_1) * g;
                self.second = beta_2 * self.second + (1.0 - beta_2) * g.powi(2);
                let rate =
                    slowed(learning_rate, decay) * (1.0 - beta_2.powi(t)).sqrt() / (1.0 - beta_1.powi(t));
                self.w -= rate * self.first / (self.second.sqrt() + epsilon);
            }
            ref other => panic!("no formula for {other:?}"),
        }
    }
}

fn sgd(momentum: f64, nesterov: bool, decay: f64) -> Optimizer {
    Optimizer::Sgd { learning_rate: 0.3, momentum, nesterov, decay }
}

#[test]
fn every_optimizer_follows_its_formula_step_by_step() -> Result<()> {
    let all = [
        sgd(0.0, false, 0.0),
        sgd(0.0, false, 0.125),
        sgd(0.9, false, 0.0),
        sgd(0.9, true, 0.0),
        sgd(0.75, true, 0.01),
        Optimizer::rmsprop(0.01),
        Optimizer::RmsProp { learning_rate: 0.02, rho: 0.8, epsilon: 1e-3, decay: 0.25 },
        Optimizer::adam(0.01),
        Optimizer::Adam { learning_rate: 0.02, beta_1: 0.8, beta_2: 0.95, epsilon: 1e-3, decay: 0.25 },
    ];
    let backends: [Arc<dyn Backend<f64>>; 2] = [Arc::new(Naive), Arc::new(Simd::detect())];
    for (optimizer, backend) in all.iter().flat_map(|o| backends.iter().map(move |b| (o, b))) {
        // One number, a few, and so many that the pass is cut into blocks and into pieces for threads.
        for n in [1, 17, 70_001] {
            let mut g = Graph::new();
            let w = g.variable("w", &[n], Initializer::Constant(0.5))?;
            let gradient = g.placeholder("gradient", &[Some(n)])?;
            let step = optimizer.apply_gradients(&mut g, &[(gradient, w)])?;
            let mut session = session_on(g, Arc::clone(backend), 2)?;
            let id = session.graph().variable_of(w).expect("a variable");

            let mut weights = vec![Weight { w: 0.5, first: 0.0, second: 0.0 }; n];
            let mut rng = Rng(n as u64);
            for t in 1..=6 {
                let gradients: Vec<f64> = rng.values(n, 2.0);
                session.run(&[step], &[(gradient, Feed::Floats(&gradients))])?;
                for (weight, &g) in weights.iter_mut().zip(&gradients) {
                    weight.step(optimizer, g, t);
                }
                let expected: Vec<f64> = weights.iter().map(|weight| weight.w).collect();
                // A dozen roundings in each of six steps, and what a division by a small root makes of them.
                let context = format!("{optimizer:?} of {n}, step {t}");
                assert_close(&context, session.variable(id).data(), &expected, 256.0 * f64::EPSILON);
            }
        }
    }
    Ok(())
}

#[test]
fn what_an_optimizer_remembers_can_be_read_and_counts_its_steps() -> Result<()> {
    let mut g = Graph::new();
    let w = g.variable("w", &[2], Initializer::Constant(1.0))?;
    let square = g.square(w)?;
    let cost = g.reduce_sum(square)?;
    let step = sgd(0.5, false, 0.0).minimize(&mut g, cost)?;
    let names: Vec<String> = g.variables().iter().map(|v| v.name.clone()).collect();
    assert_eq!(names, ["w", "sgd/learning_rate", "sgd/iterations", "sgd/w/momentum"]);
    let nodes: Vec<_> = g.variables().iter().map(|v| v.node).collect();

    let mut session = session_on(g, Arc::new(Naive), 1)?;
    for _ in 0..3 {
        session.run(&[step], &[])?;
    }
    let out = session.run(&nodes, &[])?;
    // w ← w − 0.3 · 2w + 0.5 v: v = −0.6, then −0.3 − 0.24, …
    let (mut v, mut w) = (0.0, 1.0);
    for _ in 0..3 {
        v = 0.5 * v - 0.3 * (2.0 * w);
        w += v;
    }
    assert_close("w", out.floats(0)?, &[w; 2], 4.0 * f64::EPSILON);
    assert_eq!(out.scalar(1)?, 0.3);
    assert_eq!(out.scalar(2)?, 3.0);
    assert_close("v", out.floats(3)?, &[v; 2], 4.0 * f64::EPSILON);
    Ok(())
}

#[test]
fn hyper_parameters_out_of_range_are_refused() {
    let bad = [
        (Optimizer::sgd(-0.1), "learning rate"),
        (Optimizer::sgd(f64::NAN), "learning rate"),
        (sgd(1.0, false, 0.0), "momentum"),
        (sgd(-0.5, true, 0.0), "momentum"),
        (sgd(0.5, true, -1.0), "decay"),
        (Optimizer::RmsProp { learning_rate: 0.1, rho: 1.5, epsilon: 1e-7, decay: 0.0 }, "rho"),
        (Optimizer::Adam { learning_rate: 0.1, beta_1: 0.9, beta_2: 1.0, epsilon: 1e-7, decay: 0.0 }, "beta"),
        (
            Optimizer::Adam { learning_rate: 0.1, beta_1: 0.9, beta_2: 0.9, epsilon: -1.0, decay: 0.0 },
            "epsilon",
        ),
    ];
    for (optimizer, word) in bad {
        let mut g = Graph::new();
        let error = g
            .variable("w", &[1], Initializer::Zeros)
            .and_then(|w| g.reduce_sum(w))
            .and_then(|cost| optimizer.minimize(&mut g, cost))
            .expect_err(&format!("{optimizer:?} was taken"))
            .to_string();
        assert!(error.contains(word), "{optimizer:?}: {error}");
    }
}
