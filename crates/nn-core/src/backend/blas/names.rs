//! What a BLAS's name stands for: the files that may hold it on this system, and how to get it.

use std::fmt::Write as _;

use crate::{Error, Result};

/// A library that is known by name.
struct Named {
    name: &'static str,
    files: &'static [&'static str],
    remedy: &'static str,
}

/// In the order in which `auto` tries them.
const NAMED: [Named; 4] = [
    Named {
        name: "openblas",
        files: if cfg!(target_os = "macos") {
            &[
                "libopenblas.0.dylib",
                "/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
                "/usr/local/opt/openblas/lib/libopenblas.dylib",
            ]
        } else if cfg!(windows) {
            &["libopenblas.dll", "openblas.dll"]
        } else {
            &["libopenblas.so.0", "libopenblas.so", "libopenblasp.so.0"]
        },
        remedy: "apt install libopenblas0-pthread (Debian, Ubuntu), dnf install openblas-threads (Fedora), brew install \
                 openblas (macOS)",
    },
    Named {
        name: "blis",
        files: if cfg!(target_os = "macos") {
            &[
                "libblis.4.dylib",
                "libblis.dylib",
                "/opt/homebrew/lib/libblis.dylib",
                "/usr/local/lib/libblis.dylib",
            ]
        } else if cfg!(windows) {
            &["libblis.dll"]
        } else {
            &["libblis.so.4", "libblis.so.3", "libblis.so", "libblis-mt.so"]
        },
        remedy: "apt install libblis4-pthread (Debian, Ubuntu), dnf install blis-threads (Fedora), brew install blis \
                 (macOS)",
    },
    Named {
        name: "mkl",
        files: if cfg!(target_os = "macos") {
            &["libmkl_rt.2.dylib", "libmkl_rt.dylib"]
        } else if cfg!(windows) {
            &["mkl_rt.3.dll", "mkl_rt.2.dll", "mkl_rt.dll"]
        } else {
            &["libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so"]
        },
        remedy: "pip install mkl and give the path of its libmkl_rt, or apt install libmkl-rt (Debian non-free, Ubuntu)",
    },
    Named {
        name: "accelerate",
        files: if cfg!(target_os = "macos") {
            &["/System/Library/Frameworks/Accelerate.framework/Accelerate"]
        } else {
            &[]
        },
        remedy: "it is a part of macOS and of no other system",
    },
];

/// The names of the libraries that may be found on this system, in the order in which `auto` tries them.
///
/// ```
/// assert!(nn_core::backend::blas::known_names().any(|name| name == "openblas"));
/// ```
pub fn known_names() -> impl Iterator<Item = &'static str> {
    NAMED.iter().filter(|named| !named.files.is_empty()).map(|named| named.name)
}

/// Opens the first file that `name` stands for and `open` accepts.
pub(super) fn open_first<U>(name: &str, open: impl Fn(&str) -> Result<U>) -> Result<U> {
    let named: Vec<&Named> = NAMED.iter().filter(|named| name == "auto" || named.name == name).collect();
    if named.is_empty() {
        if !is_file(name) {
            return Err(Error::invalid(format_args!(
                "blas: {name:?} is neither a known library nor a file; expected openblas, blis, mkl, accelerate, auto, \
                 linked, or a file such as libopenblas.so.0 or /opt/lib/libblis.so"
            )));
        }
        return open(name).map_err(|error| Error::unavailable(format_args!("blas: {error}")));
    }
    let mut answers = Vec::new();
    for file in named.iter().flat_map(|named| named.files) {
        match open(file) {
            Ok(opened) => return Ok(opened),
            Err(error) => answers.push(error.to_string()),
        }
    }
    let mut message = match name {
        "auto" => String::from("blas: no library was found"),
        _ => format!("blas: {name} was not found"),
    };
    if !answers.is_empty() {
        let _ = write!(message, ". Looked for: {}", answers.join("; "));
    }
    for named in named.iter().filter(|named| name != "auto" || !named.files.is_empty()) {
        let _ = write!(message, ". To get {}: {}", named.name, named.remedy);
    }
    Err(Error::unavailable(message))
}

/// Whether this is meant as a file: a path, or a name as the loader knows libraries.
fn is_file(name: &str) -> bool {
    name.contains(['/', '\\']) || [".so", ".dylib", ".dll"].iter().any(|ending| name.contains(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_lists_every_file_that_was_tried_with_the_answer_and_the_remedy() {
        let nothing = |file: &str| Err::<(), _>(Error::unavailable(format_args!("{file}: not there")));
        for named in &NAMED {
            let message = open_first(named.name, nothing).expect_err("nothing opens").to_string();
            for file in named.files {
                assert!(message.contains(&format!("{file}: not there")), "{file} is missing from: {message}");
            }
            assert!(message.contains(named.remedy), "{message}");
        }
        let message = open_first("auto", nothing).expect_err("nothing opens").to_string();
        for name in known_names() {
            assert!(message.contains(&format!("To get {name}: ")), "{name} is missing from: {message}");
        }
    }

    #[test]
    fn a_file_that_is_refused_does_not_keep_the_next_one_from_being_tried() {
        let wanted = NAMED[0].files[1];
        let opened = open_first(NAMED[0].name, |file| {
            if file == wanted { Ok(file.to_owned()) } else { Err(Error::unavailable("refused")) }
        });
        assert_eq!(opened.as_deref(), Ok(wanted));
    }
}
