//! Runs the program, and makes small data sets for it.

#![allow(dead_code, reason = "every test program compiles this anew and uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
pub(crate) type TestResult = Outcome<()>;

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with these arguments, in an environment that says UTF-8.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nn"));
    command.args(args).env("LC_ALL", "C.UTF-8").env_remove("MNIST_DATA_DIR").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn nn(args: &[&str]) -> Result<Run, Box<dyn std::error::Error>> {
    let output = command(args).output()?;
    Ok(Run {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// One line on stderr, exit status 1, nothing on stdout.
pub(crate) fn assert_refused(run: &Run, words: &[&str], what: &str) {
    assert_eq!(run.status, Some(1), "{what}: {run:?}");
    assert_eq!(run.stdout, "", "{what}");
    assert!(run.stderr.starts_with("error: ") && run.stderr.ends_with('\n'), "{what}: {run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{what}: {run:?}");
    for word in words {
        assert!(run.stderr.contains(word), "{what}: no {word:?} in {:?}", run.stderr);
    }
}

/// Runs the program with a standard output that nobody reads any more.
#[cfg(unix)]
pub(crate) fn nn_into_closed_pipe(
    args: &[&str],
) -> Result<(Option<i32>, String), Box<dyn std::error::Error>> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let output = command(args).stdout(writer).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

/// An IDX file of 4×4 images.
pub(crate) fn images(images: &[[u8; 16]]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, 3];
    for size in [images.len() as u32, 4, 4] {
        file.extend(size.to_be_bytes());
    }
    file.extend(images.concat());
    file
}

/// An IDX file of labels.
pub(crate) fn labels(classes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, 1];
    file.extend((classes.len() as u32).to_be_bytes());
    file.extend(classes);
    file
}

/// A data set of three classes with three training and two test images of 4×4 pixels.
pub(crate) fn write_set(dir: &Path) -> std::io::Result<()> {
    let mut bars = [0; 16];
    for row in 0..4 {
        bars[row * 4 + 1..row * 4 + 3].fill(if row % 2 == 1 { 255 } else { 0 });
    }
    fs::write(dir.join("train-images-idx3-ubyte"), images(&[[0; 16], [255; 16], bars]))?;
    fs::write(dir.join("train-labels-idx1-ubyte"), labels(&[0, 1, 2]))?;
    fs::write(dir.join("t10k-images-idx3-ubyte"), images(&[[255; 16], bars]))?;
    fs::write(dir.join("t10k-labels-idx1-ubyte"), labels(&[1, 2]))
}

/// Options with a learning rate at which the loss goes up and down, so that the best epoch is not the last.
pub(crate) const RESTLESS: [&str; 6] = ["--optimizer", "rmsprop", "--lr", "0.1", "--batch-size", "1"];

/// Runs of the program in a directory of its own, over a data set of five 4×4 images.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> std::io::Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("data"))?;
        write_set(&dir.path().join("data"))?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let basis = ["train", "--data", "data", "--hidden", "8"];
        let mut command = command(&[&basis, args].concat());
        command.current_dir(self.dir.path());
        command
    }

    pub(crate) fn train(&self, args: &[&str]) -> Outcome<Run> {
        let output = self.command(args).output()?;
        Ok(Run {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Trains into the folder `out`, without anything to complain of.
    pub(crate) fn whole(&self, out: &str, args: &[&str]) -> Outcome<Run> {
        let run = self.train(&[args, &["--out", out]].concat())?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        Ok(run)
    }

    pub(crate) fn history(&self, out: &str) -> Outcome<Value> {
        let record: Value = serde_json::from_slice(&fs::read(self.path(out).join("history.json"))?)?;
        Ok(record["history"].clone())
    }

    pub(crate) fn series(&self, out: &str, name: &str) -> Outcome<Vec<f64>> {
        let values = self.history(out)?[name].clone();
        Ok(serde_json::from_value(values).map_err(|e| format!("{name}: {e}"))?)
    }

    pub(crate) fn assert_same(&self, a: &str, b: &str) -> TestResult {
        assert!(fs::read(self.path(a))? == fs::read(self.path(b))?, "{a} and {b} differ");
        Ok(())
    }
}
