//! What all measurements begin with: images in their forms, backends, networks.

use mnist_data::{Dataset, Split};
use nn_core::Scalar;
use nn_core::exec::SessionOptions;
use nn_core::models::Network;
use nn_train::files::check_writable;
use serde_json::{Map, Value, json};

use super::candidates::{Candidate, LeftOut, candidates};
use super::flops::{Rows, Widths};
use super::series::Bench;
use super::timing::WARM_UP_ROUNDS;
use crate::args::{DType, Forms, SubjectArgs};
use crate::data::load;
use crate::failure::Failure;
use crate::train::config::NetworkConfig;
use crate::train::inputs::Examples;
pub(super) use crate::train::inputs::Form;
use crate::train::model;

/// What the first weights and the orders of the images are drawn from: the same in every run, so that all runs do the
/// same work.
pub(super) const SEED: u64 = 0;

/// Data, backends and the network's description.
pub(super) struct Setup<T> {
    pub(super) data: Dataset,
    pub(super) candidates: Vec<Candidate<T>>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) dtype: DType,
    pub(super) threads: usize,
    network: NetworkConfig,
    args: Given,
}

/// The options that are neither the network's nor the backends'.
struct Given {
    forms: &'static [Form],
    rows: Option<usize>,
    repeat: usize,
    json: Option<std::path::PathBuf>,
    data: String,
}

/// Images in one form, and how many of their pixels are multiplied.
pub(super) struct Images<'a, T> {
    pub(super) form: Form,
    pub(super) examples: Examples<T>,
    split: &'a Split,
}

impl<T: Scalar> Setup<T> {
    /// Reads the data and opens the backends. What can't be done is found out here, before anything is measured.
    pub(super) fn new(args: SubjectArgs) -> Result<Self, Failure> {
        let network = NetworkConfig::new(args.network)?;
        if let Some(path) = &args.json {
            check_writable(path)?;
        }
        let (candidates, left_out) = candidates(&args.backend, &args.blas)?;
        Ok(Self {
            data: load(&args.data)?,
            candidates,
            left_out,
            dtype: args.dtype,
            threads: super::threads(args.threads),
            network,
            args: Given {
                forms: match args.input {
                    Forms::Dense => &[Form::Dense],
                    Forms::Bytes => &[Form::Bytes],
                    Forms::Sparse => &[Form::Sparse],
                    Forms::Both => &[Form::Dense, Form::Sparse],
                },
                rows: args.rows.map(usize::from),
                repeat: args.repeat.get(),
                json: args.json,
                data: args.data.to_string(),
            },
        })
    }

    /// The first `--rows` images of a part, in each form that was asked for.
    pub(super) fn images<'a>(&self, split: &'a Split) -> Result<Vec<Images<'a, T>>, Failure> {
        self.in_forms(split, self.rows_of(split)?)
    }

    /// How many images of a part are used: `--rows`, or all.
    pub(super) fn rows_of(&self, split: &Split) -> Result<usize, Failure> {
        let rows = self.args.rows.unwrap_or(split.len());
        if rows > split.len() {
            return Err(Failure::usage(format_args!(
                "--rows {rows}: the data have {} images to measure with",
                split.len()
            )));
        }
        Ok(rows)
    }

    /// All images of a part, in each form that was asked for.
    pub(super) fn all_images<'a>(&self, split: &'a Split) -> Result<Vec<Images<'a, T>>, Failure> {
        self.in_forms(split, split.len())
    }

    /// The first `rows` images of a part, in each form that was asked for.
    pub(super) fn in_forms<'a>(&self, split: &'a Split, rows: usize) -> Result<Vec<Images<'a, T>>, Failure> {
        let forms = self.args.forms.iter();
        forms.map(|&form| Ok(Images { form, examples: Examples::new(split, rows, form)?, split })).collect()
    }

    /// A network of its own for each measurement, all with the same first weights.
    pub(super) fn network(&self, candidate: &Candidate<T>) -> Result<Network<T>, Failure> {
        let backend = candidate.backend.clone();
        let options = SessionOptions { backend, threads: self.threads, seed: SEED, pin: false };
        model::build(&self.network, self.data.train.images.pixels(), self.data.class_count(), options)
    }

    /// Columns of the input and units of the layers.
    pub(super) fn widths(&self) -> Widths {
        let columns = self.data.train.images.pixels();
        let hidden = self.network.hidden.iter().copied();
        Widths([columns].into_iter().chain(hidden).chain([self.data.class_count()]).collect())
    }

    /// What is to be measured, without its subjects. `more`: options of the measurement's own.
    pub(super) fn bench<'a>(&self, name: &'static str, images: usize, more: &[(&str, Value)]) -> Bench<'a> {
        let mut config: Map<String, Value> = self.network.describe();
        let own = [
            ("data", json!(self.args.data)),
            ("images", json!(images)),
            ("repeat", json!(self.args.repeat)),
            ("warm_up_rounds", json!(WARM_UP_ROUNDS)),
            ("threads", json!(self.threads)),
            ("dtype", json!(self.dtype)),
            ("seed", json!(SEED)),
        ];
        config.extend(own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.clone())));
        Bench {
            name,
            config,
            repeat: self.args.repeat,
            threads: self.threads,
            dtype: self.dtype,
            json: self.args.json.clone(),
            subjects: Vec::new(),
        }
    }

    /// Columns and units: `784 → 512 → 10`.
    pub(super) fn shape(&self, arrow: &str) -> String {
        let Widths(widths) = self.widths();
        widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(arrow)
    }
}

impl<T: Scalar> Images<'_, T> {
    /// The first `count` of them, as they are counted.
    pub(super) fn rows(&self, count: usize) -> Rows {
        let bytes = &self.split.images.bytes()[..count * self.split.images.pixels()];
        let entries = match self.form {
            Form::Dense | Form::Bytes => bytes.len(),
            Form::Sparse => bytes.iter().filter(|&&pixel| pixel != 0).count(),
        };
        Rows { count, entries }
    }
}
