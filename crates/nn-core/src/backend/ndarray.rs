//! `ndarray`: what `.dot()` gives without a BLAS.

use ::ndarray::linalg::general_mat_mul;
use ::ndarray::{ArrayView2, ArrayViewMut2, Axis, Ix2, ShapeBuilder, StrideShape};

use super::{Backend, Description, reference};
use crate::matrix::{MatRef, Scratch};
use crate::ops::{Gemm, GemmParts, Trans};
use crate::{Error, Scalar};

/// The release series in use. The patch level is the choice of whoever builds, and no crate tells it at run time.
const VERSION: &str = "0.17 (matrixmultiply 0.3)";

/// ndarray's product over `matrixmultiply`, never rerouted to a BLAS by another crate's features.
///
/// Cargo unifies features: as soon as any crate of a build asks for `ndarray/blas`, every product whose three operands
/// a BLAS could take goes to that BLAS, whoever calls it. What a BLAS can't take is a negative stride. So the rows of
/// op(A) and of C are handed over in reverse order, both: each element of C is then the same sum, in the same order,
/// and `matrixmultiply`, which is at home with any strides, is the only one that can compute it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ndarray;

impl<T: Scalar> Backend<T> for Ndarray {
    fn describe(&self) -> Description {
        Description {
            backend: "ndarray",
            library: "ndarray".into(),
            version: Some(VERSION.into()),
            path: None,
            isa: isa().into(),
            threads_per_call: 1,
        }
    }

    fn gemm(&self, gemm: Gemm<'_, T>, _scratch: &mut Scratch<T>) {
        let GemmParts { alpha, a, ta, b, tb, beta, mut c } = gemm.into_parts();
        let (mut a, b) = (view(a, ta), view(b, tb));
        let shape = shape(c.rows(), c.cols(), c.stride());
        let c = ArrayViewMut2::from_shape(shape, c.as_mut_slice());
        let mut c = reference::fits(c.map_err(Error::shape));
        a.invert_axis(Axis(0));
        c.invert_axis(Axis(0));
        general_mat_mul(alpha, &a, &b, beta, &mut c);
    }
}

fn view<T: Scalar>(m: MatRef<'_, T>, t: Trans) -> ArrayView2<'_, T> {
    let view = ArrayView2::from_shape(shape(m.rows(), m.cols(), m.stride()), m.as_slice());
    let view = reference::fits(view.map_err(Error::shape));
    match t {
        Trans::No => view,
        Trans::Yes => view.reversed_axes(),
    }
}

/// The stride of a single row means nothing and may be anything, and an empty matrix needs no elements at all; ndarray
/// gets strides that make sense to it.
fn shape(rows: usize, cols: usize, stride: usize) -> StrideShape<Ix2> {
    let empty = rows == 0 || cols == 0;
    (rows, cols).strides(if empty { (0, 0) } else { (stride.max(cols), 1) })
}

/// The kernel that `matrixmultiply` chooses on this machine, by the rules of its release series.
fn isa() -> &'static str {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        if is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        } else if is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2") {
            return "AVX2+FMA";
        } else if is_x86_feature_detected!("avx") {
            return "AVX";
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        return "NEON";
    }
    "portable"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::MatMut;

    /// The condition that every operand must meet for ndarray to consider a BLAS.
    fn blas_could_take(strides: &[isize]) -> bool {
        strides.iter().all(|&s| s >= 1)
    }

    #[test]
    fn the_views_of_a_product_can_not_be_given_to_a_blas_whatever_their_shape() {
        let data = vec![0.0f32; 40 * 40];
        for (rows, cols) in [(1, 40), (40, 1), (40, 40), (8, 17), (1, 1)] {
            for t in [Trans::No, Trans::Yes] {
                let m = reference::fits(MatRef::with_stride(&data, rows, cols, 40));
                let mut v = view(m, t);
                assert!(blas_could_take(v.strides()), "the test must be able to fail");
                v.invert_axis(Axis(0));
                assert!(!blas_could_take(v.strides()), "{rows}x{cols} {t:?}: strides {:?}", v.strides());
            }
        }
    }

    #[test]
    fn a_single_row_with_a_meaningless_stride_is_multiplied() {
        let (a, b, mut c) = ([1.0f64, 2.0, 3.0], [1.0, 10.0, 100.0], [f64::NAN; 1]);
        let a = reference::fits(MatRef::with_stride(&a, 1, 3, 0));
        let b = reference::fits(MatRef::new(&b, 3, 1));
        let c_view = reference::fits(MatMut::with_stride(&mut c, 1, 1, 0));
        let gemm = reference::fits(Gemm::new(1.0, a, Trans::No, b, Trans::No, 0.0, c_view));
        Ndarray.gemm(gemm, &mut Scratch::default());
        assert_eq!(c, [321.0]);
    }
}
