//! Adam with decoupled weight decay.

use super::adam::Adam;
use super::rule::{Formula, Number, Point, Range};
use crate::Result;
use crate::graph::{Graph, Node};

/// w ← w − w λ lr, then Adam's step from there (Loshchilov & Hutter 2019). λ is the weight decay and lr the learning
/// rate as scheduled; as in Keras 3, every variable decays, biases too, and the step does not depend on λ.
///
/// ```
/// use nn_core::optim::{AdamW, Optimizer};
/// let optimizer = Optimizer::from(AdamW::new(0.001).weight_decay(0.01).beta_2(0.99));
/// assert_eq!(optimizer.name(), "adamw");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AdamW {
    /// Adam's numbers, lr among them.
    pub adam: Adam,
    /// λ
    pub weight_decay: f64,
}

impl AdamW {
    /// With Keras' defaults: λ = 0.004, and [those of Adam](Adam::new).
    pub fn new(learning_rate: f64) -> Self {
        Self { adam: Adam::new(learning_rate), weight_decay: 0.004 }
    }

    /// With λ, 0 or greater.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// With β₁, from 0 to below 1.
    #[must_use]
    pub fn beta_1(self, beta_1: f64) -> Self {
        Self { adam: self.adam.beta_1(beta_1), ..self }
    }

    /// With β₂, from 0 to below 1.
    #[must_use]
    pub fn beta_2(self, beta_2: f64) -> Self {
        Self { adam: self.adam.beta_2(beta_2), ..self }
    }

    /// With ε, 0 or greater.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { adam: self.adam.epsilon(epsilon), ..self }
    }
}

impl Formula for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn learning_rate(&self) -> f64 {
        self.adam.learning_rate
    }

    fn numbers(&self) -> Vec<Number> {
        let mut numbers = self.adam.numbers();
        numbers.push(Number::new("weight decay", self.weight_decay, Range::NotNegative));
        numbers
    }

    fn slots(&self) -> Vec<(&'static str, f64)> {
        self.adam.slots()
    }

    fn scale(&self, g: &mut Graph, rate: Node, t: Node) -> Result<Node> {
        self.adam.scale(g, rate, t)
    }

    fn step(&self, g: &mut Graph, at: &Point<'_>, updates: &mut Vec<Node>) -> Result<Node> {
        let lambda = g.scalar(self.weight_decay);
        let share = g.mul(at.w, lambda)?;
        let decay = g.mul(share, at.rate)?;
        let decayed = g.sub(at.w, decay)?;
        self.adam.descend(g, decayed, at, updates)
    }
}
