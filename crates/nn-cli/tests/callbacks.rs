//! What watches a run of `nn train`, ends it early, keeps it, and goes on with it.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Run, TestResult, assert_refused, command, write_set};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

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

    fn command(&self, args: &[&str]) -> std::process::Command {
        let basis = ["train", "--data", "data", "--hidden", "8"];
        let mut command = command(&[&basis, args].concat());
        command.current_dir(self.dir.path());
        command
    }

    fn train(&self, args: &[&str]) -> Result<Run> {
        let output = self.command(args).output()?;
        Ok(Run {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Trains into the folder `out`, without anything to complain of.
    fn whole(&self, out: &str, args: &[&str]) -> Result<Run> {
        let run = self.train(&[args, &["--out", out]].concat())?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        Ok(run)
    }

    fn history(&self, out: &str) -> Result<Value> {
        let record: Value = serde_json::from_slice(&fs::read(self.path(out).join("history.json"))?)?;
        Ok(record["history"].clone())
    }

    fn series(&self, out: &str, name: &str) -> Result<Vec<f64>> {
        let values = self.history(out)?[name].clone();
        Ok(serde_json::from_value(values).map_err(|e| format!("{name}: {e}"))?)
    }

    fn assert_same(&self, a: &str, b: &str) -> TestResult {
        assert!(fs::read(self.path(a))? == fs::read(self.path(b))?, "{a} and {b} differ");
        Ok(())
    }
}

/// A learning rate at which the loss goes up and down, so that the best epoch is not the last.
const RESTLESS: [&str; 6] = ["--optimizer", "rmsprop", "--lr", "0.1", "--batch-size", "1"];
/// A learning rate at which no weight changes in f32.
const FROZEN: [&str; 4] = ["--optimizer", "sgd", "--lr", "1e-30"];

#[test]
fn early_stopping_stops_and_puts_the_best_weights_back() -> TestResult {
    let place = Place::new()?;
    for (monitor, given, split) in
        [("test_loss", None, "0"), ("loss", Some("loss"), "0"), ("val_loss", None, "0.34")]
    {
        let mut args = [&RESTLESS[..], &["--validation-split", split]].concat();
        let more = given.map_or(Vec::new(), |name| vec!["--monitor", name]);
        let run = place
            .whole("stopped", &[&args, &more[..], &["--epochs", "500", "--early-stopping", "3"]].concat())?;
        let watched = place.series("stopped", monitor)?;
        let smallest = watched.iter().copied().fold(f64::INFINITY, f64::min);
        let best = watched.iter().position(|&value| value == smallest).ok_or("nothing was measured")? + 1;
        assert_eq!(watched.len(), best + 3, "{monitor}: {watched:?}");
        let said = format!(
            "early stopping: after epoch {}; the weights are those of epoch {best}, the best by {monitor}",
            best + 3
        );
        assert!(run.stdout.contains(&said), "no {said:?} in {}", run.stdout);
        let record: Value = serde_json::from_slice(&fs::read(place.path("stopped/history.json"))?)?;
        let accuracy = record["classification_report"]["accuracy"].as_f64().ok_or("no accuracy")?;
        let page = fs::read_to_string(place.path("stopped/report.html"))?;
        assert!(page.contains("the best by"));
        assert!(
            page.contains(&format!("<strong>{:.2} %</strong>", 100.0 * accuracy)),
            "of the weights put back"
        );
        let epochs = best.to_string();
        args.extend(["--epochs", &epochs]);
        place.whole("best", &args)?;
        place.assert_same("stopped/model.safetensors", "best/model.safetensors")?;
    }
    Ok(())
}

#[test]
fn a_run_that_stops_nowhere_still_ends_with_its_best_weights() -> TestResult {
    let place = Place::new()?;
    let args = [&RESTLESS[..], &["--early-stopping", "400", "--epochs", "9"]].concat();
    let run = place.whole("kept", &args)?;
    let watched = place.series("kept", "test_loss")?;
    assert_eq!(watched.len(), 9);
    let smallest = watched.iter().copied().fold(f64::INFINITY, f64::min);
    let best = watched.iter().position(|&value| value == smallest).ok_or("nothing was measured")? + 1;
    let said = format!("early stopping: the weights are those of epoch {best}, the best by test_loss\n");
    assert_eq!(run.stdout.contains(&said), best != 9, "{watched:?}, {}", run.stdout);
    Ok(())
}

#[test]
fn the_learning_rate_falls_on_a_plateau_and_is_shown() -> TestResult {
    let place = Place::new()?;
    let run =
        place.whole("run", &[&FROZEN[..], &["--reduce-on-plateau", "2:0.5", "--epochs", "5"]].concat())?;
    let rates = place.series("run", "learning_rate")?;
    let first = rates[0];
    assert_eq!(rates, [first, first, first, first / 2.0, first / 2.0], "halving is exact");
    let lines = run.stdout.lines().filter(|line| line.starts_with("epoch "));
    assert!(lines.clone().count() == 5 && lines.clone().all(|line| line.contains("learning rate ")));
    Ok(())
}

#[test]
fn a_resumed_run_leaves_the_bytes_of_one_that_was_not_stopped() -> TestResult {
    let place = Place::new()?;
    let watching = ["--early-stopping", "4", "--reduce-on-plateau", "1:0.5", "--metric", "top_2_accuracy"];
    for (options, log) in [
        (&RESTLESS[..], "log.csv"),
        (&["--batch-size", "2", "--decay", "0.5", "--api", "graph"], "log.csv"),
        (
            &["--dtype", "f64", "--optimizer", "adamw", "--batch-size", "2", "--validation-split", "0.34"],
            "log.csv",
        ),
    ] {
        let options = [options, &watching].concat();
        let train = |out: &str, checkpoint: &str, log: &str, more: &[&str]| {
            place.whole(out, &[&options, more, &["--checkpoint", checkpoint, "--log", log]].concat())
        };
        train("whole", "whole.safetensors", log, &["--epochs", "5"])?;
        train("first", "part.safetensors", "part.csv", &["--epochs", "2"])?;
        let again = ["--epochs", "5", "--resume", "part.safetensors"];
        let run = train("later", "part.safetensors", "part.csv", &again)?;
        assert!(run.stdout.contains("after epoch 2, from part.safetensors"), "{}", run.stdout);
        assert!(
            run.stdout.contains("\nepoch 3/5 ") && !run.stdout.contains("\nepoch 2/5 "),
            "{}",
            run.stdout
        );
        assert!(place.history("later")?["loss"].as_array().is_some_and(|l| l.len() > 2));
        assert_eq!(place.history("later")?, place.history("whole")?);
        for file in ["model.safetensors", "history.csv", "config.toml"] {
            place.assert_same(&format!("later/{file}"), &format!("whole/{file}"))?;
        }
        place.assert_same("part.safetensors", "whole.safetensors")?;
        place.assert_same("part.csv", log)?;
        let epochs = fs::read_to_string(place.path("whole/history.csv"))?.lines().count() - 1;
        let page = fs::read_to_string(place.path("later/report.html"))?;
        assert!(page.contains(&format!("figures ({epochs})")), "all epochs are on the page");
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_run_that_ctrl_c_ended_goes_on_from_its_last_whole_epoch() -> TestResult {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Command, Stdio};
    let place = Place::new()?;
    let args = ["--checkpoint", "c.safetensors", "--batch-size", "1", "--out", "first", "--epochs"];
    let mut run = place.command(&[&args[..], &["4000000000"]].concat());
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(run.stdout.take().ok_or("no pipe")?).lines();
    for line in lines.by_ref() {
        if line?.starts_with("epoch ") {
            break;
        }
    }
    // The second epoch's line comes after the first epoch's checkpoint was written.
    for line in lines.by_ref() {
        if line?.starts_with("epoch ") {
            break;
        }
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status()?.success());
    lines.by_ref().for_each(drop);
    let mut stderr = String::new();
    run.stderr.take().ok_or("no pipe")?.read_to_string(&mut stderr)?;
    assert_eq!(run.wait()?.code(), Some(1), "{stderr}");
    assert!(stderr.ends_with("is saved; go on with --resume c.safetensors\n"), "{stderr}");

    let end = (place.series("first", "loss")?.len() + 2).to_string();
    place.whole("later", &["--resume", "c.safetensors", "--batch-size", "1", "--epochs", &end])?;
    place.whole("whole", &["--batch-size", "1", "--epochs", &end])?;
    for file in ["model.safetensors", "history.csv"] {
        place.assert_same(&format!("later/{file}"), &format!("whole/{file}"))?;
    }
    Ok(())
}

#[test]
fn a_checkpoint_of_another_run_is_refused_with_what_differs() -> TestResult {
    let place = Place::new()?;
    let options = ["--optimizer", "rmsprop", "--epochs"];
    let first = [&options[..], &["2", "--no-out", "--checkpoint", "c.safetensors"]].concat();
    assert_eq!(place.train(&first)?.status, Some(0));
    let kept = fs::read(place.path("c.safetensors"))?;
    let resume = |epochs: &str, more: &[&str]| {
        let again = ["--resume", "c.safetensors", "--checkpoint", "c.safetensors", "--no-out"];
        place.train(&[&options[..], &[epochs], &again, more].concat())
    };
    for (other, words) in [
        (&["--hidden", "9"][..], &["hidden: 8 there, 9 here"][..]),
        (
            &["--optimizer", "adam"],
            &["optimizer name: rmsprop there, adam here", "optimizer rho: 0.9 there, not given here"],
        ),
        (&["--lr", "0.5"], &["optimizer learning rate: 0.001 there, 0.5 here"]),
        (&["--seed", "7", "--no-shuffle"], &["seed: 0 there, 7 here", "shuffle: true there, false here"]),
        (&["--batch-size", "1"], &["batch size: 128 there, 1 here"]),
        (&["--train-rows", "2"], &["training images: 3 there, 2 here"]),
        (&["--dtype", "f64"], &["in f64", "in f32"]),
    ] {
        let run = resume("3", other)?;
        assert_refused(&run, &[&["c.safetensors: "], words].concat(), &format!("{other:?}"));
    }
    for (file, text, words) in [
        ("none.safetensors", None, "cannot read"),
        ("text.safetensors", Some("text"), "expected a checkpoint"),
    ] {
        if let Some(text) = text {
            fs::write(place.path(file), text)?;
        }
        assert_refused(&place.train(&["--no-out", "--resume", file])?, &[file, words], file);
    }
    place.whole("weights", &["--epochs", "1"])?;
    let run = place.train(&["--no-out", "--resume", "weights/model.safetensors"])?;
    assert_refused(&run, &["expected a checkpoint, found"], "weights alone");
    let run = resume("2", &[])?;
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    assert!(run.stderr.contains("--epochs 2") && run.stderr.contains("has 2 already"), "{run:?}");
    assert!(fs::read(place.path("c.safetensors"))? == kept, "what is refused changes nothing");
    assert_eq!(resume("3", &["--threads", "1"])?.status, Some(0), "what computes may be another");
    Ok(())
}

#[test]
fn a_run_that_diverges_says_where_and_keeps_what_was_recorded() -> TestResult {
    let place = Place::new()?;
    let wild = ["--optimizer", "sgd", "--activation", "relu", "--batch-size", "1", "--epochs", "50"];
    let args =
        [&wild[..], &["--lr", "1e20", "--out", "run", "--log", "log.jsonl", "--checkpoint", "c.safetensors"]]
            .concat();
    let run = place.train(&args)?;
    assert_eq!(run.status, Some(1), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    let place_of = run.stderr.strip_prefix("error: training diverged: the loss is not finite in batch ");
    let place_of = place_of.ok_or_else(|| format!("no place in {}", run.stderr))?;
    assert!(
        place_of.contains(" of epoch ") && place_of.contains("--lr") && place_of.contains("is saved"),
        "{run:?}"
    );
    let epoch: usize =
        place_of.split(" of epoch ").nth(1).and_then(|t| t.split(';').next()).unwrap_or("").parse()?;
    assert!(epoch < 50);
    let shown = run.stdout.lines().filter(|line| line.starts_with("epoch ")).count();
    let recorded = place.history("run")?["loss"].as_array().map_or(0, Vec::len);
    assert_eq!(recorded, shown);
    assert!(recorded == epoch || recorded == epoch - 1, "{recorded} whole epochs, diverged in {epoch}");
    assert_eq!(fs::read_to_string(place.path("log.jsonl"))?.lines().count(), recorded);
    assert!(fs::read_to_string(place.path("run/report.html"))?.contains("diverged"));
    assert!(place.path("run/model.safetensors").exists());
    Ok(())
}

#[test]
fn a_run_that_diverges_keeps_the_checkpoint_from_before() -> TestResult {
    let place = Place::new()?;
    let basis = ["--optimizer", "sgd", "--activation", "relu", "--batch-size", "1", "--no-out", "--epochs"];
    // Three updates an epoch, numbered from 0; the one that is too large is the first of the third epoch, then the last of
    // the second.
    for (updates, kept) in [("5", 2), ("4", 1)] {
        let schedule = format!("piecewise:{updates}:1,1e38");
        let args = |epochs| {
            [&basis[..], &[epochs, "--schedule", &schedule, "--checkpoint", "c.safetensors"]].concat()
        };
        let run = place.train(&args("9"))?;
        assert_eq!(run.status, Some(1), "{run:?}");
        let left = "; c.safetensors is the last checkpoint before that\n";
        assert!(run.stderr.ends_with(left), "{run:?}");
        let checkpoint = nn_train::checkpoint::Checkpoint::<f32>::load(&place.path("c.safetensors"))?;
        assert_eq!(checkpoint.epochs_done, kept, "{run:?}");
        let again = place.train(&[&args("9")[..], &["--resume", "c.safetensors"]].concat())?;
        let place_of = |text: &str| text.split(';').next().map(str::to_owned);
        assert_eq!(place_of(&again.stderr), place_of(&run.stderr), "it diverges where it did");
    }
    Ok(())
}

#[test]
fn metrics_are_shown_and_recorded_at_every_level_and_each_once() -> TestResult {
    let place = Place::new()?;
    let metrics = ["--metric", "top_2_accuracy,recall_1", "--metric", "precision_2", "--metric", "accuracy"];
    let epochs = ["--epochs", "3", "--batch-size", "2"];
    let run = place.whole("sequential", &[&epochs[..], &metrics].concat())?;
    let history = place.history("sequential")?;
    let names: Vec<&str> = history.as_object().ok_or("no history")?.keys().map(String::as_str).collect();
    let measured = ["loss", "accuracy", "top_2_accuracy", "recall_1", "precision_2"];
    for name in measured {
        for name in [name.to_owned(), format!("test_{name}")] {
            assert_eq!(place.series("sequential", &name)?.len(), 3, "{name}");
        }
    }
    assert_eq!(names.len(), 2 * measured.len(), "{names:?}");
    let line = run.stdout.lines().find(|line| line.starts_with("epoch ")).unwrap_or_default();
    for shown in ["top 2 accuracy ", "recall 1 ", "precision 2 "] {
        assert_eq!(line.matches(shown).count(), 2, "{line}");
    }
    for api in ["graph", "layers", "functional"] {
        place.whole(api, &[&epochs[..], &metrics, &["--api", api]].concat())?;
        assert_eq!(place.history(api)?, history, "{api}");
    }
    place.whole("plain", &epochs)?;
    place.assert_same("plain/model.safetensors", "sequential/model.safetensors")
}

#[test]
fn logs_and_events_are_written_while_the_run_goes_on() -> TestResult {
    let place = Place::new()?;
    place.whole("csv", &["--epochs", "3", "--log", "log.csv", "--tensorboard", "made/for/it"])?;
    let table = fs::read_to_string(place.path("log.csv"))?;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "epoch,loss,accuracy,test_loss,test_accuracy");
    assert_eq!((lines.len(), &lines[3][..2]), (4, "2,"));
    for part in ["train", "test"] {
        let files: Vec<_> =
            fs::read_dir(place.path("made/for/it").join(part))?.collect::<std::io::Result<_>>()?;
        assert_eq!(files.len(), 1, "{part}");
        assert!(files[0].metadata()?.len() > 100, "{part}");
    }
    place.whole("json", &["--epochs", "3", "--log", "log.jsonl"])?;
    let losses = place.series("json", "loss")?;
    for (epoch, line) in fs::read_to_string(place.path("log.jsonl"))?.lines().enumerate() {
        let line: Value = serde_json::from_str(line)?;
        assert_eq!(
            (line["epoch"].as_u64(), line["loss"].as_f64()),
            (Some(epoch as u64), Some(losses[epoch]))
        );
    }
    Ok(())
}

#[test]
fn a_config_watches_again_and_writes_over_nothing() -> TestResult {
    let place = Place::new()?;
    let watching = [
        "--early-stopping",
        "3",
        "--reduce-on-plateau",
        "2:0.5",
        "--monitor",
        "recall_1",
        "--metric",
        "recall_1",
    ];
    let writing = ["--checkpoint", "c.safetensors", "--log", "log.csv", "--tensorboard", "events"];
    place.whole("first", &[&RESTLESS[..], &watching, &writing, &["--epochs", "20"]].concat())?;
    let written = |name: &str| fs::metadata(place.path(name)).and_then(|file| file.modified());
    let before =
        (written("c.safetensors")?, written("log.csv")?, fs::read_dir(place.path("events/train"))?.count());
    let config = fs::read_to_string(place.path("first/config.toml"))?;
    for entry in [
        "early-stopping = 3\n",
        "reduce-on-plateau = \"2:0.5\"\n",
        "monitor = \"recall_1\"\n",
        "metric = [\"recall_1\"]\n",
    ] {
        assert!(config.contains(entry), "no {entry} in {config}");
    }
    place.whole("again", &["--config", "first/config.toml"])?;
    for file in ["model.safetensors", "history.csv", "config.toml"] {
        place.assert_same(&format!("again/{file}"), &format!("first/{file}"))?;
    }
    let after =
        (written("c.safetensors")?, written("log.csv")?, fs::read_dir(place.path("events/train"))?.count());
    assert_eq!(before, after);

    // What is not written is read: a file may say it all.
    fs::write(
        place.path("all.toml"),
        "epochs = 30\ncheckpoint = \"d.safetensors\"\nlog = \"d.jsonl\"\nmetric = [\"recall_0\", \"recall_1\"]\n",
    )?;
    place.whole("told", &["--config", "all.toml", "--epochs", "2"])?;
    assert!(place.path("d.safetensors").exists() && place.path("d.jsonl").exists());
    fs::write(place.path("on.toml"), "resume = \"d.safetensors\"\nepochs = 3\n")?;
    place.whole("on", &["--config", "on.toml"])?;
    assert_eq!(place.series("on", "loss")?.len(), 3);
    Ok(())
}

#[test]
fn a_metric_of_one_part_only_leaves_the_series_of_a_resumed_run_in_step() -> TestResult {
    let place = Place::new()?;
    place.whole("first", &["--epochs", "2", "--checkpoint", "c.safetensors"])?;
    place.whole("later", &["--epochs", "3", "--resume", "c.safetensors", "--metric", "recall_1"])?;
    let history = place.history("later")?;
    assert_eq!(history["recall_1"].as_array().map(Vec::len), Some(3));
    assert!(history["recall_1"][0].is_null() && history["recall_1"][1].is_null());
    assert!(history["recall_1"][2].is_number() && history["loss"][0].is_number());
    Ok(())
}

#[test]
fn options_that_mean_nothing_are_wrong_usage() -> TestResult {
    let place = Place::new()?;
    for (wrong, words) in [
        (&["--early-stopping", "0"][..], "--early-stopping"),
        (&["--early-stopping", "some"], "--early-stopping"),
        (&["--reduce-on-plateau", "0"], "from 1 on"),
        (&["--reduce-on-plateau", "3:1"], "between 0 and 1"),
        (&["--monitor", "loss"], "expected --early-stopping or --reduce-on-plateau"),
        (
            &["--early-stopping", "3", "--monitor", "val_loss"],
            "there are loss, accuracy, test_loss, test_accuracy",
        ),
        (
            &["--reduce-on-plateau", "3", "--monitor", "acuracy", "--validation-split", "0.34"],
            "there are loss, accuracy, val_loss, val_accuracy, test_loss, test_accuracy",
        ),
        (&["--metric", "acuracy"], "top_K_accuracy, precision_CLASS or recall_CLASS"),
        (&["--metric", "mse"], "top_K_accuracy, precision_CLASS or recall_CLASS"),
        (&["--metric", "recall_3"], "the data have the classes 0 to 2"),
        (&["--log", "log.txt"], ".csv or .jsonl"),
        (&["--json", "a.csv", "--log", "a.csv"], "--json and --log name the same file"),
        (&["--save", "a", "--checkpoint", "a"], "--save and --checkpoint name the same file"),
    ] {
        let run = place.train(&[&["--no-out"], wrong].concat())?;
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{wrong:?}: {run:?}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{wrong:?}: {}", run.stderr);
    }
    assert!(!place.path("a").exists() && !place.path("a.csv").exists());
    Ok(())
}

#[test]
fn what_cannot_be_written_is_found_out_before_training() -> TestResult {
    let place = Place::new()?;
    for (option, path) in [
        ("--checkpoint", "no/such/dir/c.safetensors"),
        ("--checkpoint", "data"),
        ("--log", "no/such/dir/log.csv"),
        ("--tensorboard", "data/t10k-labels-idx1-ubyte"),
    ] {
        let run = place.train(&["--no-out", option, path])?;
        assert_refused(&run, &[path], &format!("{option} {path}"));
    }
    Ok(())
}
