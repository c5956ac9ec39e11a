//! The training loop.

use std::num::NonZeroUsize;
use std::time::Instant;

use nn_core::Scalar;
use nn_core::matrix::{InputRef, Rows};
use nn_core::models::Figures;

use crate::{
    BatchEnd, Callback, Dataset, EpochEnd, Error, Flow, History, Result, TrainBegin, Trainable, epoch_order,
};

/// Rows per batch where the batch's size changes nothing but the memory for the answers: evaluation and prediction.
/// Eight thousand rows keep every thread busy; the probabilities of so many digits are 640 kB in f64.
const EVALUATION_BATCH: usize = 8192;

/// Rows per update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// This many; the last batch of an epoch may be smaller.
    Rows(NonZeroUsize),
    /// All of them: one update per epoch.
    Full,
}

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// The number after the last epoch's; with `initial_epoch` 0, how many epochs to train.
    pub epochs: usize,
    /// The number of the first epoch; a resumed run gives the number of epochs already done.
    pub initial_epoch: usize,
    /// Rows per update.
    pub batch_size: BatchSize,
    /// Whether each epoch visits the rows in an order of its own ([`epoch_order`]). A batch of all rows has no order.
    pub shuffle: bool,
    /// What the orders are drawn from.
    pub seed: u64,
    /// The share of the training rows, in [0, 1), to hold back for validation: the last ones, taken before shuffling. 0: none.
    pub validation_split: f64,
}

impl Default for FitOptions {
    /// One epoch in batches of 32, shuffled, without validation, as Keras has it.
    fn default() -> Self {
        let batch_size = NonZeroUsize::new(32).map_or(BatchSize::Full, BatchSize::Rows);
        Self { epochs: 1, initial_epoch: 0, batch_size, shuffle: true, seed: 0, validation_split: 0.0 }
    }
}

/// What to train on and what to measure after each epoch.
#[derive(Debug, Clone, Copy)]
pub struct FitData<'a, T> {
    /// The examples to train on; see also [`FitOptions::validation_split`].
    pub train: Dataset<'a, T>,
    /// Measured after each epoch as `val_loss` and `val_accuracy`; not together with a validation split.
    pub validation: Option<Dataset<'a, T>>,
    /// Measured after each epoch as `test_loss` and `test_accuracy`.
    pub test: Option<Dataset<'a, T>>,
}

impl<'a, T> FitData<'a, T> {
    /// Examples to train on, and nothing else.
    pub fn new(train: Dataset<'a, T>) -> Self {
        Self { train, validation: None, test: None }
    }
}

/// Trains: epoch by epoch, batch by batch, each row once per epoch.
///
/// An epoch's `loss` and `accuracy` are the means over its batches weighted by their rows, each batch measured before
/// its update, as Keras reports them; `val_…` and `test_…` are measured after the epoch's last update. Same network,
/// data and options: same bits, whether or not the run was stopped and resumed
/// (see [`Checkpoint`](crate::checkpoint::Checkpoint)).
///
/// # Errors
/// If options and data don't fit each other or the network, or whatever the network or a callback reports.
pub fn fit<T: Scalar>(
    network: &mut dyn Trainable<T>,
    data: &FitData<'_, T>,
    options: &FitOptions,
    callbacks: &mut [&mut dyn Callback<T>],
) -> Result<History> {
    let plan = Plan::new(network.classes(), data, options)?;
    for callback in callbacks.iter_mut() {
        callback.on_train_begin(&plan.begin())?;
    }
    let mut history = History::default();
    let mut buffers = Buffers::default();
    for epoch in options.initial_epoch..options.epochs {
        for callback in callbacks.iter_mut() {
            callback.on_epoch_begin(epoch)?;
        }
        let start = Instant::now();
        let Some(stats) = train_epoch(network, &plan, epoch, &mut buffers, callbacks)? else { break };
        let training_seconds = start.elapsed().as_secs_f64();

        let start = Instant::now();
        record(&mut history, "", &stats);
        if let Some(validation) = &plan.validation {
            record(&mut history, "val_", &measure(network, validation)?);
        }
        if let Some(test) = &plan.test {
            record(&mut history, "test_", &measure(network, test)?);
        }
        let end = EpochEnd {
            epoch,
            epochs: options.epochs,
            history: &history,
            rows: stats.rows(),
            training_seconds,
            evaluation_seconds: start.elapsed().as_secs_f64(),
        };
        let mut flow = Flow::Continue;
        for callback in callbacks.iter_mut() {
            if callback.on_epoch_end(&end, &*network)? == Flow::Stop {
                flow = Flow::Stop;
            }
        }
        if flow == Flow::Stop {
            break;
        }
    }
    for callback in callbacks.iter_mut() {
        callback.on_train_end(&history)?;
    }
    Ok(history)
}

/// Loss and accuracy of a data set: the means over its rows.
///
/// # Errors
/// If the data don't fit the network.
pub fn evaluate<T: Scalar>(network: &mut dyn Trainable<T>, data: &Dataset<'_, T>) -> Result<Figures> {
    data.check_labels(network.classes())?;
    measure(network, data)
}

/// The probability of each class for each row of `x`: \[rows, classes\], row-major.
///
/// # Errors
/// If the rows don't fit the network.
pub fn predict<T: Scalar>(network: &mut dyn Trainable<T>, x: InputRef<'_, T>) -> Result<Vec<T>> {
    let mut all = Vec::with_capacity(x.rows() * network.classes());
    for start in (0..x.rows()).step_by(EVALUATION_BATCH) {
        let rows = EVALUATION_BATCH.min(x.rows() - start);
        all.extend_from_slice(network.predict_on_batch(x.slice(start, rows))?);
    }
    Ok(all)
}

/// What was asked for, checked: every batch of every epoch will fit the data.
struct Plan<'a, T> {
    train: Dataset<'a, T>,
    validation: Option<Dataset<'a, T>>,
    test: Option<Dataset<'a, T>>,
    batch_rows: usize,
    options: &'a FitOptions,
}

impl<'a, T: Scalar> Plan<'a, T> {
    fn new(classes: usize, data: &FitData<'a, T>, options: &'a FitOptions) -> Result<Self> {
        let FitData { mut train, mut validation, test } = *data;
        if options.initial_epoch > options.epochs {
            return Err(Error::invalid(format_args!(
                "fit: the first epoch, {}, comes after the last of {}",
                options.initial_epoch, options.epochs
            )));
        }
        for part in [Some(train), validation, test].into_iter().flatten() {
            part.check_labels(classes)?;
        }
        if options.validation_split != 0.0 {
            if validation.is_some() {
                return Err(Error::invalid(
                    "fit: expected validation data or a validation split, found both",
                ));
            }
            let (first, last) = train.split_last(options.validation_split)?;
            (train, validation) = (first, Some(last));
        }
        if train.rows() == 0 {
            return Err(Error::invalid("fit: expected at least one training row, found none"));
        }
        let batch_rows = match options.batch_size {
            BatchSize::Rows(rows) => rows.get().min(train.rows()),
            BatchSize::Full => train.rows(),
        };
        Ok(Self { train, validation, test, batch_rows, options })
    }

    fn batches(&self) -> usize {
        self.train.rows().div_ceil(self.batch_rows)
    }

    fn begin(&self) -> TrainBegin {
        TrainBegin {
            initial_epoch: self.options.initial_epoch,
            epochs: self.options.epochs,
            batches: self.batches(),
            train_rows: self.train.rows(),
            validation_rows: self.validation.map_or(0, |v| v.rows()),
            test_rows: self.test.map_or(0, |t| t.rows()),
        }
    }
}

/// What one epoch after another writes into.
#[derive(Default)]
struct Buffers {
    order: Vec<u32>,
    labels: Vec<i32>,
}

/// One epoch's updates; `None` if a callback asked to stop before they were all made.
fn train_epoch<T: Scalar>(
    network: &mut dyn Trainable<T>,
    plan: &Plan<'_, T>,
    epoch: usize,
    buffers: &mut Buffers,
    callbacks: &mut [&mut dyn Callback<T>],
) -> Result<Option<Figures>> {
    let (rows, train) = (plan.train.rows(), &plan.train);
    let shuffled = plan.options.shuffle && plan.batch_rows < rows;
    if shuffled {
        // `Dataset::new` saw to it that the number of rows is a u32.
        epoch_order(plan.options.seed, epoch as u64, rows as u32, &mut buffers.order);
    }
    let start = Instant::now();
    let mut mean = Figures::none(&network.figure_names());
    for batch in 0..plan.batches() {
        let first = batch * plan.batch_rows;
        let len = plan.batch_rows.min(rows - first);
        mean.add(&if shuffled {
            let picked = &buffers.order[first..first + len];
            buffers.labels.clear();
            buffers.labels.extend(picked.iter().map(|&row| train.labels()[row as usize]));
            network.train_on_batch(train.x().select(Rows::List(picked))?, &buffers.labels)?
        } else {
            let part = train.part(first, len);
            network.train_on_batch(part.x(), part.labels())?
        });
        let end = BatchEnd {
            epoch,
            epochs: plan.options.epochs,
            batch,
            batches: plan.batches(),
            rows_done: mean.rows(),
            rows,
            rows_per_second: mean.rows() as f64 / start.elapsed().as_secs_f64().max(f64::MIN_POSITIVE),
            loss: mean.loss(),
            accuracy: mean.get("accuracy").unwrap_or(0.0),
        };
        for callback in callbacks.iter_mut() {
            if callback.on_batch_end(&end)? == Flow::Stop {
                return Ok(None);
            }
        }
    }
    Ok(Some(mean))
}

fn measure<T: Scalar>(network: &mut dyn Trainable<T>, data: &Dataset<'_, T>) -> Result<Figures> {
    let mut mean = Figures::none(&network.figure_names());
    for start in (0..data.rows()).step_by(EVALUATION_BATCH) {
        let part = data.part(start, EVALUATION_BATCH.min(data.rows() - start));
        mean.add(&network.test_on_batch(part.x(), part.labels())?);
    }
    Ok(mean)
}

fn record(history: &mut History, prefix: &str, figures: &Figures) {
    for (name, value) in figures.iter() {
        history.push(&format!("{prefix}{name}"), value);
    }
}
