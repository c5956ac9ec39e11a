//! How training came to its end, and what that means for the program.

use std::path::Path;

use nn_core::Scalar;
use nn_train::Ending;

use super::callbacks::Callbacks;
use crate::failure::Failure;
use crate::report::Fact;

/// How training ended. Epochs and batches count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it was meant to.
    Done,
    /// By Ctrl-C, here.
    Interrupted { place: String, epochs: usize },
    /// With a loss that is not finite.
    Diverged { epoch: usize, batch: usize },
}

impl Outcome {
    /// `epochs`: how many training was to have in all.
    pub(super) fn new<T: Scalar>(ending: Ending, callbacks: &Callbacks<T>, epochs: usize) -> Self {
        match (callbacks.nan.found(), interrupted_in(ending)) {
            (Some((epoch, batch)), _) => Self::Diverged { epoch: epoch + 1, batch: batch + 1 },
            (None, Some(place)) if callbacks.interrupt.is_set() => Self::Interrupted { place, epochs },
            _ => Self::Done,
        }
    }

    /// For the page: name and value; none if all went well.
    pub(super) fn fact(&self) -> Option<Fact> {
        let (name, text) = match self {
            Self::Done => return None,
            Self::Interrupted { place, epochs } => ("interrupted", format!("{place} of {epochs}")),
            Self::Diverged { epoch, batch } => ("diverged", format!("in batch {batch} of epoch {epoch}")),
        };
        Some((name.to_owned(), text))
    }

    /// What the program ends with. `saved`: whether history and weights are; `checkpoint`: the one that the run left.
    pub(super) fn result(&self, saved: bool, checkpoint: Option<&Path>) -> Result<(), Failure> {
        let saved = if saved { "; what was trained until then is saved" } else { "" };
        let left = |path: &Path| match self {
            Self::Diverged { .. } => {
                format!("; {} is the last checkpoint before that", path.display())
            }
            _ => format!("; go on with --resume {}", path.display()),
        };
        let left = checkpoint.map_or(String::new(), left);
        match self {
            Self::Done => Ok(()),
            Self::Interrupted { place, epochs } => {
                Err(Failure::other(format_args!("interrupted {place} of {epochs}{saved}{left}")))
            }
            Self::Diverged { epoch, batch } => Err(Failure::other(format_args!(
                "training diverged: the loss is not finite in batch {batch} of epoch {epoch}; lower --lr, or limit the \
                 gradients with --clip-norm{saved}{left}"
            ))),
        }
    }
}

/// Where training ended, if it was before its end.
fn interrupted_in(ending: Ending) -> Option<String> {
    match ending {
        Ending::Finished => None,
        Ending::StoppedAfter { epoch } => Some(format!("after epoch {}", epoch + 1)),
        Ending::StoppedWithin { epoch, batches } => {
            let unit = if batches == 1 { "batch" } else { "batches" };
            Some(format!("after {batches} {unit} of epoch {}", epoch + 1))
        }
    }
}
