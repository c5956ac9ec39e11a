//! The options of `nn train`, checked against each other: a `TrainConfig` can be run as it is.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use nn_core::backend::{BackendKind, Choice};
use nn_core::metrics::Metric;
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_train::{BatchSize, FitOptions};
use serde_json::{Map, Value, json};

use super::optimizer;
use super::page::flat;
use crate::args::{
    Api, BatchRows, CallbackArgs, DType, DataSource, Init, Input, Log, NetworkArgs, OptimizerArgs, TrainArgs,
};
use crate::failure::Failure;

/// A network and its optimizer.
#[derive(Debug)]
pub(crate) struct NetworkConfig {
    pub(crate) api: Api,
    pub(crate) hidden: Vec<usize>,
    pub(crate) activation: Activation,
    pub(crate) init: Init,
    pub(crate) l1: f64,
    pub(crate) l2: f64,
    /// What is measured beside the loss, each once; accuracy first.
    pub(crate) metrics: Vec<Metric>,
    pub(crate) optimizer: Optimizer,
    /// What `optimizer` was made from.
    optimizer_args: OptimizerArgs,
}

impl NetworkConfig {
    /// Options that mean nothing together are wrong usage rather than ignored.
    pub(crate) fn new(args: NetworkArgs) -> Result<Self, Failure> {
        let mut metrics = vec![Metric::Accuracy];
        for metric in args.metrics {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        Ok(Self {
            metrics,
            api: args.api,
            hidden: args.hidden.0,
            activation: args.activation,
            init: args.init,
            l1: args.l1,
            l2: args.l2,
            optimizer: optimizer::optimizer(&args.optimizer)?,
            optimizer_args: args.optimizer,
        })
    }

    /// The network and its optimizer as JSON.
    pub(crate) fn describe(&self) -> Map<String, Value> {
        let init = match &self.init {
            Init::Drawn(_, text) => text.clone(),
            Init::File(path) => path.display().to_string(),
        };
        let pairs = [
            ("api", json!(self.api)),
            ("hidden", json!(self.hidden)),
            ("activation", json!(self.activation.name())),
            ("init", json!(init)),
            ("l1", json!(self.l1)),
            ("l2", json!(self.l2)),
            ("metrics", json!(self.metrics.iter().map(ToString::to_string).collect::<Vec<_>>())),
            ("optimizer", optimizer::describe(&self.optimizer, &self.optimizer_args)),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }
}

#[derive(Debug)]
pub(crate) struct TrainConfig {
    pub(crate) data: DataSource,
    pub(crate) train_rows: Option<NonZeroUsize>,
    pub(crate) network: NetworkConfig,
    pub(crate) fit: FitOptions,
    pub(crate) backend: Choice,
    pub(crate) input: Input,
    pub(crate) threads: NonZeroUsize,
    pub(crate) pin: bool,
    pub(crate) dtype: DType,
    pub(crate) callbacks: CallbackArgs,
    pub(crate) json: Option<PathBuf>,
    pub(crate) save: Option<PathBuf>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) no_out: bool,
    /// The options as the text of a file.
    pub(crate) text: String,
    pub(crate) quiet: bool,
}

impl TrainConfig {
    /// Options that mean nothing together are wrong usage rather than ignored. `text`: the options as the text of a file.
    pub(crate) fn new(args: TrainArgs, text: String) -> Result<Self, Failure> {
        let network = NetworkConfig::new(args.network)?;
        if args.blas.is_some() && !matches!(args.backend, BackendKind::Auto | BackendKind::Blas) {
            return Err(Failure::usage(format_args!(
                "--blas chooses the library of the backend blas, found --backend {}; leave one of them out",
                args.backend
            )));
        }
        let callbacks = args.callbacks;
        let files = [
            ("--json", args.json.as_deref()),
            ("--save", args.save.as_deref()),
            ("--checkpoint", callbacks.checkpoint.as_deref()),
            ("--log", callbacks.log.as_ref().map(Log::path)),
        ];
        check_distinct(&files)?;
        if callbacks.monitor.is_some()
            && callbacks.early_stopping.is_none()
            && callbacks.reduce_on_plateau.is_none()
        {
            return Err(Failure::usage(
                "--monitor says what is watched; expected --early-stopping or --reduce-on-plateau beside it",
            ));
        }
        let fit = FitOptions {
            epochs: args.epochs.get(),
            initial_epoch: 0,
            batch_size: match args.batch_size {
                BatchRows::Rows(rows) => BatchSize::Rows(rows),
                BatchRows::Full => BatchSize::Full,
            },
            // Of the two flags the one written last is left; neither means to shuffle.
            shuffle: args.shuffle || !args.no_shuffle,
            seed: args.seed,
            validation_split: args.validation_split,
            class_weights: Vec::new(),
        };
        let available = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            data: args.data,
            train_rows: args.train_rows,
            network,
            fit,
            backend: Choice { kind: args.backend, blas: args.blas, ..Choice::default() },
            input: args.input,
            threads: args.threads.unwrap_or_else(available),
            pin: args.pin,
            dtype: args.dtype,
            callbacks,
            json: args.json,
            save: args.save,
            out: args.out,
            no_out: args.no_out,
            text,
            quiet: args.quiet,
        })
    }

    /// Optimizer, batches and epochs in one line.
    pub(crate) fn training_line(&self) -> String {
        let optimizer = optimizer::in_words(&self.network.optimizer, &self.network.optimizer_args);
        let batches = match self.fit.batch_size {
            BatchSize::Rows(rows) => format!("batches of {rows}"),
            BatchSize::Full => "one batch of all".to_owned(),
        };
        let epochs = self.fit.epochs;
        let unit = if epochs == 1 { "epoch" } else { "epochs" };
        format!("{optimizer}, {batches}, {epochs} {unit}, seed {}", self.fit.seed)
    }

    /// A short name for the network and its optimizer: `512-tanh-adam`.
    pub(crate) fn name(&self) -> String {
        let units: Vec<String> = self.network.hidden.iter().map(ToString::to_string).collect();
        format!("{}-{}-{}", units.join("-"), self.network.activation.name(), self.network.optimizer_args.name)
    }

    /// The configuration as JSON.
    pub(crate) fn describe(&self) -> Value {
        let run = json!({
            "data": self.data.to_string(),
            "train_rows": self.train_rows,
            "validation_split": self.fit.validation_split,
            "epochs": self.fit.epochs,
            "batch_size": match self.fit.batch_size {
                BatchSize::Rows(rows) => json!(rows),
                BatchSize::Full => json!("full"),
            },
            "shuffle": self.fit.shuffle,
            "seed": self.fit.seed,
            "backend": self.backend.kind.name(),
            "blas": self.backend.blas,
            "input": self.input,
            "threads": self.threads,
            "pin": self.pin,
            "dtype": self.dtype,
            "early_stopping": self.callbacks.early_stopping,
            "reduce_on_plateau": self.callbacks.reduce_on_plateau.map(|plateau| {
                json!({"patience": plateau.patience, "factor": plateau.factor})
            }),
            "monitor": self.callbacks.monitor,
        });
        let mut all = self.network.describe();
        all.extend(run.as_object().cloned().unwrap_or_default());
        Value::Object(all)
    }

    /// The options that have to be the same for a run to go on with the same bits, by name. `rows`: of the training data.
    /// What computes is not among them: it is the machine's, and another may go on.
    pub(crate) fn kept(&self, rows: usize) -> BTreeMap<String, String> {
        let mut all = self.describe();
        if let Value::Object(map) = &mut all {
            map.retain(|name, _| KEPT.contains(&name.as_str()));
        }
        let rows = ("training images".to_owned(), rows.to_string());
        flat(&all).into_iter().chain([rows]).collect()
    }
}

/// What a resumed run has in common with the one it resumes, as [`TrainConfig::describe`] names it.
const KEPT: [&str; 10] = [
    "validation_split",
    "hidden",
    "activation",
    "init",
    "l1",
    "l2",
    "optimizer",
    "batch_size",
    "shuffle",
    "seed",
];

/// No two options may write to one file.
fn check_distinct(files: &[(&str, Option<&Path>)]) -> Result<(), Failure> {
    for (i, (option, path)) in files.iter().enumerate() {
        let same = files[..i].iter().find(|(_, other)| other.is_some() && other == path);
        if let Some((other, _)) = same {
            return Err(Failure::usage(format_args!("{other} and {option} name the same file")));
        }
    }
    Ok(())
}
