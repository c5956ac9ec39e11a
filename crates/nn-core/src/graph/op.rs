//! The primitive operations. A node of the graph is one of these, its inputs, and the shape inferred for it.

use std::sync::Arc;

use super::shape::{Shape, Spread};
use crate::ops::{Binary, Comparison, Trans, Unary};

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// The session's floating-point type, `f32` or `f64`.
    Float,
    /// Class indices and other counts.
    Int,
    /// Outcome of a comparison.
    Bool,
}

impl DType {
    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Int => "int",
            Self::Bool => "bool",
        }
    }
}

/// Which dimensions a sum leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// None: the sum of all elements.
    Nothing,
    /// All but the first `n`: sums over the leading dimensions (Σ over the rows of a matrix: n = 1).
    Suffix(usize),
    /// The first `n`: sums over the trailing dimensions.
    Prefix(usize),
}

/// A variable's place among a graph's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VarId(pub(crate) usize);

impl VarId {
    /// Its number, in the order of creation.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A primitive operation. Inputs are named in the order in which the node lists them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// A value that is fed.
    Placeholder,
    /// The value that a variable has before the run.
    Variable(VarId),
    /// Numbers known when the graph is built, row-major.
    Constant(Arc<[f64]>),
    /// f(x)
    Unary(Unary),
    /// f(a, b), each operand spread over the result.
    Binary(Binary, Spread, Spread),
    /// op(A) · op(B)
    MatMul(Trans, Trans),
    /// Sum over some dimensions of x.
    Sum(Keep),
    /// x, spread to the shape of the second input, whose elements don't matter.
    Broadcast(Spread),
    /// The number of elements of x, as a float scalar.
    Size,
    /// softmax over the last dimension.
    Softmax,
    /// ℓᵢ of (logits, labels): \[m, n\] and \[m\] classes or \[m, n\] probabilities → \[m\].
    CrossEntropy,
    /// ∂ Σ uᵢℓᵢ / ∂ logits of (logits, labels, u): → \[m, n\].
    CrossEntropyGrad,
    /// The index of the largest element of the last dimension; the first of equals.
    ArgMax,
    /// a = b, element by element.
    Equal,
    /// Whether a is greater than b, less than it, …, each operand spread over the result.
    Compare(Comparison, Spread, Spread),
    /// Of (scores \[m, n\], classes \[m\]): whether fewer than k scores of the row are greater than its class's.
    InTopK(usize),
    /// Rows of the identity, `depth` long; a row of zeros for an index out of range.
    OneHot(usize),
    /// The same numbers in another type.
    Cast(DType),
    /// The same elements in another shape; a batch axis stays first.
    Reshape,
    /// The inputs side by side along the last dimension.
    Concatenate,
    /// `len` neighbours of the last dimension, from `start` on.
    SliceColumns {
        /// The first one.
        start: usize,
        /// How many.
        len: usize,
    },
    /// x from place `start` of the last dimension on, which becomes `width` long; zeros elsewhere.
    PadColumns {
        /// Where the first one goes.
        start: usize,
        /// The length of the last dimension.
        width: usize,
    },
    /// Rows `start .. start + len` of x, which exist once even where x is a batch.
    SliceRows {
        /// The first one.
        start: usize,
        /// How many.
        len: usize,
    },
    /// x as the rows from `start` on of a tensor in the shape of the second input, whose elements don't matter; zeros
    /// elsewhere.
    PadRows {
        /// Where the first one goes.
        start: usize,
    },
    /// The inputs one after the other along the first dimension.
    ConcatenateRows,
    /// Of (condition, a, b): a where the condition holds, b elsewhere, both spread over its shape.
    Select(Spread, Spread),
    /// The largest along the last dimension; NaN where there is one.
    ReduceMax,
    /// Of (step, x): numbers of \[0, 1) in the shape of x, whose elements don't matter. `stream` tells the random
    /// nodes of a graph apart.
    Uniform {
        /// The node's number among the random ones of its graph.
        stream: u64,
    },
    /// Gives a variable the value of x when the run is over.
    Assign(VarId),
    /// Gives every variable its initial value when the run is over.
    Initialize,
    /// Nothing of its own: to run it is to run its inputs.
    Group,
}

impl Op {
    /// The name used in pictures, messages and for unnamed nodes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Placeholder => "placeholder",
            Self::Variable(_) => "variable",
            Self::Constant(_) => "constant",
            Self::Unary(f) => f.name(),
            Self::Binary(f, ..) => f.name(),
            Self::MatMul(..) => "matmul",
            Self::Sum(_) => "sum",
            Self::Broadcast(_) => "broadcast",
            Self::Size => "size",
            Self::Softmax => "softmax",
            Self::CrossEntropy => "softmax_cross_entropy",
            Self::CrossEntropyGrad => "softmax_cross_entropy_grad",
            Self::ArgMax => "argmax",
            Self::Equal => "equal",
            Self::Compare(comparison, ..) => comparison.name(),
            Self::InTopK(_) => "in_top_k",
            Self::OneHot(_) => "one_hot",
            Self::Cast(_) => "cast",
            Self::Reshape => "reshape",
            Self::Concatenate => "concatenate",
            Self::SliceColumns { .. } => "slice_columns",
            Self::PadColumns { .. } => "pad_columns",
            Self::SliceRows { .. } => "slice_rows",
            Self::PadRows { .. } => "pad_rows",
            Self::ConcatenateRows => "concatenate_rows",
            Self::Select(..) => "select",
            Self::ReduceMax => "reduce_max",
            Self::Uniform { .. } => "uniform_like",
            Self::Initialize => "global_variables_initializer",
            Self::Assign(_) => "assign",
            Self::Group => "group",
        }
    }
}

/// One node: an operation, where its inputs come from, and what is known of its value.
#[derive(Debug, Clone)]
pub struct NodeData {
    /// The operation.
    pub op: Op,
    /// Its inputs, in the order that the operation names them.
    pub inputs: Vec<super::Node>,
    /// The shape of its value.
    pub shape: Shape,
    /// The type of its value's elements.
    pub dtype: DType,
    /// Its name, unique in the graph, with the scopes it was built in: `dense/matmul`.
    pub name: String,
    /// The line that built it.
    pub built_at: &'static std::panic::Location<'static>,
}
