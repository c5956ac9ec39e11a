//! Optimizers: each is a formula, written as nodes of the graph. The executor makes one pass over memory of it.
//!
//! An [`Optimizer`] is a rule ([`Sgd`], [`RmsProp`], [`Adam`], [`AdamW`], [`Adagrad`]), a [`Schedule`] of its learning
//! rate, and a [`Clipping`] of the gradients if wanted.

mod adagrad;
mod adam;
mod adamw;
mod clip;
mod prepared;
mod rmsprop;
mod rule;
mod schedule;
mod sgd;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamw::AdamW;
pub use clip::Clipping;
pub use prepared::Prepared;
pub use rmsprop::RmsProp;
pub use rule::Rule;
pub use schedule::Schedule;
pub use sgd::Sgd;

use crate::Result;
use crate::graph::{Graph, Node};
use rule::{Number, Range};

/// How variables follow their gradients.
///
/// At each update the gradients are clipped, then the rule moves the variables; the rate is the schedule's.
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::init::Initializer;
/// use nn_core::optim::{Clipping, Optimizer, Schedule, Sgd};
/// let mut g = Graph::new();
/// let w = g.variable("w", &[3], Initializer::Constant(1.0))?;
/// let square = g.square(w)?;
/// let cost = g.reduce_sum(square)?;
/// let optimizer = Optimizer::from(Sgd::new(0.1).momentum(0.9))
///     .schedule(Schedule::Step { every: 1000, factor: 0.5 })
///     .clipping(Clipping::Norm(1.0));
/// let step = optimizer.minimize(&mut g, cost)?;
/// # let _ = step;
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Optimizer {
    rule: Rule,
    schedule: Schedule,
    clipping: Option<Clipping>,
}

/// `Optimizer::from(rule)`, at a constant rate and without clipping.
macro_rules! from_rules {
    ($($rule:ident)*) => { $(
        impl From<$rule> for Optimizer {
            fn from(rule: $rule) -> Self {
                Self { rule: Rule::$rule(rule), schedule: Schedule::Constant, clipping: None }
            }
        }
    )* };
}

from_rules!(Sgd RmsProp Adam AdamW Adagrad);

impl Optimizer {
    /// Plain gradient descent; [`Sgd`] has its options.
    pub fn sgd(learning_rate: f64) -> Self {
        Sgd::new(learning_rate).into()
    }

    /// RMSprop with Keras' defaults; [`RmsProp`] has its options.
    pub fn rmsprop(learning_rate: f64) -> Self {
        RmsProp::new(learning_rate).into()
    }

    /// Adam with Keras' defaults; [`Adam`] has its options.
    pub fn adam(learning_rate: f64) -> Self {
        Adam::new(learning_rate).into()
    }

    /// AdamW with Keras' defaults; [`AdamW`] has its options.
    pub fn adamw(learning_rate: f64) -> Self {
        AdamW::new(learning_rate).into()
    }

    /// Adagrad with Keras' defaults; [`Adagrad`] has its options.
    pub fn adagrad(learning_rate: f64) -> Self {
        Adagrad::new(learning_rate).into()
    }

    /// With a learning rate that follows `schedule`.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// With a learning rate of lr / (1 + decay · i), i being the number of updates made before: inverse time.
    #[must_use]
    pub fn decay(self, decay: f64) -> Self {
        self.schedule(if decay == 0.0 {
            Schedule::Constant
        } else {
            Schedule::InverseTime { decay_steps: 1, decay_rate: decay, staircase: false }
        })
    }

    /// With gradients that are limited first.
    #[must_use]
    pub fn clipping(self, clipping: Clipping) -> Self {
        Self { clipping: Some(clipping), ..self }
    }

    /// The name used for its variables and in messages.
    pub fn name(&self) -> &'static str {
        self.rule.formula().name()
    }

    /// The rule, with its numbers.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// How the learning rate goes on.
    pub fn scheduled(&self) -> &Schedule {
        &self.schedule
    }

    /// How gradients are limited, if they are.
    pub fn clips(&self) -> Option<Clipping> {
        self.clipping
    }

    /// The learning rate that it begins with, before the schedule.
    pub fn learning_rate(&self) -> f64 {
        self.rule.formula().learning_rate()
    }

    /// The learning rate of the update that follows `iteration` others, as long as nobody changes the variable.
    pub fn learning_rate_at(&self, iteration: u64) -> f64 {
        self.schedule.rate_at(self.learning_rate(), iteration)
    }

    /// The numbers of the rule by name, the learning rate first.
    ///
    /// ```
    /// use nn_core::optim::{Optimizer, Sgd};
    /// let optimizer = Optimizer::from(Sgd::new(0.1).momentum(0.9));
    /// assert_eq!(optimizer.hyper_parameters(), [("learning rate", 0.1), ("momentum", 0.9)]);
    /// ```
    pub fn hyper_parameters(&self) -> Vec<(&'static str, f64)> {
        self.numbers().into_iter().map(|number| (number.name, number.value)).collect()
    }

    fn numbers(&self) -> Vec<Number> {
        let rate = Number::new("learning rate", self.learning_rate(), Range::NotNegative);
        [rate].into_iter().chain(self.rule.formula().numbers()).collect()
    }

    fn check(&self) -> Result<()> {
        let name = self.name();
        self.numbers().iter().try_for_each(|number| number.check(name))?;
        self.schedule.check(name)?;
        self.clipping.map_or(Ok(()), |clipping| clipping.check(name))
    }

    /// A node that, when run, moves every trainable variable one step down the gradient of `cost`.
    ///
    /// # Errors
    /// If a hyper-parameter is out of range, or the cost can't be differentiated.
    pub fn minimize(&self, g: &mut Graph, cost: Node) -> Result<Node> {
        self.minimize_over(g, cost, &trainable(g))
    }

    /// A node that, when run, moves the variables `vars` alone one step down the gradient of `cost`.
    ///
    /// # Errors
    /// If a hyper-parameter is out of range, if one of `vars` is no variable or comes twice, or if the cost can't be
    /// differentiated.
    pub fn minimize_over(&self, g: &mut Graph, cost: Node, vars: &[Node]) -> Result<Node> {
        let gradients = g.gradients(cost, vars)?;
        let pairs: Vec<(Node, Node)> = gradients.into_iter().zip(vars.iter().copied()).collect();
        self.apply_gradients(g, &pairs)
    }

    /// (gradient, variable) for each trainable variable.
    ///
    /// # Errors
    /// If the cost can't be differentiated.
    pub fn compute_gradients(&self, g: &mut Graph, cost: Node) -> Result<Vec<(Node, Node)>> {
        let vars = trainable(g);
        Ok(g.gradients(cost, &vars)?.into_iter().zip(vars).collect())
    }

    /// A node that, when run, updates each variable of the (gradient, variable) pairs.
    ///
    /// # Errors
    /// If a hyper-parameter is out of range, or a pair does not fit.
    pub fn apply_gradients(&self, g: &mut Graph, pairs: &[(Node, Node)]) -> Result<Node> {
        let vars: Vec<Node> = pairs.iter().map(|&(_, variable)| variable).collect();
        self.prepare(g, &vars)?.apply(g, pairs)
    }

    /// Gives the optimizer its variables: the learning rate, the count of updates, and what it remembers of each of
    /// `vars`.
    ///
    /// # Errors
    /// If a hyper-parameter is out of range, or if one of `vars` is no variable or comes twice.
    pub fn prepare(&self, g: &mut Graph, vars: &[Node]) -> Result<Prepared> {
        Prepared::new(self.clone(), g, vars)
    }
}

/// The variables that optimizers change, in the order of creation.
fn trainable(g: &Graph) -> Vec<Node> {
    g.variables().iter().filter(|v| v.trainable).map(|v| v.node).collect()
}
