//! The dataflow graph: nodes with symbolic shapes, built lazily, differentiated graph to graph. Nothing here touches
//! tensor data.
//!
//! ```
//! use nn_core::graph::{Graph, Shape};
//! use nn_core::init::Initializer;
//!
//! let mut g = Graph::new();
//! let x = g.placeholder("x", &[None, Some(784)])?;
//! let w = g.variable("w", &[784, 10], Initializer::GlorotUniform)?;
//! let y = g.matmul(x, w)?;
//! assert_eq!(g.shape(y).to_string(), "[None, 10]");
//!
//! let narrow = g.variable("narrow", &[783, 10], Initializer::Zeros)?;
//! let error = g.matmul(x, narrow).unwrap_err().to_string();
//! assert!(error.contains("[None, 784] · [783, 10]: inner dimensions differ (784 vs 783)"), "{error}");
//! # Ok::<(), nn_core::Error>(())
//! ```

mod autodiff;
mod naming;
mod op;
mod rules;
mod shape;
mod symbols;

use std::collections::HashMap;
use std::panic::Location;

pub use op::{DType, Keep, NodeData, Op, VarId};
pub use shape::{Dim, Shape, Spread, Symbol};

use crate::init::Initializer;

/// A node of a [`Graph`]: a handle, valid for the graph that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(u32);

impl Node {
    /// Its place in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("a graph of fewer than 2³² nodes"))
    }
}

/// A value that outlives a run: a weight, a slot of an optimizer, a counter.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name, unique among the graph's nodes.
    pub name: String,
    /// Its dimensions, all known.
    pub dims: Vec<usize>,
    /// What it holds before the first assignment.
    pub initializer: Initializer,
    /// Whether optimizers change it.
    pub trainable: bool,
    /// The node that reads it.
    pub node: Node,
}

/// A dataflow graph. Nodes are added, never changed; inputs come before the nodes that use them.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<NodeData>,
    variables: Vec<Variable>,
    /// What a symbol turned out to be, once another dimension was unified with it.
    symbols: Vec<Option<Dim>>,
    scopes: Vec<String>,
    names: HashMap<String, usize>,
    /// How many nodes draw random numbers.
    random_streams: u64,
    seed: Option<u64>,
    /// The line that nodes are built on behalf of, within a composite operation.
    on_behalf_of: Option<&'static Location<'static>>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// All nodes, inputs before users.
    pub fn nodes(&self) -> &[NodeData] {
        &self.nodes
    }

    /// The handles of all nodes, in the order of [`nodes`](Self::nodes).
    pub fn handles(&self) -> impl Iterator<Item = Node> + use<> {
        (0..self.nodes.len()).map(Node::from_index)
    }

    /// What is known of `node`.
    pub fn node(&self, node: Node) -> &NodeData {
        &self.nodes[node.index()]
    }

    /// All variables, in the order of creation.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The variable with this number.
    pub fn var(&self, id: VarId) -> &Variable {
        &self.variables[id.0]
    }

    /// The variable that `node` reads, if it reads one.
    pub fn variable_of(&self, node: Node) -> Option<VarId> {
        match self.node(node).op {
            Op::Variable(id) => Some(id),
            _ => None,
        }
    }

    /// Sets what sessions over this graph draw from: the initial values of variables, and random nodes. It goes before
    /// the seed of the session's options. A session asks for it once, when it is made.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = Some(seed);
    }

    /// The seed that was set, if one was.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The shape of `node`'s value, with symbols that were found to be equal written alike.
    pub fn shape(&self, node: Node) -> Shape {
        self.resolve(&self.node(node).shape)
    }

    /// The type of the elements of `node`'s value.
    pub fn dtype(&self, node: Node) -> DType {
        self.node(node).dtype
    }

    #[track_caller]
    pub(crate) fn push(&mut self, op: Op, inputs: Vec<Node>, shape: Shape, dtype: DType) -> Node {
        self.push_named(None, op, inputs, shape, dtype)
    }

    #[track_caller]
    pub(in crate::graph) fn push_named(
        &mut self,
        name: Option<&str>,
        op: Op,
        inputs: Vec<Node>,
        shape: Shape,
        dtype: DType,
    ) -> Node {
        let name = self.unique(name.unwrap_or(op.name()));
        let node = Node::from_index(self.nodes.len());
        self.nodes.push(NodeData { op, inputs, shape, dtype, name, built_at: self.caller() });
        node
    }

    /// Whether `other` begins with this graph's nodes and variables.
    pub(crate) fn is_part_of(&self, other: &Self) -> bool {
        let nodes = other.nodes.iter().zip(&self.nodes);
        let variables = other.variables.iter().zip(&self.variables);
        other.nodes.len() >= self.nodes.len()
            && other.variables.len() >= self.variables.len()
            && nodes.into_iter().all(|(a, b)| a.name == b.name && a.inputs == b.inputs)
            && variables.into_iter().all(|(a, b)| a.name == b.name && a.dims == b.dims)
    }
}
