//! The options of `nn train`, checked against each other: a `TrainConfig` can be run as it is.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use nn_core::backend::{BackendKind, Choice};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_train::{BatchSize, FitOptions};
use serde_json::{Value, json};

use crate::args::{Api, BatchRows, DType, DataSource, Init, Input, OptimizerName, TrainArgs};
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct TrainConfig {
    pub(crate) data: DataSource,
    pub(crate) train_rows: Option<NonZeroUsize>,
    pub(crate) api: Api,
    pub(crate) hidden: Vec<usize>,
    pub(crate) activation: Activation,
    pub(crate) init: Init,
    pub(crate) l1: f64,
    pub(crate) l2: f64,
    pub(crate) optimizer: Optimizer,
    pub(crate) fit: FitOptions,
    pub(crate) backend: Choice,
    pub(crate) input: Input,
    pub(crate) threads: NonZeroUsize,
    pub(crate) dtype: DType,
    pub(crate) json: Option<PathBuf>,
    pub(crate) save: Option<PathBuf>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) quiet: bool,
}

impl TrainConfig {
    /// Options that mean nothing together are wrong usage rather than ignored.
    pub(crate) fn new(args: TrainArgs) -> Result<Self, Failure> {
        let optimizer = optimizer(&args)?;
        if args.blas.is_some() && !matches!(args.backend, BackendKind::Auto | BackendKind::Blas) {
            return Err(Failure::usage(format_args!(
                "--blas chooses the library of the backend blas, found --backend {}; leave one of them out",
                args.backend
            )));
        }
        if args.json.is_some() && args.json == args.save {
            return Err(Failure::usage("--json and --save name the same file"));
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
        };
        let available = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            data: args.data,
            train_rows: args.train_rows,
            api: args.api,
            hidden: args.hidden.0,
            activation: args.activation,
            init: args.init,
            l1: args.l1,
            l2: args.l2,
            optimizer,
            fit,
            backend: Choice { kind: args.backend, blas: args.blas, ..Choice::default() },
            input: args.input,
            threads: args.threads.unwrap_or_else(available),
            dtype: args.dtype,
            json: args.json,
            save: args.save,
            out: args.out,
            quiet: args.quiet,
        })
    }

    /// Optimizer, batches and epochs in one line.
    pub(crate) fn training_line(&self) -> String {
        let (name, numbers) = self.optimizer_parts();
        let numbers: Vec<String> =
            numbers.iter().filter(|(_, v)| *v != 0.0).map(|(k, v)| format!("{k} {v}")).collect();
        let batches = match self.fit.batch_size {
            BatchSize::Rows(rows) => format!("batches of {rows}"),
            BatchSize::Full => "one batch of all".to_owned(),
        };
        let epochs = self.fit.epochs;
        let unit = if epochs == 1 { "epoch" } else { "epochs" };
        format!("{name}, {}, {batches}, {epochs} {unit}, seed {}", numbers.join(", "), self.fit.seed)
    }

    /// The configuration as JSON.
    pub(crate) fn describe(&self) -> Value {
        let (name, numbers) = self.optimizer_parts();
        let mut optimizer: serde_json::Map<String, Value> =
            numbers.into_iter().map(|(key, value)| (key.replace(' ', "_"), json!(value))).collect();
        optimizer.insert("name".into(), json!(name));
        if let Optimizer::Sgd { nesterov, .. } = self.optimizer {
            optimizer.insert("nesterov".into(), json!(nesterov));
        }
        json!({
            "data": self.data.to_string(),
            "train_rows": self.train_rows,
            "validation_split": self.fit.validation_split,
            "api": self.api,
            "hidden": self.hidden,
            "activation": self.activation.name(),
            "init": match &self.init {
                Init::Drawn(_, text) => text.clone(),
                Init::File(path) => path.display().to_string(),
            },
            "l1": self.l1,
            "l2": self.l2,
            "optimizer": optimizer,
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
            "dtype": self.dtype,
        })
    }

    fn optimizer_parts(&self) -> (&'static str, Vec<(&'static str, f64)>) {
        let numbers = match self.optimizer {
            Optimizer::Sgd { learning_rate, momentum, decay, .. } => {
                vec![("learning rate", learning_rate), ("momentum", momentum), ("decay", decay)]
            }
            Optimizer::RmsProp { learning_rate, rho, decay, .. } => {
                vec![("learning rate", learning_rate), ("rho", rho), ("decay", decay)]
            }
            Optimizer::Adam { learning_rate, decay, .. } => {
                vec![("learning rate", learning_rate), ("decay", decay)]
            }
            _ => Vec::new(),
        };
        (self.optimizer.name(), numbers)
    }
}

fn optimizer(args: &TrainArgs) -> Result<Optimizer, Failure> {
    let only_for = [
        ("--momentum", args.momentum.is_some(), OptimizerName::Sgd),
        ("--nesterov", args.nesterov, OptimizerName::Sgd),
        ("--rho", args.rho.is_some(), OptimizerName::Rmsprop),
    ];
    let name = |optimizer| match optimizer {
        OptimizerName::Sgd => "sgd",
        OptimizerName::Rmsprop => "rmsprop",
        OptimizerName::Adam => "adam",
    };
    if let Some((option, _, owner)) =
        only_for.iter().find(|(_, given, owner)| *given && *owner != args.optimizer)
    {
        return Err(Failure::usage(format_args!(
            "{option} is an option of --optimizer {}, found --optimizer {}",
            name(*owner),
            name(args.optimizer)
        )));
    }
    if args.nesterov && args.momentum.is_none_or(|m| m == 0.0) {
        return Err(Failure::usage(
            "--nesterov looks ahead along the momentum; expected --momentum F with F > 0",
        ));
    }
    let keras = match args.optimizer {
        OptimizerName::Sgd => Optimizer::sgd(0.01),
        OptimizerName::Rmsprop => Optimizer::rmsprop(0.001),
        OptimizerName::Adam => Optimizer::adam(0.001),
    };
    Ok(match keras {
        Optimizer::Sgd { learning_rate, momentum, .. } => Optimizer::Sgd {
            learning_rate: args.lr.unwrap_or(learning_rate),
            momentum: args.momentum.unwrap_or(momentum),
            nesterov: args.nesterov,
            decay: args.decay,
        },
        Optimizer::RmsProp { learning_rate, rho, epsilon, .. } => Optimizer::RmsProp {
            learning_rate: args.lr.unwrap_or(learning_rate),
            rho: args.rho.unwrap_or(rho),
            epsilon,
            decay: args.decay,
        },
        Optimizer::Adam { learning_rate, beta_1, beta_2, epsilon, .. } => Optimizer::Adam {
            learning_rate: args.lr.unwrap_or(learning_rate),
            beta_1,
            beta_2,
            epsilon,
            decay: args.decay,
        },
        other => other,
    })
}
