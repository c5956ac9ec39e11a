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
            &Op::SliceRows { start, .. } => Kernel::SliceRows { start, row: self.row_len(node) },
            &Op::PadRows { start } => Kernel::PadRows { start, row: self.row_len(node) },
            Op::ConcatenateRows => Kernel::Concatenate {
                widths: data.inputs.iter().map(|&part| self.analysis.size(part)).collect(),
            },
            Op::Select(a, b) => Kernel::Select(*a, *b),
            Op::ReduceMax => Kernel::Max,
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
            &Op::SliceRows { start, len } => {
                self.check_rows(node, data.inputs[0], start, len)?;
                Ok(Kernel::SliceRows { start, row: self.row_len(node) })
            }
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
    /// The number of elements for each index of a node's first dimension.
    fn row_len(&self, node: Node) -> usize {
        match self.analysis.shapes[node.index()].dims() {
            [] => 1,
            [_, rest @ ..] => rest.iter().map(|dim| if let Dim::Fixed(n) = dim { *n } else { 1 }).product(),
        }
    }

    /// Whether a batch is long enough to be sliced.
    fn check_rows(&self, node: Node, batch: Node, start: usize, len: usize) -> Result<()> {
        let shape = &self.analysis.shapes[batch.index()];
        let Some(symbol) = shape.batch() else { return Ok(()) };
        let rows = self.rows_of(node, symbol)?;
        if start + len <= rows {
            return Ok(());
        }
        Err(Error::shape(format_args!(
            "run: slice_rows \"{}\" takes rows {start} to {} of \"{}\" {shape}, which has {rows} in this run; feed as \
             many",
            self.graph.node(node).name,
            start + len - 1,
            self.graph.node(batch).name
        )))
    }
}
