//! Models: descriptions of layers, as a stack ([`Sequential`]) or with any number of inputs and outputs ([`Model`]), compiled
//! to a [`Network`] that trains, tests and predicts batch by batch.

mod batch;
mod compile;
mod model;
mod network;
mod sequential;
mod summary;
mod symbolic;

pub use batch::{Batch, Figures, Ratio, Target};
pub use compile::Compile;
pub use model::Model;
pub use network::{Endpoints, FigureNodes, NamedTensor, Network};
pub use sequential::Sequential;
pub use symbolic::{Apply, Arguments, Shared, Symbolic, input};
