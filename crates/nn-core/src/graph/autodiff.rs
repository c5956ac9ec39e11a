//! Reverse-mode differentiation, graph to graph.

use super::{DType, Graph, Node, Op};
use crate::Result;

impl Graph {
    /// ∂cost/∂x for each x of `wrt`, as nodes of this graph. An x that the cost does not depend on gets zeros.
    ///
    /// ```
    /// use nn_core::graph::Graph;
    /// use nn_core::init::Initializer;
    /// let mut g = Graph::new();
    /// let w = g.variable("w", &[3], Initializer::Zeros)?;
    /// let square = g.square(w)?;
    /// let cost = g.reduce_sum(square)?;
    /// let dw = g.gradients(cost, &[w])?[0]; // 2 w
    /// assert_eq!(g.shape(dw), g.shape(w));
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the cost is not a float scalar, or if an operation between has no gradient.
    #[track_caller]
    pub fn gradients(&mut self, cost: Node, wrt: &[Node]) -> Result<Vec<Node>> {
        let shape = self.shape(cost);
        if shape.rank() != 0 || self.dtype(cost) != DType::Float {
            return Err(self.shape_error(
                "gradients",
                format_args!(
                    "the cost \"{}\" is {} {shape}, expected a float scalar []; reduce it with reduce_mean or reduce_sum",
                    self.node(cost).name,
                    self.dtype(cost).name()
                ),
            ));
        }
        self.on_behalf(|g| g.gradients_of(cost, wrt))
    }

    fn gradients_of(&mut self, cost: Node, wrt: &[Node]) -> Result<Vec<Node>> {
        let reaches = self.reaching(cost, wrt);
        let mut totals: Vec<Option<Node>> = vec![None; cost.index() + 1];
        totals[cost.index()] = Some(self.scalar(1.0));
        self.scope("gradients", |g| -> Result<()> {
            for index in (0..=cost.index()).rev() {
                let (node, Some(up)) = (Node::from_index(index), totals[index]) else { continue };
                let inputs = g.node(node).inputs.clone();
                if !inputs.iter().any(|input| reaches[input.index()]) {
                    continue;
                }
                let flows = g.gradient_rule(node, up)?;
                for (input, flow) in inputs.into_iter().zip(flows) {
                    let Some(flow) = flow.filter(|_| reaches[input.index()]) else { continue };
                    let total = &mut totals[input.index()];
                    *total = Some(match *total {
                        Some(sum) => g.add(sum, flow)?,
                        None => flow,
                    });
                }
            }
            Ok(())
        })?;
        wrt.iter().map(|&x| self.total_or_zeros(totals.get(x.index()).copied().flatten(), x)).collect()
    }

    fn total_or_zeros(&mut self, total: Option<Node>, x: Node) -> Result<Node> {
        match total {
            Some(total) => Ok(total),
            None => {
                let zero = self.scalar(0.0);
                self.broadcast_like(zero, x)
            }
        }
    }

    /// For each node up to `cost`: whether one of `wrt` is among what it is computed from (or is itself one).
    fn reaching(&self, cost: Node, wrt: &[Node]) -> Vec<bool> {
        let mut reaches = vec![false; cost.index() + 1];
        for index in 0..=cost.index() {
            let node = &self.nodes[index];
            let differentiable = node.dtype == DType::Float && !matches!(node.op, Op::Size);
            reaches[index] = wrt.contains(&Node::from_index(index))
                || differentiable && node.inputs.iter().any(|input| reaches[input.index()]);
        }
        reaches
    }
}
