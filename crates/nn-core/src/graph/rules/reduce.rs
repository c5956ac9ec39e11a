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
        self.sum_of("reduce_sum", x, Keep::Nothing)
    }

    /// The mean of all elements, a scalar: Σ x / size.
    ///
    /// # Errors
    /// If x does not hold floats.
    #[track_caller]
    pub fn reduce_mean(&mut self, x: Node) -> Result<Node> {
        let sum = self.sum_of("reduce_mean", x, Keep::Nothing)?;
        let size = self.size(x);
        self.div(sum, size)
    }

    /// The sum over dimension `axis`, the first or the last: \[m, n\] → \[n\] over axis 0, → \[m\] over axis 1.
    ///
    /// ```
    /// use nn_core::graph::Graph;
    /// let mut g = Graph::new();
    /// let x = g.placeholder("x", &[None, Some(10)])?;
    /// let (down, along) = (g.reduce_sum_axis(x, 0)?, g.reduce_sum_axis(x, 1)?);
    /// assert_eq!((g.shape(down).to_string(), g.shape(along).to_string()), ("[10]".into(), "[None]".into()));
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If x does not hold floats, or if there is no such axis, or if it lies in the middle.
    #[track_caller]
    pub fn reduce_sum_axis(&mut self, x: Node, axis: usize) -> Result<Node> {
        self.sum_over("reduce_sum_axis", x, axis)
    }

    /// The mean over dimension `axis`, the first or the last.
    ///
    /// # Errors
    /// If x does not hold floats, or if there is no such axis, or if it lies in the middle.
    #[track_caller]
    pub fn reduce_mean_axis(&mut self, x: Node, axis: usize) -> Result<Node> {
        let sum = self.sum_over("reduce_mean_axis", x, axis)?;
        let shape = self.shape(x);
        let count = match shape.dims()[axis] {
            Dim::Fixed(n) => self.scalar(n as f64),
            Dim::Symbol(_) => {
                let (size, row) = (self.size(x), self.scalar(shape.row_len() as f64));
                self.div(size, row)?
            }
        };
        self.div(sum, count)
    }

    #[track_caller]
    fn sum_over(&mut self, op: &str, x: Node, axis: usize) -> Result<Node> {
        let shape = self.shape(x);
        let keep = match shape.rank() {
            1 if axis == 0 => Keep::Nothing,
            rank if axis < rank && axis == 0 => Keep::Suffix(1),
            rank if axis < rank && axis + 1 == rank => Keep::Prefix(axis),
            rank => {
                let what = if axis < rank { "lies in the middle of" } else { "is none of" };
                return Err(self.shape_error(
                    op,
                    format_args!(
                        "axis {axis} {what} {shape}: expected the first or the last; reshape it so that it is"
                    ),
                ));
            }
        };
        self.sum_of(op, x, keep)
    }

    /// The largest element along the last dimension: \[…, n\] → \[…\]. NaN where there is a NaN. Its gradient is
    /// shared by all elements that are the largest.
    ///
    /// # Errors
    /// If x does not hold floats, or if its last dimension is unknown or 0 (or if it has none).
    #[track_caller]
    pub fn reduce_max(&mut self, x: Node) -> Result<Node> {
        const OP: &str = "reduce_max";
        self.expect_dtype(OP, x, DType::Float)?;
        let shape = self.shape(x);
        if !matches!(shape.dims(), [.., Dim::Fixed(1..)]) {
            return Err(self.shape_error(
                OP,
                format_args!("{shape}: expected a last dimension of a known length, 1 or more"),
            ));
        }
        let rows = shape.prefix(shape.rank() - 1);
        Ok(self.push(Op::ReduceMax, vec![x], rows, DType::Float))
    }

    /// The sum over some dimensions.
    ///
    /// # Errors
    /// If x does not hold floats, or has fewer dimensions than `keep` speaks of.
    #[track_caller]
    pub fn sum_keeping(&mut self, x: Node, keep: Keep) -> Result<Node> {
        self.sum_of("sum_keeping", x, keep)
    }

    #[track_caller]
    fn sum_of(&mut self, op: &str, x: Node, keep: Keep) -> Result<Node> {
        self.expect_dtype(op, x, DType::Float)?;
        let shape = self.shape(x);
        let n = match keep {
            Keep::Nothing => 0,
            Keep::Suffix(n) | Keep::Prefix(n) => n,
        };
        if n > shape.rank() {
            return Err(self.shape_error(op, format_args!("{shape} has no {n} dimensions")));
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
        if from.batch() != shape.batch() {
            return Err(self.shape_error(
                "reshape",
                format_args!("{from} → {shape}: a batch axis stays as it is, in first place"),
            ));
        }
        if from.row_len() != shape.row_len() {
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

/// up, shared by the elements that are the largest of their row: up ⊙ [x = y] / Σ [x = y].
pub(super) fn max_gradient(g: &mut Graph, x: Node, y: Node, up: Node) -> Gradients {
    let shape = g.shape(x);
    let leading = shape.rank() - 1;
    let column = Shape::new(shape.dims()[..leading].iter().copied().chain([Dim::Fixed(1)]));
    let largest = g.reshape_to(y, column.clone())?;
    let largest = g.broadcast_like(largest, x)?;
    let is_largest = g.equal(x, largest)?;
    let is_largest = g.cast(is_largest, DType::Float);
    let count = g.sum_keeping(is_largest, Keep::Prefix(leading))?;
    let share = g.div(up, count)?;
    let share = g.reshape_to(share, column)?;
    Ok(vec![Some(g.mul(is_largest, share)?)])
}
