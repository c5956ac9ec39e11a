//! The kernels in plain scalar Rust. This file *defines* what every backend must compute; the conformance tests hold
//! the others to it. It is written to be read, in loops that a compiler can vectorise.

use crate::matrix::{CsrRef, MatMut, MatRef};
use crate::ops::{Binary, Gemm, GemmParts, Labels, Operand, Sum, Trans, Unary};
use crate::{Result, Scalar};

/// Unwraps what was built from shapes that the caller already holds to be right; a panic here is a bug of the engine.
#[track_caller]
pub(crate) fn fits<U>(checked: Result<U>) -> U {
    checked.unwrap_or_else(|error| panic!("kernel called with shapes that do not fit: {error}"))
}

/// y ← y + x
pub(crate) fn add_assign<T: Scalar>(y: &mut [T], x: &[T]) {
    assert_eq!(y.len(), x.len(), "add_assign: lengths");
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// y ← y + a x
fn axpy<T: Scalar>(a: T, x: &[T], y: &mut [T]) {
    assert_eq!(y.len(), x.len(), "axpy: lengths");
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// C ← α op(A) op(B) + β C in three loops: rows of C, then k, then columns of C. With β = 0, C is not read.
pub fn gemm<T: Scalar>(gemm: Gemm<'_, T>) {
    let k = gemm.k();
    let GemmParts { alpha, a, ta, b, tb, beta, mut c } = gemm.into_parts();
    for i in 0..c.rows() {
        let c_row = c.row(i);
        if beta == T::zero() {
            c_row.fill(T::zero());
        } else if beta != T::one() {
            c_row.iter_mut().for_each(|c| *c *= beta);
        }
        match tb {
            Trans::No => {
                for p in 0..k {
                    let a_ip = if ta == Trans::No { a.row(i)[p] } else { a.row(p)[i] };
                    axpy(alpha * a_ip, b.row(p), c_row);
                }
            }
            Trans::Yes => {
                for (j, c) in c_row.iter_mut().enumerate() {
                    let b_row = b.row(j);
                    let mut sum = T::zero();
                    for (p, &b_jp) in b_row.iter().enumerate() {
                        let a_ip = if ta == Trans::No { a.row(i)[p] } else { a.row(p)[i] };
                        sum += a_ip * b_jp;
                    }
                    *c += alpha * sum;
                }
            }
        }
    }
}

/// Y ← X · W for sparse rows X: \[m, k\], W: \[k, n\].
pub fn sparse_product<T: Scalar>(x: &CsrRef<'_, T>, w: MatRef<'_, T>, mut y: MatMut<'_, T>) {
    for i in 0..y.rows() {
        let y_row = y.row(i);
        y_row.fill(T::zero());
        let (columns, values) = x.row(i);
        for (&p, &v) in columns.iter().zip(values) {
            axpy(v, w.row(p as usize), y_row);
        }
    }
}

/// dW ← α Xᵀ · δ, or dW + α Xᵀ · δ where the sum continues, for sparse rows X: \[m, k\], δ: \[m, n\].
pub fn sparse_outer<T: Scalar>(
    alpha: T,
    x: &CsrRef<'_, T>,
    delta: MatRef<'_, T>,
    sum: Sum,
    mut dw: MatMut<'_, T>,
) {
    if sum == Sum::Begin {
        dw.fill(T::zero());
    }
    for i in 0..delta.rows() {
        let (columns, values) = x.row(i);
        for (&p, &v) in columns.iter().zip(values) {
            axpy(alpha * v, delta.row(i), dw.row(p as usize));
        }
    }
}

/// y ← f(x)
pub fn unary<T: Scalar>(f: Unary, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "unary {}: lengths", f.name());
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f.eval(x);
    }
}

/// y ← f(a, b)
pub fn binary<T: Scalar>(f: Binary, a: Operand<'_, T>, b: Operand<'_, T>, y: &mut [T]) {
    // One loop per operation, so that each is vectorised on its own.
    match f {
        Binary::Add => map2(a, b, y, |a, b| a + b),
        Binary::Sub => map2(a, b, y, |a, b| a - b),
        Binary::Mul => map2(a, b, y, |a, b| a * b),
        Binary::Div => map2(a, b, y, |a, b| a / b),
        _ => map2(a, b, y, |a, b| f.eval(a, b)),
    }
}

fn map2<T: Scalar>(a: Operand<'_, T>, b: Operand<'_, T>, y: &mut [T], f: impl Fn(T, T) -> T) {
    let n = y.len();
    match (a, b) {
        (Operand::Slice(a), Operand::Slice(b)) => {
            assert!(a.len() == n && b.len() == n, "binary: lengths {} and {}, output {n}", a.len(), b.len());
            y.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| *y = f(a, b));
        }
        (Operand::Slice(a), Operand::Splat(b)) => {
            assert_eq!(a.len(), n, "binary: lengths");
            y.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a, b));
        }
        (Operand::Splat(a), Operand::Slice(b)) => {
            assert_eq!(b.len(), n, "binary: lengths");
            y.iter_mut().zip(b).for_each(|(y, &b)| *y = f(a, b));
        }
        (Operand::Splat(a), Operand::Splat(b)) => y.fill(f(a, b)),
    }
}

/// p ← softmax(x), row by row
pub fn softmax<T: Scalar>(x: MatRef<'_, T>, mut p: MatMut<'_, T>) {
    for i in 0..x.rows() {
        let row = p.row(i);
        row.copy_from_slice(x.row(i));
        softmax_row(row);
    }
}

/// Turns one row of logits into probabilities; returns ln Σ eˣ.
fn softmax_row<T: Scalar>(x: &mut [T]) -> T {
    let max = x.iter().fold(T::neg_infinity(), |m, &v| if v > m { v } else { m });
    let mut sum = T::zero();
    for v in x.iter_mut() {
        *v = (*v - max).exp();
        sum += *v;
    }
    x.iter_mut().for_each(|v| *v /= sum);
    max + sum.ln()
}

/// ℓᵢ = −Σⱼ tᵢⱼ ln softmax(xᵢ)ⱼ and dxᵢⱼ = (softmax(xᵢ)ⱼ Σₖ tᵢₖ − tᵢⱼ) · scale
pub fn softmax_cross_entropy<T: Scalar>(
    logits: MatRef<'_, T>,
    labels: Labels<'_, T>,
    mut losses: Option<&mut [T]>,
    mut gradient: Option<(T, MatMut<'_, T>)>,
) {
    let m = logits.rows();
    assert_eq!(labels.rows(), m, "softmax_cross_entropy: rows of the labels");
    assert!(losses.as_ref().is_none_or(|l| l.len() == m), "softmax_cross_entropy: number of losses");
    for i in 0..m {
        let x = logits.row(i);
        let max = x.iter().fold(T::neg_infinity(), |m, &v| if v > m { v } else { m });
        let sum: T = x.iter().map(|&v| (v - max).exp()).sum();
        let log_sum = max + sum.ln();
        if let Some(losses) = &mut losses {
            losses[i] = match labels {
                Labels::Classes(c) => class(c[i], x.len()).map_or(T::nan(), |c| log_sum - x[c]),
                Labels::Probabilities(t) => t.row(i).iter().zip(x).map(|(&t, &x)| t * (log_sum - x)).sum(),
            };
        }
        if let Some((scale, dx)) = &mut gradient {
            let dx = dx.row(i);
            for (dx, &x) in dx.iter_mut().zip(x) {
                *dx = (x - max).exp() / sum;
            }
            match labels {
                Labels::Classes(c) => match class(c[i], x.len()) {
                    Some(c) => dx[c] -= T::one(),
                    None => dx.fill(T::nan()),
                },
                Labels::Probabilities(t) => {
                    let total: T = t.row(i).iter().copied().sum();
                    for (dx, &t) in dx.iter_mut().zip(t.row(i)) {
                        *dx = *dx * total - t;
                    }
                }
            }
            dx.iter_mut().for_each(|v| *v *= *scale);
        }
    }
}

/// indexᵢ ← the column of the largest element of xᵢ, the first of equals; NaN is less than every number.
pub fn argmax<T: Scalar>(x: MatRef<'_, T>, index: &mut [i32]) {
    assert_eq!(index.len(), x.rows(), "argmax: number of indices");
    for (index, row) in index.iter_mut().zip(x.iter_rows()) {
        let mut best = 0;
        for (j, v) in row.iter().enumerate() {
            if *v > row[best] || row[best].is_nan() && !v.is_nan() {
                best = j;
            }
        }
        *index = best as i32;
    }
}

fn class(c: i32, classes: usize) -> Option<usize> {
    usize::try_from(c).ok().filter(|&c| c < classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_the_cross_entropy_is_that_of_its_loss() {
        let x = [0.3, -1.2, 2.0, 0.1, 0.7, -0.4];
        let probabilities = [0.2, 0.3, 0.1, 0.0, 0.5, 0.5];
        let h = 1e-6;
        for labels in
            [Labels::Classes(&[2, 0]), Labels::Probabilities(fits(MatRef::new(&probabilities, 2, 3)))]
        {
            let loss = |x: &[f64]| {
                let mut losses = [0.0; 2];
                softmax_cross_entropy(fits(MatRef::new(x, 2, 3)), labels, Some(&mut losses), None);
                losses[0] + losses[1]
            };
            let mut dx = [f64::NAN; 6];
            softmax_cross_entropy(
                fits(MatRef::new(&x, 2, 3)),
                labels,
                None,
                Some((1.0, fits(MatMut::new(&mut dx, 2, 3)))),
            );
            for j in 0..6 {
                let (mut up, mut down) = (x, x);
                up[j] += h;
                down[j] -= h;
                let slope = (loss(&up) - loss(&down)) / (2.0 * h);
                assert!((slope - dx[j]).abs() < 1e-8, "element {j}: {slope} against {}", dx[j]);
            }
        }
    }

    #[test]
    fn a_class_out_of_range_makes_its_own_row_nan_and_no_other() {
        let (mut losses, mut dx) = ([0.0f32; 3], [0.0f32; 6]);
        let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let labels = Labels::Classes(&[1, 2, -1]);
        let gradient = Some((1.0, fits(MatMut::new(&mut dx, 3, 2))));
        softmax_cross_entropy(fits(MatRef::new(&x, 3, 2)), labels, Some(&mut losses), gradient);
        assert_eq!(losses.map(f32::is_nan), [false, true, true]);
        assert_eq!(dx.map(f32::is_nan), [false, false, true, true, true, true]);
    }

    #[test]
    fn the_largest_is_the_first_of_equals_and_no_nan_where_there_is_a_number() {
        let (nan, low) = (f64::NAN, f64::NEG_INFINITY);
        let x = [[1.0, 3.0, 3.0], [nan, low, low], [nan, nan, nan], [low, low, nan], [5.0, nan, 7.0]];
        let mut index = [-1; 5];
        argmax(fits(MatRef::new(x.as_flattened(), 5, 3)), &mut index);
        assert_eq!(index, [1, 1, 0, 0, 2]);
    }

    #[test]
    fn softmax_of_huge_logits_does_not_overflow() {
        let mut p = [0.0f32; 2];
        softmax(fits(MatRef::new(&[1e30, -1e30], 1, 2)), fits(MatMut::new(&mut p, 1, 2)));
        assert_eq!(p, [1.0, 0.0]);
    }
}
