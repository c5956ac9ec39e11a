//! Regularisers.

use crate::graph::{Graph, Node};
use crate::{Error, Result};

/// The regulariser l1 · Σ |W| + l2 · Σ W², added to the loss. Note that the sum is over all elements, as Keras has it: no half,
/// no mean.
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::layers::Penalty;
/// let mut g = Graph::new();
/// let w = g.constant(&[3.0, -4.0], &[2])?;
/// assert!(Penalty { l1: 0.0, l2: 0.0 }.of(&mut g, w)?.is_none());
/// assert!(Penalty { l1: 0.5, l2: 0.0 }.of(&mut g, w)?.is_some());
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Penalty {
    /// The factor of Σ |W|.
    pub l1: f64,
    /// The factor of Σ W².
    pub l2: f64,
}

impl Penalty {
    /// An error if a factor is negative or not finite.
    pub(crate) fn check(&self, layer: &str) -> Result<()> {
        match [self.l1, self.l2].into_iter().find(|l| !(l.is_finite() && *l >= 0.0)) {
            Some(bad) => Err(Error::invalid(format_args!(
                "{layer}: l1 and l2 must be finite and not negative, one is {bad}"
            ))),
            None => Ok(()),
        }
    }

    /// l1 · Σ |w| + l2 · Σ w², a scalar; none if both factors are 0.
    ///
    /// # Errors
    /// If `w` does not hold floats.
    #[track_caller]
    pub fn of(&self, g: &mut Graph, w: Node) -> Result<Option<Node>> {
        let mut terms = Vec::new();
        if self.l1 > 0.0 {
            let size = g.abs(w)?;
            terms.push((self.l1, size));
        }
        if self.l2 > 0.0 {
            let square = g.square(w)?;
            terms.push((self.l2, square));
        }
        let mut total = None;
        for (factor, term) in terms {
            let factor = g.scalar(factor);
            let sum = g.reduce_sum(term)?;
            let scaled = g.mul(factor, sum)?;
            total = add_to(g, total, Some(scaled))?;
        }
        Ok(total)
    }
}

/// a + b, where either may be nothing.
#[track_caller]
pub(crate) fn add_to(g: &mut Graph, a: Option<Node>, b: Option<Node>) -> Result<Option<Node>> {
    Ok(match (a, b) {
        (Some(a), Some(b)) => Some(g.add(a, b)?),
        (a, b) => a.or(b),
    })
}
