//! Products with a matrix of a few columns, as an output layer of a few classes has: what belongs to the classes stays in
//! registers while the rows of the wide matrix pass by, once and in order.

use super::vector::{Element, Kernel, MAX_LANES, On, Square, Vector};
use crate::matrix::{MatMut, MatRef};
use crate::ops::Activation;

/// Most columns of the narrow matrix: with two vectors for each, and three more, they fill the 32 registers of AVX-512 and NEON
/// to 27; with one, the 16 of AVX2 to 14.
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

/// How columns are cut into strips of at most `width`: where each begins, and its length; none lies in two blocks of either of
/// two matrices.
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

/// Calls `$body` with a number of columns, and of vectors, that the compiler knows.
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

impl<T: Element> Kernel<T> for NarrowBackpropagate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        with_columns!(self.dy.cols(), K => {
            if two_fit::<V>() { self.of::<V, K, 2>(on) } else { self.of::<V, K, 1>(on) }
        });
    }
}

impl<T: Element> NarrowBackpropagate<'_, T> {
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline)]
    fn of<V: Vector<T = T>, const K: usize, const C: usize>(&mut self, on: On<V>) {
        let Self { dy, w, f, output, delta } = self;
        let (m, n, width) = (delta.rows(), delta.cols(), C * V::LANES);
        assert!(
            dy.rows() == m && output.rows() == m && w.rows() == n && w.cols() == K,
            "backpropagate: shapes"
        );
        if m == 0 {
            return;
        }
        for (j, len) in strips(n, width, [output.block_cols(), delta.block_cols()]) {
            let w: [[V; C]; K] = columns(on, w, j, len);
            let (output, mut delta) = (output.strip(j, len), delta.strip(j, len));
            for i in 0..m {
                let (dy, y, to) = (&dy.row(i)[..K], output.row(i), delta.row(i));
                let first = on.splat(dy[0]);
                let mut sums: [V; C] = std::array::from_fn(|s| first.mul(w[0][s]));
                for k in 1..K {
                    let d = on.splat(dy[k]);
                    for s in 0..C {
                        sums[s] = d.mul_add(w[k][s], sums[s]);
                    }
                }
                if len == width {
                    for s in 0..C {
                        let y = on.load(&y[s * V::LANES..]);
                        on.store(on.slope(*f, sums[s], y), &mut to[s * V::LANES..]);
                    }
                } else {
                    for (s, (y, to)) in y.chunks(V::LANES).zip(to.chunks_mut(V::LANES)).enumerate() {
                        on.store_part(on.slope(*f, sums[s], on.load_part(y, T::zero())), to);
                    }
                }
            }
        }
    }
}

/// The columns of W in the rows from `j` on, of which there are `len` and the rest is 0. Transposed in registers: number by number, and
/// still more by the scattered stores that compilers make of it, a batch of a few rows would take less time than this.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "vector s of each column, in registers")]
pub(super) fn columns<T: Element, V: Vector<T = T>, const K: usize, const C: usize>(
    on: On<V>,
    w: &MatRef<'_, T>,
    j: usize,
    len: usize,
) -> [[V; C]; K] {
    let (mut from, mut to) = (Square::<T>::zeroed(), Square::<T>::zeroed());
    let mut columns = [[on.zero(); C]; K];
    for s in 0..C {
        if s * V::LANES >= len {
            break;
        }
        for first in (0..K).step_by(V::LANES) {
            let parts = first..(first + V::LANES).min(K);
            for c in 0..V::LANES {
                let row = s * V::LANES + c;
                // Nothing is no slice to load from: its address is no one's, and a load that leaves out all lanes there takes as long as
                // hundreds of others.
                let row = if row < len {
                    on.load_part(&w.row(j + row)[parts.clone()], T::zero())
                } else {
                    on.zero()
                };
                on.store(row, &mut from[c * V::LANES..]);
            }
            on.transpose(&*from, V::LANES, &mut *to, V::LANES);
            for k in parts {
                columns[k][s] = on.load(&to[(k - first) * V::LANES..]);
            }
        }
    }
    columns
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
            // Number by number: rows of so few columns overlap as vectors, and would wait for each other on their way to memory.
            let mut transposed = [[T::zero(); 2 * MAX_LANES]; K];
            for k in 0..K {
                for s in 0..C {
                    on.store(sums[k][s], &mut transposed[k][s * V::LANES..]);
                }
            }
            for c in 0..len {
                for (x, line) in dw.row(j + c).iter_mut().zip(&transposed) {
                    *x += *alpha * line[c];
                }
            }
        }
    }
}
