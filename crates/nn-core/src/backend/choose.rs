//! From what a person writes (`--backend blas --blas openblas`) to a backend, and the list of all there are.

use std::any::Any;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::blas::{Blas, Threading, known_names};
use super::simd::Simd;
use super::{Backend, Description, Naive, Ndarray};
use crate::{Error, Result, Scalar};

/// A backend by name.
///
/// ```
/// use nn_core::backend::BackendKind;
/// assert_eq!("ndarray".parse(), Ok(BackendKind::Ndarray));
/// assert_eq!(BackendKind::Blas.to_string(), "blas");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BackendKind {
    /// The default: `simd`, or `blas` where a library was named.
    #[default]
    Auto,
    /// Our own kernels.
    Simd,
    /// ndarray's.
    Ndarray,
    /// A BLAS library's.
    Blas,
    /// Three loops.
    Naive,
}

impl BackendKind {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Simd, Self::Ndarray, Self::Blas, Self::Naive];

    /// The name that people write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Simd => "simd",
            Self::Ndarray => "ndarray",
            Self::Blas => "blas",
            Self::Naive => "naive",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == s).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            Error::invalid(format_args!("backend: expected one of {}, found {s:?}", names.join(", ")))
        })
    }
}

/// Which backend to use, in words.
///
/// ```
/// use nn_core::backend::{BackendKind, Choice};
/// let choice = Choice { kind: BackendKind::Naive, ..Choice::default() };
/// assert_eq!(choice.open::<f32>()?.describe().backend, "naive");
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// The kind.
    pub kind: BackendKind,
    /// For `blas`: the library's name or file, as [`Blas::open`] takes it. Without it the linked library where there
    /// is one in this build, else the first that is found.
    pub blas: Option<String>,
    /// For `blas`: the threads of one call.
    pub threading: Threading,
}

impl Choice {
    /// Opens the backend.
    ///
    /// # Errors
    /// If it is not available in this build or on this machine, or if a BLAS or its threads were named for a backend
    /// that has none.
    pub fn open<T: Scalar>(&self) -> Result<Arc<dyn Backend<T>>> {
        let blas_options = self.blas.is_some() || self.threading != Threading::OnePerCall;
        match self.kind {
            BackendKind::Blas => Ok(Arc::new(self.open_blas()?)),
            BackendKind::Auto if self.blas.is_some() => Ok(Arc::new(self.open_blas()?)),
            kind if blas_options => Err(Error::invalid(format_args!(
                "backend {kind}: a BLAS library or its threads were chosen, which only backend blas has; leave them out \
                 or choose blas"
            ))),
            BackendKind::Auto | BackendKind::Simd => open_simd(),
            BackendKind::Ndarray => Ok(Arc::new(Ndarray)),
            BackendKind::Naive => Ok(Arc::new(Naive)),
        }
    }

    fn open_blas(&self) -> Result<Blas> {
        match &self.blas {
            Some(name) => Blas::open_with(name, self.threading),
            None if cfg!(feature = "openblas-system") => Blas::linked_with(self.threading),
            None => Blas::open_with("auto", self.threading),
        }
    }
}

/// The `simd` backend for `T`, which it has kernels for if `T` is `f32` or `f64`; no other type is a [`Scalar`].
fn open_simd<T: Scalar>() -> Result<Arc<dyn Backend<T>>> {
    let simd = Arc::new(Simd::from_env()?);
    let (single, double): (Arc<dyn Backend<f32>>, Arc<dyn Backend<f64>>) = (simd.clone(), simd);
    let candidates: [&dyn Any; 2] = [&single, &double];
    let found = candidates.into_iter().find_map(|b| b.downcast_ref::<Arc<dyn Backend<T>>>());
    found.cloned().ok_or_else(|| Error::unavailable(format_args!("simd: no kernels for {}", T::NAME)))
}

/// One line of the list of backends.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What was looked at: a backend's name, and for `blas` the library's: `blas (openblas)`.
    pub name: String,
    /// What it is, or why it is not available.
    pub outcome: Result<Description>,
}

/// Looks at every backend: what is there, with what it says of itself, and what is not, with the reason.
///
/// ```
/// for found in nn_core::backend::survey() {
///     match found.outcome {
///         Ok(description) => println!("{}: {description}", found.name),
///         Err(why) => println!("{}: not available: {why}", found.name),
///     }
/// }
/// ```
pub fn survey() -> Vec<Found> {
    let own = [BackendKind::Simd, BackendKind::Ndarray, BackendKind::Naive].into_iter().map(|kind| Found {
        name: kind.name().into(),
        outcome: Choice { kind, ..Choice::default() }.open::<f32>().map(|backend| backend.describe()),
    });
    let blas = std::iter::once("linked").chain(known_names()).map(|name| Found {
        name: format!("blas ({name})"),
        outcome: Blas::open(name).map(|backend| Backend::<f32>::describe(&backend)),
    });
    own.chain(blas).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_what_it_prints() {
        for kind in BackendKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let message = "cuda".parse::<BackendKind>().expect_err("no such backend").to_string();
        assert!(message.contains("\"cuda\"") && message.contains("simd, ndarray, blas, naive"), "{message}");
    }

    #[test]
    fn a_blas_that_is_named_for_another_backend_is_an_error_and_not_ignored() {
        for kind in [BackendKind::Simd, BackendKind::Ndarray, BackendKind::Naive] {
            let choice = Choice { kind, blas: Some("openblas".into()), ..Choice::default() };
            assert!(matches!(choice.open::<f32>(), Err(Error::Invalid(_))), "{kind}");
        }
    }

    #[test]
    fn a_blas_that_is_not_there_is_an_error_and_nothing_takes_its_place() {
        for kind in [BackendKind::Blas, BackendKind::Auto] {
            let choice = Choice { kind, blas: Some("./no-such/libblas.so".into()), ..Choice::default() };
            assert!(matches!(choice.open::<f64>(), Err(Error::Unavailable(_))), "{kind}");
        }
    }

    #[test]
    fn the_default_is_simd_for_both_element_types() -> Result<()> {
        assert_eq!(Choice::default().open::<f32>()?.describe().backend, "simd");
        assert_eq!(Choice::default().open::<f64>()?.describe().backend, "simd");
        Ok(())
    }

    #[test]
    fn the_survey_accounts_for_every_backend_and_every_known_library() {
        let names: Vec<String> = survey().into_iter().map(|found| found.name).collect();
        for expected in ["simd", "ndarray", "naive", "blas (linked)"] {
            assert!(names.iter().any(|name| name == expected), "{expected} is missing: {names:?}");
        }
        for library in known_names() {
            assert!(names.contains(&format!("blas ({library})")), "{library} is missing: {names:?}");
        }
    }
}
