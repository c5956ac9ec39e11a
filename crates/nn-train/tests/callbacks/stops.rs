//! Callbacks that end training.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nn_core::matrix::InputRef;
use nn_train::callbacks::{EarlyStopping, Interrupt, ReduceOnPlateau, TerminateOnNan};
use nn_train::{
    BatchEnd, BatchSize, Callback, Dataset, Ending, FitData, FitOptions, Flow, Result, Trainable,
};

use crate::TestResult;
use crate::scripted::Scripted;

/// Three epochs of four updates of one row each.
fn four_updates_an_epoch(
    network: &mut Scripted,
    callbacks: &mut [&mut dyn Callback<f64>],
) -> Result<nn_train::Fitted> {
    let bytes = [0u8; 4];
    let data = Dataset::new(InputRef::bytes(&bytes, 4, 1, 1.0)?, &[0; 4])?;
    let options = FitOptions {
        epochs: 3,
        batch_size: BatchSize::Rows(std::num::NonZeroUsize::MIN),
        ..FitOptions::default()
    };
    network.fit(&FitData::new(data), &options, callbacks)
}

#[test]
fn a_loss_that_is_not_finite_ends_training_after_its_batch() -> TestResult {
    for (at, ending) in [
        (1, Ending::StoppedWithin { epoch: 0, batches: 2 }),
        (6, Ending::StoppedWithin { epoch: 1, batches: 3 }),
        (7, Ending::StoppedAfter { epoch: 1 }),
    ] {
        for lost in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut values = vec![1.0; 12];
            values[at] = lost;
            let mut network = Scripted::new(&values);
            let mut nan = TerminateOnNan::default();
            let fitted = four_updates_an_epoch(&mut network, &mut [&mut nan])?;
            assert_eq!((fitted.ending, nan.found()), (ending, Some((at / 4, at % 4))), "{lost} at {at}");
            assert_eq!(network.updates, (at + 1) as f64);
        }
    }
    let mut nan = TerminateOnNan::default();
    let fitted = four_updates_an_epoch(&mut Scripted::new(&[1.0; 12]), &mut [&mut nan])?;
    assert_eq!((fitted.ending, nan.found()), (Ending::Finished, None));
    Ok(())
}

/// Sets a flag after so many updates, as a signal would.
struct Signal {
    flag: Arc<AtomicBool>,
    after: usize,
}

impl Callback<f64> for Signal {
    fn on_batch_end(&mut self, batch: &BatchEnd<'_>, _: &mut dyn Trainable<f64>) -> Result<Flow> {
        if batch.epoch * batch.batches + batch.batch + 1 == self.after {
            self.flag.store(true, Ordering::Relaxed);
        }
        Ok(Flow::Continue)
    }
}

#[test]
fn an_interruption_ends_training_after_the_batch_and_keeps_whole_epochs() -> TestResult {
    for (after, ending) in [
        (1, Ending::StoppedWithin { epoch: 0, batches: 1 }),
        (6, Ending::StoppedWithin { epoch: 1, batches: 2 }),
        (8, Ending::StoppedAfter { epoch: 1 }),
    ] {
        let flag = Arc::new(AtomicBool::new(false));
        let mut signal = Signal { flag: Arc::clone(&flag), after };
        let mut interrupt = Interrupt::new(flag);
        let mut network = Scripted::new(&[1.0; 12]);
        let fitted = four_updates_an_epoch(&mut network, &mut [&mut signal, &mut interrupt])?;
        assert_eq!((fitted.ending, network.updates), (ending, after as f64));
        assert_eq!(fitted.history.epochs(), after / 4);
    }
    Ok(())
}

#[test]
fn a_callback_that_stops_does_not_keep_the_batch_from_the_others() -> TestResult {
    struct Counter(usize);
    impl Callback<f64> for Counter {
        fn on_batch_end(&mut self, _: &BatchEnd<'_>, _: &mut dyn Trainable<f64>) -> Result<Flow> {
            self.0 += 1;
            Ok(Flow::Continue)
        }
    }
    let mut set = Interrupt::new(Arc::new(AtomicBool::new(true)));
    let mut counter = Counter(0);
    four_updates_an_epoch(&mut Scripted::new(&[1.0; 12]), &mut [&mut set, &mut counter])?;
    assert_eq!(counter.0, 1);
    Ok(())
}

#[test]
fn early_stopping_can_be_used_again_and_keeps_the_last_weights_unless_told_otherwise() -> TestResult {
    let mut stop = EarlyStopping::new("loss").patience(1);
    for _ in 0..2 {
        let mut network = Scripted::new(&[3.0, 2.0, 4.0, 1.0]);
        network.train(0, &mut [&mut stop])?;
        assert_eq!((stop.stopped_after(), stop.best_epoch(), network.updates), (Some(2), Some(1), 3.0));
    }
    let mut network = Scripted::new(&[9.0, 8.0]);
    network.train(0, &mut [&mut stop])?;
    assert_eq!(
        (stop.stopped_after(), stop.best_epoch()),
        (None, Some(1)),
        "9 and 8 are no worse than nothing"
    );
    Ok(())
}

#[test]
fn the_best_weights_come_back_from_a_run_that_was_interrupted_too() -> TestResult {
    let flag = Arc::new(AtomicBool::new(false));
    let mut signal = Signal { flag: Arc::clone(&flag), after: 10 };
    let mut interrupt = Interrupt::new(flag);
    let mut stop = EarlyStopping::new("loss").patience(5).restore_best();
    // Epochs of four updates: sums of 4, 8 and more.
    let mut network = Scripted::new(&[1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0]);
    let fitted = four_updates_an_epoch(&mut network, &mut [&mut signal, &mut stop, &mut interrupt])?;
    assert_eq!(fitted.ending, Ending::StoppedWithin { epoch: 2, batches: 2 });
    assert_eq!((stop.best_epoch(), network.updates), (Some(0), 4.0));
    Ok(())
}

#[test]
fn a_figure_that_is_not_there_is_an_error_that_lists_those_that_are_before_any_update() -> TestResult {
    let stop: &mut dyn Callback<f64> = &mut EarlyStopping::new("val_loss");
    let slower: &mut dyn Callback<f64> = &mut ReduceOnPlateau::new("val_loss");
    for (callback, complaint) in [
        (stop, "early stopping: no figure is named \"val_loss\"; there are loss, figure"),
        (slower, "reduce on plateau: no figure is named \"val_loss\"; there are loss, figure, learning_rate"),
    ] {
        let mut network = Scripted::new(&[1.0]);
        let message = network.train(0, &mut [callback]).map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(message, Err(complaint.to_owned()));
        assert_eq!(network.updates, 0.0);
    }
    Ok(())
}
