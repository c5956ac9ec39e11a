//! Callbacks for [`fit`](crate::fit()), with Keras' semantics: stopping early, saving, changing the learning rate, logs.
//!
//! A figure to watch is named as in the history: `loss`, `val_loss`, `val_accuracy`, …. A name that is not among an
//! epoch's figures is an error before training begins, and the message lists those that are.
//!
//! ```
//! use nn_train::Callback;
//! use nn_train::callbacks::{EarlyStopping, ReduceOnPlateau, TerminateOnNan};
//! let mut slower = ReduceOnPlateau::new("val_loss").factor(0.5).patience(2);
//! let mut stop = EarlyStopping::new("val_loss").patience(5).restore_best();
//! let mut nan = TerminateOnNan::default();
//! let callbacks: [&mut dyn Callback<f32>; 3] = [&mut slower, &mut stop, &mut nan];
//! ```

mod csv_log;
mod early_stopping;
mod interrupt;
mod json_log;
mod log_file;
mod model_checkpoint;
mod monitor;
mod path_pattern;
mod reduce_on_plateau;
mod schedule;
mod tensorboard;
mod terminate_on_nan;

pub use csv_log::CsvLog;
pub use early_stopping::{BestWeights, EarlyStopping};
pub use interrupt::Interrupt;
pub use json_log::JsonLog;
pub use model_checkpoint::ModelCheckpoint;
pub use monitor::Mode;
pub use reduce_on_plateau::ReduceOnPlateau;
pub use schedule::LearningRateSchedule;
pub use tensorboard::TensorBoard;
pub use terminate_on_nan::TerminateOnNan;

/// The name under which callbacks that change the learning rate record it, as Keras does.
const LEARNING_RATE: &str = "learning_rate";
