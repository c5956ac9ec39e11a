//! What is done to each row of a matrix: softmax, its cross-entropy, the largest element; and the squares that make columns
//! of rows.

use super::super::argmax::ArgMax;
use super::super::softmax::{CrossEntropy, Softmax};
use super::super::vector::{Element, Kernel, MAX_LANES, On, Vector};
use super::{Check, Runner, everywhere, numbers};
use crate::Scalar;
use crate::backend::reference::{self, fits};
use crate::matrix::{MatMut, MatRef};
use crate::ops::Labels;

/// to ← fromᵀ
struct Transpose<'a, T> {
    from: (&'a [T], usize),
    to: (&'a mut [T], usize),
}

impl<T: Element> Kernel<T> for Transpose<'_, T> {
    type Output = usize;

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) -> usize {
        on.transpose(self.from.0, self.from.1, self.to.0, self.to.1);
        V::LANES
    }
}

/// Squares anywhere in wider matrices, and rows that overlap where they are read.
struct Squares;

impl Check for Squares {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        for (from_stride, to_stride) in [(MAX_LANES, MAX_LANES), (1, 16), (10, 16), (40, 29)] {
            let from = numbers::<T>(1, MAX_LANES * (from_stride + 1));
            let mut to = vec![T::nan(); MAX_LANES * to_stride];
            let lanes = on.run(Transpose { from: (&from, from_stride), to: (&mut to, to_stride) });
            for (at, &got) in to.iter().enumerate() {
                let (j, i) = (at / to_stride, at % to_stride);
                if j < lanes && i < lanes {
                    assert_eq!(got, from[i * from_stride + j], "{name}: column {j} of row {i}");
                } else {
                    assert!(got.is_nan(), "{name}: wrote column {i} of row {j}");
                }
            }
        }
    }
}

#[test]
fn a_square_is_transposed_and_nothing_beside_it_is_written() {
    everywhere(&Squares);
}

/// Softmax and its cross-entropy, for few and many columns, with every kind of label.
struct Softmaxes;

impl Check for Softmaxes {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        // Rows alone, in one vector or several, and in none that is full.
        for (n, m) in (1..36).chain([100]).flat_map(|n| [(n, 5), (n, 1), (n, 16), (n, 35)]) {
            let mut x: Vec<T> = numbers(n as u64, m * n).iter().map(|&x: &T| x * T::of(20.0)).collect();
            x[n / 2] = T::neg_infinity();
            if m > 4 {
                x[n] = T::of(1e30);
                x[2 * n + n / 2] = T::nan();
                x[3 * n..4 * n].fill(T::neg_infinity());
                x[4 * n] = T::infinity();
            }
            let x = fits(MatRef::new(&x, m, n));
            let (mut got, mut want) = (vec![T::nan(); m * n], vec![T::nan(); m * n]);
            on.run(Softmax { x, p: fits(MatMut::new(&mut got, m, n)) });
            reference::softmax(x, fits(MatMut::new(&mut want, m, n)));
            close(&got, &want, n, &format!("{name}: softmax of {n}"));

            let t: Vec<T> = numbers(9, m * n).iter().map(|&x: &T| x.abs()).collect();
            let classes: Vec<i32> = [n as i32 - 1, 0, 0, n as i32, -1, i32::MIN]
                .into_iter()
                .cycle()
                .skip(m % 2)
                .take(m)
                .collect();
            for labels in [Labels::Classes(&classes), Labels::Probabilities(fits(MatRef::new(&t, m, n)))] {
                let scale = T::of(0.25);
                let (mut losses, mut want_losses) = (vec![T::zero(); m], vec![T::zero(); m]);
                let gradient = Some((scale, fits(MatMut::new(&mut got, m, n))));
                on.run(CrossEntropy { logits: x, labels, losses: Some(&mut losses), gradient });
                let gradient = Some((scale, fits(MatMut::new(&mut want, m, n))));
                reference::softmax_cross_entropy(x, labels, Some(&mut want_losses), gradient);
                let what = format!("{name}: cross-entropy of {n}, {labels:?}");
                close(&got, &want, 4 * n, &what);
                close(&losses, &want_losses, 40 * n, &what);

                // Either alone has the same bits.
                let (mut alone, mut dx) = (vec![T::zero(); m], vec![T::zero(); m * n]);
                on.run(CrossEntropy { logits: x, labels, losses: Some(&mut alone), gradient: None });
                let gradient = Some((scale, fits(MatMut::new(&mut dx, m, n))));
                on.run(CrossEntropy { logits: x, labels, losses: None, gradient });
                let same =
                    |a: &[T], b: &[T]| a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
                assert!(same(&alone, &losses) && same(&dx, &got), "{what}: alone and together differ");
            }
        }
    }
}

/// Equal up to the rounding of `terms` sums of numbers of the size of the result or of 1.
fn close<T: Scalar>(got: &[T], want: &[T], terms: usize, what: &str) {
    for (at, (&got, &want)) in got.iter().zip(want).enumerate() {
        let bound = T::EPSILON.wide() * (terms + 8) as f64 * want.wide().abs().max(1.0);
        let right =
            got == want || (got.is_nan() && want.is_nan()) || (got.wide() - want.wide()).abs() <= bound;
        assert!(right, "{what}: element {at} is {got:e}, not {want:e}");
    }
}

#[test]
fn softmax_and_its_cross_entropy_agree_with_the_reference() {
    everywhere(&Softmaxes);
}

/// A row's results, of as many rows as fill vectors, do not fill them, or are alone.
struct RowsBeside;

impl Check for RowsBeside {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let m = 2 * MAX_LANES + 3;
        for n in [1, 2, 3, 4, 5, 8, 10, 15, 16, 17] {
            let x: Vec<T> = numbers(n as u64, m * n).iter().map(|&x: &T| x * T::of(20.0)).collect();
            let t: Vec<T> = numbers(9, m * n).iter().map(|&x: &T| x.abs()).collect();
            let classes: Vec<i32> = (0..m).map(|i| (i % (n + 1)) as i32).collect();
            let results = |rows: std::ops::Range<usize>, of_classes: bool| {
                let (m, part) = (rows.len(), rows.start * n..rows.end * n);
                let x = fits(MatRef::new(&x[part.clone()], m, n));
                let t = fits(MatRef::new(&t[part], m, n));
                let labels =
                    if of_classes { Labels::Classes(&classes[rows]) } else { Labels::Probabilities(t) };
                let mut p = vec![T::nan(); m * n];
                on.run(Softmax { x, p: fits(MatMut::new(&mut p, m, n)) });
                let (mut losses, mut dx) = (vec![T::nan(); m], vec![T::nan(); m * n]);
                let gradient = Some((T::of(0.3), fits(MatMut::new(&mut dx, m, n))));
                on.run(CrossEntropy { logits: x, labels, losses: Some(&mut losses), gradient });
                [p, losses, dx]
            };
            for of_classes in [true, false] {
                let whole = results(0..m, of_classes);
                for len in [1, 2, 3, 4, 7, 8, 9, 16, 17] {
                    for start in [0, 1, m - len] {
                        let part = results(start..start + len, of_classes);
                        for (whole, part) in whole.iter().zip(&part) {
                            let width = part.len() / len;
                            let whole = &whole[start * width..][..part.len()];
                            let same = |(a, b): (&T, &T)| a == b || (a.is_nan() && b.is_nan());
                            let what = format!("{name}: {len} rows of {n} from {start} on");
                            assert!(whole.iter().zip(part).all(same), "{what}: {part:?}, not {whole:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_rows_bits_do_not_depend_on_the_rows_beside_it() {
    everywhere(&RowsBeside);
}

/// Rows of every kind of number, with gaps between them or none.
struct Largest;

impl Check for Largest {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let kinds = [T::nan(), T::neg_infinity(), T::infinity(), T::zero(), -T::zero(), T::min_value()];
        for n in (0..36).chain([100]) {
            for (m, gap) in [(0, 0), (1, 0), (5, 3), (33, 0), (33, 1)] {
                let mut x = numbers::<T>((n + m) as u64, m * (n + gap));
                for (at, x) in x.iter_mut().enumerate() {
                    let row = at / (n + gap).max(1);
                    // Rows of few different numbers, of some that are special, and of two kinds of these alone.
                    match row % 4 {
                        0 => *x = (*x * T::of(3.0)).floor(),
                        1 if *x > T::of(0.5) => *x = kinds[at % 6],
                        2 => *x = kinds[if *x > T::of(0.3) { row / 4 % 6 } else { row / 7 % 2 }],
                        _ => {}
                    }
                }
                let x = fits(MatRef::with_stride(&x, m, n, n + gap));
                let (mut got, mut want) = (vec![-1; m], vec![-1; m]);
                on.run(ArgMax { x, index: &mut got });
                reference::argmax(x, &mut want);
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    assert_eq!(got, want, "{name}: row {i} of {m}: {:?}", x.row(i));
                }
            }
        }
    }
}

#[test]
fn the_largest_of_a_row_is_the_one_that_the_reference_finds() {
    everywhere(&Largest);
}
