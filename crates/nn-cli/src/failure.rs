//! Why the program ends without having done what it was asked to.

use std::process::ExitCode;

/// A message for stderr, and the exit status that goes with it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Options that contradict each other or the data: exit status 2.
    Usage(String),
    /// Anything else: exit status 1.
    Other(String),
}

impl Failure {
    pub(crate) fn usage(message: impl ToString) -> Self {
        Self::Usage(message.to_string())
    }

    pub(crate) fn other(message: impl ToString) -> Self {
        Self::Other(message.to_string())
    }

    /// Prints the message as one line and says what to exit with.
    pub(crate) fn report(&self) -> ExitCode {
        let (Self::Usage(message) | Self::Other(message)) = self;
        let parts: Vec<&str> = message.lines().map(str::trim).filter(|part| !part.is_empty()).collect();
        eprintln!("error: {}", parts.join("; "));
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Other(_) => ExitCode::from(1),
        }
    }
}

impl From<mnist_data::Error> for Failure {
    fn from(error: mnist_data::Error) -> Self {
        Self::other(error)
    }
}

impl From<nn_core::Error> for Failure {
    fn from(error: nn_core::Error) -> Self {
        Self::other(error)
    }
}

impl From<nn_train::Error> for Failure {
    fn from(error: nn_train::Error) -> Self {
        Self::other(error)
    }
}
