//! Running a graph: a [`Session`] holds the variables, compiles what is fetched into a plan once, and executes it on a
//! backend with its own threads.
//!
//! ```text
//! graph ─ analysis ─→ lower ─→ Program ─→ memory ─→ Plan ─→ run
//!         what depends  fuse      per-shard    slots     per lane of shards, reduce,
//!         on the batch            and once               once, commit
//! ```
//!
//! The batch axis is cut into *shards* of rows, small enough that a shard's activations stay in cache. Consecutive
//! shards form a *lane*, which has its own accumulators for what is summed over the batch (Xᵀδ, Σδ, Σloss). Threads
//! take whole lanes; afterwards the lanes' sums are added up in order. Shards and lanes follow from the number of rows,
//! the widths in the graph and the backend alone, so the bits of a result don't depend on how many threads there are.
//!
//! [`explain`] tells all of this of a set of fetches, for people and pictures.

mod ahead;
mod analysis;
mod band_update;
mod bands;
mod chain;
mod columns;
mod elementwise;
mod fixed;
mod fusion;
mod lanes;
mod layout;
mod lower;
mod memory;
mod moves;
mod numbers;
mod operands;
mod outputs;
mod partial;
mod passes;
mod plain;
mod plan;
mod pool;
mod program;
mod random;
mod rows_ahead;
mod run;
mod session;
mod store;
mod trial;
mod update;
mod value;
mod view;
mod wide;

pub use outputs::Outputs;
#[doc(hidden)] // For the benchmark `fork_join`; no part of the interface.
pub use pool::Team;
pub use session::{Session, SessionOptions};
pub use value::{Feed, Tensor};
pub use view::{CommitView, Explained, Origin, StageView, StepView, SumView, ValueView, explain};
