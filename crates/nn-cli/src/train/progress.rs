//! What a person sees while the network trains: a bar on stderr where that is a terminal, a line per epoch on stdout.

use std::io::{self, IsTerminal};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use nn_core::Scalar;
use nn_train::{BatchEnd, Callback, EpochEnd, Flow, History, Result, TrainBegin, Trainable};

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
    /// When the first update was about to begin, if there was any.
    pub(crate) first_step: Option<Instant>,
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
    fn on_train_begin(&mut self, train: &TrainBegin<'_>, _: &mut dyn Trainable<T>) -> Result<()> {
        self.bar.set_length(train.train_rows as u64);
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: usize, _: &mut dyn Trainable<T>) -> Result<()> {
        self.times.first_step.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn on_batch_end(&mut self, batch: &BatchEnd<'_>, _: &mut dyn Trainable<T>) -> Result<Flow> {
        if !self.bar.is_hidden() {
            self.bar.set_prefix(format!("epoch {}/{}", batch.epoch + 1, batch.epochs));
            self.bar.set_message(message(batch));
            self.bar.set_position(batch.rows_done() as u64);
        }
        Ok(Flow::Continue)
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>, _: &mut dyn Trainable<T>) -> Result<Flow> {
        self.times.training_seconds += epoch.training_seconds;
        self.times.evaluation_seconds += epoch.evaluation_seconds;
        self.times.rows += epoch.rows;
        let (bar, screen) = (&self.bar, &mut *self.screen);
        bar.suspend(|| screen.print(line(epoch)));
        Ok(self.flow())
    }
}

/// What stands beside the bar.
fn message(batch: &BatchEnd<'_>) -> String {
    let figures: String = batch.figures.iter().map(|(name, value)| figure(name, value) + "  ").collect();
    let rate = grouped(batch.rows_per_second() as usize);
    format!("{figures}{rate} images/s  ETA {}", clock(batch.seconds_left()))
}

/// What the names of figures begin with that were not measured while training, and how they are introduced.
const PARTS: [(&str, &str); 2] = [("val_", "validation "), ("test_", "test ")];

/// An epoch's figures, in columns that stay under each other from epoch to epoch.
fn line(epoch: &EpochEnd<'_>) -> String {
    let width = epoch.epochs.to_string().len();
    let (number, figures) = (epoch.epoch + 1, figures(epoch.history));
    let rate = epoch.rows as f64 / epoch.training_seconds.max(f64::MIN_POSITIVE);
    let (seconds, rate) = (epoch.training_seconds, grouped(rate as usize));
    format!("epoch {number:>width$}/{}{figures}  {seconds:5.2} s  {rate:>7} images/s", epoch.epochs)
}

/// The latest figures, part by part.
fn figures(history: &History) -> String {
    let mut text = String::new();
    let mut before = None;
    for (name, value) in history.latest() {
        let part = PARTS.into_iter().find(|(prefix, _)| name.starts_with(prefix));
        let (prefix, introduction) = part.unwrap_or_default();
        text += if before == Some(prefix) { " " } else { "  " };
        text += if before == Some(prefix) { "" } else { introduction };
        text += &figure(&name[prefix.len()..], value);
        before = Some(prefix);
    }
    text
}

/// A figure with its name: shares in per cent, learning rates in few digits, all else to four places.
fn figure(name: &str, value: f64) -> String {
    let words = name.replace('_', " ");
    let share = ["accuracy", "precision", "recall"].iter().any(|kind| name.contains(kind));
    match name {
        _ if share => format!("{words} {:5.2} %", 100.0 * value),
        "learning_rate" => format!("{words} {value:.2e}"),
        _ => format!("{words} {value:.4}"),
    }
}

/// Seconds as `1:05` or `1:02:03`.
fn clock(seconds: f64) -> String {
    let all = seconds.ceil() as u64;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn_train::History;

    fn history(figures: &[(&str, f64)]) -> History {
        let mut history = History::default();
        figures.iter().for_each(|(name, value)| history.push(name, *value));
        history
    }

    #[test]
    fn an_epochs_line_shows_what_was_measured_and_nothing_else() {
        let figures = [("loss", 0.25), ("accuracy", 0.9), ("test_loss", 0.5), ("test_accuracy", 1.0)];
        let epoch = EpochEnd {
            epoch: 8,
            epochs: 10,
            history: &mut history(&figures),
            rows: 60_000,
            training_seconds: 2.0,
            evaluation_seconds: 0.5,
            seconds: 22.5,
        };
        assert_eq!(
            line(&epoch),
            "epoch  9/10  loss 0.2500 accuracy 90.00 %  test loss 0.5000 accuracy 100.00 %   2.00 s   30 000 images/s"
        );
    }

    #[test]
    fn figures_of_any_name_are_shown_part_by_part() {
        let all = [
            ("loss", 1.0),
            ("digit_loss", 0.5),
            ("digit_top_5_accuracy", 0.995),
            ("val_loss", f64::NAN),
            ("val_recall_7", 0.5),
            ("learning_rate", 0.0005),
        ];
        assert_eq!(
            figures(&history(&all)),
            "  loss 1.0000 digit loss 0.5000 digit top 5 accuracy 99.50 %  validation loss NaN recall 7 50.00 %  learning \
             rate 5.00e-4"
        );
    }

    #[test]
    fn the_time_that_is_left_is_rounded_up_and_read_as_a_clock() {
        let names = ["loss".to_owned()].into();
        let figures =
            nn_core::models::Figures::new(&names, 250, [nn_core::models::Ratio { sum: 125.0, count: 250.0 }]);
        let batch = BatchEnd {
            epoch: 0,
            epochs: 1,
            batch: 1,
            batches: 8,
            rows: 1000,
            figures: &figures,
            seconds: 21.5,
        };
        assert_eq!(message(&batch), "loss 0.5000  11 images/s  ETA 1:05");
        assert_eq!(
            (clock(0.0), clock(59.1), clock(3723.0)),
            ("0:00".into(), "1:00".into(), "1:02:03".into())
        );
    }
}
