//! Rows cut out of a tensor, of a batch too, and put one after the other.

use super::Gradients;
use crate::Result;
use crate::graph::{DType, Dim, Graph, Node, Op, Shape};

impl Graph {
    /// Rows `start .. start + len` along the first dimension: \[None, n\] → \[len, n\]. What comes out of a batch exists
    /// once, like a sum over it; a run whose batch is too short for it is an error.
    ///
    /// # Errors
    /// If x does not hold floats or has no dimension, if `len` is 0, or if x is known to end before `start + len`.
    #[track_caller]
    pub fn slice_rows(&mut self, x: Node, start: usize, len: usize) -> Result<Node> {
        const OP: &str = "slice_rows";
        self.expect_dtype(OP, x, DType::Float)?;
        let shape = self.shape(x);
        let rows = match shape.dims().first() {
            Some(Dim::Fixed(rows)) => *rows,
            Some(Dim::Symbol(_)) => usize::MAX,
            None => 0,
        };
        if len == 0 || start.checked_add(len).is_none_or(|end| end > rows) {
            return Err(self.shape_error(
                OP,
                format_args!(
                    "{len} rows from row {start} of {shape}: expected one or more that the first dimension has"
                ),
            ));
        }
        if shape.dims()[0] == Dim::Fixed(len) {
            return Ok(x);
        }
        let shape = with_rows(&shape, len);
        Ok(self.push(Op::SliceRows { start, len }, vec![x], shape, DType::Float))
    }

    /// The tensors one after the other along their first dimension, which must be known: \[a, n\], \[b, n\], … →
    /// \[a + b + …, n\].
    ///
    /// # Errors
    /// If there is none, if one does not hold floats, has no dimension or is a batch, or if they differ in a dimension
    /// other than the first.
    #[track_caller]
    pub fn concatenate_rows(&mut self, parts: &[Node]) -> Result<Node> {
        const OP: &str = "concatenate_rows";
        let Some(&first) = parts.first() else {
            return Err(self.shape_error(OP, "no tensors were given, expected one or more"));
        };
        let mut total = 0;
        for &part in parts {
            self.expect_dtype(OP, part, DType::Float)?;
            let (a, b) = (self.shape(first), self.shape(part));
            let what = match b.dims() {
                [Dim::Symbol(_), ..] => {
                    "a batch has an unknown number of rows, and a batch of another size is none of the sizes that a \
                     graph can tell of; slice_rows cuts a known number out of it, or join the rows before they are fed"
                }
                [Dim::Fixed(rows), rest @ ..] if a.dims().get(1..) == Some(rest) => {
                    total += rows;
                    continue;
                }
                _ => "expected one dimension or more, of which only the first may differ",
            };
            return Err(self.shape_error(OP, format_args!("{a} and {b}: {what}")));
        }
        if parts.len() == 1 {
            return Ok(first);
        }
        let shape = with_rows(&self.shape(first), total);
        Ok(self.push(Op::ConcatenateRows, parts.to_vec(), shape, DType::Float))
    }
}

/// `shape` with another first dimension, which is known.
fn with_rows(shape: &Shape, rows: usize) -> Shape {
    Shape::new([Dim::Fixed(rows)].into_iter().chain(shape.dims()[1..].iter().copied()))
}

/// The length of the first dimension, where it is known.
fn rows(shape: &Shape) -> usize {
    match shape.dims().first() {
        Some(Dim::Fixed(rows)) => *rows,
        _ => 0,
    }
}

/// The rows that were left out get zeros.
pub(super) fn slice_rows_gradient(g: &mut Graph, start: usize, x: Node, up: Node) -> Gradients {
    let shape = g.shape(x);
    Ok(vec![Some(g.push(Op::PadRows { start }, vec![up, x], shape, DType::Float))])
}

/// The zeros around were not x's.
pub(super) fn pad_rows_gradient(g: &mut Graph, start: usize, x: Node, up: Node) -> Gradients {
    let len = rows(&g.shape(x));
    Ok(vec![Some(g.slice_rows(up, start, len)?), None])
}

/// Each part gets its own rows.
pub(super) fn concatenate_rows_gradient(g: &mut Graph, parts: &[Node], up: Node) -> Gradients {
    let mut start = 0;
    let mut flows = Vec::with_capacity(parts.len());
    for &part in parts {
        let len = rows(&g.shape(part));
        flows.push(if len == 0 { None } else { Some(g.slice_rows(up, start, len)?) });
        start += len;
    }
    Ok(flows)
}
