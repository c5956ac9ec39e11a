//! A text file that grows by a line per epoch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::files::write_atomically;
use crate::{Error, Result};

/// The file, and where to begin.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    resume: bool,
    file: Option<File>,
}

impl LogFile {
    /// `resume`: keep the lines of earlier epochs.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, resume: false, file: None }
    }

    /// Keeps the lines of epochs before the first of the run.
    pub(crate) fn resume(&mut self) {
        self.resume = true;
    }

    /// Begins the file, with `header` if there is one, and with the earlier epochs' lines where a run resumes: those
    /// that `epoch_of` finds an epoch below `initial_epoch` in. So a run that was torn from its log and resumed from a
    /// checkpoint leaves the log of one that was not.
    pub(crate) fn begin(
        &mut self,
        header: Option<&str>,
        initial_epoch: usize,
        epoch_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<()> {
        let failed = |e| Error::file(&self.path, "write", e);
        let mut text = String::new();
        if let Some(header) = header {
            text = format!("{header}\n");
        }
        if self.resume {
            let found = match fs::read_to_string(&self.path) {
                Ok(found) => found,
                Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
                Err(e) => return Err(Error::file(&self.path, "read", e)),
            };
            let mut lines = found.split_inclusive('\n').map(str::trim_end).filter(|line| !line.is_empty());
            if let (Some(header), Some(first)) = (header, lines.next())
                && first != header
            {
                return Err(Error::format(
                    &self.path,
                    format_args!("expected a log whose first line is {header:?}, found {first:?}"),
                ));
            }
            let mut lines =
                found.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::trim_end);
            if header.is_some() {
                lines.next();
            }
            for line in lines.filter(|line| epoch_of(line).is_some_and(|epoch| epoch < initial_epoch)) {
                text += line;
                text.push('\n');
            }
        }
        write_atomically(&self.path, text.as_bytes())?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path).map_err(failed)?);
        Ok(())
    }

    /// Appends a line, in one piece.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(format!("{line}\n").as_bytes()).map_err(|e| Error::file(&self.path, "write", e))
    }

    /// Closes the file.
    pub(crate) fn end(&mut self) {
        self.file = None;
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
