//! Logs that grow by a line per epoch.

use std::fs;

use nn_train::callbacks::{CsvLog, JsonLog, LearningRateSchedule};
use nn_train::{Callback, EpochEnd, Flow, Result, Trainable};
use serde_json::Value;

use crate::TestResult;
use crate::scripted::Scripted;

#[test]
fn a_csv_log_has_a_line_of_names_and_one_per_epoch_that_read_back_as_the_same_numbers() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("log.csv");
    let mut schedule = LearningRateSchedule::new(|epoch, _| 0.5 / (epoch + 1) as f64);
    let values = [0.1 + 0.2, f64::NAN];
    Scripted::new(&values).train(0, &mut [&mut schedule, &mut CsvLog::new(&path)])?;
    let text = fs::read_to_string(&path)?;
    let expected =
        "epoch,loss,figure,learning_rate\n0,0.30000000000000004,0.30000000000000004,0.5\n1,NaN,NaN,0.25\n";
    assert_eq!(text, expected);
    Ok(())
}

#[test]
fn a_json_log_has_an_object_per_epoch_in_the_order_of_the_history() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("log.jsonl");
    Scripted::new(&[0.5, f64::INFINITY]).train(3, &mut [&mut JsonLog::new(&path)])?;
    let text = fs::read_to_string(&path)?;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with(r#"{"epoch":3,"loss":0.5,"figure":0.5,"rows":2,"training_seconds":"#),
        "{text}"
    );
    assert!(lines[1].starts_with(r#"{"epoch":4,"loss":null,"figure":null,"rows":2,"#), "{text}");
    for line in &lines {
        let value: Value = serde_json::from_str(line)?;
        assert!(value["evaluation_seconds"].as_f64().is_some_and(|s| s >= 0.0), "{line}");
    }
    assert_eq!((lines.len(), text.ends_with('\n')), (2, true));
    Ok(())
}

#[test]
fn a_line_is_there_as_soon_as_its_epoch_is_done() -> TestResult {
    struct Reader(std::path::PathBuf, Vec<usize>);
    impl Callback<f64> for Reader {
        fn on_epoch_end(&mut self, _: &mut EpochEnd<'_>, _: &mut dyn Trainable<f64>) -> Result<Flow> {
            self.1.push(fs::read_to_string(&self.0).map_or(0, |text| text.lines().count()));
            Ok(Flow::Continue)
        }
    }
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("log.csv");
    let mut reader = Reader(path.clone(), Vec::new());
    Scripted::new(&[1.0; 3]).train(0, &mut [&mut CsvLog::new(&path), &mut reader])?;
    assert_eq!(reader.1, [2, 3, 4]);
    Ok(())
}

#[test]
fn a_log_that_is_resumed_is_that_of_a_run_that_was_never_torn() -> TestResult {
    let dir = tempfile::tempdir()?;
    let (csv, json) = (dir.path().join("log.csv"), dir.path().join("log.jsonl"));
    let values = [4.0, 3.0, 2.0, 1.0];
    Scripted::new(&values).train(0, &mut [&mut CsvLog::new(&csv), &mut JsonLog::new(&json)])?;
    let (whole_csv, whole_json) = (fs::read_to_string(&csv)?, fs::read_to_string(&json)?);
    // Torn in the line of the third epoch; and, as its checkpoint is of the second, that one's line is made again.
    for torn in [whole_csv.len() - 3, whole_csv.len() - 7] {
        fs::write(&csv, &whole_csv[..torn])?;
        fs::write(&json, &whole_json[..whole_json.len() - 9])?;
        let mut rest = Scripted::new(&values[2..]);
        rest.train(2, &mut [&mut CsvLog::new(&csv).resume(), &mut JsonLog::new(&json).resume()])?;
        assert_eq!(fs::read_to_string(&csv)?, whole_csv);
        let epochs: Vec<Value> = fs::read_to_string(&json)?
            .lines()
            .map(|line| Ok::<_, serde_json::Error>(serde_json::from_str::<Value>(line)?["epoch"].clone()))
            .collect::<std::result::Result<_, _>>()?;
        assert_eq!(epochs, [0, 1, 2, 3]);
    }
    Ok(())
}

#[test]
fn a_log_of_other_figures_is_not_resumed_and_none_at_all_is_begun() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("log.csv");
    Scripted::new(&[1.0]).train(0, &mut [&mut CsvLog::new(&path).resume()])?;
    assert_eq!(fs::read_to_string(&path)?.lines().count(), 2);
    fs::write(&path, "epoch,accuracy\n0,0.5\n")?;
    let mut network = Scripted::new(&[1.0]);
    let message = network.train(1, &mut [&mut CsvLog::new(&path).resume()]).map_err(|e| e.to_string());
    assert!(message.is_err_and(|m| m.contains("epoch,loss,figure") && m.contains("epoch,accuracy")));
    assert_eq!(fs::read_to_string(&path)?, "epoch,accuracy\n0,0.5\n", "it is left as it is");
    Ok(())
}

#[test]
fn a_log_that_cannot_be_written_is_found_out_before_any_update() -> TestResult {
    let dir = tempfile::tempdir()?;
    let missing = dir.path().join("none/log");
    let callbacks: [Box<dyn Callback<f64>>; 2] =
        [Box::new(CsvLog::new(&missing)), Box::new(JsonLog::new(&missing))];
    for mut log in callbacks {
        let mut network = Scripted::new(&[1.0]);
        assert!(network.train(0, &mut [&mut *log]).is_err_and(|e| e.to_string().contains("cannot write")));
        assert_eq!(network.updates, 0.0);
    }
    Ok(())
}
