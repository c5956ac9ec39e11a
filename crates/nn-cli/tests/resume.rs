//! Runs of `nn train` that are stopped and go on from a checkpoint.

mod common;

use std::fs;

use common::{Place, RESTLESS, TestResult, assert_refused};

#[test]
fn a_resumed_run_leaves_the_bytes_of_one_that_was_not_stopped() -> TestResult {
    let place = Place::new()?;
    let watching = ["--early-stopping", "4", "--reduce-on-plateau", "1:0.5", "--metric", "top_2_accuracy"];
    for options in [
        &RESTLESS[..],
        &["--batch-size", "2", "--decay", "0.5", "--api", "graph"],
        &["--dtype", "f64", "--optimizer", "adamw", "--batch-size", "2", "--validation-split", "0.34"],
    ] {
        let options = [options, &watching].concat();
        let train = |out: &str, checkpoint: &str, log: &str, more: &[&str]| {
            place.whole(out, &[&options, more, &["--checkpoint", checkpoint, "--log", log]].concat())
        };
        train("whole", "whole.safetensors", "whole.csv", &["--epochs", "5"])?;
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
        place.assert_same("part.csv", "whole.csv")?;
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
