//! Training for `nn-core`'s networks: [`fit`], [`evaluate`] and [`predict`] over any [`Trainable`], with [`History`],
//! callbacks, metrics, weights in safetensors files, and checkpoints to resume from.
//!
//! Nothing here prints, and nothing here knows one data set from another.

mod callback;
pub mod checkpoint;
mod dataset;
mod error;
pub mod files;
mod fit;
mod history;
pub mod metrics;
mod network;
mod order;
pub mod weights;

pub use callback::{BatchEnd, Callback, EpochEnd, Flow, TrainBegin};
pub use dataset::Dataset;
pub use error::{Error, Result};
pub use fit::{BatchSize, FitData, FitOptions, evaluate, fit, predict};
pub use history::History;
pub use network::Trainable;
pub use order::epoch_order;
