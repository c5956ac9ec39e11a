//! The functional style: layers are called on symbolic tensors, and a model is what lies between some of them.

use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::layout::row_shape;
use crate::graph::{Graph, Shape};
use crate::layers::{Layer, Mode, layer_label, snake_case};
use crate::{Error, Result};

/// Counts symbolic tensors and shared layers, so that models can be laid out in the order in which they were written.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A tensor that does not exist yet: an input of a model to be, or what a layer would make of others. A handle; a copy is the
/// same tensor.
#[derive(Debug, Clone)]
pub struct Symbolic {
    pub(super) origin: Origin,
    dims: Arc<[usize]>,
}

/// Where a symbolic tensor comes from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Input(Arc<InputSpec>),
    Output(Arc<Call>, usize),
}

/// An input: its name and the dimensions of a row.
#[derive(Debug)]
pub(super) struct InputSpec {
    pub(super) name: String,
    pub(super) dims: Vec<usize>,
}

/// One call of a layer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) layer: Shared,
    pub(super) inputs: Vec<Symbolic>,
    /// The dimensions of a row of each output.
    pub(super) dims: Vec<Vec<usize>>,
    /// The line that made it.
    pub(super) line: &'static Location<'static>,
}

impl Symbolic {
    /// The dimensions of one row: those of a batch are `[None, …]`.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }
}

/// An input of a model to be, with rows of these dimensions: `&[784]` for \[None, 784\].
///
/// ```
/// use nn_core::models::input;
/// assert_eq!(input("pixels", &[28, 28]).dims(), [28, 28]);
/// ```
pub fn input(name: &str, dims: &[usize]) -> Symbolic {
    let spec = InputSpec { name: name.to_owned(), dims: dims.to_vec() };
    Symbolic { origin: Origin::Input(Arc::new(spec)), dims: dims.into() }
}

/// What a layer is called on: one symbolic tensor, or several.
#[derive(Debug, Clone)]
pub struct Arguments(pub(super) Vec<Symbolic>);

impl From<&Symbolic> for Arguments {
    fn from(one: &Symbolic) -> Self {
        Self(vec![one.clone()])
    }
}

impl<const N: usize> From<[&Symbolic; N]> for Arguments {
    fn from(several: [&Symbolic; N]) -> Self {
        Self(several.into_iter().cloned().collect())
    }
}

impl From<&[Symbolic]> for Arguments {
    fn from(several: &[Symbolic]) -> Self {
        Self(several.to_vec())
    }
}

impl From<&Vec<Symbolic>> for Arguments {
    fn from(several: &Vec<Symbolic>) -> Self {
        Self(several.clone())
    }
}

/// A layer that may be called several times, with the same variables each time: those that the first call made room for, so
/// that the inputs of later calls must have as many features. A model that is called several times is one too.
///
/// Variables are shared within one model. A layer in a model that is used as a layer belongs to that model alone, and each
/// network has values of its own.
///
/// ```
/// use nn_core::layers::{Add, Dense};
/// use nn_core::models::{Apply, Model, Shared, input};
/// use nn_core::ops::Activation;
/// let x = input("x", &[4]);
/// // Three steps of an unrolled loop, h ← tanh(h · W + b) + x.
/// let step = Shared::new(Dense::new(4).activation(Activation::Tanh));
/// let mut h = x.clone();
/// for _ in 0..3 {
///     let next = step.apply(&h)?;
///     h = Add::new().apply([&next, &x])?;
/// }
/// let model = Model::new(&x, &h)?;
/// assert_eq!(model.parameters(), 4 * 4 + 4);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Shared(Arc<SharedLayer>);

#[derive(Debug)]
struct SharedLayer {
    layer: Arc<dyn Layer>,
    number: u64,
    /// The dimensions of a row of each input of the first call.
    first: OnceLock<Vec<Vec<usize>>>,
}

impl Shared {
    /// The layer, to be called.
    pub fn new(layer: impl Layer + 'static) -> Self {
        Self::of(Arc::new(layer))
    }

    pub(super) fn of(layer: Arc<dyn Layer>) -> Self {
        Self(Arc::new(SharedLayer { layer, number: next(), first: OnceLock::new() }))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn layer(&self) -> &dyn Layer {
        &*self.0.layer
    }

    /// Where it stands among all layers, in the order in which they were made.
    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// Calls the layer: its only output.
    ///
    /// # Errors
    /// If the layer can't work on these inputs, or has several outputs.
    #[track_caller]
    pub fn apply(&self, inputs: impl Into<Arguments>) -> Result<Symbolic> {
        self.apply_at(Location::caller(), inputs.into())
    }

    /// Calls the layer: all of its outputs.
    ///
    /// # Errors
    /// If the layer can't work on these inputs.
    #[track_caller]
    pub fn apply_all(&self, inputs: impl Into<Arguments>) -> Result<Vec<Symbolic>> {
        self.apply_all_at(Location::caller(), inputs.into())
    }

    pub(super) fn apply_at(&self, line: &'static Location<'static>, inputs: Arguments) -> Result<Symbolic> {
        let mut outputs = self.apply_all_at(line, inputs)?;
        match (outputs.pop(), outputs.len()) {
            (Some(one), 0) => Ok(one),
            (last, others) => Err(Error::invalid(format_args!(
                "{}: it has {} outputs, expected one; call apply_all",
                layer_label(self.layer()),
                others + usize::from(last.is_some())
            ))),
        }
    }

    fn apply_all_at(&self, line: &'static Location<'static>, inputs: Arguments) -> Result<Vec<Symbolic>> {
        let Arguments(inputs) = inputs;
        let rows: Vec<Vec<usize>> = inputs.iter().map(|input| input.dims().to_vec()).collect();
        let dims = output_dims(self.layer(), self.0.first.get().unwrap_or(&rows), &rows, line)?;
        self.0.first.get_or_init(|| rows);
        let call = Arc::new(Call { number: next(), layer: self.clone(), inputs, dims, line });
        let output = |index: usize| Symbolic {
            dims: call.dims[index].as_slice().into(),
            origin: Origin::Output(Arc::clone(&call), index),
        };
        Ok((0..call.dims.len()).map(output).collect())
    }
}

/// The dimensions of a row of each output: found by building the layer in a graph that is thrown away, so that there is only
/// one shape rule. Its variables are those for inputs like `first`.
fn output_dims(
    layer: &dyn Layer,
    first: &[Vec<usize>],
    inputs: &[Vec<usize>],
    line: &'static Location<'static>,
) -> Result<Vec<Vec<usize>>> {
    let mut g = Graph::new();
    let mut nodes = Vec::with_capacity(inputs.len());
    for row in inputs {
        let dims: Vec<Option<usize>> = [None].into_iter().chain(row.iter().map(|&n| Some(n))).collect();
        nodes.push(g.placeholder("input", &dims)?);
    }
    let batch = g.placeholder("batch", &[None])?;
    let batch = g.shape(batch).dims()[0];
    let shapes: Vec<Shape> = first.iter().map(|row| row_shape(batch, row)).collect();
    let name = layer.name().map_or_else(|| snake_case(layer.class_name()), str::to_owned);
    g.at(line, |g| {
        g.scope(&name, |g| {
            let own = layer.create(g, &shapes).map_err(|error| g.located(error))?;
            let outputs =
                layer.call(g, &own, &nodes, &mut Mode::Inference).map_err(|error| g.located(error))?;
            if let Some(&node) = outputs.iter().find(|&&node| g.shape(node).batch().is_none()) {
                return Err(g.located(Error::shape(format_args!(
                    "{}: its output is {}, expected a batch axis [None, …]",
                    layer_label(layer),
                    g.shape(node)
                ))));
            }
            Ok(outputs.iter().map(|&node| g.shape(node).with_batch(0)[1..].to_vec()).collect())
        })
    })
}

/// Calling layers in the functional style.
///
/// ```
/// use nn_core::layers::{Concatenate, Dense};
/// use nn_core::models::{Apply, Model, input};
/// use nn_core::ops::Activation;
/// let (left, right) = (input("left", &[8]), input("right", &[4]));
/// let hidden = Dense::new(16).activation(Activation::Relu).apply(&left)?;
/// let both = Concatenate::new().apply([&hidden, &right])?;
/// let (digit, size) = (Dense::new(10).name("digit").apply(&both)?, Dense::new(1).name("size").apply(&both)?);
/// let model = Model::new([&left, &right], [&digit, &size])?;
/// assert_eq!(model.output_names(), ["digit", "size"]);
/// # Ok::<(), nn_core::Error>(())
/// ```
pub trait Apply: Layer + Sized + 'static {
    /// Calls a layer that is not called again: its only output.
    ///
    /// # Errors
    /// If the layer can't work on these inputs, or has several outputs.
    #[track_caller]
    fn apply(self, inputs: impl Into<Arguments>) -> Result<Symbolic> {
        Shared::new(self).apply(inputs)
    }

    /// The same, all of its outputs.
    ///
    /// # Errors
    /// If the layer can't work on these inputs.
    #[track_caller]
    fn apply_all(self, inputs: impl Into<Arguments>) -> Result<Vec<Symbolic>> {
        Shared::new(self).apply_all(inputs)
    }
}

impl<L: Layer + Sized + 'static> Apply for L {}
