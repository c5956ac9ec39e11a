//! Layers that make one value of several.

use super::{Layer, Mode, Variables, apply, layer_label, named};
use crate::graph::{Graph, Node, Shape};
use crate::{Error, Result};

/// Several inputs beside each other along the last dimension: \[None, a\], \[None, b\] → \[None, a + b\].
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::layers::concatenate;
/// let mut g = Graph::new();
/// let (a, b) = (g.placeholder("a", &[None, Some(3)])?, g.placeholder("b", &[None, Some(4)])?);
/// let both = concatenate(&mut g, &[a, b])?;
/// assert_eq!(g.shape(both).to_string(), "[None, 7]");
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Concatenate {
    name: Option<String>,
}

/// The sum of several inputs of the same shape.
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::layers::add;
/// let mut g = Graph::new();
/// let (a, b) = (g.placeholder("a", &[None, Some(3)])?, g.placeholder("b", &[None, Some(3)])?);
/// let sum = add(&mut g, &[a, b])?;
/// assert_eq!(g.shape(sum).to_string(), "[None, 3]");
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Add {
    name: Option<String>,
}

impl Concatenate {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }

    named!();
}

impl Add {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }

    named!();
}

fn two_or_more(layer: &dyn Layer, inputs: usize) -> Result<()> {
    if inputs >= 2 {
        return Ok(());
    }
    Err(Error::shape(format_args!(
        "{}: expected two inputs or more to merge, found {inputs}",
        layer_label(layer)
    )))
}

impl Layer for Concatenate {
    fn class_name(&self) -> &'static str {
        "Concatenate"
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn create(&self, _: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
        two_or_more(self, inputs.len())?;
        Ok(Variables::default())
    }

    fn call(&self, g: &mut Graph, _: &Variables, inputs: &[Node], _: &mut Mode<'_>) -> Result<Vec<Node>> {
        Ok(vec![g.concatenate(inputs)?])
    }
}

impl Layer for Add {
    fn class_name(&self) -> &'static str {
        "Add"
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn create(&self, _: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
        two_or_more(self, inputs.len())?;
        let row = |shape: &Shape| shape.with_batch(0);
        if let Some(other) = inputs[1..].iter().find(|other| row(other) != row(&inputs[0])) {
            return Err(Error::shape(format_args!(
                "{}: {} and {other}: expected inputs of the same shape",
                layer_label(self),
                inputs[0]
            )));
        }
        Ok(Variables::default())
    }

    fn call(&self, g: &mut Graph, _: &Variables, inputs: &[Node], _: &mut Mode<'_>) -> Result<Vec<Node>> {
        two_or_more(self, inputs.len())?;
        let mut sum = inputs[0];
        for &input in &inputs[1..] {
            sum = g.add(sum, input)?;
        }
        Ok(vec![sum])
    }
}

/// Several values beside each other along the last dimension.
///
/// # Errors
/// If there are fewer than two, or they differ in another dimension than the last.
#[track_caller]
pub fn concatenate(g: &mut Graph, inputs: &[Node]) -> Result<Node> {
    Ok(apply(&Concatenate::new(), g, inputs, &mut Mode::Inference)?.1[0])
}

/// The sum of several values.
///
/// # Errors
/// If there are fewer than two, or their shapes differ.
#[track_caller]
pub fn add(g: &mut Graph, inputs: &[Node]) -> Result<Node> {
    Ok(apply(&Add::new(), g, inputs, &mut Mode::Inference)?.1[0])
}
