//! Choosing between two values.

use super::{Gradients, elementwise};
use crate::Result;
use crate::graph::{DType, Dim, Graph, Node, Op, Spread, shape};

impl Graph {
    /// a where the condition holds, b elsewhere: NumPy's `where`. The result has the condition's shape, over which a and
    /// b are spread. What is not chosen is not multiplied by zero: a NaN there stays out, and so does its gradient.
    ///
    /// ```
    /// use nn_core::graph::Graph;
    /// let mut g = Graph::new();
    /// let x = g.placeholder("x", &[None, Some(3)])?;
    /// let zero = g.scalar(0.0);
    /// let positive = g.greater(x, zero)?;
    /// let log = g.log(x)?;
    /// let safe = g.select(positive, log, zero)?;
    /// assert_eq!(g.shape(safe).to_string(), "[None, 3]");
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the condition does not hold bools, or a and b not floats that can be spread over its shape.
    #[track_caller]
    pub fn select(&mut self, condition: Node, a: Node, b: Node) -> Result<Node> {
        const OP: &str = "select";
        self.expect_dtype(OP, condition, DType::Bool)?;
        self.expect_dtype(OP, a, DType::Float)?;
        self.expect_dtype(OP, b, DType::Float)?;
        let [sa, sb] =
            self.all_or_nothing(|g| Ok([g.spread_over(condition, a)?, g.spread_over(condition, b)?]))?;
        let shape = self.shape(condition);
        Ok(self.push(Op::Select(sa, sb), vec![condition, a, b], shape, DType::Float))
    }

    /// How an operand is spread over the condition.
    #[track_caller]
    fn spread_over(&mut self, condition: Node, operand: Node) -> Result<Spread> {
        let (from, to) = (self.shape(operand), self.shape(condition));
        if let (Some(x), Some(y)) = (from.batch(), to.batch()) {
            self.unify(Dim::Symbol(x), Dim::Symbol(y));
        }
        shape::spread(&self.shape(operand), &self.shape(condition)).ok_or_else(|| {
            self.shape_error(
                "select",
                format_args!(
                    "condition {to} and \"{}\" {from}: expected the condition's shape, or one that is spread over it",
                    self.node(operand).name
                ),
            )
        })
    }
}

/// To each side what flows to where it was chosen.
pub(super) fn gradient(
    g: &mut Graph,
    condition: Node,
    (a, spread_a): (Node, Spread),
    (b, spread_b): (Node, Spread),
    up: Node,
) -> Gradients {
    let zero = g.scalar(0.0);
    let da = g.select(condition, up, zero)?;
    let db = g.select(condition, zero, up)?;
    let da = elementwise::sum_to_operand(g, da, a, spread_a)?;
    let db = elementwise::sum_to_operand(g, db, b, spread_b)?;
    Ok(vec![None, Some(da), Some(db)])
}
