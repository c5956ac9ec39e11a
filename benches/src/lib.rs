//! What the benchmarks share: the data, the backends that are there, the network.

use std::sync::Arc;

use mnist_data::Mnist;
use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, BackendKind, Choice};
use nn_core::exec::SessionOptions;
use nn_core::init::Initializer;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::matrix::{Csr, InputRef};
use nn_core::metrics::Metric;
use nn_core::models::{Compile, Network, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_core::{Error, Result};

/// Rows of the training set.
pub const TRAIN_ROWS: usize = 60_000;

/// Rows that the bodies run on when they run as tests.
const TEST_ROWS: usize = 600;

/// The classes of MNIST.
pub const CLASSES: usize = 10;

/// Units of the hidden layer.
pub const HIDDEN: usize = 512;

/// Pixels of an image.
pub const PIXELS: usize = 784;

/// Whether this process measures (`cargo bench`) or only tries each body out (`cargo test`).
pub fn measuring() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// MNIST's training set in both forms, cut to a few rows where nothing is measured.
#[derive(Debug)]
pub struct Data {
    rows: usize,
    bytes: Vec<u8>,
    csr: Csr<f32>,
    /// The class of each row.
    pub labels: Vec<i32>,
}

impl Data {
    /// Reads the bundled data.
    ///
    /// # Errors
    /// If the bundle is damaged.
    pub fn load() -> Result<Self> {
        let mnist = Mnist::bundled().map_err(Error::invalid)?;
        let rows = if measuring() { TRAIN_ROWS } else { TEST_ROWS };
        let bytes = mnist.train.images.bytes()[..rows * PIXELS].to_vec();
        let labels = mnist.train.labels.classes()[..rows].iter().map(|&c| i32::from(c)).collect();
        Ok(Self { rows, csr: Csr::from_bytes(&bytes, rows, PIXELS, 255.0)?, bytes, labels })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows in the form `dense` or `sparse`.
    ///
    /// # Errors
    /// Never for the data that `load` made.
    pub fn input(&self, form: Form) -> Result<InputRef<'_, f32>> {
        match form {
            Form::Dense => InputRef::bytes(&self.bytes, self.rows, PIXELS, 255.0),
            Form::Sparse => Ok(InputRef::sparse(&self.csr)),
        }
    }
}

/// The form in which the rows reach the first layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Bytes, made numbers shard by shard.
    Dense,
    /// CSR.
    Sparse,
}

impl Form {
    /// `dense` or `sparse`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
        }
    }
}

/// Every backend that is there, by the name that the tables show. What is not there is said on stderr.
pub fn backends() -> Vec<(String, Arc<dyn Backend<f32>>)> {
    let plain = |kind| (kind, None);
    let blas = |name: &str| (BackendKind::Blas, Some(name.to_owned()));
    let mut candidates =
        vec![plain(BackendKind::Simd), plain(BackendKind::Ndarray), plain(BackendKind::Naive)];
    candidates.extend(["openblas", "blis", "mkl"].map(blas));
    if cfg!(feature = "openblas-system") {
        candidates.push(plain(BackendKind::Blas));
    }
    let mut found: Vec<(String, Arc<dyn Backend<f32>>)> = Vec::new();
    for (kind, library) in candidates {
        let name = match (&library, kind) {
            (Some(library), _) => format!("blas-{library}"),
            (None, BackendKind::Blas) => "blas-linked".to_owned(),
            (None, kind) => kind.name().to_owned(),
        };
        match (Choice { kind, blas: library, ..Choice::default() }).open::<f32>() {
            Ok(backend) => {
                eprintln!("{name}: {}", backend.describe());
                found.push((name, backend));
            }
            Err(why) => eprintln!("{name}: left out: {why}"),
        }
    }
    found
}

/// Prints the FMA peak of this machine, in GFLOP/s of f32 on one thread: what every figure is to be held against.
pub fn print_peak() {
    eprintln!("FMA peak, f32, one thread: {:.1} GFLOP/s", Simd::detect().measure_peak().f32);
}

/// 784 → 512 tanh → 10 with plain gradient descent.
///
/// # Errors
/// If the session can't be made.
pub fn network(backend: &Arc<dyn Backend<f32>>) -> Result<Network<f32>> {
    let compile =
        Compile::new(Optimizer::sgd(0.5), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy);
    Sequential::new(PIXELS)
        .add(Dense::new(HIDDEN).activation(Activation::Tanh).kernel_initializer(Initializer::Normal(0.1)))
        .add(
            Dense::new(CLASSES)
                .activation(Nonlinearity::Softmax)
                .kernel_initializer(Initializer::Normal(0.1)),
        )
        .compile(compile, SessionOptions::new(Arc::clone(backend)))
}
