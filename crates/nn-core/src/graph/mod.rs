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
mod op;
mod rules;
mod shape;

use std::collections::HashMap;
use std::panic::Location;

pub use op::{DType, Keep, NodeData, Op, VarId};
pub use shape::{Dim, Shape, Spread, Symbol};

use crate::init::Initializer;
use crate::{Error, Result};

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

    /// The shape of `node`'s value, with symbols that were found to be equal written alike.
    pub fn shape(&self, node: Node) -> Shape {
        self.resolve(&self.node(node).shape)
    }

    /// The type of the elements of `node`'s value.
    pub fn dtype(&self, node: Node) -> DType {
        self.node(node).dtype
    }

    /// Builds nodes under a name: what `body` makes is called `name/…`.
    pub fn scope<R>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> R) -> R {
        self.scope_named(name, body).1
    }

    /// Likewise, and the full name that the scope was given.
    pub(crate) fn scope_named<R>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> R) -> (String, R) {
        let unique = self.unique(name);
        let result = self.within(&unique, body);
        (unique, result)
    }

    /// Builds more nodes in a scope that there is already, by its full name.
    pub(crate) fn within<R>(&mut self, scope: &str, body: impl FnOnce(&mut Self) -> R) -> R {
        self.scopes.push(scope.to_owned());
        let result = body(self);
        self.scopes.pop();
        result
    }

    /// Builds nodes under a name that may have been used before, as it is: what `body` makes belongs with what was made under
    /// it earlier. (A layer that is called again works in the scope of its variables.)
    pub fn reopen<R>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> R) -> R {
        let full = match self.scopes.last() {
            Some(scope) => format!("{scope}/{name}"),
            None => name.to_owned(),
        };
        self.names.entry(full.clone()).or_default();
        self.scopes.push(full);
        let result = body(self);
        self.scopes.pop();
        result
    }

    /// A value to be fed. Only the first dimension may be `None`.
    ///
    /// # Errors
    /// If another dimension is `None`.
    #[track_caller]
    pub fn placeholder(&mut self, name: &str, dims: &[Option<usize>]) -> Result<Node> {
        self.typed_placeholder(name, dims, DType::Float)
    }

    /// A value to be fed whose elements are of type `dtype`: class indices are [`DType::Int`].
    ///
    /// # Errors
    /// If a dimension other than the first is `None`.
    #[track_caller]
    pub fn typed_placeholder(&mut self, name: &str, dims: &[Option<usize>], dtype: DType) -> Result<Node> {
        if let Some(axis) = dims.iter().skip(1).position(Option::is_none) {
            return Err(Error::shape(format_args!(
                "placeholder \"{name}\": only the first dimension may be None, dimension {} is too",
                axis + 1
            )));
        }
        let dims: Vec<Dim> =
            dims.iter().map(|dim| dim.map_or_else(|| self.fresh_symbol(), Dim::Fixed)).collect();
        Ok(self.push_named(Some(name), Op::Placeholder, vec![], Shape::new(dims), dtype))
    }

    /// A trainable variable.
    ///
    /// # Errors
    /// If the initialiser does not fit the dimensions.
    #[track_caller]
    pub fn variable(&mut self, name: &str, dims: &[usize], initializer: Initializer) -> Result<Node> {
        self.add_variable(name, dims, initializer, true)
    }

    /// A variable that optimizers leave alone: a slot, a counter, a learning rate.
    ///
    /// # Errors
    /// If the initialiser does not fit the dimensions.
    #[track_caller]
    pub fn state(&mut self, name: &str, dims: &[usize], initializer: Initializer) -> Result<Node> {
        self.add_variable(name, dims, initializer, false)
    }

    #[track_caller]
    fn add_variable(
        &mut self,
        name: &str,
        dims: &[usize],
        initializer: Initializer,
        trainable: bool,
    ) -> Result<Node> {
        initializer.check(dims).map_err(|e| Error::invalid(format_args!("variable \"{name}\": {e}")))?;
        let id = VarId(self.variables.len());
        let node = self.push_named(Some(name), Op::Variable(id), vec![], Shape::fixed(dims), DType::Float);
        let name = self.node(node).name.clone();
        self.variables.push(Variable { name, dims: dims.to_vec(), initializer, trainable, node });
        Ok(node)
    }

    /// A float scalar.
    #[track_caller]
    pub fn scalar(&mut self, value: f64) -> Node {
        self.push(Op::Constant([value].into()), vec![], Shape::scalar(), DType::Float)
    }

    /// Numbers known now, row-major.
    ///
    /// # Errors
    /// If `values` is not as long as `dims` says.
    #[track_caller]
    pub fn constant(&mut self, values: &[f64], dims: &[usize]) -> Result<Node> {
        if dims.iter().product::<usize>() != values.len() {
            return Err(Error::shape(format_args!(
                "constant: {} values were given for the shape {}",
                values.len(),
                Shape::fixed(dims)
            )));
        }
        Ok(self.push(Op::Constant(values.into()), vec![], Shape::fixed(dims), DType::Float))
    }

    #[track_caller]
    pub(crate) fn push(&mut self, op: Op, inputs: Vec<Node>, shape: Shape, dtype: DType) -> Node {
        self.push_named(None, op, inputs, shape, dtype)
    }

    #[track_caller]
    fn push_named(
        &mut self,
        name: Option<&str>,
        op: Op,
        inputs: Vec<Node>,
        shape: Shape,
        dtype: DType,
    ) -> Node {
        let name = self.unique(name.unwrap_or(op.name()));
        let node = Node::from_index(self.nodes.len());
        self.nodes.push(NodeData { op, inputs, shape, dtype, name, built_at: Location::caller() });
        node
    }

    /// `name` under the current scope, with a number behind it if it is taken.
    fn unique(&mut self, name: &str) -> String {
        let full = match self.scopes.last() {
            Some(scope) => format!("{scope}/{name}"),
            None => name.to_owned(),
        };
        let mut candidate = full.clone();
        while self.names.contains_key(&candidate) {
            let uses = self.names.entry(full.clone()).or_default();
            *uses += 1;
            candidate = format!("{full}_{uses}");
        }
        self.names.insert(candidate.clone(), 0);
        candidate
    }

    /// What a message about an op that is being built calls it: `matmul "hidden"`.
    fn label(&self, op: &str) -> String {
        match self.scopes.last() {
            Some(scope) => format!("{op} \"{scope}\""),
            None => op.to_owned(),
        }
    }

    #[cold]
    #[track_caller]
    fn shape_error(&self, op: &str, what: impl std::fmt::Display) -> Error {
        let at = Location::caller();
        Error::shape(format_args!("{}: {what} (built at {}:{})", self.label(op), at.file(), at.line()))
    }

    /// An error unless `node`'s elements are of type `dtype`.
    #[track_caller]
    fn expect_dtype(&self, op: &str, node: Node, dtype: DType) -> Result<()> {
        let found = self.dtype(node);
        if found == dtype {
            return Ok(());
        }
        let name = &self.node(node).name;
        Err(self.shape_error(
            op,
            format_args!("\"{name}\" holds {}, expected {}; cast it", found.name(), dtype.name()),
        ))
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

    /// Whether a symbol stands for itself: it was not found to be another one, or a number.
    pub(crate) fn is_open(&self, symbol: Symbol) -> bool {
        self.resolve_dim(Dim::Symbol(symbol)) == Dim::Symbol(symbol)
    }

    fn fresh_symbol(&mut self) -> Dim {
        self.symbols.push(None);
        Dim::Symbol(Symbol(self.symbols.len() as u32 - 1))
    }

    fn resolve_dim(&self, mut dim: Dim) -> Dim {
        while let Dim::Symbol(symbol) = dim {
            match self.symbols[symbol.0 as usize] {
                Some(next) => dim = next,
                None => break,
            }
        }
        dim
    }

    fn resolve(&self, shape: &Shape) -> Shape {
        Shape::new(shape.dims().iter().map(|&dim| self.resolve_dim(dim)))
    }

    /// Makes two dimensions one, if they can be.
    fn unify(&mut self, a: Dim, b: Dim) -> bool {
        match (self.resolve_dim(a), self.resolve_dim(b)) {
            (a, b) if a == b => true,
            (Dim::Symbol(s), other) | (other, Dim::Symbol(s)) => {
                self.symbols[s.0 as usize] = Some(other);
                true
            }
            _ => false,
        }
    }
}
