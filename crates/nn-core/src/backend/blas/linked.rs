//! The OpenBLAS that is linked into the program.

use std::ffi::{c_char, c_int};

use super::library::{Library, origin, threads_set};
use super::vendor::{OpenBlas, Vendor};
use crate::Result;

// Nothing of it is called by name: it tells the linker where the library is.
extern crate openblas_src as _;

unsafe extern "C" {
    fn cblas_sgemm(
        layout: c_int,
        ta: c_int,
        tb: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: f32,
        a: *const f32,
        lda: c_int,
        b: *const f32,
        ldb: c_int,
        beta: f32,
        c: *mut f32,
        ldc: c_int,
    );
    fn cblas_dgemm(
        layout: c_int,
        ta: c_int,
        tb: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: f64,
        a: *const f64,
        lda: c_int,
        b: *const f64,
        ldb: c_int,
        beta: f64,
        c: *mut f64,
        ldc: c_int,
    );
    fn openblas_get_config() -> *const c_char;
    fn openblas_get_corename() -> *const c_char;
    fn openblas_get_parallel() -> c_int;
    fn openblas_get_num_threads() -> c_int;
    fn openblas_set_num_threads(n: c_int);
}

/// The linked library.
pub(super) fn library() -> Result<Library> {
    let vendor = Vendor::OpenBlas(OpenBlas {
        config: openblas_get_config,
        core_name: openblas_get_corename,
        parallel: openblas_get_parallel,
        get_threads: openblas_get_num_threads,
        set_threads: openblas_set_num_threads,
    });
    vendor.check_integers("the linked OpenBLAS")?;
    Ok(Library {
        sgemm: cblas_sgemm,
        dgemm: cblas_dgemm,
        vendor,
        path: origin(cblas_sgemm),
        threads_set: threads_set(cblas_sgemm),
    })
}
