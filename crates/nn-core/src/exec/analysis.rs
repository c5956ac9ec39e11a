//! What a set of fetches needs, and where in a run each of its nodes can be computed.
//!
//! A *batched* node has a row for each row of the batch; it is computed shard by shard, in the stage `level`. A node
//! without a batch axis exists once, from the moment before stage `ready` on. A *contraction* has batched inputs and no
//! batch axis: it is accumulated in a stage and ready before the next. So a value that needs the whole batch in the
//! middle of the graph just makes one more stage.

use crate::graph::{Graph, Node, Op, Shape, Spread, Symbol};

/// Where a node stands in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Computed for each shard in this stage.
    Shard { level: usize, symbol: Symbol },
    /// Accumulated over the shards of this stage; there before the next.
    Contraction { level: usize, symbol: Symbol },
    /// There before this stage; `depth` orders what is computed at the same point.
    Once { ready: usize, depth: usize },
}

impl When {
    /// The first stage that can read the value, if it exists once.
    pub(super) fn ready(self) -> usize {
        match self {
            Self::Shard { level, .. } => level,
            Self::Contraction { level, .. } => level + 1,
            Self::Once { ready, .. } => ready,
        }
    }

    /// Whether there is a value for each shard.
    pub(super) fn is_batched(self) -> bool {
        matches!(self, Self::Shard { .. })
    }
}

/// The nodes that a set of fetches needs.
#[derive(Debug)]
pub(super) struct Analysis {
    /// For each node of the graph: nothing if it is not needed.
    pub(super) when: Vec<Option<When>>,
    /// The shapes of all nodes, with symbols resolved: a variable that is assigned, and read by none, is not needed, but it is written.
    pub(super) shapes: Vec<Shape>,
    /// How many needed nodes (and fetches) read each node's value.
    pub(super) uses: Vec<usize>,
    /// Whether a node is fetched.
    pub(super) fetched: Vec<bool>,
}

/// The inputs of a node whose values matter: `Broadcast`, `PadRows`, `Size` and `Uniform` ask
/// only for the shape of one.
pub(super) fn read_inputs<'n>(op: &Op, inputs: &'n [Node]) -> impl Iterator<Item = Node> + use<'n> {
    let read = match op {
        Op::Size => 0,
        Op::Broadcast(_) | Op::PadRows { .. } | Op::Uniform { .. } => 1,
        _ => inputs.len(),
    };
    inputs[..read].iter().copied()
}

impl Analysis {
    /// Finds what `fetches` need in `graph`.
    pub(super) fn new(graph: &Graph, fetches: &[Node]) -> Self {
        let n = graph.nodes().len();
        let mut this = Self {
            when: vec![None; n],
            shapes: graph.handles().map(|node| graph.shape(node)).collect(),
            uses: vec![0; n],
            fetched: vec![false; n],
        };
        let mut needed = vec![false; n];
        for &fetch in fetches {
            needed[fetch.index()] = true;
            this.fetched[fetch.index()] = true;
            this.uses[fetch.index()] += 1;
        }
        for index in (0..n).rev() {
            if !needed[index] {
                continue;
            }
            let node = &graph.nodes()[index];
            for input in read_inputs(&node.op, &node.inputs) {
                needed[input.index()] = true;
                this.uses[input.index()] += 1;
            }
        }
        for index in (0..n).filter(|&i| needed[i]) {
            let node = Node::from_index(index);
            this.when[index] = Some(this.place_in_run(graph, node));
        }
        this.postpone(graph);
        this
    }

    /// Moves elementwise nodes that could be computed early to where all of their readers are, if those are of the same size
    /// and so can share a pass with them: ρ·v of an optimizer waits for the gradient, and is never written to memory.
    fn postpone(&mut self, graph: &Graph) {
        /// What is known of a node's readers, from the last one on.
        #[derive(Clone, Copy)]
        enum Readers {
            None,
            From(usize),
            Elsewhere,
        }
        let n = self.when.len();
        let mut readers = vec![Readers::None; n];
        for index in (0..n).rev() {
            let (node, Some(when)) = (Node::from_index(index), self.when[index]) else { continue };
            if let (When::Once { depth, .. }, Readers::From(ready)) = (when, readers[index])
                && self.is_elementwise(graph, node)
                && !self.fetched[index]
            {
                self.when[index] = Some(When::Once { ready, depth });
            }
            let data = graph.node(node);
            for input in read_inputs(&data.op, &data.inputs) {
                let shared = matches!(when, When::Once { .. }) && self.same_pass(graph, input, node);
                let known = &mut readers[input.index()];
                *known = match (*known, shared) {
                    (Readers::None, true) => Readers::From(self.when(node).ready()),
                    (Readers::From(ready), true) => Readers::From(ready.min(self.when(node).ready())),
                    _ => Readers::Elsewhere,
                };
            }
        }
        for index in 0..n {
            let node = Node::from_index(index);
            if let Some(When::Once { ready, .. }) = self.when[index] {
                let data = graph.node(node);
                let inputs: Vec<Node> = read_inputs(&data.op, &data.inputs).collect();
                self.when[index] = Some(When::Once { ready, depth: self.depth(graph, node, &inputs, ready) });
            }
        }
    }

    /// Where a needed node stands. Asking for another is a bug.
    pub(super) fn when(&self, node: Node) -> When {
        self.when[node.index()].unwrap_or(When::Once { ready: 0, depth: 0 })
    }

    /// The number of elements of a node that exists once.
    pub(super) fn size(&self, node: Node) -> usize {
        self.shapes[node.index()].row_len()
    }

    fn place_in_run(&self, graph: &Graph, node: Node) -> When {
        let data = graph.node(node);
        let inputs: Vec<Node> = read_inputs(&data.op, &data.inputs).collect();
        let level = inputs.iter().map(|&i| self.when(i).ready()).max().unwrap_or(0);
        if let Some(symbol) = self.shapes[node.index()].batch() {
            return When::Shard { level, symbol };
        }
        let contracted = inputs.iter().find_map(|&i| match self.when(i) {
            When::Shard { symbol, .. } => Some(symbol),
            _ => None,
        });
        // A group has no value, so there is nothing to sum: it is over when its inputs are.
        if let (Some(symbol), false) = (contracted, data.op == Op::Group) {
            return When::Contraction { level, symbol };
        }
        When::Once { ready: level, depth: self.depth(graph, node, &inputs, level) }
    }

    /// Among what is computed before the same stage: elementwise nodes of the same depth may form one pass; any other
    /// node of that depth runs after them, and an elementwise node that reads such a one is one deeper. (So a pass never
    /// waits for something that waits for the pass.)
    fn depth(&self, graph: &Graph, node: Node, inputs: &[Node], ready: usize) -> usize {
        let mut depth = 0;
        for &input in inputs {
            let When::Once { ready: r, depth: d } = self.when(input) else { continue };
            if r != ready || is_source(&graph.node(input).op) {
                continue;
            }
            let joins = !self.is_elementwise(graph, node) || self.same_pass(graph, input, node);
            depth = depth.max(if joins { d } else { d + 1 });
        }
        depth
    }

    /// Whether a node that exists once is computed element by element from inputs of its own size and single numbers.
    pub(super) fn is_elementwise(&self, graph: &Graph, node: Node) -> bool {
        let data = graph.node(node);
        let direct = |spread: Spread| matches!(spread, Spread::Same | Spread::Scalar);
        match data.op {
            Op::Unary(_) => true,
            Op::Binary(_, a, b) => {
                operands(graph, node, [a, b]).into_iter().all(|(_, spread)| direct(spread))
            }
            _ => false,
        }
    }

    /// Whether `input` and `node`, which reads it, are elementwise and of the same size.
    pub(super) fn same_pass(&self, graph: &Graph, input: Node, node: Node) -> bool {
        self.is_elementwise(graph, input)
            && self.is_elementwise(graph, node)
            && self.size(input) == self.size(node)
    }
}

/// Whether a node has its value without being computed.
pub(super) fn is_source(op: &Op) -> bool {
    matches!(op, Op::Placeholder | Op::Variable(_) | Op::Constant(_) | Op::Size)
}

/// The operands of a binary node, and how each is spread. A `Broadcast` is read through where the node itself spreads
/// nothing; one spread after another would be none of the forms that kernels exist for.
pub(super) fn operands(graph: &Graph, node: Node, declared: [Spread; 2]) -> [(Node, Spread); 2] {
    let inputs = &graph.node(node).inputs;
    [0, 1].map(|i| {
        let data = graph.node(inputs[i]);
        match (declared[i], &data.op) {
            (Spread::Same, &Op::Broadcast(spread)) => (data.inputs[0], spread),
            (spread, _) => (inputs[i], spread),
        }
    })
}
