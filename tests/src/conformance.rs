//! One suite for every backend: what [`nn_core::backend::reference`] defines, each backend must compute, to within the
//! rounding that its order of operations may cost.

mod data;
mod elementwise;
mod gemm;
mod layers;

use std::sync::Arc;

use nn_core::Scalar;
use nn_core::backend::blas::{Blas, known_names};
use nn_core::backend::simd::{Isa, Simd};
use nn_core::backend::{Backend, Naive, Ndarray};
use nn_core::matrix::Scratch;

/// The suite for one element type: the products with their exact results, computed once for all backends.
pub struct Suite<T> {
    gemms: Vec<gemm::Case<T>>,
}

impl<T: Scalar> Suite<T> {
    /// Computes the exact products.
    pub fn new() -> Self {
        Self { gemms: gemm::Case::all() }
    }

    /// Panics, with the kernel, the shape and the element, at the first result that is not what it must be.
    pub fn conforms(&self, backend: &dyn Backend<T>) {
        let mut scratch = Scratch::default();
        for case in &self.gemms {
            case.check(backend, &mut scratch);
        }
        gemm::check_determinism(backend);
        layers::check(backend, &mut scratch);
        layers::check_empty_batch(backend, &mut scratch);
        elementwise::check_unary(backend);
        elementwise::check_binary(backend);
        elementwise::check_softmax(backend);
        elementwise::check_argmax(backend);
    }
}

impl<T: Scalar> Default for Suite<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Every backend that there is on this machine: `simd` on each of its instruction sets, every BLAS that is linked,
/// installed, or named in `NN_TEST_BLAS` (files separated by `:`). A name there that can't be opened is a panic.
pub fn backends<T: Scalar>() -> Vec<Arc<dyn Backend<T>>>
where
    Simd: Backend<T>,
{
    let mut all: Vec<Arc<dyn Backend<T>>> = vec![Arc::new(Naive), Arc::new(Ndarray)];
    for isa in Isa::available() {
        let simd =
            Simd::with_isa(isa).unwrap_or_else(|error| panic!("{isa:?} was listed as available: {error}"));
        all.push(Arc::new(simd));
    }
    all.extend(blas_libraries().into_iter().map(|blas| Arc::new(blas) as _));
    all
}

/// The BLAS libraries of [`backends`].
pub fn blas_libraries() -> Vec<Blas> {
    let named = std::env::var("NN_TEST_BLAS").unwrap_or_default();
    let named = named.split(':').filter(|file| !file.is_empty());
    let named = named.map(|file| Blas::open(file).unwrap_or_else(|error| panic!("NN_TEST_BLAS: {error}")));
    let linked = Blas::linked();
    assert!(linked.is_ok() || !cfg!(feature = "openblas-system"), "the feature is on, but: {linked:?}");
    linked
        .ok()
        .into_iter()
        .chain(known_names().filter_map(|name| Blas::open(name).ok()))
        .chain(named)
        .collect()
}
