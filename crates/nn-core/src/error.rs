//! What can go wrong, each case with what was expected, what was found, and the remedy.

use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the engine.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes that don't fit. The message holds the op or layer, and both shapes.
    #[error("{0}")]
    Shape(String),
    /// A feed, fetch or option that can't be used as given.
    #[error("{0}")]
    Invalid(String),
    /// A backend that is not available in this build or on this machine.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// The same error with what it is about before it.
    #[cold]
    pub(crate) fn about(self, what: impl fmt::Display) -> Self {
        let longer = |message: String| format!("{what}: {message}");
        match self {
            Self::Shape(message) => Self::Shape(longer(message)),
            Self::Invalid(message) => Self::Invalid(longer(message)),
            Self::Unavailable(message) => Self::Unavailable(longer(message)),
        }
    }

    /// A shape error, from its message.
    #[cold]
    pub fn shape(message: impl fmt::Display) -> Self {
        Self::Shape(message.to_string())
    }

    /// A usage error, from its message.
    #[cold]
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::Invalid(message.to_string())
    }

    /// A missing-backend error, from its message.
    #[cold]
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Self::Unavailable(message.to_string())
    }
}
