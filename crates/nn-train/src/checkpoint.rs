//! Training that is stopped and goes on as if it had not been.

use std::fs;
use std::path::Path;

use nn_core::Scalar;
use nn_core::models::NamedTensor;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::files::write_atomically;
use crate::weights::{decode, encode};
use crate::{Error, History, Result};

/// The metadata entry of a checkpoint's safetensors file.
const KEY: &str = "nn-train checkpoint";
/// What that entry looks like; a reader refuses any other.
const FORMAT: u32 = 1;

/// A point to resume from: after so many epochs, the state of network and optimizer and what was measured.
///
/// A run resumed from it with [`initial_epoch`](crate::FitOptions::initial_epoch) = `epochs_done`, and otherwise the same
/// data and options, goes through the same bits as one that was never stopped. The file is safetensors: every variable
/// under its name, the rest as JSON in one metadata entry. [`ModelCheckpoint`](crate::callbacks::ModelCheckpoint) saves one
/// after each epoch.
///
/// What callbacks remember (how long early stopping has waited) is theirs, and begins anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint<T> {
    /// What to put back into the network.
    pub state: Vec<NamedTensor<T>>,
    /// What was measured so far.
    pub history: History,
    /// How many epochs are done: the number of the next one.
    pub epochs_done: usize,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    format: u32,
    dtype: String,
    epochs_done: usize,
    history: History,
}

impl<T: Scalar> Checkpoint<T> {
    /// Writes the checkpoint, whole or not at all.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let metadata = Metadata {
            format: FORMAT,
            dtype: T::NAME.to_owned(),
            epochs_done: self.epochs_done,
            history: self.history.clone(),
        };
        let metadata = serde_json::to_string(&metadata).map_err(|e| Error::format(path, e))?;
        write_atomically(path, &encode(path, &self.state, Some((KEY, metadata)))?)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file can't be read, is no checkpoint, or is one of another element type: the same bits could not follow.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|e| Error::file(path, "read", e))?;
        let (_, header) = SafeTensors::read_metadata(&bytes)
            .map_err(|e| Error::format(path, format_args!("expected a checkpoint: {e}")))?;
        let entry = header.metadata().as_ref().and_then(|entries| entries.get(KEY)).ok_or_else(|| {
            Error::format(path, "expected a checkpoint, found a safetensors file of something else")
        })?;
        let metadata: Metadata = serde_json::from_str(entry).map_err(|e| {
            Error::format(path, format_args!("a checkpoint whose metadata can't be read: {e}"))
        })?;
        if metadata.format != FORMAT || metadata.dtype != T::NAME {
            return Err(Error::format(
                path,
                format_args!(
                    "expected a checkpoint of format {FORMAT} in {}, found format {} in {}",
                    T::NAME,
                    metadata.format,
                    metadata.dtype
                ),
            ));
        }
        Ok(Self {
            state: decode(path, &bytes)?,
            history: metadata.history,
            epochs_done: metadata.epochs_done,
        })
    }
}
