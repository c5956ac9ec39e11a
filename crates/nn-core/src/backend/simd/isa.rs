//! Which instruction sets there are, and which of them this CPU has.

use std::fmt;

use crate::{Error, Result};

/// The environment variable that restricts the choice to one instruction set.
pub(super) const VARIABLE: &str = "NN_ISA";

/// An instruction set that there are kernels for, best first.
///
/// ```
/// use nn_core::backend::simd::Isa;
/// assert!(Isa::available().contains(&Isa::Portable));
/// assert_eq!(Isa::parse("avx2")?, Isa::Avx2);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// x86-64 with AVX-512F, and AMX for products of bytes with `f32`: 512-bit vectors, and tiles of 16 × 32 numbers in bf16.
    Amx,
    /// x86-64 with AVX-512F: 512-bit vectors.
    Avx512,
    /// x86-64 with AVX2 and FMA: 256-bit vectors.
    Avx2,
    /// AArch64 with Advanced SIMD: 128-bit vectors.
    Neon,
    /// Plain Rust: what the compiler makes of arrays, on any CPU.
    Portable,
}

impl Isa {
    /// All of them, best first.
    pub const ALL: [Self; 5] = [Self::Amx, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Those that this CPU has, best first. `Portable` is always the last.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The best one that this CPU has.
    pub fn detect() -> Self {
        Self::ALL.into_iter().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this CPU has it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Amx => super::tiled::is_available(),
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Neon => false,
            Self::Portable => true,
        }
    }

    /// Whether this CPU has it.
    #[cfg(target_arch = "aarch64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Amx | Self::Avx512 | Self::Avx2 => false,
            Self::Portable => true,
        }
    }

    /// Whether this CPU has it.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// From the name that [`name`](Self::name) gives.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|isa| isa.name() == name).ok_or_else(|| {
            Error::invalid(format_args!(
                "instruction set \"{name}\": expected one of {}",
                Self::ALL.map(Self::name).join(", ")
            ))
        })
    }

    /// The name that people write: `amx`, `avx512`, `avx2`, `neon`, `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// The one whose vectors its kernels work with: AVX-512 with AMX, itself otherwise.
    ///
    /// ```
    /// use nn_core::backend::simd::Isa;
    /// assert_eq!(Isa::Amx.vectors(), Isa::Avx512);
    /// assert_eq!(Isa::Neon.vectors(), Isa::Neon);
    /// ```
    pub fn vectors(self) -> Self {
        match self {
            Self::Amx => Self::Avx512,
            _ => self,
        }
    }

    /// The CPU features that it needs, as their makers write them.
    pub(super) fn features(self) -> &'static str {
        match self {
            Self::Amx => "AVX-512F+AMX-BF16",
            Self::Avx512 => "AVX-512F",
            Self::Avx2 => "AVX2+FMA",
            Self::Neon => "NEON",
            Self::Portable => "portable",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.features())
    }
}
