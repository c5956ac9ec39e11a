//! Training that is stopped and goes on as if it had not been.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nn_core::Scalar;
use nn_core::models::NamedTensor;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::callbacks::BestWeights;
use crate::files::write_atomically;
use crate::weights::{decode, encode};
use crate::{Error, History, Result};

/// The metadata entry of a checkpoint's safetensors file.
const KEY: &str = "nn-train checkpoint";
/// What that entry looks like; a reader refuses any other.
const FORMAT: u32 = 1;
/// What the names of the best epoch's weights begin with in the file, beside those of the state.
const BEST: &str = "best weights/";

/// A point to resume from: after so many epochs, the state of network and optimizer and what was measured.
///
/// A run resumed from it with [`initial_epoch`](crate::FitOptions::initial_epoch) = `epochs_done`, and otherwise the same
/// data and options, goes through the same bits as one that was never stopped. The file is safetensors: every variable
/// under its name, the rest as JSON in one metadata entry. [`ModelCheckpoint`](crate::callbacks::ModelCheckpoint) saves one
/// after each epoch.
///
/// What callbacks remember is theirs. Those whose memory follows from what was measured take the history:
/// [`ReduceOnPlateau::earlier`](crate::callbacks::ReduceOnPlateau::earlier) and
/// [`EarlyStopping::earlier`](crate::callbacks::EarlyStopping::earlier), which wants the best weights too.
///
/// ```
/// use nn_core::models::NamedTensor;
/// use nn_train::History;
/// use nn_train::checkpoint::Checkpoint;
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("latest.safetensors");
/// let state = vec![NamedTensor { name: "dense/bias".into(), dims: vec![2], values: vec![0.5f32, -1.0] }];
/// let mut checkpoint = Checkpoint::new(state, History::default(), 3);
/// checkpoint.run.insert("seed".into(), "7".into());
/// checkpoint.save(&path)?;
/// assert_eq!(Checkpoint::load(&path)?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint<T> {
    /// What to put back into the network.
    pub state: Vec<NamedTensor<T>>,
    /// What was measured so far.
    pub history: History,
    /// How many epochs are done: the number of the next one.
    pub epochs_done: usize,
    /// The weights of the best epoch so far, where early stopping keeps them.
    pub best: Option<BestWeights<T>>,
    /// What the run was told, by names that mean something to the program that trains: whatever has to be the same for the
    /// same bits to follow. Nothing here looks at it.
    pub run: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    format: u32,
    dtype: String,
    epochs_done: usize,
    history: History,
    /// The figure that the best epoch is the best by.
    best_by: Option<String>,
    run: BTreeMap<String, String>,
}

impl<T: Scalar> Checkpoint<T> {
    /// A checkpoint without best weights, of a run that is not described.
    pub fn new(state: Vec<NamedTensor<T>>, history: History, epochs_done: usize) -> Self {
        Self { state, history, epochs_done, best: None, run: BTreeMap::new() }
    }

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
            best_by: self.best.as_ref().map(|best| best.monitor.clone()),
            run: self.run.clone(),
        };
        let metadata = serde_json::to_string(&metadata).map_err(|e| Error::format(path, e))?;
        let best = self.best.iter().flat_map(|best| &best.weights);
        let best =
            best.map(|tensor| NamedTensor { name: format!("{BEST}{}", tensor.name), ..tensor.clone() });
        let tensors: Vec<_> = self.state.iter().cloned().chain(best).collect();
        write_atomically(path, &encode(path, &tensors, Some((KEY, metadata)))?)
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
        let (mut state, mut weights) = (Vec::new(), Vec::new());
        for tensor in decode(path, &bytes)? {
            match tensor.name.strip_prefix(BEST) {
                Some(name) => weights.push(NamedTensor { name: name.to_owned(), ..tensor }),
                None => state.push(tensor),
            }
        }
        Ok(Self {
            state,
            history: metadata.history,
            epochs_done: metadata.epochs_done,
            best: metadata.best_by.map(|monitor| BestWeights { monitor, weights }),
            run: metadata.run,
        })
    }
}
