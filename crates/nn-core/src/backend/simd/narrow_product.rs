//! X · W with a few columns, as an output layer of a few classes has.
//!
//! In gemm's register tile the lanes of a vector are columns of Y: with fewer columns than lanes, some would have no work. Here the lanes
//! of a vector are parts of one sum, each with every 16th (or 8th, …) product, and are added up at the end.

use super::gemm::Finish;
use super::narrow::{MAX_NARROW, columns, with_columns};
use super::pack::Source;
use super::vector::{Element, Kernel, MAX_LANES, On, Vector};
use crate::matrix::{MatMut, MatRef, Scratch};

/// Fewest rows for which it pays to bring W's columns into vectors first. (With 50 rows and 512 steps that takes a seventh of the time.)
const MIN_NARROW_ROWS: usize = 8;

/// Fewest steps of the sums: as many as a block of `f32` has columns. (With these, adding up the lanes is a third of the work already.)
const MIN_NARROW_STEPS: usize = 64;

/// Y ← finish(X · W). X: \[m, k\]; W: \[k, n\] and Y: \[m, n\] with few columns. A row's bits do not depend on the rows beside it.
pub(super) struct NarrowProduct<'a, T> {
    pub(super) x: Source<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) finish: Finish<'a, T>,
    pub(super) y: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

impl<T: Element> NarrowProduct<'_, T> {
    /// Whether it is the kernel for a product of these sizes.
    pub(super) fn is_for(m: usize, (k, n): (usize, usize)) -> bool {
        (1..=MAX_NARROW).contains(&n) && m >= MIN_NARROW_ROWS && k >= MIN_NARROW_STEPS
    }
}

impl<T: Element> Kernel<T> for NarrowProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        with_columns!(self.w.cols(), K => {
            // As many rows at once as there are registers for: K sums and a vector of X for each row, and one vector of W.
            const ROWS: usize = if K <= 6 { MAX_ROWS } else { 2 };
            if V::MANY_REGISTERS { self.of::<V, K, ROWS>(on) } else { self.of::<V, K, 1>(on) }
        });
    }
}

impl<T: Element> NarrowProduct<'_, T> {
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline)]
    fn of<V: Vector<T = T>, const K: usize, const R: usize>(&mut self, on: On<V>) {
        let Self { x, w, finish, y, scratch } = self;
        let (m, steps) = (y.rows(), w.rows());
        assert!(w.cols() == K && y.cols() == K && y.is_plain(), "affine: shapes");
        // In the order in which it is read: for each vector of steps, the K columns of W one after the other.
        let mut columns_of_w = scratch.take(steps.div_ceil(V::LANES) * K * V::LANES);
        for (vectors, j) in columns_of_w.chunks_exact_mut(K * V::LANES).zip((0..).step_by(V::LANES)) {
            let columns: [[V; 1]; K] = columns(on, w, j, V::LANES.min(steps - j));
            for (column, to) in columns.iter().zip(vectors.chunks_exact_mut(V::LANES)) {
                on.store(column[0], to);
            }
        }
        let mut i = 0;
        let mut sums = [T::zero(); SUMS];
        while i < m {
            let rows = if m - i >= R {
                sums_of_rows::<T, V, K, R>(on, (x, steps), i, &columns_of_w, &mut sums);
                R
            } else {
                sums_of_rows::<T, V, K, 1>(on, (x, steps), i, &columns_of_w, &mut sums);
                1
            };
            for r in 0..rows {
                for (to, j) in y.row(i + r).chunks_mut(V::LANES).zip((0..).step_by(V::LANES)) {
                    let sums = on.load(&sums[r * K + j..]);
                    on.store_part(finish.apply(on, i + r, j, to.len(), sums), to);
                }
            }
            i += rows;
        }
        scratch.give(columns_of_w);
    }
}

/// Most rows at once.
const MAX_ROWS: usize = 4;

/// Room for the sums of the rows at once, and for a vector from where any of them begins.
const SUMS: usize = MAX_ROWS * MAX_NARROW + MAX_LANES;

/// lanes\[r\]\[k\] ← lanes\[r\]\[k\] + x\[r\] ⊙ w\[k\] for `count` vectors of steps. For each of these there is a vector of every row,
/// and there are K of W, one column's after the other's.
///
/// # Safety
/// The CPU must have the vector's instructions, and so many vectors must be readable.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "row r and column k, in registers")]
unsafe fn add_products<V: Vector, const K: usize, const R: usize>(
    x: [*const V::T; R],
    mut w: *const V::T,
    count: usize,
    mut lanes: [[V; K]; R],
) -> [[V; K]; R] {
    for at in 0..count {
        // SAFETY: the caller promises all of it.
        unsafe {
            let mut v = [lanes[0][0]; R];
            for r in 0..R {
                v[r] = V::load(x[r].add(at * V::LANES));
            }
            for k in 0..K {
                let w = V::load(w.add(k * V::LANES));
                for r in 0..R {
                    lanes[r][k] = v[r].mul_add(w, lanes[r][k]);
                }
            }
            w = w.add(K * V::LANES);
        }
    }
    lanes
}

/// sums ← the products of rows `i .. i + R` of X with all columns of W, row after row.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
fn sums_of_rows<T: Element, V: Vector<T = T>, const K: usize, const R: usize>(
    on: On<V>,
    (x, cols): (&Source<'_, T>, usize),
    i: usize,
    mut columns_of_w: &[T],
    sums: &mut [T; SUMS],
) {
    let mut lanes = [[on.zero(); K]; R];
    let block = if let Source::Matrix(matrix) = x { matrix.block_cols() } else { cols };
    for j in (0..cols).step_by(block.max(1)) {
        let len = block.min(cols - j);
        let mut rows: [&[T]; R] = [&[]; R];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = match x {
                Source::Matrix(matrix) => &matrix.run(i + r, j)[..len],
                Source::Rows(rows) => &rows.row(i + r)[..len],
            };
        }
        let (whole, part) = (len / V::LANES, len % V::LANES);
        let (own, others) = columns_of_w.split_at(len.div_ceil(V::LANES) * K * V::LANES);
        columns_of_w = others;
        // SAFETY: `on` proves the instructions; the rows have `len` numbers, and W was given as many vectors for each of theirs, as
        // was just checked.
        lanes = unsafe { add_products::<V, K, R>(rows.map(<[T]>::as_ptr), own.as_ptr(), whole, lanes) };
        if part > 0 {
            let last = &own[whole * K * V::LANES..];
            for r in 0..R {
                let x = on.load_part(&rows[r][len - part..], T::zero());
                for k in 0..K {
                    lanes[r][k] = x.mul_add(on.load(&last[k * V::LANES..]), lanes[r][k]);
                }
            }
        }
    }
    for first in (0..R * K).step_by(V::LANES) {
        // The sums of as many vectors as there are lanes are formed together, whichever rows they belong to.
        let mut part = [on.zero(); MAX_LANES];
        for (at, part) in (first..R * K).zip(&mut part[..V::LANES]) {
            *part = lanes[at / K][at % K];
        }
        on.store(on.sums(&part), &mut sums[first..]);
    }
}
