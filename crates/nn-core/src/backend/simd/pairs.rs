//! Products with rows of bytes most of which are 0, by [`PairLists`].
//!
//! Both the forward product and the one that goes back are sums of rows of a panel, scaled by the entries: rows of W for a row
//! of Y, rows of δ for a row of dW. Two such sums are formed at a time, in registers, over a block of columns: where both
//! have an entry in the same place, the row is loaded once for both, and loads are what limits a single sum. The panel lies in
//! the L1 cache while all pairs pass by.

use super::caches::caches;
use super::lists::Lists;
use super::narrow::strips;
use super::pair_gather::gather_panel;
use super::pair_sums::{Activated, Lines, blocks, panel};
use super::vector::{Element, Grid, Kernel, On, Vector};
use crate::matrix::{MAX_PANEL, MatMut, MatRef, Scratch, SparseRows};
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

/// Whether dW of so many rows is better formed over two blocks of columns at a time, where there are registers for it: if a panel of δ of
/// either fits in the L1 cache. An entry is then decoded once for both, the end of a list is met once, and the sums of a line that has an
/// entry alone are enough to keep two units busy, although each waits for the one before.
///
/// (Measured on Emerald Rapids, whose L1 cache has 48 KiB, with MNIST and 512 units: a step of 32 rows takes 6 % less time, of 50 rows 5 %, of
/// 64 rows 3 %; of 100 rows, for which they don't quite fit, 3 %, of 128 and of 252 rows less than 1 %. Over two blocks of W, which never
/// fit, the product forward saves 2 % of 50 rows if it alone does so, and nothing beside this. On Zen 4, with 32 KiB, steps of 32, 50 and 64
/// rows take as long in either way.)
pub(super) fn two_blocks_fit(rows: usize) -> bool {
    2 * rows * BLOCK_BYTES <= caches().l1
}

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
    /// Two blocks at a time: the same bits.
    pub(super) two_blocks: bool,
    pub(super) scratch: &'a mut Scratch<T>,
}

/// How many columns are taken as two blocks at a time: those of whole pairs of blocks of both matrices.
fn columns_of_two_blocks<V: Vector>(n: usize, block_cols: [usize; 2]) -> usize {
    let width = block_columns::<V::T>();
    let can_be = blocks::<V, V::WidePair>() == 2 && block_cols == [width; 2];
    if can_be { n / (2 * width) * (2 * width) } else { 0 }
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
                        gather_panel::<V, V::Pair, _>(on, lists, p, x.values(), panel, &mut lines, fresh);
                    } else {
                        let mut activated = Activated { lines: &mut lines, f, bias: &bias };
                        gather_panel::<V, V::Pair, _>(on, lists, p, x.values(), panel, &mut activated, fresh);
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
        let Self { alpha, x, delta, sum, mut dw, two_blocks, scratch } = self;
        let (m, k, n, width) = (delta.rows(), dw.rows(), dw.cols(), block_columns::<T>());
        let (begins, block_cols) = (sum == Sum::Begin, [delta.block_cols(), dw.block_cols()]);
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
        let wide = if two_blocks { columns_of_two_blocks::<V>(n, block_cols) } else { 0 };
        for j in (0..wide).step_by(2 * width) {
            let (delta, mut dw) = (delta.columns(j, 2 * width), dw.columns(j, 2 * width));
            outer_of::<V, V::WidePair>(on, (&lists, &values), (&delta, true), begins, &mut dw, &mut copy);
        }
        for (j, len) in strips(n - wide, width, block_cols) {
            let (j, whole) = (wide + j, len == width);
            let (delta, mut dw) = (delta.strip(j, len), dw.strip(j, len));
            if !whole && !begins {
                rows(&mut sums, k, width).strip(0, len).copy_from(dw.as_ref());
            }
            let mut target = if whole { dw.reborrow() } else { rows(&mut sums, k, width) };
            let direct = whole && delta.stride() == width;
            outer_of::<V, V::Pair>(on, (&lists, &values), (&delta, direct), begins, &mut target, &mut copy);
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

/// The outer product for the columns of one block, or of two: Xᵀ · δ, or dW + Xᵀ · δ unless it `begins`. δ is read where it is if that is
/// `direct`ly possible.
#[inline(always)]
fn outer_of<V: Vector, G: Grid<V>>(
    on: On<V>,
    (lists, values): (&Lists<'_>, &[V::T]),
    (delta, direct): (&MatRef<'_, V::T>, bool),
    begins: bool,
    dw: &mut MatMut<'_, V::T>,
    copy: &mut [V::T],
) {
    let width = block_columns::<V::T>();
    let mut target = Lines::new(dw);
    let first = lists.part(0);
    for p in first.panels() {
        let direct = direct.then_some(width);
        let panel = panel(delta, p * first.panel(), first.height(p), direct, copy);
        for part in 0..lists.parts() {
            let fresh = begins && p == 0;
            gather_panel::<V, G, _>(on, lists.part(part), p, values, panel, &mut target, fresh);
        }
    }
}

fn rows<T>(buffer: &mut [T], rows: usize, cols: usize) -> MatMut<'_, T> {
    crate::backend::reference::fits(MatMut::new(buffer, rows, cols))
}
