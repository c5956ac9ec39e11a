//! Where each value lives, and how a kernel gets at it.

use super::lower::Lower;
use super::program::{Extent, Instr, Kernel, Operand, Place};
use crate::graph::{DType, Node, Op, Shape, Symbol};
use crate::{Error, Result};

impl Lower<'_> {
    /// The once buffer for a node's value.
    pub(super) fn once_buffer(&mut self, node: Node) -> Operand {
        let describe = self.own_layout(node);
        let once = &mut self.program.once;
        let place =
            *self.places.entry(node).or_insert_with(|| Place::Once(once.add(describe.ints, describe.len())));
        Operand { place, ..describe }
    }

    /// A new place for the value of a batched node: its lane's if it is asked for outside of the shard.
    pub(super) fn new_place(&mut self, node: Node, symbol: Symbol) -> Place {
        let Operand { cols, ints, .. } = self.describe(node);
        if !self.kept[node.index()] {
            return Place::Slot(self.slots.add(ints, cols));
        }
        let kept = if ints { &mut self.program.kept_ints } else { &mut self.program.kept };
        kept.push((symbol, cols));
        let place = Place::Kept(kept.len() - 1);
        self.places.insert(node, place);
        place
    }

    /// A node's value as a matrix, without its place.
    pub(super) fn describe(&self, node: Node) -> Operand {
        let (extent, cols) = as_matrix(&self.analysis.shapes[node.index()]);
        Operand {
            place: Place::Const(usize::MAX),
            extent,
            cols,
            ints: self.graph.dtype(node) != DType::Float,
            blocked: false,
        }
    }

    /// The number of a placeholder among the feeds.
    pub(super) fn feed_place(&self, node: Node) -> Result<Place> {
        let number = self.feeds.iter().position(|&f| f == node);
        number.map(Place::Feed).ok_or_else(|| {
            let data = self.graph.node(node);
            Error::invalid(format_args!(
                "run: placeholder \"{}\" {} {} was not fed, and a fetch depends on it",
                data.name,
                data.dtype.name(),
                self.analysis.shapes[node.index()]
            ))
        })
    }

    /// The rows of a batch axis, which `node` needs to know.
    pub(super) fn rows_of(&self, node: Node, symbol: Symbol) -> Result<usize> {
        (self.rows)(symbol).ok_or_else(|| {
            let along = |n: &Node| {
                let shape = self.graph.shape(*n);
                self.is_feed(*n) && shape.batch() == Some(symbol)
            };
            let source = (0..self.graph.nodes().len()).map(Node::from_index).find(along);
            let data = self.graph.node(node);
            Error::invalid(format_args!(
                "run: {} \"{}\" needs to know how many rows the batch has, but no placeholder with its batch axis was \
                 fed; feed \"{}\"",
                data.op.name(),
                data.name,
                source.map_or("one", |source| &self.graph.node(source).name)
            ))
        })
    }

    /// Operands for a kernel that takes its first input in any form, and the rest as numbers.
    pub(super) fn with_input(&mut self, x: Node, rest: &[Node], stage: usize) -> Result<Vec<Operand>> {
        let root = self.root(x);
        let first = if self.is_feed(root) && self.analysis.when(root).is_batched() && !self.kept[root.index()]
        {
            Operand { place: self.feed_place(root)?, ..self.describe(x) }
        } else {
            self.in_any_layout(x, stage)?
        };
        let mut all = vec![first];
        all.extend(self.all_in_any_layout(rest, stage)?);
        Ok(all)
    }

    pub(super) fn all_in_any_layout(&mut self, nodes: &[Node], stage: usize) -> Result<Vec<Operand>> {
        nodes.iter().map(|&node| self.in_any_layout(node, stage)).collect()
    }

    pub(super) fn dense_all(&mut self, nodes: &[Node], stage: usize) -> Result<Vec<Operand>> {
        nodes.iter().map(|&node| self.dense(node, stage)).collect()
    }

    /// A value that a shard's kernel can read, as plain numbers; float feeds are written out as numbers, once per shard.
    pub(super) fn dense(&mut self, node: Node, stage: usize) -> Result<Operand> {
        let root = self.root(node);
        if !self.analysis.when(root).is_batched() {
            return self.plain_once(node, stage);
        }
        let describe = self.describe(node);
        if let Some(&place) = self.places.get(&root) {
            return Ok(Operand { place, ..describe });
        }
        let fed = self.feed_place(root)?;
        if describe.ints {
            return Ok(Operand { place: fed, ..describe });
        }
        if let Some(&place) = self.loaded.get(&(root, stage)) {
            return Ok(Operand { place, ..describe });
        }
        let place = Place::Slot(self.slots.add(false, describe.cols));
        self.loaded.insert((root, stage), place);
        let whole = self.describe(root);
        let (ins, outs) = (vec![Operand { place: fed, ..whole }], vec![Operand { place, ..whole }]);
        self.push(stage, Instr { kernel: Kernel::Load, ins, outs });
        Ok(Operand { place, ..describe })
    }

    /// [`dense`](Self::dense) for a kernel that takes matrices in blocks as well.
    pub(super) fn in_any_layout(&mut self, node: Node, stage: usize) -> Result<Operand> {
        if !self.is_blocked(node) {
            return self.dense(node, stage);
        }
        if !self.analysis.when(node).is_batched() {
            return self.once_operand(node);
        }
        let place = self.places[&node];
        Ok(Operand { place, ..self.own_layout(node) })
    }

    /// A value that exists once, as it is laid out: a reshaped one as its original is.
    pub(super) fn once_operand(&mut self, node: Node) -> Result<Operand> {
        let root = self.root(node);
        let describe = if self.is_blocked(root) { self.own_layout(root) } else { self.describe(node) };
        if let Some(&place) = self.places.get(&root) {
            return Ok(Operand { place, ..describe });
        }
        let data = self.graph.node(root);
        let place = match &data.op {
            Op::Variable(id) => Place::Var(*id),
            Op::Constant(values) => self.constant(values.to_vec()),
            Op::Size => {
                let of = self.graph.shape(data.inputs[0]);
                let rows = match of.batch() {
                    Some(symbol) => self.rows_of(root, symbol)?,
                    None => 1,
                };
                self.constant(vec![(rows * of.row_len()) as f64])
            }
            Op::Placeholder => {
                let Place::Feed(feed) = self.feed_place(root)? else {
                    unreachable!("a feed's place is a feed")
                };
                let once = self.program.once.add(describe.ints, self.analysis.size(root));
                self.program.fed_once.push((feed, once, describe.ints));
                Place::Once(once)
            }
            // Computed once: the place is fixed here, and written when its turn comes.
            _ => Place::Once(self.program.once.add(describe.ints, describe.len())),
        };
        self.places.insert(root, place);
        Ok(Operand { place, ..describe })
    }

    fn constant(&mut self, values: Vec<f64>) -> Place {
        self.program.constants.push(values);
        Place::Const(self.program.constants.len() - 1)
    }
}

/// A shape seen as rows and columns: the batch axis (or all dimensions but the last) by the rest.
fn as_matrix(shape: &Shape) -> (Extent, usize) {
    if shape.batch().is_some() {
        return (Extent::Batch, shape.row_len());
    }
    let dims = shape.with_batch(0);
    match dims.split_last() {
        None => (Extent::Fixed(1), 1),
        Some((&last, leading)) => (Extent::Fixed(leading.iter().product()), last),
    }
}
