//! Models: descriptions of layers, as a stack ([`Sequential`]) or with any number of inputs and outputs ([`Model`]), compiled
//! to a [`Network`] that trains, tests and predicts batch by batch.

mod ahead;
mod batch;
mod compile;
mod endpoints;
mod layout;
mod model;
mod network;
mod order;
mod run;
mod sequential;
mod summary;
mod symbolic;
mod weights;

pub use batch::{Batch, Figures, Ratio, Target};
pub use compile::Compile;
pub use endpoints::{Endpoints, FigureNodes};
pub use model::Model;
pub use network::Network;
pub use sequential::Sequential;
pub use symbolic::{Apply, Arguments, Shared, Symbolic, input};
pub use weights::NamedTensor;
