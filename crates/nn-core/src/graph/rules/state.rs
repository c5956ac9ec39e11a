//! Changing variables, and running several things as one.

use crate::graph::{DType, Graph, Node, Op, Shape};
use crate::{Error, Result};

impl Graph {
    /// Gives the variable that `variable` reads the value of `value`. Reads see the old value throughout the run; the
    /// assignment takes effect when the run is over.
    ///
    /// # Errors
    /// If `variable` is not a variable, or if the shapes differ.
    #[track_caller]
    pub fn assign(&mut self, variable: Node, value: Node) -> Result<Node> {
        let Some(id) = self.variable_of(variable) else {
            return Err(Error::invalid(format_args!(
                "assign: \"{}\" is a {}, expected a variable",
                self.node(variable).name,
                self.node(variable).op.name()
            )));
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

    /// A node that runs all of `nodes` and has no value of its own.
    #[track_caller]
    pub fn group(&mut self, nodes: &[Node]) -> Node {
        self.push(Op::Group, nodes.to_vec(), Shape::scalar(), DType::Float)
    }
}
