//! Sums, means, sizes and reshapes.

use super::Gradients;
use crate::Result;
use crate::graph::{DType, Dim, Graph, Keep, Node, Op, Shape, Spread};

impl Graph {
    /// The sum of all elements, a scalar.
    ///
    /// # Errors
    /// If x does not hold floats.
    #[track_caller]
    pub fn reduce_sum(&mut self, x: Node) -> Result<Node> {
        self.sum_keeping(x, Keep::Nothing)
    }

    /// The mean of all elements, a scalar: Σ x / size.
    ///
    /// # Errors
    /// If x does not hold floats.
    #[track_caller]
    pub fn reduce_mean(&mut self, x: Node) -> Result<Node> {
        let sum = self.reduce_sum(x)?;
        let size = self.size(x);
        self.div(sum, size)
    }

    /// The sum over some dimensions.
    ///
    /// # Errors
    /// If x does not hold floats, or has fewer dimensions than `keep` speaks of.
    #[track_caller]
    pub fn sum_keeping(&mut self, x: Node, keep: Keep) -> Result<Node> {
        self.expect_dtype("sum", x, DType::Float)?;
        let shape = self.shape(x);
        let n = match keep {
            Keep::Nothing => 0,
            Keep::Suffix(n) | Keep::Prefix(n) => n,
        };
        if n > shape.rank() {
            return Err(self.shape_error("sum", format_args!("{shape} has no {n} dimensions")));
        }
        let (keep, kept) = match keep {
            Keep::Suffix(0) => return Ok(x),
            Keep::Prefix(n) if n == shape.rank() => return Ok(x),
            Keep::Suffix(n) if n < shape.rank() => (keep, shape.suffix(n)),
            Keep::Prefix(n) if n > 0 => (keep, shape.prefix(n)),
            _ => (Keep::Nothing, Shape::scalar()),
        };
        Ok(self.push(Op::Sum(keep), vec![x], kept, DType::Float))
    }

    /// The number of elements of x, a float scalar.
    #[track_caller]
    pub fn size(&mut self, x: Node) -> Node {
        self.push(Op::Size, vec![x], Shape::scalar(), DType::Float)
    }

    /// The same elements in another shape. `None` as the first dimension stands for the batch axis of x.
    ///
    /// # Errors
    /// If the number of elements (of each row, with a batch axis) would change.
    #[track_caller]
    pub fn reshape(&mut self, x: Node, dims: &[Option<usize>]) -> Result<Node> {
        let shape = self.shape(x);
        let mut wanted = Vec::with_capacity(dims.len());
        for (axis, dim) in dims.iter().enumerate() {
            match (dim, shape.batch()) {
                (Some(n), _) => wanted.push(Dim::Fixed(*n)),
                (None, Some(symbol)) if axis == 0 => wanted.push(Dim::Symbol(symbol)),
                (None, _) => {
                    return Err(self.shape_error(
                        "reshape",
                        format_args!(
                            "{shape}: None stands for a batch axis, in first place, where there is one"
                        ),
                    ));
                }
            }
        }
        self.reshape_to(x, Shape::new(wanted))
    }

    #[track_caller]
    pub(super) fn reshape_to(&mut self, x: Node, shape: Shape) -> Result<Node> {
        let from = self.shape(x);
        if from.batch() != shape.batch() || from.row_len() != shape.row_len() {
            return Err(self.shape_error(
                "reshape",
                format_args!("{from} → {shape}: {} elements became {}", from.row_len(), shape.row_len()),
            ));
        }
        let dtype = self.dtype(x);
        Ok(if from == shape { x } else { self.push(Op::Reshape, vec![x], shape, dtype) })
    }
}

/// Every element that was summed gets the gradient of its sum.
pub(super) fn sum_gradient(g: &mut Graph, keep: Keep, x: Node, up: Node) -> Gradients {
    let spread = match keep {
        Keep::Nothing => Spread::Scalar,
        Keep::Suffix(_) => Spread::Suffix,
        Keep::Prefix(n) => Spread::Prefix(n),
    };
    let shape = g.shape(x);
    Ok(vec![Some(g.push(Op::Broadcast(spread), vec![up, x], shape, DType::Float))])
}

pub(super) fn reshape_gradient(g: &mut Graph, x: Node, up: Node) -> Result<Node> {
    let shape = g.shape(x);
    g.reshape_to(up, shape)
}
