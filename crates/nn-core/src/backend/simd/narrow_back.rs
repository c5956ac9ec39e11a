//! δ = (dY · Wᵀ) ⊙ f′ where dY has a few columns, as behind an output layer of a few classes: W stays in registers, or in a small panel,
//! while the rows pass by.

use super::narrow::{columns, strips, two_fit, with_columns};
use super::vector::{Element, Kernel, MAX_LANES, On, Vector};
use crate::matrix::{MatMut, MatRef};
use crate::ops::Activation;

/// δ ← (dY · Wᵀ) ⊙ f′, with f′ told from the output. dY: \[m, k\] and W: \[n, k\] with few columns; output and δ: \[m, n\].
pub(super) struct NarrowBackpropagate<'a, T> {
    pub(super) dy: MatRef<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) f: Activation,
    pub(super) output: MatRef<'a, T>,
    pub(super) delta: MatMut<'a, T>,
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
    let (m, width) = (delta.rows(), TILE_VECTORS * V::LANES);
    assert!(dy.rows() == m && dy.cols() == K && dy.is_plain() && output.rows() == m, "rows of a strip");
    if delta.cols() < width {
        for i in 0..m {
            let (y, to) = (output.row(i).chunks(V::LANES), delta.row(i).chunks_mut(V::LANES));
            // SAFETY: `on` proves the instructions; a row of dY has K numbers.
            let sums = unsafe { sums_of_row(w, dy.row(i).as_ptr()) };
            for (s, (y, to)) in y.zip(to).enumerate() {
                on.store_part(on.slope(f, sums[s], on.load_part(y, T::zero())), to);
            }
        }
        return;
    }
    // Rows are measured once, and not one by one, which would be as many instructions as the sums of a row.
    let strides = [dy.stride(), output.stride(), delta.stride()];
    let (dy, y, to) = (dy.as_slice(), output.as_slice(), delta.as_mut_slice());
    for (len, (stride, cols)) in
        [dy.len(), y.len(), to.len()].into_iter().zip(strides.into_iter().zip([K, width, width]))
    {
        assert!(m == 0 || (m - 1) * stride + cols <= len, "{m} rows of a strip in {len} numbers");
    }
    for i in 0..m {
        // SAFETY: `on` proves the instructions; row `i` of each was just found to be within its slice.
        unsafe {
            let sums = sums_of_row(w, dy.as_ptr().add(i * strides[0]));
            let (y, to) = (y.as_ptr().add(i * strides[1]), to.as_mut_ptr().add(i * strides[2]));
            for (s, sum) in sums.into_iter().enumerate() {
                on.slope(f, sum, V::load(y.add(s * V::LANES))).store(to.add(s * V::LANES));
            }
        }
    }
}

/// Σₖ dyₖ · wₖ
///
/// # Safety
/// The CPU must have the vector's instructions, and K numbers must be readable.
#[inline(always)]
unsafe fn sums_of_row<V: Vector, const K: usize>(
    w: [[V; TILE_VECTORS]; K],
    dy: *const V::T,
) -> [V; TILE_VECTORS] {
    // SAFETY: as the caller promises.
    unsafe {
        let first = V::splat(*dy);
        let mut sums = w[0];
        for s in 0..TILE_VECTORS {
            sums[s] = first.mul(w[0][s]);
        }
        for (k, w) in w.iter().enumerate().skip(1) {
            let d = V::splat(*dy.add(k));
            for s in 0..TILE_VECTORS {
                sums[s] = d.mul_add(w[s], sums[s]);
            }
        }
        sums
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
