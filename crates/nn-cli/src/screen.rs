//! Where everything that a person reads goes, and what may be used to draw it.

use std::io::{self, IsTerminal, Write};

use console::Term;

use crate::failure::Failure;

/// Columns to fill where there is no terminal to ask.
const WIDTH_WITHOUT_TERMINAL: usize = 100;

/// What may be used to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether it is a terminal at all.
    pub(crate) terminal: bool,
    /// Colours: only on a terminal, and not where `NO_COLOR` is set.
    pub(crate) colour: bool,
    /// Anything but ASCII: where the locale says UTF-8, unless `--ascii`.
    pub(crate) unicode: bool,
    /// Columns.
    pub(crate) width: usize,
}

impl Style {
    fn detect(ascii: bool) -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let terminal = Term::stdout();
        let is_terminal = io::stdout().is_terminal();
        let width =
            terminal.size_checked().map_or(WIDTH_WITHOUT_TERMINAL, |(_, columns)| usize::from(columns));
        Self {
            terminal: is_terminal,
            colour: is_terminal && variable("NO_COLOR").is_empty() && variable("TERM") != "dumb",
            unicode: !ascii && is_utf8(variable),
            width,
        }
    }

    /// Text in bold, where there are colours.
    pub(crate) fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The first text, or the second where only ASCII may be used.
    pub(crate) fn or_ascii<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }
}

/// Whether the locale's encoding is UTF-8: the first of these variables that is set decides (POSIX). Windows has no such
/// variables and Unicode terminals.
fn is_utf8(variable: impl Fn(&str) -> String) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable).into_iter().find(|value| !value.is_empty());
    let Some(locale) = locale else { return cfg!(windows) };
    let locale = locale.to_ascii_uppercase();
    locale.contains("UTF-8") || locale.contains("UTF8")
}

/// Standard output. A reader that goes away (`nn … | head`) is no error: what is printed later is dropped, and whoever
/// works for the reader alone asks [`is_closed`](Self::is_closed).
#[derive(Debug)]
pub(crate) struct Screen {
    /// What may be used to draw.
    pub(crate) style: Style,
    muted: bool,
    failure: Option<io::Error>,
}

impl Screen {
    pub(crate) fn new(ascii: bool) -> Self {
        Self { style: Style::detect(ascii), muted: false, failure: None }
    }

    /// Drops everything from now on.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
    }

    /// Prints a text of one or more lines.
    pub(crate) fn print(&mut self, text: impl AsRef<str>) {
        if self.muted || self.failure.is_some() {
            return;
        }
        let text = text.as_ref();
        let mut out = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.failure = write!(out, "{text}{end}").and_then(|()| out.flush()).err();
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.failure.is_some()
    }

    /// The error that a write met, if it was not merely a reader that went away.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        match self.failure.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::other(format_args!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf8(variables: &[(&str, &str)]) -> bool {
        is_utf8(|name| variables.iter().find(|v| v.0 == name).map_or(String::new(), |v| v.1.to_owned()))
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        assert!(utf8(&[("LANG", "de_DE.UTF-8")]));
        assert!(utf8(&[("LANG", "C.utf8")]));
        assert!(!utf8(&[("LANG", "C.UTF-8"), ("LC_ALL", "C")]));
        assert!(utf8(&[("LC_ALL", ""), ("LC_CTYPE", "en_US.UTF-8"), ("LANG", "C")]));
        assert_eq!(utf8(&[]), cfg!(windows));
    }
}
