//! What a run left, read back.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nn_core::models::NamedTensor;
use nn_train::History;
use nn_train::metrics::ConfusionMatrix;
use nn_train::weights::read_weights;
use serde::Deserialize;

use crate::failure::Failure;
use crate::train::{HISTORY, MODEL};

/// A folder that `nn train` left, or a file of its `--json`.
#[derive(Debug)]
pub(crate) struct Run {
    /// What it is called in a picture: the folder's or the file's name.
    pub(crate) name: String,
    /// The file of figures.
    file: PathBuf,
    /// The folder, if it is one.
    folder: Option<PathBuf>,
    pub(crate) figures: Figures,
}

/// The part of a run's figures that is drawn. Whatever else the file holds is left alone.
#[derive(Debug, Deserialize)]
pub(crate) struct Figures {
    pub(crate) history: History,
    confusion_matrix: Option<Vec<Vec<u64>>>,
    pub(crate) data: Option<DataFacts>,
    pub(crate) config: Option<Options>,
}

/// What the images were.
#[derive(Debug, Deserialize)]
pub(crate) struct DataFacts {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// The classes' names.
    pub(crate) classes: Vec<String>,
}

/// The options that the network is asked again with.
#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    pub(crate) data: String,
    pub(crate) activation: String,
    pub(crate) dtype: String,
}

impl Run {
    /// Reads the figures of a run.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let folder = path.is_dir().then(|| path.to_owned());
        let file = folder.as_ref().map_or_else(|| path.to_owned(), |folder| folder.join(HISTORY));
        let text = fs::read(&file).map_err(|e| {
            Failure::other(match (&folder, e.kind()) {
                (Some(folder), ErrorKind::NotFound) => format!(
                    "{}: is no run of nn train: expected a file {HISTORY} in it",
                    folder.display()
                ),
                (None, ErrorKind::NotFound) => format!(
                    "{}: there is no such file; expected a folder that nn train left, or a file of its --json",
                    file.display()
                ),
                _ => format!("{}: cannot read: {e}", file.display()),
            })
        })?;
        let figures = serde_json::from_slice(&text).map_err(|e| {
            Failure::other(format_args!("{}: expected the figures of a run of nn train: {e}", file.display()))
        })?;
        let named = if folder.is_some() { path.file_name() } else { path.file_stem() };
        // `.` and `/` have no name of their own.
        let name = named.map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        Ok(Self { name, file, folder, figures })
    }

    /// The confusion matrix of the test images.
    pub(crate) fn matrix(&self) -> Result<ConfusionMatrix, Failure> {
        let file = self.file.display();
        let rows = self.figures.confusion_matrix.as_deref().unwrap_or_default();
        let matrix =
            ConfusionMatrix::from_rows(rows).map_err(|e| Failure::other(format_args!("{file}: {e}")))?;
        if matrix.total() == 0 {
            return Err(Failure::other(format_args!(
                "{file}: has no test figures: expected a confusion matrix of one test image or more"
            )));
        }
        Ok(matrix)
    }

    /// The classes' names, as far as they are known.
    pub(crate) fn classes(&self) -> &[String] {
        self.figures.data.as_ref().map_or(&[], |data| &data.classes)
    }

    /// The trained weights, in order of their names.
    pub(crate) fn weights(&self) -> Result<Vec<NamedTensor<f64>>, Failure> {
        Ok(read_weights(&self.model()?)?)
    }

    /// The file of the trained weights.
    pub(crate) fn model(&self) -> Result<PathBuf, Failure> {
        let model = self.folder.as_ref().map(|folder| folder.join(MODEL)).ok_or_else(|| {
            Failure::other(format_args!(
                "{}: holds figures, no weights; name the folder of the run instead (nn train --out DIR)",
                self.file.display()
            ))
        })?;
        Ok(model)
    }

    /// An error about the figures.
    pub(crate) fn wrong(&self, problem: impl std::fmt::Display) -> Failure {
        Failure::other(format_args!("{}: {problem}", self.file.display()))
    }
}
