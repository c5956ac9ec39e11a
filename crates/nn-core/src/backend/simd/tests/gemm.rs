//! gemm against the three loops.

use super::super::finish::Finish;
use super::super::gemm::{Product, product};
use super::super::pack::Source;
use super::super::vector::Element;
use super::{Check, Runner, everywhere, numbers};
use crate::backend::reference::{self, fits};
use crate::matrix::{MatMut, MatRef, Scratch};
use crate::ops::{Gemm, Trans};

/// Numbers in the gap after each row, which no kernel may read into a result or write.
const GAP: usize = 3;

/// A matrix as it is stored: its rows, `GAP` numbers after each that must not be looked at.
struct Stored<T> {
    data: Vec<T>,
    rows: usize,
    cols: usize,
}

impl<T: Element> Stored<T> {
    fn new(seed: u64, (rows, cols): (usize, usize)) -> Self {
        let mut data = numbers(seed, rows * (cols + GAP));
        for row in data.chunks_exact_mut(cols + GAP) {
            row[cols..].fill(T::nan());
        }
        Self { data, rows, cols }
    }

    fn view(&self) -> MatRef<'_, T> {
        fits(MatRef::with_stride(&self.data, self.rows, self.cols, self.cols + GAP))
    }
}

/// m, n and k.
type Size = (usize, usize, usize);

/// α op(A) op(B) + β C at a given size, in all four forms.
struct Sizes {
    alpha: f64,
    beta: f64,
    /// m, n and k as told from the register tile (rows, columns).
    sizes: fn((usize, usize)) -> Vec<Size>,
}

impl Check for Sizes {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, tile: (usize, usize)) {
        let mut scratch = Scratch::default();
        for (m, n, k) in (self.sizes)(tile) {
            for (ta, tb) in
                [Trans::No, Trans::Yes].into_iter().flat_map(|a| [(a, Trans::No), (a, Trans::Yes)])
            {
                let what = format!("{name}: {m}×{n}×{k} {ta:?} {tb:?} α {} β {}", self.alpha, self.beta);
                let a = Stored::<T>::new(1, ta.apply(m, k));
                let b = Stored::<T>::new(2, tb.apply(k, n));
                let before = Stored::<T>::new(3, (m, n));
                let (alpha, beta) = (T::of(self.alpha), T::of(self.beta));

                // The oracle counts in f64, from the same numbers.
                let wide = |s: &Stored<T>| s.data.iter().map(|x| x.wide()).collect::<Vec<f64>>();
                let (wa, wb, mut want) = (wide(&a), wide(&b), wide(&before));
                let stride = n + GAP;
                reference::gemm(fits(Gemm::new(
                    self.alpha,
                    fits(MatRef::with_stride(&wa, a.rows, a.cols, a.cols + GAP)),
                    ta,
                    fits(MatRef::with_stride(&wb, b.rows, b.cols, b.cols + GAP)),
                    tb,
                    self.beta,
                    fits(MatMut::with_stride(&mut want, m, n, stride)),
                )));

                // C stands between canaries; with β = 0 it is full of NaN before.
                const CANARY: f64 = 12345.0;
                let mut c = vec![T::of(CANARY); m * stride + 2 * GAP];
                for i in 0..m {
                    let row = &mut c[GAP + i * stride..][..n];
                    row.copy_from_slice(&before.data[i * stride..][..n]);
                    if self.beta == 0.0 {
                        row.fill(T::nan());
                    }
                }
                product(
                    on,
                    Product {
                        alpha,
                        a: Source::Matrix(a.view()),
                        ta,
                        b: b.view(),
                        tb,
                        beta,
                        c: fits(MatMut::with_stride(&mut c[GAP..], m, n, stride)),
                        k,
                        finish: Finish::Nothing,
                        later: None,
                        scratch: &mut scratch,
                    },
                );

                // Each of the k products and sums errs by at most ε/2 of numbers below k; scaling and adding C by a few more.
                let bound =
                    T::EPSILON.wide() * (k + 4) as f64 * (self.alpha.abs() * k as f64 + self.beta.abs());
                for (at, &got) in c.iter().enumerate() {
                    let inside = at >= GAP && at - GAP < m * stride && (at - GAP) % stride < n;
                    if inside {
                        let want = want[at - GAP];
                        let error = (got.wide() - want).abs();
                        assert!(error <= bound, "{what}: element {at} is {got}, not {want}");
                    } else {
                        assert_eq!(got, T::of(CANARY), "{what}: wrote outside of C, at {at}");
                    }
                }
            }
        }
    }
}

/// Everything from nothing to a little more than two tiles, in rows and columns.
fn around_the_tile((mr, nr): (usize, usize)) -> Vec<Size> {
    let mut sizes = Vec::new();
    for m in [0, 1, 2, mr - 1, mr, mr + 1, 2 * mr + 1] {
        for n in [0, 1, 3, 10, nr - 1, nr, nr + 1, 2 * nr + 5] {
            for k in [0, 1, 2, 13] {
                sizes.push((m, n, k));
            }
        }
    }
    sizes
}

#[test]
fn products_around_the_edges_of_the_tile_are_right_and_beta_0_never_reads_c() {
    everywhere(&Sizes { alpha: 1.0, beta: 0.0, sizes: around_the_tile });
}

#[test]
fn products_are_added_to_c_around_the_edges_of_the_tile() {
    everywhere(&Sizes { alpha: 1.0, beta: 1.0, sizes: around_the_tile });
}

#[test]
fn alpha_and_beta_scale_what_they_should() {
    everywhere(&Sizes {
        alpha: -0.5,
        beta: 1.75,
        sizes: |(mr, nr)| vec![(mr + 1, nr + 1, 5), (1, 7, 3), (2, 3, 0)],
    });
}

#[test]
fn products_that_take_several_blocks_in_each_direction_are_right() {
    // More than DEPTH steps, more rows than one block of A holds at that depth, and a thin one of several blocks of columns.
    everywhere(&Sizes { alpha: 1.0, beta: 1.0, sizes: |_| vec![(350, 20, 801), (1, 65, 900), (3, 4100, 2)] });
}

/// A NaN or an infinity in A or B reaches the elements of C that it should, and no others.
struct NotFinite;

impl Check for NotFinite {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, (mr, nr): (usize, usize)) {
        let (m, n, k) = (mr + 2, nr + 3, 9);
        let mut scratch = Scratch::default();
        for (bad, in_a) in
            [(T::nan(), true), (T::infinity(), true), (T::nan(), false), (T::infinity(), false)]
        {
            let (mut a, mut b) = (vec![T::one(); m * k], vec![T::one(); k * n]);
            if in_a {
                a[(m - 1) * k + 4] = bad
            } else {
                b[4 * n + n - 1] = bad
            }
            let mut c = vec![T::zero(); m * n];
            product(
                on,
                Product {
                    alpha: T::one(),
                    a: Source::Matrix(fits(MatRef::new(&a, m, k))),
                    ta: Trans::No,
                    b: fits(MatRef::new(&b, k, n)),
                    tb: Trans::No,
                    beta: T::zero(),
                    c: fits(MatMut::new(&mut c, m, n)),
                    k,
                    finish: Finish::Nothing,
                    later: None,
                    scratch: &mut scratch,
                },
            );
            for (at, &got) in c.iter().enumerate() {
                let hit = if in_a { at / n == m - 1 } else { at % n == n - 1 };
                let right = if !hit {
                    got == T::of(k as f64)
                } else if bad.is_nan() {
                    got.is_nan()
                } else {
                    got == bad
                };
                assert!(right, "{name}: {bad} in {}: element {at} is {got}", if in_a { 'A' } else { 'B' });
            }
        }
    }
}

#[test]
fn nan_and_infinity_spread_to_their_row_or_column_and_no_further() {
    everywhere(&NotFinite);
}

/// A row of the result does not depend on how many rows there are.
struct RowAlone;

impl Check for RowAlone {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, (mr, nr): (usize, usize)) {
        // Sums that are formed in one block, and those of a few columns, which come in several.
        let narrow =
            [1, 10, 16, 17, 32].into_iter().flat_map(|n| [255, 256, 511, 512, 576, 784].map(|k| (n, k)));
        let sizes = [(2 * nr + 3, 1000), (3, 4500), (20, 2100)].into_iter().chain(narrow);
        sizes.for_each(|(n, k)| self.of(on, name, (mr, n, k)));
    }
}

impl RowAlone {
    fn of<T: Element>(&self, on: &impl Runner<T>, name: &str, (mr, n, k): (usize, usize, usize)) {
        let m = 2 * mr + 1;
        let (a, b) = (numbers::<T>(1, m * k), numbers::<T>(2, k * n));
        let product = |first: usize, rows: usize| {
            let mut c = vec![T::zero(); rows * n];
            product(
                on,
                Product {
                    alpha: T::one(),
                    a: Source::Matrix(fits(MatRef::new(&a[first * k..], rows, k))),
                    ta: Trans::No,
                    b: fits(MatRef::new(&b, k, n)),
                    tb: Trans::No,
                    beta: T::zero(),
                    c: fits(MatMut::new(&mut c, rows, n)),
                    k,
                    finish: Finish::Nothing,
                    later: None,
                    scratch: &mut Scratch::default(),
                },
            );
            c
        };
        let all = product(0, m);
        for (first, rows) in [(0, 1), (mr, 1), (2 * mr, 1), (1, mr), (3, 2)] {
            let same = product(first, rows) == all[first * n..][..rows * n];
            let end = first + rows;
            assert!(same, "{name}: rows {first}..{end} of {m}×{k}·{k}×{n} differ when they are alone");
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_among_others() {
    everywhere(&RowAlone);
}

/// dW of some rows, whatever rows follow them: those are asked for, and not read.
struct WhatComesLater;

impl Check for WhatComesLater {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, (mr, nr): (usize, usize)) {
        // More panels of δ than are read in their place, and enough for a last quarter; a few rows, and one, which pass by in no panels.
        for (m, n, k) in [(5 * mr + 1, 5 * nr, 23), (100, 5 * nr, 7), (100, 14, 1)] {
            self.check_size(on, name, (m, n, k));
        }
    }
}

impl WhatComesLater {
    fn check_size<T: Element>(&self, on: &impl Runner<T>, name: &str, (m, n, k): (usize, usize, usize)) {
        let (x, delta) = (numbers::<T>(1, 2 * k * m), numbers::<T>(2, k * n));
        let data = fits(MatRef::new(&x, 2 * k, m));
        let product = |later: Option<MatRef<'_, T>>| {
            let mut c = numbers::<T>(3, m * n);
            product(
                on,
                Product {
                    alpha: T::one(),
                    a: Source::Matrix(data.row_range(0, k)),
                    ta: Trans::Yes,
                    b: fits(MatRef::new(&delta, k, n)),
                    tb: Trans::No,
                    beta: T::one(),
                    c: fits(MatMut::new(&mut c, m, n)),
                    k,
                    finish: Finish::Nothing,
                    later,
                    scratch: &mut Scratch::default(),
                },
            );
            c
        };
        let alone = product(None);
        for rows in [0, 1, k] {
            let followed = product(Some(data.row_range(k, rows)));
            assert!(followed == alone, "{name}: {rows} rows follow {k} of {m}");
        }
    }
}

#[test]
fn rows_that_follow_change_nothing() {
    everywhere(&WhatComesLater);
}
