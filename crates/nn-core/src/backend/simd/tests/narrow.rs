//! Products with a matrix of a few columns, against sums in `f64`.

use super::super::finish::Finish;
use super::super::narrow::{MAX_NARROW, NarrowOuter};
use super::super::narrow_back::NarrowBackpropagate;
use super::super::narrow_product::{NarrowParts, NarrowProduct};
use super::super::pack::Source;
use super::super::pairs::block_columns;
use super::super::vector::Element;
use super::stored::Stored;
use super::{Check, Runner, everywhere, numbers};
use crate::backend::reference::fits;
use crate::matrix::{InputRef, MatMut, MatRef, Rows, Scratch};
use crate::ops::Activation;

/// Rounding errors that a slope may add, in ε.
const FUNCTION: f64 = 8.0;

/// Columns of the wide matrices: nothing, around one vector and two of any kind, and whole blocks.
const WIDE: [usize; 14] = [0, 1, 2, 3, 7, 8, 15, 16, 31, 33, 64, 70, 128, 192];

struct Narrow;

impl Check for Narrow {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        for k in 1..=MAX_NARROW {
            for (at, n) in WIDE.into_iter().enumerate() {
                let m = [0, 1, 2, 50, 253][(at + k) % 5];
                let f = [Activation::Linear, Activation::Tanh, Activation::Relu, Activation::Sigmoid]
                    [(at + k / 2) % 4];
                let (dy, w, wide) = (numbers::<T>(1, m * k), numbers::<T>(2, n * k), numbers::<T>(3, m * n));
                let dy = Stored::new(m, k, None, |i, c| dy[i * k + c]);
                let w = Stored::new(n, k, None, |j, c| w[j * k + c]);
                for blocks in 0..4 {
                    let block = |bit: usize| (blocks >> bit & 1 == 1).then_some(block_columns::<T>());
                    if blocks > 0 && !(n > block_columns::<T>() && n.is_multiple_of(block_columns::<T>())) {
                        continue;
                    }
                    let what = format!("{name}: {k} columns, {m}×{n}, {f:?}, blocks {blocks}");
                    let wide = Stored::new(m, n, block(0), |i, j| wide[i * n + j]);
                    let mut delta = Stored::guarded(m, n, block(1), |_, _| T::nan());
                    let (output, to) = (wide.view(), delta.view_mut());
                    on.run(NarrowBackpropagate { dy: dy.view(), w: w.view(), f, output, delta: to });
                    delta.assert_close(&format!("{what}: δ"), |i, j| {
                        let terms = (0..k).map(|c| dy.at(i, c).wide() * w.at(j, c).wide());
                        let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()));
                        // A slope is at most 2 in size here: that of sigmoid at −1.
                        let error = 2.0 * (k as f64 + FUNCTION) * size;
                        (sum * f.slope(wide.at(i, j).wide()), T::EPSILON.wide() * error)
                    });

                    let bias = numbers::<T>(4, k);
                    let finish = Finish::Activate(f, (at % 2 == 0).then_some(&bias[..]));
                    let mut y = Stored::guarded(m, k, None, |_, _| T::nan());
                    let (x, scratch) = (Source::Matrix(wide.view()), &mut Scratch::default());
                    on.run(NarrowProduct { x, w: w.view(), finish, y: y.view_mut(), scratch });
                    y.assert_close(&format!("{what}: Y"), |i, c| {
                        let terms = (0..n).map(|j| wide.at(i, j).wide() * w.at(j, c).wide());
                        let start = if at % 2 == 0 { bias[c].wide() } else { 0.0 };
                        let (sum, size) =
                            terms.fold((start, start.abs()), |(sum, size), t| (sum + t, size + t.abs()));
                        // No activation is steeper than the identity.
                        let error = (n as f64 + FUNCTION) * size + FUNCTION;
                        (f.eval(sum), T::EPSILON.wide() * error)
                    });

                    let mut dw = Stored::guarded(n, k, None, |j, c| T::of((j + c) as f64 / 64.0));
                    let (alpha, to) = (T::of(-0.3), dw.view_mut());
                    on.run(NarrowOuter { alpha, x: wide.view(), delta: dy.view(), dw: to });
                    dw.assert_close(&format!("{what}: dW"), |j, c| {
                        let old = (j + c) as f64 / 64.0;
                        let terms = (0..m).map(|i| alpha.wide() * wide.at(i, j).wide() * dy.at(i, c).wide());
                        let (sum, size) = terms.fold((old, old), |(sum, size), t| (sum + t, size + t.abs()));
                        (sum, T::EPSILON.wide() * (m + 4) as f64 * size)
                    });
                }
            }
        }
    }
}

#[test]
fn products_with_one_to_twelve_columns_are_right_in_every_layout_and_write_nothing_else() {
    everywhere(&Narrow);
}

/// Rows of a product with few columns, some of them, and in another order.
struct RowsOfProduct;

impl Check for RowsOfProduct {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        for n in [1, 6, 7, 10, 12] {
            let (m, k) = (21, 200);
            let (x, w) = (numbers::<T>(1, m * k), numbers::<T>(2, k * n));
            let (x, w) = (fits(MatRef::new(&x, m, k)), fits(MatRef::new(&w, k, n)));
            let product = |x: Source<'_, T>, rows: usize| {
                let mut y = vec![T::zero(); rows * n];
                let (finish, scratch) = (Finish::Nothing, &mut Scratch::default());
                on.run(NarrowProduct { x, w, finish, y: fits(MatMut::new(&mut y, rows, n)), scratch });
                y
            };
            let all = product(Source::Matrix(x), m);
            for (first, rows) in [(0, 1), (0, 8), (1, 8), (3, 13), (20, 1)] {
                let some = product(Source::Matrix(x.row_range(first, rows)), rows);
                assert!(
                    some == all[first * n..][..rows * n],
                    "{name}: {rows} rows from {first}, {n} columns"
                );
            }
            let list: Vec<u32> = (0..m as u32).rev().collect();
            let InputRef::Dense(listed) = fits(InputRef::dense(x).select(Rows::List(&list))) else {
                panic!("dense rows stay dense")
            };
            let listed = product(Source::Rows(listed), m);
            let same = (0..m).all(|i| listed[i * n..][..n] == all[(m - 1 - i) * n..][..n]);
            assert!(same, "{name}: listed rows, {n} columns");
        }
    }
}

#[test]
fn rows_of_a_product_with_few_columns_do_not_depend_on_each_other() {
    everywhere(&RowsOfProduct);
}

/// The products of each block of columns, at once and one by one.
struct Parts;

impl Check for Parts {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let block = block_columns::<T>();
        for n in [1, 6, 7, 10, 12] {
            for (m, blocks) in [(1, 1), (2, 3), (8, 4), (21, 2), (50, 4)] {
                let k = blocks * block;
                let (x, w) = (numbers::<T>(1, m * k), numbers::<T>(2, k * n));
                let x = Stored::new(m, k, (blocks > 1).then_some(block), |i, j| x[i * k + j]);
                let w = fits(MatRef::new(&w, k, n));
                // What is written, and one number that is not.
                let mut parts = vec![T::nan(); blocks * m * n + 1];
                let scratch = &mut Scratch::default();
                let to = &mut parts[..blocks * m * n];
                on.run(NarrowParts { x: x.view(), w, parts: to, scratch });
                for b in 0..blocks {
                    let mut y = vec![T::zero(); m * n];
                    let of_block = Source::Matrix(x.view().columns(b * block, block));
                    let (w, finish) = (w.row_range(b * block, block), Finish::Nothing);
                    let to = fits(MatMut::new(&mut y, m, n));
                    on.run(NarrowProduct { x: of_block, w, finish, y: to, scratch });
                    let part = &parts[b * m * n..][..m * n];
                    assert!(part == y, "{name}: block {b} of {blocks}, {m} rows, {n} columns");
                }
                assert!(parts[blocks * m * n].is_nan(), "{name}: something was written beyond the parts");
            }
        }
    }
}

#[test]
fn partial_products_have_the_bits_of_each_blocks_product() {
    everywhere(&Parts);
}

/// Rows of δ, some of them.
struct RowsOfDelta;

impl Check for RowsOfDelta {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        for k in [1, 6, 10, 12] {
            let (m, n, f) = (11, 77, Activation::Tanh);
            let (dy, w, y) = (numbers::<T>(1, m * k), numbers::<T>(2, n * k), numbers::<T>(3, m * n));
            let (dy, w, y) =
                (fits(MatRef::new(&dy, m, k)), fits(MatRef::new(&w, n, k)), fits(MatRef::new(&y, m, n)));
            let rows_of_delta = |first: usize, rows: usize| {
                let mut delta = vec![T::zero(); rows * n];
                let (dy, output) = (dy.row_range(first, rows), y.row_range(first, rows));
                let to = fits(MatMut::new(&mut delta, rows, n));
                on.run(NarrowBackpropagate { dy, w, f, output, delta: to });
                delta
            };
            let all = rows_of_delta(0, m);
            for (first, rows) in [(0, 1), (1, 8), (3, 4), (5, 6), (10, 1)] {
                let some = rows_of_delta(first, rows);
                assert!(
                    some == all[first * n..][..rows * n],
                    "{name}: {rows} rows from {first}, {k} columns"
                );
            }
        }
    }
}

#[test]
fn rows_of_delta_do_not_depend_on_each_other() {
    everywhere(&RowsOfDelta);
}
