//! Models: a description of layers, compiled to a [`Network`] that trains, tests and predicts batch by batch.

mod batch;
mod network;
mod sequential;

pub use batch::{Batch, Figures, Ratio, Target};
pub use network::{BatchStats, Endpoints, NamedTensor, Network};
pub use sequential::Sequential;
