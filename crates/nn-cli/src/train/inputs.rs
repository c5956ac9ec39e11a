//! The images in the form that the first layer gets them in, and their labels as class numbers.

use mnist_data::Split;
use nn_core::Scalar;
use nn_core::backend::Backend;
use nn_core::matrix::{InputRef, MatRef, SparseBytes};
use nn_train::Dataset;

use super::config::TrainConfig;
use crate::args::Input;
use crate::failure::Failure;

/// The brightest pixel: bytes are divided by it, so that inputs are in [0, 1].
pub(crate) const WHITE: f64 = 255.0;

/// Training and test examples, prepared once.
pub(crate) struct Inputs<T> {
    train: Examples<T>,
    test: Examples<T>,
    /// Why they have the form that they have, in words.
    why: String,
}

impl<T: Scalar> Inputs<T> {
    /// The first `--train-rows` training images and all test images.
    pub(crate) fn new(
        data: &mnist_data::Dataset,
        config: &TrainConfig,
        backend: &dyn Backend<T>,
    ) -> Result<Self, Failure> {
        let rows = config.train_rows.map_or(data.train.len(), usize::from);
        if rows > data.train.len() {
            return Err(Failure::usage(format_args!(
                "--train-rows {rows}: the data have {} training images",
                data.train.len()
            )));
        }
        let pixels = data.train.images.bytes();
        let lit = pixels.iter().filter(|&&p| p != 0).count();
        let density = lit as f64 / pixels.len().max(1) as f64;
        let sparse = match config.input {
            Input::Auto => backend.prefers_sparse(density),
            Input::Dense => false,
            Input::Sparse => true,
        };
        Ok(Self {
            train: Examples::new(&data.train, rows, sparse)?,
            test: Examples::new(&data.test, data.test.len(), sparse)?,
            why: match config.input {
                Input::Auto => format!("auto: {:.1} % of the pixels are not 0", 100.0 * density),
                Input::Dense | Input::Sparse => "as asked for".to_owned(),
            },
        })
    }

    /// The training examples.
    pub(crate) fn train(&self) -> Result<Dataset<'_, T>, Failure> {
        self.train.dataset()
    }

    /// The test examples.
    pub(crate) fn test(&self) -> Result<Dataset<'_, T>, Failure> {
        self.test.dataset()
    }

    /// The classes of the test examples.
    pub(crate) fn test_labels(&self) -> &[i32] {
        &self.test.labels
    }

    /// `dense input` or `sparse input`, and why.
    pub(crate) fn line(&self) -> String {
        let form = match self.train.pixels {
            Pixels::Dense(_) => "dense",
            Pixels::Sparse(_) => "sparse",
        };
        format!("{form} input ({})", self.why)
    }
}

/// Images in one form, and their labels.
pub(crate) struct Examples<T> {
    pixels: Pixels<T>,
    columns: usize,
    labels: Vec<i32>,
}

enum Pixels<T> {
    Dense(Vec<T>),
    Sparse(SparseBytes<T>),
}

impl<T: Scalar> Examples<T> {
    /// The first `rows` images, of which there must be as many.
    pub(crate) fn new(split: &Split, rows: usize, sparse: bool) -> Result<Self, Failure> {
        let columns = split.images.pixels();
        let bytes = &split.images.bytes()[..rows * columns];
        let pixels = if sparse {
            Pixels::Sparse(SparseBytes::new(bytes, rows, columns, T::of(WHITE))?)
        } else {
            Pixels::Dense(bytes.iter().map(|&b| T::of_byte(b) / T::of(WHITE)).collect())
        };
        let labels = split.labels.classes()[..rows].iter().map(|&c| i32::from(c)).collect();
        Ok(Self { pixels, columns, labels })
    }

    /// All of them.
    pub(crate) fn dataset(&self) -> Result<Dataset<'_, T>, Failure> {
        let x = match &self.pixels {
            Pixels::Dense(values) => InputRef::dense(MatRef::new(values, self.labels.len(), self.columns)?),
            Pixels::Sparse(bytes) => InputRef::sparse_bytes(bytes),
        };
        Ok(Dataset::new(x, &self.labels)?)
    }
}
