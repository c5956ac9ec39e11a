//! A network that measures what it is told to and remembers what is done to it.

use std::sync::Arc;

use nn_core::matrix::InputRef;
use nn_core::models::{Batch, Figures, NamedTensor, Ratio};
use nn_core::{Error, Result};
use nn_train::{BatchSize, Callback, Dataset, FitData, FitOptions, Fitted, Trainable};

/// Its one weight is the number of updates. It measures `loss` and `figure`, which are the same: the next of the values.
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    values: Vec<f64>,
    names: Arc<[String]>,
    pub(crate) updates: f64,
    pub(crate) rate: Option<f64>,
    /// The learning rate of each update.
    pub(crate) rates: Vec<f64>,
}

impl Scripted {
    pub(crate) fn new(values: &[f64]) -> Self {
        let names = ["loss".to_owned(), "figure".to_owned()].into();
        Self { values: values.to_vec(), names, updates: 0.0, rate: Some(1.0), rates: Vec::new() }
    }

    /// Trains for an epoch per value, with one update each.
    pub(crate) fn train(
        &mut self,
        first: usize,
        callbacks: &mut [&mut dyn Callback<f64>],
    ) -> nn_train::Result<Fitted> {
        self.train_to(first, first + self.values.len(), callbacks)
    }

    /// Trains the epochs from `first` to below `end`, with one update each.
    pub(crate) fn train_to(
        &mut self,
        first: usize,
        end: usize,
        callbacks: &mut [&mut dyn Callback<f64>],
    ) -> nn_train::Result<Fitted> {
        let options = FitOptions {
            initial_epoch: first,
            epochs: end,
            batch_size: BatchSize::Full,
            ..FitOptions::default()
        };
        let bytes = [0u8; 2];
        let data = Dataset::new(InputRef::bytes(&bytes, 2, 1, 1.0)?, &[0, 0])?;
        self.fit(&FitData::new(data), &options, callbacks)
    }

    fn tensor(&self) -> NamedTensor<f64> {
        NamedTensor { name: "updates".into(), dims: vec![1], values: vec![self.updates] }
    }
}

impl Trainable<f64> for Scripted {
    fn figure_names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn check(&self, _: &Batch<'_, f64>) -> Result<()> {
        Ok(())
    }

    fn train_batch(&mut self, batch: &Batch<'_, f64>) -> Result<Figures> {
        let value = self.values.get(self.updates as usize).copied();
        let sum = value.ok_or_else(|| Error::invalid("more updates than values"))?;
        self.updates += 1.0;
        self.rates.extend(self.rate);
        Ok(Figures::new(&self.names, batch.rows(), [Ratio { sum, count: 1.0 }; 2]))
    }

    fn test_batch(&mut self, batch: &Batch<'_, f64>) -> Result<Figures> {
        Ok(Figures::new(&self.names, batch.rows(), [Ratio::default(); 2]))
    }

    fn predict_batch(&mut self, _: &[InputRef<'_, f64>]) -> Result<Vec<&[f64]>> {
        Err(Error::invalid("it has nothing to say"))
    }

    fn learning_rate(&self) -> Option<f64> {
        self.rate
    }

    fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.rate = Some(rate);
        Ok(())
    }

    fn weights(&self) -> Vec<NamedTensor<f64>> {
        vec![self.tensor()]
    }

    fn set_weights(&mut self, weights: &[NamedTensor<f64>]) -> Result<()> {
        self.updates = weights[0].values[0];
        Ok(())
    }

    fn state(&self) -> Vec<NamedTensor<f64>> {
        vec![self.tensor()]
    }

    fn set_state(&mut self, state: &[NamedTensor<f64>]) -> Result<()> {
        self.set_weights(state)
    }
}
