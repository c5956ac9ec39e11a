//! Which instruction set runs, and the shells in which kernels are compiled for each.

use super::isa::{Isa, VARIABLE};
use super::vector::{Element, Kernel, On, Runner};
use crate::{Error, Result};

/// Our own kernels, on one instruction set that this CPU has.
///
/// ```
/// use nn_core::backend::{Backend, simd::{Isa, Simd}};
/// let simd = Simd::with_isa(Isa::Portable)?;
/// assert_eq!(Backend::<f32>::describe(&simd).isa, "portable");
/// assert!(Isa::available().contains(&Simd::detect().isa()));
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simd {
    // Private, and set only after it was found to be available: that is what makes `run` sound.
    isa: Isa,
}

impl Simd {
    /// On the best instruction set that this CPU has.
    pub fn detect() -> Self {
        Self { isa: Isa::detect() }
    }

    /// On the instruction set that the environment variable `NN_ISA` names (`amx`, `avx512`, `avx2`, `neon`, `portable`), or on
    /// the best one if it is not set.
    ///
    /// # Errors
    /// If the variable names none, or one that this CPU lacks.
    pub fn from_env() -> Result<Self> {
        let Some(name) = std::env::var_os(VARIABLE) else { return Ok(Self::detect()) };
        let named = |error| Error::invalid(format_args!("{}: {error}", VARIABLE));
        Isa::parse(&name.to_string_lossy()).and_then(Self::with_isa).map_err(named)
    }

    /// On the given instruction set.
    ///
    /// # Errors
    /// If this CPU lacks it. The message says what it has.
    pub fn with_isa(isa: Isa) -> Result<Self> {
        if isa.is_available() {
            return Ok(Self { isa });
        }
        let found: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
        Err(Error::unavailable(format_args!(
            "simd: instruction set \"{}\" needs {}, which was not found on this {} CPU; available: {}",
            isa.name(),
            isa.features(),
            std::env::consts::ARCH,
            found.join(", ")
        )))
    }

    /// The instruction set in use.
    pub fn isa(self) -> Isa {
        self.isa
    }

    /// Runs a kernel on this instruction set.
    pub(super) fn run<T: Element, K: Kernel<T>>(self, kernel: K) -> K::Output {
        match self.isa {
            // SAFETY: a `Simd` with this instruction set exists only where it was found.
            #[cfg(target_arch = "x86_64")]
            Isa::Amx | Isa::Avx512 => unsafe { avx512(kernel) },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2(kernel) },
            // SAFETY: likewise.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon(kernel) },
            // SAFETY: the portable vectors need nothing.
            _ => kernel.run::<T::Portable>(unsafe { On::new() }),
        }
    }
}

impl<T: Element> Runner<T> for Simd {
    fn run<K: Kernel<T>>(&self, kernel: K) -> K::Output {
        Simd::run(*self, kernel)
    }
}

/// The shell in which kernels are compiled for AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512<T: Element, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: to be here is to have the feature that this function is compiled for.
    kernel.run::<T::Avx512>(unsafe { On::new() })
}

/// The shell in which kernels are compiled for AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Element, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: to be here is to have the features that this function is compiled for.
    kernel.run::<T::Avx2>(unsafe { On::new() })
}

/// The shell in which kernels are compiled for NEON.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon<T: Element, K: Kernel<T>>(kernel: K) -> K::Output {
    // SAFETY: to be here is to have the feature that this function is compiled for.
    kernel.run::<T::Neon>(unsafe { On::new() })
}
