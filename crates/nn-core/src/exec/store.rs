//! How an instruction reaches its operands: one face over the buffers of a shard and those of the whole plan. Outputs
//! are taken out of their place while they are written, so that everything else can be read meanwhile.

use std::mem::take;
use std::ops::Range;

use super::lanes::Lane;
use super::plan::Buffers;
use super::pool::Worker;
use super::program::{Extent, Operand, Place};
use super::value::{Feed, Variable};
use crate::Scalar;
use crate::backend::{Backend, reference::fits};
use crate::matrix::{AlignedBuf, InputRef, MatRef, Prepared, Scratch, blocked_len};

/// What every instruction of a run can read.
pub(super) struct Shared<'a, T> {
    pub(super) backend: &'a dyn Backend<T>,
    pub(super) vars: &'a [Variable<T>],
    pub(super) constants: &'a [AlignedBuf<T>],
    pub(super) feeds: &'a [Feed<'a, T>],
    pub(super) seed: u64,
    /// Columns of a block, for operands in blocks.
    pub(super) block_cols: usize,
}

/// The buffers that an instruction works on.
pub(super) trait Store<T: Scalar> {
    /// The rows that [`Extent::Batch`] stands for here.
    fn rows(&self) -> usize;

    /// The first of those rows, counted from the batch's.
    fn first_row(&self) -> usize;

    /// What random numbers are drawn from.
    fn seed(&self) -> u64;

    /// Columns of a block, for operands in blocks.
    fn block_cols(&self) -> usize;

    /// The elements of a float operand.
    fn floats(&self, operand: &Operand) -> &[T];

    /// The elements of an integer operand.
    fn ints(&self, operand: &Operand) -> &[i32];

    /// The rows of an operand in whichever form they were fed.
    fn input(&self, operand: &Operand) -> InputRef<'_, T>;

    /// The buffer at a place.
    fn float_buf(&mut self, place: Place) -> &mut AlignedBuf<T>;

    /// The same for integers.
    fn int_buf(&mut self, place: Place) -> &mut AlignedBuf<i32>;

    /// Which part of its buffer an operand is.
    fn window(&self, operand: &Operand) -> Range<usize>;

    /// The scratch memory of the current thread.
    fn scratch(&mut self) -> &mut Scratch<T>;

    /// The elements that an operand takes.
    fn len(&self, operand: &Operand) -> usize {
        let rows = self.extent(operand);
        if operand.blocked { blocked_len(rows, operand.cols) } else { rows * operand.cols }
    }

    /// Whether no shard of the lane came before.
    fn begins_sums(&self) -> bool;

    /// The number of rows of an operand.
    fn extent(&self, operand: &Operand) -> usize {
        match operand.extent {
            Extent::Batch => self.rows(),
            Extent::Fixed(n) => n,
        }
    }

    /// A float operand as a matrix.
    fn matrix(&self, operand: &Operand) -> MatRef<'_, T> {
        let (data, rows, cols) = (self.floats(operand), self.extent(operand), operand.cols);
        fits(if operand.blocked {
            MatRef::blocked(data, rows, cols, self.block_cols())
        } else {
            MatRef::new(data, rows, cols)
        })
    }

    /// Calls `body` with the store, the elements of the float output `operand`, and scratch memory.
    fn write(&mut self, operand: &Operand, body: impl FnOnce(&Self, &mut [T], &mut Scratch<T>))
    where
        Self: Sized,
    {
        let mut scratch = take(self.scratch());
        let mut taken = Taken::new(self, operand);
        body(self, taken.elements(), &mut scratch);
        taken.give_back(self);
        *self.scratch() = scratch;
    }

    /// Calls `body` with the store and the elements of the integer output `operand`.
    fn write_ints(&mut self, operand: &Operand, body: impl FnOnce(&Self, &mut [i32]))
    where
        Self: Sized,
    {
        let window = self.window(operand);
        let mut buf = take(self.int_buf(operand.place));
        body(self, &mut buf[window]);
        *self.int_buf(operand.place) = buf;
    }
}

/// A float output while it is being written: its buffer, out of its place.
pub(super) struct Taken<'o, T> {
    pub(super) operand: &'o Operand,
    buf: AlignedBuf<T>,
    window: Range<usize>,
}

impl<'o, T: Scalar> Taken<'o, T> {
    /// Takes the buffer of `operand`.
    pub(super) fn new(store: &mut impl Store<T>, operand: &'o Operand) -> Self {
        let window = store.window(operand);
        Self { operand, buf: take(store.float_buf(operand.place)), window }
    }

    /// The operand's elements.
    pub(super) fn elements(&mut self) -> &mut [T] {
        &mut self.buf[self.window.clone()]
    }

    /// Puts the buffer back.
    pub(super) fn give_back(self, store: &mut impl Store<T>) {
        *store.float_buf(self.operand.place) = self.buf;
    }
}

/// The plan's compiler never asks for such a place here.
#[cold]
fn misplaced(place: Place) -> ! {
    panic!("the plan refers to {place:?}, which an instruction of this kind can't reach")
}

/// What the instructions of one shard see.
pub(super) struct ShardStore<'a, 'r, T> {
    pub(super) shared: &'a Shared<'r, T>,
    pub(super) once: &'a Buffers<T>,
    pub(super) worker: &'a mut Worker<T>,
    pub(super) lane: &'a mut Lane<T>,
    /// The shard's first row, counted from the lane's.
    pub(super) first: usize,
    /// The shard's number of rows.
    pub(super) rows: usize,
    /// What was made of the shard's rows of one of the feeds.
    pub(super) prepared: Option<(usize, &'a [Prepared])>,
    /// The rows that are likely to come next.
    pub(super) next: Option<InputRef<'a, T>>,
    /// Whether threads share the work on a row that comes alone.
    pub(super) shares_one_row: bool,
}

impl<'a, 'r, T> ShardStore<'a, 'r, T> {
    /// For some rows, counted from the lane's first.
    pub(super) fn new(
        (shared, once): (&'a Shared<'r, T>, &'a Buffers<T>),
        worker: &'a mut Worker<T>,
        lane: &'a mut Lane<T>,
        rows: Range<usize>,
    ) -> Self {
        let (first, rows) = (rows.start, rows.len());
        Self { shared, once, worker, lane, first, rows, prepared: None, next: None, shares_one_row: true }
    }
}

impl<T: Scalar> Store<T> for ShardStore<'_, '_, T> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn first_row(&self) -> usize {
        self.lane.first + self.first
    }

    fn begins_sums(&self) -> bool {
        self.first == 0
    }

    fn seed(&self) -> u64 {
        self.shared.seed
    }

    fn block_cols(&self) -> usize {
        self.shared.block_cols
    }

    fn floats(&self, operand: &Operand) -> &[T] {
        let window = self.window(operand);
        match operand.place {
            Place::Slot(i) => &self.worker.floats[i][window],
            Place::Kept(i) => &self.lane.kept[i][window],
            Place::Once(i) => &self.once.floats[i][window],
            Place::Var(id) => &self.shared.vars[id.index()].data()[window],
            Place::Const(i) => &self.shared.constants[i][window],
            place @ (Place::Feed(_) | Place::Next(_) | Place::Sum(_)) => misplaced(place),
        }
    }

    fn ints(&self, operand: &Operand) -> &[i32] {
        let window = self.window(operand);
        match operand.place {
            Place::Slot(i) => &self.worker.ints[i][window],
            Place::Kept(i) => &self.lane.kept_ints[i][window],
            Place::Once(i) => &self.once.ints[i][window],
            Place::Feed(i) => match self.shared.feeds[i] {
                Feed::Ints(ints) => &ints[self.first_row()..][..window.len()],
                _ => misplaced(operand.place),
            },
            place => misplaced(place),
        }
    }

    fn input(&self, operand: &Operand) -> InputRef<'_, T> {
        match operand.place {
            Place::Feed(i) => match self.shared.feeds[i] {
                Feed::Input(input) => match (input.slice(self.first_row(), self.rows), self.prepared) {
                    (InputRef::SparseBytes(rows), Some((feed, prepared))) if feed == i => {
                        InputRef::SparseBytes(rows.with_prepared(prepared))
                    }
                    (rows, _) => rows,
                },
                _ => misplaced(operand.place),
            },
            Place::Next(_) => self.next.unwrap_or_else(|| misplaced(operand.place)),
            _ => InputRef::dense(self.matrix(operand)),
        }
    }

    fn float_buf(&mut self, place: Place) -> &mut AlignedBuf<T> {
        match place {
            Place::Slot(i) => &mut self.worker.floats[i],
            Place::Kept(i) => &mut self.lane.kept[i],
            Place::Sum(i) => &mut self.lane.sums[i],
            _ => misplaced(place),
        }
    }

    fn int_buf(&mut self, place: Place) -> &mut AlignedBuf<i32> {
        match place {
            Place::Slot(i) => &mut self.worker.ints[i],
            Place::Kept(i) => &mut self.lane.kept_ints[i],
            _ => misplaced(place),
        }
    }

    fn window(&self, operand: &Operand) -> Range<usize> {
        let start = if let Place::Kept(_) = operand.place { self.first * operand.cols } else { 0 };
        start..start + self.len(operand)
    }

    fn scratch(&mut self) -> &mut Scratch<T> {
        &mut self.worker.scratch
    }
}

/// What the instructions that run once see.
pub(super) struct OnceStore<'a, 'r, T> {
    pub(super) shared: &'a Shared<'r, T>,
    pub(super) once: &'a mut Buffers<T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

impl<T: Scalar> Store<T> for OnceStore<'_, '_, T> {
    fn rows(&self) -> usize {
        0
    }

    fn first_row(&self) -> usize {
        0
    }

    fn begins_sums(&self) -> bool {
        true
    }

    fn seed(&self) -> u64 {
        self.shared.seed
    }

    fn block_cols(&self) -> usize {
        self.shared.block_cols
    }

    fn floats(&self, operand: &Operand) -> &[T] {
        let window = self.window(operand);
        match operand.place {
            Place::Once(i) => &self.once.floats[i][window],
            Place::Var(id) => &self.shared.vars[id.index()].data()[window],
            Place::Const(i) => &self.shared.constants[i][window],
            place => misplaced(place),
        }
    }

    fn ints(&self, operand: &Operand) -> &[i32] {
        let window = self.window(operand);
        match operand.place {
            Place::Once(i) => &self.once.ints[i][window],
            place => misplaced(place),
        }
    }

    fn input(&self, operand: &Operand) -> InputRef<'_, T> {
        InputRef::dense(self.matrix(operand))
    }

    fn float_buf(&mut self, place: Place) -> &mut AlignedBuf<T> {
        match place {
            Place::Once(i) => &mut self.once.floats[i],
            _ => misplaced(place),
        }
    }

    fn int_buf(&mut self, place: Place) -> &mut AlignedBuf<i32> {
        match place {
            Place::Once(i) => &mut self.once.ints[i],
            _ => misplaced(place),
        }
    }

    fn window(&self, operand: &Operand) -> Range<usize> {
        0..self.len(operand)
    }

    fn scratch(&mut self) -> &mut Scratch<T> {
        self.scratch
    }
}
