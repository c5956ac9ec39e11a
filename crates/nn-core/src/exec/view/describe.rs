//! From a program whose places are numbers back to the nodes of the graph.

use std::collections::{BTreeSet, HashMap};

use super::super::analysis::{is_source, read_inputs};
use super::super::lower::Lower;
use super::super::program::{Extent, Fetched, Instr, Operand, Place};
use super::{CommitView, Explained, Origin, StageView, StepView, SumView, ValueView, kernel};
use crate::graph::{DType, Node, Op, VarId};

/// A value's place; places of floats and of ints are numbered apart.
type Key = (Place, bool);

/// Writes the description of a program whose places are not shared yet, so that each is written by one instruction.
pub(super) struct Describe<'l> {
    lower: &'l Lower<'l>,
    rows: usize,
    shard_rows: usize,
    node_at: HashMap<Key, Node>,
    written_by: HashMap<Key, Origin>,
    out: Explained,
}

impl<'l> Describe<'l> {
    pub(super) fn new(lower: &'l Lower<'l>, rows: usize, shard_rows: usize) -> Self {
        let program = &lower.program;
        let ints = |node: Node| lower.graph.dtype(node) != DType::Float;
        let mut node_at: HashMap<Key, Node> =
            lower.places.iter().map(|(&node, &place)| ((place, ints(node)), node)).collect();
        node_at.extend(lower.loaded.iter().map(|(&(node, _), &place)| ((place, ints(node)), node)));
        for (i, sum) in program.sums.iter().enumerate() {
            if let Some(&node) = node_at.get(&(Place::Once(sum.into), false)) {
                node_at.insert((Place::Sum(i), false), node);
            }
        }
        let mut written_by = HashMap::new();
        for &(feed, once, ints) in &program.fed_once {
            written_by.insert((Place::Once(once), ints), Origin::Fed(lower.feeds[feed]));
        }
        let out = Explained {
            rows,
            shard_rows,
            steps: Vec::new(),
            stages: Vec::new(),
            commits: Vec::new(),
            fetched: Vec::new(),
        };
        Self { lower, rows, shard_rows, node_at, written_by, out }
    }

    pub(super) fn program(&mut self, (shards, lanes): (usize, usize)) {
        let program = &self.lower.program;
        for (number, stage) in program.stages.iter().enumerate() {
            let before: Vec<usize> = stage.before.iter().map(|instr| self.step(instr)).collect();
            let per_shard: Vec<usize> = stage.per_shard.iter().map(|instr| self.step(instr)).collect();
            let mut sums = Vec::new();
            for (i, sum) in program.sums.iter().enumerate().filter(|(_, sum)| sum.stage == number) {
                let place = (Place::Sum(i), false);
                let Some(&Origin::Step { step, .. }) = self.written_by.get(&place) else { continue };
                self.written_by.insert((Place::Once(sum.into), false), Origin::Sum { step });
                let node = self.node_at.get(&place).copied();
                let dims =
                    node.map_or_else(|| vec![sum.len], |n| self.lower.graph.shape(n).with_batch(self.rows));
                sums.push(SumView { step, node, dims });
            }
            let (shards, lanes) = if per_shard.is_empty() { (0, 0) } else { (shards, lanes) };
            self.out.stages.push(StageView { before, per_shard, sums, shards, lanes });
        }
        for &(variable, from) in &program.commits {
            let value = self.value(&from, self.origin(&from));
            self.out.commits.push(CommitView { variable, value });
        }
        for fetched in &program.fetched {
            let value = match fetched {
                Fetched::Nothing => None,
                Fetched::Rows { operand, .. } | Fetched::Once { operand, .. } => {
                    Some(self.value(operand, self.origin(operand)))
                }
            };
            self.out.fetched.push(value);
        }
    }

    pub(super) fn finish(self) -> Explained {
        self.out
    }

    /// Describes an instruction; returns its number.
    fn step(&mut self, instr: &Instr) -> usize {
        let step = self.out.steps.len();
        let inputs = instr.ins.iter().map(|operand| self.value(operand, self.origin(operand))).collect();
        let nodes = self.computed_by(instr);
        let mut outputs = Vec::new();
        for (output, operand) in instr.outs.iter().enumerate() {
            let origin = match operand.place {
                Place::Var(id) => Origin::Variable(id),
                _ => Origin::Step { step, output },
            };
            self.written_by.entry((operand.place, operand.ints)).or_insert(origin);
            outputs.push(self.value(operand, origin));
        }
        self.out.steps.push(StepView { kernel: kernel::name(&instr.kernel), nodes, inputs, outputs });
        step
    }

    /// Where a value that is read comes from.
    fn origin(&self, operand: &Operand) -> Origin {
        match operand.place {
            Place::Feed(feed) => Origin::Fed(self.lower.feeds[feed]),
            Place::Var(id) => Origin::Variable(id),
            Place::Const(_) => Origin::Constant,
            place => self.written_by.get(&(place, operand.ints)).copied().unwrap_or(Origin::Constant),
        }
    }

    /// The node whose value an operand is.
    fn node(&self, operand: &Operand) -> Option<Node> {
        match operand.place {
            Place::Feed(feed) => Some(self.lower.feeds[feed]),
            Place::Var(id) => Some(self.lower.graph.var(id).node),
            place => self.node_at.get(&(place, operand.ints)).copied(),
        }
    }

    fn value(&self, operand: &Operand, origin: Origin) -> ValueView {
        let node = self.node(operand);
        let batched = operand.extent == Extent::Batch;
        let shape = node.map(|node| self.lower.graph.shape(node));
        let matrix = || match operand.extent {
            Extent::Batch => vec![self.shard_rows, operand.cols],
            Extent::Fixed(rows) => vec![rows, operand.cols],
        };
        // A reshaped value is read in the shape that the reader sees.
        let same_len =
            |dims: &Vec<usize>| dims.iter().product::<usize>() == matrix().iter().product::<usize>();
        let dims = shape.as_ref().map(|shape| shape.with_batch(self.shard_rows)).filter(same_len);
        let dtype = match (operand.ints, node) {
            (false, _) => DType::Float,
            (true, Some(node)) => self.lower.graph.dtype(node),
            (true, None) => DType::Int,
        };
        ValueView { origin, node, shape, dims: dims.unwrap_or_else(matrix), batched, dtype }
    }

    /// The nodes that lie between an instruction's outputs and its inputs: those that its kernel computes.
    fn computed_by(&self, instr: &Instr) -> Vec<Node> {
        let read: BTreeSet<Node> = instr.ins.iter().filter_map(|operand| self.node(operand)).collect();
        let mut found = BTreeSet::new();
        let mut open: Vec<Node> = Vec::new();
        for operand in &instr.outs {
            match operand.place {
                Place::Var(id) => open.extend(self.assignments(id)),
                // What a feed is written out into is no node of its own.
                _ => open.extend(self.node(operand).filter(|n| !read.contains(n))),
            }
        }
        while let Some(node) = open.pop() {
            let data = self.lower.graph.node(node);
            let known = read.contains(&self.lower.root(node)) || is_source(&data.op);
            if !known && found.insert(node) {
                open.extend(read_inputs(&data.op, &data.inputs));
            }
        }
        found.into_iter().collect()
    }

    /// The assignment to a variable that this run makes.
    fn assignments(&self, id: VarId) -> impl Iterator<Item = Node> + use<'_, 'l> {
        let nodes = self.lower.graph.handles();
        nodes.filter(move |n| self.lower.wanted[n.index()] && self.lower.graph.node(*n).op == Op::Assign(id))
    }
}
