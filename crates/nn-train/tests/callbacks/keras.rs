//! What Keras' own callbacks did as they saw the same figures (`scripts/make_callback_goldens.py`).

use nn_train::Ending;
use nn_train::callbacks::{EarlyStopping, Mode, ReduceOnPlateau};
use serde::Deserialize;
use serde_json::Value;

use crate::TestResult;
use crate::scripted::Scripted;

#[derive(Deserialize)]
struct Goldens {
    early_stopping: Vec<Stopping>,
    reduce_on_plateau: Vec<Plateau>,
}

#[derive(Debug, Deserialize)]
struct Stopping {
    values: Vec<Value>,
    first: usize,
    min_delta: f64,
    patience: usize,
    mode: String,
    baseline: Option<f64>,
    start_from_epoch: usize,
    epochs: usize,
    restored: f64,
}

#[derive(Debug, Deserialize)]
struct Plateau {
    values: Vec<Value>,
    factor: f64,
    patience: usize,
    mode: String,
    min_delta: f64,
    cooldown: usize,
    min_lr: f64,
    rates: Vec<f64>,
}

fn goldens() -> Result<Goldens, serde_json::Error> {
    serde_json::from_str(include_str!("keras.json"))
}

/// Numbers; `nan`, `inf` and `-inf` as strings.
fn numbers(values: &[Value]) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let number = |value: &Value| match (value.as_f64(), value.as_str()) {
        (Some(number), _) => Ok(number),
        (_, Some(word)) => Ok(word.parse()?),
        _ => Err("neither number nor word".into()),
    };
    values.iter().map(number).collect()
}

fn mode(name: &str) -> Mode {
    if name == "min" { Mode::Min } else { Mode::Max }
}

#[test]
fn early_stopping_stops_at_keras_epochs_and_restores_keras_weights() -> TestResult {
    let cases = goldens()?.early_stopping;
    assert!(cases.len() >= 100);
    for case in cases {
        let values = numbers(&case.values)?;
        let mut stop = EarlyStopping::new("figure")
            .mode(mode(&case.mode))
            .min_delta(case.min_delta)
            .patience(case.patience)
            .start_from(case.start_from_epoch)
            .restore_best();
        if let Some(baseline) = case.baseline {
            stop = stop.baseline(baseline);
        }
        let mut network = Scripted::new(&values);
        let fitted = network.train(case.first, &mut [&mut stop])?;
        assert_eq!((fitted.history.epochs(), network.updates), (case.epochs, case.restored), "{case:?}");
        let ending = if case.epochs < values.len() {
            Ending::StoppedAfter { epoch: case.first + case.epochs - 1 }
        } else {
            Ending::Finished
        };
        assert_eq!(fitted.ending, ending, "{case:?}");
    }
    Ok(())
}

#[test]
fn reduce_on_plateau_trains_every_epoch_at_keras_learning_rate() -> TestResult {
    let cases = goldens()?.reduce_on_plateau;
    assert!(cases.len() >= 100);
    for case in cases {
        let mut slower = ReduceOnPlateau::new("figure")
            .mode(mode(&case.mode))
            .factor(case.factor)
            .patience(case.patience)
            .min_delta(case.min_delta)
            .cooldown(case.cooldown)
            .min_lr(case.min_lr);
        let mut network = Scripted::new(&numbers(&case.values)?);
        let history = network.train(0, &mut [&mut slower])?.history;
        assert_eq!(network.rates, case.rates, "{case:?}");
        assert_eq!(history.get("learning_rate"), Some(&case.rates[..]), "each epoch's, before the reduction");
    }
    Ok(())
}
