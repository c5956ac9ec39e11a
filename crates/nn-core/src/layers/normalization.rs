//! Batch normalisation.

use super::{Layer, Mode, Variables, apply_one, layer_label, named, only, own};
use crate::graph::{Graph, Keep, Node, Shape};
use crate::init::Initializer;
use crate::{Error, Result};

/// γ (x − μ) / √(σ² + ε) + β for each feature (Ioffe & Szegedy 2015). In training, μ and σ² are the batch's mean and (biased)
/// variance, and their moving averages m ← momentum · m + (1 − momentum) · batch are kept; in inference, μ and σ² are
/// those averages. x: \[None, features\].
///
/// A whole batch's mean is needed before any of its rows can go on, so training runs in several stages over the shards.
///
/// ```
/// use nn_core::layers::{Activate, BatchNormalization, Dense};
/// use nn_core::models::Sequential;
/// use nn_core::ops::Activation;
/// let model = Sequential::new(784)
///     .add(Dense::new(512))
///     .add(BatchNormalization::new().momentum(0.9))
///     .add(Activate::new(Activation::Relu))
///     .add(Dense::new(10));
/// # let _ = model;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNormalization {
    momentum: f64,
    epsilon: f64,
    name: Option<String>,
}

impl Default for BatchNormalization {
    /// Momentum 0.99, ε 0.001, as Keras has it.
    fn default() -> Self {
        Self { momentum: 0.99, epsilon: 0.001, name: None }
    }
}

impl BatchNormalization {
    /// With Keras' defaults: momentum 0.99, ε 0.001.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another momentum of the moving averages, 0 to below 1.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With another ε.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    named!();

    /// momentum · old + (1 − momentum) · new
    fn moved(&self, g: &mut Graph, old: Node, new: Node) -> Result<Node> {
        let (keep, take) = (g.scalar(self.momentum), g.scalar(1.0 - self.momentum));
        let kept = g.mul(keep, old)?;
        let taken = g.mul(take, new)?;
        g.add(kept, taken)
    }
}

/// The mean over the batch: \[None, n\] → \[n\].
fn batch_mean(g: &mut Graph, x: Node) -> Result<Node> {
    let sum = g.sum_keeping(x, Keep::Suffix(1))?;
    let elements = g.size(x);
    let features = g.scalar(g.shape(x).suffix(1).row_len() as f64);
    let rows = g.div(elements, features)?;
    g.div(sum, rows)
}

impl Layer for BatchNormalization {
    fn class_name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn create(&self, g: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
        let shape = only(self, inputs)?;
        let label = layer_label(self);
        if shape.rank() != 2 {
            return Err(Error::shape(format_args!(
                "{label}: found {shape}, expected a matrix [rows, features]; flatten it first"
            )));
        }
        let fits = (0.0..1.0).contains(&self.momentum) && self.epsilon.is_finite() && self.epsilon >= 0.0;
        if !fits {
            return Err(Error::invalid(format_args!(
                "{label}: expected a momentum from 0 to below 1 and a finite epsilon, 0 or greater; they are {} and {}",
                self.momentum, self.epsilon
            )));
        }
        let n = [shape.suffix(1).row_len()];
        let weights = vec![
            g.variable("gamma", &n, Initializer::Constant(1.0))?,
            g.variable("beta", &n, Initializer::Zeros)?,
            g.state("moving_mean", &n, Initializer::Zeros)?,
            g.state("moving_variance", &n, Initializer::Constant(1.0))?,
        ];
        Ok(Variables { weights, state: vec![] })
    }

    fn call(
        &self,
        g: &mut Graph,
        variables: &Variables,
        inputs: &[Node],
        mode: &mut Mode<'_>,
    ) -> Result<Vec<Node>> {
        let x = *only(self, inputs)?;
        let [gamma, beta, moving_mean, moving_variance] = own(self, &variables.weights)?;
        let (centred, variance) = match mode {
            Mode::Inference => (g.sub(x, moving_mean)?, moving_variance),
            Mode::Training(updates) => {
                let mean = batch_mean(g, x)?;
                let centred = g.sub(x, mean)?;
                let squared = g.square(centred)?;
                let variance = batch_mean(g, squared)?;
                for (moving, new) in [(moving_mean, mean), (moving_variance, variance)] {
                    let moved = self.moved(g, updates.latest(moving), new)?;
                    updates.set(moving, moved);
                }
                (centred, variance)
            }
        };
        let epsilon = g.scalar(self.epsilon);
        let shifted = g.add(variance, epsilon)?;
        let deviation = g.sqrt(shifted)?;
        let scale = g.div(gamma, deviation)?;
        let scaled = g.mul(centred, scale)?;
        Ok(vec![g.add(scaled, beta)?])
    }

    fn has_modes(&self) -> bool {
        true
    }
}

/// x normalised over the batch, feature by feature; see [`BatchNormalization`].
///
/// # Errors
/// If x is not a matrix of floats.
#[track_caller]
pub fn batch_normalization(g: &mut Graph, x: Node, mode: &mut Mode<'_>) -> Result<Node> {
    apply_one(&BatchNormalization::new(), g, x, mode)
}
