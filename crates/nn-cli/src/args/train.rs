//! The options of `nn train`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use nn_core::backend::BackendKind;
use nn_core::init::Initializer;
use nn_core::metrics::Metric;
use nn_core::ops::Activation;
use serde::Serialize;

use super::callbacks::CallbackArgs;
use super::numbers::{fraction, not_negative};
use super::optimizer::OptimizerArgs;
use super::{DATA_HELP, DataSource};

/// The activations that a hidden layer may have.
pub(crate) const ACTIVATIONS: [Activation; 3] = [Activation::Tanh, Activation::Relu, Activation::Sigmoid];

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Read options from FILE, such as the config.toml that a run left; those given beside it override it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[arg(long, default_value = "bundled", value_name = "bundled|DIR", help_heading = "Data", help = DATA_HELP)]
    pub(crate) data: DataSource,
    /// Train on the first N training images only
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub(crate) train_rows: Option<NonZeroUsize>,
    /// Hold back the last F of the training images, 0 to below 1, and measure them after each epoch
    #[arg(long, value_name = "F", default_value = "0", allow_negative_numbers = true, value_parser = fraction, help_heading = "Data")]
    pub(crate) validation_split: f64,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    /// How often to go through the training images
    #[arg(long, value_name = "N", default_value = "8", help_heading = "Training")]
    pub(crate) epochs: NonZeroUsize,
    /// Images per update, or full: all of them at once
    #[arg(long, value_name = "N|full", default_value = "128", value_parser = BatchRows::parse, help_heading = "Training")]
    pub(crate) batch_size: BatchRows,
    /// Visit the images in an order of its own in each epoch (the default)
    #[arg(long, overrides_with = "no_shuffle", help_heading = "Training")]
    pub(crate) shuffle: bool,
    /// Visit the images in the order of the data
    #[arg(long, overrides_with = "shuffle", help_heading = "Training")]
    pub(crate) no_shuffle: bool,
    /// What weights and orders are drawn from; the same number gives the same run
    #[arg(long, value_name = "N", default_value = "0", help_heading = "Training")]
    pub(crate) seed: u64,

    /// What computes; see nn backends
    #[arg(
        long,
        default_value = "auto",
        value_parser = PossibleValuesParser::new(BackendKind::ALL.map(BackendKind::name)).try_map(|name| name.parse::<BackendKind>()),
        help_heading = "Computation"
    )]
    pub(crate) backend: BackendKind,
    /// The BLAS library, by name (openblas, blis, mkl, …) or path; implies the backend blas
    #[arg(long, value_name = "NAME|PATH", help_heading = "Computation")]
    pub(crate) blas: Option<String>,
    /// The form in which the images reach the first layer
    #[arg(long, value_enum, default_value_t = Input::Auto, help_heading = "Computation")]
    pub(crate) input: Input,
    /// How many threads compute [default: one per processor that this process may use]
    #[arg(long, value_name = "N", help_heading = "Computation")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Hold each thread on a core of its own: faster where nothing else wants the cores
    #[arg(long, help_heading = "Computation")]
    pub(crate) pin: bool,
    /// The type of all numbers
    #[arg(long, value_enum, default_value_t = DType::F32, help_heading = "Computation")]
    pub(crate) dtype: DType,

    #[command(flatten)]
    pub(crate) callbacks: CallbackArgs,
    /// Write history, confusion matrix, times (from the start until the first step, training, in all, …) and environment
    /// to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
    /// Write the trained weights to FILE, under Keras' names
    #[arg(long, value_name = "FILE.safetensors", help_heading = "Output")]
    pub(crate) save: Option<PathBuf>,
    /// Leave options, history, weights and a page to look at in DIR [default: runs/TIME-NAME, a new one for each run]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
    /// Leave no folder
    #[arg(long, conflicts_with = "out", help_heading = "Output")]
    pub(crate) no_out: bool,
    /// Print nothing but errors
    #[arg(long, short, help_heading = "Output")]
    pub(crate) quiet: bool,
}

/// What describes a network and how its weights follow their gradients.
#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// The level of abstraction that the network is built at; all give the same bits
    #[arg(long, value_enum, default_value_t = Api::Sequential, help_heading = "Network")]
    pub(crate) api: Api,
    /// The units of each hidden layer, separated by commas: 512, or 128,64
    #[arg(long, value_name = "UNITS", default_value = "512", value_parser = Hidden::parse, help_heading = "Network")]
    pub(crate) hidden: Hidden,
    /// What the hidden layers do with their sums
    #[arg(
        long,
        default_value = "tanh",
        value_parser = PossibleValuesParser::new(ACTIVATIONS.map(Activation::name)).map(activation),
        help_heading = "Network"
    )]
    pub(crate) activation: Activation,
    /// The first weights: glorot-uniform, glorot-normal, he-uniform, he-normal, normal:SIGMA, uniform:LIMIT, orthogonal,
    /// zeros, or a file of weights, FILE.safetensors
    #[arg(long, value_name = "INIT", default_value = "glorot-uniform", value_parser = Init::parse, help_heading = "Network")]
    pub(crate) init: Init,
    /// Add F times the sum of the kernels' absolute values to the loss
    #[arg(long, value_name = "F", default_value = "0", allow_negative_numbers = true, value_parser = not_negative, help_heading = "Network")]
    pub(crate) l1: f64,
    /// Add F times the sum of the kernels' squares to the loss
    #[arg(long, value_name = "F", default_value = "0", allow_negative_numbers = true, value_parser = not_negative, help_heading = "Network")]
    pub(crate) l2: f64,
    /// Measure this too, beside loss and accuracy: top_K_accuracy, precision_CLASS or recall_CLASS, such as recall_7; may be
    /// given again
    #[arg(long = "metric", value_name = "NAME", value_delimiter = ',', value_parser = metric, help_heading = "Network")]
    pub(crate) metrics: Vec<Metric>,

    #[command(flatten)]
    pub(crate) optimizer: OptimizerArgs,
}

/// A level of abstraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Api {
    /// Placeholders, variables and operations
    Graph,
    /// Functions that build a layer's graph
    Layers,
    /// A stack of layers
    Sequential,
    /// Layers called on each other's outputs
    Functional,
}

/// A form of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Input {
    /// Whichever is faster on this backend
    Auto,
    /// All pixels, as numbers
    Dense,
    /// All pixels, as the bytes that they are
    Bytes,
    /// The pixels that are not 0
    Sparse,
}

/// An element type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DType {
    /// Single precision
    F32,
    /// Double precision
    F64,
}

/// The units of each hidden layer, one or more layers of one or more units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) Vec<usize>);

impl Hidden {
    fn parse(text: &str) -> Result<Self, String> {
        let units = |part: &str| part.trim().parse().ok().filter(|&n| n > 0);
        let all: Option<Vec<usize>> = text.split(',').map(units).collect();
        all.map(Self).ok_or_else(|| "expected numbers of units from 1 on, such as 512 or 128,64".into())
    }
}

/// `N` or `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchRows {
    Rows(NonZeroUsize),
    Full,
}

impl BatchRows {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "full" {
            return Ok(Self::Full);
        }
        text.parse().map(Self::Rows).map_err(|_| "expected a number from 1 on, or full".to_owned())
    }
}

/// Where the first weights come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Init {
    /// Drawn, as the text says.
    Drawn(Initializer, String),
    /// Read from a file.
    File(PathBuf),
}

impl Init {
    fn parse(text: &str) -> Result<Self, String> {
        if text.ends_with(".safetensors") {
            return Ok(Self::File(text.into()));
        }
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let number = number.map(not_negative).transpose()?;
        let drawn = match (name, number) {
            ("zeros", None) => Initializer::Zeros,
            ("glorot-uniform", None) => Initializer::GlorotUniform,
            ("glorot-normal", None) => Initializer::GlorotNormal,
            ("he-uniform", None) => Initializer::HeUniform,
            ("he-normal", None) => Initializer::HeNormal,
            ("orthogonal", gain) => Initializer::Orthogonal(gain.unwrap_or(1.0)),
            ("normal", Some(sigma)) => Initializer::Normal(sigma),
            ("uniform", Some(limit)) => Initializer::Uniform(limit),
            _ => {
                return Err("expected glorot-uniform, glorot-normal, he-uniform, he-normal, normal:SIGMA, uniform:LIMIT, \
                            orthogonal, zeros or FILE.safetensors"
                    .into());
            }
        };
        Ok(Self::Drawn(drawn, text.to_owned()))
    }
}

/// A metric of classes, which is what the network tells apart.
fn metric(text: &str) -> Result<Metric, String> {
    match text.parse() {
        Ok(metric @ (Metric::Accuracy | Metric::TopK(_) | Metric::Precision(_) | Metric::Recall(_))) => Ok(metric),
        _ => Err("expected accuracy, top_K_accuracy, precision_CLASS or recall_CLASS, such as top_3_accuracy or recall_7"
            .into()),
    }
}

fn activation(name: String) -> Activation {
    ACTIVATIONS.into_iter().find(|f| f.name() == name).unwrap_or(Activation::Tanh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initialisers_are_read_with_their_numbers_and_files_by_their_ending() {
        let drawn = |i: Initializer, text: &str| Ok(Init::Drawn(i, text.into()));
        assert_eq!(Init::parse("normal:0.1"), drawn(Initializer::Normal(0.1), "normal:0.1"));
        assert_eq!(Init::parse("orthogonal"), drawn(Initializer::Orthogonal(1.0), "orthogonal"));
        assert_eq!(Init::parse("a/b.safetensors"), Ok(Init::File("a/b.safetensors".into())));
        for wrong in ["normal", "normal:", "normal:-1", "normal:inf", "zeros:1", "he", "", "w.npz"] {
            assert!(Init::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_of_rows_and_units_are_from_1_on() {
        assert_eq!(BatchRows::parse("full"), Ok(BatchRows::Full));
        assert!(BatchRows::parse("0").is_err() && BatchRows::parse("half").is_err());
        assert_eq!(Hidden::parse("128, 64"), Ok(Hidden(vec![128, 64])));
        for wrong in ["", "0", "512,", "512,0", "-1", "a"] {
            assert!(Hidden::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn metrics_are_those_of_classes() {
        assert_eq!(
            (metric("top_3_accuracy"), metric("recall_7")),
            (Ok(Metric::TopK(3)), Ok(Metric::Recall(7)))
        );
        for wrong in ["", "acuracy", "top_0_accuracy", "precision", "mse", "mean_squared_error"] {
            assert!(metric(wrong).is_err_and(|e| e.contains("top_K_accuracy")), "{wrong}");
        }
    }

    #[test]
    fn every_activation_is_read_back_from_its_name() {
        for f in ACTIVATIONS {
            assert_eq!(activation(f.name().to_owned()), f);
        }
    }
}
