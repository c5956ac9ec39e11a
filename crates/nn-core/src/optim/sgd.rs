//! Gradient descent, with momentum if wanted.

use super::rule::{Formula, Number, Point, Range};
use crate::Result;
use crate::graph::{Graph, Node};

/// v ← μ v − lr g, w ← w + v; with Nesterov's look ahead w ← w + μ v − lr g. Without momentum w ← w − lr g.
///
/// ```
/// use nn_core::optim::{Optimizer, Sgd};
/// let optimizer: Optimizer = Sgd::new(0.1).momentum(0.9).nesterov(true).into();
/// assert_eq!(optimizer.name(), "sgd");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Sgd {
    /// lr
    pub learning_rate: f64,
    /// μ
    pub momentum: f64,
    /// Whether to look ahead along the momentum (Nesterov 1983, in the form that Keras has).
    pub nesterov: bool,
}

impl Sgd {
    /// Plain gradient descent.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, momentum: 0.0, nesterov: false }
    }

    /// With μ, from 0 to below 1.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With or without Nesterov's look ahead. It changes nothing without momentum.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }
}

impl Formula for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn numbers(&self) -> Vec<Number> {
        vec![Number::new("momentum", self.momentum, Range::Fraction)]
    }

    fn slots(&self) -> Vec<(&'static str, f64)> {
        if self.momentum == 0.0 { vec![] } else { vec![("momentum", 0.0)] }
    }

    fn step(&self, g: &mut Graph, at: &Point<'_>, updates: &mut Vec<Node>) -> Result<Node> {
        let step = g.mul(at.scale, at.gradient)?;
        if self.momentum == 0.0 {
            return g.sub(at.w, step);
        }
        let v = at.slot("momentum")?;
        let mu = g.scalar(self.momentum);
        let kept = g.mul(mu, v)?;
        let new_v = g.sub(kept, step)?;
        updates.push(g.assign(v, new_v)?);
        if !self.nesterov {
            return g.add(at.w, new_v);
        }
        let ahead = g.mul(mu, new_v)?;
        let moved = g.add(at.w, ahead)?;
        g.sub(moved, step)
    }
}
