//! The fully connected layer.

use super::activation::Nonlinearity;
use super::penalty::{Penalty, add_to};
use super::{Layer, Mode, Variables, apply, apply_one, layer_label, named, only, own};
use crate::graph::{Graph, Node, Shape};
use crate::init::Initializer;
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
    activation: Nonlinearity,
    kernel: Initializer,
    bias: Initializer,
    kernel_penalty: Penalty,
    bias_penalty: Penalty,
    name: Option<String>,
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
    /// What the regularisers of kernel and bias add to the loss; none if there are none.
    pub penalty: Option<Node>,
}

impl Dense {
    /// A layer of `units` units: linear, kernel Glorot uniform, bias zero, as Keras has it.
    pub fn new(units: usize) -> Self {
        Self {
            units,
            activation: crate::ops::Activation::Linear.into(),
            kernel: Initializer::GlorotUniform,
            bias: Initializer::Zeros,
            kernel_penalty: Penalty::default(),
            bias_penalty: Penalty::default(),
            name: None,
        }
    }

    /// With the activation f.
    #[must_use]
    pub fn activation(self, activation: impl Into<Nonlinearity>) -> Self {
        Self { activation: activation.into(), ..self }
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
        Self { kernel_penalty: Penalty { l1, l2 }, ..self }
    }

    /// With the bias regulariser l1 · Σ |b| + l2 · Σ b².
    #[must_use]
    pub fn bias_regularizer(self, l1: f64, l2: f64) -> Self {
        Self { bias_penalty: Penalty { l1, l2 }, ..self }
    }

    named!();

    /// Adds the layer to the graph, under the scope `dense` (`dense_1`, `dense_2`, …).
    ///
    /// # Errors
    /// If `x` is not a matrix with a known number of columns, if there are no units, or if an initialiser does not fit.
    #[track_caller]
    pub fn build(&self, g: &mut Graph, x: Node) -> Result<DenseNodes> {
        let (variables, outputs) = apply(self, g, &[x], &mut Mode::Inference)?;
        let [kernel, bias] = own(self, &variables.weights)?;
        let penalties = (self.kernel_penalty.of(g, kernel)?, self.bias_penalty.of(g, bias)?);
        let penalty = add_to(g, penalties.0, penalties.1)?;
        Ok(DenseNodes { output: *only(self, &outputs)?, kernel, bias, penalty })
    }
}

impl Layer for Dense {
    fn class_name(&self) -> &'static str {
        "Dense"
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn create(&self, g: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
        let shape = only(self, inputs)?;
        let label = layer_label(self);
        if shape.rank() != 2 || self.units == 0 {
            return Err(Error::shape(format_args!(
                "{label}: {} units over {shape}: expected 1 or more units over a matrix [rows, features]; flatten it first",
                self.units
            )));
        }
        self.kernel_penalty.check(&label)?;
        self.bias_penalty.check(&label)?;
        let features = shape.suffix(1).row_len();
        let kernel = g.variable("kernel", &[features, self.units], self.kernel.clone())?;
        let bias = g.variable("bias", &[self.units], self.bias.clone())?;
        Ok(Variables { weights: vec![kernel, bias], state: vec![] })
    }

    fn call(
        &self,
        g: &mut Graph,
        variables: &Variables,
        inputs: &[Node],
        _: &mut Mode<'_>,
    ) -> Result<Vec<Node>> {
        let [kernel, bias] = own(self, &variables.weights)?;
        let product = g.matmul(*only(self, inputs)?, kernel)?;
        let sum = g.add(product, bias)?;
        Ok(vec![self.activation.of(g, sum)?])
    }

    fn penalties(&self, g: &mut Graph, variables: &Variables) -> Result<Vec<Node>> {
        let [kernel, bias] = own(self, &variables.weights)?;
        let kernel = self.kernel_penalty.of(g, kernel)?;
        let bias = self.bias_penalty.of(g, bias)?;
        Ok(kernel.into_iter().chain(bias).collect())
    }
}

/// f(x · W + b) with new variables W and b: x: \[None, in\] → \[None, units\]. See [`Dense`] for initialisers and
/// regularisers.
///
/// # Errors
/// If `x` is not a matrix with a known number of columns, or if there are no units.
#[track_caller]
pub fn dense(g: &mut Graph, x: Node, units: usize, activation: impl Into<Nonlinearity>) -> Result<Node> {
    apply_one(&Dense::new(units).activation(activation), g, x, &mut Mode::Inference)
}
