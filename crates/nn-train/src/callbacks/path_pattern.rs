//! File names that say which epoch they are of.

use std::path::PathBuf;

use crate::{Error, History, Result};

/// A path with places for the epoch and for figures: `run/{epoch:03}-{val_loss:.2}.safetensors`.
#[derive(Debug, Clone)]
pub(crate) struct PathPattern {
    path: PathBuf,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    /// The epoch, counted from 1, with zeros before it up to this width.
    Epoch(usize),
    /// A figure with so many digits after the point.
    Figure(String, usize),
}

/// Digits of a figure that has no precision of its own.
const DIGITS: usize = 4;

impl PathPattern {
    /// A path. It is read where there are braces in it, and taken as it is otherwise, whatever its encoding.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, parts: Vec::new() }
    }

    /// Reads the places; `figures`: the names that there may be.
    pub(crate) fn read(&mut self, figures: &[String]) -> Result<()> {
        self.parts.clear();
        let Some(mut text) = self.path.to_str().filter(|text| text.contains('{')) else { return Ok(()) };
        let wrong = |problem: String| Err(Error::format(&self.path, problem));
        let mut parts = Vec::new();
        while let Some((before, after)) = text.split_once('{') {
            let Some((place, rest)) = after.split_once('}') else {
                return wrong("expected a } after the { in the file's name".to_owned());
            };
            parts.push(Part::Text(before.to_owned()));
            let (name, format) = place.split_once(':').unwrap_or((place, ""));
            parts.push(match (name, format, format.strip_prefix('.').map(str::parse)) {
                ("epoch", "", _) => Part::Epoch(0),
                ("epoch", width, _) if width.parse().is_ok_and(|w: usize| w <= 20) => {
                    Part::Epoch(width.parse().unwrap_or(0))
                }
                (figure, "", _) if figures.iter().any(|f| f == figure) => Part::Figure(figure.to_owned(), DIGITS),
                (figure, _, Some(Ok(digits))) if digits <= 20 && figures.iter().any(|f| f == figure) => {
                    Part::Figure(figure.to_owned(), digits)
                }
                _ => {
                    return wrong(format!(
                        "{{{place}}} in the file's name: expected {{epoch}}, {{epoch:03}}, or a figure such as \
                         {{loss:.2}}; there are {}",
                        figures.join(", ")
                    ));
                }
            });
            text = rest;
        }
        parts.push(Part::Text(text.to_owned()));
        self.parts = parts;
        Ok(())
    }

    /// A path in the directory that is known to be written to whatever the epoch: the path itself where it has no places,
    /// else one that begins as all do.
    pub(crate) fn probe(&self) -> PathBuf {
        match self.parts.first() {
            Some(Part::Text(text)) => format!("{text}0").into(),
            _ => self.path.clone(),
        }
    }

    /// The path of an epoch, counted from 0.
    pub(crate) fn of(&self, epoch: usize, history: &History) -> PathBuf {
        if self.parts.is_empty() {
            return self.path.clone();
        }
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Epoch(width) => format!("{:0width$}", epoch + 1),
            Part::Figure(name, digits) => format!("{:.digits$}", history.last(name).unwrap_or(f64::NAN)),
        };
        self.parts.iter().map(part).collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn path(pattern: &str) -> Result<PathBuf> {
        let mut pattern = PathPattern::new(pattern.into());
        pattern.read(&["loss".to_owned(), "val_loss".to_owned()])?;
        let mut history = History::default();
        history.push("loss", 0.5);
        history.push("val_loss", 1.25);
        Ok(pattern.of(8, &history))
    }

    #[test]
    fn epochs_count_from_one_and_figures_have_the_digits_asked_for() -> Result<()> {
        for (pattern, expected) in [
            ("a.safetensors", "a.safetensors"),
            ("{epoch}", "9"),
            ("run/{epoch:03}-{val_loss:.1}.safetensors", "run/009-1.2.safetensors"),
            ("{loss}{epoch:2}", "0.500009"),
            ("a}b{epoch}", "a}b9"),
        ] {
            assert_eq!(path(pattern)?, Path::new(expected), "{pattern}");
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_filled_in_is_an_error_that_says_what_can() {
        for wrong in [
            "{epoch",
            "{",
            "{}",
            "{accuracy}",
            "{epoch:x}",
            "{epoch:.2}",
            "{loss:3}",
            "{loss:.x}",
            "{epoch:999}",
        ] {
            let message = path(wrong).map_err(|e| e.to_string());
            assert!(
                message
                    .as_ref()
                    .is_err_and(|m| m.contains("expected a }") || m.contains("there are loss, val_loss")),
                "{wrong}: {message:?}"
            );
        }
    }
}
