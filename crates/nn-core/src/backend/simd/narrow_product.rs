//! X · W with a few columns, as an output layer of a few classes has.
//!
//! In gemm's register tile the lanes of a vector are columns of Y: with fewer columns than lanes, some would have no work. Here the lanes
//! of a vector are parts of one sum, each with every 16th (or 8th, …) product, and are added up at the end.

use super::finish::Finish;
use super::narrow::{MAX_NARROW, columns, with_columns};
use super::pack::Source;
use super::vector::{Element, Kernel, MAX_LANES, On, Vector};
use crate::matrix::{AlignedBuf, MatMut, MatRef, Scratch};

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
            if V::MANY_REGISTERS { self.of::<V, K, { rows(K) }>(on) } else { self.of::<V, K, 1>(on) }
        });
    }
}

/// As many rows at once as there are registers for: so many sums and a vector of X for each row, and one vector of W.
const fn rows(sums: usize) -> usize {
    if sums <= 6 { MAX_ROWS } else { 2 }
}

impl<T: Element> NarrowProduct<'_, T> {
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline)]
    fn of<V: Vector<T = T>, const K: usize, const R: usize>(&mut self, on: On<V>) {
        let Self { x, w, finish, y, scratch } = self;
        let (m, steps) = (y.rows(), w.rows());
        assert!(w.cols() == K && y.cols() == K && y.is_plain(), "affine: shapes");
        let columns_of_w = columns_in_order::<T, V, K>(on, w, scratch);
        let block = if let Source::Matrix(matrix) = x { matrix.block_cols() } else { steps };
        let mut i = 0;
        let mut sums = [T::zero(); SUMS];
        while i < m {
            let rows = if m - i >= R {
                write_sums(on, lanes_of::<T, V, K, R>(on, x, (steps, block), i, &columns_of_w), &mut sums);
                R
            } else {
                write_sums(on, lanes_of::<T, V, K, 1>(on, x, (steps, block), i, &columns_of_w), &mut sums);
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

/// The products of each block of X's columns with those rows of W that belong to it, one after the other in `parts`: \[m, n\] for each block.
/// X: \[m, k\] in blocks of columns; W: \[k, n\] with few columns. Each has the bits that [`NarrowProduct`] gives it.
pub(super) struct NarrowParts<'a, T> {
    pub(super) x: MatRef<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) parts: &'a mut [T],
    pub(super) scratch: &'a mut Scratch<T>,
}

impl<T: Element> Kernel<T> for NarrowParts<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        with_columns!(self.w.cols(), K => {
            if V::MANY_REGISTERS { self.of::<V, K, { rows(K) }>(on) } else { self.of::<V, K, 1>(on) }
        });
    }
}

impl<T: Element> NarrowParts<'_, T> {
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline)]
    fn of<V: Vector<T = T>, const K: usize, const R: usize>(&mut self, on: On<V>) {
        let Self { x, w, parts, scratch } = self;
        let (m, steps, block) = (x.rows(), x.cols(), x.block_cols());
        assert!(
            w.rows() == steps && w.cols() == K && parts.len() * block == m * K * steps,
            "partial products: shapes"
        );
        let (columns_of_w, x) = (columns_in_order::<T, V, K>(on, w, scratch), Source::Matrix(*x));
        let mut i = 0;
        while i < m {
            let rows = if m - i >= R { R } else { 1 };
            let each = columns_of_w.chunks_exact((block.div_ceil(V::LANES) * K * V::LANES).max(1));
            for (b, (part, columns_of_w)) in parts.chunks_exact_mut(m * K).zip(each).enumerate() {
                // The sums of rows that follow each other do so, too.
                let part = &mut part[i * K..(i + rows) * K];
                if rows == R {
                    let x = parts_of_rows::<T, R>(&x, i, b, block);
                    write_sums(on, add_block(on, x, columns_of_w, [[on.zero(); K]; R]), part);
                } else {
                    let x = parts_of_rows::<T, 1>(&x, i, b, block);
                    write_sums(on, add_block(on, x, columns_of_w, [[on.zero(); K]; 1]), part);
                }
            }
            i += rows;
        }
        scratch.give(columns_of_w);
    }
}

/// W in the order in which it is read: for each vector of steps, its K columns one after the other.
#[inline(always)]
fn columns_in_order<T: Element, V: Vector<T = T>, const K: usize>(
    on: On<V>,
    w: &MatRef<'_, T>,
    scratch: &mut Scratch<T>,
) -> AlignedBuf<T> {
    let steps = w.rows();
    let mut columns_of_w = scratch.take(steps.div_ceil(V::LANES) * K * V::LANES);
    for (vectors, j) in columns_of_w.chunks_exact_mut(K * V::LANES).zip((0..).step_by(V::LANES)) {
        let columns: [[V; 1]; K] = columns(on, w, j, V::LANES.min(steps - j));
        for (column, to) in columns.iter().zip(vectors.chunks_exact_mut(V::LANES)) {
            on.store(column[0], to);
        }
    }
    columns_of_w
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

/// What lies in block `b` of the columns, of which `len` count, of rows `i .. i + R` of X. (Where blocks begin is counted, not found by division:
/// there are few products for each of them.)
#[inline(always)]
fn parts_of_rows<'a, T: Element, const R: usize>(
    x: &Source<'a, T>,
    i: usize,
    b: usize,
    len: usize,
) -> [&'a [T]; R] {
    let mut rows: [&[T]; R] = [&[]; R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = match x {
            Source::Matrix(matrix) => {
                let begin = b * matrix.block_stride() + (i + r) * matrix.stride();
                &matrix.as_slice()[begin..begin + len]
            }
            Source::Rows(rows) => &rows.row(i + r)[..len],
        };
    }
    rows
}

/// The lanes of the products of these parts of rows with as many rows of W, added to `lanes`.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
fn add_block<T: Element, V: Vector<T = T>, const K: usize, const R: usize>(
    on: On<V>,
    rows: [&[T]; R],
    columns_of_w: &[T],
    mut lanes: [[V; K]; R],
) -> [[V; K]; R] {
    let len = rows[0].len();
    let (whole, part) = (len / V::LANES, len % V::LANES);
    assert!(
        rows.iter().all(|row| row.len() == len)
            && columns_of_w.len() >= len.div_ceil(V::LANES) * K * V::LANES,
        "as many rows of W"
    );
    // SAFETY: `on` proves the instructions; the rows have `len` numbers, and W has as many vectors for each of theirs, as was just
    // checked.
    lanes = unsafe { add_products::<V, K, R>(rows.map(<[T]>::as_ptr), columns_of_w.as_ptr(), whole, lanes) };
    if part > 0 {
        let last = &columns_of_w[whole * K * V::LANES..];
        for r in 0..R {
            let x = on.load_part(&rows[r][len - part..], T::zero());
            for k in 0..K {
                lanes[r][k] = x.mul_add(on.load(&last[k * V::LANES..]), lanes[r][k]);
            }
        }
    }
    lanes
}

/// The lanes of the products of rows `i .. i + R` of X, of so many steps in blocks of so many, with all columns of W.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
fn lanes_of<T: Element, V: Vector<T = T>, const K: usize, const R: usize>(
    on: On<V>,
    x: &Source<'_, T>,
    (steps, block): (usize, usize),
    i: usize,
    mut columns_of_w: &[T],
) -> [[V; K]; R] {
    let mut lanes = [[on.zero(); K]; R];
    for (b, j) in (0..steps).step_by(block.max(1)).enumerate() {
        let len = block.min(steps - j);
        lanes = add_block(on, parts_of_rows(x, i, b, len), columns_of_w, lanes);
        columns_of_w = &columns_of_w[len.div_ceil(V::LANES) * K * V::LANES..];
    }
    lanes
}

/// Writes the sum of the lanes of each column of each row, row after row, at most as many as there is room for.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
fn write_sums<T: Element, V: Vector<T = T>, const K: usize, const R: usize>(
    on: On<V>,
    lanes: [[V; K]; R],
    to: &mut [T],
) {
    for first in (0..R * K).step_by(V::LANES) {
        // The sums of as many vectors as there are lanes are formed together, whichever rows they belong to.
        let mut part = [on.zero(); MAX_LANES];
        for (at, part) in (first..R * K).zip(&mut part[..V::LANES]) {
            *part = lanes[at / K][at % K];
        }
        let end = to.len().min(first + V::LANES);
        on.store_part(on.sums(&part), &mut to[first..end]);
    }
}
