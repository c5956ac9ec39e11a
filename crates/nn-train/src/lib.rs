//! Training for `nn-core`'s networks: [`fit`], [`evaluate`] and [`predict`] over any [`Trainable`], with [`History`],
//! callbacks, metrics, weights in safetensors files, and checkpoints to resume from.
//!
//! Nothing here prints, and nothing here knows one data set from another.
//!
//! ```
//! use std::sync::Arc;
//! use nn_core::backend::Naive;
//! use nn_core::exec::SessionOptions;
//! use nn_core::layers::Dense;
//! use nn_core::losses::Loss;
//! use nn_core::matrix::{InputRef, MatRef};
//! use nn_core::metrics::Metric;
//! use nn_core::models::{Compile, Sequential};
//! use nn_core::ops::Activation;
//! use nn_core::optim::Optimizer;
//! use nn_train::callbacks::EarlyStopping;
//! use nn_train::{BatchSize, Dataset, FitData, FitOptions, Trainable};
//!
//! let xor = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
//! let x = InputRef::dense(MatRef::new(&xor, 4, 2)?);
//! let data = Dataset::new(x, &[0, 1, 1, 0])?;
//! let mut network = Sequential::new(2)
//!     .add(Dense::new(8).activation(Activation::Tanh))
//!     .add(Dense::new(2))
//!     .compile(
//!         Compile::new(Optimizer::adam(0.1), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy),
//!         SessionOptions::<f64>::new(Arc::new(Naive)),
//!     )?;
//! let options = FitOptions { epochs: 200, batch_size: BatchSize::Full, ..FitOptions::default() };
//! let mut stop = EarlyStopping::new("loss").min_delta(1e-4).patience(5).restore_best();
//! let fitted = network.fit(&FitData::new(data.clone()), &options, &mut [&mut stop])?;
//! assert!(fitted.history.epochs() <= 200);
//! assert_eq!(network.evaluate(&data)?.get("accuracy"), Some(1.0));
//! # Ok::<(), nn_train::Error>(())
//! ```

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
pub mod tensorboard;
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
