//! RMSprop.

use super::rule::{Formula, Number, Point, Range, moving_average};
use crate::Result;
use crate::graph::{Graph, Node};

/// v ← ρ v + (1 − ρ) g², w ← w − lr g / √(v + ε) (Hinton 2012; ε under the root, as Keras 3 has it).
///
/// Centered, the mean is taken off: a ← ρ a + (1 − ρ) g, and √(v − a² + ε) stands in place of the root. With momentum,
/// m ← μ m + lr g / √…, w ← w − m.
///
/// ```
/// use nn_core::optim::{Optimizer, RmsProp};
/// let optimizer = Optimizer::from(RmsProp::new(0.001).rho(0.95).momentum(0.5).centered(true));
/// assert_eq!(optimizer.name(), "rmsprop");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RmsProp {
    /// lr
    pub learning_rate: f64,
    /// ρ
    pub rho: f64,
    /// μ
    pub momentum: f64,
    /// ε
    pub epsilon: f64,
    /// Whether to divide by the gradient's standard deviation in place of its root mean square.
    pub centered: bool,
}

impl RmsProp {
    /// With Keras' defaults: ρ = 0.9, no momentum, ε = 1e-7, not centered.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false }
    }

    /// With ρ, from 0 to below 1.
    #[must_use]
    pub fn rho(self, rho: f64) -> Self {
        Self { rho, ..self }
    }

    /// With μ, from 0 to below 1.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With ε, 0 or greater.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Whether to take off the mean.
    #[must_use]
    pub fn centered(self, centered: bool) -> Self {
        Self { centered, ..self }
    }
}

impl Formula for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn numbers(&self) -> Vec<Number> {
        vec![
            Number::new("rho", self.rho, Range::Fraction),
            Number::new("momentum", self.momentum, Range::Fraction),
            Number::new("epsilon", self.epsilon, Range::NotNegative),
        ]
    }

    fn slots(&self) -> Vec<(&'static str, f64)> {
        let momentum = (self.momentum != 0.0).then_some(("momentum", 0.0));
        let average = self.centered.then_some(("average_gradient", 0.0));
        [Some(("velocity", 0.0)), momentum, average].into_iter().flatten().collect()
    }

    fn step(&self, g: &mut Graph, at: &Point<'_>, updates: &mut Vec<Node>) -> Result<Node> {
        let v = at.slot("velocity")?;
        let squared = g.square(at.gradient)?;
        let new_v = moving_average(g, self.rho, v, squared)?;
        updates.push(g.assign(v, new_v)?);
        let mut spread = new_v;
        if self.centered {
            let a = at.slot("average_gradient")?;
            let new_a = moving_average(g, self.rho, a, at.gradient)?;
            updates.push(g.assign(a, new_a)?);
            let squared = g.square(new_a)?;
            spread = g.sub(new_v, squared)?;
        }
        let epsilon = g.scalar(self.epsilon);
        let shifted = g.add(spread, epsilon)?;
        let root = g.sqrt(shifted)?;
        let direction = g.div(at.gradient, root)?;
        let mut step = g.mul(at.scale, direction)?;
        if self.momentum != 0.0 {
            let m = at.slot("momentum")?;
            let mu = g.scalar(self.momentum);
            let kept = g.mul(mu, m)?;
            step = g.add(step, kept)?;
            updates.push(g.assign(m, step)?);
        }
        g.sub(at.w, step)
    }
}
