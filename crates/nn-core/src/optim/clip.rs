//! Keeping gradients small.

use super::rule::{Number, Range};
use crate::Result;
use crate::graph::{Graph, Node};

/// How gradients are limited before an optimizer follows them; the formulas are Keras'. ‖·‖ is the root of the sum of
/// squares.
///
/// ```
/// use nn_core::optim::{Clipping, Optimizer};
/// let optimizer = Optimizer::sgd(0.5).clipping(Clipping::GlobalNorm(1.0));
/// assert_eq!(optimizer.clips(), Some(Clipping::GlobalNorm(1.0)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Clipping {
    /// Every element lies within ± c: g ← min(max(g, −c), c).
    Value(f64),
    /// The gradient of each variable has a norm of c or less: g ← g · (c / max(‖g‖, c)).
    Norm(f64),
    /// All gradients together have a norm of c or less: with n = √Σ ‖gᵢ‖², gᵢ ← gᵢ · (c / max(n, c)). If n is not
    /// finite, all gradients become NaN rather than some of them 0.
    GlobalNorm(f64),
}

impl Clipping {
    /// c
    pub fn limit(self) -> f64 {
        match self {
            Self::Value(c) | Self::Norm(c) | Self::GlobalNorm(c) => c,
        }
    }

    pub(super) fn check(self, owner: &str) -> Result<()> {
        let name = match self {
            Self::Value(_) => "largest value of a gradient (clipping)",
            Self::Norm(_) => "largest norm of a gradient (clipping)",
            Self::GlobalNorm(_) => "largest norm of all gradients (clipping)",
        };
        Number::new(name, self.limit(), Range::Positive).check(owner)
    }

    /// The gradients, limited.
    pub(super) fn apply(self, g: &mut Graph, gradients: &[Node]) -> Result<Vec<Node>> {
        let limit = g.scalar(self.limit());
        match self {
            Self::Value(c) => {
                let lowest = g.scalar(-c);
                let limited = gradients.iter().map(|&gradient| {
                    let raised = g.maximum(gradient, lowest)?;
                    g.minimum(raised, limit)
                });
                limited.collect()
            }
            Self::Norm(_) => {
                let limited = gradients.iter().map(|&gradient| {
                    let squares = sum_of_squares(g, gradient)?;
                    let norm = g.sqrt(squares)?;
                    let factor = shrinking(g, norm, limit)?;
                    g.mul(gradient, factor)
                });
                limited.collect()
            }
            Self::GlobalNorm(_) => {
                let Some((&first, others)) = gradients.split_first() else { return Ok(Vec::new()) };
                let mut total = sum_of_squares(g, first)?;
                for &gradient in others {
                    let squares = sum_of_squares(g, gradient)?;
                    total = g.add(total, squares)?;
                }
                let norm = g.sqrt(total)?;
                let factor = shrinking(g, norm, limit)?;
                // 0 of a finite norm, NaN of any other.
                let nothing = g.sub(norm, norm)?;
                let factor = g.add(factor, nothing)?;
                gradients.iter().map(|&gradient| g.mul(gradient, factor)).collect()
            }
        }
    }
}

/// c / max(norm, c): exactly 1 where nothing is too long. A factor, so that the gradients are gone over once, in the pass
/// that follows them.
fn shrinking(g: &mut Graph, norm: Node, limit: Node) -> Result<Node> {
    let divisor = g.maximum(norm, limit)?;
    g.div(limit, divisor)
}

fn sum_of_squares(g: &mut Graph, x: Node) -> Result<Node> {
    let squares = g.square(x)?;
    g.reduce_sum(squares)
}
