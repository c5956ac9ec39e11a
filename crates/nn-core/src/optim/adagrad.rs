//! Adagrad.

use super::rule::{Formula, Number, Point, Range};
use crate::Result;
use crate::graph::{Graph, Node};

/// a ← a + g², w ← w − lr g / √(a + ε) (Duchi, Hazan & Singer 2011; ε under the root, as Keras 3 has it). a begins at
/// the initial accumulator.
///
/// ```
/// use nn_core::optim::{Adagrad, Optimizer};
/// let optimizer = Optimizer::from(Adagrad::new(0.01).initial_accumulator(0.0));
/// assert_eq!(optimizer.name(), "adagrad");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Adagrad {
    /// lr
    pub learning_rate: f64,
    /// What a begins at.
    pub initial_accumulator: f64,
    /// ε
    pub epsilon: f64,
}

impl Adagrad {
    /// With Keras' defaults: an initial accumulator of 0.1, ε = 1e-7.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, initial_accumulator: 0.1, epsilon: 1e-7 }
    }

    /// With another beginning of a, 0 or greater.
    #[must_use]
    pub fn initial_accumulator(self, initial_accumulator: f64) -> Self {
        Self { initial_accumulator, ..self }
    }

    /// With ε, 0 or greater.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }
}

impl Formula for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn numbers(&self) -> Vec<Number> {
        vec![
            Number::new("initial accumulator", self.initial_accumulator, Range::NotNegative),
            Number::new("epsilon", self.epsilon, Range::NotNegative),
        ]
    }

    fn slots(&self) -> Vec<(&'static str, f64)> {
        vec![("accumulator", self.initial_accumulator)]
    }

    fn step(&self, g: &mut Graph, at: &Point<'_>, updates: &mut Vec<Node>) -> Result<Node> {
        let a = at.slot("accumulator")?;
        let squared = g.square(at.gradient)?;
        let new_a = g.add(a, squared)?;
        updates.push(g.assign(a, new_a)?);
        let epsilon = g.scalar(self.epsilon);
        let shifted = g.add(new_a, epsilon)?;
        let root = g.sqrt(shifted)?;
        let direction = g.div(at.gradient, root)?;
        let step = g.mul(at.scale, direction)?;
        g.sub(at.w, step)
    }
}
