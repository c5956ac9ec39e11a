//! Changing variables, and running several things as one.

use crate::Result;
use crate::graph::{DType, Graph, Node, Op, Shape};

impl Graph {
    /// Gives the variable that `variable` reads the value of `value`. Reads see the old value throughout the run; the
    /// assignment takes effect when the run is over.
    ///
    /// # Errors
    /// If `variable` is not a variable, or if the shapes differ.
    #[track_caller]
    pub fn assign(&mut self, variable: Node, value: Node) -> Result<Node> {
        let Some(id) = self.variable_of(variable) else {
            return Err(self.usage_error(
                "assign",
                format_args!(
                    "\"{}\" {} is a {}, expected a variable",
                    self.node(variable).name,
                    self.shape(variable),
                    self.node(variable).op.name()
                ),
            ));
        };
        self.expect_dtype("assign", value, DType::Float)?;
        let (to, from) = (self.shape(variable), self.shape(value));
        if to != from {
            let name = &self.var(id).name;
            return Err(
                self.shape_error("assign", format_args!("variable \"{name}\" is {to}, the value is {from}"))
            );
        }
        Ok(self.push(Op::Assign(id), vec![value], Shape::scalar(), DType::Float))
    }

    /// A node that, when it is run, gives every variable its initial value again: all that the session's graph has then,
    /// those that were added after this node too. Reads see the old values throughout the run; no variable can be
    /// assigned in the same run.
    ///
    /// A session begins with initial values, so this is needed only to begin again.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nn_core::backend::Naive;
    /// use nn_core::exec::{Session, SessionOptions};
    /// use nn_core::graph::Graph;
    /// use nn_core::init::Initializer;
    /// let mut g = Graph::new();
    /// let w = g.variable("w", &[], Initializer::Constant(2.0))?;
    /// let square = g.square(w)?;
    /// let step = g.assign(w, square)?;
    /// let reset = g.global_variables_initializer();
    /// let mut session = Session::<f64>::new(g, SessionOptions::new(Arc::new(Naive)))?;
    /// session.run(&[step], &[])?;
    /// assert_eq!(session.run(&[w, reset], &[])?.scalar(0)?, 4.0);
    /// assert_eq!(session.run(&[w], &[])?.scalar(0)?, 2.0);
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    #[track_caller]
    pub fn global_variables_initializer(&mut self) -> Node {
        self.push(Op::Initialize, vec![], Shape::scalar(), DType::Float)
    }

    /// A node that runs all of `nodes` and has no value of its own.
    #[track_caller]
    pub fn group(&mut self, nodes: &[Node]) -> Node {
        self.push(Op::Group, nodes.to_vec(), Shape::scalar(), DType::Float)
    }
}
