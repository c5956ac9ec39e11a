//! One CBLAS library: its two products, what it can be asked, and where it lies.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::Description;
use super::vendor::Vendor;
use crate::{Error, Result};

/// `cblas_sgemm` and `cblas_dgemm`: layout, op(A), op(B), m, n, k, α, A, lda, B, ldb, β, C, ldc.
pub(super) type GemmFn<T> = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    T,
    *const T,
    c_int,
    *const T,
    c_int,
    T,
    *mut T,
    c_int,
);

/// A library in this process. It is never unloaded: others may have been given pointers into it, and libraries that
/// start threads don't survive it.
pub(super) struct Library {
    pub(super) sgemm: GemmFn<f32>,
    pub(super) dgemm: GemmFn<f64>,
    pub(super) vendor: Vendor,
    pub(super) path: Option<PathBuf>,
    pub(super) threads_set: &'static AtomicUsize,
}

/// How symbols are decorated: what stands before and after `cblas_sgemm`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoration {
    prefix: &'static str,
    suffix: &'static str,
}

/// With 32-bit integers: plain, and as SciPy's wheels have it.
const LP64: [Decoration; 2] =
    [Decoration { prefix: "", suffix: "" }, Decoration { prefix: "scipy_", suffix: "" }];

/// With 64-bit integers, recognised in order to be refused.
const ILP64: [Decoration; 4] = [
    Decoration { prefix: "", suffix: "64_" },
    Decoration { prefix: "", suffix: "_64" },
    Decoration { prefix: "", suffix: "_64_" },
    Decoration { prefix: "scipy_", suffix: "64_" },
];

/// A library that the loader has opened.
pub(super) struct Handle {
    raw: libloading::Library,
    decoration: Decoration,
}

impl Handle {
    /// The function `name`, if the library has it, with the prefix and suffix that its products have.
    ///
    /// # Safety
    /// `F` must be the function pointer type of that function.
    pub(super) unsafe fn decorated<F: Copy>(&self, name: &str) -> Option<F> {
        let Decoration { prefix, suffix } = self.decoration;
        // SAFETY: the caller's.
        unsafe { self.plain(&format!("{prefix}{name}{suffix}")) }
    }

    /// The function `name`, if the library has it.
    ///
    /// # Safety
    /// `F` must be the function pointer type of that function.
    pub(super) unsafe fn plain<F: Copy>(&self, name: &str) -> Option<F> {
        // SAFETY: the caller's; the pointer outlives the symbol because the library is never unloaded.
        unsafe { self.raw.get::<F>(name.as_bytes()) }.ok().map(|symbol| *symbol)
    }
}

impl Library {
    /// Opens a file, finds the products, and finds out whose they are.
    pub(super) fn open(file: &str) -> Result<Self> {
        let raw = load(file).map_err(|error| Error::unavailable(loaders_answer(file, &error)))?;
        let mut handle = Handle { raw, decoration: LP64[0] };
        let library = Self::find(&mut handle, file);
        // Never unloaded, not even where it was refused: its initialisers have run and may have started threads.
        std::mem::forget(handle.raw);
        library
    }

    fn find(handle: &mut Handle, file: &str) -> Result<Self> {
        for decoration in LP64 {
            handle.decoration = decoration;
            // SAFETY: the types are those of the CBLAS standard with 32-bit integers, which these names have unless
            // the library says otherwise; that is asked below, before anything is called.
            let (sgemm, dgemm) =
                unsafe { (handle.decorated("cblas_sgemm"), handle.decorated("cblas_dgemm")) };
            if let (Some(sgemm), Some(dgemm)) = (sgemm, dgemm) {
                let path = origin(sgemm);
                let vendor = Vendor::find(handle, path.as_deref().unwrap_or(Path::new(file)));
                vendor.check_integers(file)?;
                return Ok(Self { sgemm, dgemm, vendor, path, threads_set: threads_set(sgemm) });
            }
        }
        for decoration in ILP64 {
            handle.decoration = decoration;
            // SAFETY: looked up to know whether it exists, never called.
            if unsafe { handle.decorated::<GemmFn<f32>>("cblas_sgemm") }.is_some() {
                return Err(ilp64(file));
            }
        }
        Err(Error::unavailable(format_args!(
            "{file}: was opened, but has no cblas_sgemm and cblas_dgemm (a Fortran BLAS without the C interface?)"
        )))
    }

    /// Sets the number of threads per call and makes sure of it.
    pub(super) fn set_threads(&self, threads: usize) -> Result<()> {
        self.vendor.prepare(self.path.as_deref(), threads)?;
        self.hold(threads);
        match self.vendor.threads() {
            Some(found) if found != threads => Err(Error::unavailable(format_args!(
                "{} was asked for {threads} thread(s) per call and reports {found} after it",
                self.vendor.name()
            ))),
            None if threads != 1 => Err(Error::unavailable(format_args!(
                "{threads} threads per call were asked for, but {} has no known way to set them",
                self.vendor.name()
            ))),
            _ => Ok(()),
        }
    }

    /// Runs one call on this number of threads, and one call at a time where the library can't be called from several
    /// threads.
    pub(super) fn call(&self, threads: usize, body: impl FnOnce()) {
        self.hold(threads);
        let _guard = self
            .vendor
            .one_call_at_a_time()
            .then(|| ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner));
        body();
    }

    /// What the library says of itself, now.
    pub(super) fn describe(&self, threads: usize) -> Description {
        self.hold(threads);
        Description {
            backend: "blas",
            library: self.vendor.name(),
            version: self.vendor.version(),
            path: self.path.clone(),
            isa: self.vendor.kernel(),
            threads_per_call: self.vendor.threads().unwrap_or(1),
        }
    }

    /// Sets the number of threads, unless it is the last that was set: on this thread where the library keeps a setting
    /// for each, else in the process.
    fn hold(&self, threads: usize) {
        thread_local! {
            /// The libraries, by the address of their product, and the number last set on this thread.
            static HERE: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
        }
        let library = self.sgemm as usize;
        let in_effect = if self.vendor.keeps_threads_per_thread() {
            HERE.with_borrow(|here| here.iter().find(|set| set.0 == library).map(|set| set.1))
        } else {
            Some(self.threads_set.load(Ordering::Acquire))
        };
        if in_effect == Some(threads) {
            return;
        }
        HERE.with_borrow_mut(|here| {
            here.retain(|set| set.0 != library);
            here.push((library, threads));
        });
        let _guard = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
        self.vendor.set_threads(threads);
        self.threads_set.store(threads, Ordering::Release);
    }
}

/// The number of threads last set in the library with this product, shared by all that open it. 0: never set.
pub(super) fn threads_set(sgemm: GemmFn<f32>) -> &'static AtomicUsize {
    static ALL: Mutex<Vec<(usize, &'static AtomicUsize)>> = Mutex::new(Vec::new());
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let library = sgemm as usize;
    if let Some(known) = all.iter().find(|known| known.0 == library) {
        return known.1;
    }
    // Lives as long as the library, which is never unloaded.
    let new: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    all.push((library, new));
    new
}

/// Serialises changes of thread counts.
static SETTING: Mutex<()> = Mutex::new(());

/// Serialises calls of libraries that need it.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("name", &self.vendor.name()).field("path", &self.path).finish()
    }
}

/// The refusal of a library whose integers are 64 bits wide.
pub(super) fn ilp64(file: &str) -> Error {
    Error::unavailable(format_args!(
        "{file}: was opened, but is an ILP64 build (64-bit integers); expected one with 32-bit integers (LP64), which \
         the same vendor ships under a name without 64"
    ))
}

/// Opens a library so that its own symbols come first for itself: with another BLAS in the program's global scope, a
/// library's inner calls (`cblas_sgemm` → `sgemm_`) would otherwise end in that other BLAS.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn load(file: &str) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::unix;
    /// glibc's `dlfcn.h`.
    const RTLD_DEEPBIND: c_int = 0x8;
    let flags = unix::RTLD_NOW | unix::RTLD_LOCAL | RTLD_DEEPBIND;
    // SAFETY: runs the initialisers of a library that the user asked for by name; that they are sound is the library's
    // promise, as for any library that is linked.
    unsafe { unix::Library::open(Some(file), flags) }.map(Into::into)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn load(file: &str) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: runs the initialisers of a library that the user asked for by name; that they are sound is the library's
    // promise, as for any library that is linked.
    unsafe { libloading::Library::new(file) }
}

/// Whether the loader finds a library by this name. It stays loaded, since it is about to be needed.
pub(super) fn can_load(file: &str) -> bool {
    load(file).map(std::mem::forget).is_ok()
}

/// `file: why`, with the file named once.
fn loaders_answer(file: &str, error: &libloading::Error) -> String {
    let answer = match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    if answer.contains(file) { answer } else { format!("{file}: {answer}") }
}

/// The file that a function lies in, as the loader knows it, with links resolved.
#[cfg(unix)]
pub(super) fn origin(function: GemmFn<f32>) -> Option<PathBuf> {
    use std::ffi::{CStr, OsStr, c_char};
    use std::os::unix::ffi::OsStrExt;

    /// POSIX `Dl_info`.
    #[repr(C)]
    struct DlInfo {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }
    unsafe extern "C" {
        fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
    }
    let null: *mut c_void = std::ptr::null_mut();
    let mut info = DlInfo { file: null.cast(), base: null, symbol: null.cast(), address: null };
    // SAFETY: any address may be asked about; `info` is a live `Dl_info`.
    let found = unsafe { dladdr(function as *const c_void, &mut info) };
    if found == 0 || info.file.is_null() {
        return None;
    }
    // SAFETY: dladdr succeeded, so `file` is a C string that lives as long as the library, which is never unloaded.
    let file = unsafe { CStr::from_ptr(info.file) };
    let file = Path::new(OsStr::from_bytes(file.to_bytes()));
    Some(file.canonicalize().unwrap_or_else(|_| file.into()))
}

#[cfg(not(unix))]
pub(super) fn origin(_: GemmFn<f32>) -> Option<PathBuf> {
    None
}
