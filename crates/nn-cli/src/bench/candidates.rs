//! Which backends are measured.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use nn_core::backend::blas::known_names;
use nn_core::backend::{Backend, BackendKind, Choice};
use nn_core::{Result, Scalar};
use serde::Serialize;

/// A backend that is there.
#[derive(Debug)]
pub(super) struct Candidate<T> {
    pub(super) name: String,
    pub(super) backend: Arc<dyn Backend<T>>,
}

/// A backend that nobody named and that is not there.
#[derive(Debug, Serialize)]
pub(super) struct LeftOut {
    pub(super) name: String,
    why: String,
}

/// Opens the backends that were named, or all that are there.
///
/// # Errors
/// If one that was named is not there.
pub(super) fn candidates<T: Scalar>(
    kinds: &[BackendKind],
    libraries: &[String],
) -> Result<(Vec<Candidate<T>>, Vec<LeftOut>)> {
    let named = named(kinds, libraries);
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    for choice in &named {
        found.push(Candidate { name: name(choice), backend: choice.open()? });
    }
    if named.is_empty() || kinds.contains(&BackendKind::Auto) {
        for choice in all().filter(|choice| !named.contains(choice)) {
            let name = name(&choice);
            match choice.open() {
                Ok(backend) => found.push(Candidate { name, backend }),
                Err(why) => left_out.push(LeftOut { name, why: why.to_string() }),
            }
        }
    }
    Ok((found, left_out))
}

/// Those that were named, each once. Libraries without the kind that has them imply it.
fn named(kinds: &[BackendKind], libraries: &[String]) -> Vec<Choice> {
    let implied = (!libraries.is_empty() && !kinds.contains(&BackendKind::Blas)).then_some(BackendKind::Blas);
    let mut choices: Vec<Choice> = Vec::new();
    for kind in kinds.iter().copied().chain(implied).filter(|kind| *kind != BackendKind::Auto) {
        let of_kind = match kind {
            BackendKind::Blas if !libraries.is_empty() => libraries.iter().cloned().map(Some).collect(),
            _ => vec![None],
        };
        for blas in of_kind {
            let choice = Choice { kind, blas, ..Choice::default() };
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
    }
    choices
}

/// All there could be but the three loops of `naive`, which take a hundred times as long as the others.
fn all() -> impl Iterator<Item = Choice> {
    let own = [BackendKind::Simd, BackendKind::Ndarray].map(|kind| Choice { kind, ..Choice::default() });
    let linked = cfg!(feature = "openblas-system").then_some("linked");
    let libraries = linked.into_iter().chain(known_names()).map(|name| Choice {
        kind: BackendKind::Blas,
        blas: Some(name.to_owned()),
        ..Choice::default()
    });
    own.into_iter().chain(libraries)
}

/// `simd`, `blas (openblas)`; of a file its name alone, as its description says where it is.
fn name(choice: &Choice) -> String {
    match &choice.blas {
        Some(library) => {
            let file = Path::new(library).file_name().unwrap_or(OsStr::new(library));
            format!("{} ({})", choice.kind, file.display())
        }
        None => choice.kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kinds: &[BackendKind], libraries: &[&str]) -> Vec<String> {
        let libraries: Vec<String> = libraries.iter().map(ToString::to_string).collect();
        named(kinds, &libraries).iter().map(name).collect()
    }

    #[test]
    fn each_library_is_a_backend_and_what_is_named_twice_is_measured_once() {
        use BackendKind::{Auto, Blas, Ndarray, Simd};
        assert_eq!(names(&[Simd, Ndarray, Simd], &[]), ["simd", "ndarray"]);
        assert_eq!(names(&[], &["mkl"]), ["blas (mkl)"]);
        assert_eq!(names(&[Simd], &["mkl", "a/b.so", "mkl"]), ["simd", "blas (mkl)", "blas (b.so)"]);
        assert_eq!(names(&[Blas, Simd], &["mkl"]), ["blas (mkl)", "simd"]);
        assert_eq!(names(&[Blas], &[]), ["blas"]);
        assert!(names(&[Auto], &[]).is_empty() && names(&[], &[]).is_empty());
    }

    #[test]
    fn without_names_simd_comes_first_and_every_known_library_is_found_or_left_out() -> Result<()> {
        let (found, left_out) = candidates::<f32>(&[], &[])?;
        let found: Vec<_> = found.iter().map(|candidate| candidate.name.as_str()).collect();
        assert_eq!(found[..2], ["simd", "ndarray"]);
        for library in known_names() {
            let name = format!("blas ({library})");
            let missing = left_out.iter().any(|left| left.name == name && !left.why.is_empty());
            assert!(found.contains(&name.as_str()) != missing, "{name}: {found:?}, {left_out:?}");
        }
        Ok(())
    }
}
