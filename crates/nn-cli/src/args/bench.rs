//! The options of `nn bench`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand, ValueEnum};
use nn_core::backend::BackendKind;

use super::numbers::positive;
use super::{BatchRows, DATA_HELP, DType, DataSource, NetworkArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Fused multiply-adds out of registers, on one thread and on all at once: what every product is held against
    Peak(PeakArgs),
    /// The training step: loss, accuracy and update of one batch
    Step(Box<StepArgs>),
    /// What an image costs as steps grow: the same step with few images and with many, all at once
    Rows(Box<RowsArgs>),
    /// An epoch: all updates of the training images, shuffled, with accuracy
    Epoch(Box<EpochArgs>),
    /// Predictions: all test images at once, and one at a time
    Predict(Box<SubjectArgs>),
    /// A training step with simd beside the best of a BLAS library, over widths, batches, data and depths
    Grid(GridArgs),
    /// The matrix products of a training step, one by one, with simd and with a BLAS library
    Gemm(GemmArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PeakArgs {
    /// How many threads measure at once [default: one per processor that this process may use]
    #[arg(long, value_name = "N", help_heading = "Computation")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Write the figures and the environment to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    #[command(flatten)]
    pub(crate) subjects: SubjectArgs,
    /// Images per step, or full: all of them at once
    #[arg(long, value_name = "N|full", default_value = "full", value_parser = BatchRows::parse, help_heading = "Measurement")]
    pub(crate) batch_size: BatchRows,
}

/// Sparse bytes on our own kernels unless told otherwise: what takes a byte for a pixel has room for the greatest count.
#[derive(Debug, Args)]
#[command(
    mut_arg("input", |input| input.default_value("sparse")),
    mut_arg("backend", |backend| backend.default_value("simd").help("What computes, several with commas or repeated"))
)]
pub(crate) struct RowsArgs {
    #[command(flatten)]
    pub(crate) subjects: SubjectArgs,
    /// Images in a step, several with commas; where the data have fewer they come again and again. All are in memory at
    /// once, sparse at some 2 KB each
    #[arg(
        long,
        value_name = "N,N,…",
        value_delimiter = ',',
        default_value = "1000,2000,5000,10000,30000,60000,120000,300000,1000000",
        help_heading = "Measurement"
    )]
    pub(crate) counts: Vec<NonZeroUsize>,
    /// Draw what an image costs over how many there are to FILE
    #[arg(long, value_name = "FILE.svg", help_heading = "Output")]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EpochArgs {
    #[command(flatten)]
    pub(crate) subjects: SubjectArgs,
    /// Images per update, or full: all of them at once
    #[arg(long, value_name = "N|full", default_value = "50", value_parser = BatchRows::parse, help_heading = "Measurement")]
    pub(crate) batch_size: BatchRows,
    /// The exercise's epoch: one update with all images, then the accuracy of training and test images
    #[arg(long, conflicts_with = "batch_size", help_heading = "Measurement")]
    pub(crate) exercise: bool,
}

/// What is measured, and how often.
#[derive(Debug, Args)]
#[command(mut_arg("name", |optimizer| optimizer.default_value("sgd")))]
pub(crate) struct SubjectArgs {
    /// What computes, several with commas or repeated; auto: all that are there but naive [default: auto, unless
    /// --blas names one]
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(BackendKind::ALL.map(BackendKind::name)).try_map(|name| name.parse::<BackendKind>()),
        help_heading = "Computation"
    )]
    pub(crate) backend: Vec<BackendKind>,
    /// BLAS libraries by name (openblas, blis, mkl, …) or path, several with commas or repeated; each is a backend blas
    #[arg(long, value_name = "NAME|PATH", value_delimiter = ',', help_heading = "Computation")]
    pub(crate) blas: Vec<String>,
    /// The form in which the images reach the first layer
    #[arg(long, value_enum, default_value_t = Forms::Both, help_heading = "Computation")]
    pub(crate) input: Forms,
    /// How many threads compute [default: one per processor that this process may use]
    #[arg(long, value_name = "N", help_heading = "Computation")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// The type of all numbers
    #[arg(long, value_enum, default_value_t = DType::F32, help_heading = "Computation")]
    pub(crate) dtype: DType,

    #[arg(long, default_value = "bundled", value_name = "bundled|DIR", help_heading = "Data", help = DATA_HELP)]
    pub(crate) data: DataSource,
    /// Use the first N images only
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) rows: Option<NonZeroUsize>,

    /// How often each is measured, in turns, after two rounds that are not counted
    #[arg(long, value_name = "N", default_value = "5", help_heading = "Measurement")]
    pub(crate) repeat: NonZeroUsize,
    /// Write all figures, the peak and the environment to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// Forms of the images to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Forms {
    /// All pixels, as numbers
    Dense,
    /// All pixels, as the bytes that they are
    Bytes,
    /// The pixels that are not 0
    Sparse,
    /// Dense and sparse, one after the other
    Both,
}

/// What simd is measured beside.
#[derive(Debug, Args)]
pub(crate) struct VersusArgs {
    /// The BLAS library, by name (openblas, blis, mkl, …) or path [default: the linked one, else the first that is found]
    #[arg(long, value_name = "NAME|PATH", help_heading = "Computation")]
    pub(crate) blas: Option<String>,
    /// How many threads compute; with several, the library is measured under the executor's threads and with its own
    /// [default: one per processor that this process may use]
    #[arg(long, value_name = "N", help_heading = "Computation")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Write all figures, the peak and the environment to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GridArgs {
    #[command(flatten)]
    pub(crate) versus: VersusArgs,

    /// Units of the hidden layers
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "16,64,128,512,2048,4096",
        help_heading = "Grid"
    )]
    pub(crate) hidden: Vec<NonZeroUsize>,
    /// How many hidden layers, of as many units each
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2", help_heading = "Grid")]
    pub(crate) layers: Vec<NonZeroUsize>,
    /// Images per step
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1,8,50,256,4096,60000",
        help_heading = "Grid"
    )]
    pub(crate) batch: Vec<NonZeroUsize>,
    /// The images
    #[arg(
        long,
        value_enum,
        value_name = "NAME,…",
        value_delimiter = ',',
        default_value = "random,mnist",
        help_heading = "Grid"
    )]
    pub(crate) input: Vec<GridInput>,

    #[arg(long, default_value = "bundled", value_name = "bundled|DIR", help_heading = "Data", help = DATA_HELP)]
    pub(crate) data: DataSource,
    /// Images of each kind, which the steps go through [default: as many as the data have to train on]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) rows: Option<NonZeroUsize>,

    /// How long a cell of the grid is measured, after first steps, which don't count; one step of each at least
    #[arg(long, value_name = "S", default_value = "1", value_parser = positive, help_heading = "Measurement")]
    pub(crate) seconds: f64,
}

/// Images of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GridInput {
    /// Numbers from 0 to 1, all of them drawn: dense
    Random,
    /// The data set, for simd in the form that it prefers, for BLAS in both
    Mnist,
}

#[derive(Debug, Args)]
pub(crate) struct GemmArgs {
    #[command(flatten)]
    pub(crate) versus: VersusArgs,

    /// Units of the hidden layers, in order
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "512", help_heading = "Network")]
    pub(crate) hidden: Vec<NonZeroUsize>,

    /// Rows of the batch
    #[arg(long, value_name = "N", default_value = "60000", help_heading = "Measurement")]
    pub(crate) rows: NonZeroUsize,
    /// How often each is measured, in turns, after two rounds that are not counted
    #[arg(long, value_name = "N", default_value = "5", help_heading = "Measurement")]
    pub(crate) repeat: NonZeroUsize,
}
