//! Softmax and its cross-entropy.

use super::Gradients;
use crate::Result;
use crate::graph::{DType, Graph, Keep, Node, Op, Shape};

impl Graph {
    /// softmax(x)ᵢⱼ = e^xᵢⱼ / Σₖ e^xᵢₖ over the last dimension of a matrix.
    ///
    /// # Errors
    /// If x is not a matrix of floats.
    #[track_caller]
    pub fn softmax(&mut self, x: Node) -> Result<Node> {
        self.expect_dtype("softmax", x, DType::Float)?;
        let shape = self.shape(x);
        if shape.rank() != 2 {
            return Err(
                self.shape_error("softmax", format_args!("{shape}: expected a matrix [rows, classes]"))
            );
        }
        Ok(self.push(Op::Softmax, vec![x], shape, DType::Float))
    }

    /// ℓᵢ = −Σⱼ tᵢⱼ ln softmax(xᵢ)ⱼ for logits x: \[m, n\]; labels t: \[m\] class indices, or \[m, n\] probabilities
    /// (one-hot rows). The result: \[m\].
    ///
    /// # Errors
    /// If the logits are not a matrix of floats, or the labels fit in neither form.
    #[track_caller]
    pub fn softmax_cross_entropy(&mut self, logits: Node, labels: Node) -> Result<Node> {
        const OP: &str = "softmax_cross_entropy";
        self.expect_dtype(OP, logits, DType::Float)?;
        let (shape, given) = (self.shape(logits), self.shape(labels));
        let by_class = self.dtype(labels) == DType::Int;
        let expected_rank = if by_class { 1 } else { 2 };
        self.all_or_nothing(|g| {
            let fits = shape.rank() == 2
                && given.rank() == expected_rank
                && g.unify(shape.dims()[0], given.dims()[0])
                && (by_class || shape.dims()[1] == given.dims()[1]);
            if fits && g.dtype(labels) != DType::Bool {
                return Ok(());
            }
            let form = if by_class { "int [m]" } else { "float [m, n]" };
            Err(g.shape_error(
                OP,
                format_args!("logits {shape} and labels {given}: expected float [m, n] and {form}"),
            ))
        })?;
        let rows = Shape::new([self.resolve_dim(shape.dims()[0])]);
        Ok(self.push(Op::CrossEntropy, vec![logits, labels], rows, DType::Float))
    }
}

/// dx = p ⊙ (up − Σⱼ upⱼ pⱼ)
pub(super) fn softmax_gradient(g: &mut Graph, p: Node, up: Node) -> Gradients {
    let weighted = g.mul(up, p)?;
    let total = g.sum_keeping(weighted, Keep::Prefix(1))?;
    let rows = g.shape(total);
    let column = g.reshape_to(total, Shape::new([rows.dims()[0], crate::graph::Dim::Fixed(1)]))?;
    let centred = g.sub(up, column)?;
    Ok(vec![Some(g.mul(centred, p)?)])
}

/// d logits = (softmax(x) Σ t − t) ⊙ up; labels are not differentiated.
pub(super) fn cross_entropy_gradient(g: &mut Graph, logits: Node, labels: Node, up: Node) -> Gradients {
    let shape = g.shape(logits);
    let node = g.push(Op::CrossEntropyGrad, vec![logits, labels, up], shape, DType::Float);
    Ok(vec![Some(node), None])
}
