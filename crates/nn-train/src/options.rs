//! What `fit` is asked for, and what it gives back.

use std::num::NonZeroUsize;

use crate::{Dataset, History};

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
    /// Whether each epoch visits the rows in an order of its own ([`epoch_order`](crate::epoch_order)). A batch of all
    /// rows has no order.
    pub shuffle: bool,
    /// What the orders are drawn from.
    pub seed: u64,
    /// The share of the training rows, in [0, 1), to hold back for validation: the last ones, taken before shuffling. 0: none.
    pub validation_split: f64,
    /// How much the loss of a row of each class counts; 1 for classes that are not here. For networks with one output,
    /// of classes. Where rows have weights of their own, the two are multiplied. Validation and test data are measured
    /// without them.
    pub class_weights: Vec<(i32, f64)>,
}

impl Default for FitOptions {
    /// One epoch in batches of 32, shuffled, without validation, as Keras has it.
    fn default() -> Self {
        let batch_size = NonZeroUsize::new(32).map_or(BatchSize::Full, BatchSize::Rows);
        Self {
            epochs: 1,
            initial_epoch: 0,
            batch_size,
            shuffle: true,
            seed: 0,
            validation_split: 0.0,
            class_weights: Vec::new(),
        }
    }
}

/// What to train on and what to measure after each epoch.
#[derive(Debug, Clone)]
pub struct FitData<'a, T> {
    /// The examples to train on; see also [`FitOptions::validation_split`].
    pub train: Dataset<'a, T>,
    /// Measured after each epoch as `val_loss`, `val_accuracy`, …; not together with a validation split.
    pub validation: Option<Dataset<'a, T>>,
    /// Measured after each epoch as `test_loss`, `test_accuracy`, ….
    pub test: Option<Dataset<'a, T>>,
}

impl<'a, T> FitData<'a, T> {
    /// Examples to train on, and nothing else.
    pub fn new(train: Dataset<'a, T>) -> Self {
        Self { train, validation: None, test: None }
    }
}

/// What training came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The figures of each whole epoch.
    pub history: History,
    /// How it ended.
    pub ending: Ending,
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the last epoch that was asked for, whether or not a callback would have stopped there too.
    Finished,
    /// After this epoch and before the last one, because a callback asked for it.
    StoppedAfter {
        /// The last epoch, counted from 0.
        epoch: usize,
    },
    /// Within this epoch, because a callback asked for it. The network has made the updates; the history does not have
    /// the epoch.
    StoppedWithin {
        /// The epoch that was not finished, counted from 0.
        epoch: usize,
        /// How many of its updates were made.
        batches: usize,
    },
}
