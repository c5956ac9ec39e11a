//! Running a [band](super::bands): each thread runs all of its instructions, one after the other, on its own columns.
//!
//! Everything that the band writes is taken out of the store before, and cut into a piece for each thread, so that the compiler sees that
//! no two threads write the same memory. An instruction that reads what another one of the band writes gets its own thread's piece of it
//! (which [`bands`](super::bands) has made sure is all that it needs); everything else is read in the store.

use std::mem::take;

use smallvec::SmallVec;

use super::bands::{Part as Cut, is_cut_by_rows, of_each};
use super::elementwise::{FEW, FEW_READ};
use super::pool::{Pool, Worker};
use super::program::{Instr, Kernel, Operand, Place};
use super::run::view;
use super::store::{ShardStore, Store, Taken};
use super::update::update;
use super::wide::{Variables, multiply_adds};
use crate::Scalar;
use crate::backend::reference::fits;
use crate::matrix::{InputRef, MatMut, MatRef};
use crate::ops::{PassArgs, Sum};

/// Outputs that a band can have without memory having to be allocated: those of the kernels of the way back through a layer, three for each
/// of three variables that an optimizer changes, and those of the way forward.
const FEW_WRITTEN: usize = 16;

/// Parts that a band can be cut into without allocating memory.
const FEW_PARTS: usize = 16;

/// Pieces of all parts.
const FEW_PIECES: usize = FEW_PARTS * FEW_WRITTEN;

/// What one thread writes of an output.
enum Piece<'a, T> {
    /// Columns of a matrix in blocks.
    Columns(MatMut<'a, T>),
    /// Rows of a plain matrix that belong to these columns, without gaps between them.
    Rows(MatMut<'a, T>),
    /// The numbers that belong to these columns: as many as the second field says for each block of columns.
    Numbers(&'a mut [T], usize),
}

impl<T> Default for Piece<'_, T> {
    fn default() -> Self {
        Self::Numbers(&mut [], 0)
    }
}

impl<'a, T: Scalar> Piece<'a, T> {
    /// The whole output of an instruction.
    fn whole(store: &ShardStore<'_, '_, T>, instr: &Instr, out: &Operand, elements: &'a mut [T]) -> Self {
        let block = store.block_cols();
        match instr.kernel {
            Kernel::AccumulateRows => Self::Numbers(elements, block),
            Kernel::PartialProducts => Self::Numbers(elements, store.rows() * instr.ins[1].cols),
            Kernel::Elementwise(_) if of_each(out) == Cut::Columns => Self::Numbers(elements, block),
            Kernel::Elementwise(_) => Self::Rows(view(store, out, elements)),
            _ if is_cut_by_rows(instr) => Self::Rows(view(store, out, elements)),
            _ => Self::Columns(view(store, out, elements)),
        }
    }

    /// The piece of the first `blocks` blocks, of `block` columns each, and that of the others, of which there must be one at least.
    fn split(self, blocks: usize, block: usize) -> (Self, Self) {
        match self {
            Self::Columns(matrix) => match matrix.split_at_column(blocks * block) {
                Some((left, right)) => (Self::Columns(left), Self::Columns(right)),
                None => unreachable!("a boundary of blocks, with columns on both sides"),
            },
            Self::Rows(matrix) => {
                let (above, below) = matrix.split_at_row(blocks * block);
                (Self::Rows(above), Self::Rows(below))
            }
            Self::Numbers(numbers, each) => {
                let (first, rest) = numbers.split_at_mut(blocks * each);
                (Self::Numbers(first, each), Self::Numbers(rest, each))
            }
        }
    }

    fn matrix(&mut self) -> MatMut<'_, T> {
        match self {
            Self::Columns(matrix) | Self::Rows(matrix) => matrix.reborrow(),
            Self::Numbers(..) => unreachable!("a matrix is written as one"),
        }
    }

    /// All of its numbers, in the order in which they lie in memory.
    fn numbers(&mut self) -> &mut [T] {
        match self {
            Self::Numbers(numbers, _) => numbers,
            Self::Columns(matrix) | Self::Rows(matrix) => matrix.as_mut_slice(),
        }
    }

    fn as_matrix(&self) -> MatRef<'_, T> {
        match self {
            Self::Columns(matrix) | Self::Rows(matrix) => matrix.as_ref(),
            Self::Numbers(..) => unreachable!("numbers are read as numbers"),
        }
    }

    fn as_numbers(&self) -> &[T] {
        match self {
            Self::Numbers(numbers, _) => numbers,
            Self::Columns(matrix) | Self::Rows(matrix) => matrix.as_ref().as_slice(),
        }
    }
}

/// A thread's part of a band: columns `first .. first + cols`, and its pieces of all outputs, in the order of the instructions.
struct Part<'a, 'p, T> {
    first: usize,
    cols: usize,
    pieces: &'a mut [(Place, Piece<'p, T>)],
}

/// Where an instruction of a band finds what it reads: in the thread's pieces of the other instructions' outputs (`written`: those of
/// the ones before it, and of the ones after it), or else in the store.
struct Sources<'a, 'p, T> {
    store: &'a ShardStore<'a, 'a, T>,
    first: usize,
    cols: usize,
    written: [&'a [(Place, Piece<'p, T>)]; 2],
}

impl<T: Scalar> Sources<'_, '_, T> {
    /// The thread's piece, if the band writes this value.
    fn own(&self, operand: &Operand) -> Option<&Piece<'_, T>> {
        let mut written = self.written.iter().flat_map(|pieces| pieces.iter());
        written.find(|(place, _)| *place == operand.place).map(|(_, piece)| piece)
    }

    /// The thread's columns of a matrix.
    fn columns(&self, operand: &Operand) -> MatRef<'_, T> {
        match self.own(operand) {
            Some(piece) => piece.as_matrix(),
            None => self.store.matrix(operand).columns(self.first, self.cols),
        }
    }

    /// The rows of a matrix that belong to these columns.
    fn rows(&self, operand: &Operand) -> MatRef<'_, T> {
        match self.own(operand) {
            Some(piece) => piece.as_matrix(),
            None => self.store.matrix(operand).row_range(self.first, self.cols),
        }
    }

    /// The numbers that belong to these columns, of an array that has as many for each column.
    fn numbers(&self, operand: &Operand) -> &[T] {
        let each = if of_each(operand) == Cut::Columns { 1 } else { operand.cols };
        match self.own(operand) {
            Some(piece) => piece.as_numbers(),
            None => &self.store.floats(operand)[self.first * each..][..self.cols * each],
        }
    }
}

impl<T: Scalar> Pool<T> {
    /// Runs the instructions of a band that is cut along `cols` columns. `variables` are those that it writes, taken out of the store.
    pub(super) fn run_columns(
        &self,
        instrs: &[Instr],
        cols: usize,
        store: &mut ShardStore<'_, '_, T>,
        variables: &mut Variables<T>,
    ) {
        let block = store.block_cols();
        let (blocks, work) = (cols / block, instrs.iter().map(|instr| multiply_adds(instr, store)).sum());
        let count = self.parts(work).min(blocks).max(1);
        let is_variable = |out: &&Operand| matches!(out.place, Place::Var(_));
        let outs = || instrs.iter().flat_map(|instr| instr.outs.iter().map(move |out| (instr, out)));
        // Lists are filled where they are: there is more room in them than is quickly moved, beside a band of a single row.
        let mut taken: SmallVec<[Taken<'_, T>; FEW_WRITTEN]> = SmallVec::new();
        taken.extend(outs().filter(|(_, out)| !is_variable(out)).map(|(_, out)| Taken::new(store, out)));
        {
            let store = &*store;
            let (mut taken, mut variables) = (taken.iter_mut(), variables.elements().into_iter());
            let mut rest: SmallVec<[(Place, Piece<'_, T>); FEW_WRITTEN]> = SmallVec::new();
            rest.extend(outs().filter_map(|(instr, out)| {
                let elements = if is_variable(&out) { variables.next()? } else { taken.next()?.elements() };
                Some((out.place, Piece::whole(store, instr, out, elements)))
            }));
            // Part by part, each with a piece of every output.
            let bound = |part: usize| blocks * part / count;
            let (mut pieces, each): (SmallVec<[_; FEW_PIECES]>, _) = (SmallVec::new(), rest.len());
            for part in 1..count {
                for (place, piece) in &mut rest {
                    let (own, others) = take(piece).split(bound(part) - bound(part - 1), block);
                    pieces.push((*place, own));
                    *piece = others;
                }
            }
            pieces.extend(rest.drain(..));
            let mut parts: SmallVec<[Part<'_, '_, T>; FEW_PARTS]> = SmallVec::new();
            parts.extend(pieces.chunks_exact_mut(each.max(1)).enumerate().map(|(part, pieces)| {
                let (first, end) = (bound(part) * block, bound(part + 1) * block);
                Part { first, cols: end - first, pieces }
            }));
            self.for_each(&mut parts, &|part, worker| {
                let mut number = 0;
                for instr in instrs {
                    let (before, others) = part.pieces.split_at_mut(number);
                    let (outs, after) = others.split_at_mut(instr.outs.len());
                    let written = [&*before, &*after];
                    let from = Sources { store, first: part.first, cols: part.cols, written };
                    run(instr, &from, outs, worker);
                    number += instr.outs.len();
                }
            });
        }
        taken.drain(..).for_each(|taken| taken.give_back(store));
    }
}

/// Runs a thread's share of an instruction.
fn run<T: Scalar>(
    instr: &Instr,
    from: &Sources<'_, '_, T>,
    outs: &mut [(Place, Piece<'_, T>)],
    worker: &mut Worker<T>,
) {
    let (store, backend, ins) = (from.store, from.store.shared.backend, instr.ins.as_slice());
    let scratch = &mut worker.scratch;
    match &instr.kernel {
        Kernel::Affine { f, bias } => {
            let bias = bias.then(|| from.numbers(&ins[2]));
            let (x, w) = (store.input(&ins[0]), from.columns(&ins[1]));
            backend.affine(x, w, bias, *f, outs[0].1.matrix(), scratch);
        }
        Kernel::PartialProducts => {
            let (x, w) = (from.columns(&ins[0]), from.rows(&ins[1]));
            backend.partial_products(x, w, outs[0].1.numbers(), scratch);
        }
        Kernel::Backpropagate { f } => {
            let (dy, w, y) = (store.matrix(&ins[0]), from.rows(&ins[1]), from.columns(&ins[2]));
            backend.backpropagate(dy, w, *f, y, outs[0].1.matrix(), scratch);
        }
        Kernel::AccumulateRows => backend.accumulate_bias(from.columns(&ins[0]), outs[0].1.numbers()),
        Kernel::AccumulateWeights | Kernel::Descend => {
            let (alpha, sum) = match instr.kernel {
                Kernel::Descend => (-store.floats(&ins[2])[0], Sum::Continue),
                _ if store.begins_sums() => (T::one(), Sum::Begin),
                _ => (T::one(), Sum::Continue),
            };
            let dw = outs[0].1.matrix();
            if is_cut_by_rows(instr) {
                let x = InputRef::dense(from.columns(&ins[0]));
                backend.accumulate_weights(alpha, x, store.matrix(&ins[1]), sum, dw, scratch);
            } else {
                let delta = from.columns(&ins[1]);
                backend.accumulate_weights(alpha, store.input(&ins[0]), delta, sum, dw, scratch);
            }
        }
        Kernel::Update { pass, gradient } => {
            let delta = from.columns(&ins[1]);
            let mut outputs: SmallVec<[&mut [T]; FEW]> =
                outs.iter_mut().map(|(_, piece)| piece.numbers()).collect();
            update((pass, *gradient), instr, store, (from.first, delta), &mut outputs, worker);
        }
        Kernel::Elementwise(pass) => {
            let (arrays, scalars) = ins.split_at(pass.inputs());
            let inputs: SmallVec<[&[T]; FEW_READ]> = arrays.iter().map(|x| from.numbers(x)).collect();
            let scalars: SmallVec<[T; FEW_READ]> = scalars.iter().map(|s| store.floats(s)[0]).collect();
            let mut outputs: SmallVec<[&mut [T]; FEW]> =
                outs.iter_mut().map(|(_, piece)| piece.numbers()).collect();
            backend.pass(fits(PassArgs::new(pass, &inputs, &scalars, &mut outputs)), scratch);
        }
        kernel => unreachable!("no band is cut along columns with {kernel:?}"),
    }
}
