//! Optimizers, gradient clipping and learning-rate schedules against Keras' figures.

use nn_core::Result;
use nn_core::exec::Feed;
use nn_core::graph::Graph;
use nn_core::init::Initializer;
use nn_core::optim::{Adagrad, Adam, AdamW, Clipping, Optimizer, RmsProp, Schedule, Sgd};
use nn_tests::engine::{deterministic_backends, session_on};
use nn_tests::reference::{Array, Reference};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Gradients {
    matrix: Array,
    vector: Array,
    matrix_gradients: Array,
    vector_gradients: Array,
    shown: Vec<usize>,
}

/// What the file says of an optimizer. A number that its rule does not have is not there.
#[derive(Debug, Deserialize)]
struct Rule {
    kind: String,
    lr: f64,
    momentum: Option<f64>,
    nesterov: Option<bool>,
    rho: Option<f64>,
    centered: Option<bool>,
    beta_1: Option<f64>,
    beta_2: Option<f64>,
    epsilon: Option<f64>,
    weight_decay: Option<f64>,
    initial_accumulator_value: Option<f64>,
    clipnorm: Option<f64>,
    global_clipnorm: Option<f64>,
    clipvalue: Option<f64>,
}

/// After each of the shown steps.
#[derive(Debug, Deserialize)]
struct Variables {
    matrix: Array,
    vector: Array,
}

impl Rule {
    fn optimizer(&self) -> Optimizer {
        let number = |x: Option<f64>| x.unwrap_or_else(|| panic!("{self:?} lacks a number"));
        let optimizer = match self.kind.as_str() {
            "sgd" => {
                Sgd::new(self.lr).momentum(number(self.momentum)).nesterov(self.nesterov == Some(true)).into()
            }
            "rmsprop" => RmsProp::new(self.lr)
                .rho(number(self.rho))
                .momentum(number(self.momentum))
                .epsilon(number(self.epsilon))
                .centered(self.centered == Some(true))
                .into(),
            "adam" => Adam::new(self.lr)
                .beta_1(number(self.beta_1))
                .beta_2(number(self.beta_2))
                .epsilon(number(self.epsilon))
                .into(),
            "adamw" => AdamW::new(self.lr)
                .beta_1(number(self.beta_1))
                .beta_2(number(self.beta_2))
                .epsilon(number(self.epsilon))
                .weight_decay(number(self.weight_decay))
                .into(),
            "adagrad" => Adagrad::new(self.lr)
                .initial_accumulator(number(self.initial_accumulator_value))
                .epsilon(number(self.epsilon))
                .into(),
            other => panic!("optimizer {other}"),
        };
        let clippings = [
            self.clipnorm.map(Clipping::Norm),
            self.global_clipnorm.map(Clipping::GlobalNorm),
            self.clipvalue.map(Clipping::Value),
        ];
        clippings.into_iter().flatten().fold(optimizer, Optimizer::clipping)
    }
}

#[test]
fn every_optimizer_and_clipping_goes_where_keras_goes() -> Result<()> {
    let reference = Reference::<Gradients, Rule, Variables>::load("optimizers");
    let given = &reference.given;
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let mut g = Graph::new();
        let mut pairs = Vec::new();
        for (name, start) in [("matrix", &given.matrix), ("vector", &given.vector)] {
            let dims: Vec<Option<usize>> = start.dims.iter().copied().map(Some).collect();
            let variable = g.variable(name, &start.dims, Initializer::Zeros)?;
            pairs.push((g.placeholder(&format!("{name}_gradient"), &dims)?, variable));
        }
        let step = case.settings.optimizer().apply_gradients(&mut g, &pairs)?;
        let mut session = session_on(g, backend.clone(), 2)?;
        let ids = [0, 1].map(|i| session.graph().variable_of(pairs[i].1).expect("a variable"));
        for (id, start) in ids.into_iter().zip([&given.matrix, &given.vector]) {
            session.set_variable(id, &start.values, &start.dims)?;
        }
        for t in 1..=given.matrix_gradients.dims[0] {
            let gradients =
                [given.matrix_gradients.at(t - 1).values, given.vector_gradients.at(t - 1).values];
            session.run(
                &[step],
                &[(pairs[0].0, Feed::Floats(&gradients[0])), (pairs[1].0, Feed::Floats(&gradients[1]))],
            )?;
            if let Some(i) = given.shown.iter().position(|&shown| shown == t) {
                for (id, expected) in ids.into_iter().zip([&case.expected.matrix, &case.expected.vector]) {
                    let context = format!("{} on {backend:?}, step {t}", case.name);
                    expected.at(i).assert_met(&context, session.variable(id).data());
                }
            }
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Along {
    vector: Array,
    gradients: Array,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Course {
    InverseTime { lr: f64, decay: f64, steps: u64, staircase: bool },
    Exponential { lr: f64, rate: f64, steps: u64, staircase: bool },
    Step { lr: f64, factor: f64, every: u64 },
    Piecewise { boundaries: Vec<u64>, values: Vec<f64> },
    Cosine { lr: f64, steps: u64, alpha: f64, warmup_target: Option<f64>, warmup_steps: Option<u64> },
}

#[derive(Debug, Deserialize)]
struct Rates {
    rates: Array,
    vector: Array,
}

impl Course {
    /// The learning rate that it begins with, and how it goes on.
    fn schedule(&self) -> (f64, Schedule) {
        match *self {
            Self::InverseTime { lr, decay, steps, staircase } => {
                (lr, Schedule::InverseTime { decay_steps: steps, decay_rate: decay, staircase })
            }
            Self::Exponential { lr, rate, steps, staircase } => {
                (lr, Schedule::Exponential { decay_steps: steps, decay_rate: rate, staircase })
            }
            Self::Step { lr, factor, every } => (lr, Schedule::Step { every, factor }),
            Self::Piecewise { ref boundaries, ref values } => {
                (1.0, Schedule::Piecewise { boundaries: boundaries.clone(), values: values.clone() })
            }
            Self::Cosine { lr, steps, alpha, warmup_target, warmup_steps } => {
                // The highest rate is the base of ours, the lowest that of Keras', if there is a warm-up.
                let top = warmup_target.unwrap_or(lr);
                let warmup_steps = warmup_steps.unwrap_or(0);
                (top, Schedule::Cosine { decay_steps: steps, alpha, warmup_steps, warmup_from: lr / top })
            }
        }
    }
}

#[test]
fn every_schedule_has_keras_learning_rates_and_sgd_follows_them() -> Result<()> {
    let reference = Reference::<Along, Course, Rates>::load("schedules");
    let Along { vector, gradients } = &reference.given;
    for (case, backend) in reference.on(&deterministic_backends::<f64>()) {
        let (lr, schedule) = case.settings.schedule();
        let optimizer = Optimizer::sgd(lr).schedule(schedule);
        let iterations = gradients.dims[0];
        let rates: Vec<f64> = (0..iterations as u64).map(|t| optimizer.learning_rate_at(t)).collect();
        case.expected.rates.assert_met(&format!("{}: rates", case.name), &rates);

        let mut g = Graph::new();
        let variable = g.variable("vector", &vector.dims, Initializer::Zeros)?;
        let gradient = g.placeholder("gradient", &[Some(vector.dims[0])])?;
        let step = optimizer.apply_gradients(&mut g, &[(gradient, variable)])?;
        let mut session = session_on(g, backend.clone(), 2)?;
        let id = session.graph().variable_of(variable).expect("a variable");
        session.set_variable(id, &vector.values, &vector.dims)?;
        for t in 0..iterations {
            session.run(&[step], &[(gradient, Feed::Floats(&gradients.at(t).values))])?;
        }
        let context = format!("{} on {backend:?}", case.name);
        case.expected.vector.assert_met(&context, session.variable(id).data());
    }
    Ok(())
}
