//! A CBLAS for tests, built by `tests/blas_open.rs` with `--cfg` flags that make it behave in one way or another. It
//! counts what is asked of it and tells the counts where OpenBLAS tells its kernel.
#![allow(
    clippy::too_many_arguments,
    clippy::missing_safety_doc,
    reason = "the signatures are CBLAS' own, and so are their promises"
)]

use std::ffi::{c_char, c_int};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};

static PRODUCTS: AtomicUsize = AtomicUsize::new(0);
static SETTINGS: AtomicUsize = AtomicUsize::new(0);
static THREADS: AtomicI32 = AtomicI32::new(4);
static TEXT: Mutex<Option<&'static std::ffi::CStr>> = Mutex::new(None);

macro_rules! gemm {
    ($name:ident, $t:ty, $wide:literal) => {
        #[cfg_attr(not(wide_names), unsafe(no_mangle))]
        #[cfg_attr(wide_names, unsafe(export_name = $wide))]
        pub unsafe extern "C" fn $name(
            _layout: c_int,
            ta: c_int,
            tb: c_int,
            m: c_int,
            n: c_int,
            k: c_int,
            alpha: $t,
            a: *const $t,
            lda: c_int,
            b: *const $t,
            ldb: c_int,
            beta: $t,
            c: *mut $t,
            ldc: c_int,
        ) {
            PRODUCTS.fetch_add(1, SeqCst);
            let at = |x: *const $t, t: c_int, ld: c_int, i: c_int, j: c_int| unsafe {
                *x.offset(if t == 111 { i * ld + j } else { j * ld + i } as isize)
            };
            for i in 0..m {
                for j in 0..n {
                    let sum: $t = (0..k).map(|p| at(a, ta, lda, i, p) * at(b, tb, ldb, p, j)).sum();
                    let c = unsafe { &mut *c.offset((i * ldc + j) as isize) };
                    *c = alpha * sum + if beta == 0.0 { 0.0 } else { beta * *c };
                }
            }
        }
    };
}
gemm!(cblas_sgemm, f32, "cblas_sgemm64_");
gemm!(cblas_dgemm, f64, "cblas_dgemm64_");

#[cfg(not(silent))]
mod openblas {
    use super::*;

    #[unsafe(no_mangle)]
    pub extern "C" fn openblas_get_config() -> *const c_char {
        let wide =
            if cfg!(wide_integers) { c"OpenBLAS 7.8.9 USE64BITINT MOCK" } else { c"OpenBLAS 7.8.9 MOCK" };
        wide.as_ptr()
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn openblas_get_corename() -> *const c_char {
        let text = format!("products {} settings {}", PRODUCTS.load(SeqCst), SETTINGS.load(SeqCst));
        let text = std::ffi::CString::new(text).unwrap();
        let mut kept = TEXT.lock().unwrap();
        kept.insert(Box::leak(text.into_boxed_c_str())).as_ptr()
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn openblas_get_parallel() -> c_int {
        if cfg!(openmp) { 2 } else { 1 }
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn openblas_get_num_threads() -> c_int {
        THREADS.load(SeqCst)
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn openblas_set_num_threads(n: c_int) {
        SETTINGS.fetch_add(1, SeqCst);
        if !cfg!(stubborn) {
            THREADS.store(n, SeqCst);
        }
    }
}
