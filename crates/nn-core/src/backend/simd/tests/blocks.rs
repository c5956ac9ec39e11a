//! gemm on matrices in blocks of columns, each of them or none, against sums in `f64`.

use super::super::finish::Finish;
use super::super::gemm::{Product, product};
use super::super::pack::Source;
use super::super::pairs::block_columns;
use super::super::vector::Element;
use super::stored::Stored;
use super::{Check, Runner, everywhere, numbers};
use crate::backend::reference::fits;
use crate::matrix::{InputRef, MatRef, Rows, Scratch};
use crate::ops::{Activation, Trans};

/// Rounding errors that an activation or its slope may add, in ε: those of `math`, doubled.
const FUNCTION: f64 = 8.0;

const TRANSPOSITIONS: [(Trans, Trans); 4] =
    [(Trans::No, Trans::No), (Trans::No, Trans::Yes), (Trans::Yes, Trans::No), (Trans::Yes, Trans::Yes)];

/// m, n and k: around the heights of small tiles, with few columns and with many, and with sums of two blocks of depth (the
/// longest in one is 1024 steps), of which one is no multiple of 64.
fn sizes(mr: usize) -> Vec<(usize, usize, usize)> {
    let heights = [1, 2, 3, 4, 5, 7, 8, 9, mr, mr + 1, 2 * mr + 1, 32, 64];
    let small = heights.into_iter().flat_map(|m| [(m, 128, 32), (m, 5, 64), (m, 32, 3)]);
    small
        .chain([(64, 1, 64), (3, 64, 1088), (15, 32, 1040), (64, 10, 1056), (1, 128, 1056), (0, 64, 64)])
        .collect()
}

/// What is done to the finished sums.
#[derive(Debug, Clone, Copy)]
enum End {
    Nothing,
    Tanh,
    SlopeOfTanh,
}

/// A product in every combination of layouts that its shapes allow.
struct Layouts;

impl Check for Layouts {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, (mr, _): (usize, usize)) {
        for (at, (m, n, k)) in sizes(mr).into_iter().enumerate() {
            for (turn, (ta, tb)) in TRANSPOSITIONS.into_iter().enumerate() {
                let case = Case::<T>::new((m, n, k), ta, tb);
                for width in [16, block_columns::<T>()] {
                    for layouts in 0..16u32 {
                        let block = |bit: u32| (layouts >> bit & 1 == 1).then_some(width);
                        let end =
                            [End::Nothing, End::Tanh, End::SlopeOfTanh][(at + turn + layouts as usize) % 3];
                        let beta = if (at + turn) % 2 == 0 { 0.0 } else { 1.75 };
                        case.check(on, name, [block(0), block(1), block(2), block(3)], end, beta);
                    }
                }
            }
        }
    }
}

/// One product with its sums.
struct Case<T> {
    size: (usize, usize, usize),
    ta: Trans,
    tb: Trans,
    a: Vec<T>,
    b: Vec<T>,
    c: Vec<T>,
    output: Vec<T>,
    bias: Vec<T>,
    /// Σ a·b and Σ |a·b| of each element.
    sums: Vec<(f64, f64)>,
}

impl<T: Element> Case<T> {
    fn new((m, n, k): (usize, usize, usize), ta: Trans, tb: Trans) -> Self {
        let (a, b) = (numbers::<T>(1, m * k), numbers::<T>(2, k * n));
        let sums = (0..m * n)
            .map(|e| {
                let terms = (0..k).map(|p| a[e / n * k + p].wide() * b[p * n + e % n].wide());
                terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
            })
            .collect();
        let (c, output) = (numbers::<T>(3, m * n), numbers::<T>(4, m * n));
        Self { size: (m, n, k), ta, tb, a, b, c, output, bias: numbers::<T>(5, n), sums }
    }

    /// op(A) or op(B) as it is stored.
    fn stored(values: &[T], (rows, cols): (usize, usize), t: Trans, block: Option<usize>) -> Stored<T> {
        let (stored_rows, stored_cols) = t.apply(rows, cols);
        Stored::new(stored_rows, stored_cols, block, |i, j| {
            let (i, j) = if t == Trans::Yes { (j, i) } else { (i, j) };
            values[i * cols + j]
        })
    }

    fn check(&self, on: &impl Runner<T>, name: &str, blocks: [Option<usize>; 4], end: End, beta: f64) {
        let (m, n, k) = self.size;
        let a = Self::stored(&self.a, (m, k), self.ta, blocks[0]);
        let b = Self::stored(&self.b, (k, n), self.tb, blocks[1]);
        let before = |i, j| if beta == 0.0 { T::nan() } else { self.c[i * n + j] };
        let mut c = Stored::guarded(m, n, blocks[2], before);
        let output = Stored::new(m, n, blocks[3], |i, j| self.output[i * n + j]);
        let asked = [&a, &b, &c, &output].map(Stored::is_blocked);
        if (0..4).any(|i| blocks[i].is_some() && !asked[i]) {
            return; // This shape has no such blocks, and plain was checked already.
        }
        let f = Activation::Tanh;
        let finish = match end {
            End::Nothing => Finish::Nothing,
            End::Tanh => Finish::Activate(f, Some(&self.bias)),
            End::SlopeOfTanh => Finish::Slope(f, output.view()),
        };
        let alpha = -0.5;
        product(
            on,
            Product {
                alpha: T::of(alpha),
                a: Source::Matrix(a.view()),
                ta: self.ta,
                b: b.view(),
                tb: self.tb,
                beta: T::of(beta),
                c: c.view_mut(),
                k,
                finish,
                later: None,
                scratch: &mut Scratch::default(),
            },
        );
        let what = format!("{name}: {m}×{n}×{k} {:?} {:?}, blocks {blocks:?}, {end:?}", self.ta, self.tb);
        c.assert_close(&what, |i, j| {
            let (sum, size) = self.sums[i * n + j];
            let old = if beta == 0.0 { 0.0 } else { beta * self.c[i * n + j].wide() };
            let bias = self.bias[j].wide();
            // k products and sums, α, β, their sum and the bias, each within ε/2.
            let (z, size) = (alpha * sum + old, alpha.abs() * size + old.abs());
            let steps = (k + 4) as f64;
            let (want, error) = match end {
                End::Nothing => (z, steps * size),
                // The slope of tanh is at most 1.
                End::Tanh => ((z + bias).tanh(), steps * (size + bias.abs()) + FUNCTION),
                End::SlopeOfTanh => (z * f.slope(self.output[i * n + j].wide()), (steps + FUNCTION) * size),
            };
            (want, T::EPSILON.wide() * error)
        });
    }
}

#[test]
fn a_product_is_the_same_whichever_of_its_matrices_are_in_blocks() {
    everywhere(&Layouts);
}

/// A row alone (which takes a way of its own) and among others, and rows that are picked by a list.
struct RowsOfBlocks;

impl Check for RowsOfBlocks {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, (mr, _): (usize, usize)) {
        let width = block_columns::<T>();
        let (m, n) = (mr + 1, 2 * width);
        for k in [1, 3, 64, 784, 1056] {
            let (a, b) = (numbers::<T>(1, m * k), numbers::<T>(2, k * n));
            let a = Stored::new(m, k, None, |i, p| a[i * k + p]);
            let list: Vec<u32> = (0..m as u32).rev().collect();
            let product = |rows: Rows<'_>, blocks: [Option<usize>; 2]| {
                let b = Stored::new(k, n, blocks[0], |p, j| b[p * n + j]);
                let mut c = Stored::guarded(rows.len(), n, blocks[1], |_, _| T::nan());
                let InputRef::Dense(x) = fits(InputRef::dense(a.view()).select(rows)) else {
                    panic!("dense rows stay dense")
                };
                product(
                    on,
                    Product {
                        alpha: T::one(),
                        a: x.into(),
                        ta: Trans::No,
                        b: b.view(),
                        tb: Trans::No,
                        beta: T::zero(),
                        c: c.view_mut(),
                        k,
                        finish: Finish::Nothing,
                        later: None,
                        scratch: &mut Scratch::default(),
                    },
                );
                c.elements()
            };
            let all = product(Rows::Range { start: 0, len: m }, [None, None]);
            for blocks in [[None, None], [Some(width), None], [None, Some(width)], [Some(width), Some(width)]]
            {
                let what = format!("{name}: {m}×{n}×{k}, blocks {blocks:?}");
                for i in 0..m {
                    let alone = product(Rows::Range { start: i, len: 1 }, blocks);
                    assert!(alone == all[i * n..][..n], "{what}: row {i} has other bits alone");
                }
                let listed = product(Rows::List(&list), blocks);
                let same = (0..m).all(|i| listed[i * n..][..n] == all[(m - 1 - i) * n..][..n]);
                assert!(same, "{what}: listed rows have other bits");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_from_a_list_with_w_and_y_in_blocks() {
    everywhere(&RowsOfBlocks);
}

/// Xᵀ · δ with listed rows of X, whose sum runs down the list, and rows of a range of blocks.
struct OuterOfRows;

impl Check for OuterOfRows {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, (mr, _): (usize, usize)) {
        let width = block_columns::<T>();
        let (rows, k, n) = (40, 2 * width, 2 * width);
        let (x, delta) = (numbers::<T>(1, rows * k), numbers::<T>(2, rows * n));
        let list = [7, 39, 0, 7, 21, 3, 4, 5, 6];
        let picked = [
            (Rows::List(&list), None),
            (Rows::Range { start: 3, len: mr + 2 }, None),
            (Rows::Range { start: 3, len: mr + 2 }, Some(width)),
        ];
        for (picked, x_block) in picked {
            let m = picked.len();
            for blocks in [[None, None], [Some(width), None], [None, Some(width)], [Some(width), Some(width)]]
            {
                let a = Stored::new(rows, k, x_block, |i, p| x[i * k + p]);
                let delta = Stored::new(m, n, blocks[0], |i, j| delta[i * n + j]);
                let mut dw = Stored::guarded(k, n, blocks[1], |_, _| T::one());
                let InputRef::Dense(x) = fits(InputRef::dense(a.view()).select(picked)) else {
                    panic!("dense rows stay dense")
                };
                product(
                    on,
                    Product {
                        alpha: T::of(-0.5),
                        a: x.into(),
                        ta: Trans::Yes,
                        b: delta.view(),
                        tb: Trans::No,
                        beta: T::one(),
                        c: dw.view_mut(),
                        k: m,
                        finish: Finish::Nothing,
                        later: None,
                        scratch: &mut Scratch::default(),
                    },
                );
                let what = format!("{name}: {picked:?}, X {x_block:?}, δ and dW {blocks:?}");
                dw.assert_close(&what, |p, j| {
                    let terms = (0..m).map(|i| a.at(picked.get(i), p).wide() * delta.at(i, j).wide());
                    let (sum, size) =
                        terms.fold((1.0, 1.0), |(sum, size), t| (sum - 0.5 * t, size + 0.5 * t.abs()));
                    (sum, T::EPSILON.wide() * (m + 4) as f64 * size)
                });
            }
        }
    }
}

#[test]
fn an_outer_product_of_listed_rows_and_of_rows_in_blocks_is_right() {
    everywhere(&OuterOfRows);
}

/// A view of a matrix in blocks is refused where its columns are no whole blocks.
#[test]
fn columns_that_are_no_whole_blocks_are_an_error() {
    assert!(MatRef::blocked(&[0.0; 100], 2, 20, 8).is_err());
    assert!(MatRef::blocked(&[0.0; 59], 2, 20, 10).is_ok());
    assert!(MatRef::blocked(&[0.0; 49], 2, 20, 10).is_err());
}
