//! Training runs whose every figure is known: Keras made them in float64, NumPy confirmed them (`golden/make.py`).

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use nn_core::Scalar;
use nn_core::backend::Backend;
use nn_core::exec::SessionOptions;
use nn_core::layers::Dense;
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Compile, NamedTensor, Network, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::{Optimizer, RmsProp, Sgd};
use nn_train::metrics::{ConfusionMatrix, argmax_rows};
use nn_train::weights::read_weights;
use nn_train::{BatchSize, Dataset, FitData, FitOptions, fit, predict};
use serde::Deserialize;

use crate::digits::{Digits, Form};
use crate::random::Rng;

/// The folders of `golden/`.
pub const CASES: [&str; 4] = ["l2-relu", "mini-batch", "notebook-full-batch", "rmsprop-validation"];

/// A run: how to train, from which weights, and what comes of it.
#[derive(Debug)]
pub struct Case {
    /// Its folder.
    pub name: &'static str,
    /// How to train.
    pub settings: Settings,
    /// What Keras found.
    pub expected: Expected,
}

/// `case.json`.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// Units of the hidden layers.
    pub hidden: Vec<usize>,
    /// The hidden layers' activation.
    pub activation: String,
    /// `sgd` or `rmsprop`.
    pub optimizer: String,
    /// The learning rate.
    pub lr: f64,
    /// Momentum, of SGD.
    pub momentum: f64,
    /// Nesterov's momentum or the plain one.
    pub nesterov: bool,
    /// lr / (1 + decay · iterations).
    pub decay: f64,
    /// ρ, of RMSprop.
    pub rho: f64,
    /// l1 · Σ |W| for each kernel.
    pub l1: f64,
    /// l2 · Σ W² for each kernel.
    pub l2: f64,
    /// Epochs.
    pub epochs: usize,
    /// Rows per update.
    pub batch_size: usize,
    /// The share of the training rows that is held back.
    pub validation_split: f64,
    /// The first so many training images take part.
    pub train_rows: usize,
}

/// `expected.json`.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// One figure for each epoch.
    pub history: BTreeMap<String, Vec<f64>>,
    /// Rows: the true class.
    pub test_confusion_rows_true: Vec<Vec<u64>>,
    /// Of each weight at the end.
    pub final_weights: BTreeMap<String, Norms>,
}

/// What is known of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Norms {
    /// √Σ w²
    pub l2: f64,
    /// Σ w
    pub sum: f64,
    /// The number of elements.
    #[serde(default)]
    pub len: usize,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// One figure for each epoch.
    pub history: BTreeMap<String, Vec<f64>>,
    /// Rows: the true class.
    pub confusion: Vec<Vec<u64>>,
    /// Of each weight at the end.
    pub weights: BTreeMap<String, Norms>,
}

impl Case {
    /// Reads a case from its folder.
    pub fn load(name: &'static str) -> Self {
        let read = |file: &str| std::fs::read_to_string(folder(name).join(file)).expect("a file of the case");
        let settings = serde_json::from_str(&read("case.json")).expect("case.json");
        let expected = serde_json::from_str(&read("expected.json")).expect("expected.json");
        Self { name, settings, expected }
    }

    /// Trains and measures on `backend`, with the images in the given form. With `nudge`, every weight at the start is
    /// off by half a unit of `f32`'s last place to one side or the other: an error of the size that `f32` makes.
    pub fn run<T>(&self, backend: Arc<dyn Backend<T>>, form: Form, nudge: Option<u64>) -> Figures
    where
        T: Scalar + mnist_data::Scalar,
    {
        let mut network = self.compile(backend, nudge);
        let settings = &self.settings;
        let train = Digits::<T>::train(settings.train_rows, form);
        let test = Digits::<T>::test(form);
        let options = FitOptions {
            epochs: settings.epochs,
            batch_size: NonZeroUsize::new(settings.batch_size).map_or(BatchSize::Full, BatchSize::Rows),
            shuffle: false,
            validation_split: settings.validation_split,
            ..FitOptions::default()
        };
        let data = FitData {
            test: Some(Dataset::new(test.x(), test.labels()).expect("images and labels")),
            ..FitData::new(Dataset::new(train.x(), train.labels()).expect("images and labels"))
        };
        let history = fit(&mut network, &data, &options, &mut []).expect("training").history;
        let history = history.iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect();

        let probabilities = predict(&mut network, test.x()).expect("predictions");
        let predicted = argmax_rows(&probabilities, 10).expect("rows of ten");
        let matrix = ConfusionMatrix::from_labels(test.labels(), &predicted, 10).expect("ten classes");
        let confusion = (0..10).map(|class| matrix.row(class).to_vec()).collect();
        let weights = network.weights().into_iter().map(|t| (t.name, Norms::of(&t.values))).collect();
        Figures { history, confusion, weights }
    }

    fn compile<T: Scalar>(&self, backend: Arc<dyn Backend<T>>, nudge: Option<u64>) -> Network<T> {
        let Settings { lr, momentum, nesterov, decay, rho, l1, l2, .. } = self.settings;
        let activation = match self.settings.activation.as_str() {
            "tanh" => Activation::Tanh,
            "relu" => Activation::Relu,
            other => panic!("{}: activation {other}", self.name),
        };
        let optimizer = match self.settings.optimizer.as_str() {
            "sgd" => Optimizer::from(Sgd::new(lr).momentum(momentum).nesterov(nesterov)),
            "rmsprop" => Optimizer::from(RmsProp::new(lr).rho(rho)),
            other => panic!("{}: optimizer {other}", self.name),
        }
        .decay(decay);
        let hidden = self.settings.hidden.iter().map(|&units| Dense::new(units).activation(activation));
        let model = hidden
            .chain([Dense::new(10)])
            .fold(Sequential::new(784), |model, layer| model.add(layer.regularizer(l1, l2)));
        let compile = Compile::new(optimizer, Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy);
        let mut network = model.compile(compile, SessionOptions::new(backend)).expect("a sound model");
        let mut rng = nudge.map(Rng);
        let mut near = |w: T| match &mut rng {
            Some(rng) => w * T::of(1.0 + half_ulp().copysign(rng.unit())),
            None => w,
        };
        let init = read_weights::<T>(&folder(self.name).join("init.safetensors")).expect("weights");
        let init: Vec<_> = init
            .into_iter()
            .map(|t| NamedTensor { values: t.values.into_iter().map(&mut near).collect(), ..t })
            .collect();
        network.set_weights(&init).expect("weights of this model");
        network
    }
}

impl Figures {
    /// The largest relative difference of a loss or a norm.
    pub fn largest_difference(&self, expected: &Expected) -> f64 {
        let losses = expected.history.iter().filter(|(name, _)| name.ends_with("loss"));
        let losses = losses.flat_map(|(name, values)| self.history[name].iter().zip(values));
        let norms = expected.final_weights.iter().map(|(name, norms)| (&self.weights[name].l2, &norms.l2));
        losses.chain(norms).map(|(f, e)| (f - e).abs() / e.abs()).fold(0.0, f64::max)
    }
}

/// What rounding to `f32` changes at most, relatively.
fn half_ulp() -> f64 {
    f64::from(f32::EPSILON) / 2.0
}

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(case)
}

impl Norms {
    fn of<T: Scalar>(values: &[T]) -> Self {
        let squares: f64 = values.iter().map(|w| w.wide() * w.wide()).sum();
        Self { l2: squares.sqrt(), sum: values.iter().map(|w| w.wide()).sum(), len: values.len() }
    }

    /// How far the sum may be off where each weight is off by `relative` of their root mean square: by Cauchy and
    /// Schwarz |Σ δ| ≤ √n · ‖δ‖. (The sums cancel, so that their own size says nothing.)
    pub fn sum_tolerance(&self, relative: f64) -> f64 {
        relative * self.l2 * (self.len as f64).sqrt()
    }
}
