//! Images of digits, real or made up, in each of the forms that a network takes.

use std::sync::OnceLock;

use mnist_data::{Images, Mnist, Split};
use nn_core::Scalar;
use nn_core::matrix::{Csr, InputRef, MatRef, SparseBytes};

/// A form of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Numbers.
    Dense,
    /// Bytes, to be divided by 255.
    Bytes,
    /// Sparse rows.
    Sparse,
    /// Bytes whose zeros are skipped.
    SparseBytes,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Dense, Self::Bytes, Self::Sparse, Self::SparseBytes];
}

/// Pixels in one form.
#[derive(Debug)]
enum Pixels<T> {
    Dense(Vec<T>),
    Bytes(Vec<u8>),
    Sparse(Csr<T>),
    SparseBytes(SparseBytes<T>),
}

/// Images with their classes.
#[derive(Debug)]
pub struct Digits<T> {
    rows: usize,
    cols: usize,
    pixels: Pixels<T>,
    labels: Vec<i32>,
}

impl<T: Scalar + mnist_data::Scalar> Digits<T> {
    /// The first `rows` images of MNIST's training split, as `mnist-data` hands them out.
    pub fn train(rows: usize, form: Form) -> Self {
        Self::first(&mnist().train, rows, form)
    }

    /// MNIST's test split.
    pub fn test(form: Form) -> Self {
        Self::first(&mnist().test, mnist().test.len(), form)
    }

    fn first(split: &Split, rows: usize, form: Form) -> Self {
        let cols = split.images.pixels();
        let (_, height, width) = split.images.shape();
        let bytes = split.images.bytes()[..rows * cols].to_vec();
        let images = Images::new(rows, height, width, bytes).expect("as many pixels as announced");
        let labels = split.labels.classes()[..rows].iter().map(|&c| i32::from(c)).collect();
        Self::new(&images, labels, form)
    }

    /// Images in the given form. Panics if there is not one label for each.
    pub fn new(images: &Images, labels: Vec<i32>, form: Form) -> Self {
        let (rows, cols) = (images.len(), images.pixels());
        assert_eq!(rows, labels.len());
        let pixels = match form {
            Form::Dense => Pixels::Dense(images.scaled()),
            Form::Bytes => Pixels::Bytes(images.bytes().to_vec()),
            Form::Sparse => {
                let csr = images.csr();
                Pixels::Sparse(Csr::new(csr.indptr, csr.indices, csr.values, cols).expect("a sound CSR"))
            }
            Form::SparseBytes => {
                let white = T::of_byte(u8::MAX);
                Pixels::SparseBytes(
                    SparseBytes::new(images.bytes(), rows, cols, white).expect("as announced"),
                )
            }
        };
        Self { rows, cols, pixels, labels }
    }
}

impl<T: Scalar> Digits<T> {
    /// The images.
    pub fn x(&self) -> InputRef<'_, T> {
        match &self.pixels {
            Pixels::Dense(x) => InputRef::dense(MatRef::new(x, self.rows, self.cols).expect("as built")),
            Pixels::Bytes(x) => {
                InputRef::bytes(x, self.rows, self.cols, T::of_byte(u8::MAX)).expect("as built")
            }
            Pixels::Sparse(x) => InputRef::sparse(x),
            Pixels::SparseBytes(x) => InputRef::sparse_bytes(x),
        }
    }

    /// The classes.
    pub fn labels(&self) -> &[i32] {
        &self.labels
    }
}

/// MNIST, unpacked once.
fn mnist() -> &'static mnist_data::Dataset {
    static DATA: OnceLock<mnist_data::Dataset> = OnceLock::new();
    DATA.get_or_init(|| Mnist::bundled().expect("the bundled data"))
}
