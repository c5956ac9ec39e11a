//! Layers: functions that build graph, and nothing else.

use crate::graph::{Graph, Node};
use crate::init::Initializer;
use crate::ops::Activation;
use crate::{Error, Result};

/// A fully connected layer: f(x · W + b) for x: \[None, in\], W: \[in, units\], b: \[units\].
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::layers::Dense;
/// use nn_core::ops::Activation;
/// let mut g = Graph::new();
/// let x = g.placeholder("x", &[None, Some(784)])?;
/// let hidden = Dense::new(512).activation(Activation::Tanh).build(&mut g, x)?;
/// assert_eq!(g.shape(hidden.output).to_string(), "[None, 512]");
/// assert_eq!(g.node(hidden.kernel).name, "dense/kernel");
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    units: usize,
    activation: Activation,
    kernel: Initializer,
    bias: Initializer,
    l1: f64,
    l2: f64,
}

/// The nodes that a [`Dense`] layer built.
#[derive(Debug, Clone, Copy)]
pub struct DenseNodes {
    /// f(x · W + b)
    pub output: Node,
    /// W
    pub kernel: Node,
    /// b
    pub bias: Node,
    /// l1 · Σ |W| + l2 · Σ W², to be added to the loss; none if both are 0.
    pub penalty: Option<Node>,
}

impl Dense {
    /// A layer of `units` units: linear, kernel Glorot uniform, bias zero, as Keras has it.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            activation: Activation::Linear,
            kernel: Initializer::GlorotUniform,
            bias: Initializer::Zeros,
            l1: 0.0,
            l2: 0.0,
        }
    }

    /// With the activation f.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// With another initialiser for W.
    #[must_use]
    pub fn kernel_initializer(self, kernel: Initializer) -> Self {
        Self { kernel, ..self }
    }

    /// With another initialiser for b.
    #[must_use]
    pub fn bias_initializer(self, bias: Initializer) -> Self {
        Self { bias, ..self }
    }

    /// With the kernel regulariser l1 · Σ |W| + l2 · Σ W².
    #[must_use]
    pub fn regularizer(self, l1: f64, l2: f64) -> Self {
        Self { l1, l2, ..self }
    }

    /// Adds the layer to the graph, under the scope `dense` (`dense_1`, `dense_2`, …).
    ///
    /// # Errors
    /// If `x` is not a matrix with a known number of columns, if there are no units, or if an initialiser does not fit.
    #[track_caller]
    pub fn build(&self, g: &mut Graph, x: Node) -> Result<DenseNodes> {
        let shape = g.shape(x);
        if shape.rank() != 2 || self.units == 0 {
            return Err(Error::shape(format_args!(
                "dense: {} units over {shape}: expected 1 or more units over a matrix [rows, features]; flatten it first",
                self.units
            )));
        }
        if let Some(bad) = [self.l1, self.l2].into_iter().find(|l| !(l.is_finite() && *l >= 0.0)) {
            return Err(Error::invalid(format_args!(
                "dense: l1 and l2 must be finite and not negative, one is {bad}"
            )));
        }
        let features = shape.suffix(1).row_len();
        g.scope("dense", |g| {
            let kernel = g.variable("kernel", &[features, self.units], self.kernel.clone())?;
            let bias = g.variable("bias", &[self.units], self.bias.clone())?;
            let product = g.matmul(x, kernel)?;
            let sum = g.add(product, bias)?;
            let output = g.activation(self.activation, sum)?;
            let penalty = self.penalty(g, kernel)?;
            Ok(DenseNodes { output, kernel, bias, penalty })
        })
    }

    fn penalty(&self, g: &mut Graph, kernel: Node) -> Result<Option<Node>> {
        let mut terms = Vec::new();
        if self.l1 > 0.0 {
            let size = g.abs(kernel)?;
            terms.push((self.l1, size));
        }
        if self.l2 > 0.0 {
            let square = g.square(kernel)?;
            terms.push((self.l2, square));
        }
        let mut total = None;
        for (factor, term) in terms {
            let factor = g.scalar(factor);
            let sum = g.reduce_sum(term)?;
            let scaled = g.mul(factor, sum)?;
            total = Some(match total {
                Some(total) => g.add(total, scaled)?,
                None => scaled,
            });
        }
        Ok(total)
    }
}

/// The fraction of rows whose largest logit is at their class: logits \[None, classes\], labels int \[None\] → scalar.
///
/// # Errors
/// If the shapes don't fit.
#[track_caller]
pub fn accuracy(g: &mut Graph, logits: Node, labels: Node) -> Result<Node> {
    use crate::graph::DType;
    let predicted = g.argmax(logits)?;
    let right = g.equal(predicted, labels)?;
    let right = g.cast(right, DType::Float);
    g.reduce_mean(right)
}
