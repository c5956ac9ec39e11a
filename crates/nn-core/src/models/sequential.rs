//! A stack of layers.

use super::network::{Endpoints, Network};
use crate::exec::SessionOptions;
use crate::graph::{DType, Graph};
use crate::layers::{Dense, accuracy};
use crate::optim::Optimizer;
use crate::{Error, Result, Scalar};

/// A classifier as a stack of layers, the last of which gives the logits of the classes.
///
/// ```
/// use std::sync::Arc;
/// use nn_core::backend::Naive;
/// use nn_core::exec::SessionOptions;
/// use nn_core::layers::Dense;
/// use nn_core::matrix::{InputRef, MatRef};
/// use nn_core::models::Sequential;
/// use nn_core::ops::Activation;
/// use nn_core::optim::Optimizer;
///
/// let mut xor = Sequential::new(2)
///     .add(Dense::new(8).activation(Activation::Tanh))
///     .add(Dense::new(2))
///     .compile::<f64>(Optimizer::adam(0.1), SessionOptions::new(Arc::new(Naive)))?;
/// let rows = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let x = InputRef::dense(MatRef::new(&rows, 4, 2)?);
/// for _ in 0..100 {
///     xor.train_on_batch(x, &[0, 1, 1, 0])?;
/// }
/// assert_eq!(xor.test_on_batch(x, &[0, 1, 1, 0])?.accuracy, 1.0);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sequential {
    features: usize,
    layers: Vec<Dense>,
}

impl Sequential {
    /// A stack without layers over rows of `features` numbers.
    pub fn new(features: usize) -> Self {
        Self { features, layers: Vec::new() }
    }

    /// With another layer on top.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "the name that Keras gave it; it is no sum")]
    pub fn add(mut self, layer: Dense) -> Self {
        self.layers.push(layer);
        self
    }

    /// Builds the graph: the softmax cross-entropy of the last layer's logits, averaged over the batch, plus the
    /// layers' regularisers, minimised by `optimizer`.
    ///
    /// # Errors
    /// If there are no layers, or a layer or the optimizer can't be built.
    pub fn compile<T: Scalar>(&self, optimizer: Optimizer, options: SessionOptions<T>) -> Result<Network<T>> {
        if self.layers.is_empty() || self.features == 0 {
            return Err(Error::invalid(format_args!(
                "sequential: expected one layer or more over one feature or more, found {} over {}",
                self.layers.len(),
                self.features
            )));
        }
        let mut g = Graph::new();
        let input = g.placeholder("input", &[None, Some(self.features)])?;
        let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
        let mut logits = input;
        let mut penalties = Vec::new();
        for layer in &self.layers {
            let built = layer.build(&mut g, logits)?;
            logits = built.output;
            penalties.extend(built.penalty);
        }
        let output = g.softmax(logits)?;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let mut loss = g.reduce_mean(losses)?;
        for penalty in penalties {
            loss = g.add(loss, penalty)?;
        }
        let accuracy = accuracy(&mut g, logits, labels)?;
        let train = optimizer.minimize(&mut g, loss)?;
        Network::new(g, Endpoints { input, labels, output, loss, accuracy, train }, options)
    }
}
