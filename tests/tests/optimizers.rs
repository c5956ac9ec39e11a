//! Optimizers against their formulas, one number at a time.

use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Naive};
use nn_core::exec::{Feed, Session};
use nn_core::graph::{Graph, Node};
use nn_core::init::Initializer;
use nn_core::optim::{Adagrad, Adam, AdamW, Clipping, Optimizer, RmsProp, Rule, Schedule, Sgd};
use nn_tests::engine::{assert_close, fetch, session, session_on};
use nn_tests::random::Rng;

/// One weight with what its optimizer remembers.
#[derive(Debug, Clone, Copy)]
struct Weight {
    w: f64,
    /// m or v of momentum, Adam's first moment.
    first: f64,
    /// The mean or sum of squares.
    second: f64,
    /// The mean of a centered RMSprop.
    mean: f64,
}

impl Weight {
    fn new(w: f64, rule: &Rule) -> Self {
        let second = if let Rule::Adagrad(rule) = rule { rule.initial_accumulator } else { 0.0 };
        Self { w, first: 0.0, second, mean: 0.0 }
    }

    /// The `t`-th step (from 1) along the gradient `g`, as the papers and Keras' documentation write it, with a learning
    /// rate of lr / (1 + decay · (t − 1)).
    fn step(&mut self, rule: &Rule, decay: f64, g: f64, t: i32) {
        let slowed = |lr: f64| lr / (1.0 + decay * f64::from(t - 1));
        match *rule {
            Rule::Sgd(Sgd { learning_rate, momentum, nesterov, .. }) => {
                let lr = slowed(learning_rate);
                self.first = momentum * self.first - lr * g;
                self.w += if nesterov { momentum * self.first - lr * g } else { self.first };
            }
            Rule::RmsProp(RmsProp { learning_rate, rho, momentum, epsilon, centered, .. }) => {
                self.second = rho * self.second + (1.0 - rho) * g.powi(2);
                self.mean = if centered { rho * self.mean + (1.0 - rho) * g } else { 0.0 };
                let root = (self.second - self.mean.powi(2) + epsilon).sqrt();
                self.first = momentum * self.first + slowed(learning_rate) * g / root;
                self.w -= self.first;
            }
            Rule::Adam(adam) => self.adam(adam, slowed(adam.learning_rate), g, t),
            Rule::AdamW(AdamW { adam, weight_decay, .. }) => {
                let lr = slowed(adam.learning_rate);
                self.w *= 1.0 - weight_decay * lr;
                self.adam(adam, lr, g, t);
            }
            Rule::Adagrad(Adagrad { learning_rate, epsilon, .. }) => {
                self.second += g.powi(2);
                self.w -= slowed(learning_rate) * g / (self.second + epsilon).sqrt();
            }
            ref other => panic!("no formula for {other:?}"),
        }
    }

    fn adam(&mut self, Adam { beta_1, beta_2, epsilon, .. }: Adam, lr: f64, g: f64, t: i32) {
        self.first = beta_1 * self.first + (1.0 - beta_1) * g;
        self.second = beta_2 * self.second + (1.0 - beta_2) * g.powi(2);
        let rate = lr * (1.0 - beta_2.powi(t)).sqrt() / (1.0 - beta_1.powi(t));
        self.w -= rate * self.first / (self.second.sqrt() + epsilon);
    }
}

#[test]
fn every_optimizer_follows_its_formula_step_by_step() -> Result<()> {
    let sgd = || Sgd::new(0.3);
    let all: [(Optimizer, f64); 17] = [
        (sgd().into(), 0.0),
        (sgd().into(), 0.125),
        (sgd().momentum(0.9).into(), 0.0),
        (sgd().momentum(0.9).nesterov(true).into(), 0.0),
        (sgd().momentum(0.75).nesterov(true).into(), 0.01),
        (Optimizer::rmsprop(0.01), 0.0),
        (RmsProp::new(0.02).rho(0.8).epsilon(1e-3).into(), 0.25),
        (RmsProp::new(0.02).momentum(0.75).into(), 0.0),
        (RmsProp::new(0.02).centered(true).into(), 0.0),
        (RmsProp::new(0.02).rho(0.8).momentum(0.5).centered(true).epsilon(1e-3).into(), 0.25),
        (Optimizer::adam(0.01), 0.0),
        (Adam::new(0.02).beta_1(0.8).beta_2(0.95).epsilon(1e-3).into(), 0.25),
        (Optimizer::adamw(0.01), 0.0),
        (AdamW::new(0.1).weight_decay(0.5).beta_1(0.8).beta_2(0.95).epsilon(1e-3).into(), 0.25),
        (Optimizer::adagrad(0.05), 0.0),
        (Adagrad::new(0.05).initial_accumulator(0.0).epsilon(1e-3).into(), 0.25),
        (Adagrad::new(0.05).initial_accumulator(2.0).into(), 0.0),
    ];
    let backends: [Arc<dyn Backend<f64>>; 2] = [Arc::new(Naive), Arc::new(Simd::detect())];
    for ((optimizer, decay), backend) in all.iter().flat_map(|o| backends.iter().map(move |b| (o, b))) {
        let optimizer = optimizer.clone().decay(*decay);
        // One number, a few, and so many that the pass is cut into blocks and into pieces for threads.
        for n in [1, 17, 70_001] {
            let mut g = Graph::new();
            let w = g.variable("w", &[n], Initializer::Constant(0.5))?;
            let gradient = g.placeholder("gradient", &[Some(n)])?;
            let step = optimizer.apply_gradients(&mut g, &[(gradient, w)])?;
            let mut session = session_on(g, Arc::clone(backend), 2)?;
            let id = session.graph().variable_of(w).expect("a variable");

            let mut weights = vec![Weight::new(0.5, optimizer.rule()); n];
            let mut rng = Rng(n as u64);
            for t in 1..=6 {
                let gradients: Vec<f64> = rng.values(n, 2.0);
                session.run(&[step], &[(gradient, Feed::Floats(&gradients))])?;
                for (weight, &g) in weights.iter_mut().zip(&gradients) {
                    weight.step(optimizer.rule(), *decay, g, t);
                }
                let expected: Vec<f64> = weights.iter().map(|weight| weight.w).collect();
                // A dozen roundings in each of six steps, and what a division by a small root makes of them. (The root
                // of a centered RMSprop is no smaller than half the other's: by Cauchy and Schwarz a² ≤ (1 − ρ⁶) v.)
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
    let step = Optimizer::from(Sgd::new(0.3).momentum(0.5)).minimize(&mut g, cost)?;
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
fn what_is_remembered_has_keras_names_in_keras_order() -> Result<()> {
    let slots: [(Optimizer, &[&str]); 6] = [
        (Optimizer::sgd(0.1), &[]),
        (Optimizer::rmsprop(0.1), &["rmsprop/dense/kernel/velocity"]),
        (
            RmsProp::new(0.1).momentum(0.5).centered(true).into(),
            &[
                "rmsprop/dense/kernel/velocity",
                "rmsprop/dense/kernel/momentum",
                "rmsprop/dense/kernel/average_gradient",
            ],
        ),
        (Optimizer::adam(0.1), &["adam/dense/kernel/momentum", "adam/dense/kernel/velocity"]),
        (Optimizer::adamw(0.1), &["adamw/dense/kernel/momentum", "adamw/dense/kernel/velocity"]),
        (Optimizer::adagrad(0.1), &["adagrad/dense/kernel/accumulator"]),
    ];
    for (optimizer, expected) in slots {
        let mut g = Graph::new();
        let kernel = g.variable("dense/kernel", &[2, 3], Initializer::Zeros)?;
        let cost = g.reduce_sum(kernel)?;
        optimizer.minimize(&mut g, cost)?;
        let found: Vec<&str> = g.variables()[3..].iter().map(|v| v.name.as_str()).collect();
        assert_eq!(found, expected, "{optimizer:?}");
    }
    Ok(())
}

/// The gradients that an optimizer follows when it is given `gradients`.
fn limited(clipping: Clipping, gradients: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    let mut g = Graph::new();
    let mut pairs = Vec::new();
    for (i, gradient) in gradients.iter().enumerate() {
        let w = g.variable(&format!("w_{i}"), &[gradient.len()], Initializer::Zeros)?;
        pairs.push((g.constant(gradient, &[gradient.len()])?, w));
    }
    // From 0, down the gradient times 1.
    let step = Optimizer::sgd(1.0).clipping(clipping).apply_gradients(&mut g, &pairs)?;
    let mut session = session(g)?;
    session.run(&[step], &[])?;
    let vars: Vec<Node> = pairs.into_iter().map(|(_, w)| w).collect();
    let moved = fetch(&mut session, &vars, &[])?;
    Ok(moved.into_iter().map(|w| w.into_iter().map(|x| -x).collect()).collect())
}

fn norm<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn gradients_are_clipped_by_value_by_norm_and_by_the_norm_of_all() -> Result<()> {
    let mut rng = Rng(3);
    let long: Vec<f64> = rng.values(300, 2.0);
    let sets: [Vec<Vec<f64>>; 4] = [
        vec![vec![3.0, -4.0], vec![0.25, 0.0, -0.5]],
        vec![vec![0.0; 4], vec![12.0]],
        vec![vec![0.0; 2], vec![0.0]],
        vec![long, vec![0.5, -0.5, 0.1]],
    ];
    for gradients in &sets {
        let n: usize = gradients.iter().map(Vec::len).sum();
        // A sum of n squares, in any order, is off by n/2 ε at most, its root by half of it; a handful of roundings.
        let room = (n as f64 / 4.0 + 8.0) * f64::EPSILON;
        for c in [0.3, 1.0, 5.0, 1e6] {
            let assert_all = |clipping: Clipping, expected: &dyn Fn(&[f64], f64) -> f64| -> Result<()> {
                let found = limited(clipping, gradients)?;
                for (gradient, found) in gradients.iter().zip(found) {
                    let expected: Vec<f64> = gradient.iter().map(|&x| expected(gradient, x)).collect();
                    assert_close(&format!("{clipping:?} of {gradient:?}"), &found, &expected, room);
                }
                Ok(())
            };
            assert_all(Clipping::Value(c), &|_, x| x.clamp(-c, c))?;
            let shrunk = |x: f64, norm: f64| if norm > c { x * (c / norm) } else { x };
            assert_all(Clipping::Norm(c), &|gradient, x| shrunk(x, norm(gradient)))?;
            let whole = norm(gradients.iter().flatten());
            assert_all(Clipping::GlobalNorm(c), &|_, x| shrunk(x, whole))?;
        }
    }
    Ok(())
}

#[test]
fn gradients_that_are_short_enough_are_not_touched() -> Result<()> {
    let gradients = [vec![0.1, -0.2, 1.0 / 3.0], vec![0.0], vec![-0.7]];
    for clipping in [Clipping::Value(0.7), Clipping::Norm(0.7), Clipping::GlobalNorm(0.9)] {
        assert_eq!(limited(clipping, &gradients)?, gradients, "{clipping:?}");
    }
    Ok(())
}

#[test]
fn a_norm_that_is_not_finite_spoils_all_gradients_rather_than_hide() -> Result<()> {
    for bad in [f64::INFINITY, f64::NAN, 1e200] {
        let found = limited(Clipping::GlobalNorm(1.0), &[vec![bad, 1.0], vec![2.0]])?;
        assert!(found.iter().flatten().all(|x| x.is_nan()), "{bad}: {found:?}");
    }
    Ok(())
}

/// Every kind of schedule, with the iterations where its formula was worked out by hand.
fn schedules() -> Vec<(Schedule, Vec<(u64, f64)>)> {
    let root = 0.5f64.sqrt();
    let inverse = |staircase| Schedule::InverseTime { decay_steps: 10, decay_rate: 0.5, staircase };
    let power = |staircase| Schedule::Exponential { decay_steps: 10, decay_rate: 0.25, staircase };
    let cosine = |alpha, warmup_steps, warmup_from| Schedule::Cosine {
        decay_steps: 100,
        alpha,
        warmup_steps,
        warmup_from,
    };
    vec![
        (Schedule::Constant, vec![(0, 1.0), (1_000_000, 1.0)]),
        (inverse(false), vec![(0, 1.0), (5, 1.0 / 1.25), (10, 1.0 / 1.5), (30, 1.0 / 2.5)]),
        (inverse(true), vec![(0, 1.0), (9, 1.0), (10, 1.0 / 1.5), (19, 1.0 / 1.5), (20, 0.5)]),
        (
            Schedule::InverseTime { decay_steps: 1, decay_rate: 0.5, staircase: true },
            vec![(0, 1.0), (1, 1.0 / 1.5)],
        ),
        (power(false), vec![(0, 1.0), (5, 0.5), (10, 0.25), (20, 0.0625)]),
        (power(true), vec![(9, 1.0), (10, 0.25), (19, 0.25), (20, 0.0625)]),
        (Schedule::Step { every: 3, factor: 0.5 }, vec![(0, 1.0), (2, 1.0), (3, 0.5), (8, 0.25), (9, 0.125)]),
        (
            cosine(0.0, 0, 0.0),
            vec![(0, 1.0), (25, 0.5 + 0.5 * root), (50, 0.5), (75, 0.5 - 0.5 * root), (100, 0.0), (999, 0.0)],
        ),
        (cosine(0.2, 0, 0.0), vec![(0, 1.0), (50, 0.6), (100, 0.2), (101, 0.2)]),
        (
            cosine(0.0, 10, 0.0),
            vec![(0, 0.0), (5, 0.5), (9, 0.9), (10, 1.0), (60, 0.5), (110, 0.0), (111, 0.0)],
        ),
        (cosine(0.5, 4, 0.2), vec![(0, 0.2), (1, 0.4), (3, 0.8), (4, 1.0), (54, 0.75), (104, 0.5)]),
        (
            Schedule::Piecewise { boundaries: vec![100, 110], values: vec![1.0, 0.3, 0.1] },
            vec![(0, 1.0), (100, 1.0), (101, 0.3), (110, 0.3), (111, 0.1), (5000, 0.1)],
        ),
        (
            Schedule::Piecewise { boundaries: vec![0], values: vec![0.1, 0.7] },
            vec![(0, 0.1), (1, 0.7), (2, 0.7)],
        ),
    ]
}

#[test]
fn schedules_are_what_their_formulas_say() {
    for (schedule, known) in schedules() {
        for (iteration, expected) in known {
            // Factors of 1 or less; a cosine, a power and some roundings.
            let found = schedule.at(iteration);
            assert!((found - expected).abs() <= 4.0 * f64::EPSILON, "{schedule:?} at {iteration}: {found}");
        }
    }
}

/// Sets a scalar variable.
fn set(session: &mut Session<f64>, variable: Node, value: f64) -> Result<()> {
    let id = session.graph().variable_of(variable).expect("a variable");
    session.set_variable(id, &[value], &[])
}

#[test]
fn a_schedule_in_the_graph_is_bit_by_bit_the_one_in_plain_numbers() -> Result<()> {
    for (schedule, _) in schedules() {
        for lr in [1.0, 0.3] {
            let optimizer = Optimizer::adam(lr).schedule(schedule.clone());
            let mut g = Graph::new();
            let prepared = optimizer.prepare(&mut g, &[])?;
            let mut session = session(g)?;
            for iteration in (0..250).chain([999, 1_000_000]) {
                set(&mut session, prepared.iterations, iteration as f64)?;
                let found = session.run(&[prepared.rate], &[])?.scalar(0)?;
                let expected = optimizer.learning_rate_at(iteration);
                assert_eq!(
                    found.to_bits(),
                    expected.to_bits(),
                    "{schedule:?} of {lr} at {iteration}: {found}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn steps_are_as_long_as_the_schedule_says_and_follow_the_variable() -> Result<()> {
    for (schedule, _) in schedules() {
        let mut g = Graph::new();
        let w = g.variable("w", &[1], Initializer::Zeros)?;
        let gradient = g.constant(&[1.0], &[1])?;
        let optimizer = Optimizer::sgd(0.5).schedule(schedule.clone());
        let prepared = optimizer.prepare(&mut g, &[w])?;
        let step = prepared.apply(&mut g, &[(gradient, w)])?;
        let mut session = session(g)?;
        let mut expected = 0.0;
        for i in 0..24 {
            // Half as long from the twelfth step on, whatever the schedule. Halving is exact.
            if i == 12 {
                set(&mut session, prepared.learning_rate, 0.25)?;
            }
            let base = if i < 12 { 1.0 } else { 0.5 };
            expected -= base * optimizer.learning_rate_at(i);
            session.run(&[step], &[])?;
            assert_eq!(fetch(&mut session, &[w], &[])?, [[expected]], "{schedule:?}, step {i}");
        }
    }
    Ok(())
}

#[test]
fn only_the_variables_asked_for_are_moved() -> Result<()> {
    let mut g = Graph::new();
    let (a, b) = (
        g.variable("a", &[], Initializer::Constant(1.0))?,
        g.variable("b", &[], Initializer::Constant(2.0))?,
    );
    let cost = g.mul(a, b)?;
    let step = Optimizer::sgd(0.5).minimize_over(&mut g, cost, &[b])?;
    let mut session = session(g)?;
    session.run(&[step], &[])?;
    assert_eq!(fetch(&mut session, &[a, b], &[])?, [[1.0], [1.5]]);
    Ok(())
}

#[test]
fn two_updates_on_the_same_slots_share_what_is_remembered() -> Result<()> {
    let mut g = Graph::new();
    let w = g.variable("w", &[1], Initializer::Constant(0.5))?;
    let feeds = [g.placeholder("a", &[Some(1)])?, g.placeholder("b", &[Some(1)])?];
    let optimizer = Optimizer::adam(0.1);
    let prepared = optimizer.prepare(&mut g, &[w])?;
    let steps = [prepared.apply(&mut g, &[(feeds[0], w)])?, prepared.apply(&mut g, &[(feeds[1], w)])?];
    let apart: Vec<&str> =
        g.nodes().iter().map(|n| n.name.as_str()).filter(|name| name.starts_with("adam_")).collect();
    assert!(apart.is_empty(), "nodes in a scope of their own: {apart:?}");

    let mut session = session(g)?;
    let mut weight = Weight::new(0.5, optimizer.rule());
    for (t, which, gradient) in [(1, 0, 0.5), (2, 1, -1.0), (3, 1, 0.25), (4, 0, 2.0)] {
        session.run(&[steps[which]], &[(feeds[which], Feed::Floats(&[gradient]))])?;
        weight.step(optimizer.rule(), 0.0, gradient, t);
        // A dozen roundings a step.
        let found = fetch(&mut session, &[w], &[])?;
        assert_close(&format!("step {t}"), &found[0], &[weight.w], 64.0 * f64::EPSILON);
    }
    assert_eq!(fetch(&mut session, &[prepared.iterations], &[])?, [[4.0]]);
    Ok(())
}

#[test]
fn pairs_that_do_not_fit_are_refused_by_name() -> Result<()> {
    let mut g = Graph::new();
    let kernel = g.variable("kernel", &[2], Initializer::Zeros)?;
    let other = g.variable("other", &[2], Initializer::Zeros)?;
    let (gradient, short) = (g.constant(&[1.0, 2.0], &[2])?, g.constant(&[1.0], &[1])?);
    let sgd = Optimizer::sgd(0.1);
    let prepared = sgd.prepare(&mut g, &[kernel])?;
    let refused = [
        (prepared.apply(&mut g, &[(gradient, other)]), "\"other\" was not among"),
        (prepared.apply(&mut g, &[(gradient, kernel), (gradient, kernel)]), "\"kernel\" has two gradients"),
        (prepared.apply(&mut g, &[(short, kernel)]), "\"kernel\" is [2], its gradient \"constant_1\" is [1]"),
        (
            sgd.apply_gradients(&mut g, &[(gradient, gradient)]),
            "\"constant\" is a constant, expected a variable",
        ),
        (sgd.apply_gradients(&mut g, &[(gradient, kernel); 2]), "\"kernel\" is given twice"),
    ];
    for (result, words) in refused {
        let error = result.expect_err(words).to_string();
        assert!(error.starts_with("sgd: ") && error.contains(words), "{error}");
    }
    Ok(())
}

#[test]
fn hyper_parameters_out_of_range_are_refused_by_name() {
    let scheduled = |schedule| Optimizer::sgd(0.1).schedule(schedule);
    let clipped = |clipping| Optimizer::sgd(0.1).clipping(clipping);
    let inverse =
        |decay_steps, decay_rate| Schedule::InverseTime { decay_steps, decay_rate, staircase: false };
    let power = |decay_steps, decay_rate| Schedule::Exponential { decay_steps, decay_rate, staircase: false };
    let cosine = |decay_steps, alpha, warmup_from| Schedule::Cosine {
        decay_steps,
        alpha,
        warmup_steps: 5,
        warmup_from,
    };
    let pieces = |boundaries: &[u64], values: &[f64]| Schedule::Piecewise {
        boundaries: boundaries.to_vec(),
        values: values.to_vec(),
    };
    let bad: Vec<(Optimizer, &str)> = vec![
        (Optimizer::sgd(-0.1), "sgd: the learning rate"),
        (Optimizer::sgd(f64::NAN), "sgd: the learning rate"),
        (Optimizer::rmsprop(f64::INFINITY), "rmsprop: the learning rate"),
        (Optimizer::adam(-0.1), "adam: the learning rate"),
        (Optimizer::adamw(-0.1), "adamw: the learning rate"),
        (Optimizer::adagrad(-0.1), "adagrad: the learning rate"),
        (Sgd::new(0.1).momentum(1.0).into(), "momentum"),
        (Sgd::new(0.1).momentum(-0.5).nesterov(true).into(), "momentum"),
        (RmsProp::new(0.1).rho(1.5).into(), "rho"),
        (RmsProp::new(0.1).momentum(1.0).into(), "momentum"),
        (RmsProp::new(0.1).epsilon(-1e-9).into(), "epsilon"),
        (Adam::new(0.1).beta_1(1.0).into(), "beta 1"),
        (Adam::new(0.1).beta_2(1.0).into(), "beta 2"),
        (Adam::new(0.1).epsilon(-1.0).into(), "epsilon"),
        (AdamW::new(0.1).beta_1(-0.1).into(), "beta 1"),
        (AdamW::new(0.1).beta_2(f64::NAN).into(), "beta 2"),
        (AdamW::new(0.1).epsilon(f64::INFINITY).into(), "epsilon"),
        (AdamW::new(0.1).weight_decay(-0.1).into(), "weight decay"),
        (Adagrad::new(0.1).initial_accumulator(-0.1).into(), "initial accumulator"),
        (Adagrad::new(0.1).epsilon(-0.1).into(), "epsilon"),
        (Optimizer::sgd(0.1).decay(-1.0), "decay"),
        (scheduled(inverse(0, 0.5)), "decay steps"),
        (scheduled(inverse(1, f64::NAN)), "decay"),
        (scheduled(power(0, 0.5)), "decay steps"),
        (scheduled(power(1, 0.0)), "decay rate"),
        (scheduled(Schedule::Step { every: 0, factor: 0.5 }), "between steps"),
        (scheduled(Schedule::Step { every: 1, factor: -0.5 }), "factor"),
        (scheduled(cosine(0, 0.0, 0.0)), "decay steps"),
        (scheduled(cosine(1, 1.1, 0.0)), "alpha"),
        (scheduled(cosine(1, 0.0, -0.1)), "warm-up"),
        (scheduled(pieces(&[], &[1.0])), "one boundary or more"),
        (scheduled(pieces(&[5], &[1.0])), "one value more"),
        (scheduled(pieces(&[5, 5], &[1.0, 0.5, 0.1])), "ascending"),
        (scheduled(pieces(&[5], &[1.0, -0.5])), "value"),
        (clipped(Clipping::Value(0.0)), "largest value"),
        (clipped(Clipping::Norm(-1.0)), "largest norm of a gradient"),
        (clipped(Clipping::GlobalNorm(f64::INFINITY)), "largest norm of all gradients"),
    ];
    for (optimizer, words) in bad {
        let mut g = Graph::new();
        let error = g
            .variable("w", &[1], Initializer::Zeros)
            .and_then(|w| g.reduce_sum(w))
            .and_then(|cost| optimizer.minimize(&mut g, cost))
            .expect_err(&format!("{optimizer:?} was taken"))
            .to_string();
        assert!(error.starts_with(optimizer.name()) && error.contains(words), "{optimizer:?}: {error}");
    }
}
