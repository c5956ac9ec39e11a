//! Products of rows of bytes one by one, each with the list of its bytes that are not 0: for one or two rows, and for layers of fewer
//! columns than a block has. Lists that rows share would take longer to make than they save there.

use super::finish::Finish;
use super::lists;
use super::vector::{Element, Kernel, On, Vector, part, part_mut};
use crate::matrix::{MatMut, MatRef, SparseRows};

/// Columns of X whose list is made at a time: on the stack, 2 KiB of places and 1 KiB of bytes.
const COLUMNS: usize = 1024;

/// Most rows of such a product, if it is as wide as a block.
pub(super) const MAX_ROWS: usize = 2;

/// Y ← finish(X · W). X: \[m, k\], W: \[k, n\], Y: \[m, n\]. A row of Y depends on its row of X alone.
pub(super) struct InkProduct<'a, T> {
    pub(super) x: SparseRows<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) finish: Finish<'a, T>,
    pub(super) y: MatMut<'a, T>,
}

/// dW ← dW + α Xᵀ · δ. X: \[m, k\], δ: \[m, n\], dW: \[k, n\]. Each element's terms are added to it one after the other.
pub(super) struct InkOuter<'a, T> {
    pub(super) alpha: T,
    pub(super) x: SparseRows<'a, T>,
    pub(super) delta: MatRef<'a, T>,
    pub(super) dw: MatMut<'a, T>,
}

/// The bytes of a part of a row that are not 0, and their places, ascending.
struct Ink {
    places: [u16; COLUMNS + lists::BEYOND],
    bytes: [u8; COLUMNS + lists::BEYOND],
    len: usize,
}

impl Ink {
    fn new() -> Self {
        Self { places: [0; COLUMNS + lists::BEYOND], bytes: [0; COLUMNS + lists::BEYOND], len: 0 }
    }

    /// Lists the first `len` bytes of a row that goes on for [`lists::BEYOND`] bytes more, which don't count.
    #[inline(always)]
    fn list(&mut self, row: &[u8], len: usize) {
        self.len = lists::list(row, len, &mut self.places, &mut self.bytes);
    }

    /// Places and bytes, as many of either, and the places below `rows`, which is checked.
    #[inline(always)]
    fn below(&self, rows: usize) -> (&[u16], &[u8]) {
        let (places, bytes) = (&self.places[..self.len], &self.bytes[..self.len]);
        // They ascend.
        assert!(places.last().is_none_or(|&last| (last as usize) < rows), "places of {rows} rows");
        (places, bytes)
    }
}

/// Calls `$body` with the number of vectors that a strip of so many columns takes, and of the sums of it that are under way at the same
/// time, both of which the compiler knows: an addition need not wait for the one before, which was to another sum.
macro_rules! with_vectors {
    ($count:expr, $name:ident, $sums:ident => $body:expr) => {
        match $count {
            0 | 1 => {
                const $name: usize = 1;
                const $sums: usize = 4;
                $body
            }
            2 => {
                const $name: usize = 2;
                const $sums: usize = 4;
                $body
            }
            3 => {
                const $name: usize = 3;
                const $sums: usize = 2;
                $body
            }
            _ => {
                const $name: usize = 4;
                const $sums: usize = 2;
                $body
            }
        }
    };
}

/// How many columns from `j` on are taken together: at most four vectors, in no more than one block of either matrix.
#[inline(always)]
fn strip<V: Vector>(j: usize, n: usize, blocks: [usize; 2]) -> usize {
    let left = blocks.map(|block| block - j % block);
    (4 * V::LANES).min(left[0]).min(left[1]).min(n - j)
}

/// What each byte stands for.
#[inline(always)]
fn table<T>(values: &[T]) -> &[T; 256] {
    let Some(table) = values.first_chunk::<256>() else { panic!("a value for every byte") };
    table
}

impl<T: Element> Kernel<T> for InkProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { x, w, finish, mut y } = self;
        let (m, k, n) = (y.rows(), w.rows(), y.cols());
        let (mut ink, values) = (Ink::new(), table(x.values()));
        for i in 0..m {
            for first in (0..k.max(1)).step_by(COLUMNS) {
                let end = (first + COLUMNS).min(k);
                ink.list(&x.row_and_beyond(i)[first..], end - first);
                let mut j = 0;
                while j < n {
                    let len = strip::<V>(j, n, [w.block_cols(), y.block_cols()]);
                    let (w, y) = (w.strip(j, len), &mut y.run(i, j)[..len]);
                    let w = w.row_range(first, end - first);
                    with_vectors!(len.div_ceil(V::LANES), C, S => {
                        gather::<T, V, C, S>(on, &ink, values, &w, first > 0, y);
                    });
                    if end == k {
                        for (part, at) in y.chunks_mut(V::LANES).zip((j..).step_by(V::LANES)) {
                            let sums = on.load_part(part, T::zero());
                            on.store_part(finish.apply(on, i, at, part.len(), sums), part);
                        }
                    }
                    j += len;
                }
            }
        }
    }
}

/// y ← Σ value · w_row over the list; with y, if the sum `continues`. It is formed in `S` parts.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "sum s and entry s of a few, in registers")]
fn gather<T: Element, V: Vector<T = T>, const C: usize, const S: usize>(
    on: On<V>,
    ink: &Ink,
    values: &[T; 256],
    w: &MatRef<'_, T>,
    continues: bool,
    y: &mut [T],
) {
    let mut sums = [[on.zero(); C]; S];
    if continues {
        for c in 0..C {
            sums[0][c] = on.load_part(part::<V>(y, c), T::zero());
        }
    }
    let (places, bytes) = ink.below(w.rows());
    let (places, last_places) = places.as_chunks::<S>();
    let (bytes, last_bytes) = bytes.as_chunks::<S>();
    // Which sum is meant the compiler knows everywhere, here and at both ends: only so do they stay in registers.
    if y.len() == C * V::LANES {
        let rows = w.as_slice();
        assert!(w.rows() == 0 || (w.rows() - 1) * w.stride() + y.len() <= rows.len(), "rows of W");
        for (places, bytes) in places.iter().zip(bytes) {
            for s in 0..S {
                // SAFETY: the place is below the number of rows, the last of which ends within the slice, as was just checked.
                unsafe {
                    add(on, values[bytes[s] as usize], rows, places[s] as usize * w.stride(), &mut sums[s])
                };
            }
        }
        for s in 0..S {
            if let (Some(&place), Some(&byte)) = (last_places.get(s), last_bytes.get(s)) {
                // SAFETY: likewise.
                unsafe { add(on, values[byte as usize], rows, place as usize * w.stride(), &mut sums[s]) };
            }
        }
    } else {
        for (places, bytes) in places.iter().zip(bytes) {
            for s in 0..S {
                add_part(on, values[bytes[s] as usize], w.row(places[s] as usize), &mut sums[s]);
            }
        }
        for s in 0..S {
            if let (Some(&place), Some(&byte)) = (last_places.get(s), last_bytes.get(s)) {
                add_part(on, values[byte as usize], w.row(place as usize), &mut sums[s]);
            }
        }
    }
    for c in 0..C {
        let mut sum = sums[0][c];
        for s in 1..S {
            sum = sum.add(sums[s][c]);
        }
        on.store_part(sum, part_mut::<V>(y, c));
    }
}

/// sums ← sums + value · a row that is no whole number of vectors
#[inline(always)]
fn add_part<V: Vector, const C: usize>(on: On<V>, value: V::T, row: &[V::T], sums: &mut [V; C]) {
    let value = on.splat(value);
    for (c, sum) in sums.iter_mut().enumerate() {
        *sum = value.mul_add(on.load_part(part::<V>(row, c), V::T::default()), *sum);
    }
}

/// sums ← sums + value · the row that begins at `start`
///
/// # Safety
/// As many vectors must lie in the slice from there on.
#[inline(always)]
unsafe fn add<V: Vector, const C: usize>(
    on: On<V>,
    value: V::T,
    rows: &[V::T],
    start: usize,
    sums: &mut [V; C],
) {
    let value = on.splat(value);
    for (c, sum) in sums.iter_mut().enumerate() {
        // SAFETY: `on` proves the instructions, the caller promises the numbers.
        *sum = value.mul_add(unsafe { V::load(rows.as_ptr().add(start + c * V::LANES)) }, *sum);
    }
}

impl<T: Element> Kernel<T> for InkOuter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { alpha, x, delta, mut dw } = self;
        let (m, k, n) = (delta.rows(), dw.rows(), dw.cols());
        let (mut ink, mut values) = (Ink::new(), *table(x.values()));
        values.iter_mut().for_each(|value| *value = alpha * *value);
        for i in 0..m {
            for first in (0..k).step_by(COLUMNS) {
                let end = (first + COLUMNS).min(k);
                ink.list(&x.row_and_beyond(i)[first..], end - first);
                let mut j = 0;
                while j < n {
                    let len = strip::<V>(j, n, [delta.block_cols(), dw.block_cols()]);
                    let (delta, mut dw) = (&delta.run(i, j)[..len], dw.strip(j, len));
                    with_vectors!(len.div_ceil(V::LANES), C, _S => {
                        spread::<T, V, C>(on, &ink, &values, delta, first, &mut dw);
                    });
                    j += len;
                }
            }
        }
    }
}

/// dw_row ← dw_row + value · δ for the row of each place, counted from the `first` one.
#[inline(always)]
fn spread<T: Element, V: Vector<T = T>, const C: usize>(
    on: On<V>,
    ink: &Ink,
    values: &[T; 256],
    delta: &[T],
    first: usize,
    dw: &mut MatMut<'_, T>,
) {
    let mut vectors = [on.zero(); C];
    for (c, v) in vectors.iter_mut().enumerate() {
        *v = on.load_part(part::<V>(delta, c), T::zero());
    }
    let (height, stride) = (dw.rows(), dw.stride());
    let (places, bytes) = ink.below(height - first);
    if delta.len() == C * V::LANES {
        let rows = &mut dw.as_mut_slice()[first * stride..];
        assert!((height - first - 1) * stride + delta.len() <= rows.len(), "rows of dW");
        for (&place, &byte) in places.iter().zip(bytes) {
            let value = on.splat(values[byte as usize]);
            // SAFETY: the place is below the number of rows, the last of which ends within the slice, as was just checked; `on` proves
            // the instructions.
            unsafe {
                let row = rows.as_mut_ptr().add(place as usize * stride);
                for (c, &delta) in vectors.iter().enumerate() {
                    let part = row.add(c * V::LANES);
                    value.mul_add(delta, V::load(part)).store(part);
                }
            }
        }
    } else {
        for (&place, &byte) in places.iter().zip(bytes) {
            let value = on.splat(values[byte as usize]);
            let row = dw.row(first + place as usize);
            for (c, &delta) in vectors.iter().enumerate() {
                let sum = value.mul_add(delta, on.load_part(part::<V>(row, c), T::zero()));
                on.store_part(sum, part_mut::<V>(row, c));
            }
        }
    }
}
