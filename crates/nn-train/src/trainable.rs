//! What the training loop needs of whatever it trains.

use std::sync::Arc;

use nn_core::graph::Graph;
use nn_core::matrix::InputRef;
use nn_core::models::{Batch, Figures, NamedTensor};
use nn_core::{Result, Scalar};

use crate::{Callback, Dataset, FitData, FitOptions, Fitted};

/// A network with its losses, its metrics and its optimizer. [`nn_core::models::Network`] is one, whichever level of
/// abstraction it was built at; anything else that implements this can be trained, measured and asked just so.
///
/// With the trait in scope it reads as in Keras: `network.fit(…)`, `network.evaluate(…)`.
pub trait Trainable<T: Scalar> {
    /// What is measured: `loss` first, then the metrics, and with several outputs each one's own, such as `digit_loss`
    /// and `digit_accuracy`.
    fn figure_names(&self) -> Arc<[String]>;

    /// That inputs, targets and weights are what this network takes, and that it can be trained at all.
    ///
    /// # Errors
    /// If not: what was expected and what was found.
    fn check(&self, batch: &Batch<'_, T>) -> Result<()>;

    /// One update from one batch. The figures are those of before the update.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn train_batch(&mut self, batch: &Batch<'_, T>) -> Result<Figures>;

    /// The figures of one batch, without an update.
    ///
    /// # Errors
    /// If the batch does not fit the network.
    fn test_batch(&mut self, batch: &Batch<'_, T>) -> Result<Figures>;

    /// What each output says about each row: for each output \[rows, width\], row-major, until the next call.
    ///
    /// # Errors
    /// If the rows don't fit the network.
    fn predict_batch(&mut self, inputs: &[InputRef<'_, T>]) -> Result<Vec<&[T]>>;

    /// The learning rate of the next update; none if it is not one number that can be set.
    fn learning_rate(&self) -> Option<f64>;

    /// Sets the learning rate from the next update on.
    ///
    /// # Errors
    /// If it is not one number that can be set, or can't be this one.
    fn set_learning_rate(&mut self, rate: f64) -> Result<()>;

    /// The weights, under their names.
    fn weights(&self) -> Vec<NamedTensor<T>>;

    /// Puts weights back, or those of a network of the same layers in.
    ///
    /// # Errors
    /// If the tensors are not this network's, by name and dimensions; nothing has changed then.
    fn set_weights(&mut self, weights: &[NamedTensor<T>]) -> Result<()>;

    /// Everything that training changes: the weights and all that the optimizer remembers. Put back, training goes on bit
    /// by bit.
    fn state(&self) -> Vec<NamedTensor<T>>;

    /// Puts a state back.
    ///
    /// # Errors
    /// If the tensors are not this network's and its optimizer's, by name and dimensions; nothing has changed then.
    fn set_state(&mut self, state: &[NamedTensor<T>]) -> Result<()>;

    /// The dataflow graph, for those who draw it; none if there is no such thing.
    fn graph(&self) -> Option<&Graph> {
        None
    }

    /// [`fit`](crate::fit()) as a method.
    ///
    /// # Errors
    /// Those of [`fit`](crate::fit()).
    fn fit(
        &mut self,
        data: &FitData<'_, T>,
        options: &FitOptions,
        callbacks: &mut [&mut dyn Callback<T>],
    ) -> crate::Result<Fitted>
    where
        Self: Sized,
    {
        crate::fit(self, data, options, callbacks)
    }

    /// [`evaluate`](crate::evaluate()) as a method.
    ///
    /// # Errors
    /// Those of [`evaluate`](crate::evaluate()).
    fn evaluate(&mut self, data: &Dataset<'_, T>) -> crate::Result<Figures>
    where
        Self: Sized,
    {
        crate::evaluate(self, data)
    }
}
