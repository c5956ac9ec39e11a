//! Where the products of a build with a linked BLAS really go. This program defines `cblas_sgemm` and `cblas_dgemm`
//! itself: the linker prefers a program's own symbols to a library's, so every call that would reach the linked BLAS is
//! counted here instead.
//!
//! The build has `ndarray/blas` on, by the feature that this test requires.
#![allow(unsafe_code)] // Symbols for C, and one call through a pointer: that is what is tested.

use std::ffi::c_int;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use nn_core::Scalar;
use nn_core::backend::blas::Blas;
use nn_core::backend::{Backend, BackendKind, Choice, Ndarray, survey};
use nn_core::matrix::{MatMut, MatRef, Scratch};
use nn_core::ops::{Gemm, Trans};

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Holds the tests of this file apart, since they share a counter.
static ALONE: Mutex<()> = Mutex::new(());

/// Writes this to every element that it is asked for, so that a result tells who computed it.
const MARK: f64 = -77.0;

macro_rules! counting {
    ($name:ident, $t:ty) => {
        /// Counts the call and marks the result.
        #[unsafe(no_mangle)]
        extern "C" fn $name(
            _layout: c_int,
            _ta: c_int,
            _tb: c_int,
            m: c_int,
            n: c_int,
            _k: c_int,
            _alpha: $t,
            _a: *const $t,
            _lda: c_int,
            _b: *const $t,
            _ldb: c_int,
            _beta: $t,
            c: *mut $t,
            ldc: c_int,
        ) {
            CALLS.fetch_add(1, SeqCst);
            for e in 0..m * n {
                // SAFETY: the caller's promise is CBLAS's: C has m rows of n elements, ldc apart.
                unsafe { *c.offset((e / n * ldc + e % n) as isize) = MARK as $t };
            }
        }
    };
}
counting!(cblas_sgemm, f32);
counting!(cblas_dgemm, f64);

const SHAPES: [(usize, usize, usize); 6] =
    [(32, 32, 32), (1, 64, 64), (64, 1, 64), (64, 64, 1), (8, 9, 10), (257, 100, 65)];

/// All ones times all ones, through a backend; the calls that it made and whether every element is k.
fn ones<T: Scalar>(
    backend: &dyn Backend<T>,
    (m, n, k): (usize, usize, usize),
    ta: Trans,
    tb: Trans,
) -> (usize, bool) {
    let (a, b, mut c) = (vec![T::one(); m * k], vec![T::one(); k * n], vec![T::nan(); m * n]);
    let ((ar, ac), (br, bc)) = (ta.apply(m, k), tb.apply(k, n));
    let (a, b) = (MatRef::new(&a, ar, ac).expect("fits"), MatRef::new(&b, br, bc).expect("fits"));
    let c_view = MatMut::new(&mut c, m, n).expect("fits");
    let gemm = Gemm::new(T::one(), a, ta, b, tb, T::zero(), c_view).expect("the shapes fit");
    let before = CALLS.load(SeqCst);
    backend.gemm(gemm, &mut Scratch::default());
    (CALLS.load(SeqCst) - before, c.iter().all(|&x| x == T::of(k as f64)))
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn ndarrays_own_product_does_go_to_the_blas_in_this_build() {
    // Without this, the next test would prove nothing.
    let _alone = alone();
    let before = CALLS.load(SeqCst);
    let a = ndarray::Array2::<f32>::ones((32, 32));
    let product = a.dot(&a);
    assert_eq!(CALLS.load(SeqCst) - before, 1);
    assert!(product.iter().all(|&x| x == MARK as f32));
}

fn never_reaches_the_blas<T: Scalar>() {
    for shape in SHAPES {
        for ta in [Trans::No, Trans::Yes] {
            for tb in [Trans::No, Trans::Yes] {
                assert_eq!(ones::<T>(&Ndarray, shape, ta, tb), (0, true), "{shape:?} {ta:?} {tb:?}");
            }
        }
    }
}

#[test]
fn the_backend_ndarray_never_reaches_the_blas() {
    let _alone = alone();
    never_reaches_the_blas::<f32>();
    never_reaches_the_blas::<f64>();
}

#[test]
fn the_linked_backend_calls_the_linked_symbols_once_for_each_product() {
    let _alone = alone();
    let blas = Blas::linked().expect("the feature is on");
    for shape in SHAPES {
        assert_eq!(ones::<f32>(&blas, shape, Trans::No, Trans::Yes), (1, false), "{shape:?}");
        assert_eq!(ones::<f64>(&blas, shape, Trans::Yes, Trans::No), (1, false), "{shape:?}");
    }
}

#[test]
fn the_linked_library_tells_its_version_and_keeps_to_one_thread() {
    let description = Backend::<f32>::describe(&Blas::linked().expect("the feature is on"));
    assert_eq!(description.library, "OpenBLAS");
    assert!(description.version.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit())));
    assert_eq!(description.threads_per_call, 1);
}

#[test]
fn the_linked_library_is_what_backend_blas_opens_where_none_is_named_and_the_default_is_still_simd() {
    let linked = Backend::<f32>::describe(&Blas::linked().expect("the feature is on"));
    let blas = Choice { kind: BackendKind::Blas, ..Choice::default() };
    assert_eq!(blas.open::<f32>().expect("it is linked").describe(), linked);
    let found = survey().into_iter().find(|found| found.name == "blas (linked)").expect("it is listed");
    assert_eq!(found.outcome, Ok(linked));
    assert_eq!(Choice::default().open::<f32>().expect("always there").describe().backend, "simd");
    assert_eq!(Choice::default().open::<f64>().expect("always there").describe().backend, "simd");
}
