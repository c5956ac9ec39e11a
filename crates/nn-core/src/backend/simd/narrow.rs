//! Products with a matrix of a few columns, as an output layer of a few classes has: what belongs to the classes stays in
//! registers while the rows of the wide matrix pass by, once and in order.

use std::ops::Range;

use super::vector::{Element, Kernel, MAX_LANES, On, Square, Vector};
use crate::matrix::{MatMut, MatRef};
use crate::ops::Activation;

/// Most columns of the narrow matrix. With two vectors for each of them, and three for what passes by, they take 27 of the 32 registers of
/// AVX-512 and NEON; with one vector for each, and two more, 14 of AVX2's 16.
pub(super) const MAX_NARROW: usize = 12;

/// δ ← (dY · Wᵀ) ⊙ f′, with f′ told from the output. dY: \[m, k\] and W: \[n, k\] with few columns; output and δ: \[m, n\].
pub(super) struct NarrowBackpropagate<'a, T> {
    pub(super) dy: MatRef<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) f: Activation,
    pub(super) output: MatRef<'a, T>,
    pub(super) delta: MatMut<'a, T>,
}

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
fn two_fit<V: Vector>() -> bool {
    V::MANY_REGISTERS
}

/// Rows of a tile. With two vectors of each, eight sums are under way, as many as it takes to keep two FMA units busy whose results take
/// four cycles.
const TILE_ROWS: usize = 4;

/// Vectors in a row of a tile: with AVX2 they are a cache line.
const TILE_VECTORS: usize = 2;

/// For how many tiles beside each other W is transposed at a time, before all rows pass by. With AVX2 these are as wide as a block.
const TILES: usize = 4;

impl<T: Element> Kernel<T> for NarrowBackpropagate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        with_columns!(self.dy.cols(), K => {
            if two_fit::<V>() { self.in_registers::<V, K>(on) } else { self.in_tiles::<V, K>(on) }
        });
    }
}

impl<T: Element> NarrowBackpropagate<'_, T> {
    /// With W's columns in registers, two vectors of each, where there are enough registers.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline)]
    fn in_registers<V: Vector<T = T>, const K: usize>(&mut self, on: On<V>) {
        let Self { dy, w, f, output, delta } = self;
        let (m, n, width) = (delta.rows(), delta.cols(), TILE_VECTORS * V::LANES);
        assert!(
            dy.rows() == m && output.rows() == m && w.rows() == n && w.cols() == K,
            "backpropagate: shapes"
        );
        if m == 0 {
            return;
        }
        for (j, len) in strips(n, width, [output.block_cols(), delta.block_cols()]) {
            let w: [[V; TILE_VECTORS]; K] = columns(on, w, j, len);
            let (output, mut delta) = (output.strip(j, len), delta.strip(j, len));
            // One loop for each function, with nothing left to decide within.
            match *f {
                Activation::Linear => backpropagate_strip(on, Activation::Linear, w, dy, &output, &mut delta),
                Activation::Tanh => backpropagate_strip(on, Activation::Tanh, w, dy, &output, &mut delta),
                Activation::Relu => backpropagate_strip(on, Activation::Relu, w, dy, &output, &mut delta),
                Activation::Sigmoid => {
                    backpropagate_strip(on, Activation::Sigmoid, w, dy, &output, &mut delta)
                }
            }
        }
    }

    /// With W's columns in memory, and several rows at once, where registers are few. (They would hold one vector of each column. But then
    /// only one sum is under way at a time, whose products wait for each other; and a vector is half a cache line there, so that each line
    /// of the wide matrices would be fetched twice.)
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline)]
    fn in_tiles<V: Vector<T = T>, const K: usize>(&mut self, on: On<V>) {
        let Self { dy, w, f, output, delta } = self;
        let (m, n) = (delta.rows(), delta.cols());
        assert!(
            dy.rows() == m && output.rows() == m && w.rows() == n && w.cols() == K,
            "backpropagate: shapes"
        );
        if m == 0 {
            return;
        }
        let width = TILE_VECTORS * V::LANES;
        let mut panel = [[[on.zero(); TILE_VECTORS]; K]; TILES];
        for (j, len) in strips(n, TILES * width, [output.block_cols(), delta.block_cols()]) {
            for (tile, at) in panel.iter_mut().zip((0..len).step_by(width)) {
                *tile = columns(on, w, j + at, width.min(len - at));
            }
            let (output, mut delta) = (output.strip(j, len), delta.strip(j, len));
            let whole = m / TILE_ROWS * TILE_ROWS;
            for i in (0..whole).step_by(TILE_ROWS) {
                backpropagate_rows::<T, V, K, TILE_ROWS>(on, dy, &panel, *f, &output, &mut delta, i);
            }
            for i in whole..m {
                backpropagate_rows::<T, V, K, 1>(on, dy, &panel, *f, &output, &mut delta, i);
            }
        }
    }
}

/// All rows of the strip of δ whose part of W is in registers.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
fn backpropagate_strip<T: Element, V: Vector<T = T>, const K: usize>(
    on: On<V>,
    f: Activation,
    w: [[V; TILE_VECTORS]; K],
    dy: &MatRef<'_, T>,
    output: &MatRef<'_, T>,
    delta: &mut MatMut<'_, T>,
) {
    for i in 0..delta.rows() {
        let (dy, y, to) = (&dy.row(i)[..K], output.row(i), delta.row(i));
        let first = on.splat(dy[0]);
        let mut sums: [V; TILE_VECTORS] = std::array::from_fn(|s| first.mul(w[0][s]));
        for k in 1..K {
            let d = on.splat(dy[k]);
            for s in 0..TILE_VECTORS {
                sums[s] = d.mul_add(w[k][s], sums[s]);
            }
        }
        if to.len() == TILE_VECTORS * V::LANES {
            for s in 0..TILE_VECTORS {
                let y = on.load(&y[s * V::LANES..]);
                on.store(on.slope(f, sums[s], y), &mut to[s * V::LANES..]);
            }
        } else {
            for (s, (y, to)) in y.chunks(V::LANES).zip(to.chunks_mut(V::LANES)).enumerate() {
                on.store_part(on.slope(f, sums[s], on.load_part(y, T::zero())), to);
            }
        }
    }
}

/// Rows `i .. i + R` of the strip of δ whose part of W is in the panel. Each element is summed up in the same order for any R, so that a row
/// has the same bits whether it is in a tile of several rows or alone.
#[inline(always)]
fn backpropagate_rows<T: Element, V: Vector<T = T>, const K: usize, const R: usize>(
    on: On<V>,
    dy: &MatRef<'_, T>,
    panel: &[[[V; TILE_VECTORS]; K]; TILES],
    f: Activation,
    output: &MatRef<'_, T>,
    delta: &mut MatMut<'_, T>,
    i: usize,
) {
    let width = TILE_VECTORS * V::LANES;
    let mut rows: [&[T]; R] = [&[]; R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = &dy.row(i + r)[..K];
    }
    for (w, at) in panel.iter().zip((0..delta.cols()).step_by(width)) {
        let mut sums = [[on.zero(); TILE_VECTORS]; R];
        for r in 0..R {
            let first = on.splat(rows[r][0]);
            for s in 0..TILE_VECTORS {
                sums[r][s] = first.mul(w[0][s]);
            }
        }
        for k in 1..K {
            for r in 0..R {
                let d = on.splat(rows[r][k]);
                for s in 0..TILE_VECTORS {
                    sums[r][s] = d.mul_add(w[k][s], sums[r][s]);
                }
            }
        }
        if delta.cols() - at < width {
            finish_part(on, f, sums, output, delta, (i, at));
            continue;
        }
        // Which activation it is is decided once for a tile, not for each of its vectors.
        match f {
            Activation::Linear => finish_tile(on, Activation::Linear, sums, output, delta, (i, at)),
            Activation::Tanh => finish_tile(on, Activation::Tanh, sums, output, delta, (i, at)),
            Activation::Relu => finish_tile(on, Activation::Relu, sums, output, delta, (i, at)),
            Activation::Sigmoid => finish_tile(on, Activation::Sigmoid, sums, output, delta, (i, at)),
        }
    }
}

/// δ ← sums ⊙ f′ for the tile at `(i, j)`.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
#[expect(clippy::needless_range_loop, reason = "row r and vector s, in registers")]
fn finish_tile<T: Element, V: Vector<T = T>, const R: usize>(
    on: On<V>,
    f: Activation,
    sums: [[V; TILE_VECTORS]; R],
    output: &MatRef<'_, T>,
    delta: &mut MatMut<'_, T>,
    (i, j): (usize, usize),
) {
    let (width, strides) = (TILE_VECTORS * V::LANES, [output.stride(), delta.stride()]);
    let y = &output.as_slice()[i * strides[0] + j..];
    let to = &mut delta.as_mut_slice()[i * strides[1] + j..];
    assert!((R - 1) * strides[0] + width <= y.len() && (R - 1) * strides[1] + width <= to.len(), "a tile");
    for r in 0..R {
        for s in 0..TILE_VECTORS {
            // SAFETY: `on` proves the instructions; the slices were just measured, and the last vector of the last row is in them.
            unsafe {
                let y = V::load(y.as_ptr().add(r * strides[0] + s * V::LANES));
                on.slope(f, sums[r][s], y).store(to.as_mut_ptr().add(r * strides[1] + s * V::LANES));
            }
        }
    }
}

/// The same for a tile at the right edge that has fewer columns. Which of the sums are needed the compiler does not know, so they are picked
/// from a copy in memory; picked from the tile's own variables, they would keep those out of registers in whole tiles, too. It is
/// compiled once for all activations, or it would be most of the code of these kernels.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
fn finish_part<T: Element, V: Vector<T = T>, const R: usize>(
    on: On<V>,
    f: Activation,
    sums: [[V; TILE_VECTORS]; R],
    output: &MatRef<'_, T>,
    delta: &mut MatMut<'_, T>,
    (i, j): (usize, usize),
) {
    let mut numbers = [[T::zero(); TILE_VECTORS * MAX_LANES]; R];
    for (numbers, sums) in numbers.iter_mut().zip(&sums) {
        for (s, sum) in sums.iter().enumerate() {
            on.store(*sum, &mut numbers[s * V::LANES..]);
        }
    }
    for (r, numbers) in numbers.iter().enumerate() {
        let (y, to) = (&output.row(i + r)[j..], &mut delta.row(i + r)[j..]);
        for ((y, to), sums) in y.chunks(V::LANES).zip(to.chunks_mut(V::LANES)).zip(numbers.chunks(V::LANES)) {
            on.store_part(on.slope(f, on.load(sums), on.load_part(y, T::zero())), to);
        }
    }
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
