//! What the training loop needs of a network.

use nn_core::matrix::InputRef;
use nn_core::{Result, Scalar};

use crate::weights::NamedTensor;

/// The figures of one batch, or of many taken together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BatchStats {
    /// How many rows they are of.
    pub rows: usize,
    /// The mean loss over the rows, regularisers included.
    pub loss: f64,
    /// The share of rows whose class was recognised, in [0, 1].
    pub accuracy: f64,
}

/// All that a network has learnt, and all that its optimizer remembers: put back, training goes on bit by bit.
#[derive(Debug, Clone, PartialEq)]
pub struct State<T> {
    /// The weights, under Keras' names: `dense/kernel`, `dense/bias`, `dense_1/kernel`, ….
    pub weights: Vec<NamedTensor<T>>,
    /// The optimizer's memory, such as velocities, under names of its choice.
    pub slots: Vec<NamedTensor<T>>,
    /// How many updates were made.
    pub iterations: u64,
}

/// A compiled classifier: a network with its loss and its optimizer.
///
/// Whatever implements this can be trained by [`fit`](crate::fit()), measured by [`evaluate`](crate::evaluate()) and asked
/// by [`predict`](crate::predict()). Labels are class numbers in `0 .. classes`.
pub trait Network<T: Scalar> {
    /// How many classes it tells apart: the width of its last layer.
    fn classes(&self) -> usize;

    /// One update from one batch. The figures are those of before the update.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn train_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<BatchStats>;

    /// The figures of one batch, without an update.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn test_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<BatchStats>;

    /// The probability of each class for each row: \[rows, classes\], row-major.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn predict_on_batch(&mut self, x: InputRef<'_, T>) -> Result<Vec<T>>;

    /// The state, copied.
    fn state(&self) -> State<T>;

    /// Puts a state back.
    ///
    /// # Errors
    /// If the tensors are not this network's and its optimizer's, by name and shape.
    fn set_state(&mut self, state: &State<T>) -> Result<()>;
}
