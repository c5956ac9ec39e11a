//! Layers that change the shape and nothing else.

use super::{Layer, Mode, Variables, apply_one, named, only};
use crate::graph::{Graph, Node, Shape};
use crate::{Error, Result};

/// All dimensions behind the first in one: \[None, 28, 28\] → \[None, 784\].
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::layers::flatten;
/// let mut g = Graph::new();
/// let x = g.placeholder("x", &[None, Some(28), Some(28)])?;
/// let flat = flatten(&mut g, x)?;
/// assert_eq!(g.shape(flat).to_string(), "[None, 784]");
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flatten {
    name: Option<String>,
}

impl Flatten {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }

    named!();
}

impl Layer for Flatten {
    fn class_name(&self) -> &'static str {
        "Flatten"
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn create(&self, _: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
        only(self, inputs)?;
        Ok(Variables::default())
    }

    fn call(&self, g: &mut Graph, _: &Variables, inputs: &[Node], _: &mut Mode<'_>) -> Result<Vec<Node>> {
        let x = *only(self, inputs)?;
        let shape = g.shape(x);
        let (first, rest) = match (shape.batch(), shape.dims()) {
            (Some(_), _) => (None, shape.row_len()),
            (None, [_, ..]) => {
                let dims = shape.with_batch(0);
                (Some(dims[0]), dims[1..].iter().product())
            }
            (None, []) => {
                return Err(Error::shape("flatten: expected one dimension or more, found a scalar []"));
            }
        };
        Ok(vec![g.reshape(x, &[first, Some(rest)])?])
    }
}

/// All dimensions of x behind the first in one.
///
/// # Errors
/// If x is a scalar.
#[track_caller]
pub fn flatten(g: &mut Graph, x: Node) -> Result<Node> {
    apply_one(&Flatten::new(), g, x, &mut Mode::Inference)
}
