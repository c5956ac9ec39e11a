//! Random numbers, through which nothing is differentiated.

use crate::Result;
use crate::graph::{DType, Graph, Node, Op};

impl Graph {
    /// Numbers uniform in \[0, 1), in the shape of x, whose elements don't matter: other ones for each value of `step`,
    /// a float scalar such as a count of the steps made.
    ///
    /// Each number is a function of the session's seed, of which random node of the graph this is, of `step`, and of its
    /// place in the tensor, and of nothing else: threads, shards, and whether x is a batch or has a known number of rows
    /// don't matter, and `f32` and `f64` sessions draw the same numbers (multiples of 2⁻²⁴).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nn_core::backend::Naive;
    /// use nn_core::exec::{Feed, Session, SessionOptions};
    /// use nn_core::graph::Graph;
    /// let mut g = Graph::new();
    /// let like = g.constant(&[0.0; 6], &[2, 3])?;
    /// let step = g.placeholder("step", &[])?;
    /// let u = g.uniform_like(like, step)?;
    /// let mut session = Session::<f64>::new(g, SessionOptions::new(Arc::new(Naive)))?;
    /// let mut draw = |now: f64| -> nn_core::Result<Vec<f64>> {
    ///     Ok(session.run(&[u], &[(step, Feed::Floats(&[now]))])?.floats(0)?.to_vec())
    /// };
    /// let first = draw(1.0)?;
    /// assert_ne!(draw(2.0)?, first);
    /// assert_eq!(draw(1.0)?, first);
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `step` is not a float scalar.
    #[track_caller]
    pub fn uniform_like(&mut self, x: Node, step: Node) -> Result<Node> {
        const OP: &str = "uniform_like";
        self.expect_dtype(OP, step, DType::Float)?;
        let (shape, given) = (self.shape(x), self.shape(step));
        if given.rank() != 0 {
            return Err(self.shape_error(
                OP,
                format_args!("numbers of the shape {shape} for the step {given}: expected a float scalar []"),
            ));
        }
        let stream = self.random_streams;
        self.random_streams += 1;
        Ok(self.push(Op::Uniform { stream }, vec![step, x], shape, DType::Float))
    }
}
