//! The folder that every run leaves.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;
use nn_core::Scalar;
use nn_core::models::Network;
use nn_train::History;
use nn_train::files::{check_writable, write_atomically};
use nn_train::weights::write_weights;

use super::record::{Record, write_json};
use crate::failure::Failure;

/// Where folders are made unless `--out` says otherwise.
const RUNS: &str = "runs";
/// How many runs may begin within one second under one name.
const MOST_AT_ONCE: usize = 1000;

/// The files: the options, to train with again; the content of `--json`; the same history as a table; the trained
/// weights; the page.
const CONFIG: &str = "config.toml";
pub(crate) const HISTORY: &str = "history.json";
const TABLE: &str = "history.csv";
pub(crate) const MODEL: &str = "model.safetensors";
const REPORT: &str = "report.html";

/// A folder that can be written to. One that was made for a run goes away again if the run leaves nothing in it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    made: bool,
}

/// What goes into it, beside the record.
pub(crate) struct Contents<'a, T> {
    /// `config.toml`.
    pub(crate) config: &'a str,
    pub(crate) record: &'a Record<'a>,
    pub(crate) network: &'a Network<T>,
    /// `report.html`.
    pub(crate) page: &'a str,
}

impl Folder {
    /// The folder of `--out`, made if need be.
    pub(crate) fn named(path: &Path) -> Result<Self, Failure> {
        let made = !path.exists();
        fs::create_dir_all(path).map_err(|e| cannot_make(path, &e))?;
        let folder = Self { path: path.to_owned(), made };
        for name in [CONFIG, HISTORY, TABLE, MODEL, REPORT] {
            check_writable(&path.join(name))?;
        }
        Ok(folder)
    }

    /// A new folder `runs/<time>-<name>`; runs that begin in the same second are numbered.
    pub(crate) fn fresh(name: &str) -> Result<Self, Failure> {
        let stem = format!("{}-{name}", ZonedDateTime::now().strftime("%Y%m%d-%H%M%S"));
        Self::numbered(Path::new(RUNS), &stem)
    }

    fn numbered(parent: &Path, stem: &str) -> Result<Self, Failure> {
        fs::create_dir_all(parent).map_err(|e| cannot_make(parent, &e))?;
        for n in 1..=MOST_AT_ONCE {
            let path = parent.join(if n == 1 { stem.to_owned() } else { format!("{stem}-{n}") });
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, made: true }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(cannot_make(&path, &e)),
            }
        }
        Err(Failure::other(format_args!(
            "{}: found {MOST_AT_ONCE} folders of this name already; name another with --out",
            parent.join(stem).display()
        )))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its page.
    pub(crate) fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// Its options.
    pub(crate) fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// What the run is called: the folder's name.
    pub(crate) fn title(&self) -> String {
        // `.` and `/` have no name of their own.
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Writes everything, each file whole or not at all. The page comes last: where it is, all else is.
    pub(crate) fn write<T: Scalar>(&self, contents: &Contents<'_, T>) -> Result<(), Failure> {
        let at = |name: &str| self.path.join(name);
        write_atomically(&at(CONFIG), contents.config.as_bytes())?;
        write_json(&at(HISTORY), contents.record)?;
        write_atomically(&at(TABLE), table(contents.record.history).as_bytes())?;
        write_weights(&at(MODEL), &contents.network.weights())?;
        Ok(write_atomically(&at(REPORT), contents.page.as_bytes())?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.made {
            // Only an empty folder can be removed, which is just what is meant: nothing to do if it is not.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn cannot_make(path: &Path, error: &std::io::Error) -> Failure {
    Failure::other(format_args!(
        "{}: cannot make the directory: {error}; name another with --out, or leave none with --no-out",
        path.display()
    ))
}

/// The history as comma-separated values, a line per epoch. Numbers have as many digits as it takes to read the same
/// ones back; names hold neither commas nor quotes.
fn table(history: &History) -> String {
    let names: Vec<&str> = history.iter().map(|(name, _)| name).collect();
    let mut text = format!("epoch,{}\n", names.join(","));
    for epoch in 0..history.epochs() {
        let values =
            history.iter().map(|(_, values)| values.get(epoch).map_or(String::new(), f64::to_string));
        let line: Vec<String> = std::iter::once((epoch + 1).to_string()).chain(values).collect();
        text += &(line.join(",") + "\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn folders_of_one_second_are_numbered_and_empty_ones_go_away() -> TestResult {
        let dir = tempfile::tempdir()?;
        let numbered = || Folder::numbered(dir.path(), "run").map_err(|e| format!("{e:?}"));
        let (first, second) = (numbered()?, numbered()?);
        assert_eq!((first.title(), second.title()), ("run".into(), "run-2".into()));
        fs::write(first.report(), "kept")?;
        drop((first, second));
        let names: Vec<_> =
            fs::read_dir(dir.path())?.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?;
        assert_eq!(names, ["run"]);
        Ok(())
    }

    #[test]
    fn the_table_has_a_line_per_epoch_and_every_bit() {
        let mut history = History::default();
        history.push("loss", 0.1 + 0.2);
        history.push("loss", f64::NAN);
        history.push("val_loss", 1.0);
        assert_eq!(table(&history), "epoch,loss,val_loss\n1,0.30000000000000004,1\n2,NaN,\n");
    }
}
