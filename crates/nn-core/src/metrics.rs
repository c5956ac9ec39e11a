//! Metrics: what is measured beside the loss, batch by batch, as functions over the graph. Each is a ratio of two sums over the
//! rows, so that batches of different sizes add up to the figure of all their rows.

use std::fmt;
use std::str::FromStr;

use crate::graph::{DType, Graph, Keep, Node, Op};
use crate::losses::{logits, mean_of_each_row, sigmoid_logits};
use crate::ops::{Activation, Unary};
use crate::{Error, Result};

/// A figure of an output [m, n] beside its targets: classes \[m\], or numbers \[m, n\].
///
/// ```
/// use nn_core::metrics::Metric;
/// assert_eq!("top_3_accuracy".parse::<Metric>()?, Metric::TopK(3));
/// assert_eq!(Metric::Recall(7).to_string(), "recall_7");
/// let error = "acuracy".parse::<Metric>().unwrap_err().to_string();
/// assert!(error.contains("accuracy"), "{error}");
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// The share of rows that are classified right: the largest of n numbers stands at the class, or where the target's largest
    /// does. For an output that is a sigmoid, the share of numbers on the right side of ½.
    Accuracy,
    /// The share of rows whose class is among the k largest numbers: fewer than k are larger than its own.
    TopK(usize),
    /// Of the rows that were taken for this class, the share that is of it.
    Precision(usize),
    /// Of the rows of this class, the share that was recognised.
    Recall(usize),
    /// Σ (y − t)² / (m n)
    MeanSquaredError,
    /// Σ |y − t| / (m n)
    MeanAbsoluteError,
}

/// The nodes of a metric: numerator and denominator, float scalars. Without a denominator, it is the number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricNodes {
    /// Σ of what is averaged.
    pub sum: Node,
    /// Over how many.
    pub count: Option<Node>,
}

impl Metric {
    /// The metric's sums for an output and its targets.
    ///
    /// # Errors
    /// If the targets are not of a kind that this metric knows, or there is no such class.
    #[track_caller]
    pub fn nodes(self, g: &mut Graph, output: Node, target: Node) -> Result<MetricNodes> {
        match self {
            Self::Accuracy if is_sigmoid(g, output) => binary_accuracy(g, output, target),
            Self::Accuracy => {
                let (scores, truth) = self.scores_and_classes(g, output, target)?;
                let predicted = g.argmax(scores)?;
                let right = g.equal(predicted, truth)?;
                hits(g, right)
            }
            Self::TopK(k) => {
                let (scores, truth) = self.scores_and_classes(g, output, target)?;
                let right = g.in_top_k(scores, truth, k)?;
                hits(g, right)
            }
            Self::Precision(class) | Self::Recall(class) => {
                let (scores, truth) = self.scores_and_classes(g, output, target)?;
                let classes = g.shape(scores).suffix(1).row_len();
                if class >= classes {
                    return Err(Error::invalid(format_args!(
                        "metric {self}: the output has the classes 0 to {}",
                        classes.saturating_sub(1)
                    )));
                }
                let predicted = g.argmax(scores)?;
                let mut column = |of: Node| -> Result<Node> {
                    let all = g.one_hot(of, classes)?;
                    g.slice_columns(all, class, 1)
                };
                let (taken, is) = (column(predicted)?, column(truth)?);
                let both = g.mul(taken, is)?;
                let among = if let Self::Precision(_) = self { taken } else { is };
                Ok(MetricNodes { sum: g.reduce_sum(both)?, count: Some(g.reduce_sum(among)?) })
            }
            Self::MeanSquaredError | Self::MeanAbsoluteError => {
                self.expect_values(g, target)?;
                let difference = g.sub(output, target)?;
                let each =
                    if self == Self::MeanSquaredError { g.square(difference)? } else { g.abs(difference)? };
                let rows = mean_of_each_row(g, each)?;
                Ok(MetricNodes { sum: g.reduce_sum(rows)?, count: None })
            }
        }
    }

    /// What to compare by size, and the class of each row.
    #[track_caller]
    fn scores_and_classes(self, g: &mut Graph, output: Node, target: Node) -> Result<(Node, Node)> {
        let scores = logits(g, output);
        let classes = if g.dtype(target) == DType::Int { target } else { g.argmax(target)? };
        Ok((scores, classes))
    }

    fn expect_values(self, g: &Graph, target: Node) -> Result<()> {
        if g.dtype(target) == DType::Float {
            return Ok(());
        }
        Err(Error::invalid(format_args!(
            "metric {self}: the target \"{}\" holds classes, expected numbers; use accuracy",
            g.node(target).name
        )))
    }
}

/// The fraction of rows whose largest number is at their class: output \[None, classes\], labels int \[None\] → scalar.
///
/// # Errors
/// If the shapes don't fit.
#[track_caller]
pub fn accuracy(g: &mut Graph, output: Node, labels: Node) -> Result<Node> {
    let MetricNodes { sum, .. } = Metric::Accuracy.nodes(g, output, labels)?;
    let rows = g.size(labels);
    g.div(sum, rows)
}

fn is_sigmoid(g: &Graph, output: Node) -> bool {
    g.node(output).op == Op::Unary(Unary::Activation(Activation::Sigmoid))
}

/// How many of `right`, one for each row, are true.
fn hits(g: &mut Graph, right: Node) -> Result<MetricNodes> {
    let right = g.cast(right, DType::Float);
    Ok(MetricNodes { sum: g.reduce_sum(right)?, count: None })
}

fn binary_accuracy(g: &mut Graph, output: Node, target: Node) -> Result<MetricNodes> {
    let z = sigmoid_logits(g, output);
    let zero = g.scalar(0.0);
    let yes = g.greater(z, zero)?;
    let yes = g.cast(yes, DType::Float);
    let right = g.equal(yes, target)?;
    let right = g.cast(right, DType::Float);
    let of_each_row = g.sum_keeping(right, Keep::Prefix(1))?;
    let columns = g.scalar(g.shape(right).suffix(1).row_len() as f64);
    let share = g.div(of_each_row, columns)?;
    Ok(MetricNodes { sum: g.reduce_sum(share)?, count: None })
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accuracy => f.write_str("accuracy"),
            Self::TopK(k) => write!(f, "top_{k}_accuracy"),
            Self::Precision(class) => write!(f, "precision_{class}"),
            Self::Recall(class) => write!(f, "recall_{class}"),
            Self::MeanSquaredError => f.write_str("mean_squared_error"),
            Self::MeanAbsoluteError => f.write_str("mean_absolute_error"),
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |prefix: &str, suffix: &str| {
            text.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<usize>().ok()
        };
        let metric = match text {
            "accuracy" => Some(Self::Accuracy),
            "mse" | "mean_squared_error" => Some(Self::MeanSquaredError),
            "mae" | "mean_absolute_error" => Some(Self::MeanAbsoluteError),
            _ => (number("top_", "_accuracy").filter(|&k| k > 0).map(Self::TopK))
                .or_else(|| number("precision_", "").map(Self::Precision))
                .or_else(|| number("recall_", "").map(Self::Recall)),
        };
        metric.ok_or_else(|| {
            Error::invalid(format_args!(
                "metric \"{text}\" is unknown; expected accuracy, top_K_accuracy, precision_CLASS, recall_CLASS, \
                 mean_squared_error (mse) or mean_absolute_error (mae)"
            ))
        })
    }
}
