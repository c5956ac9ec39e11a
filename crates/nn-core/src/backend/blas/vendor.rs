//! What a library can be asked beside products: its version, the kernel it chose, its number of threads.

use std::ffi::{CStr, c_char, c_int};
use std::path::Path;

use super::library::{Handle, ilp64};
use super::mkl::Mkl;
use crate::{Error, Result};

/// Whose library it is, with the functions that only this vendor has.
pub(super) enum Vendor {
    OpenBlas(OpenBlas),
    Blis(Blis),
    Mkl(Mkl),
    /// A CBLAS that answers no questions (netlib's, ATLAS, Accelerate): the name of its file.
    Unknown(String),
}

/// OpenBLAS's own functions.
pub(super) struct OpenBlas {
    pub(super) config: unsafe extern "C" fn() -> *const c_char,
    pub(super) core_name: unsafe extern "C" fn() -> *const c_char,
    pub(super) parallel: unsafe extern "C" fn() -> c_int,
    pub(super) get_threads: unsafe extern "C" fn() -> c_int,
    pub(super) set_threads: unsafe extern "C" fn(c_int),
}

/// How an OpenBLAS was built to run in parallel: what `openblas_get_parallel` returns.
const OPENBLAS_SEQUENTIAL: c_int = 0;
const OPENBLAS_OPENMP: c_int = 2;

/// OpenBLAS's cores for x86-64 CPUs without AVX2 (`dynamic.c`).
const OPENBLAS_BEFORE_AVX2: [&str; 18] = [
    "Northwood",
    "Prescott",
    "Banias",
    "Atom",
    "Core2",
    "Penryn",
    "Dunnington",
    "Nehalem",
    "Sandybridge",
    "Athlon",
    "Opteron",
    "Opteron_SSE3",
    "Barcelona",
    "Nano",
    "Bobcat",
    "Bulldozer",
    "Piledriver",
    "Steamroller",
];

/// OpenBLAS's core for the best instructions that this CPU has, if they are AVX2 or better.
#[cfg(target_arch = "x86_64")]
fn best_core() -> Option<&'static str> {
    let skylake = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    let haswell = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    if skylake { Some("SkylakeX") } else { haswell.then_some("Haswell") }
}

/// Cores of other CPUs are told apart by the system.
#[cfg(not(target_arch = "x86_64"))]
fn best_core() -> Option<&'static str> {
    None
}

/// What is said of the core that OpenBLAS chose on a CPU whose `best` one may be another.
///
/// It goes by a list of models, and takes a new one for an old one: version 0.3.21 runs Prescott's kernels on Emerald Rapids, where X · W of
/// MNIST and 512 units takes 3.5 times as long as with SkylakeX's.
fn core_text(chosen: Option<String>, best: Option<&str>) -> String {
    let Some(chosen) = chosen else { return "kernel not told".into() };
    let is_old = OPENBLAS_BEFORE_AVX2.iter().any(|core| core.eq_ignore_ascii_case(&chosen));
    match best {
        Some(best) if is_old => {
            format!("{chosen} (for an older CPU; with OPENBLAS_CORETYPE={best} in the environment, {best})")
        }
        _ => chosen,
    }
}

/// BLIS's own functions. Its integers (`dim_t`, `gint_t`) are 64 bits wide unless it was built otherwise, whatever the
/// width of those of its CBLAS.
pub(super) struct Blis {
    version: unsafe extern "C" fn() -> *const c_char,
    arch_id: unsafe extern "C" fn() -> c_int,
    arch_name: unsafe extern "C" fn(c_int) -> *const c_char,
    int_bits: unsafe extern "C" fn() -> i64,
    blas_int_bits: unsafe extern "C" fn() -> i64,
    threading: unsafe extern "C" fn() -> i64,
    get_threads: unsafe extern "C" fn() -> i64,
    set_threads: unsafe extern "C" fn(i64),
}

impl Vendor {
    /// Asks the library for the functions that tell it apart.
    pub(super) fn find(handle: &Handle, path: &Path) -> Self {
        // SAFETY: the types are those of the vendors' headers (cblas.h of OpenBLAS).
        let openblas = unsafe {
            (|| {
                Some(OpenBlas {
                    config: handle.decorated("openblas_get_config")?,
                    core_name: handle.decorated("openblas_get_corename")?,
                    parallel: handle.decorated("openblas_get_parallel")?,
                    get_threads: handle.decorated("openblas_get_num_threads")?,
                    set_threads: handle.decorated("openblas_set_num_threads")?,
                })
            })()
        };
        // SAFETY: the types are those of the vendor's header (blis.h), with `dim_t` and `gint_t` as 64-bit integers: a
        // 32-bit one is passed in the same register or stack slot, and read back through `Blis::int`.
        let blis = unsafe {
            (|| {
                Some(Blis {
                    version: handle.plain("bli_info_get_version_str")?,
                    arch_id: handle.plain("bli_arch_query_id")?,
                    arch_name: handle.plain("bli_arch_string")?,
                    int_bits: handle.plain("bli_info_get_int_type_size")?,
                    blas_int_bits: handle.plain("bli_info_get_blas_int_type_size")?,
                    threading: handle.plain("bli_info_get_enable_threading")?,
                    get_threads: handle.plain("bli_thread_get_num_threads")?,
                    set_threads: handle.plain("bli_thread_set_num_threads")?,
                })
            })()
        };
        match (openblas, blis, Mkl::find(handle)) {
            (Some(openblas), _, _) => Self::OpenBlas(openblas),
            (_, Some(blis), _) => Self::Blis(blis),
            (_, _, Some(mkl)) => Self::Mkl(mkl),
            _ => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                Self::Unknown(name.to_string_lossy().into_owned())
            }
        }
    }

    /// Refuses a library whose CBLAS has 64-bit integers under the plain names.
    pub(super) fn check_integers(&self, file: &str) -> Result<()> {
        let wide = match self {
            Self::OpenBlas(lib) => lib.config().split_whitespace().any(|word| word == "USE64BITINT"),
            Self::Blis(lib) => lib.blas_int_bits() == 64,
            // MKL's width is a setting, made and checked in `prepare`.
            Self::Mkl(_) | Self::Unknown(_) => false,
        };
        if wide { Err(ilp64(file)) } else { Ok(()) }
    }

    /// What must happen once, before the library's first call.
    pub(super) fn prepare(&self, path: Option<&Path>, threads: usize) -> Result<()> {
        match self {
            Self::Mkl(lib) => lib.prepare(path, threads),
            _ if c_int::try_from(threads).is_err() => {
                Err(Error::invalid(format_args!("{threads} threads per call are more than can be asked for")))
            }
            _ => Ok(()),
        }
    }

    /// `OpenBLAS`, `BLIS`, `MKL`, or the file's name.
    pub(super) fn name(&self) -> String {
        match self {
            Self::OpenBlas(_) => "OpenBLAS".into(),
            Self::Blis(_) => "BLIS".into(),
            Self::Mkl(_) => "MKL".into(),
            Self::Unknown(file) => file.clone(),
        }
    }

    /// The version, as the library tells it.
    pub(super) fn version(&self) -> Option<String> {
        match self {
            // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY Zen MAX_THREADS=64"
            Self::OpenBlas(lib) => lib.config().split_whitespace().nth(1).map(Into::into),
            // SAFETY: takes nothing and returns a static C string.
            Self::Blis(lib) => unsafe { text((lib.version)()) },
            Self::Mkl(lib) => lib.version(),
            Self::Unknown(_) => None,
        }
    }

    /// The kernel that the library chose on this machine, and what else bears on how it runs.
    pub(super) fn kernel(&self) -> String {
        match self {
            Self::OpenBlas(lib) => {
                // SAFETY: take nothing; the string is static.
                let (core, parallel) = unsafe { (text((lib.core_name)()), (lib.parallel)()) };
                let build = match parallel {
                    OPENBLAS_SEQUENTIAL => ", sequential build: one call at a time",
                    OPENBLAS_OPENMP => ", OpenMP",
                    _ => "",
                };
                format!("{}{build}", core_text(core, best_core()))
            }
            Self::Blis(lib) => {
                // SAFETY: take nothing, or the architecture's number; the string is static.
                let arch = unsafe { text((lib.arch_name)((lib.arch_id)())) };
                arch.unwrap_or_else(|| "kernel not told".into())
            }
            Self::Mkl(lib) => lib.kernel(),
            Self::Unknown(_) => "kernel and threads not told by this library".into(),
        }
    }

    /// The number of threads in effect, where the library tells it.
    pub(super) fn threads(&self) -> Option<usize> {
        let threads = match self {
            // SAFETY: takes nothing and returns a number.
            Self::OpenBlas(lib) => i64::from(unsafe { (lib.get_threads)() }),
            Self::Blis(lib) => lib.threads(),
            Self::Mkl(lib) => i64::from(lib.threads()),
            Self::Unknown(_) => return None,
        };
        // BLIS answers −1 where nothing was ever set, which means one.
        Some(usize::try_from(threads).unwrap_or(1))
    }

    /// Asks for a number of threads. `prepare` has seen to it that it fits.
    pub(super) fn set_threads(&self, threads: usize) {
        let Ok(n) = c_int::try_from(threads) else { return };
        // SAFETY: all take a number and may be called at any time; the caller sees to it that calls don't overlap.
        unsafe {
            match self {
                Self::OpenBlas(lib) => (lib.set_threads)(n),
                Self::Blis(lib) => (lib.set_threads)(i64::from(n)),
                Self::Mkl(lib) => (lib.set_threads)(n),
                Self::Unknown(_) => {}
            }
        }
    }

    /// Whether each calling thread has a setting of its own: OpenMP's is one per thread, and so is that of some BLIS.
    pub(super) fn keeps_threads_per_thread(&self) -> bool {
        match self {
            // SAFETY: takes nothing and returns a number.
            Self::OpenBlas(lib) => unsafe { (lib.parallel)() == OPENBLAS_OPENMP },
            Self::Blis(_) => true,
            Self::Mkl(_) | Self::Unknown(_) => false,
        }
    }

    /// Whether calls from several threads at once are not safe: OpenBLAS built without threads has unguarded buffers
    /// unless it was built with `USE_LOCKING`, which it doesn't tell.
    pub(super) fn one_call_at_a_time(&self) -> bool {
        match self {
            // SAFETY: takes nothing and returns a number.
            Self::OpenBlas(lib) => unsafe { (lib.parallel)() == OPENBLAS_SEQUENTIAL },
            _ => false,
        }
    }
}

impl OpenBlas {
    fn config(&self) -> String {
        // SAFETY: takes nothing and returns a static C string.
        unsafe { text((self.config)()) }.unwrap_or_default()
    }
}

impl Blis {
    /// A number that BLIS returned: only its lower half counts where BLIS's integers are 32 bits wide.
    fn int(&self, x: i64) -> i64 {
        // SAFETY: takes nothing; the answer is 32 or 64, so its lower half is the answer whatever its width.
        let bits = unsafe { (self.int_bits)() } as i32;
        if bits == 32 { i64::from(x as i32) } else { x }
    }

    fn blas_int_bits(&self) -> i64 {
        // SAFETY: takes nothing and returns a number.
        self.int(unsafe { (self.blas_int_bits)() })
    }

    fn threads(&self) -> i64 {
        // SAFETY: take nothing and return numbers.
        let (threading, threads) = unsafe { ((self.threading)(), (self.get_threads)()) };
        // A sequential build stores what it is told and uses one thread all the same.
        if self.int(threading) == 0 { 1 } else { self.int(threads) }
    }
}

/// A C string as text.
///
/// # Safety
/// `string` must be null or a C string.
pub(super) unsafe fn text(string: *const c_char) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: the caller's, and not null.
    Some(unsafe { CStr::from_ptr(string) }.to_string_lossy().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_for_older_cpus_is_told_with_the_one_to_choose() {
        let text = |chosen: &str, best| core_text(Some(chosen.into()), best);
        for old in OPENBLAS_BEFORE_AVX2 {
            for (old, best) in [(old.to_owned(), "SkylakeX"), (old.to_uppercase(), "Haswell")] {
                let text = text(&old, Some(best));
                assert!(
                    text.starts_with(&old) && text.contains(&format!("OPENBLAS_CORETYPE={best} ")),
                    "{text}"
                );
            }
            assert_eq!(text(old, None), old, "the CPU is as old");
        }
        for new in ["Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids", "neoversen1", "a later one"]
        {
            assert_eq!(text(new, Some("SkylakeX")), new);
        }
        assert_eq!(core_text(None, Some("SkylakeX")), "kernel not told");
    }
}
