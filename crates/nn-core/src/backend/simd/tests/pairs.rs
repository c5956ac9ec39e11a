//! Products with bytes most of which are 0, by lists of pairs, against sums in `f64`.

use super::super::finish::Finish;
use super::super::ink::{InkOuter, InkProduct};
use super::super::pairs::{PairOuter, PairProduct, block_columns};
use super::super::vector::Element;
use super::Simd;
use super::stored::Stored;
use super::{Check, Runner, everywhere, numbers};
use crate::Scalar;
use crate::backend::{Backend, reference::fits};
use crate::matrix::{GROUP_ROWS, InputRef, MatMut, MatRef, Prepared, Rows, Scratch, SparseBytes, SparseRows};
use crate::ops::{Activation, Sum};

/// Rows: none, alone, in pairs, and around the rows of a group.
const ROWS: [usize; 9] = [0, 1, 2, 3, 50, 251, 252, 253, 300];

/// Columns of X: around the tiles that are transposed, and around the columns of a panel.
const COLUMNS: [usize; 8] = [1, 2, 15, 16, 127, 128, 129, 784];

/// Columns of W: around the columns of a block, and several blocks.
const UNITS: [usize; 8] = [1, 10, 16, 63, 64, 65, 128, 200];

/// Rounding errors that an activation may add, in ε.
const FUNCTION: f64 = 8.0;

const ACTIVATIONS: [Activation; 4] =
    [Activation::Linear, Activation::Tanh, Activation::Relu, Activation::Sigmoid];

/// Bytes as images have them; some rows and some columns all zeros, some rows without any.
pub(super) fn bytes(rows: usize, cols: usize) -> Vec<u8> {
    let lit = numbers::<f64>(11, rows * cols);
    let byte = |(at, &x): (usize, &f64)| {
        let nonzero = (x.abs() * 254.0) as u8 + 1;
        match (at / cols % 7, at % cols % 5) {
            (2, _) => nonzero,
            (5, _) => 0,
            (_, 3) => 0,
            _ if x > 0.5 => nonzero,
            _ => 0,
        }
    };
    lit.iter().enumerate().map(byte).collect()
}

/// Rows of a data set, some of which are `rows`.
struct Data<T> {
    set: SparseBytes<T>,
    /// Rows picked in any order, some of them again.
    list: Vec<u32>,
    rows: usize,
}

impl<T: Scalar> Data<T> {
    fn new(rows: usize, cols: usize) -> Self {
        let all = GROUP_ROWS + rows;
        let set = fits(SparseBytes::new(&bytes(all, cols), all, cols, T::of(255.0)));
        let list = numbers::<f64>(13, rows).iter().map(|x| (x.abs() * all as f64) as u32).collect();
        Self { set, list, rows }
    }

    /// The rows of a group or of what is left after one, whose lists are kept; others; and a list.
    fn selections(&self) -> [Rows<'_>; 3] {
        let len = self.rows;
        [Rows::Range { start: GROUP_ROWS, len }, Rows::Range { start: 5, len }, Rows::List(&self.list)]
    }

    fn select<'a>(&'a self, rows: Rows<'a>) -> SparseRows<'a, T> {
        match fits(InputRef::sparse_bytes(&self.set).select(rows)) {
            InputRef::SparseBytes(rows) => rows,
            other => panic!("sparse bytes stay sparse bytes, these are {other:?}"),
        }
    }
}

/// Row `i` of the selection as the numbers that its bytes stand for.
fn row<T: Scalar>(x: &SparseRows<'_, T>, i: usize) -> Vec<f64> {
    x.row(i).iter().map(|&b| (T::of_byte(b) / x.divisor()).wide()).collect()
}

/// Σ terms, Σ |terms|, and how many are not 0.
type Expected = (f64, f64, usize);

fn sum(sums: &mut Expected, term: f64) {
    *sums = (sums.0 + term, sums.1 + term.abs(), sums.2 + 1);
}

/// X · w and Xᵀ · δ, both row-major with `n` columns.
fn sums<T: Element>(x: &SparseRows<'_, T>, n: usize, w: &[T], delta: &[T]) -> [Vec<Expected>; 2] {
    let (m, k) = (x.rows.len(), x.data().cols());
    let (mut y, mut dw) = (vec![(0.0, 0.0, 0); m * n], vec![(0.0, 0.0, 0); k * n]);
    for i in 0..m {
        for (p, value) in row(x, i).into_iter().enumerate().filter(|(_, value)| *value != 0.0) {
            for j in 0..n {
                sum(&mut y[i * n + j], value * w[p * n + j].wide());
                sum(&mut dw[p * n + j], value * delta[i * n + j].wide());
            }
        }
    }
    [y, dw]
}

/// Sizes: all rows with all columns, and all units with some of each.
fn sizes() -> Vec<(usize, usize, usize)> {
    let pairs = ROWS.into_iter().flat_map(|m| COLUMNS.map(|k| (m, k)));
    let mut sizes: Vec<_> = pairs.enumerate().map(|(at, (m, k))| (m, k, UNITS[(at + at / 8) % 8])).collect();
    for n in UNITS {
        sizes.extend([(3, 784, n), (50, 127, n), (252, 129, n), (253, 15, n)]);
    }
    sizes.extend([(4, 0, 64), (4, 0, 10), (5, 20, 0)]);
    sizes
}

/// The kernels that there are for such products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum With {
    Pairs,
    Ink,
}

/// Both products of one selection of rows, in every layout that there is.
struct Products;

impl Check for Products {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let mut scratch = Scratch::default();
        for (at, (m, k, n)) in sizes().into_iter().enumerate() {
            let data = Data::<T>::new(m, k);
            let (w, delta, start) = (numbers::<T>(1, k * n), numbers::<T>(2, m * n), numbers::<T>(3, k * n));
            let bias = numbers::<T>(4, n);
            for (turn, rows) in data.selections().into_iter().enumerate() {
                let x = data.select(rows);
                let [y_sums, dw_sums] = sums(&x, n, &w, &delta);
                for blocks in 0..4 {
                    let block = |bit: usize| (blocks >> bit & 1 == 1).then_some(block_columns::<T>());
                    if blocks > 0 && !(n > block_columns::<T>() && n.is_multiple_of(block_columns::<T>())) {
                        continue;
                    }
                    let f = ACTIVATIONS[(at + turn + blocks) % 4];
                    let bias = ((at + turn) % 3 > 0).then_some(&bias[..]);
                    let what = format!("{name}: {m}×{k}·{k}×{n}, {}, {f:?}, blocks {blocks}", describe(rows));

                    let stored = Stored::new(k, n, block(0), |p, j| w[p * n + j]);
                    // Each of the kernels in its turn.
                    let with = if (at + turn) % 3 == 1 { With::Ink } else { With::Pairs };
                    // Where there are blocks, two at a time or one.
                    let two_blocks = (at + blocks) % 2 == 0;
                    let what = format!("{what}, {with:?}, two blocks: {two_blocks}");
                    let mut product = || {
                        let mut y = Stored::guarded(m, n, block(1), |_, _| T::nan());
                        let (w, y_view, scratch) = (stored.view(), y.view_mut(), &mut scratch);
                        match with {
                            With::Pairs => on.run(PairProduct { x, w, bias, f, y: y_view, scratch }),
                            With::Ink => {
                                let finish = Finish::Activate(f, bias);
                                on.run(InkProduct { x, w, finish, y: y_view });
                            }
                        }
                        y
                    };
                    let y = product();
                    y.assert_close(&what, |i, j| {
                        let (sum, size, terms) = y_sums[i * n + j];
                        let bias = bias.map_or(0.0, |bias| bias[j].wide());
                        let want = f.eval(sum + bias);
                        // The slope is at most 1, so the sum's error is at most passed on.
                        let error = (terms + 4) as f64 * (size + bias.abs()) + FUNCTION * want.abs();
                        (want, T::EPSILON.wide() * error)
                    });
                    assert!(same(&product(), &y), "{what}: other bits the second time");

                    let alpha = T::of([1.0, -0.3][blocks % 2]);
                    let delta = Stored::new(m, n, block(0), |i, j| delta[i * n + j]);
                    for sum in [Sum::Continue, Sum::Begin] {
                        // The other one only adds.
                        if sum == Sum::Begin && with == With::Ink {
                            continue;
                        }
                        // A sum that begins doesn't read what was there.
                        let begins = sum == Sum::Begin;
                        let old = |p: usize, j: usize| if begins { T::nan() } else { start[p * n + j] };
                        let mut outer = || {
                            let mut dw = Stored::guarded(k, n, block(1), old);
                            let (dw_view, delta, scratch) = (dw.view_mut(), delta.view(), &mut scratch);
                            match with {
                                With::Pairs => {
                                    let dw = dw_view;
                                    on.run(PairOuter { alpha, x, delta, sum, dw, two_blocks, scratch });
                                }
                                With::Ink => on.run(InkOuter { alpha, x, delta, dw: dw_view }),
                            }
                            dw
                        };
                        let dw = outer();
                        dw.assert_close(&format!("{what}: outer, {sum:?}"), |p, j| {
                            let (sum, size, terms) = dw_sums[p * n + j];
                            let start = if begins { 0.0 } else { start[p * n + j].wide() };
                            let error = (terms + 4) as f64 * (alpha.wide().abs() * size + start.abs());
                            let most = if terms == 0 { 0.0 } else { T::EPSILON.wide() * error };
                            (start + alpha.wide() * sum, most)
                        });
                        assert!(same(&outer(), &dw), "{what}: outer, {sum:?}: other bits the second time");
                    }
                }
            }
            let [kept, others, _] = data.selections().map(|rows| data.select(rows).group().is_some());
            assert_eq!((kept, others), ((2..=GROUP_ROWS).contains(&m), false), "{m} rows of a group");
        }
    }
}

fn describe(rows: Rows<'_>) -> String {
    match rows {
        Rows::Range { start, .. } => format!("rows from {start}"),
        Rows::List(_) => "a list of rows".into(),
    }
}

fn same<T: Scalar>(a: &Stored<T>, b: &Stored<T>) -> bool {
    a.elements() == b.elements()
}

#[test]
fn products_by_pairs_are_right_in_every_layout_and_the_same_with_lists_that_were_kept() {
    everywhere(&Products);
}

/// Rows without a single 0, and without anything else.
struct Extremes;

impl Check for Extremes {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let (m, k, n) = (131, 257, 64);
        for byte in [0, 255] {
            let set = fits(SparseBytes::new(&vec![byte; m * k], m, k, T::of(255.0)));
            let InputRef::SparseBytes(x) = InputRef::sparse_bytes(&set) else { panic!("sparse bytes") };
            let mut scratch = Scratch::default();
            // Small whole numbers, whose sums are exact.
            let w = Stored::new(k, n, None, |p, j| T::of(((p * 7 + j * 3) % 5) as f64));
            let mut y = Stored::guarded(m, n, None, |_, _| T::nan());
            let (w_view, f, to) = (w.view(), Activation::Linear, y.view_mut());
            on.run(PairProduct { x, w: w_view, bias: None, f, y: to, scratch: &mut scratch });
            let scale = f64::from(byte) / 255.0;
            let what = format!("{name}: all bytes {byte}");
            y.assert_close(&what, |_, j| (scale * (0..k).map(|p| w.at(p, j).wide()).sum::<f64>(), 0.0));

            let delta = Stored::new(m, n, None, |i, j| T::of(((i * 5 + j) % 7) as f64));
            let mut dw = Stored::guarded(k, n, None, |_, _| T::one());
            let (alpha, to) = (T::of(-2.0), dw.view_mut());
            let (delta_view, sum, two_blocks) = (delta.view(), Sum::Continue, false);
            on.run(PairOuter { alpha, x, delta: delta_view, sum, dw: to, two_blocks, scratch: &mut scratch });
            dw.assert_close(&format!("{what}: outer"), |_, j| {
                (1.0 - 2.0 * scale * (0..m).map(|i| delta.at(i, j).wide()).sum::<f64>(), 0.0)
            });
        }
    }
}

#[test]
fn rows_of_nothing_but_zeros_and_rows_without_any_are_right() {
    everywhere(&Extremes);
}

/// A block of columns has the same bits alone and among others, and if two are taken at a time: threads take blocks each, and CPUs differ.
struct Columns;

impl Check for Columns {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        // Odd numbers of lines either way: the last of them has no partner.
        let (m, k, width) = (51, 201, block_columns::<T>());
        let n = 3 * width;
        let data = Data::<T>::new(m, k);
        let (w, delta, bias) = (numbers::<T>(1, k * n), numbers::<T>(2, m * n), numbers::<T>(4, n));
        let w = Stored::new(k, n, Some(width), |p, j| w[p * n + j]);
        let delta = Stored::new(m, n, Some(width), |i, j| delta[i * n + j]);
        for rows in data.selections() {
            let x = data.select(rows);
            let run = |j: usize, len: usize, two_blocks: bool| {
                let mut scratch = Scratch::default();
                let mut y = Stored::guarded(m, len, Some(width), |_, _| T::nan());
                let mut dw = Stored::guarded(k, len, Some(width), |_, _| T::zero());
                let (w, delta) = (w.view().columns(j, len), delta.view().columns(j, len));
                let (bias, f, to, scratch) =
                    (Some(&bias[j..j + len]), Activation::Tanh, y.view_mut(), &mut scratch);
                on.run(PairProduct { x, w, bias, f, y: to, scratch });
                let (alpha, sum, to) = (T::one(), Sum::Continue, dw.view_mut());
                on.run(PairOuter { alpha, x, delta, sum, dw: to, two_blocks, scratch });
                [(m, y), (k, dw)].map(|(rows, matrix)| -> Vec<Vec<T>> {
                    (0..len).map(|j| (0..rows).map(|i| matrix.at(i, j)).collect()).collect()
                })
            };
            let all = run(0, n, true);
            for (first, len, two_blocks) in
                [(0, n, false), (0, width, true), (width, width, false), (width, 2 * width, true)]
            {
                let part = run(first, len, two_blocks);
                for (all, part) in all.iter().zip(&part) {
                    assert!(
                        all[first..first + len] == part[..],
                        "{name}: columns {first}..{} have other bits, two blocks: {two_blocks}, {}",
                        first + len,
                        describe(rows)
                    );
                }
            }
        }
    }
}

#[test]
fn columns_have_the_same_bits_alone_and_among_others() {
    everywhere(&Columns);
}

/// Row by row, a row has the same bits alone and among others, and some columns of X give the same rows of dW as all of them do: threads
/// take rows of the one and columns of the other.
struct OneByOne;

impl Check for OneByOne {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        for (m, k, n) in [(5, 784, 16), (4, 784, 10), (3, 130, 33), (3, 1300, 48), (2, 1025, 64)] {
            let data = Data::<T>::new(m, k);
            let (w, delta) = (numbers::<T>(1, k * n), numbers::<T>(2, m * n));
            let w = fits(MatRef::new(&w, k, n));
            for rows in data.selections() {
                let what = format!("{name}: {m}×{k}·{k}×{n}, {}", describe(rows));
                let product = |first: usize, len: usize| {
                    let mut y = vec![T::nan(); len * n];
                    let x = data.select(rows.slice(first, len));
                    let (finish, y_view) = (Finish::Nothing, fits(MatMut::new(&mut y, len, n)));
                    on.run(InkProduct { x, w, finish, y: y_view });
                    y
                };
                let all = product(0, m);
                for i in 0..m {
                    assert!(product(i, 1) == all[i * n..][..n], "{what}: row {i} has other bits alone");
                }
                let outer = |first: usize, len: usize| {
                    let mut dw = vec![T::one(); len * n];
                    let (alpha, x) = (T::of(-0.3), data.select(rows).with_columns(first, len));
                    let (delta, dw_view) =
                        (fits(MatRef::new(&delta, m, n)), fits(MatMut::new(&mut dw, len, n)));
                    on.run(InkOuter { alpha, x, delta, dw: dw_view });
                    dw
                };
                let all = outer(0, k);
                for (first, len) in [(0, 64), (64, k - 64), (1, 63), (k - 2, 2), (3, 0)] {
                    let end = first + len;
                    assert!(outer(first, len) == all[first * n..end * n], "{what}: columns {first}..{end}");
                }
            }
        }
    }
}

#[test]
fn row_by_row_a_row_and_a_column_have_the_same_bits_alone_and_among_others() {
    everywhere(&OneByOne);
}

#[test]
fn lists_of_other_rows_panic_before_anything_is_read_outside() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let (m, k, n) = (50, 775, 64);
    // What was prepared is of more columns, or of more rows, than the product that gets it.
    for (rows, cols) in [(m, k + 9), (m + 30, k)] {
        let other = fits(SparseBytes::new(&bytes(rows, cols), rows, cols, 255.0f32));
        let data = fits(SparseBytes::new(&bytes(m, k), m, k, 255.0f32));
        let (InputRef::SparseBytes(others), InputRef::SparseBytes(x)) =
            (InputRef::sparse_bytes(&other), InputRef::sparse_bytes(&data))
        else {
            panic!("sparse bytes are sparse bytes")
        };
        let mut prepared = Prepared::default();
        let simd = Simd::detect();
        assert!(simd.prepare(&others, true, (0, 1), &mut prepared, &mut Scratch::<f32>::default()));
        let x = InputRef::SparseBytes(x.with_prepared(std::slice::from_ref(&prepared)));
        let (w, delta) = (numbers::<f32>(1, k * n), numbers::<f32>(2, m * n));
        let (mut y, mut dw) = (vec![0.0; m * n], vec![0.0; k * n]);
        let forward = catch_unwind(AssertUnwindSafe(|| {
            let (w, y) = (fits(MatRef::new(&w, k, n)), fits(MatMut::new(&mut y, m, n)));
            simd.affine(x, w, None, Activation::Linear, y, &mut Scratch::default());
        }));
        let backward = catch_unwind(AssertUnwindSafe(|| {
            let (delta, dw) = (fits(MatRef::new(&delta, m, n)), fits(MatMut::new(&mut dw, k, n)));
            simd.accumulate_weights(1.0, x, delta, Sum::Continue, dw, &mut Scratch::default());
        }));
        assert!(forward.is_err() && backward.is_err(), "prepared of [{rows}, {cols}]");
    }
}
