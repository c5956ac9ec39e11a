//! Adam.

use super::rule::{Formula, Number, Point, Range, moving_average};
use crate::Result;
use crate::graph::{Graph, Node};

/// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², w ← w − lr √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε), where t is the
/// number of updates including this one (Kingma & Ba 2015; ε as Keras has it).
///
/// ```
/// use nn_core::optim::{Adam, Optimizer};
/// let optimizer = Optimizer::from(Adam::new(0.001).beta_2(0.99));
/// assert_eq!(optimizer.name(), "adam");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Adam {
    /// lr
    pub learning_rate: f64,
    /// β₁
    pub beta_1: f64,
    /// β₂
    pub beta_2: f64,
    /// ε
    pub epsilon: f64,
}

impl Adam {
    /// With Keras' defaults: β₁ = 0.9, β₂ = 0.999, ε = 1e-7.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }

    /// With β₁, from 0 to below 1.
    #[must_use]
    pub fn beta_1(self, beta_1: f64) -> Self {
        Self { beta_1, ..self }
    }

    /// With β₂, from 0 to below 1.
    #[must_use]
    pub fn beta_2(self, beta_2: f64) -> Self {
        Self { beta_2, ..self }
    }

    /// With ε, 0 or greater.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// `from` less the step.
    pub(super) fn descend(
        &self,
        g: &mut Graph,
        from: Node,
        at: &Point<'_>,
        updates: &mut Vec<Node>,
    ) -> Result<Node> {
        let (m, v) = (at.slot("momentum")?, at.slot("velocity")?);
        let new_m = moving_average(g, self.beta_1, m, at.gradient)?;
        let squared = g.square(at.gradient)?;
        let new_v = moving_average(g, self.beta_2, v, squared)?;
        updates.push(g.assign(m, new_m)?);
        updates.push(g.assign(v, new_v)?);
        let root = g.sqrt(new_v)?;
        let epsilon = g.scalar(self.epsilon);
        let shifted = g.add(root, epsilon)?;
        let direction = g.div(new_m, shifted)?;
        let step = g.mul(at.scale, direction)?;
        g.sub(from, step)
    }
}

impl Formula for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn numbers(&self) -> Vec<Number> {
        vec![
            Number::new("beta 1", self.beta_1, Range::Fraction),
            Number::new("beta 2", self.beta_2, Range::Fraction),
            Number::new("epsilon", self.epsilon, Range::NotNegative),
        ]
    }

    fn slots(&self) -> Vec<(&'static str, f64)> {
        vec![("momentum", 0.0), ("velocity", 0.0)]
    }

    /// lr √(1 − β₂ᵗ) / (1 − β₁ᵗ): the moments begin at 0, which this makes up for.
    fn scale(&self, g: &mut Graph, rate: Node, t: Node) -> Result<Node> {
        let one = g.scalar(1.0);
        let mut remaining = |beta: f64| -> Result<Node> {
            let beta = g.scalar(beta);
            let power = g.pow(beta, t)?;
            g.sub(one, power)
        };
        let (first, second) = (remaining(self.beta_1)?, remaining(self.beta_2)?);
        let root = g.sqrt(second)?;
        let scaled = g.mul(rate, root)?;
        g.div(scaled, first)
    }

    fn step(&self, g: &mut Graph, at: &Point<'_>, updates: &mut Vec<Node>) -> Result<Node> {
        self.descend(g, at.w, at, updates)
    }
}
