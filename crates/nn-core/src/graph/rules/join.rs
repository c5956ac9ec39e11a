//! Tensors put together from others, and cut out of them.

use super::Gradients;
use crate::Result;
use crate::graph::{DType, Dim, Graph, Node, Op, Shape};

impl Graph {
    /// The tensors side by side along their last dimension: \[m, a\], \[m, b\], … → \[m, a + b + …\].
    ///
    /// ```
    /// use nn_core::graph::Graph;
    /// let mut g = Graph::new();
    /// let image = g.placeholder("image", &[None, Some(784)])?;
    /// let extra = g.placeholder("extra", &[None, Some(16)])?;
    /// let both = g.concatenate(&[image, extra])?;
    /// assert_eq!(g.shape(both).to_string(), "[None, 800]");
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, if one does not hold floats or has fewer than two dimensions, or if they differ in a dimension
    /// other than the last.
    #[track_caller]
    pub fn concatenate(&mut self, parts: &[Node]) -> Result<Node> {
        const OP: &str = "concatenate";
        let Some(&first) = parts.first() else {
            return Err(self.shape_error(OP, "no tensors were given, expected one or more"));
        };
        let width = self.all_or_nothing(|g| {
            let mut width = 0;
            for &part in parts {
                width += g.columns_beside(first, part)?;
            }
            Ok(width)
        })?;
        if parts.len() == 1 {
            return Ok(first);
        }
        let shape = self.shape(first);
        let shape = with_last(&shape, width);
        Ok(self.push(Op::Concatenate, parts.to_vec(), shape, DType::Float))
    }

    /// The length of the last dimension of a tensor that fits beside `first`.
    #[track_caller]
    fn columns_beside(&mut self, first: Node, part: Node) -> Result<usize> {
        const OP: &str = "concatenate";
        self.expect_dtype(OP, part, DType::Float)?;
        let (a, b) = (self.shape(first), self.shape(part));
        let leading = b.rank().saturating_sub(1);
        let fits = leading > 0
            && a.rank() == b.rank()
            && (0..leading).all(|axis| self.unify(a.dims()[axis], b.dims()[axis]));
        match b.dims().last() {
            Some(Dim::Fixed(columns)) if fits => Ok(*columns),
            _ => Err(self.shape_error(
                OP,
                format_args!(
                    "{a} and {b}: expected two dimensions or more, of which only the last may differ"
                ),
            )),
        }
    }

    /// The places `start .. start + len` of the last dimension: \[…, n\] → \[…, len\].
    ///
    /// # Errors
    /// If x does not hold floats, has fewer than two dimensions, or ends before `start + len`.
    #[track_caller]
    pub fn slice_columns(&mut self, x: Node, start: usize, len: usize) -> Result<Node> {
        const OP: &str = "slice_columns";
        self.expect_dtype(OP, x, DType::Float)?;
        let shape = self.shape(x);
        let width = match shape.dims() {
            [_, .., Dim::Fixed(width)] => *width,
            _ => 0,
        };
        if shape.rank() < 2 || len == 0 || start.checked_add(len).is_none_or(|end| end > width) {
            return Err(self.shape_error(
                OP,
                format_args!(
                    "{len} columns from column {start} of {shape}: expected one or more, all within the last \
                     dimension of two or more"
                ),
            ));
        }
        if len == width {
            return Ok(x);
        }
        let shape = with_last(&shape, len);
        Ok(self.push(Op::SliceColumns { start, len }, vec![x], shape, DType::Float))
    }

    /// x as the columns from `start` on of a tensor whose last dimension is `width`; zeros elsewhere.
    #[track_caller]
    fn pad_columns(&mut self, x: Node, start: usize, width: usize) -> Node {
        let shape = with_last(&self.shape(x), width);
        self.push(Op::PadColumns { start, width }, vec![x], shape, DType::Float)
    }
}

/// `shape` with another last dimension.
fn with_last(shape: &Shape, width: usize) -> Shape {
    let leading = shape.rank() - 1;
    Shape::new(shape.dims()[..leading].iter().copied().chain([Dim::Fixed(width)]))
}

/// The length of the last dimension.
fn last(shape: &Shape) -> usize {
    match shape.dims().last() {
        Some(Dim::Fixed(n)) => *n,
        _ => 1,
    }
}

/// Each part gets its own columns.
pub(super) fn concatenate_gradient(g: &mut Graph, parts: &[Node], up: Node) -> Gradients {
    let mut start = 0;
    let mut flows = Vec::with_capacity(parts.len());
    for &part in parts {
        let width = last(&g.shape(part));
        flows.push(if width == 0 { None } else { Some(g.slice_columns(up, start, width)?) });
        start += width;
    }
    Ok(flows)
}

/// The columns that were left out get zeros.
pub(super) fn slice_columns_gradient(g: &mut Graph, start: usize, x: Node, up: Node) -> Gradients {
    let width = last(&g.shape(x));
    Ok(vec![Some(g.pad_columns(up, start, width))])
}

/// The zeros around were not x's.
pub(super) fn pad_columns_gradient(g: &mut Graph, start: usize, x: Node, up: Node) -> Gradients {
    let width = last(&g.shape(x));
    Ok(vec![Some(g.slice_columns(up, start, width)?)])
}
