//! Dataflow graph, autodiff, executor, layers and models over interchangeable linear-algebra backends.

pub mod backend;
mod error;
pub mod graph;
pub mod init;
pub mod matrix;
pub mod ops;
mod scalar;

pub use error::{Error, Result};
pub use scalar::Scalar;
