//! Models: layers between inputs and outputs, described once, built as often as wanted. A model is a layer itself.

use std::fmt;
use std::sync::Arc;

use super::compile::Compile;
use super::layout::{Layout, Value, row_shape};
use super::network::Network;
use super::symbolic::{Arguments, InputSpec, Origin, Symbolic};
use crate::exec::SessionOptions;
use crate::graph::{Graph, Node, Shape};
use crate::layers::{Layer, Mode, Variables, layer_label, snake_case};
use crate::{Error, Result, Scalar};

/// A model with any number of inputs and outputs, over layers that may be shared, or be models themselves. Made by calling
/// layers on symbolic tensors (the functional style), or from a [`Sequential`](super::Sequential).
///
/// It is a description; [`compile`](Self::compile) makes a [`Network`] of it, which has weights and can be trained.
///
/// ```
/// use std::sync::Arc;
/// use nn_core::backend::Naive;
/// use nn_core::exec::SessionOptions;
/// use nn_core::layers::{Dense, Nonlinearity};
/// use nn_core::losses::Loss;
/// use nn_core::metrics::Metric;
/// use nn_core::models::{Apply, Compile, Model, input};
/// use nn_core::ops::Activation;
/// use nn_core::optim::Optimizer;
///
/// let pixels = input("pixels", &[784]);
/// let hidden = Dense::new(512).activation(Activation::Relu).apply(&pixels)?;
/// let digit = Dense::new(10).activation(Nonlinearity::Softmax).apply(&hidden)?;
/// let model = Model::new(&pixels, &digit)?;
/// assert_eq!(model.parameters(), 407_050);
///
/// let compile = Compile::new(Optimizer::rmsprop(0.001), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy);
/// let network = model.compile::<f32>(compile, SessionOptions::new(Arc::new(Naive)))?;
/// assert_eq!(*network.figure_names(), ["loss", "accuracy"]);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Model {
    pub(super) inputs: Vec<Arc<InputSpec>>,
    pub(super) layout: Layout,
    output_names: Vec<String>,
    name: Option<String>,
    kind: &'static str,
}

impl Model {
    /// What lies between `inputs` and `outputs`.
    ///
    /// # Errors
    /// If there is no input or no output, if an input's rows hold nothing, if an output depends on an input that is not listed,
    /// or if two layers have been given the same name.
    pub fn new(inputs: impl Into<Arguments>, outputs: impl Into<Arguments>) -> Result<Self> {
        let (Arguments(inputs), Arguments(outputs)) = (inputs.into(), outputs.into());
        if inputs.is_empty() || outputs.is_empty() {
            return Err(Error::invalid(format_args!(
                "model: expected one input or more and one output or more, found {} and {}",
                inputs.len(),
                outputs.len()
            )));
        }
        let specs = inputs.iter().map(input_spec).collect::<Result<Vec<_>>>()?;
        if let Some(twice) =
            specs.iter().enumerate().find_map(|(i, a)| specs[..i].iter().find(|b| b.name == a.name))
        {
            return Err(Error::invalid(format_args!(
                "model: expected inputs of different names, \"{}\" is there twice",
                twice.name
            )));
        }
        if let Some(empty) = specs.iter().find(|input| input.dims.contains(&0)) {
            return Err(Error::invalid(format_args!(
                "model: the input \"{}\" has rows of {:?}, expected dimensions of 1 or more",
                empty.name, empty.dims
            )));
        }
        let layout = Layout::between(&specs, &outputs)?;
        let output_names = layout.output_names(&specs);
        Ok(Self { inputs: specs, layout, output_names, name: None, kind: "Functional" })
    }

    /// With a name, which its layers' variables carry where it is used as a layer.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    pub(super) fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// What it is called in a summary.
    pub(super) fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| snake_case(self.kind))
    }

    pub(super) fn is_sequential(&self) -> bool {
        self.kind == "Sequential"
    }

    /// The names of the inputs, in order.
    pub fn input_names(&self) -> Vec<&str> {
        self.inputs.iter().map(|input| input.name.as_str()).collect()
    }

    /// The names of the outputs, in order: those of the layers that make them.
    pub fn output_names(&self) -> &[String] {
        &self.output_names
    }

    /// How many numbers the weights hold.
    pub fn parameters(&self) -> usize {
        self.layout.layers.iter().map(|layer| layer.parameters.0 + layer.parameters.1).sum()
    }

    /// A network with fresh weights that can predict; [`Network::compile`] makes it learn.
    ///
    /// # Errors
    /// If the session can't be made.
    #[track_caller]
    pub fn build<T: Scalar>(&self, options: SessionOptions<T>) -> Result<Network<T>> {
        Network::of_model(self, options)
    }

    /// A network with fresh weights that learns as `compile` says.
    ///
    /// # Errors
    /// If an output has no loss, a loss or metric does not fit its output, the optimizer can't be built, or the session
    /// can't be made.
    #[track_caller]
    pub fn compile<T: Scalar>(&self, compile: Compile, options: SessionOptions<T>) -> Result<Network<T>> {
        let mut network = self.build(options)?;
        network.compile(compile)?;
        Ok(network)
    }

    /// Each layer's part of the model's variables, which are listed layer by layer.
    fn parts(&self, own: &Variables) -> Vec<Variables> {
        let (mut weights, mut state) = (own.weights.iter().copied(), own.state.iter().copied());
        let layers = self.layout.layers.iter();
        layers
            .map(|layer| Variables {
                weights: weights.by_ref().take(layer.counts.0).collect(),
                state: state.by_ref().take(layer.counts.1).collect(),
            })
            .collect()
    }
}

/// Used as a layer, a model takes its inputs in their order, and has an output for each of its own.
impl Layer for Model {
    fn class_name(&self) -> &'static str {
        self.kind
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn create(&self, g: &mut Graph, inputs: &[Shape]) -> Result<Variables> {
        let rows = |shape: &Shape| shape.with_batch(0).get(1..).map(<[usize]>::to_vec);
        let fits = inputs.len() == self.inputs.len()
            && inputs.iter().zip(&self.inputs).all(|(shape, own)| rows(shape).as_ref() == Some(&own.dims));
        let (Some(first), true) = (inputs.first().and_then(|shape| shape.dims().first()), fits) else {
            let found: Vec<String> = inputs.iter().map(Shape::to_string).collect();
            let expected: Vec<String> = self.inputs.iter().map(|own| with_rows(&own.dims)).collect();
            return Err(Error::shape(format_args!(
                "model \"{}\": expected the inputs {}, found {}",
                self.title(),
                expected.join(", "),
                found.join(", ")
            )));
        };
        let mut all = Variables::default();
        for placed in &self.layout.layers {
            let shapes: Vec<Shape> = placed.inputs.iter().map(|dims| row_shape(*first, dims)).collect();
            let own = g.at(placed.line, |g| {
                g.reopen(&placed.name, |g| placed.layer.layer().create(g, &shapes).map_err(|e| g.located(e)))
            })?;
            all.weights.extend(own.weights);
            all.state.extend(own.state);
        }
        Ok(all)
    }

    fn call(
        &self,
        g: &mut Graph,
        own: &Variables,
        inputs: &[Node],
        mode: &mut Mode<'_>,
    ) -> Result<Vec<Node>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::shape(format_args!(
                "model \"{}\": expected {} inputs, found {}",
                self.title(),
                self.inputs.len(),
                inputs.len()
            )));
        }
        let parts = self.parts(own);
        let mut made: Vec<Vec<Node>> = Vec::with_capacity(self.layout.calls.len());
        let find = |made: &[Vec<Node>], value: Value| match value {
            Value::Input(i) => inputs[i],
            Value::Output { call, index } => made[call][index],
        };
        for call in &self.layout.calls {
            let placed = &self.layout.layers[call.layer];
            let (layer, part) = (placed.layer.layer(), &parts[call.layer]);
            let args: Vec<Node> = call.inputs.iter().map(|&value| find(&made, value)).collect();
            let outputs = g.at(call.line, |g| {
                g.reopen(&placed.name, |g| layer.call(g, part, &args, mode).map_err(|e| g.located(e)))
            })?;
            if outputs.len() != call.dims.len() {
                return Err(Error::shape(format_args!(
                    "{}: it made {} outputs, expected {} as when it was applied",
                    layer_label(layer),
                    outputs.len(),
                    call.dims.len()
                )));
            }
            made.push(outputs);
        }
        Ok(self.layout.outputs.iter().map(|&output| find(&made, output)).collect())
    }

    fn penalties(&self, g: &mut Graph, own: &Variables) -> Result<Vec<Node>> {
        let mut all = Vec::new();
        for (placed, part) in self.layout.layers.iter().zip(self.parts(own)) {
            all.extend(g.reopen(&placed.name, |g| placed.layer.layer().penalties(g, &part))?);
        }
        Ok(all)
    }

    fn has_modes(&self) -> bool {
        self.layout.layers.iter().any(|placed| placed.layer.layer().has_modes())
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<&str> = self.layout.layers.iter().map(|placed| placed.name.as_str()).collect();
        f.debug_struct("Model").field("name", &self.title()).field("layers", &layers).finish_non_exhaustive()
    }
}

/// `[None, 28, 28]`
fn with_rows(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    format!("[None, {}]", dims.join(", "))
}

fn input_spec(input: &Symbolic) -> Result<Arc<InputSpec>> {
    match &input.origin {
        Origin::Input(spec) => Ok(Arc::clone(spec)),
        Origin::Output(call, _) => Err(Error::invalid(format_args!(
            "model: an input is the output of a layer \"{}\", expected what `input` made",
            snake_case(call.layer.layer().class_name())
        ))),
    }
}
