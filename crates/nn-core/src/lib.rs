//! Dataflow graph, autodiff, executor, layers and models over interchangeable linear-algebra backends.

pub mod backend;
mod error;
pub mod exec;
pub mod graph;
pub mod init;
pub mod layers;
pub mod losses;
pub mod matrix;
pub mod metrics;
pub mod models;
pub mod ops;
pub mod optim;
mod scalar;

pub use error::{Error, Result};
pub use scalar::Scalar;
