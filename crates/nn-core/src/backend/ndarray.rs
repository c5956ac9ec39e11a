//! `ndarray`: what `.dot()` gives without a BLAS.

use super::{Backend, Description, reference};
use crate::Scalar;
use crate::matrix::Scratch;
use crate::ops::Gemm;

/// ndarray's product over `matrixmultiply`, never rerouted to a BLAS by another crate's features.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ndarray;

impl<T: Scalar> Backend<T> for Ndarray {
    fn describe(&self) -> Description {
        Description {
            backend: "ndarray",
            library: "ndarray + matrixmultiply".into(),
            version: None,
            path: None,
            isa: String::new(),
            threads_per_call: 1,
        }
    }

    fn gemm(&self, gemm: Gemm<'_, T>, _scratch: &mut Scratch<T>) {
        reference::gemm(gemm);
    }
}
