//! The folder that a run of `nn train` leaves, and what can be done with it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Run, TestResult, assert_refused, command, write_set};
use serde_json::Value;

/// Runs of the program in a directory of its own, over a data set of five 4×4 images.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> std::io::Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("data"))?;
        write_set(&dir.path().join("data"))?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn train(&self, args: &[&str]) -> Result<Run, Box<dyn std::error::Error>> {
        let output = command(&[&["train"], args].concat()).current_dir(self.dir.path()).output()?;
        Ok(Run {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// The folders of runs, in order of their names.
    fn runs(&self) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
        let entries = fs::read_dir(self.path("runs"))?;
        let mut all: Vec<PathBuf> = entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
        all.sort();
        Ok(all)
    }

    fn history(&self, folder: &Path) -> Result<Value, Box<dyn std::error::Error>> {
        let figures: Value = serde_json::from_slice(&fs::read(folder.join("history.json"))?)?;
        Ok(figures["history"].clone())
    }
}

const OPTIONS: [&str; 14] = [
    "--quiet",
    "--data",
    "data",
    "--hidden",
    "8,5",
    "--epochs",
    "4",
    "--optimizer",
    "rmsprop",
    "--no-shuffle",
    "--seed",
    "7",
    "--batch-size",
    "1",
];

#[test]
fn every_run_leaves_a_folder_of_its_own_and_none_if_it_is_told_so() -> TestResult {
    let place = Place::new()?;
    for _ in 0..3 {
        assert_eq!(place.train(&OPTIONS)?.status, Some(0));
    }
    let runs = place.runs()?;
    assert_eq!(runs.len(), 3, "{runs:?}");
    for run in &runs {
        assert!(run.to_string_lossy().contains("-8-5-tanh-rmsprop"), "{}", run.display());
        assert_eq!(fs::read_dir(run)?.count(), 5);
    }
    assert_eq!(place.train(&[&OPTIONS[..], &["--no-out"]].concat())?.status, Some(0));
    assert_eq!(place.runs()?, runs);
    Ok(())
}

#[test]
fn a_run_that_fails_leaves_nothing() -> TestResult {
    let place = Place::new()?;
    let run = place.train(&["--data", "data", "--init", "no.safetensors"])?;
    assert_refused(&run, &["no.safetensors"], "no weights");
    assert!(!place.path("runs").exists() || place.runs()?.is_empty());
    Ok(())
}

#[test]
fn its_config_trains_the_same_network_again_and_options_beside_it_override_it() -> TestResult {
    let place = Place::new()?;
    assert_eq!(place.train(&OPTIONS)?.status, Some(0));
    let first = place.runs()?.remove(0);
    let config = first.join("config.toml").display().to_string();
    let again = |more: &[&str], out: &str| -> Result<Value, Box<dyn std::error::Error>> {
        let run = place.train(&[&["--quiet", "--config", &config, "--out", out], more].concat())?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{more:?}");
        place.history(&place.path(out))
    };
    assert_eq!(again(&[], "same")?, place.history(&first)?, "the same options, the same bits");
    assert_eq!(fs::read(place.path("same/config.toml"))?, fs::read(&config)?);
    assert_ne!(again(&["--seed", "8"], "seed")?, place.history(&first)?);
    assert_ne!(
        again(&["--shuffle"], "order")?,
        place.history(&first)?,
        "--shuffle overrides no-shuffle = true"
    );
    assert_eq!(
        again(&["--epochs", "2", "--decay", "0.5"], "short")?["loss"].as_array().map(Vec::len),
        Some(2)
    );
    Ok(())
}

#[test]
fn a_config_that_is_none_is_one_line_on_stderr() -> TestResult {
    let place = Place::new()?;
    let config = place.path("c.toml").display().to_string();
    let missing = place.train(&["--config", "none.toml"])?;
    assert_refused(&missing, &["none.toml", "cannot read"], "missing");
    for (text, words) in [
        ("hiden = 5\nbatch_size = 3", "\"batch_size\", \"hiden\" is no option"),
        ("hidden = ", "expected TOML: line 1"),
        ("epochs = true", "epochs = true: expected a number"),
    ] {
        fs::write(&config, text)?;
        assert_refused(&place.train(&["--config", &config])?, &["c.toml", words], text);
    }
    fs::write(&config, "lr = 0")?;
    let run = place.train(&["--config", &config])?;
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    assert!(
        run.stderr.starts_with("error: ") && run.stderr.contains("c.toml: ") && run.stderr.contains("--lr")
    );
    assert!(!place.path("runs").exists());
    Ok(())
}

#[test]
fn the_table_holds_the_same_figures_as_the_json() -> TestResult {
    let place = Place::new()?;
    assert_eq!(place.train(&OPTIONS)?.status, Some(0));
    let run = place.runs()?.remove(0);
    let table = fs::read_to_string(run.join("history.csv"))?;
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().ok_or("empty")?;
    assert_eq!(names, ["epoch", "loss", "accuracy", "test_loss", "test_accuracy"]);
    let history = place.history(&run)?;
    for (epoch, line) in lines.enumerate() {
        assert_eq!(line[0], (epoch + 1).to_string());
        for (name, value) in names.iter().zip(&line).skip(1) {
            assert_eq!(value.parse::<f64>().ok(), history[*name][epoch].as_f64(), "{name}, epoch {epoch}");
        }
    }
    assert_eq!(table.lines().count(), 5);
    Ok(())
}
