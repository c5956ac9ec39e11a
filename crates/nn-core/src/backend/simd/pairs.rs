//! Products with rows of bytes most of which are 0, by [`PairLists`].
//!
//! Both the forward product and the one that goes back are sums of rows of a panel, scaled by the entries: rows of W for a row
//! of Y, rows of δ for a row of dW. Two such sums are formed at a time, in registers, over a block of columns: where both
//! have an entry in the same place, the row is loaded once for both, and loads are what limits a single sum. The panel lies in
//! the L1 cache while all pairs pass by.

use std::marker::PhantomData;

use super::narrow::strips;
use super::vector::{Element, Grid, Kernel, On, Vector};
use crate::matrix::{Head, Listed, MAX_PANEL, MatMut, MatRef, NO_LINE, PairLists, Scratch, SparseRows};
use crate::ops::{Activation, Sum};

/// Bytes of a block's row: four cache lines.
const BLOCK_BYTES: usize = 256;

/// Most columns of a block, of the narrowest element type (`f32`).
pub(super) const MAX_BLOCK: usize = 64;

/// Columns of a block.
pub(super) const fn block_columns<T>() -> usize {
    BLOCK_BYTES / size_of::<T>()
}

/// With fewer rows than this, W is read where it is if it is row-major: copying it would cost more than it saves.
const FEW_ROWS: usize = 8;

/// Y ← f(X · W + b). X: \[m, k\], W: \[k, n\], b: \[n\], Y: \[m, n\].
pub(super) struct PairProduct<'a, T> {
    pub(super) x: SparseRows<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) bias: Option<&'a [T]>,
    pub(super) f: Activation,
    pub(super) y: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

/// dW ← α Xᵀ · δ, or dW + α Xᵀ · δ where the sum continues. X: \[m, k\], δ: \[m, n\], dW: \[k, n\].
pub(super) struct PairOuter<'a, T> {
    pub(super) alpha: T,
    pub(super) x: SparseRows<'a, T>,
    pub(super) delta: MatRef<'a, T>,
    pub(super) sum: Sum,
    pub(super) dw: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

impl<T: Element> Kernel<T> for PairProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { x, w, bias, f, mut y, scratch } = self;
        let (m, k, n, width) = (y.rows(), w.rows(), y.cols(), block_columns::<T>());
        let block_of_bias = |j: usize, len: usize| {
            let mut block = [T::zero(); MAX_BLOCK];
            if let Some(bias) = bias {
                block[..len].copy_from_slice(&bias[j..j + len]);
            }
            block
        };
        if m == 0 || k == 0 {
            for (j, len) in strips(n, width, [y.block_cols(), y.block_cols()]) {
                let (bias, mut y) = (block_of_bias(j, len), y.strip(j, len));
                for i in 0..m {
                    for (part, bias) in y.row(i).chunks_mut(V::LANES).zip(bias.chunks(V::LANES)) {
                        on.store_part(on.activation(f, on.load(bias)), part);
                    }
                }
            }
            return;
        }
        let mut maker = scratch.take_lists();
        let mut copy = scratch.take(MAX_PANEL * width);
        let mut sums = scratch.take(m * width);
        let lists = maker.lists_by_row(&x);
        for (j, len) in strips(n, width, [w.block_cols(), y.block_cols()]) {
            let whole = len == width;
            let w = w.strip(j, len);
            let direct = whole && (w.stride() == width || m < FEW_ROWS);
            let mut y = y.strip(j, len);
            let mut target = if whole { y.reborrow() } else { rows(&mut sums, m, width) };
            let mut lines = Lines::new(&mut target);
            let bias = block_of_bias(j, len);
            for part in 0..lists.parts() {
                let lists = lists.part(part);
                for p in lists.panels() {
                    let (first, fresh) = (p * lists.panel(), p == 0);
                    let panel = panel(&w, first, lists.height(p), direct.then_some(width), &mut copy);
                    if first + lists.height(p) < k {
                        gather_panel(on, lists, p, x.values(), panel, &mut lines, fresh);
                    } else {
                        let mut activated = Activated { lines: &mut lines, f, bias: &bias };
                        gather_panel(on, lists, p, x.values(), panel, &mut activated, fresh);
                    }
                }
            }
            if !whole {
                y.copy_from(rows(&mut sums, m, width).as_ref().strip(0, len));
            }
        }
        scratch.give(copy);
        scratch.give(sums);
        scratch.give_lists(maker);
    }
}

impl<T: Element> Kernel<T> for PairOuter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { alpha, x, delta, sum, mut dw, scratch } = self;
        let (m, k, n, width) = (delta.rows(), dw.rows(), dw.cols(), block_columns::<T>());
        let begins = sum == Sum::Begin;
        if m == 0 || k == 0 {
            if begins {
                dw.fill(T::zero());
            }
            return;
        }
        let mut maker = scratch.take_lists();
        let mut copy = scratch.take(MAX_PANEL * width);
        let mut sums = scratch.take(k * width);
        let mut values = scratch.take(x.values().len());
        values.iter_mut().zip(x.values()).for_each(|(to, &value)| *to = alpha * value);
        let lists = maker.lists_by_column(&x);
        for (j, len) in strips(n, width, [delta.block_cols(), dw.block_cols()]) {
            let whole = len == width;
            let delta = delta.strip(j, len);
            let mut dw = dw.strip(j, len);
            if !whole && !begins {
                rows(&mut sums, k, width).strip(0, len).copy_from(dw.as_ref());
            }
            let mut target = if whole { dw.reborrow() } else { rows(&mut sums, k, width) };
            let mut target = Lines::new(&mut target);
            for p in lists.part(0).panels() {
                let first = p * lists.part(0).panel();
                let direct = (whole && delta.stride() == width).then_some(width);
                let panel = panel(&delta, first, lists.part(0).height(p), direct, &mut copy);
                for part in 0..lists.parts() {
                    let fresh = begins && p == 0;
                    gather_panel(on, lists.part(part), p, &values, panel, &mut target, fresh);
                }
            }
            if !whole {
                dw.copy_from(rows(&mut sums, k, width).as_ref().strip(0, len));
            }
        }
        scratch.give(values);
        scratch.give(copy);
        scratch.give(sums);
        scratch.give_lists(maker);
    }
}

fn rows<T>(buffer: &mut [T], rows: usize, cols: usize) -> MatMut<'_, T> {
    crate::backend::reference::fits(MatMut::new(buffer, rows, cols))
}

/// Rows of a whole block of columns, `stride` numbers apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel<'a, T> {
    rows: &'a [T],
    stride: usize,
    pub(super) height: usize,
}

/// Rows `first .. first + height` of a strip: where they are, if they are of the `width` of a block, or a copy.
pub(super) fn panel<'a, T: Element>(
    strip: &MatRef<'a, T>,
    first: usize,
    height: usize,
    width: Option<usize>,
    copy: &'a mut [T],
) -> Panel<'a, T> {
    if width.is_some() {
        return Panel { rows: strip.row_range(first, height).as_slice(), stride: strip.stride(), height };
    }
    let width = block_columns::<T>();
    for (i, row) in copy.chunks_exact_mut(width).enumerate().take(height) {
        row[..strip.cols()].copy_from_slice(strip.row(first + i));
    }
    Panel { rows: copy, stride: width, height }
}

/// Where sums are kept from panel to panel, or what becomes of them. A line is a row of as many numbers as a block has columns; two
/// lines, and of them as many columns as a pair of sums holds, are at hand at a time.
///
/// # Safety
/// There must be as many lines as `lines` says.
pub(super) unsafe trait Target<V: Vector> {
    /// Two lines, from some column on.
    type Place: Copy;

    /// Whether what is stored is more than the sums, so that lines without entries count, too.
    const COMPLETES: bool = false;

    /// Whether lines whose sums are to begin, but have no entries, are for [`rest`](Self::rest).
    const RESTS: bool = false;

    /// How many lines there are.
    fn lines(&self) -> usize;

    /// Two lines, the second of which may be [`NO_LINE`], from column `c` on.
    ///
    /// # Safety
    /// There must be such lines and columns.
    unsafe fn place(&mut self, lines: [u32; 2], c: usize) -> Self::Place;

    /// The sums so far.
    ///
    /// # Safety
    /// The place must be one of this target.
    unsafe fn load(&self, on: On<V>, from: Self::Place) -> V::Pair;

    /// The same sums, with a panel's entries added.
    ///
    /// # Safety
    /// The place must be one of this target.
    unsafe fn store(&mut self, on: On<V>, sums: V::Pair, to: Self::Place);

    /// What `store` does with sums that are 0.
    ///
    /// # Safety
    /// The place must be one of this target.
    #[inline(always)]
    unsafe fn rest(&mut self, on: On<V>, at: Self::Place) {
        // SAFETY: as the caller promises.
        unsafe { self.store(on, V::Pair::filled(on.zero()), at) }
    }
}

/// Lines of a matrix.
struct Lines<'a, T> {
    start: *mut T,
    lines: usize,
    stride: usize,
    /// The partner of the last of an odd number.
    nowhere: [T; MAX_BLOCK],
    matrix: PhantomData<&'a mut [T]>,
}

impl<'a, T: Element> Lines<'a, T> {
    fn new(matrix: &'a mut MatMut<'_, T>) -> Self {
        let (lines, stride) = (matrix.rows(), matrix.stride());
        assert!(matrix.cols() == block_columns::<T>() && matrix.is_plain(), "lines of a block");
        let start = matrix.as_mut_slice().as_mut_ptr();
        Self { start, lines, stride, nowhere: [T::default(); MAX_BLOCK], matrix: PhantomData }
    }
}

// SAFETY: the matrix has them.
unsafe impl<V: Vector> Target<V> for Lines<'_, V::T> {
    type Place = [*mut V::T; 2];

    fn lines(&self) -> usize {
        self.lines
    }

    #[inline(always)]
    unsafe fn place(&mut self, [a, b]: [u32; 2], c: usize) -> Self::Place {
        // Chosen are a base and a number, not one of two pointers: else the compiler chooses anew for each vector.
        let (base, b) = if b == NO_LINE { (self.nowhere.as_mut_ptr(), 0) } else { (self.start, b) };
        let line = |base: *mut V::T, line: u32| base.wrapping_add(line as usize * self.stride + c);
        [line(self.start, a), line(base, b)]
    }

    #[inline(always)]
    unsafe fn load(&self, on: On<V>, from: Self::Place) -> V::Pair {
        let mut sums = V::Pair::filled(on.zero());
        for s in 0..V::Pair::COLS {
            // SAFETY: so many numbers follow, as the caller promises.
            unsafe {
                sums[0][s] = V::load(from[0].add(s * V::LANES));
                sums[1][s] = V::load(from[1].add(s * V::LANES));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(&mut self, _: On<V>, sums: V::Pair, to: Self::Place) {
        for s in 0..V::Pair::COLS {
            // SAFETY: so many numbers follow, as the caller promises.
            unsafe {
                sums[0][s].store(to[0].add(s * V::LANES));
                sums[1][s].store(to[1].add(s * V::LANES));
            }
        }
    }
}

/// Lines of a matrix that get f(sum + bias) instead of a last sum.
///
/// There, in registers, the function costs less than in a pass of its own: its steps overlap with the beginning of the next sums.
struct Activated<'a, 'm, T> {
    lines: &'a mut Lines<'m, T>,
    f: Activation,
    bias: &'a [T; MAX_BLOCK],
}

// SAFETY: as its lines.
unsafe impl<V: Vector> Target<V> for Activated<'_, '_, V::T> {
    /// Where the lines are, and from which column on.
    type Place = ([*mut V::T; 2], usize);

    const COMPLETES: bool = true;

    fn lines(&self) -> usize {
        self.lines.lines
    }

    #[inline(always)]
    unsafe fn place(&mut self, lines: [u32; 2], c: usize) -> Self::Place {
        // SAFETY: the caller promises what the lines ask for.
        (unsafe { Target::<V>::place(self.lines, lines, c) }, c)
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

/// Adds what panel `p` contributes to the lines of `target`; or, if `fresh`, begins with it.
#[inline(always)]
pub(super) fn gather_panel<V: Vector, T: Target<V>>(
    on: On<V>,
    lists: &PairLists,
    p: usize,
    values: &[V::T],
    panel: Panel<'_, V::T>,
    target: &mut T,
    fresh: bool,
) {
    let (width, part) = (block_columns::<V::T>(), V::Pair::COLS * V::LANES);
    let Listed { heads, full, stream } = lists.of_panel(p);
    // A pair without entries begins with zeros, and else adds nothing.
    let resting = if fresh && T::RESTS { &heads[full..] } else { &[] };
    let heads = if (fresh && !T::RESTS) || T::COMPLETES { heads } else { &heads[..full] };
    assert!(values.len() > u8::MAX as usize, "a value for every byte");
    assert!(target.lines() == lists.lines(), "lines of the target");
    assert!(
        panel.height > 0 && (panel.height - 1) * panel.stride + width <= panel.rows.len(),
        "rows of the panel"
    );
    assert!(width.is_multiple_of(part) && panel.height == lists.height(p), "places of the panel");
    for c in (0..width).step_by(part) {
        let (rows, mut at) = (panel.rows.as_ptr().wrapping_add(c), stream.as_ptr());
        for &head in heads {
            // SAFETY: `on` proves the instructions. The lines are lines of the target (heads name no others), and `part` columns from `c`
            // on are within a block; the places are below the height that the lists were made for, which is the panel's, and the
            // stream holds what the heads say, and a byte more.
            unsafe {
                let place = target.place(head.lines, c);
                let mut sums = V::Pair::filled(on.zero());
                if !fresh {
                    sums = target.load(on, place);
                }
                at = gather::<V>(head, at, values.as_ptr(), rows, panel.stride, &mut sums);
                target.store(on, sums, place);
            }
        }
        for &head in resting {
            // SAFETY: likewise.
            unsafe {
                let place = target.place(head.lines, c);
                target.rest(on, place);
            }
        }
    }
}

/// sums ← sums + Σ value · row, for two sums at once. Returns where the next lists begin.
///
/// How a pair begins counts as much as its entries: what is added to it waits for that, and many pairs have but ten entries.
///
/// # Safety
/// As [`gather_panel`] says.
#[inline(always)]
unsafe fn gather<V: Vector>(
    head: Head,
    lists: *const u8,
    values: *const V::T,
    panel: *const V::T,
    stride: usize,
    sums: &mut V::Pair,
) -> *const u8 {
    let row = |entry: usize| panel.wrapping_add((entry >> 8 & 0xff) * stride);
    let mut at = lists;
    // SAFETY: see above.
    unsafe {
        let value = |byte: usize| V::splat(*values.add(byte & 0xff));
        let end = at.add(3 * head.both as usize);
        while at != end {
            let entry = u32::from_le(at.cast::<u32>().read_unaligned()) as usize;
            let (row, a, b) = (row(entry), value(entry), value(entry >> 16));
            for s in 0..V::Pair::COLS {
                let w = V::load(row.add(s * V::LANES));
                sums[0][s] = a.mul_add(w, sums[0][s]);
                sums[1][s] = b.mul_add(w, sums[1][s]);
            }
            at = at.add(3);
        }
        for (of, count) in [(0, head.first), (1, head.second)] {
            let end = at.add(2 * count as usize);
            while at != end {
                let entry = u16::from_le(at.cast::<u16>().read_unaligned()) as usize;
                let (row, alone) = (row(entry), value(entry));
                for s in 0..V::Pair::COLS {
                    sums[of][s] = alone.mul_add(V::load(row.add(s * V::LANES)), sums[of][s]);
                }
                at = at.add(2);
            }
        }
    }
    at
}
