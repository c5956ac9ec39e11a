//! Products with a matrix of a few columns, as an output layer of a few classes has: what belongs to the classes stays in
//! registers while the rows of the wide matrix pass by, once and in order.

use std::ops::Range;

use super::vector::{Element, Kernel, MAX_LANES, On, Square, Vector};
use crate::matrix::{MatMut, MatRef};

/// Most columns of the narrow matrix. With two vectors for each of them, and three for what passes by, they take 27 of the 32 registers of
/// AVX-512 and NEON; with one vector for each, and two more, 14 of AVX2's 16.
pub(super) const MAX_NARROW: usize = 12;

/// dW ← dW + α Xᵀ · δ. X: \[m, n\]; δ: \[m, k\] and dW: \[n, k\] with few columns.
pub(super) struct NarrowOuter<'a, T> {
    pub(super) alpha: T,
    pub(super) x: MatRef<'a, T>,
    pub(super) delta: MatRef<'a, T>,
    pub(super) dw: MatMut<'a, T>,
}

/// Cuts `n` columns into strips of at most `width`, none of which crosses the end of a block of either of two matrices, so that a strip's
/// rows are contiguous in both. Gives where each strip begins, and how many columns it has.
#[inline(always)]
pub(super) fn strips(n: usize, width: usize, blocks: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    let mut j = 0;
    std::iter::from_fn(move || {
        let start = j;
        if start >= n {
            return None;
        }
        let left = blocks.iter().map(|block| block - start % block).min().unwrap_or(n);
        j += width.min(left).min(n - start);
        Some((start, j - start))
    })
}

/// Evaluates `$body` with the number of columns `$k` as the constant `$name`: arrays with an element for each column can be in registers
/// only if the compiler knows how many there are.
macro_rules! with_columns {
    ($k:expr, $name:ident => $body:expr) => {
        match $k {
            1 => {
                const $name: usize = 1;
                $body
            }
            2 => {
                const $name: usize = 2;
                $body
            }
            3 => {
                const $name: usize = 3;
                $body
            }
            4 => {
                const $name: usize = 4;
                $body
            }
            5 => {
                const $name: usize = 5;
                $body
            }
            6 => {
                const $name: usize = 6;
                $body
            }
            7 => {
                const $name: usize = 7;
                $body
            }
            8 => {
                const $name: usize = 8;
                $body
            }
            9 => {
                const $name: usize = 9;
                $body
            }
            10 => {
                const $name: usize = 10;
                $body
            }
            11 => {
                const $name: usize = 11;
                $body
            }
            12 => {
                const $name: usize = 12;
                $body
            }
            k => unreachable!("{k} columns are not few"),
        }
    };
}

pub(super) use with_columns;

/// Whether two vectors for each column fit in the registers.
#[inline(always)]
pub(super) fn two_fit<V: Vector>() -> bool {
    V::MANY_REGISTERS
}

/// Vectors of W's columns: each holds a column's numbers in the rows from `j` on. There are `len` of these rows; the lanes after them are 0.
///
/// W is transposed in registers. Number by number (all the more with the scattered stores that compilers make of that), it would take
/// longer than the product itself where the batch has few rows.
#[inline(always)]
pub(super) fn columns<T: Element, V: Vector<T = T>, const K: usize, const C: usize>(
    on: On<V>,
    w: &MatRef<'_, T>,
    j: usize,
    len: usize,
) -> [[V; C]; K] {
    assert!(w.is_plain() && w.cols() == K, "few columns, in rows");
    // For each of the C vectors of all columns, these in memory.
    let mut transposed: [_; C] = std::array::from_fn(|_| Square::<T>::zeroed());
    for (first, transposed) in (0..len).step_by(V::LANES).zip(&mut transposed) {
        let (j, len) = (j + first, V::LANES.min(len - first));
        for k in (0..K).step_by(V::LANES) {
            // The last columns don't fill a vector. Where there are enough before them, these are transposed again with them, because
            // loading a part of a vector takes longer.
            let k = if K < V::LANES { k } else { k.min(K - V::LANES) };
            let to = &mut transposed[k * V::LANES..];
            let rows = w.as_slice().get(j * w.stride() + k..).unwrap_or_default();
            if len == V::LANES && rows.len() >= (V::LANES - 1) * w.stride() + V::LANES {
                // A vector of a row may hold the beginning of the next row, too: what becomes of that is not used.
                on.transpose(rows, w.stride(), to, V::LANES);
                continue;
            }
            let mut from = Square::<T>::zeroed();
            for c in 0..len {
                // Beyond the last row, nothing is loaded, not even a part of no numbers: the address of an empty slice points nowhere, and a
                // masked load from there, though it reads nothing, takes as long as hundreds of others.
                let row = on.load_part(&w.row(j + c)[k..K.min(k + V::LANES)], T::zero());
                on.store(row, &mut from[c * V::LANES..]);
            }
            on.transpose(&*from, V::LANES, to, V::LANES);
        }
    }
    // In a loop that does nothing else: so the compiler keeps them in registers. (It does not if they are loaded while others are transposed.)
    std::array::from_fn(|k| std::array::from_fn(|s| on.load(&transposed[s][k * V::LANES..])))
}

impl<T: Element> Kernel<T> for NarrowOuter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        with_columns!(self.delta.cols(), K => {
            if two_fit::<V>() { self.of::<V, K, 2>(on) } else { self.of::<V, K, 1>(on) }
        });
    }
}

impl<T: Element> NarrowOuter<'_, T> {
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline)]
    fn of<V: Vector<T = T>, const K: usize, const C: usize>(&mut self, on: On<V>) {
        let Self { alpha, x, delta, dw } = self;
        let (m, n, width) = (x.rows(), x.cols(), C * V::LANES);
        assert!(delta.rows() == m && dw.rows() == n && dw.cols() == K, "accumulate_weights: shapes");
        if m == 0 {
            return;
        }
        for (j, len) in strips(n, width, [x.block_cols(), x.block_cols()]) {
            let x = x.strip(j, len);
            let mut sums = [[on.zero(); C]; K];
            for i in 0..m {
                let (row, delta) = (x.row(i), &delta.row(i)[..K]);
                let mut v = [on.zero(); C];
                if len == width {
                    v = std::array::from_fn(|s| on.load(&row[s * V::LANES..]));
                } else {
                    for (v, row) in v.iter_mut().zip(row.chunks(V::LANES)) {
                        *v = on.load_part(row, T::zero());
                    }
                }
                for k in 0..K {
                    let d = on.splat(delta[k]);
                    for s in 0..C {
                        sums[k][s] = d.mul_add(v[s], sums[k][s]);
                    }
                }
            }
            let mut lines = Lines([[T::zero(); 2 * MAX_LANES]; MAX_LANES]);
            for (sums, line) in sums.iter().zip(&mut lines.0) {
                for (sum, line) in sums.iter().zip(line.chunks_exact_mut(V::LANES)) {
                    on.store(sum.mul(on.splat(*alpha)), line);
                }
            }
            for first in (0..len).step_by(V::LANES) {
                let rows = j + first..(j + len).min(j + first + V::LANES);
                add_columns::<T, V, K>(on, &lines.0.as_flattened()[first..], dw, rows);
            }
        }
    }
}

/// Two vectors of numbers of each column.
#[repr(align(64))]
struct Lines<T>([[T; 2 * MAX_LANES]; MAX_LANES]);

/// Rows `rows` of dW ← themselves + the columns whose numbers in these rows begin the lines.
#[inline(always)]
fn add_columns<T: Element, V: Vector<T = T>, const K: usize>(
    on: On<V>,
    lines: &[T],
    dw: &mut MatMut<'_, T>,
    rows: Range<usize>,
) {
    let mut transposed = Square::<T>::zeroed();
    for first in (0..K).step_by(V::LANES) {
        let these = first..K.min(first + V::LANES);
        on.transpose(&lines[first * 2 * MAX_LANES..], 2 * MAX_LANES, &mut *transposed, V::LANES);
        // All rows are read before the first is written: a vector is wider than a row of so few columns, so that one that is read looks to
        // the processor as if it were written just before, and it would wait for that.
        for (row, new) in rows.clone().zip(transposed.chunks_exact_mut(V::LANES)) {
            let old = on.load_part(&dw.row(row)[these.clone()], T::zero());
            on.store(old.add(on.load(new)), new);
        }
        for (row, new) in rows.clone().zip(transposed.chunks_exact(V::LANES)) {
            on.store_part(on.load(new), &mut dw.row(row)[these.clone()]);
        }
    }
}
