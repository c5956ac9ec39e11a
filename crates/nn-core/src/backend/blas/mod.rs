//! `blas`: any CBLAS with 32-bit integers, linked into the program or opened at run time, several in one process.
//!
//! What a library is, which version, which kernel it chose and how many threads it uses is asked of the library itself
//! and never assumed. One that can't be had is an error that says what was looked for; nothing takes its place. Where OpenBLAS chose
//! a kernel for older CPUs than this one, the description names the variable that chooses another.
//!
//! One of the three places where `unsafe` is allowed: calling foreign functions is what this module is for.
#![allow(unsafe_code)] // Calls into C; each block says why it is sound.

mod library;
#[cfg(feature = "openblas-system")]
mod linked;
mod mkl;
mod names;
mod vendor;

use std::any::Any;
use std::ffi::c_int;
use std::num::NonZeroUsize;
use std::sync::Arc;

use self::library::{GemmFn, Library};
pub use self::names::known_names;
use super::{Backend, Description};
use crate::matrix::Scratch;
use crate::ops::{Gemm, GemmParts, Trans};
use crate::{Result, Scalar};

/// Rows of the batch per call when the library brings its own threads: enough work to be worth waking them.
const SHARD_ROWS_THREADED: usize = 8192;

/// Rows of the batch per call on one thread, as for the other backends.
const SHARD_ROWS: usize = 256;

/// How many threads the library may use within one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Threading {
    /// One: the executor's threads each make calls of their own.
    #[default]
    OnePerCall,
    /// This many, started and kept by the library. Meant for comparisons, with an executor of one thread.
    Library(NonZeroUsize),
}

impl Threading {
    fn threads(self) -> usize {
        match self {
            Self::OnePerCall => 1,
            Self::Library(n) => n.get(),
        }
    }
}

/// A CBLAS library as a backend: `cblas_sgemm` and `cblas_dgemm`, everything else provided.
///
/// A library, once opened, stays in the process. The number of threads is in most libraries a setting of the library
/// and not of the caller, so each call sees to it first: two `Blas` over the same library with different threading may
/// be used in turn, but not at the same time.
///
/// ```
/// use nn_core::backend::{Backend, blas::Blas};
/// match Blas::open("auto") {
///     Ok(blas) => println!("{}", Backend::<f32>::describe(&blas)),
///     Err(why) => println!("{why}"), // every name that was looked for, and how to get one
/// }
/// ```
///
/// A product panics if a dimension or stride is more than 2³¹ − 1, which a CBLAS has no way to say.
#[derive(Debug, Clone)]
pub struct Blas {
    library: Arc<Library>,
    threading: Threading,
}

impl Blas {
    /// Opens a library by name (`openblas`, `blis`, `mkl`, `accelerate`), the first there is (`auto`), the one that is
    /// linked into the program (`linked`), or a file (`libblis.so.4`, `/opt/lib/libopenblas.so`). One thread per call.
    ///
    /// # Errors
    /// If there is none, with every file that was tried and the loader's answer; if it is not a CBLAS with 32-bit
    /// integers; if it does not accept the number of threads.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_with(name, Threading::default())
    }

    /// As [`open`](Self::open), with a choice of threading.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(name: &str, threading: Threading) -> Result<Self> {
        if name == "linked" {
            return Self::linked_with(threading);
        }
        names::open_first(name, |file| Self::hold(Library::open(file)?, threading))
    }

    /// The library that is linked into the program by the feature `openblas-system`. One thread per call.
    ///
    /// # Errors
    /// In a build without the feature.
    pub fn linked() -> Result<Self> {
        Self::linked_with(Threading::default())
    }

    /// As [`linked`](Self::linked), with a choice of threading.
    ///
    /// # Errors
    /// As [`linked`](Self::linked), and if the library does not accept the number of threads.
    pub fn linked_with(threading: Threading) -> Result<Self> {
        #[cfg(feature = "openblas-system")]
        return Self::hold(linked::library()?, threading);
        #[cfg(not(feature = "openblas-system"))]
        {
            let _ = threading;
            Err(crate::Error::unavailable(
                "blas: no library is linked into this build; build with the feature openblas-system of nn-core (Debian: \
                 apt install libopenblas-dev pkg-config first), or open an installed library by name or path",
            ))
        }
    }

    /// Sets the number of threads and reads it back.
    fn hold(library: Library, threading: Threading) -> Result<Self> {
        library.set_threads(threading.threads())?;
        Ok(Self { library: Arc::new(library), threading })
    }
}

impl<T: Scalar> Backend<T> for Blas {
    fn describe(&self) -> Description {
        self.library.describe(self.threading.threads())
    }

    fn gemm(&self, gemm: Gemm<'_, T>, _scratch: &mut Scratch<T>) {
        let (m, n, k) = (gemm.m(), gemm.n(), gemm.k());
        let GemmParts { alpha, a, ta, b, tb, beta, mut c } = gemm.into_parts();
        if m == 0 || n == 0 {
            return;
        }
        let (lda, ldb, ldc) = (leading(a.stride(), a.cols()), leading(b.stride(), b.cols()), c.stride());
        let ldc = leading(ldc, n);
        let (m, n, k) = (int(m), int(n), int(k));
        let function = function::<T>(&self.library);
        let (a, b, c) = (a.as_slice().as_ptr(), b.as_slice().as_ptr(), c.as_mut_slice().as_mut_ptr());
        self.library.call(self.threading.threads(), || {
            // SAFETY: `function` is the CBLAS gemm for `T` of a library with 32-bit integers. `Gemm` holds that op(A)
            // is m×k, op(B) k×n and C m×n, and each view that its slice spans its rows at its stride, so every element
            // that the formula names lies inside the three slices; C is borrowed mutably and overlaps neither other.
            unsafe {
                function(ROW_MAJOR, code(ta), code(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
            }
        });
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn shard_rows(&self) -> usize {
        if self.threading.threads() == 1 { SHARD_ROWS } else { SHARD_ROWS_THREADED }
    }
}

/// `CblasRowMajor`.
const ROW_MAJOR: c_int = 101;

/// `CblasNoTrans` and `CblasTrans`.
fn code(t: Trans) -> c_int {
    match t {
        Trans::No => 111,
        Trans::Yes => 112,
    }
}

/// The library's gemm for `T`.
fn function<T: Scalar>(library: &Library) -> GemmFn<T> {
    let candidates: [&dyn Any; 2] = [&library.sgemm, &library.dgemm];
    let found = candidates.into_iter().find_map(|f| f.downcast_ref::<GemmFn<T>>());
    *found.unwrap_or_else(|| unreachable!("Scalar is sealed: f32 and f64"))
}

/// The leading dimension that a CBLAS accepts; the stride of a single row or of an empty matrix may be anything.
fn leading(stride: usize, cols: usize) -> c_int {
    int(stride.max(cols).max(1))
}

fn int(x: usize) -> c_int {
    c_int::try_from(x).unwrap_or_else(|_| panic!("blas: {x} does not fit the 32-bit integers of a CBLAS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_the_feature_says_what_to_build_and_what_to_install() {
        if cfg!(not(feature = "openblas-system")) {
            let message = Blas::linked().expect_err("nothing is linked").to_string();
            assert!(message.contains("openblas-system") && message.contains("libopenblas-dev"), "{message}");
        }
    }

    #[test]
    fn a_name_that_is_neither_known_nor_a_file_is_refused_with_the_names_there_are() {
        let message = Blas::open("openblass").expect_err("no such name").to_string();
        for expected in ["\"openblass\"", "openblas", "blis", "mkl", "auto"] {
            assert!(message.contains(expected), "{expected} is missing from: {message}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named_together_with_the_loaders_answer() {
        let message = Blas::open("./no-such-directory/libblas.so").expect_err("no such file").to_string();
        assert!(message.contains("./no-such-directory/libblas.so: "), "{message}");
    }

    #[test]
    fn a_library_without_a_cblas_is_refused_by_the_symbols_it_lacks() {
        // The C library itself: always there, never a CBLAS.
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            let message = Blas::open("libc.so.6").expect_err("not a BLAS").to_string();
            assert!(message.contains("cblas_sgemm"), "{message}");
        }
    }
}
