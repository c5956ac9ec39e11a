//! What can go wrong around training, each case with what was expected, what was found, and the remedy.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the training loop, its metrics or its files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] nn_core::Error),
    /// Options, labels or tensors that can't be used as given.
    #[error("{0}")]
    Invalid(String),
    /// A file that can't be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was attempted: `read`, `write`, ….
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that can be read but isn't what it should be.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
}

impl Error {
    /// A usage error, from its message.
    #[cold]
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::Invalid(message.to_string())
    }

    /// An error about a file's contents, from its message.
    #[cold]
    pub fn format(path: &Path, problem: impl fmt::Display) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.to_string() }
    }

    #[cold]
    pub(crate) fn file(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), action, source }
    }
}
