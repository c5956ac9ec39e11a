//! What TensorBoard shows of a training run.

use std::path::PathBuf;

use nn_core::Scalar;

use crate::tensorboard::EventWriter;
use crate::{Callback, EpochEnd, Flow, Result, TrainBegin, TrainEnd, Trainable};

/// The runs, as TensorBoard calls its folders, by the beginnings of their figures' names. What begins like none of the
/// others belongs to the last.
const RUNS: [(&str, &str); 3] = [("val_", "validation"), ("test_", "test"), ("", "train")];

/// Writes event files for TensorBoard into the folders `train`, `validation` and `test` of a directory, as far as there
/// are such figures, with the tags that Keras' callback uses: `epoch_loss`, `epoch_accuracy`, …, so that training and
/// validation share a chart. `train` also gets the graph, before the first epoch, and after each epoch a histogram of
/// every weight, under the weight's name.
///
/// A run that is resumed adds files to the same folders; TensorBoard reads them as one.
///
/// ```
/// use nn_train::callbacks::TensorBoard;
/// let events = TensorBoard::new("runs/first").histograms(false);
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    dir: PathBuf,
    histograms: bool,
    /// One for each of [`RUNS`] that has figures.
    writers: [Option<EventWriter>; RUNS.len()],
}

impl TensorBoard {
    /// Writes into folders of `dir`, which are made if need be.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), histograms: true, writers: [const { None }; RUNS.len()] }
    }

    /// With or without histograms of the weights; with them unless said otherwise.
    #[must_use]
    pub fn histograms(self, histograms: bool) -> Self {
        Self { histograms, ..self }
    }

    /// The writer of a run, which begins its file if it is the run's first.
    fn writer(&mut self, run: usize) -> Result<&mut EventWriter> {
        let writer = match self.writers[run].take() {
            Some(writer) => writer,
            None => EventWriter::create(&self.dir.join(RUNS[run].1))?,
        };
        Ok(self.writers[run].insert(writer))
    }
}

/// The number of the run that a figure belongs to, and the figure's name there.
fn run_of(figure: &str) -> (usize, &str) {
    let found = RUNS
        .iter()
        .enumerate()
        .find_map(|(run, (beginning, _))| figure.strip_prefix(beginning).map(|name| (run, name)));
    found.unwrap_or((RUNS.len() - 1, figure))
}

impl<T: Scalar> Callback<T> for TensorBoard {
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, network: &mut dyn Trainable<T>) -> Result<()> {
        self.writers = [const { None }; RUNS.len()];
        for figure in train.figures {
            self.writer(run_of(figure).0)?;
        }
        if let Some(graph) = network.graph() {
            let writer = self.writer(RUNS.len() - 1)?;
            writer.graph(graph)?;
            writer.flush()?;
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, network: &mut dyn Trainable<T>) -> Result<Flow> {
        let step = epoch.epoch as u64;
        for (figure, value) in epoch.history.latest() {
            let (run, name) = run_of(figure);
            self.writer(run)?.scalar(&format!("epoch_{name}"), step, value)?;
        }
        if self.histograms {
            let writer = self.writer(RUNS.len() - 1)?;
            for weight in network.weights() {
                writer.histogram(&weight.name, step, &weight.values)?;
            }
        }
        for writer in self.writers.iter_mut().flatten() {
            writer.flush()?;
        }
        Ok(Flow::Continue)
    }

    fn on_train_end(&mut self, _: &TrainEnd<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        self.writers = [const { None }; RUNS.len()];
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_belong_to_the_run_that_their_names_begin_with() {
        assert_eq!(run_of("loss"), (2, "loss"));
        assert_eq!(run_of("val_accuracy"), (0, "accuracy"));
        assert_eq!(run_of("test_loss"), (1, "loss"));
        assert_eq!(run_of("value"), (2, "value"));
    }
}
