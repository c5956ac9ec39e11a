//! What a set of fetches compiles to: instructions that run per shard, sums over the lanes, and instructions that run
//! once. Places are numbers of buffers; no node of the graph appears here but in names for pictures.

use super::bands::Band;
use super::chain::Chain;
use crate::graph::{Spread, Symbol, VarId};
use crate::ops::{Activation, Binary, Comparison, Pass, Trans, Unary};

/// Where a value lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The rows fed to placeholder number `.0` of the program.
    Feed(usize),
    /// The rows that placeholder number `.0` is likely to be fed in the next run.
    Next(usize),
    /// A variable.
    Var(VarId),
    /// A constant of the program.
    Const(usize),
    /// A buffer of the worker that runs the shard: gone with the shard.
    Slot(usize),
    /// A buffer of the lane that holds all of its rows: fetched, or read in a later stage.
    Kept(usize),
    /// A sum over the rows of a lane; becomes `Once(sums[i].into)` when the lanes are added up.
    Sum(usize),
    /// A buffer of the plan: what runs once.
    Once(usize),
}

/// Whether a value has a row for each row of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// As many rows as the shard (or, for the plan as a whole, the batch) has.
    Batch,
    /// This many rows.
    Fixed(usize),
}

/// A value as a matrix: where it lives, and its rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) place: Place,
    pub(super) extent: Extent,
    pub(super) cols: usize,
    /// Whether its elements are integers (and live in integer buffers).
    pub(super) ints: bool,
    /// Whether it is laid out in the backend's blocks of columns.
    pub(super) blocked: bool,
}

/// What an instruction does. `a`, `b`, … are its inputs in order, `→` its outputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kernel {
    /// rows of a feed → floats
    Load,
    /// x, w, (b) → f(x · w + b)
    Affine { f: Activation, bias: bool },
    /// x, w → for each block of columns of x, one after the other: its product with those rows of w
    PartialProducts,
    /// partial products, (b) → f(Σ of them + b)
    AddPartial { f: Activation, bias: bool },
    /// a, b → op(a) · op(b)
    MatMul { ta: Trans, tb: Trans },
    /// dy, w, y → (dy · wᵀ) ⊙ f′(y)
    Backpropagate { f: Activation },
    /// x, δ → sum += xᵀ · δ
    AccumulateWeights,
    /// x, δ, rate → w −= rate · xᵀ · δ
    Descend,
    /// x, δ, … → variables, by a pass over them, what else it reads, and xᵀ · δ as its input number `gradient`
    Update { pass: Pass, gradient: usize },
    /// x → sum += Σ over x seen as rows of the sum's length
    AccumulateRows,
    /// x → sum += Σ of all elements
    AccumulateAll,
    /// logits, labels, (scale) → (losses), (gradient)
    CrossEntropy { losses: bool, gradient: bool },
    /// x → softmax(x)
    Softmax,
    /// x → f(x)
    Unary(Unary),
    /// a, b → f(a, b), each spread as said
    Binary(Binary, Spread, Spread),
    /// x → the sum of each run of elements that goes into one of the output
    SumTail,
    /// x → x, spread
    Spread(Spread),
    /// x → index of the largest of each row
    ArgMax,
    /// a, b → a = b
    Equal,
    /// a, b → whether they are in this order, each spread as said
    Compare(Comparison, Spread, Spread),
    /// scores, classes → whether fewer than `k` scores of the row are greater than its class's
    InTopK { k: usize },
    /// a, b, … → runs of `widths[0]` elements of a, `widths[1]` of b, … in turn
    Concatenate { widths: Vec<usize> },
    /// x → `len` elements from `start` on of each run of `width`
    SliceColumns { start: usize, len: usize, width: usize },
    /// x → each run of `len` elements at `start` of `width`, zeros around it
    PadColumns { start: usize, len: usize, width: usize },
    /// x → the rows from `start` on, of `row` elements each; where x is a batch, into a lane's sum
    SliceRows { start: usize, row: usize },
    /// x → zeros, but for the rows from `start` on, of `row` elements each
    PadRows { start: usize, row: usize },
    /// condition, a, b → a where it holds, b elsewhere, each spread as said
    Select(Spread, Spread),
    /// x → the largest of each row
    Max,
    /// step → random numbers of \[0, 1)
    Uniform { stream: u64 },
    /// x → rows of the identity
    OneHot,
    /// x → the same numbers as floats, ints, or whether they are not 0
    Cast { to_bool: bool },
    /// x → x, in the other layout
    Relayout,
    /// inputs, scalars → outputs, many elementwise steps in one pass
    Elementwise(Pass),
}

/// One step of a program.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Instr {
    pub(super) kernel: Kernel,
    pub(super) ins: Vec<Operand>,
    pub(super) outs: Vec<Operand>,
}

/// A sum over the batch: `len` elements that each lane accumulates on its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SumSpec {
    pub(super) len: usize,
    /// The once buffer that receives the sum over the lanes.
    pub(super) into: usize,
    /// The stage in which it is accumulated.
    pub(super) stage: usize,
    /// Whether the kernel that accumulates it can begin it, so that it need not be zeroed before.
    pub(super) begins: bool,
}

/// Everything between two points at which the whole batch must be finished.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    /// How many points at which the whole batch was finished lie before it.
    pub(super) level: usize,
    /// Runs once, before the shards.
    pub(super) before: Vec<Instr>,
    /// Runs for each shard; empty in the last stage.
    pub(super) per_shard: Vec<Instr>,
    /// How they run on all threads at once, where each shard does.
    pub(super) bands: Vec<Band>,
    /// The last band together with the first one of the next run, where that can be.
    pub(super) chain: Option<Chain>,
    /// The batch axis that the shards cut.
    pub(super) symbol: Option<Symbol>,
}

/// What a fetch hands out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fetched {
    /// Nothing: an assignment or a group.
    Nothing,
    /// A value that every lane holds its rows of.
    Rows { operand: Operand, symbol: Symbol, dims: Vec<usize> },
    /// A value that exists once.
    Once { operand: Operand, dims: Vec<usize> },
}

/// A compiled set of fetches, for given numbers of rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Program {
    /// Runs before the first run, in this order, and is the same in all.
    pub(super) fixed: Vec<Instr>,
    pub(super) stages: Vec<Stage>,
    pub(super) sums: Vec<SumSpec>,
    /// Lengths of the once buffers, of floats and of ints.
    pub(super) once: BufferSizes,
    /// Elements per row of the kept buffers, of floats and of ints, with the axis that they run along.
    pub(super) kept: Vec<(Symbol, usize)>,
    pub(super) kept_ints: Vec<(Symbol, usize)>,
    /// Elements per row of the worker's slots, of floats and of ints.
    pub(super) slots: BufferSizes,
    pub(super) constants: Vec<Vec<f64>>,
    /// Fixed-shape feeds, copied into once buffers before anything runs: (feed, once buffer, whether ints).
    pub(super) fed_once: Vec<(usize, usize, bool)>,
    /// Assignments that can't be made in place: from a once buffer (or any place) to a variable, at the very end.
    pub(super) commits: Vec<(VarId, Operand)>,
    /// Feeds that hold class indices: (feed, number of classes).
    pub(super) classes: Vec<(usize, usize)>,
    pub(super) fetched: Vec<Fetched>,
    /// Whether all variables get their initial values when the run is over.
    pub(super) initializes: bool,
    /// Columns of a block, for the operands that are in blocks.
    pub(super) block_cols: usize,
}

/// Lengths of numbered buffers.
#[derive(Debug, Clone, Default)]
pub(super) struct BufferSizes {
    pub(super) floats: Vec<usize>,
    pub(super) ints: Vec<usize>,
}

impl BufferSizes {
    /// The number of a new buffer of `len` elements.
    pub(super) fn add(&mut self, ints: bool, len: usize) -> usize {
        let sizes = if ints { &mut self.ints } else { &mut self.floats };
        sizes.push(len);
        sizes.len() - 1
    }
}
