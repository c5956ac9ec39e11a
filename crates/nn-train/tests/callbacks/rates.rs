//! Callbacks that change the learning rate.

use nn_train::Callback;
use nn_train::callbacks::{LearningRateSchedule, Mode, ReduceOnPlateau};

use crate::TestResult;
use crate::scripted::Scripted;

#[test]
fn a_schedule_gets_epoch_and_rate_sets_the_rate_before_the_epoch_and_records_it() -> TestResult {
    let mut seen = Vec::new();
    let mut schedule = LearningRateSchedule::new(|epoch, rate| {
        seen.push((epoch, rate));
        if epoch == 3 { rate } else { rate / 2.0 }
    });
    let mut network = Scripted::new(&[1.0; 3]);
    let history = network.train(2, &mut [&mut schedule])?.history;
    assert_eq!(seen, [(2, 1.0), (3, 0.5), (4, 0.5)]);
    assert_eq!(network.rates, [0.5, 0.5, 0.25]);
    assert_eq!(history.get("learning_rate"), Some(&[0.5, 0.5, 0.25][..]));
    Ok(())
}

#[test]
fn two_that_change_the_rate_record_it_once() -> TestResult {
    let mut schedule = LearningRateSchedule::new(|epoch, _| 1.0 / (epoch + 1) as f64);
    let mut slower = ReduceOnPlateau::new("loss").patience(1).factor(0.5);
    let mut network = Scripted::new(&[1.0; 3]);
    let history = network.train(0, &mut [&mut schedule, &mut slower])?.history;
    assert_eq!(history.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["loss", "figure", "learning_rate"]);
    assert_eq!(history.get("learning_rate"), Some(&[1.0, 0.5, 1.0 / 3.0][..]));
    Ok(())
}

#[test]
fn what_cannot_be_a_learning_rate_or_a_factor_is_refused_with_what_was_found() -> TestResult {
    let slower = || ReduceOnPlateau::new("loss");
    let callbacks: [(Box<dyn Callback<f64>>, &str); 8] = [
        (Box::new(LearningRateSchedule::new(|_, _| f64::NAN)), "found NaN for epoch 0"),
        (Box::new(LearningRateSchedule::new(|_, _| -0.1)), "found -0.1 for epoch 0"),
        (Box::new(slower().factor(1.0)), "a factor in (0, 1), found 1"),
        (Box::new(slower().factor(f64::NAN)), "a factor in (0, 1), found NaN"),
        (Box::new(slower().min_lr(-1.0)), "not negative, found -1"),
        (Box::new(slower().min_delta(-1.0)), "not negative, found -1"),
        (Box::new(ReduceOnPlateau::new("figure")), "Mode::Min or Mode::Max"),
        (Box::new(ReduceOnPlateau::new("none").mode(Mode::Min)), "there are loss, figure, learning_rate"),
    ];
    for (mut callback, complaint) in callbacks {
        let mut network = Scripted::new(&[1.0]);
        let message = network.train(0, &mut [&mut *callback]).map(|_| ()).map_err(|e| e.to_string());
        assert!(message.as_ref().is_err_and(|m| m.contains(complaint)), "{message:?} for {complaint}");
        assert_eq!(network.updates, 0.0);
    }
    Ok(())
}

#[test]
fn a_network_without_a_rate_to_set_is_refused_before_any_update() -> TestResult {
    let callbacks: [Box<dyn Callback<f64>>; 2] =
        [Box::new(LearningRateSchedule::new(|_, rate| rate)), Box::new(ReduceOnPlateau::new("loss"))];
    for mut callback in callbacks {
        let mut network = Scripted::new(&[1.0]);
        network.rate = None;
        let message = network.train(0, &mut [&mut *callback]).map(|_| ()).map_err(|e| e.to_string());
        assert!(message.is_err_and(|m| m.contains("a learning rate that can be set")));
        assert_eq!(network.updates, 0.0);
    }
    Ok(())
}
