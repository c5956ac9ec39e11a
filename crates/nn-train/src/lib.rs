//! Training for `nn-core`'s networks: [`fit`], [`evaluate`] and [`predict`] over any [`Trainable`], with [`History`],
//! callbacks, metrics, weights in safetensors files, and checkpoints to resume from.
//!
//! Nothing here prints, and nothing here knows one data set from another.

mod callback;
pub mod callbacks;
pub mod checkpoint;
mod dataset;
mod error;
mod evaluate;
pub mod files;
mod fit;
mod history;
pub mod metrics;
mod network;
mod options;
mod order;
mod plan;
mod trainable;
pub mod weights;

pub use callback::{BatchEnd, Callback, EpochEnd, Flow, TrainBegin, TrainEnd};
pub use dataset::Dataset;
pub use error::{Error, Result};
pub use evaluate::{evaluate, predict, predict_outputs};
pub use fit::fit;
pub use history::History;
pub use options::{BatchSize, Ending, FitData, FitOptions, Fitted};
pub use order::epoch_order;
pub use trainable::Trainable;
