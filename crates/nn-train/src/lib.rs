//! Training loops, history, callbacks and metrics for `nn-core`.

mod error;
pub mod files;
mod history;
pub mod metrics;

pub use error::{Error, Result};
pub use history::History;
