//! What watches a run of `nn train`, ends it early, and writes it down while it goes on.

mod common;

use std::fs;

use common::{Place, RESTLESS, TestResult, assert_refused};
use serde_json::Value;

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
