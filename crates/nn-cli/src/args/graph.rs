//! The options of `nn graph`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DATA_HELP, DataSource, NetworkArgs};

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// What to draw
    #[arg(long, value_enum, default_value_t = GraphStage::Gradients, help_heading = "Picture")]
    pub(crate) stage: GraphStage,
    /// In which form
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Picture")]
    pub(crate) format: Format,
    /// Where to write it: a file, or for tensorboard a directory [default: standard output]
    #[arg(long, value_name = "FILE|DIR", help_heading = "Picture")]
    pub(crate) out: Option<PathBuf>,
    /// The rows of the batch that is cut into shards [default: all training images]
    #[arg(long, value_name = "N", help_heading = "Picture")]
    pub(crate) rows: Option<NonZeroUsize>,

    #[arg(long, default_value = "bundled", value_name = "bundled|DIR", help_heading = "Data", help = DATA_HELP)]
    pub(crate) data: DataSource,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// How far the graph has come on its way to being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphStage {
    /// The network, its loss and its accuracy, as they were built
    Built,
    /// With the gradients and the optimizer's update
    Gradients,
    /// The kernels that compute it, several operations in one
    Fused,
    /// What runs for each shard of the batch, what is summed over the batch, and what runs once
    Partition,
}

/// A form of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A picture for browsers and documents
    Svg,
    /// A page with the picture, to move about in
    Html,
    /// Graphviz
    Dot,
    /// An event file for TensorBoard
    Tensorboard,
    /// A list
    Text,
}
