//! Losses: what training makes small, as functions over the graph.

use std::fmt;
use std::str::FromStr;

use crate::graph::{DType, Graph, Keep, Node, Op};
use crate::ops::{Activation, Unary};
use crate::{Error, Result};

/// What an output's distance from its target is measured by. For m rows of n numbers, each loss is ℓ: \[m\], one number per row;
/// what is minimised is their mean.
///
/// The cross-entropies are computed from logits. An output that is a softmax (or, for the binary one, a sigmoid) is read through
/// to its argument, which is the same function without its rounding; any other output counts as logits itself, but for the
/// other of those two, which is an error: probabilities are no logits.
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::losses::Loss;
/// let mut g = Graph::new();
/// let y = g.placeholder("y", &[None, Some(3)])?;
/// let t = g.placeholder("t", &[None, Some(3)])?;
/// let loss = Loss::MeanSquaredError.mean(&mut g, y, t)?;
/// assert_eq!(g.shape(loss).rank(), 0);
/// assert_eq!("mse".parse::<Loss>()?, Loss::MeanSquaredError);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// ℓᵢ = −ln softmax(zᵢ)_{tᵢ} for classes t: int \[m\].
    SparseCategoricalCrossEntropy,
    /// ℓᵢ = −Σⱼ tᵢⱼ ln softmax(zᵢ)ⱼ for one-hot rows or probabilities t: \[m, n\].
    CategoricalCrossEntropy,
    /// ℓᵢ = mean over j of −tᵢⱼ ln σ(zᵢⱼ) − (1 − tᵢⱼ) ln (1 − σ(zᵢⱼ)) for t: \[m, n\], 0 to 1.
    BinaryCrossEntropy,
    /// ℓᵢ = mean over j of (yᵢⱼ − tᵢⱼ)² for t: \[m, n\].
    MeanSquaredError,
    /// ℓᵢ = mean over j of |yᵢⱼ − tᵢⱼ| for t: \[m, n\].
    MeanAbsoluteError,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SparseCategoricalCrossEntropy,
        Self::CategoricalCrossEntropy,
        Self::BinaryCrossEntropy,
        Self::MeanSquaredError,
        Self::MeanAbsoluteError,
    ];

    /// The name that Keras has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SparseCategoricalCrossEntropy => "sparse_categorical_crossentropy",
            Self::CategoricalCrossEntropy => "categorical_crossentropy",
            Self::BinaryCrossEntropy => "binary_crossentropy",
            Self::MeanSquaredError => "mean_squared_error",
            Self::MeanAbsoluteError => "mean_absolute_error",
        }
    }

    /// The type of the targets: class indices or numbers.
    pub fn target(self) -> DType {
        match self {
            Self::SparseCategoricalCrossEntropy => DType::Int,
            _ => DType::Float,
        }
    }

    /// ℓ: \[m\] for an output \[m, n\] and its targets.
    ///
    /// # Errors
    /// If the shapes or types don't fit.
    #[track_caller]
    pub fn of_each_row(self, g: &mut Graph, output: Node, target: Node) -> Result<Node> {
        g.on_behalf(|g| self.rows(g, output, target).map_err(|error| g.located(error)))
    }

    fn rows(self, g: &mut Graph, output: Node, target: Node) -> Result<Node> {
        match self {
            Self::SparseCategoricalCrossEntropy | Self::CategoricalCrossEntropy => {
                if g.dtype(target) != self.target() {
                    return Err(self.wrong_target(g, target));
                }
                if is_sigmoid(g, output) {
                    return Err(self.wrong_output("sigmoid", "softmax", Self::BinaryCrossEntropy));
                }
                let logits = logits(g, output);
                g.softmax_cross_entropy(logits, target)
            }
            Self::BinaryCrossEntropy => {
                if g.node(output).op == Op::Softmax {
                    return Err(self.wrong_output("softmax", "sigmoid", Self::CategoricalCrossEntropy));
                }
                // −t ln σ(z) − (1 − t) ln (1 − σ(z)) = max(z, 0) − z t + ln (1 + e^−|z|), which overflows nowhere.
                self.check_same_shape(g, output, target)?;
                let z = sigmoid_logits(g, output);
                let zero = g.scalar(0.0);
                let positive = g.maximum(z, zero)?;
                let product = g.mul(z, target)?;
                let size = g.abs(z)?;
                let negative = g.neg(size)?;
                let small = g.exp(negative)?;
                let rest = g.log1p(small)?;
                let difference = g.sub(positive, product)?;
                let each = g.add(difference, rest)?;
                mean_of_each_row(g, each)
            }
            Self::MeanSquaredError | Self::MeanAbsoluteError => {
                self.check_same_shape(g, output, target)?;
                let difference = g.sub(output, target)?;
                let each =
                    if self == Self::MeanSquaredError { g.square(difference)? } else { g.abs(difference)? };
                mean_of_each_row(g, each)
            }
        }
    }

    /// Σ ℓᵢ / m, a scalar.
    ///
    /// # Errors
    /// If the shapes or types don't fit.
    #[track_caller]
    pub fn mean(self, g: &mut Graph, output: Node, target: Node) -> Result<Node> {
        g.on_behalf(|g| {
            let losses = self.of_each_row(g, output, target)?;
            g.reduce_mean(losses)
        })
    }

    /// Σ wᵢ ℓᵢ / m for weights w: \[m\], as Keras 3 reduces weighted losses (by the number of rows, not by the sum of the weights).
    ///
    /// # Errors
    /// If the shapes or types don't fit.
    #[track_caller]
    pub fn weighted_mean(self, g: &mut Graph, output: Node, target: Node, weights: Node) -> Result<Node> {
        g.on_behalf(|g| {
            let losses = self.of_each_row(g, output, target)?;
            let weighted = g.mul(losses, weights)?;
            g.reduce_mean(weighted)
        })
    }

    /// Output and target must be matrices of the same shape: spreading a target over an output is never meant.
    fn check_same_shape(self, g: &Graph, output: Node, target: Node) -> Result<()> {
        if g.dtype(target) != DType::Float {
            return Err(self.wrong_target(g, target));
        }
        same_matrices(self.name(), g, output, target)
    }

    #[cold]
    fn wrong_output(self, found: &str, expected: &str, other: Self) -> Error {
        Error::invalid(format_args!(
            "{}: the output is a {found}, expected a {expected} or logits; for a {found} use {}",
            self.name(),
            other.name()
        ))
    }

    #[cold]
    fn wrong_target(self, g: &Graph, target: Node) -> Error {
        let other = match self {
            Self::SparseCategoricalCrossEntropy => "; for one-hot rows use categorical_crossentropy",
            Self::CategoricalCrossEntropy => "; for class indices use sparse_categorical_crossentropy",
            _ => "",
        };
        Error::shape(format_args!(
            "{}: the target \"{}\" is {} {}, expected {}{other}",
            self.name(),
            g.node(target).name,
            g.dtype(target).name(),
            g.shape(target),
            self.target().name()
        ))
    }
}

/// An error unless output and target are two matrices of as many columns.
pub(crate) fn same_matrices(what: &str, g: &Graph, output: Node, target: Node) -> Result<()> {
    let (o, t) = (g.shape(output), g.shape(target));
    if o.rank() == 2 && t.rank() == 2 && o.row_len() == t.row_len() {
        return Ok(());
    }
    Err(Error::shape(format_args!(
        "{what}: output {o} and target {t}: expected two matrices of the same shape"
    )))
}

/// Whether a node is a sigmoid.
pub(crate) fn is_sigmoid(g: &Graph, output: Node) -> bool {
    g.node(output).op == Op::Unary(Unary::Activation(Activation::Sigmoid))
}

/// The argument of a softmax; any other node itself.
pub(crate) fn logits(g: &Graph, output: Node) -> Node {
    let data = g.node(output);
    if data.op == Op::Softmax { data.inputs[0] } else { output }
}

/// The argument of a sigmoid; any other node itself.
pub(crate) fn sigmoid_logits(g: &Graph, output: Node) -> Node {
    let data = g.node(output);
    if is_sigmoid(g, output) { data.inputs[0] } else { output }
}

/// \[m, n\] → \[m\]
pub(crate) fn mean_of_each_row(g: &mut Graph, x: Node) -> Result<Node> {
    let n = g.scalar(g.shape(x).suffix(1).row_len() as f64);
    let sum = g.sum_keeping(x, Keep::Prefix(1))?;
    g.div(sum, n)
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let short = match text {
            "mse" => Some(Self::MeanSquaredError),
            "mae" => Some(Self::MeanAbsoluteError),
            _ => None,
        };
        short.or_else(|| Self::ALL.into_iter().find(|loss| loss.name() == text)).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format_args!("loss \"{text}\" is unknown; expected one of {names}"))
        })
    }
}
