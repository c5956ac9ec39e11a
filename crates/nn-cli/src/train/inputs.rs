//! The images in the form that the first layer gets them in, and their labels as class numbers.

use std::panic::resume_unwind;
use std::thread;

use mnist_data::Split;
use nn_core::Scalar;
use nn_core::backend::Backend;
use nn_core::matrix::{InputRef, MatRef, SparseBytes};
use nn_train::Dataset;
use serde::Serialize;

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
        let density = density(data.train.images.bytes());
        let form = Form::of(config.input, density, backend);
        // The test images on a thread of their own, where one can be had: what takes time is copying.
        let test = || Examples::new(&data.test, data.test.len(), form);
        let (train, test) = thread::scope(|scope| {
            let helper = thread::Builder::new().spawn_scoped(scope, test);
            let train = Examples::new(&data.train, rows, form);
            let test = match helper {
                Ok(helper) => helper.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => test(),
            };
            (train, test)
        });
        Ok(Self {
            train: train?,
            test: test?,
            why: match config.input {
                Input::Auto => format!("auto: {:.1} % of the pixels are not 0", 100.0 * density),
                Input::Dense | Input::Bytes | Input::Sparse => "as asked for".to_owned(),
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

    /// `dense input`, `bytes input` or `sparse input`, and why.
    pub(crate) fn line(&self) -> String {
        let form = match self.train.pixels {
            Pixels::Dense(_) => Form::Dense,
            Pixels::Bytes(_) => Form::Bytes,
            Pixels::Sparse(_) => Form::Sparse,
        };
        format!("{} input ({})", form.name(), self.why)
    }
}

/// Which share of the pixels is not 0. Counted in bytes as far as those reach, sixteen and more at a time.
fn density(pixels: &[u8]) -> f64 {
    let parts = pixels.chunks(usize::from(u8::MAX));
    let lit: usize = parts.map(|part| usize::from(part.iter().map(|&p| u8::from(p != 0)).sum::<u8>())).sum();
    lit as f64 / pixels.len().max(1) as f64
}

/// A form of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    Dense,
    Bytes,
    Sparse,
}

impl Form {
    /// The form that was asked for, or else what is fastest on this backend for images of which such a share is not 0.
    fn of<T: Scalar>(input: Input, density: f64, backend: &dyn Backend<T>) -> Self {
        match input {
            Input::Auto if backend.prefers_sparse(density) => Self::Sparse,
            Input::Auto if backend.prefers_bytes() => Self::Bytes,
            Input::Auto | Input::Dense => Self::Dense,
            Input::Bytes => Self::Bytes,
            Input::Sparse => Self::Sparse,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Bytes => "bytes",
            Self::Sparse => "sparse",
        }
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
    Bytes(Vec<u8>),
    Sparse(SparseBytes<T>),
}

impl<T: Scalar> Examples<T> {
    /// The first `rows` images, of which there must be as many.
    pub(crate) fn new(split: &Split, rows: usize, form: Form) -> Result<Self, Failure> {
        let columns = split.images.pixels();
        let bytes = &split.images.bytes()[..rows * columns];
        let white = T::of(WHITE);
        let pixels = match form {
            Form::Dense => Pixels::Dense(bytes.iter().map(|&b| T::of_byte(b) / white).collect()),
            Form::Bytes => Pixels::Bytes(bytes.to_vec()),
            Form::Sparse => Pixels::Sparse(SparseBytes::new(bytes, rows, columns, white)?),
        };
        let labels = split.labels.classes()[..rows].iter().map(|&c| i32::from(c)).collect();
        Ok(Self { pixels, columns, labels })
    }

    /// All of them.
    pub(crate) fn dataset(&self) -> Result<Dataset<'_, T>, Failure> {
        let x = match &self.pixels {
            Pixels::Dense(values) => InputRef::dense(MatRef::new(values, self.labels.len(), self.columns)?),
            Pixels::Bytes(bytes) => InputRef::bytes(bytes, self.labels.len(), self.columns, T::of(WHITE))?,
            Pixels::Sparse(bytes) => InputRef::sparse_bytes(bytes),
        };
        Ok(Dataset::new(x, &self.labels)?)
    }
}

#[cfg(test)]
mod tests {
    use nn_core::backend::simd::{Isa, Simd};

    use super::*;

    #[test]
    fn images_that_are_not_sparse_stay_bytes_where_these_are_multiplied_as_they_are() -> nn_core::Result<()> {
        for isa in Isa::available() {
            let simd = Simd::with_isa(isa)?;
            let (narrow, wide): (&dyn Backend<f32>, &dyn Backend<f64>) = (&simd, &simd);
            let in_tiles = isa == Isa::Amx;
            let full = if in_tiles { Form::Bytes } else { Form::Dense };
            assert_eq!(Form::of(Input::Auto, 0.9, narrow), full, "{isa}");
            assert_eq!(Form::of(Input::Auto, 0.9, wide), Form::Dense, "{isa}");
            assert_eq!(Form::of(Input::Auto, 0.191, narrow), Form::Sparse, "{isa}: MNIST");
            assert_eq!(Form::of(Input::Auto, 0.4, narrow) == Form::Sparse, !in_tiles, "{isa}");
            for (input, form) in
                [(Input::Dense, Form::Dense), (Input::Bytes, Form::Bytes), (Input::Sparse, Form::Sparse)]
            {
                assert_eq!(Form::of(input, 0.5, narrow), form, "{isa}");
            }
        }
        Ok(())
    }
}
