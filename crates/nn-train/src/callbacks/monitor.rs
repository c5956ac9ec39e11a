//! A figure that is watched for getting better.

use crate::{Error, Result, TrainBegin};

/// Which way a figure gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As its name says: what ends in `loss`, `error` or `crossentropy` falls, what ends in `accuracy`, `precision` or `recall`
    /// rises, with or without the number of a class behind it. Another name is an error that asks for one of the other two.
    #[default]
    Auto,
    /// The smaller, the better.
    Min,
    /// The greater, the better.
    Max,
}

/// The last parts of names that say which way is better.
const FALLING: [&str; 3] = ["loss", "error", "crossentropy"];
const RISING: [&str; 3] = ["accuracy", "precision", "recall"];

/// A figure, which way it gets better, and by how much it must to count.
#[derive(Debug, Clone)]
pub(crate) struct Monitor {
    /// The figure's name.
    pub(crate) name: String,
    /// As it was asked for.
    pub(crate) mode: Mode,
    /// What a change must exceed to be an improvement; not negative.
    pub(crate) min_delta: f64,
    /// The best value so far; none before the first.
    pub(crate) best: Option<f64>,
    falls: bool,
}

impl Monitor {
    pub(crate) fn new(name: impl Into<String>, min_delta: f64) -> Self {
        Self { name: name.into(), mode: Mode::Auto, min_delta, best: None, falls: true }
    }

    /// Finds the figure and the way it gets better, and forgets the best value. `callback`: whose messages these are.
    pub(crate) fn begin(&mut self, callback: &str, train: &TrainBegin<'_>) -> Result<()> {
        let name = &self.name;
        if !train.figures.contains(name) {
            return Err(Error::invalid(format_args!(
                "{callback}: no figure is named \"{name}\"; there are {}",
                train.figures.join(", ")
            )));
        }
        if !(self.min_delta.is_finite() && self.min_delta >= 0.0) {
            return Err(Error::invalid(format_args!(
                "{callback}: expected a min_delta that is finite and not negative, found {}",
                self.min_delta
            )));
        }
        let kind = match name.rsplit_once('_') {
            Some((kind, class)) if class.bytes().all(|byte| byte.is_ascii_digit()) => kind,
            _ => name,
        };
        let ends_in = |kinds: &[&str]| kinds.contains(&kind.rsplit('_').next().unwrap_or(kind));
        self.falls = match self.mode {
            Mode::Min => true,
            Mode::Max => false,
            Mode::Auto if ends_in(&FALLING) => true,
            Mode::Auto if ends_in(&RISING) => false,
            Mode::Auto => {
                return Err(Error::invalid(format_args!(
                    "{callback}: \"{name}\" does not say whether less or more of it is better; expected Mode::Min or \
                     Mode::Max"
                )));
            }
        };
        self.best = None;
        Ok(())
    }

    /// Whether `value` is better than `reference` by more than `min_delta`. NaN never is.
    pub(crate) fn improves(&self, value: f64, reference: f64) -> bool {
        if self.falls { value + self.min_delta < reference } else { value - self.min_delta > reference }
    }

    /// Whether `value` is better than the best so far, and is the best from now on. The first value is, whatever it is; should
    /// it be NaN, so is the first number (in Keras nothing is better than NaN, so that nothing could be the best any more).
    pub(crate) fn improved(&mut self, value: f64) -> bool {
        let improves = match self.best {
            None => true,
            Some(best) if best.is_nan() => !value.is_nan(),
            Some(best) => self.improves(value, best),
        };
        if improves {
            self.best = Some(value);
        }
        improves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(name: &str, mode: Mode, min_delta: f64) -> Result<Monitor> {
        let figures = ["loss", "val_loss", "val_accuracy", "digit_top_5_accuracy", "recall_7", "glossy"]
            .map(str::to_owned);
        let train = TrainBegin {
            initial_epoch: 0,
            epochs: 1,
            batches: 1,
            train_rows: 1,
            validation_rows: 1,
            test_rows: 0,
            figures: &figures,
        };
        let mut monitor = Monitor { mode, ..Monitor::new(name, min_delta) };
        monitor.begin("early stopping", &train)?;
        Ok(monitor)
    }

    #[test]
    fn the_name_says_which_way_is_better_unless_the_mode_does() -> Result<()> {
        for (name, mode, falls) in [
            ("val_loss", Mode::Auto, true),
            ("loss", Mode::Auto, true),
            ("val_accuracy", Mode::Auto, false),
            ("digit_top_5_accuracy", Mode::Auto, false),
            ("recall_7", Mode::Auto, false),
            ("val_accuracy", Mode::Min, true),
            ("val_loss", Mode::Max, false),
            ("glossy", Mode::Max, false),
        ] {
            let monitor = begun(name, mode, 0.0)?;
            assert_eq!(monitor.improves(1.0, 2.0), falls, "{name}");
            assert_eq!(monitor.improves(2.0, 1.0), !falls, "{name}");
            assert!(!monitor.improves(1.0, 1.0), "{name}");
        }
        Ok(())
    }

    #[test]
    fn wrong_names_modes_and_deltas_are_named_with_what_there_is() {
        for (name, mode, delta, complaint) in [
            (
                "val_los",
                Mode::Auto,
                0.0,
                "early stopping: no figure is named \"val_los\"; there are loss, val_loss, val_accuracy, \
                 digit_top_5_accuracy, recall_7, glossy",
            ),
            ("glossy", Mode::Auto, 0.0, "expected Mode::Min or Mode::Max"),
            ("loss", Mode::Auto, -0.5, "found -0.5"),
            ("loss", Mode::Auto, f64::NAN, "found NaN"),
        ] {
            let message = begun(name, mode, delta).map(|_| ()).map_err(|e| e.to_string());
            assert!(message.as_ref().is_err_and(|m| m.contains(complaint)), "{message:?} for {complaint}");
        }
    }

    #[test]
    fn a_change_of_no_more_than_min_delta_and_a_nan_are_no_improvement() -> Result<()> {
        let mut falling = begun("loss", Mode::Auto, 0.25)?;
        let improved: Vec<bool> =
            [2.0, 1.75, 1.5, f64::NAN, f64::INFINITY, 1.0].map(|value| falling.improved(value)).into();
        assert_eq!(improved, [true, false, true, false, false, true]);
        let mut rising = begun("val_accuracy", Mode::Auto, 0.25)?;
        let improved: Vec<bool> = [0.25, 0.5, 0.75, f64::NAN].map(|value| rising.improved(value)).into();
        assert_eq!(improved, [true, false, true, false]);
        assert_eq!(rising.best, Some(0.75));
        Ok(())
    }

    #[test]
    fn the_first_value_is_the_best_so_far_and_a_nan_gives_way_to_a_number() -> Result<()> {
        let mut monitor = begun("loss", Mode::Auto, 1.0)?;
        let values = [f64::NAN, f64::NAN, f64::INFINITY, 5.0, 4.5, 3.5];
        assert_eq!(values.map(|value| monitor.improved(value)), [true, false, true, true, false, true]);
        Ok(())
    }
}
