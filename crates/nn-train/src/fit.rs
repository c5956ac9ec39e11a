//! The training loop.

use std::time::Instant;

use nn_core::Scalar;
use nn_core::models::Figures;

use crate::dataset::Room;
use crate::evaluate::measure;
use crate::plan::{Plan, TEST, VALIDATION, row_weights};
use crate::{
    BatchEnd, Callback, Ending, EpochEnd, FitData, FitOptions, Fitted, Flow, History, Result, TrainEnd,
    Trainable, epoch_order,
};

/// Trains: epoch by epoch, batch by batch, each row once per epoch.
///
/// An epoch's `loss` and metrics are those of its rows, each batch measured before its update, as Keras reports them;
/// `val_…` and `test_…` are measured after the epoch's last update. Where rows have weights, the loss is Σ wᵢ ℓᵢ / rows;
/// metrics count every row alike. Same network, data and options: same bits, whether or not the run was stopped and
/// resumed (see [`Checkpoint`](crate::checkpoint::Checkpoint)).
///
/// A callback that asks to stop ends the training after the current batch. Of an epoch that was not finished nothing is
/// recorded: [`Fitted::ending`] says how far it came.
///
/// # Errors
/// If options and data don't fit each other or the network, or whatever the network or a callback reports.
pub fn fit<T: Scalar>(
    network: &mut dyn Trainable<T>,
    data: &FitData<'_, T>,
    options: &FitOptions,
    callbacks: &mut [&mut dyn Callback<T>],
) -> Result<Fitted> {
    let weights = row_weights(&data.train, &options.class_weights)?;
    let plan = Plan::new(&*network, data, weights.as_deref(), options)?;
    let mut figures = plan.figures();
    for name in callbacks.iter().flat_map(|callback| callback.adds()) {
        if !figures.contains(&name) {
            figures.push(name);
        }
    }
    for callback in callbacks.iter_mut() {
        callback.on_train_begin(&plan.begin(&figures), network)?;
    }
    let mut history = History::default();
    let ending = train(network, &plan, callbacks, &mut history)?;
    for callback in callbacks.iter_mut() {
        callback.on_train_end(&TrainEnd { history: &history, ending }, network)?;
    }
    Ok(Fitted { history, ending })
}

/// All epochs.
fn train<T: Scalar>(
    network: &mut dyn Trainable<T>,
    plan: &Plan<'_, T>,
    callbacks: &mut [&mut dyn Callback<T>],
    history: &mut History,
) -> Result<Ending> {
    let epochs = plan.options.epochs;
    let mut buffers = Buffers::default();
    let beginning = Instant::now();
    for epoch in plan.options.initial_epoch..epochs {
        for callback in callbacks.iter_mut() {
            callback.on_epoch_begin(epoch, network)?;
        }
        let start = Instant::now();
        let trained = train_epoch(network, plan, epoch, &mut buffers, callbacks)?;
        if trained.batches < plan.batches() {
            return Ok(Ending::StoppedWithin { epoch, batches: trained.batches });
        }
        let training_seconds = start.elapsed().as_secs_f64();

        let start = Instant::now();
        record(history, "", &trained.figures);
        for (prefix, part) in [(VALIDATION, &plan.validation), (TEST, &plan.test)] {
            if let Some(part) = part {
                record(history, prefix, &measure(network, part)?);
            }
        }
        let mut end = EpochEnd {
            epoch,
            epochs,
            history: &mut *history,
            rows: trained.figures.rows(),
            training_seconds,
            evaluation_seconds: start.elapsed().as_secs_f64(),
            seconds: beginning.elapsed().as_secs_f64(),
        };
        let mut flow = trained.flow;
        for callback in callbacks.iter_mut() {
            if callback.on_epoch_end(&mut end, network)? == Flow::Stop {
                flow = Flow::Stop;
            }
        }
        if flow == Flow::Stop && epoch + 1 < epochs {
            return Ok(Ending::StoppedAfter { epoch });
        }
    }
    Ok(Ending::Finished)
}

/// What one epoch after another writes into.
#[derive(Default)]
struct Buffers<T> {
    order: Vec<u32>,
    room: Room<T>,
}

/// An epoch's updates, as far as they were made.
struct Trained {
    figures: Figures,
    batches: usize,
    flow: Flow,
}

fn train_epoch<T: Scalar>(
    network: &mut dyn Trainable<T>,
    plan: &Plan<'_, T>,
    epoch: usize,
    buffers: &mut Buffers<T>,
    callbacks: &mut [&mut dyn Callback<T>],
) -> Result<Trained> {
    let (rows, train) = (plan.train.rows(), &plan.train);
    let shuffled = plan.options.shuffle && plan.batch_rows < rows;
    if shuffled {
        // A `Dataset` has no more rows than a u32 counts.
        epoch_order(plan.options.seed, epoch as u64, rows as u32, &mut buffers.order);
    }
    let start = Instant::now();
    let mut trained = Trained { figures: Figures::none(&plan.names), batches: 0, flow: Flow::Continue };
    while trained.batches < plan.batches() && trained.flow == Flow::Continue {
        let batch = trained.batches;
        let first = batch * plan.batch_rows;
        let len = plan.batch_rows.min(rows - first);
        trained.figures.add(&if shuffled {
            network.train_batch(&train.select(&buffers.order[first..], len, &mut buffers.room)?)?
        } else {
            network.train_batch(&train.batch(first, len))?
        });
        trained.batches += 1;
        let end = BatchEnd {
            epoch,
            epochs: plan.options.epochs,
            batch,
            batches: plan.batches(),
            rows,
            figures: &trained.figures,
            seconds: start.elapsed().as_secs_f64(),
        };
        for callback in callbacks.iter_mut() {
            if callback.on_batch_end(&end, network)? == Flow::Stop {
                trained.flow = Flow::Stop;
            }
        }
    }
    Ok(trained)
}

fn record(history: &mut History, prefix: &str, figures: &Figures) {
    for (name, value) in figures.iter() {
        history.push(&format!("{prefix}{name}"), value);
    }
}
