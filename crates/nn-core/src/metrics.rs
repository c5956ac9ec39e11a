//! Metrics: what is measured beside the loss, batch by batch, as functions over the graph. Each is a ratio of two sums over the
//! rows, so that batches of different sizes add up to the figure of all their rows.

use std::fmt;
use std::str::FromStr;

use crate::graph::{DType, Graph, Node};
use crate::losses::{Loss, is_sigmoid, logits, mean_of_each_row, same_matrices, sigmoid_logits};
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
    /// does. For an output that is a sigmoid, has one column, or is trained by binary cross-entropy, the share of numbers on
    /// the right side of ½ (of 0, for logits).
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
        g.on_behalf(|g| self.sums(g, output, target).map_err(|error| g.located(error)))
    }

    /// The same for an output that is trained by `loss`.
    #[track_caller]
    pub(crate) fn under(self, loss: Loss, g: &mut Graph, output: Node, target: Node) -> Result<MetricNodes> {
        if (self, loss) == (Self::Accuracy, Loss::BinaryCrossEntropy) {
            return g
                .on_behalf(|g| self.binary_accuracy(g, output, target).map_err(|error| g.located(error)));
        }
        self.nodes(g, output, target)
    }

    fn sums(self, g: &mut Graph, output: Node, target: Node) -> Result<MetricNodes> {
        match self {
            Self::Accuracy if is_sigmoid(g, output) || g.shape(output).row_len() == 1 => {
                self.binary_accuracy(g, output, target)
            }
            Self::Accuracy => {
                let (scores, truth) = self.scores_and_classes(g, output, target)?;
                let predicted = g.argmax(scores)?;
                let right = g.equal(predicted, truth)?;
                hits(g, right)
            }
            Self::TopK(0) => Err(Error::invalid(format_args!(
                "metric {self}: nothing is among the 0 largest; expected 1 or more"
            ))),
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
                self.expect_values(g, output, target, "accuracy")?;
                let difference = g.sub(output, target)?;
                let each =
                    if self == Self::MeanSquaredError { g.square(difference)? } else { g.abs(difference)? };
                let rows = mean_of_each_row(g, each)?;
                Ok(MetricNodes { sum: g.reduce_sum(rows)?, count: None })
            }
        }
    }

    /// What to compare by size, and the class of each row.
    fn scores_and_classes(self, g: &mut Graph, output: Node, target: Node) -> Result<(Node, Node)> {
        let scores = logits(g, output);
        if g.dtype(target) == DType::Int {
            return Ok((scores, target));
        }
        same_matrices(&format!("metric {self}"), g, output, target)?;
        Ok((scores, g.argmax(target)?))
    }

    /// The targets must be numbers, one for each of the output's.
    fn expect_values(self, g: &Graph, output: Node, target: Node, remedy: &str) -> Result<()> {
        if g.dtype(target) == DType::Float {
            return same_matrices(&format!("metric {self}"), g, output, target);
        }
        Err(Error::invalid(format_args!(
            "metric {self}: the target \"{}\" holds classes, expected numbers; use {remedy}",
            g.node(target).name
        )))
    }

    /// σ(z) > ½ where z > 0.
    fn binary_accuracy(self, g: &mut Graph, output: Node, target: Node) -> Result<MetricNodes> {
        self.expect_values(g, output, target, "one column of 0 and 1 for each of the output's")?;
        let z = sigmoid_logits(g, output);
        let zero = g.scalar(0.0);
        let yes = g.greater(z, zero)?;
        let yes = g.cast(yes, DType::Float);
        let right = g.equal(yes, target)?;
        let right = g.cast(right, DType::Float);
        let share = mean_of_each_row(g, right)?;
        Ok(MetricNodes { sum: g.reduce_sum(share)?, count: None })
    }
}

/// [`Metric::Accuracy`] as a scalar: the fraction of rows whose largest number is at their class, for an output
/// \[None, classes\] and labels int \[None\], or float \[None, classes\].
///
/// # Errors
/// If the shapes don't fit.
#[track_caller]
pub fn accuracy(g: &mut Graph, output: Node, labels: Node) -> Result<Node> {
    g.on_behalf(|g| {
        let MetricNodes { sum, .. } = Metric::Accuracy.nodes(g, output, labels)?;
        let numbers = g.size(labels);
        let columns = g.scalar(g.shape(labels).row_len() as f64);
        let rows = g.div(numbers, columns)?;
        g.div(sum, rows)
    })
}

/// How many of `right`, one for each row, are true.
fn hits(g: &mut Graph, right: Node) -> Result<MetricNodes> {
    let right = g.cast(right, DType::Float);
    Ok(MetricNodes { sum: g.reduce_sum(right)?, count: None })
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
