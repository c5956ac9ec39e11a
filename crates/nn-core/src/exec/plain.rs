//! The kernel of a node that is not part of a fused one.

use super::analysis::operands;
use super::lower::Lower;
use super::program::Kernel;
use crate::graph::{DType, Dim, Keep, Node, Op};
use crate::ops::Trans;
use crate::{Error, Result};

impl Lower<'_> {
    /// What computes `node` on its own.
    pub(super) fn plain_kernel(&self, node: Node) -> Result<Kernel> {
        let data = self.graph.node(node);
        Ok(match &data.op {
            Op::Unary(f) => Kernel::Unary(*f),
            Op::Binary(f, a, b) => {
                let [a, b] = operands(self.graph, node, [*a, *b]).map(|(_, spread)| spread);
                Kernel::Binary(*f, a, b)
            }
            Op::MatMul(ta, tb) => Kernel::MatMul { ta: *ta, tb: *tb },
            Op::Sum(Keep::Nothing) => Kernel::AccumulateAll,
            Op::Sum(Keep::Suffix(_)) => Kernel::AccumulateRows,
            Op::Sum(Keep::Prefix(_)) => Kernel::SumTail,
            Op::Broadcast(spread) => Kernel::Spread(*spread),
            Op::Softmax => Kernel::Softmax,
            Op::ArgMax => Kernel::ArgMax,
            Op::Equal => Kernel::Equal,
            Op::Compare(comparison, a, b) => Kernel::Compare(*comparison, *a, *b),
            Op::InTopK(k) => Kernel::InTopK { k: *k },
            Op::OneHot(_) => Kernel::OneHot,
            Op::Cast(to) => Kernel::Cast { to_bool: *to == DType::Bool },
            Op::CrossEntropy => Kernel::CrossEntropy { losses: true, gradient: false },
            Op::Concatenate => {
                Kernel::Concatenate { widths: data.inputs.iter().map(|&part| self.width(part)).collect() }
            }
            &Op::SliceColumns { start, len } => {
                Kernel::SliceColumns { start, len, width: self.width(data.inputs[0]) }
            }
            &Op::PadColumns { start, width } => {
                Kernel::PadColumns { start, len: self.width(data.inputs[0]), width }
            }
            &Op::Uniform { stream } => Kernel::Uniform { stream },
            op => {
                return Err(Error::invalid(format_args!(
                    "{} \"{}\" has no kernel; this is a fault of the engine",
                    op.name(),
                    data.name
                )));
            }
        })
    }

    /// What adds to the sum that `node` is over the rows of the batch.
    pub(super) fn summing_kernel(&self, node: Node) -> Result<Kernel> {
        let data = self.graph.node(node);
        match &data.op {
            Op::MatMul(Trans::Yes, Trans::No) => Ok(Kernel::AccumulateWeights),
            Op::Sum(Keep::Nothing) => Ok(Kernel::AccumulateAll),
            Op::Sum(_) => Ok(Kernel::AccumulateRows),
            op => Err(Error::invalid(format_args!(
                "{} \"{}\" has an input with a batch axis but no rule for summing over it",
                op.name(),
                data.name
            ))),
        }
    }

    /// The length of a node's last dimension.
    fn width(&self, node: Node) -> usize {
        match self.analysis.shapes[node.index()].dims().last() {
            Some(Dim::Fixed(n)) => *n,
            _ => 1,
        }
    }
}
