//! `nn-core`'s networks can be trained.

use std::sync::Arc;

use nn_core::graph::Graph;
use nn_core::matrix::InputRef;
use nn_core::models::{Batch, Figures, NamedTensor, Network};
use nn_core::{Result, Scalar};

use crate::Trainable;

impl<T: Scalar> Trainable<T> for Network<T> {
    fn figure_names(&self) -> Arc<[String]> {
        self.figure_names()
    }

    fn check(&self, batch: &Batch<'_, T>) -> Result<()> {
        self.check(batch)
    }

    fn train_batch(&mut self, batch: &Batch<'_, T>) -> Result<Figures> {
        self.train(batch)
    }

    fn test_batch(&mut self, batch: &Batch<'_, T>) -> Result<Figures> {
        self.test(batch)
    }

    fn predict_batch(&mut self, inputs: &[InputRef<'_, T>]) -> Result<Vec<&[T]>> {
        self.predict(inputs)
    }

    fn learning_rate(&self) -> Option<f64> {
        self.learning_rate()
    }

    fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.set_learning_rate(rate)
    }

    fn graph(&self) -> Option<&Graph> {
        Some(self.session().graph())
    }

    fn weights(&self) -> Vec<NamedTensor<T>> {
        self.weights()
    }

    fn set_weights(&mut self, weights: &[NamedTensor<T>]) -> Result<()> {
        self.set_weights(weights)
    }

    fn state(&self) -> Vec<NamedTensor<T>> {
        self.state()
    }

    fn set_state(&mut self, state: &[NamedTensor<T>]) -> Result<()> {
        self.set_state(state)
    }
}
