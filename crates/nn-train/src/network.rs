//! What the training loop needs of whatever it trains.

use nn_core::matrix::InputRef;
use std::sync::Arc;

use nn_core::models::{Figures, NamedTensor, Network};
use nn_core::{Result, Scalar};

/// A classifier with its loss and its optimizer. [`nn_core::models::Network`] is one, whichever level of abstraction it
/// was built at; anything else that implements this can be trained, measured and asked just so.
///
/// Labels are class numbers in `0 .. classes`.
pub trait Trainable<T: Scalar> {
    /// How many classes it tells apart: the width of its last layer.
    fn classes(&self) -> usize;

    /// The names of the figures that it reports, the loss first.
    fn figure_names(&self) -> Arc<[String]>;

    /// One update from one batch. The figures are those of before the update.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn train_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<Figures>;

    /// The figures of one batch, without an update.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn test_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<Figures>;

    /// The probability of each class for each row: \[rows, classes\], row-major.
    ///
    /// # Errors
    /// If the rows don't fit the network.
    fn predict_on_batch(&mut self, x: InputRef<'_, T>) -> Result<&[T]>;

    /// Everything that training changes: the weights and all that the optimizer remembers. Put back, training goes on bit
    /// by bit.
    fn state(&self) -> Vec<NamedTensor<T>>;

    /// Puts a state back.
    ///
    /// # Errors
    /// If the tensors are not this network's and its optimizer's, by name and dimensions.
    fn set_state(&mut self, state: &[NamedTensor<T>]) -> Result<()>;
}

impl<T: Scalar> Trainable<T> for Network<T> {
    fn classes(&self) -> usize {
        self.classes()
    }

    fn figure_names(&self) -> Arc<[String]> {
        self.figure_names()
    }

    fn train_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<Figures> {
        self.train_on_batch(x, labels)
    }

    fn test_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<Figures> {
        self.test_on_batch(x, labels)
    }

    fn predict_on_batch(&mut self, x: InputRef<'_, T>) -> Result<&[T]> {
        self.predict_on_batch(x)
    }

    fn state(&self) -> Vec<NamedTensor<T>> {
        self.state()
    }

    fn set_state(&mut self, state: &[NamedTensor<T>]) -> Result<()> {
        self.set_state(state)
    }
}
