//! Layers: functions that build graph, and nothing else.
//!
//! The functions [`dense`](dense()), [`dropout`](dropout()), [`flatten`](flatten()), … add one layer each to a graph. The types of the same names
//! are what those functions are made of, with every option, and what models are made of:
//!
//! ```
//! use nn_core::graph::{DType, Graph};
//! use nn_core::layers::{self, Mode, Nonlinearity, Updates};
//! use nn_core::losses::Loss;
//! use nn_core::ops::Activation;
//! let mut g = Graph::new();
//! let x = g.placeholder("x", &[None, Some(28), Some(28)])?;
//! let y = g.typed_placeholder("y", &[None], DType::Int)?;
//! let mut updates = Updates::default();
//! let flat = layers::flatten(&mut g, x)?;
//! let hidden = layers::dense(&mut g, flat, 512, Activation::Tanh)?;
//! let hidden = layers::dropout(&mut g, hidden, 0.2, &mut Mode::Training(&mut updates))?;
//! let digits = layers::dense(&mut g, hidden, 10, Nonlinearity::Softmax)?;
//! let loss = Loss::SparseCategoricalCrossEntropy.mean(&mut g, digits, y)?;
//! assert_eq!(g.shape(digits).to_string(), "[None, 10]");
//! # let _ = loss;
//! # Ok::<(), nn_core::Error>(())
//! ```

mod activation;
mod dense;
mod dropout;
mod merge;
mod normalization;
mod penalty;
mod reshape;

use std::fmt;

pub use activation::{Activate, Nonlinearity};
pub use dense::{Dense, DenseNodes, dense};
pub use dropout::{Dropout, dropout};
pub use merge::{Add, Concatenate, add, concatenate};
pub use normalization::{BatchNormalization, batch_normalization};
pub use penalty::Penalty;
pub use reshape::{Flatten, flatten};

use crate::graph::{Graph, Node, Shape};
use crate::{Error, Result};

/// A layer: it creates its variables once, for inputs of given shapes, and builds its value as often as it is called.
/// What is called twice shares its variables.
///
/// ```
/// use nn_core::Result;
/// use nn_core::graph::{Graph, Node, Shape};
/// use nn_core::init::Initializer;
/// use nn_core::layers::{Layer, Mode, Variables};
///
/// /// x · s, with one scale s for each feature.
/// #[derive(Debug)]
/// struct Scale;
///
/// impl Layer for Scale {
///     fn class_name(&self) -> &'static str {
///         "Scale"
///     }
///     fn create(&self, g: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
///         let s = g.variable("scale", &[inputs[0].row_len()], Initializer::Constant(1.0))?;
///         Ok(Variables { weights: vec![s], state: vec![] })
///     }
///     fn call(&self, g: &mut Graph, own: &Variables, inputs: &[Node], _: &mut Mode<'_>) -> Result<Vec<Node>> {
///         Ok(vec![g.mul(inputs[0], own.weights[0])?])
///     }
/// }
/// ```
pub trait Layer: fmt::Debug + Send + Sync {
    /// What kind of layer this is, as Keras calls it: `Dense`. The default name is made of it: `dense`, `dense_1`, ….
    fn class_name(&self) -> &'static str;

    /// The name that was given to this layer, if one was.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Adds the layer's variables to the graph, in the scope that is open.
    ///
    /// # Errors
    /// If the layer can't work on inputs of these shapes.
    fn create(&self, g: &mut Graph, inputs: &[Shape]) -> Result<Variables>;

    /// Adds the layer's value for `inputs` to the graph: one node for each output.
    ///
    /// # Errors
    /// If the inputs don't fit.
    fn call(&self, g: &mut Graph, own: &Variables, inputs: &[Node], mode: &mut Mode<'_>)
    -> Result<Vec<Node>>;

    /// What the layer's regularisers add to the loss: scalars, none if it has none.
    ///
    /// # Errors
    /// If they can't be built.
    fn penalties(&self, g: &mut Graph, own: &Variables) -> Result<Vec<Node>> {
        let _ = (g, own);
        Ok(Vec::new())
    }

    /// Whether training and inference are different functions.
    fn has_modes(&self) -> bool {
        false
    }
}

/// The variables of a layer.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// What is learnt, and statistics that are saved with it, in Keras' order: kernel, bias, ….
    pub weights: Vec<Node>,
    /// What is no weight: counters that random numbers are drawn by.
    pub state: Vec<Node>,
}

/// What a layer is called for.
#[derive(Debug)]
pub enum Mode<'u> {
    /// To learn: dropout drops, batch normalisation uses the batch's own statistics; what is to be remembered of the batch
    /// goes into the updates.
    Training(&'u mut Updates),
    /// To predict.
    Inference,
}

/// New values of variables that a training step sets beside those that the optimizer changes. Each call of a layer starts
/// from what the calls before it left.
#[derive(Debug, Default)]
pub struct Updates(Vec<(Node, Node)>);

impl Updates {
    /// The value that `variable` will have as things stand.
    pub fn latest(&self, variable: Node) -> Node {
        self.0.iter().find(|(v, _)| *v == variable).map_or(variable, |(_, value)| *value)
    }

    /// Gives `variable` a new value.
    pub fn set(&mut self, variable: Node, value: Node) {
        match self.0.iter_mut().find(|(v, _)| *v == variable) {
            Some((_, latest)) => *latest = value,
            None => self.0.push((variable, value)),
        }
    }

    /// The assignments, to be run with each training step.
    ///
    /// # Errors
    /// If a value does not fit its variable.
    pub fn assign(&self, g: &mut Graph) -> Result<Vec<Node>> {
        self.0.iter().map(|&(variable, value)| g.assign(variable, value)).collect()
    }
}

/// `BatchNormalization` → `batch_normalization`.
pub fn snake_case(class_name: &str) -> String {
    let mut name = String::with_capacity(class_name.len() + 4);
    for (i, c) in class_name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// Adds a layer to the graph under a scope of its name: creates its variables and calls it once. Returns the variables and
/// the outputs.
///
/// # Errors
/// If the layer can't work on these inputs.
#[track_caller]
pub fn apply(
    layer: &dyn Layer,
    g: &mut Graph,
    inputs: &[Node],
    mode: &mut Mode<'_>,
) -> Result<(Variables, Vec<Node>)> {
    let name = layer.name().map_or_else(|| snake_case(layer.class_name()), str::to_owned);
    let shapes: Vec<Shape> = inputs.iter().map(|&x| g.shape(x)).collect();
    g.composite(&name, |g| {
        let own = layer.create(g, &shapes).map_err(|error| g.located(error))?;
        let outputs = layer.call(g, &own, inputs, mode).map_err(|error| g.located(error))?;
        Ok((own, outputs))
    })
}

/// The same for a layer with one input and one output.
#[track_caller]
fn apply_one(layer: &dyn Layer, g: &mut Graph, x: Node, mode: &mut Mode<'_>) -> Result<Node> {
    let (_, outputs) = apply(layer, g, &[x], mode)?;
    only(layer, &outputs).copied()
}

/// The single element of what a layer was given or gave.
pub(crate) fn only<'a, E>(layer: &dyn Layer, all: &'a [E]) -> Result<&'a E> {
    match all {
        [one] => Ok(one),
        _ => Err(Error::shape(format_args!(
            "{}: expected one input, found {}; merge them with Concatenate or Add",
            layer_label(layer),
            all.len()
        ))),
    }
}

/// The variables of a layer, as many as it creates.
pub(crate) fn own<const N: usize>(layer: &dyn Layer, variables: &[Node]) -> Result<[Node; N]> {
    variables.try_into().map_err(|_| {
        Error::invalid(format_args!(
            "{}: called with {} variables, expected the {N} that it created",
            layer_label(layer),
            variables.len()
        ))
    })
}

/// What a message calls a layer: `dense`, or `dense "hidden"`.
pub(crate) fn layer_label(layer: &dyn Layer) -> String {
    let kind = snake_case(layer.class_name());
    match layer.name() {
        Some(name) => format!("{kind} \"{name}\""),
        None => kind,
    }
}

/// `.name("…")` for a layer that has a field of that name.
macro_rules! named {
    () => {
        /// With a name of its own instead of `dense`, `dense_1`, ….
        #[must_use]
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.name = Some(name.into());
            self
        }
    };
}
pub(crate) use named;
