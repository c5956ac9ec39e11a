//! Comparisons, through which nothing is differentiated.

use crate::Result;
use crate::graph::{DType, Graph, Node, Op};
use crate::ops::Comparison;

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident => $op:expr;)*) => { impl Graph { $(
        $(#[$doc])*
        ///
        /// # Errors
        /// If one does not hold floats, or if the shapes can't be spread over one another by NumPy's rules.
        #[track_caller]
        pub fn $name(&mut self, a: Node, b: Node) -> Result<Node> {
            self.compare($op, a, b)
        }
    )* } };
}

comparisons! {
    /// a > b, element by element: floats → bool. False where one is NaN.
    greater => Comparison::Greater;
    /// a ≥ b, element by element: floats → bool. False where one is NaN.
    greater_equal => Comparison::GreaterEqual;
    /// a < b, element by element: floats → bool. False where one is NaN.
    less => Comparison::Less;
    /// a ≤ b, element by element: floats → bool. False where one is NaN.
    less_equal => Comparison::LessEqual;
}

impl Graph {
    #[track_caller]
    fn compare(&mut self, comparison: Comparison, a: Node, b: Node) -> Result<Node> {
        self.expect_dtype(comparison.name(), a, DType::Float)?;
        self.expect_dtype(comparison.name(), b, DType::Float)?;
        let (shape, sa, sb) = self.all_or_nothing(|g| g.spread_both(comparison.name(), a, b))?;
        Ok(self.push(Op::Compare(comparison, sa, sb), vec![a, b], shape, DType::Bool))
    }
}
