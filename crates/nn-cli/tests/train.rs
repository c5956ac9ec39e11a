//! `nn train` as a person or a script meets it.

mod common;

use std::fs;
use std::path::Path;

use common::{TestResult, assert_refused, command, nn, write_set};
use nn_train::weights::read_weights;
use serde_json::Value;

/// What keeps a run from leaving a folder where the tests run, unless its options say where to or that there be none.
fn no_out<'a>(more: &[&str]) -> &'a [&'a str] {
    if more.iter().any(|option| ["--out", "--no-out"].contains(option)) { &[] } else { &["--no-out"] }
}

/// A run over a data set of five 4×4 images; a few milliseconds.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    fn new() -> std::io::Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("data"))?;
        write_set(&dir.path().join("data"))?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn args<'a>(&self, more: &[&'a str], data: &'a str) -> Vec<&'a str> {
        [&["train", "--data", data, "--hidden", "8", "--batch-size", "2"][..], no_out(more), more].concat()
    }

    /// Trains with `--json`, and gives back what that holds.
    fn json(&self, more: &[&str]) -> Result<Value, Box<dyn std::error::Error>> {
        let (data, json) = (self.path("data"), self.path("run.json"));
        let run = nn(&self.args(&[&["--json", &json], more].concat(), &data))?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{more:?}");
        Ok(serde_json::from_slice(&fs::read(json)?)?)
    }
}

#[test]
fn a_run_on_mnist_learns_and_shows_and_writes_all_that_it_should() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (json, save, out) = (path("run.json"), path("w.safetensors"), path("made/for/it"));
    let run = nn(&[
        "train",
        "--train-rows",
        "5000",
        "--hidden",
        "64",
        "--epochs",
        "3",
        "--batch-size",
        "32",
        "--validation-split",
        "0.1",
        "--threads",
        "2",
        "--json",
        &json,
        "--save",
        &save,
        "--out",
        &out,
    ])?;
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    for part in [
        "Confusion matrix",
        "predicted",
        "weighted avg",
        "The 10 worst of ",
        " taken for ",
        "2 threads, f32",
        "images/s",
    ] {
        assert!(run.stdout.contains(part), "no {part:?} in {}", run.stdout);
    }
    assert_eq!(run.stdout.lines().filter(|line| line.starts_with("epoch ")).count(), 3);
    assert_eq!(run.stdout.matches(" taken for ").count(), 10);

    let record: Value = serde_json::from_slice(&fs::read(&json)?)?;
    for series in ["loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"] {
        assert_eq!(record["history"][series].as_array().map(Vec::len), Some(3), "{series}");
    }
    let matrix: Vec<Vec<u64>> = serde_json::from_value(record["confusion_matrix"].clone())?;
    assert_eq!(matrix.iter().map(|row| row.iter().sum::<u64>()).sum::<u64>(), 10_000);
    assert_eq!(matrix[0].iter().sum::<u64>(), 980, "rows are true classes: MNIST has 980 zeros to test");
    let hits: u64 = (0..10).map(|c| matrix[c][c]).sum();
    assert_eq!(record["history"]["test_accuracy"][2], Value::from(hits as f64 / 10_000.0));
    assert!(hits > 8_800, "{hits} of 10,000 after three epochs of 4,500 images");
    let seconds = |figure: &str| record["seconds"][figure].as_f64().unwrap_or(f64::NAN);
    for figure in ["load", "until_first_step", "training", "evaluation", "total"] {
        assert!(seconds(figure) > 0.0, "{figure}");
    }
    // One clock: what comes later is not earlier, and what lies between two moments fits between them.
    assert!(seconds("load") <= seconds("until_first_step"), "{}", record["seconds"]);
    let parts = seconds("until_first_step") + seconds("training") + seconds("evaluation");
    assert!(parts <= seconds("total"), "{}", record["seconds"]);
    for fact in ["backend", "library", "isa", "os", "arch", "nn_version"] {
        assert!(record["environment"][fact].is_string(), "{fact}");
    }
    assert_eq!(
        (&record["environment"]["threads"], &record["environment"]["dtype"]),
        (&2.into(), &"f32".into())
    );
    assert_eq!(record["config"]["hidden"], Value::from(vec![64]));

    let shapes: Vec<(String, Vec<usize>)> =
        read_weights::<f32>(Path::new(&save))?.into_iter().map(|t| (t.name, t.dims)).collect();
    let expected = [
        ("dense/bias", vec![64]),
        ("dense/kernel", vec![784, 64]),
        ("dense_1/bias", vec![10]),
        ("dense_1/kernel", vec![64, 10]),
    ];
    assert_eq!(shapes, expected.map(|(name, dims)| (name.to_owned(), dims)));

    assert_eq!(fs::read(format!("{out}/model.safetensors"))?, fs::read(&save)?);
    let history: Value = serde_json::from_slice(&fs::read(format!("{out}/history.json"))?)?;
    assert_eq!(history["history"], record["history"]);
    let mut files: Vec<_> =
        fs::read_dir(&out)?.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    files.sort();
    assert_eq!(files, ["config.toml", "history.csv", "history.json", "model.safetensors", "report.html"]);
    assert!(run.stdout.ends_with(&format!("left in {out}; look at {out}/report.html\n")), "{}", run.stdout);
    Ok(())
}

#[test]
fn the_same_options_give_the_same_bits_at_every_level_of_abstraction_and_on_any_threads() -> TestResult {
    let small = Small::new()?;
    let options =
        ["--l1", "0.001", "--l2", "0.002", "--epochs", "4", "--optimizer", "rmsprop", "--hidden", "8,5"];
    let first = small.json(&options)?["history"].clone();
    for other in
        [&[][..], &["--api", "graph"], &["--api", "layers"], &["--threads", "1"], &["--threads", "3"]]
    {
        assert_eq!(small.json(&[&options, other].concat())?["history"], first, "{other:?}");
    }
    for other in [&["--seed", "1"][..], &["--no-shuffle"], &["--init", "he-normal"], &["--dtype", "f64"]] {
        assert_ne!(small.json(&[&options, other].concat())?["history"], first, "{other:?} changes nothing");
    }
    Ok(())
}

#[test]
fn every_backend_and_form_of_input_computes_the_same_up_to_rounding() -> TestResult {
    let small = Small::new()?;
    let loss = |more: &[&str]| -> Result<f64, Box<dyn std::error::Error>> {
        let record = small.json(&[&["--dtype", "f64", "--epochs", "3"], more].concat())?;
        Ok(record["history"]["test_loss"][2].as_f64().unwrap_or(f64::NAN))
    };
    let expected = loss(&["--backend", "naive", "--input", "dense"])?;
    for backend in ["naive", "ndarray", "simd"] {
        for input in ["dense", "bytes", "sparse", "auto"] {
            let found = loss(&["--backend", backend, "--input", input])?;
            // A handful of updates over sums of 16 terms: some hundred roundings of 2⁻⁵³.
            assert!(
                (found - expected).abs() <= 1e-13 * expected,
                "{backend}, {input}: {found} for {expected}"
            );
        }
    }
    Ok(())
}

#[test]
fn training_goes_on_from_saved_weights() -> TestResult {
    let small = Small::new()?;
    let weights = small.path("w.safetensors");
    let first = small.json(&["--epochs", "5", "--save", &weights])?;
    // A step so small that it changes nothing in f32.
    let again = small.json(&[
        "--init",
        &weights,
        "--optimizer",
        "sgd",
        "--lr",
        "1e-30",
        "--epochs",
        "1",
        "--seed",
        "9",
    ])?;
    assert_eq!(again["history"]["test_loss"][0], first["history"]["test_loss"][4]);
    let wide = small.json(&[
        "--init",
        &weights,
        "--dtype",
        "f64",
        "--optimizer",
        "sgd",
        "--lr",
        "1e-30",
        "--epochs",
        "1",
    ])?;
    let (a, b) = (&wide["history"]["test_loss"][0], &first["history"]["test_loss"][4]);
    let apart = (a.as_f64().unwrap_or(f64::NAN) - b.as_f64().unwrap_or(f64::NAN)).abs();
    assert!(apart < 1e-5, "{a} in f64, {b} in f32");
    Ok(())
}

#[test]
fn weights_that_do_not_fit_or_are_none_are_one_line_on_stderr() -> TestResult {
    let small = Small::new()?;
    let (data, weights, none) =
        (small.path("data"), small.path("w.safetensors"), small.path("none.safetensors"));
    small.json(&["--epochs", "1", "--save", &weights])?;
    let run = nn(&small.args(&["--hidden", "9", "--init", &weights], &data))?;
    assert_refused(&run, &["w.safetensors", "\"dense/kernel\"", "[16, 9]", "[16, 8]"], "another size");
    let run = nn(&small.args(&["--hidden", "8,8", "--init", &weights], &data))?;
    assert_refused(&run, &["w.safetensors", "dense_1/kernel"], "another depth");
    assert_refused(
        &nn(&small.args(&["--init", &none], &data))?,
        &["none.safetensors", "cannot read"],
        "missing",
    );
    fs::write(&weights, "not weights")?;
    assert_refused(
        &nn(&small.args(&["--init", &weights], &data))?,
        &["w.safetensors", "safetensors file"],
        "text",
    );
    Ok(())
}

#[test]
fn a_file_that_cannot_be_written_is_found_out_before_training() -> TestResult {
    let small = Small::new()?;
    let (data, missing, dir, file) = (
        small.path("data"),
        small.path("no/such/dir/f.json"),
        small.path("data"),
        small.path("data/t10k-labels-idx1-ubyte"),
    );
    for (option, path) in [("--json", &missing), ("--json", &dir), ("--save", &missing), ("--out", &file)] {
        // Nothing on stdout: not even the introduction was printed.
        let what = format!("{option} {path}");
        assert_refused(&nn(&small.args(&[option, path], &data))?, &[path], &what);
    }
    Ok(())
}

#[test]
fn options_that_mean_nothing_are_wrong_usage() -> TestResult {
    for (wrong, words) in [
        (&["--lr", "0"][..], "greater than 0"),
        (&["--lr", "inf"], "finite"),
        (&["--validation-split", "1"], "below 1"),
        (&["--validation-split", "-0.1"], "below 1"),
        (&["--batch-size", "0"], "or full"),
        (&["--batch-size", "some"], "or full"),
        (&["--hidden", "512,0"], "from 1 on"),
        (&["--hidden", ""], "from 1 on"),
        (&["--init", "random"], "glorot-uniform"),
        (&["--epochs", "0"], "--epochs"),
        (&["--threads", "0"], "--threads"),
        (&["--train-rows", "60001", "--quiet"], "60000 training images"),
        (&["--backend", "cuda"], "simd"),
        (&["--backend", "naive", "--blas", "openblas"], "--blas"),
        (&["--momentum", "0.9"], "--optimizer sgd"),
        (&["--optimizer", "adagrad", "--momentum", "0.9"], "--optimizer sgd or rmsprop"),
        (&["--optimizer", "sgd", "--rho", "0.9"], "--optimizer rmsprop"),
        (&["--optimizer", "rmsprop", "--nesterov"], "--optimizer sgd"),
        (&["--centered"], "--optimizer rmsprop"),
        (&["--optimizer", "sgd", "--beta-1", "0.9"], "--optimizer adam or adamw"),
        (&["--optimizer", "adagrad", "--beta-2", "0.9"], "--optimizer adam or adamw"),
        (&["--optimizer", "sgd", "--epsilon", "1e-6"], "--epsilon"),
        (&["--weight-decay", "0.1"], "--optimizer adamw"),
        (&["--initial-accumulator", "0.1"], "--optimizer adagrad"),
        (&["--beta-1", "1"], "below 1"),
        (&["--epsilon", "-1"], "0 or greater"),
        (&["--clip-norm", "0"], "greater than 0"),
        (&["--clip-norm", "1", "--clip-value", "1"], "--clip-value"),
        (&["--schedule", "linear"], "inverse-time"),
        (&["--schedule", "piecewise:10:1"], "one value more"),
        (&["--schedule", "step:10:0.5", "--decay", "0.1"], "--decay"),
        (&["--optimizer", "sgd", "--nesterov"], "--momentum"),
        (&["--optimizer", "sgd", "--momentum", "1"], "below 1"),
        (&["--dtype", "f16"], "f64"),
        (&["--l2", "-1"], "0 or greater"),
        (&["--json", "a", "--save", "a"], "same file"),
        (&["--out", "a", "--no-out"], "--no-out"),
    ] {
        let run = nn(&[&["train"], wrong].concat())?;
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{wrong:?}: {run:?}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{wrong:?}: {}", run.stderr);
    }
    Ok(())
}

#[test]
fn a_blas_that_is_not_there_says_what_was_looked_for() -> TestResult {
    let run = nn(&["train", "--blas", "./no-such-libblas.so", "--epochs", "1", "--no-out"])?;
    assert_refused(&run, &["no-such-libblas.so"], "no such library");
    Ok(())
}

#[test]
fn pinned_threads_change_no_figure_and_too_many_are_an_error() -> TestResult {
    let small = Small::new()?;
    let (free, pinned) = (small.json(&["--threads", "1"])?, small.json(&["--threads", "1", "--pin"])?);
    assert_eq!((&free["config"]["pin"], &pinned["config"]["pin"]), (&false.into(), &true.into()));
    assert_eq!(free["history"], pinned["history"]);
    // More than any machine that runs this has, and refused before one is started.
    let data = small.path("data");
    let run = nn(&small.args(&["--threads", "100000", "--pin"], &data))?;
    assert_refused(
        &run,
        &["pin: found 100000 threads", "expected no more threads than cores"],
        "too many threads",
    );
    Ok(())
}

#[test]
fn of_shuffle_and_no_shuffle_the_last_one_counts() -> TestResult {
    let small = Small::new()?;
    let shuffle =
        |more: &[&str]| Ok::<_, Box<dyn std::error::Error>>(small.json(more)?["config"]["shuffle"].clone());
    assert_eq!(shuffle(&[])?, Value::Bool(true));
    assert_eq!(shuffle(&["--shuffle", "--no-shuffle"])?, Value::Bool(false));
    assert_eq!(shuffle(&["--no-shuffle", "--shuffle"])?, Value::Bool(true));
    Ok(())
}

#[test]
fn quiet_prints_nothing_and_still_writes() -> TestResult {
    let small = Small::new()?;
    let (data, json) = (small.path("data"), small.path("run.json"));
    let run = nn(&small.args(&["--quiet", "--json", &json], &data))?;
    assert_eq!((run.status, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "", ""));
    assert!(Path::new(&json).exists());
    Ok(())
}

#[test]
fn a_run_without_a_single_mistake_says_so() -> TestResult {
    let small = Small::new()?;
    let data = small.path("data");
    let run = nn(&small.args(&["--epochs", "60", "--lr", "0.05"], &data))?;
    assert!(run.stdout.contains("No mistakes"), "{}", run.stdout);
    assert!(
        run.stdout.contains("\n    accuracy                         1.0000         2\n"),
        "{}",
        run.stdout
    );
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_stops_a_run_that_was_for_it_alone_and_no_other() -> TestResult {
    let small = Small::new()?;
    let (data, json) = (small.path("data"), small.path("run.json"));
    let endless = small.args(&["--epochs", "4000000000"], &data);
    let (status, stderr) = common::nn_into_closed_pipe(&endless)?;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let (status, stderr) =
        common::nn_into_closed_pipe(&small.args(&["--epochs", "3", "--json", &json], &data))?;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let record: Value = serde_json::from_slice(&fs::read(json)?)?;
    assert_eq!(record["history"]["loss"].as_array().map(Vec::len), Some(3));
    Ok(())
}

#[cfg(unix)]
#[test]
fn the_figures_can_go_to_standard_output() -> TestResult {
    let small = Small::new()?;
    let data = small.path("data");
    let output = command(&small.args(&["--quiet", "--json", "/dev/stdout"], &data)).output()?;
    let record: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(record["history"]["loss"].as_array().map(Vec::len), Some(8));
    Ok(())
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_after_the_batch_saves_and_says_so() -> TestResult {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Command, Stdio};
    let small = Small::new()?;
    let (data, json, save) = (small.path("data"), small.path("run.json"), small.path("w.safetensors"));
    let args = small.args(&["--epochs", "4000000000", "--json", &json, "--save", &save], &data);
    let mut run = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(run.stdout.take().ok_or("no pipe")?).lines();
    for line in lines.by_ref() {
        if line?.starts_with("epoch ") {
            break;
        }
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status()?.success());
    let rest: Vec<String> = lines.collect::<Result<_, _>>()?;
    let mut stderr = String::new();
    run.stderr.take().ok_or("no pipe")?.read_to_string(&mut stderr)?;
    assert_eq!(run.wait()?.code(), Some(1));
    assert!(rest.iter().any(|line| line.starts_with("Classification report")), "it reports");
    let last = stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: interrupted after ") && last.ends_with(" is saved"), "{stderr}");
    assert!(last.contains(" of epoch ") || last.contains(" after epoch "), "{stderr}");
    let record: Value = serde_json::from_slice(&fs::read(json)?)?;
    let epochs = record["history"]["loss"].as_array().map_or(0, Vec::len);
    let shown = 1 + rest.iter().filter(|line| line.starts_with("epoch ")).count();
    assert_eq!(epochs, shown, "whole epochs are recorded, each as it was shown");
    assert_eq!(read_weights::<f32>(Path::new(&save))?.len(), 4);
    Ok(())
}
