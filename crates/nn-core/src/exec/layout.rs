//! Which values are laid out in the backend's blocks of columns.
//!
//! What exists once is in blocks if its shape allows it and what makes it can: a variable, an elementwise pass, or the
//! product that sums over the batch. So a weight, its gradient and whatever an optimizer remembers of it are laid out alike, and
//! passes over them run over memory from one end to the other. A value that shards have rows of is in blocks if the kernel
//! that writes it and all kernels that read it know how. Whatever else reads a value in blocks reads a plain copy.

use super::analysis::When;
use super::fusion::Form;
use super::lower::Lower;
use super::program::{Extent, Instr, Kernel, Operand, Place};
use crate::Result;
use crate::graph::{DType, Graph, Keep, Node, Op, Shape};
use crate::matrix::blocked_len;
use crate::ops::Trans;

/// Whether a matrix of so many columns comes in more than one whole block.
fn divides(cols: usize, block: usize) -> bool {
    cols > block && cols.is_multiple_of(block)
}

/// Whether a variable of these dimensions is kept in blocks of `block` columns.
pub(super) fn is_kept_in_blocks(dims: &[usize], block: Option<usize>) -> bool {
    matches!((dims, block), (&[_, cols], Some(block)) if divides(cols, block))
}

/// The same for a shape without a batch axis.
fn is_in_blocks(shape: &Shape, block: Option<usize>) -> bool {
    shape.batch().is_none() && is_kept_in_blocks(&shape.with_batch(0), block)
}

/// How many blocks the widest variable has that is kept in blocks; none, if there is none.
pub(super) fn most_blocks(graph: &Graph, block: Option<usize>) -> usize {
    let blocks = graph.variables().iter().filter_map(|variable| match (&variable.dims[..], block) {
        (dims @ &[_, cols], Some(width)) if is_kept_in_blocks(dims, block) => Some(cols / width),
        _ => None,
    });
    blocks.max().unwrap_or(0)
}

impl Operand {
    /// Elements that its buffer has, if it exists once.
    pub(super) fn len(&self) -> usize {
        match self.extent {
            Extent::Fixed(rows) if self.blocked => blocked_len(rows, self.cols),
            Extent::Fixed(rows) => rows * self.cols,
            Extent::Batch => 0,
        }
    }
}

impl Lower<'_> {
    /// Finds the values that are in blocks, once it is known which are asked for.
    pub(super) fn lay_out(&mut self) {
        let Some(block) = self.block else { return };
        for index in 0..self.forms.len() {
            let node = Node::from_index(index);
            if self.forms[index].is_none() || self.graph.dtype(node) != DType::Float {
                continue;
            }
            let shape = &self.analysis.shapes[index];
            self.blocked[index] = match self.analysis.when(node) {
                When::Shard { .. } => {
                    let writes = matches!(self.form(node), Form::Affine { .. } | Form::Backpropagate { .. });
                    let matrix = shape.dims().len() == 2 && divides(shape.row_len(), block);
                    writes && matrix && !self.kept[index]
                }
                _ if !is_in_blocks(shape, self.block) => false,
                When::Contraction { .. } => is_outer_product(self.graph, node),
                When::Once { .. } => {
                    matches!(self.graph.node(node).op, Op::Variable(_))
                        || self.analysis.is_elementwise(self.graph, node)
                }
            };
        }
        for index in 0..self.forms.len() {
            let node = Node::from_index(index);
            if !self.wanted[index] {
                continue;
            }
            for (position, read) in self.form(node).reads().into_iter().enumerate() {
                let root = self.root(read);
                let knows = root == read && self.reads_blocks(node, position);
                if self.analysis.when(root).is_batched() && !knows {
                    self.blocked[root.index()] = false;
                }
            }
        }
    }

    /// Whether the kernel of `node` takes its input at this position in blocks.
    fn reads_blocks(&self, node: Node, position: usize) -> bool {
        let contraction = matches!(self.analysis.when(node), When::Contraction { .. });
        match (self.form(node), &self.graph.node(node).op) {
            (Form::Affine { .. }, _) => position < 2,
            (Form::Backpropagate { .. }, _) => true,
            (Form::Plain(_), Op::MatMul(..)) if contraction => is_outer_product(self.graph, node),
            (Form::Plain(inputs), Op::Sum(Keep::Suffix(_))) if contraction => {
                self.analysis.size(node) == self.analysis.shapes[inputs[0].index()].row_len()
            }
            _ => false,
        }
    }

    /// Whether the value of a node is laid out in blocks.
    pub(super) fn is_blocked(&self, node: Node) -> bool {
        self.blocked[node.index()]
    }

    /// A node's value as a matrix in its own layout, without its place.
    pub(super) fn own_layout(&self, node: Node) -> Operand {
        Operand { blocked: self.is_blocked(node), ..self.describe(node) }
    }

    /// A value that exists once, as plain numbers, for a kernel of `stage`'s shards or of what runs before them.
    pub(super) fn plain_once(&mut self, node: Node, stage: usize) -> Result<Operand> {
        let root = self.root(node);
        if !self.is_blocked(root) {
            return self.once_operand(node);
        }
        let place = match self.plain_copies.get(&(root, stage, self.writing_shards)) {
            Some(&place) => place,
            None => {
                let from = self.once_operand(root)?;
                let place = Place::Once(self.program.once.add(false, self.analysis.size(root)));
                let to = Operand { place, blocked: false, ..from };
                let copy = Instr { kernel: Kernel::Relayout, ins: vec![from], outs: vec![to] };
                // What is read here may still have to be written: copies for shards are made last.
                if self.writing_shards { &mut self.copies_for_shards } else { &mut self.copies_before }
                    .push((stage, copy));
                self.plain_copies.insert((root, stage, self.writing_shards), place);
                place
            }
        };
        Ok(Operand { place, ..self.describe(node) })
    }

    /// A value that exists once in the layout of the pass that reads it.
    pub(super) fn once_for_pass(&mut self, node: Node, blocked: bool, stage: usize) -> Result<Operand> {
        let root = self.root(node);
        match (self.is_blocked(root), blocked) {
            (true, true) if root == node => self.once_operand(node),
            (false, false) => self.once_operand(node),
            (_, false) => self.plain_once(node, stage),
            (_, true) => {
                let from = self.plain_once(node, stage)?;
                let to = Operand { blocked: true, ..from };
                let to = Operand { place: Place::Once(self.program.once.add(false, to.len())), ..to };
                let copy = Instr { kernel: Kernel::Relayout, ins: vec![from], outs: vec![to] };
                self.copies_before.push((stage, copy));
                Ok(to)
            }
        }
    }

    /// Writes the copies that what runs once has asked for since the last time.
    pub(super) fn write_copies(&mut self) {
        for (stage, copy) in std::mem::take(&mut self.copies_before) {
            self.program.stages[stage].before.push(copy);
        }
    }

    /// Writes the copies that shards read, after everything that runs before them.
    pub(super) fn write_copies_for_shards(&mut self) {
        for (stage, copy) in std::mem::take(&mut self.copies_for_shards) {
            self.program.stages[stage].before.push(copy);
        }
    }
}

/// Xᵀ · δ
fn is_outer_product(graph: &Graph, node: Node) -> bool {
    matches!(graph.node(node).op, Op::MatMul(Trans::Yes, Trans::No))
}
