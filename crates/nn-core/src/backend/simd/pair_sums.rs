//! Panels of rows, and where sums of them go, two at a time, in registers: what [`pairs`](super::pairs) multiplies by.

use std::marker::PhantomData;

use super::pairs::{MAX_BLOCK, block_columns};
use super::vector::{Element, Grid, On, Vector};
use crate::matrix::{MatMut, MatRef, NO_LINE};
use crate::ops::Activation;

/// Where vector `s` of a line is, from the line's beginning on, if its blocks of columns are `apart`.
#[inline(always)]
pub(super) fn place_of<V: Vector>(s: usize, apart: usize) -> usize {
    let at = s * V::LANES;
    at / block_columns::<V::T>() * apart + at % block_columns::<V::T>()
}

/// Blocks of columns that a pair of sums reaches over.
pub(super) const fn blocks<V: Vector, G: Grid<V>>() -> usize {
    (G::COLS * V::LANES).div_ceil(block_columns::<V::T>())
}

/// Rows of a whole block of columns, `stride` numbers apart; or of two blocks, the second of which is `apart` from the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel<'a, T> {
    pub(super) rows: &'a [T],
    pub(super) stride: usize,
    pub(super) apart: usize,
    pub(super) height: usize,
}

/// Rows `first .. first + height` of a strip: where they are, if they are of the `width` of a block, or a copy. Two blocks are always
/// where they are.
pub(super) fn panel<'a, T: Element>(
    strip: &MatRef<'a, T>,
    first: usize,
    height: usize,
    width: Option<usize>,
    copy: &'a mut [T],
) -> Panel<'a, T> {
    if width.is_some() {
        let (stride, apart) = (strip.stride(), strip.block_stride());
        return Panel { rows: strip.row_range(first, height).as_slice(), stride, apart, height };
    }
    assert!(strip.is_plain(), "rows of one block to copy");
    let width = block_columns::<T>();
    for (i, row) in copy.chunks_exact_mut(width).enumerate().take(height) {
        row[..strip.cols()].copy_from_slice(strip.row(first + i));
    }
    Panel { rows: copy, stride: width, apart: 0, height }
}

/// Where sums are kept from panel to panel, or what becomes of them. A line is a row of as many numbers as a block, or two, have
/// columns; two lines, and of them as many columns as a pair of sums holds, are at hand at a time.
///
/// # Safety
/// There must be as many lines as `lines` says, of as many blocks as `blocks` says.
pub(super) unsafe trait Target<V: Vector, G: Grid<V>> {
    /// Two lines, from some column on.
    type Place: Copy;

    /// Whether what is stored is more than the sums, so that lines without entries count, too.
    const COMPLETES: bool = false;

    /// Whether lines whose sums are to begin, but have no entries, are for [`rest`](Self::rest).
    const RESTS: bool = false;

    /// Whether what becomes of sums takes so long that it is done line by line, between the lists of the next pair.
    const LATE: bool = false;

    /// How many lines there are.
    fn lines(&self) -> usize;

    /// How many blocks of columns a line has.
    fn blocks(&self) -> usize {
        1
    }

    /// Two lines, the second of which may be [`NO_LINE`], from column `c` on.
    ///
    /// # Safety
    /// There must be such lines and columns.
    unsafe fn place(&mut self, lines: [u32; 2], c: usize) -> Self::Place;

    /// The sums so far.
    ///
    /// # Safety
    /// The place must be one of this target.
    unsafe fn load(&self, on: On<V>, from: Self::Place) -> G;

    /// The same sums, with a panel's entries added.
    ///
    /// # Safety
    /// The place must be one of this target.
    unsafe fn store(&mut self, on: On<V>, sums: G, to: Self::Place);

    /// What `store` does with one of the two lines, 0 and then 1.
    ///
    /// # Safety
    /// The place must be one of this target.
    #[inline(always)]
    unsafe fn store_line(&mut self, on: On<V>, line: usize, sums: G, to: Self::Place) {
        if line == 1 {
            // SAFETY: as the caller promises.
            unsafe { self.store(on, sums, to) }
        }
    }

    /// What `store` does with sums that are 0.
    ///
    /// # Safety
    /// The place must be one of this target.
    #[inline(always)]
    unsafe fn rest(&mut self, on: On<V>, at: Self::Place) {
        // SAFETY: as the caller promises.
        unsafe { self.store(on, G::filled(on.zero()), at) }
    }
}

/// Lines of a matrix that is a block of columns, or two of them.
pub(super) struct Lines<'a, T> {
    start: *mut T,
    lines: usize,
    stride: usize,
    blocks: usize,
    /// From one block to the next.
    apart: usize,
    /// The partner of the last of an odd number.
    nowhere: [T; MAX_BLOCK],
    matrix: PhantomData<&'a mut [T]>,
}

impl<'a, T: Element> Lines<'a, T> {
    pub(super) fn new(matrix: &'a mut MatMut<'_, T>) -> Self {
        let (lines, stride, apart) = (matrix.rows(), matrix.stride(), matrix.block_stride());
        assert!(matrix.block_cols() == block_columns::<T>(), "lines of blocks");
        let blocks = matrix.cols() / matrix.block_cols();
        let start = matrix.as_mut_slice().as_mut_ptr();
        let nowhere = [T::default(); MAX_BLOCK];
        Self { start, lines, stride, blocks, apart, nowhere, matrix: PhantomData }
    }
}

// SAFETY: the matrix has them.
unsafe impl<V: Vector, G: Grid<V>> Target<V, G> for Lines<'_, V::T> {
    /// Where the two lines are, and how far the next block of either is.
    type Place = [(*mut V::T, usize); 2];

    fn lines(&self) -> usize {
        self.lines
    }

    fn blocks(&self) -> usize {
        self.blocks
    }

    #[inline(always)]
    unsafe fn place(&mut self, [a, b]: [u32; 2], c: usize) -> Self::Place {
        // Chosen are a base and numbers, not one of two pointers: else the compiler chooses anew for each vector.
        let none = b == NO_LINE;
        let (base, b, apart) =
            if none { (self.nowhere.as_mut_ptr(), 0, 0) } else { (self.start, b, self.apart) };
        let line = |base: *mut V::T, line: u32| base.wrapping_add(line as usize * self.stride + c);
        [(line(self.start, a), self.apart), (line(base, b), apart)]
    }

    #[inline(always)]
    unsafe fn load(&self, on: On<V>, from: Self::Place) -> G {
        let mut sums = G::filled(on.zero());
        let [(a, a_apart), (b, b_apart)] = from;
        for s in 0..G::COLS {
            // SAFETY: there are so many numbers, as the caller promises.
            unsafe {
                sums[0][s] = V::load(a.add(place_of::<V>(s, a_apart)));
                sums[1][s] = V::load(b.add(place_of::<V>(s, b_apart)));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(&mut self, _: On<V>, sums: G, to: Self::Place) {
        let [(a, a_apart), (b, b_apart)] = to;
        for s in 0..G::COLS {
            // SAFETY: there are so many numbers, as the caller promises. (What belongs nowhere lies one block upon the other.)
            unsafe {
                sums[0][s].store(a.add(place_of::<V>(s, a_apart)));
                sums[1][s].store(b.add(place_of::<V>(s, b_apart)));
            }
        }
    }
}

/// Lines of a matrix that get f(sum + bias) instead of a last sum.
///
/// There, in registers, the function costs less than in a pass of its own: its steps overlap with the beginning of the next sums.
pub(super) struct Activated<'a, 'm, T> {
    pub(super) lines: &'a mut Lines<'m, T>,
    pub(super) f: Activation,
    pub(super) bias: &'a [T; MAX_BLOCK],
}

// SAFETY: as its lines.
unsafe impl<V: Vector> Target<V, V::Pair> for Activated<'_, '_, V::T> {
    /// Where the lines are, and from which column on.
    type Place = ([(*mut V::T, usize); 2], usize);

    const COMPLETES: bool = true;

    fn lines(&self) -> usize {
        self.lines.lines
    }

    #[inline(always)]
    unsafe fn place(&mut self, lines: [u32; 2], c: usize) -> Self::Place {
        // SAFETY: the caller promises what the lines ask for.
        (unsafe { Target::<V, V::Pair>::place(self.lines, lines, c) }, c)
    }

    #[inline(always)]
    unsafe fn load(&self, on: On<V>, (from, _): Self::Place) -> V::Pair {
        // SAFETY: as above.
        unsafe { self.lines.load(on, from) }
    }

    #[inline(always)]
    unsafe fn store(&mut self, on: On<V>, sums: V::Pair, (to, c): Self::Place) {
        // SAFETY: `c` is a column of a block, from which on a pair's columns follow; the rest as above.
        unsafe {
            let bias = self.bias.as_ptr().add(c);
            // One way for each function, with nothing left to decide within.
            let y = match self.f {
                Activation::Linear => activate(on, Activation::Linear, sums, bias),
                Activation::Tanh => activate(on, Activation::Tanh, sums, bias),
                Activation::Relu => activate(on, Activation::Relu, sums, bias),
                Activation::Sigmoid => activate(on, Activation::Sigmoid, sums, bias),
            };
            self.lines.store(on, y, to);
        }
    }
}

/// f(sums + bias) of two lines.
///
/// # Safety
/// There must be a bias for each column.
#[inline(always)]
unsafe fn activate<V: Vector>(on: On<V>, f: Activation, mut sums: V::Pair, bias: *const V::T) -> V::Pair {
    for s in 0..V::Pair::COLS {
        // SAFETY: see above.
        let bias = unsafe { V::load(bias.add(s * V::LANES)) };
        sums[0][s] = on.activation(f, sums[0][s].add(bias));
        sums[1][s] = on.activation(f, sums[1][s].add(bias));
    }
    sums
}
