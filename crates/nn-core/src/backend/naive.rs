//! `naive`: three loops, the oracle.

use super::{Backend, Description, reference};
use crate::Scalar;
use crate::matrix::Scratch;
use crate::ops::Gemm;

/// The reference kernels as a backend: three loops for a product, nothing overridden.
#[derive(Debug, Clone, Copy, Default)]
pub struct Naive;

impl<T: Scalar> Backend<T> for Naive {
    fn describe(&self) -> Description {
        Description {
            backend: "naive",
            library: "three loops".into(),
            version: None,
            path: None,
            isa: format!("{} (what the compiler made of it)", std::env::consts::ARCH),
            threads_per_call: 1,
        }
    }

    fn gemm(&self, gemm: Gemm<'_, T>, _scratch: &mut Scratch<T>) {
        reference::gemm(gemm);
    }
}
