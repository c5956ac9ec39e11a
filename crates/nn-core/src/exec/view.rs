//! What a set of fetches compiles to, for people and pictures: a read-only description of the program.

mod describe;
mod kernel;
#[cfg(test)]
mod tests;

use self::describe::Describe;
use super::analysis::Analysis;
use super::lanes::lanes;
use super::layout::most_blocks;
use super::lower::written;
use super::session::Session;
use super::wide::shard_rows;
use crate::graph::{DType, Graph, Node, Op, Shape, VarId};
use crate::{Error, Result, Scalar};

/// What a set of fetches compiles to, for one number of rows.
///
/// ```
/// use nn_core::exec::explain;
/// use nn_core::graph::Graph;
/// use nn_core::layers::Dense;
/// use nn_core::ops::Activation;
///
/// let mut g = Graph::new();
/// let x = g.placeholder("x", &[None, Some(784)])?;
/// let y = Dense::new(512).activation(Activation::Tanh).build(&mut g, x)?.output;
///
/// let explained = explain(&g, &[y], 60_000, 256)?;
/// let stage = &explained.stages[0];
/// assert_eq!((stage.shards, stage.lanes), (235, 64));
/// let step = &explained.steps[stage.per_shard[0]];
/// assert_eq!(step.kernel, "affine tanh");
/// assert_eq!(step.inputs[0].dims, [256, 784]);
/// let names: Vec<&str> = step.nodes.iter().map(|&n| g.node(n).name.as_str()).collect();
/// assert_eq!(names, ["dense/matmul", "dense/add", "dense/tanh"]);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Rows of the batch.
    pub rows: usize,
    /// Rows that a kernel gets at a time: fewer than the backend's shard if the batch is smaller.
    pub shard_rows: usize,
    /// Every instruction, in the order in which they run.
    pub steps: Vec<StepView>,
    /// What runs between two points at which the whole batch must be finished.
    pub stages: Vec<StageView>,
    /// Variables that get their new value when everything is computed. (Others are written in place by a step.)
    pub commits: Vec<CommitView>,
    /// Where the value of each fetch comes from; none for assignments and groups, which have none.
    pub fetched: Vec<Option<ValueView>>,
}

/// A stage: what runs once, then what runs for each shard of the batch, then the lanes' sums added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageView {
    /// Steps that run once, before the shards: numbers of [`Explained::steps`].
    pub before: Vec<usize>,
    /// Steps that run for each shard.
    pub per_shard: Vec<usize>,
    /// What is summed over the batch: accumulated by each lane, then added up.
    pub sums: Vec<SumView>,
    /// How many shards the batch is cut into; 0 if nothing runs per shard.
    pub shards: usize,
    /// How many lanes the shards form, each worked on by one thread at a time.
    pub lanes: usize,
}

/// A sum over the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumView {
    /// The step that accumulates it, a number of [`Explained::steps`].
    pub step: usize,
    /// The node whose value it is.
    pub node: Option<Node>,
    /// Its dimensions.
    pub dims: Vec<usize>,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq)]
pub struct StepView {
    /// What the kernel does, such as `affine tanh` or `accumulate weights (xᵀ·δ)`.
    pub kernel: String,
    /// The nodes of the graph that it computes, in the order of the graph.
    pub nodes: Vec<Node>,
    /// What it reads, in the kernel's order.
    pub inputs: Vec<ValueView>,
    /// What it writes.
    pub outputs: Vec<ValueView>,
}

/// A value that a step reads or writes.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueView {
    /// Where it comes from; for an output, the step itself or the variable that it is written into.
    pub origin: Origin,
    /// The node whose value it is; none for what exists only between two kernels.
    pub node: Option<Node>,
    /// The node's shape with its unknown dimension, where there is a node.
    pub shape: Option<Shape>,
    /// Its dimensions where it is read or written: those of one shard's rows if it has a batch axis.
    pub dims: Vec<usize>,
    /// Whether each shard has rows of its own.
    pub batched: bool,
    /// The type of its elements.
    pub dtype: DType,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Fed to this placeholder.
    Fed(Node),
    /// A variable: its value before the run where it is read, its new one where it is written.
    Variable(VarId),
    /// Known before the run.
    Constant,
    /// Output `output` of step `step`.
    Step {
        /// A number of [`Explained::steps`].
        step: usize,
        /// A number of its outputs.
        output: usize,
    },
    /// The sum over the batch that this step accumulates.
    Sum {
        /// A number of [`Explained::steps`].
        step: usize,
    },
}

/// A variable that gets its new value at the end of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitView {
    /// The variable.
    pub variable: VarId,
    /// Its new value.
    pub value: ValueView,
}

/// Describes what `fetches` compile to when every placeholder is fed `rows` rows (or, without a batch axis, its value)
/// and kernels get `shard_rows` rows at a time. Nothing is computed.
///
/// # Errors
/// If a fetch is not a node of the graph, or an operation has no kernel at its place.
pub fn explain(graph: &Graph, fetches: &[Node], rows: usize, shard_rows: usize) -> Result<Explained> {
    explain_for(graph, fetches, rows, (shard_rows, None))
}

/// The same for a backend that keeps matrices in blocks of so many columns.
fn explain_for(
    graph: &Graph,
    fetches: &[Node],
    rows: usize,
    (shard_rows, block): (usize, Option<usize>),
) -> Result<Explained> {
    if let Some(stranger) = fetches.iter().find(|f| f.index() >= graph.nodes().len()) {
        return Err(Error::invalid(format_args!(
            "explain: fetch {stranger:?} is not a node of this graph, which has {}",
            graph.nodes().len()
        )));
    }
    let feeds: Vec<Node> = graph.handles().filter(|&n| graph.node(n).op == Op::Placeholder).collect();
    let analysis = Analysis::new(graph, fetches);
    let rows_of_any = |_| Some(rows);
    let lower = written(graph, &analysis, fetches, &feeds, &rows_of_any, None)?;
    let shard_rows = shard_rows.max(1);
    let summed = !lower.program.sums.is_empty();
    let lanes = || lanes(rows, shard_rows, most_blocks(graph, block), summed);
    let longest_lane = lanes().map(|(_, rows)| rows).max().unwrap_or(0);
    let cut = if rows == 0 { (0, 0) } else { (rows.div_ceil(shard_rows), lanes().count()) };
    let mut describe = Describe::new(&lower, rows, shard_rows.min(longest_lane));
    describe.program(cut);
    Ok(describe.finish())
}

impl<T: Scalar> Session<T> {
    /// Describes what [`run`](Self::run) with these fetches does when every placeholder is fed `rows` rows. Nothing is
    /// computed.
    ///
    /// # Errors
    /// If a fetch is not a node of the session's graph, or an operation has no kernel at its place.
    pub fn explain(&self, fetches: &[Node], rows: usize) -> Result<Explained> {
        let backend = self.backend();
        let shard_rows = shard_rows(rows, backend.shard_rows());
        explain_for(self.graph(), fetches, rows, (shard_rows, backend.block_columns()))
    }
}
