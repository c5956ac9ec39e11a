//! What a layer does with its sums.

use super::{Layer, Mode, Variables, named, only};
use crate::Result;
use crate::graph::{Graph, Node, Shape};
use crate::ops::Activation;

/// The function at the end of a layer: an elementwise activation, or softmax over the last dimension.
///
/// ```
/// use nn_core::layers::Nonlinearity;
/// use nn_core::ops::Activation;
/// assert_eq!(Nonlinearity::from(Activation::Relu).name(), "relu");
/// assert_eq!(Nonlinearity::Softmax.name(), "softmax");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Nonlinearity {
    /// One number at a time.
    Elementwise(Activation),
    /// e^xⱼ / Σₖ e^xₖ, each row on its own.
    Softmax,
}

impl Nonlinearity {
    /// The name that people write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Elementwise(f) => f.name(),
            Self::Softmax => "softmax",
        }
    }

    /// f(x).
    ///
    /// # Errors
    /// If x does not hold floats, or, for softmax, is not a matrix.
    #[track_caller]
    pub fn of(self, g: &mut Graph, x: Node) -> Result<Node> {
        match self {
            Self::Elementwise(f) => g.activation(f, x),
            Self::Softmax => g.softmax(x),
        }
    }
}

impl From<Activation> for Nonlinearity {
    fn from(f: Activation) -> Self {
        Self::Elementwise(f)
    }
}

/// A layer that only applies an activation: f(x).
///
/// ```
/// use nn_core::layers::{Activate, Dense};
/// use nn_core::models::Sequential;
/// use nn_core::ops::Activation;
/// let model = Sequential::new(4).add(Dense::new(8)).add(Activate::new(Activation::Relu)).add(Dense::new(3));
/// assert_eq!(model.layers().len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Activate {
    f: Nonlinearity,
    name: Option<String>,
}

impl Activate {
    /// With this activation.
    pub fn new(f: impl Into<Nonlinearity>) -> Self {
        Self { f: f.into(), name: None }
    }

    named!();
}

impl Layer for Activate {
    fn class_name(&self) -> &'static str {
        "Activation"
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn create(&self, _: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
        only(self, inputs)?;
        Ok(Variables::default())
    }

    fn call(&self, g: &mut Graph, _: &Variables, inputs: &[Node], _: &mut Mode<'_>) -> Result<Vec<Node>> {
        Ok(vec![self.f.of(g, *only(self, inputs)?)?])
    }
}
