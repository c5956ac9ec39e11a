//! Dropout.

use super::{Layer, Mode, Variables, apply_one, layer_label, named, only, own};
use crate::graph::{DType, Graph, Node, Shape};
use crate::init::Initializer;
use crate::{Error, Result};

/// In training, each number is 0 with probability `rate` and scaled by 1 / (1 − rate) otherwise, so that means stay what they
/// are (Srivastava et al. 2014, scaled as Keras does); in inference, nothing happens.
///
/// Which numbers drop is a function of the session's seed, the layer, the training step and the row's place in the batch: the
/// same on any number of threads, and after training was stopped and resumed.
///
/// ```
/// use nn_core::layers::{Dense, Dropout};
/// use nn_core::models::Sequential;
/// let model = Sequential::new(784).add(Dense::new(512)).add(Dropout::new(0.5)).add(Dense::new(10));
/// # let _ = model;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dropout {
    rate: f64,
    name: Option<String>,
}

impl Dropout {
    /// Drops the share `rate`, 0 to below 1.
    pub fn new(rate: f64) -> Self {
        Self { rate, name: None }
    }

    named!();
}

impl Layer for Dropout {
    fn class_name(&self) -> &'static str {
        "Dropout"
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn create(&self, g: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
        only(self, inputs)?;
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::invalid(format_args!(
                "{}: the rate must be from 0 to below 1, it is {}",
                layer_label(self),
                self.rate
            )));
        }
        // How many steps were made: what tells one step's random numbers from the next one's.
        let steps = g.state("steps", &[], Initializer::Zeros)?;
        Ok(Variables { weights: vec![], state: vec![steps] })
    }

    fn call(
        &self,
        g: &mut Graph,
        variables: &Variables,
        inputs: &[Node],
        mode: &mut Mode<'_>,
    ) -> Result<Vec<Node>> {
        let x = *only(self, inputs)?;
        let Mode::Training(updates) = mode else { return Ok(vec![x]) };
        if self.rate == 0.0 {
            return Ok(vec![x]);
        }
        let [steps] = own(self, &variables.state)?;
        let uniform = g.uniform_like(x, steps)?;
        let rate = g.scalar(self.rate);
        let kept = g.greater_equal(uniform, rate)?;
        let kept = g.cast(kept, DType::Float);
        let scale = g.scalar(1.0 / (1.0 - self.rate));
        let scaled = g.mul(x, scale)?;
        let one = g.scalar(1.0);
        let next = g.add(steps, one)?;
        updates.set(steps, next);
        Ok(vec![g.mul(scaled, kept)?])
    }

    fn has_modes(&self) -> bool {
        self.rate > 0.0
    }
}

/// x with the share `rate` of its numbers dropped, in training.
///
/// # Errors
/// If the rate is not from 0 to below 1, or x does not hold floats.
#[track_caller]
pub fn dropout(g: &mut Graph, x: Node, rate: f64, mode: &mut Mode<'_>) -> Result<Node> {
    apply_one(&Dropout::new(rate), g, x, mode)
}
