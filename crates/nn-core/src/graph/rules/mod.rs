//! One file for each family of operations: how it is built (its shape rule) and, beside it, its gradient, which emits
//! nodes of the same graph. Gradient rules know nothing of fusion.

mod compare;
mod elementwise;
mod index;
mod join;
mod matmul;
mod random;
mod reduce;
mod rows;
mod select;
mod softmax;
mod source;
mod state;

use super::{Graph, Node, Op};
use crate::Result;

/// The gradient of a scalar with respect to each input of a node, given the one (`up`) with respect to its value;
/// `None` where nothing flows.
type Gradients = Result<Vec<Option<Node>>>;

impl Graph {
    /// Calls the gradient rule of `node`'s operation.
    pub(super) fn gradient_rule(&mut self, node: Node, up: Node) -> Gradients {
        let data = self.node(node).clone();
        let inputs = data.inputs.as_slice();
        match (&data.op, inputs) {
            (Op::Unary(f), &[x]) => Ok(vec![elementwise::unary_gradient(self, *f, x, node, up)?]),
            (Op::Binary(f, ..), &[a, b]) => elementwise::binary_gradient(self, *f, a, b, node, up),
            (Op::MatMul(ta, tb), &[a, b]) => matmul::gradient(self, *ta, *tb, a, b, up),
            (Op::Sum(keep), &[x]) => reduce::sum_gradient(self, *keep, x, up),
            (Op::Broadcast(spread), &[x, _]) => {
                Ok(vec![Some(elementwise::sum_to_operand(self, up, x, *spread)?), None])
            }
            (Op::Reshape, &[x]) => Ok(vec![Some(reduce::reshape_gradient(self, x, up)?)]),
            (Op::Softmax, &[_]) => softmax::softmax_gradient(self, node, up),
            (Op::CrossEntropy, &[logits, labels]) => {
                softmax::cross_entropy_gradient(self, logits, labels, up)
            }
            (Op::Concatenate, parts) => join::concatenate_gradient(self, parts, up),
            (Op::SliceColumns { start, .. }, &[x]) => join::slice_columns_gradient(self, *start, x, up),
            (Op::SliceRows { start, .. }, &[x]) => rows::slice_rows_gradient(self, *start, x, up),
            (Op::PadRows { start }, &[x, _]) => rows::pad_rows_gradient(self, *start, x, up),
            (Op::ConcatenateRows, parts) => rows::concatenate_rows_gradient(self, parts, up),
            (Op::Select(sa, sb), &[condition, a, b]) => {
                select::gradient(self, condition, (a, *sa), (b, *sb), up)
            }
            (Op::ReduceMax, &[x]) => reduce::max_gradient(self, x, node, up),
            (Op::PadColumns { start, .. }, &[x]) => join::pad_columns_gradient(self, *start, x, up),
            (
                Op::Size
                | Op::ArgMax
                | Op::Equal
                | Op::Compare(..)
                | Op::InTopK(_)
                | Op::OneHot(_)
                | Op::Cast(_)
                | Op::Uniform { .. },
                _,
            ) => Ok(vec![None; inputs.len()]),
            (op, _) => Err(self.usage_error(
                "gradients",
                format_args!(
                    "{} \"{}\" has no gradient; keep it off the way from the cost to the variables",
                    op.name(),
                    data.name
                ),
            )),
        }
    }
}
