//! Products with sparse rows.
//!
//! Both are sums of rows, scaled by the entries: of W for a row of Y, and of δ for a row of dW, once the entries are
//! sorted by column. A [`strip`] of such a sum stays in registers while the entries pass by; the rows that they pick from lie
//! in a panel, copied so that it is in one piece: rows a power of two apart fall into the same few sets of the cache and
//! drive each other out.

use super::finish::Finish;
use super::vector::{Element, Grid, Kernel, On, Vector, strip};
use crate::matrix::{AlignedBuf, CsrRef, MatMut, MatRef, Scratch};

/// Rows of a panel: of 256 bytes each, 28 KiB, which leaves the L1 cache (32 KiB) room for a row's entries.
const PANEL: usize = 112;

/// Rows of X taken together in the forward product: their strips of Y, 64 KiB at 256 bytes each, stay in the L2 cache.
const ROWS: usize = 256;

/// Columns of X whose entries are sorted together for the outer product; with those of [`PANEL`] rows they take at most
/// 56 KiB of the stack, and as much of scratch memory in `f32`.
const SORTED: usize = 128;

/// Numbers in the widest strip (64 `f32`), for one that is filled up.
const MAX_STRIP: usize = 64;

/// With fewer rows than this, the forward product reads W where it is: copying it would cost more than it saves.
const FEW_ROWS: usize = 8;

/// Y ← finish(X · W). X: \[m, k\], W: \[k, n\], Y: \[m, n\].
pub(super) struct SparseProduct<'a, T> {
    pub(super) x: CsrRef<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) finish: Finish<'a, T>,
    pub(super) y: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

/// dW ← dW + α Xᵀ · δ. X: \[m, k\], δ: \[m, n\], dW: \[k, n\].
pub(super) struct SparseOuter<'a, T> {
    pub(super) alpha: T,
    pub(super) x: CsrRef<'a, T>,
    pub(super) delta: MatRef<'a, T>,
    pub(super) dw: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

/// Columns and values of a row's entries, or of those that are left.
type Entries<'a, T> = (&'a [u32], &'a [T]);

/// The entries of `rows` rows from `first` on, and none for the rest of the array.
fn entries<'a, T: Element, const N: usize>(
    x: &CsrRef<'a, T>,
    first: usize,
    rows: usize,
) -> [Entries<'a, T>; N] {
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
            let all = entries::<T, ROWS>(&self.x, first, rows);
            for j in (0..n).step_by(width) {
                let columns = j..(j + width).min(n);
                // Blocks of columns are whole strips wide, so that a strip lies within one.
                let (w, mut y) = (self.w.strip(j, columns.len()), self.y.strip(j, columns.len()));
                let sums = &mut sums[..rows * width];
                sums.fill(T::zero());
                let mut left = all;
                let direct = m < FEW_ROWS && columns.len() == width;
                let most = if direct { k } else { PANEL };
                for p in (0..k).step_by(most.max(1)) {
                    let height = most.min(k - p);
                    let panel = if direct {
                        Panel { rows: w.as_slice(), stride: w.stride(), first: 0, height }
                    } else {
                        for (q, row) in copy.chunks_exact_mut(width).enumerate().take(height) {
                            row[..columns.len()].copy_from_slice(w.row(p + q));
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
                    let y = y.row(first + i);
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

/// Rows `first .. first + height` of a matrix, a strip of columns of each, `stride` numbers apart.
struct Panel<'a, T> {
    rows: &'a [T],
    stride: usize,
    first: usize,
    height: usize,
}

/// sums ← sums + Σ value · row, over the entries that meet the panel; returns how many those were.
#[inline(always)]
fn gather<V: Vector>(
    on: On<V>,
    (places, values): Entries<'_, V::T>,
    panel: &Panel<'_, V::T>,
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

/// What `gather` relies on: `height` rows of a whole strip, `stride` apart, in `len` numbers.
#[inline(always)]
fn assert_fits<V: Vector>(len: usize, stride: usize, height: usize) {
    assert!(height == 0 || (height - 1) * stride + strip::<V>() <= len, "a panel of {height} rows in {len}");
}

impl<T: Element> Kernel<T> for SparseOuter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        let (m, k, n, width) = (self.delta.rows(), self.dw.rows(), self.dw.cols(), strip::<V>());
        let mut copy = self.scratch.take(PANEL.min(m) * n.next_multiple_of(width));
        let mut sorted = Sorted::new(self.scratch.take(PANEL.min(m) * SORTED.min(k)));
        for first in (0..m).step_by(PANEL) {
            let rows = PANEL.min(m - first);
            let mut left = entries::<T, PANEL>(&self.x, first, rows);
            // δ, strip after strip.
            for (strip, j) in copy.chunks_exact_mut(rows * width).zip((0..n).step_by(width)) {
                let delta = self.delta.strip(j, width.min(n - j));
                for (i, row) in strip.chunks_exact_mut(width).enumerate() {
                    row[..delta.cols()].copy_from_slice(delta.row(first + i));
                }
            }
            for p0 in (0..k).step_by(SORTED) {
                let p1 = (p0 + SORTED).min(k);
                sorted.take_from(self.alpha, &mut left, p0, p1);
                for (strip, j) in copy.chunks_exact(rows * width).zip((0..n).step_by(width)) {
                    let mut dw = self.dw.strip(j, width.min(n - j));
                    let panel = Panel { rows: strip, stride: width, first: 0, height: rows };
                    for p in p0..p1 {
                        let entries = sorted.column(p - p0);
                        if !entries.0.is_empty() {
                            gather_into(on, entries, &panel, dw.row(p));
                        }
                    }
                }
            }
            assert_all_met(&left, k);
        }
        self.scratch.give(copy);
        self.scratch.give(sorted.values);
    }
}

/// [`gather`] into a row that may be narrower than a strip.
#[inline(always)]
fn gather_into<V: Vector>(on: On<V>, entries: Entries<'_, V::T>, panel: &Panel<'_, V::T>, row: &mut [V::T]) {
    if row.len() == strip::<V>() {
        gather(on, entries, panel, row);
    } else {
        let mut whole = [V::T::default(); MAX_STRIP];
        whole[..row.len()].copy_from_slice(row);
        gather(on, entries, panel, &mut whole);
        let len = row.len();
        row.copy_from_slice(&whole[..len]);
    }
}

/// The entries of some rows of X in some columns of it, sorted by column: what CSR would hold of Xᵀ.
struct Sorted<T> {
    /// The entries of column q are those from `starts[q]` to `starts[q + 1]`.
    starts: [usize; SORTED + 1],
    rows: [u32; PANEL * SORTED],
    values: AlignedBuf<T>,
}

impl<T: Element> Sorted<T> {
    /// With room for the values; there is room for the rows in any case.
    fn new(values: AlignedBuf<T>) -> Self {
        Self { starts: [0; SORTED + 1], rows: [0; PANEL * SORTED], values }
    }

    /// Takes the entries in columns `p0 .. p1` off the front of what is left of each row. A counting sort, stable, so that
    /// the rows of a column ascend.
    fn take_from(&mut self, alpha: T, left: &mut [Entries<'_, T>], p0: usize, p1: usize) {
        self.starts.fill(0);
        for (places, _) in left.iter() {
            for &p in places.iter().take_while(|&&p| (p as usize) < p1) {
                self.starts[p as usize - p0 + 1] += 1;
            }
        }
        for q in 0..SORTED {
            self.starts[q + 1] += self.starts[q];
        }
        let mut next = self.starts;
        for (i, entries) in left.iter_mut().enumerate() {
            let (places, values) = *entries;
            let mut taken = 0;
            for (&p, &value) in places.iter().zip(values).take_while(|(p, _)| (**p as usize) < p1) {
                let at = &mut next[p as usize - p0];
                self.rows[*at] = i as u32;
                self.values[*at] = alpha * value;
                *at += 1;
                taken += 1;
            }
            *entries = (&places[taken..], &values[taken..]);
        }
    }

    /// The rows and values of the entries in the `q`-th of the columns.
    fn column(&self, q: usize) -> Entries<'_, T> {
        let range = self.starts[q]..self.starts[q + 1];
        (&self.rows[range.clone()], &self.values[range])
    }
}
