//! Products of one or two rows of bytes, row by row, each with the list of its bytes that are not 0: lists that rows share would take
//! longer to make than they save.

use super::gemm::Finish;
use super::vector::{Element, Kernel, On, Vector};
use crate::matrix::{MatMut, MatRef, SparseRows};

/// Columns of X whose list is made at a time: on the stack, 2 KiB of places and as much of bytes and more.
const COLUMNS: usize = 1024;

/// Most rows of such a product.
pub(super) const MAX_ROWS: usize = 2;

/// Y ← finish(X · W). X: \[m, k\], W: \[k, n\], Y: \[m, n\].
pub(super) struct InkProduct<'a, T> {
    pub(super) x: SparseRows<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) finish: Finish<'a, T>,
    pub(super) y: MatMut<'a, T>,
}

/// dW ← dW + α Xᵀ · δ. X: \[m, k\], δ: \[m, n\], dW: \[k, n\].
pub(super) struct InkOuter<'a, T> {
    pub(super) alpha: T,
    pub(super) x: SparseRows<'a, T>,
    pub(super) delta: MatRef<'a, T>,
    pub(super) dw: MatMut<'a, T>,
}

/// The places of some bytes of a row that are not 0, and what they stand for.
struct Ink<T> {
    places: [u16; COLUMNS],
    values: [T; COLUMNS],
    len: usize,
}

impl<T: Element> Ink<T> {
    fn new() -> Self {
        Self { places: [0; COLUMNS], values: [T::zero(); COLUMNS], len: 0 }
    }

    /// Lists at most [`COLUMNS`] bytes, which stand for `factor` times `values`.
    #[inline(always)]
    fn list(&mut self, bytes: &[u8], values: &[T], factor: T) {
        assert!(bytes.len() <= COLUMNS, "bytes of a list");
        self.len = 0;
        let (words, rest) = bytes.as_chunks::<8>();
        for (word, first) in words.iter().zip((0..).step_by(8)) {
            let mut word = u64::from_le_bytes(*word);
            let mut place = first;
            while word != 0 {
                let skipped = word.trailing_zeros() as u16 / 8;
                place += skipped;
                word >>= 8 * skipped;
                self.push(place, factor * values[word as u8 as usize]);
                word &= !0xff;
            }
        }
        for (&byte, place) in rest.iter().zip(8 * words.len() as u16..) {
            if byte != 0 {
                self.push(place, factor * values[byte as usize]);
            }
        }
    }

    #[inline(always)]
    fn push(&mut self, place: u16, value: T) {
        self.places[self.len] = place;
        self.values[self.len] = value;
        self.len += 1;
    }

    #[inline(always)]
    fn entries(&self) -> impl Iterator<Item = (usize, T)> {
        let places = self.places[..self.len].iter().map(|&place| place as usize);
        places.zip(self.values[..self.len].iter().copied())
    }
}

/// Calls `$body` with the number of vectors that a strip of so many columns takes, which the compiler knows.
macro_rules! with_vectors {
    ($count:expr, $name:ident => $body:expr) => {
        match $count {
            0 | 1 => {
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
            _ => {
                const $name: usize = 4;
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

impl<T: Element> Kernel<T> for InkProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { x, w, finish, mut y } = self;
        let (m, k, n) = (y.rows(), w.rows(), y.cols());
        let mut ink = Ink::new();
        for i in 0..m {
            for first in (0..k.max(1)).step_by(COLUMNS) {
                let end = (first + COLUMNS).min(k);
                ink.list(&x.row(i)[first..end], x.values(), T::one());
                let mut j = 0;
                while j < n {
                    let len = strip::<V>(j, n, [w.block_cols(), y.block_cols()]);
                    let (w, y) = (w.strip(j, len), &mut y.run(i, j)[..len]);
                    with_vectors!(len.div_ceil(V::LANES), C => gather::<T, V, C>(on, &ink, &w, first, y));
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

/// y ← y + Σ value · w_row; if the places begin with the `first` row of W, without y.
#[inline(always)]
fn gather<T: Element, V: Vector<T = T>, const C: usize>(
    on: On<V>,
    ink: &Ink<T>,
    w: &MatRef<'_, T>,
    first: usize,
    y: &mut [T],
) {
    let mut sums = [[on.zero(); C]; 2];
    if first > 0 {
        for (sum, part) in sums[0].iter_mut().zip(y.chunks(V::LANES)) {
            *sum = on.load_part(part, T::zero());
        }
    }
    let (places, values) = (&ink.places[..ink.len], &ink.values[..ink.len]);
    let row = |place: u16| w.row(first + place as usize);
    // Sums of even and odd entries, so that an addition need not wait for the one before.
    let mut two = places.chunks_exact(2).zip(values.chunks_exact(2));
    for (places, values) in &mut two {
        add(on, values[0], row(places[0]), &mut sums[0]);
        add(on, values[1], row(places[1]), &mut sums[1]);
    }
    if let (Some(&place), Some(&value), 1) = (places.last(), values.last(), ink.len % 2) {
        add(on, value, row(place), &mut sums[0]);
    }
    for (c, part) in y.chunks_mut(V::LANES).enumerate().take(C) {
        on.store_part(sums[0][c].add(sums[1][c]), part);
    }
}

/// sums ← sums + value · row
#[inline(always)]
fn add<V: Vector, const C: usize>(on: On<V>, value: V::T, row: &[V::T], sums: &mut [V; C]) {
    let value = on.splat(value);
    if row.len() == C * V::LANES {
        for c in 0..C {
            sums[c] = value.mul_add(on.load(&row[c * V::LANES..(c + 1) * V::LANES]), sums[c]);
        }
    } else {
        for (sum, part) in sums.iter_mut().zip(row.chunks(V::LANES)) {
            *sum = value.mul_add(on.load_part(part, V::T::default()), *sum);
        }
    }
}

impl<T: Element> Kernel<T> for InkOuter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { alpha, x, delta, mut dw } = self;
        let (m, k, n) = (delta.rows(), dw.rows(), dw.cols());
        let mut ink = Ink::new();
        for i in 0..m {
            for first in (0..k).step_by(COLUMNS) {
                ink.list(&x.row(i)[first..(first + COLUMNS).min(k)], x.values(), alpha);
                let mut j = 0;
                while j < n {
                    let len = strip::<V>(j, n, [delta.block_cols(), dw.block_cols()]);
                    let (delta, mut dw) = (&delta.run(i, j)[..len], dw.strip(j, len));
                    with_vectors!(len.div_ceil(V::LANES), C => spread::<T, V, C>(on, &ink, delta, first, &mut dw));
                    j += len;
                }
            }
        }
    }
}

/// dw_row ← dw_row + value · δ for the row of each place.
#[inline(always)]
fn spread<T: Element, V: Vector<T = T>, const C: usize>(
    on: On<V>,
    ink: &Ink<T>,
    delta: &[T],
    first: usize,
    dw: &mut MatMut<'_, T>,
) {
    let mut vectors = [on.zero(); C];
    for (v, part) in vectors.iter_mut().zip(delta.chunks(V::LANES)) {
        *v = on.load_part(part, T::zero());
    }
    let whole = delta.len() == C * V::LANES;
    for (place, value) in ink.entries() {
        let (row, value) = (dw.row(first + place), on.splat(value));
        for (c, &delta) in vectors.iter().enumerate() {
            if whole {
                let part = &mut row[c * V::LANES..(c + 1) * V::LANES];
                on.store(value.mul_add(delta, on.load(part)), part);
            } else {
                let end = ((c + 1) * V::LANES).min(row.len());
                let part = &mut row[c * V::LANES..end];
                on.store_part(value.mul_add(delta, on.load_part(part, T::zero())), part);
            }
        }
    }
}
