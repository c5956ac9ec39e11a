//! What a person sees while the network trains: a bar on stderr where that is a terminal, a line per epoch on stdout.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use nn_core::Scalar;
use nn_train::{BatchEnd, Callback, EpochEnd, Flow, Result, TrainBegin, Trainable};

use crate::render::grouped;
use crate::screen::Screen;

/// Prints while training goes on, and adds up the times.
pub(crate) struct Progress<'a> {
    screen: &'a mut Screen,
    bar: ProgressBar,
    stop_unread: bool,
    times: Times,
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// Seconds spent on updates.
    pub(crate) training_seconds: f64,
    /// Seconds spent on measuring after each epoch.
    pub(crate) evaluation_seconds: f64,
    /// Rows trained on, each as often as it was.
    pub(crate) rows: usize,
}

impl Times {
    /// Rows trained on per second of updates; 0 before there were any.
    pub(crate) fn images_per_second(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.rows as f64 / self.training_seconds }
    }
}

impl<'a> Progress<'a> {
    /// `stop_unread`: whether training is for the reader alone, and may stop when the reader goes away.
    pub(crate) fn new(screen: &'a mut Screen, quiet: bool, stop_unread: bool) -> Self {
        let visible = !quiet && io::stderr().is_terminal();
        let bar =
            if visible { ProgressBar::new(0).with_style(bar_style(screen)) } else { ProgressBar::hidden() };
        Self { screen, bar, stop_unread, times: Times::default() }
    }

    /// Clears the bar.
    pub(crate) fn finish(self) -> Times {
        self.bar.finish_and_clear();
        self.times
    }

    fn flow(&self) -> Flow {
        if self.stop_unread && self.screen.is_closed() { Flow::Stop } else { Flow::Continue }
    }
}

fn bar_style(screen: &Screen) -> ProgressStyle {
    let template = "{prefix} {bar:30} {pos}/{len}  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars(screen.style.or_ascii("█▉▊▋▌▍▎▏ ", "#>-"))
}

impl<T: Scalar> Callback<T> for Progress<'_> {
    fn on_train_begin(&mut self, train: &TrainBegin) -> Result<()> {
        self.bar.set_length(train.train_rows as u64);
        Ok(())
    }

    fn on_batch_end(&mut self, batch: &BatchEnd) -> Result<Flow> {
        if !self.bar.is_hidden() {
            self.bar.set_prefix(format!("epoch {}/{}", batch.epoch + 1, batch.epochs));
            self.bar.set_message(format!(
                "loss {:.4}  accuracy {:.2} %  {} images/s",
                batch.loss,
                100.0 * batch.accuracy,
                grouped(batch.rows_per_second as usize)
            ));
            self.bar.set_position(batch.rows_done as u64);
        }
        Ok(Flow::Continue)
    }

    fn on_epoch_end(&mut self, epoch: &EpochEnd<'_>, _: &dyn Trainable<T>) -> Result<Flow> {
        self.times.training_seconds += epoch.training_seconds;
        self.times.evaluation_seconds += epoch.evaluation_seconds;
        self.times.rows += epoch.rows;
        let (bar, screen) = (&self.bar, &mut *self.screen);
        bar.suspend(|| screen.print(line(epoch)));
        Ok(self.flow())
    }
}

/// An epoch's figures, in columns that stay under each other from epoch to epoch.
fn line(epoch: &EpochEnd<'_>) -> String {
    let width = epoch.epochs.to_string().len();
    let mut text = format!("epoch {:>width$}/{}", epoch.epoch + 1, epoch.epochs);
    for (prefix, name) in [("", ""), ("val_", "validation "), ("test_", "test ")] {
        let last = |figure: &str| epoch.history.last(&format!("{prefix}{figure}"));
        if let (Some(loss), Some(accuracy)) = (last("loss"), last("accuracy")) {
            text += &format!("  {name}loss {loss:.4} accuracy {:5.2} %", 100.0 * accuracy);
        }
    }
    let rate = epoch.rows as f64 / epoch.training_seconds.max(f64::MIN_POSITIVE);
    text + &format!("  {:5.2} s  {:>7} images/s", epoch.training_seconds, grouped(rate as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn_train::History;

    #[test]
    fn an_epochs_line_shows_what_was_measured_and_nothing_else() {
        let mut history = History::default();
        for (name, value) in [("loss", 0.25), ("accuracy", 0.9), ("test_loss", 0.5), ("test_accuracy", 1.0)] {
            history.push(name, value);
        }
        let epoch = EpochEnd {
            epoch: 8,
            epochs: 10,
            history: &history,
            rows: 60_000,
            training_seconds: 2.0,
            evaluation_seconds: 0.5,
        };
        assert_eq!(
            line(&epoch),
            "epoch  9/10  loss 0.2500 accuracy 90.00 %  test loss 0.5000 accuracy 100.00 %   2.00 s   30 000 images/s"
        );
    }
}
