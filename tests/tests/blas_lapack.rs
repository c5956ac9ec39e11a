//! Orthogonal first values. The QR factorisation behind them is LAPACK's in a build with a linked OpenBLAS, and our own in any
//! other; both are held here to what only one Q fulfils, and so to each other.

use nn_core::Result;
use nn_core::init::Initializer;

#[test]
fn orthogonal_values_are_the_q_of_the_normal_ones_with_a_positive_diagonal_of_r() -> Result<()> {
    for (rows, cols) in [(40, 12), (12, 40), (7, 7), (1, 3)] {
        let (m, n) = (rows.max(cols), rows.min(cols));
        // The same seed and the same stream: the same random numbers.
        let a = Initializer::Normal(1.0).values(&[m, n], 1, 1)?;
        let values = Initializer::Orthogonal(1.0).values(&[rows, cols], 1, 1)?;
        let q = |i: usize, j: usize| if rows >= cols { values[i * n + j] } else { values[j * m + i] };
        // R = Qᵀ·A
        let r = |j: usize, k: usize| (0..m).map(|i| q(i, j) * a[i * n + k]).sum::<f64>();
        let close = |found: f64, expected: f64, what: &str| {
            assert!((found - expected).abs() < 1e-13, "{rows}×{cols}, {what}: {found} instead of {expected}");
        };
        for j in 0..n {
            for k in 0..n {
                let product = (0..m).map(|i| q(i, j) * q(i, k)).sum();
                close(product, if j == k { 1.0 } else { 0.0 }, &format!("columns {j} and {k} of Q"));
                if j > k {
                    close(r(j, k), 0.0, &format!("R[{j}, {k}], below the diagonal"));
                }
            }
            assert!(r(j, j) > 0.0, "{rows}×{cols}: {} on the diagonal of R", r(j, j));
        }
        for i in 0..m {
            for k in 0..n {
                let product = (0..n).map(|j| q(i, j) * r(j, k)).sum();
                close(product, a[i * n + k], &format!("Q·R at [{i}, {k}]"));
            }
        }
    }
    Ok(())
}
