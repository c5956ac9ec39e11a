//! A stack of layers.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::compile::Compile;
use super::model::Model;
use super::network::Network;
use super::symbolic::{Shared, input};
use crate::exec::SessionOptions;
use crate::layers::Layer;
use crate::{Error, Result, Scalar};

/// A model as a stack of layers, each on top of the one before it.
///
/// ```
/// use std::sync::Arc;
/// use nn_core::backend::Naive;
/// use nn_core::exec::SessionOptions;
/// use nn_core::layers::{Dense, Nonlinearity};
/// use nn_core::losses::Loss;
/// use nn_core::matrix::{InputRef, MatRef};
/// use nn_core::metrics::Metric;
/// use nn_core::models::{Compile, Sequential};
/// use nn_core::ops::Activation;
/// use nn_core::optim::Optimizer;
///
/// let compile = Compile::new(Optimizer::adam(0.1), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy);
/// let mut xor = Sequential::new(2)
///     .add(Dense::new(8).activation(Activation::Tanh))
///     .add(Dense::new(2).activation(Nonlinearity::Softmax))
///     .compile::<f64>(compile, SessionOptions::new(Arc::new(Naive)))?;
/// let rows = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let x = InputRef::dense(MatRef::new(&rows, 4, 2)?);
/// for _ in 0..100 {
///     xor.train_on_batch(x, &[0, 1, 1, 0])?;
/// }
/// assert_eq!(xor.test_on_batch(x, &[0, 1, 1, 0])?.get("accuracy"), Some(1.0));
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Sequential {
    dims: Vec<usize>,
    layers: Vec<Arc<dyn Layer>>,
    /// The line that added each layer.
    lines: Vec<&'static Location<'static>>,
    name: Option<String>,
}

impl Sequential {
    /// A stack without layers over rows of `features` numbers.
    pub fn new(features: usize) -> Self {
        Self::over(&[features])
    }

    /// A stack without layers over rows of these dimensions: `&[28, 28]` for \[None, 28, 28\].
    pub fn over(dims: &[usize]) -> Self {
        Self { dims: dims.to_vec(), layers: Vec::new(), lines: Vec::new(), name: None }
    }

    /// With a name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// With another layer on top. A model may be one.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "the name that Keras gave it; it is no sum")]
    #[track_caller]
    pub fn add(mut self, layer: impl Layer + 'static) -> Self {
        self.lines.push(Location::caller());
        self.layers.push(Arc::new(layer));
        self
    }

    /// Takes the topmost layer off; nothing if there is none.
    pub fn pop(&mut self) -> Option<Arc<dyn Layer>> {
        self.lines.pop();
        self.layers.pop()
    }

    /// The layers, the lowest first.
    pub fn layers(&self) -> &[Arc<dyn Layer>] {
        &self.layers
    }

    /// The same model in the functional style, with an input called `input`.
    ///
    /// # Errors
    /// If there are no layers, or one can't work on what the one below it makes.
    pub fn model(&self) -> Result<Model> {
        if self.layers.is_empty() {
            return Err(Error::invalid("sequential: expected one layer or more, found 0"));
        }
        let x = input("input", &self.dims);
        let mut top = x.clone();
        for (layer, line) in self.layers.iter().zip(&self.lines) {
            top = Shared::of(Arc::clone(layer)).apply_at(line, (&top).into())?;
        }
        let model = Model::new(&x, &top)?.of_kind("Sequential");
        Ok(match &self.name {
            Some(name) => model.name(name),
            None => model,
        })
    }

    /// A network with fresh weights that can predict; [`Network::compile`] makes it learn.
    ///
    /// # Errors
    /// If a layer can't be built, or the session can't be made.
    #[track_caller]
    pub fn build<T: Scalar>(&self, options: SessionOptions<T>) -> Result<Network<T>> {
        self.model()?.build(options)
    }

    /// A network with fresh weights that learns as `compile` says.
    ///
    /// # Errors
    /// If there are no layers, or a layer, the loss or the optimizer can't be built.
    #[track_caller]
    pub fn compile<T: Scalar>(&self, compile: Compile, options: SessionOptions<T>) -> Result<Network<T>> {
        self.model()?.compile(compile, options)
    }

    /// The table of layers, outputs and parameters that Keras prints.
    ///
    /// # Errors
    /// If a layer can't work on what the one below it makes.
    pub fn summary(&self) -> Result<String> {
        Ok(self.model()?.summary())
    }
}

impl fmt::Debug for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequential").field("dims", &self.dims).field("layers", &self.layers).finish()
    }
}
