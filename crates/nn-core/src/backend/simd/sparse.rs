//! Products with sparse rows.
//!
//! Both take a [`strip`] of columns at a time, whose sums stay in registers while the entries of a row pass by, and cut
//! the other matrix into panels of that width and [`PANEL`] rows, copied so that they lie in one piece: rows a power of
//! two apart fall into the same few sets of the cache and drive each other out.

use super::gemm::Finish;
use super::vector::{Element, Grid, Kernel, On, Vector, strip};
use crate::matrix::{CsrRef, MatMut, MatRef, Scratch};

/// Rows of W in a panel: of 256 bytes each, 28 KiB, which leaves the L1 cache (32 KiB) room for a row's entries.
const PANEL: usize = 112;

/// Rows of X taken together: their strips of Y or δ, 64 KiB at 256 bytes each, stay in the L2 cache.
const ROWS: usize = 256;

/// With fewer rows than this, copying panels costs more than it saves.
const FEW_ROWS: usize = 8;

/// Y ← finish(X · W). X: \[m, k\], W: \[k, n\], Y: \[m, n\].
pub(super) struct SparseProduct<'a, T> {
    pub(super) x: CsrRef<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) finish: Finish<'a, T>,
    pub(super) y: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

/// dW ← dW + Xᵀ · δ. X: \[m, k\], δ: \[m, n\], dW: \[k, n\].
pub(super) struct SparseOuter<'a, T> {
    pub(super) x: CsrRef<'a, T>,
    pub(super) delta: MatRef<'a, T>,
    pub(super) dw: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

/// Columns and values of a row's entries, or of those that are left.
type Entries<'a, T> = (&'a [u32], &'a [T]);

/// The entries of (up to) [`ROWS`] rows from `first` on.
fn entries<'a, T: Element>(x: &CsrRef<'a, T>, first: usize, rows: usize) -> [Entries<'a, T>; ROWS] {
    std::array::from_fn(|i| if i < rows { x.row(first + i) } else { (&[][..], &[][..]) })
}

/// All entries must have been met by the time that all rows of the other matrix were there.
fn assert_all_met<T>(left: &[Entries<'_, T>], k: usize) {
    let beyond = left.iter().find_map(|(places, _)| places.first());
    assert!(beyond.is_none(), "sparse input: an entry in column {beyond:?}, the other matrix has {k} rows");
}

impl<T: Element> Kernel<T> for SparseProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        let (m, k, n, width) = (self.y.rows(), self.w.rows(), self.y.cols(), strip::<V>());
        let mut copy = self.scratch.take(PANEL * width);
        let mut sums = self.scratch.take(ROWS.min(m) * width);
        for first in (0..m).step_by(ROWS) {
            let rows = ROWS.min(m - first);
            let all = entries(&self.x, first, rows);
            for j in (0..n).step_by(width) {
                let columns = j..(j + width).min(n);
                let sums = &mut sums[..rows * width];
                sums.fill(T::zero());
                let mut left = all;
                let direct = m < FEW_ROWS && columns.len() == width;
                let most = if direct { k } else { PANEL };
                for p in (0..k).step_by(most.max(1)) {
                    let height = most.min(k - p);
                    let panel = if direct {
                        Panel { rows: &self.w.as_slice()[j..], stride: self.w.stride(), first: 0, height }
                    } else {
                        for (q, row) in copy.chunks_exact_mut(width).enumerate().take(height) {
                            row[..columns.len()].copy_from_slice(&self.w.row(p + q)[columns.clone()]);
                        }
                        Panel { rows: &copy[..], stride: width, first: p, height }
                    };
                    for (left, sums) in left.iter_mut().zip(sums.chunks_exact_mut(width)) {
                        let met = gather(on, *left, &panel, sums);
                        *left = (&left.0[met..], &left.1[met..]);
                    }
                }
                assert_all_met(&left, k);
                for (i, sums) in sums.chunks_exact(width).enumerate() {
                    let y = &mut self.y.row(first + i)[columns.clone()];
                    for (s, (y, sums)) in y.chunks_mut(V::LANES).zip(sums.chunks_exact(V::LANES)).enumerate()
                    {
                        let at = (first + i, j + s * V::LANES);
                        on.store_part(self.finish.apply(on, at.0, at.1, y.len(), on.load(sums)), y);
                    }
                }
            }
        }
        self.scratch.give(copy);
        self.scratch.give(sums);
    }
}

/// Rows `first .. first + height` of a strip of columns, `stride` numbers apart.
struct Panel<M> {
    rows: M,
    stride: usize,
    first: usize,
    height: usize,
}

/// sums ← sums + Σ value · row, over the entries that meet the panel; returns how many those were.
#[inline(always)]
fn gather<V: Vector>(
    on: On<V>,
    (places, values): Entries<'_, V::T>,
    panel: &Panel<&[V::T]>,
    sums: &mut [V::T],
) -> usize {
    assert_fits::<V>(panel.rows.len(), panel.stride, panel.height);
    let mut strip = V::Strip::filled_row(on.zero());
    for s in 0..V::Strip::COLS {
        strip[s] = on.load(&sums[s * V::LANES..]);
    }
    let mut met = 0;
    for (&place, &value) in places.iter().zip(values) {
        // One comparison for both bounds: what lies before the panel wraps round to a huge number.
        let row = (place as usize).wrapping_sub(panel.first);
        if row >= panel.height {
            break;
        }
        let value = on.splat(value);
        // SAFETY: row < height, and each of these rows has a whole strip within the slice, as asserted.
        let row = unsafe { panel.rows.as_ptr().add(row * panel.stride) };
        for s in 0..V::Strip::COLS {
            // SAFETY: `on` proves the instructions; for the bounds, see above.
            strip[s] = value.mul_add(unsafe { V::load(row.add(s * V::LANES)) }, strip[s]);
        }
        met += 1;
    }
    for s in 0..V::Strip::COLS {
        on.store(strip[s], &mut sums[s * V::LANES..]);
    }
    met
}

/// row ← row + value · δ, for the entries that meet the panel; returns how many those were.
#[inline(always)]
fn scatter<V: Vector>(
    on: On<V>,
    (places, values): Entries<'_, V::T>,
    delta: &[V::T],
    panel: &mut Panel<&mut [V::T]>,
) -> usize {
    assert_fits::<V>(panel.rows.len(), panel.stride, panel.height);
    let mut strip = V::Strip::filled_row(on.zero());
    for s in 0..V::Strip::COLS {
        strip[s] = on.load(&delta[s * V::LANES..]);
    }
    let mut met = 0;
    for (&place, &value) in places.iter().zip(values) {
        let row = (place as usize).wrapping_sub(panel.first);
        if row >= panel.height {
            break;
        }
        let value = on.splat(value);
        // SAFETY: row < height, and each of these rows has a whole strip within the slice, as asserted.
        let row = unsafe { panel.rows.as_mut_ptr().add(row * panel.stride) };
        for s in 0..V::Strip::COLS {
            // SAFETY: `on` proves the instructions; for the bounds, see above.
            unsafe {
                let at = row.add(s * V::LANES);
                value.mul_add(strip[s], V::load(at)).store(at);
            }
        }
        met += 1;
    }
    met
}

/// What `gather` and `scatter` rely on: `height` rows of a whole strip, `stride` apart, in `len` numbers.
#[inline(always)]
fn assert_fits<V: Vector>(len: usize, stride: usize, height: usize) {
    assert!(height == 0 || (height - 1) * stride + strip::<V>() <= len, "a panel of {height} rows in {len}");
}

impl<T: Element> Kernel<T> for SparseOuter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        let (m, k, n, width) = (self.delta.rows(), self.dw.rows(), self.dw.cols(), strip::<V>());
        let mut copy = self.scratch.take(PANEL * width);
        let mut delta = self.scratch.take(ROWS.min(m) * width);
        for first in (0..m).step_by(ROWS) {
            let rows = ROWS.min(m - first);
            let all = entries(&self.x, first, rows);
            for j in (0..n).step_by(width) {
                let columns = j..(j + width).min(n);
                let delta = &mut delta[..rows * width];
                for (i, row) in delta.chunks_exact_mut(width).enumerate() {
                    row[..columns.len()].copy_from_slice(&self.delta.row(first + i)[columns.clone()]);
                }
                let mut left = all;
                let direct = m < FEW_ROWS && columns.len() == width;
                let most = if direct { k } else { PANEL };
                for p in (0..k).step_by(most.max(1)) {
                    let height = most.min(k - p);
                    let mut panel = if direct {
                        let stride = self.dw.stride();
                        Panel { rows: &mut self.dw.as_mut_slice()[j..], stride, first: 0, height }
                    } else {
                        for (q, row) in copy.chunks_exact_mut(width).enumerate().take(height) {
                            row[..columns.len()].copy_from_slice(&self.dw.row(p + q)[columns.clone()]);
                        }
                        Panel { rows: &mut copy[..], stride: width, first: p, height }
                    };
                    for (left, delta) in left.iter_mut().zip(delta.chunks_exact(width)) {
                        let met = scatter(on, *left, delta, &mut panel);
                        *left = (&left.0[met..], &left.1[met..]);
                    }
                    if !direct {
                        for (q, row) in copy.chunks_exact(width).enumerate().take(height) {
                            self.dw.row(p + q)[columns.clone()].copy_from_slice(&row[..columns.len()]);
                        }
                    }
                }
                assert_all_met(&left, k);
            }
        }
        self.scratch.give(copy);
        self.scratch.give(delta);
    }
}
