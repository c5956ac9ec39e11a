//! Models: layers between inputs and outputs, described once, built as often as wanted. A model is a layer itself.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::compile::Compile;
use super::network::Network;
use super::symbolic::{Arguments, Call, InputSpec, Origin, Shared, Symbolic, output_dims};
use crate::exec::SessionOptions;
use crate::graph::{Dim, Graph, Node, Shape};
use crate::layers::{Layer, Mode, Variables, snake_case};
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
    /// In the order in which they were called first, which is the order of the weights.
    pub(super) layers: Vec<Placed>,
    /// In the order in which they were made: a call comes after those whose outputs it reads.
    pub(super) calls: Vec<Placement>,
    pub(super) outputs: Vec<Value>,
    output_names: Vec<String>,
    name: Option<String>,
    kind: &'static str,
}

/// A layer of a model.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) layer: Shared,
    /// Unique in the model.
    pub(super) name: String,
    /// The dimensions of a row of each input of the first call.
    inputs: Vec<Vec<usize>>,
    /// How many weights, and how many other variables it has.
    counts: (usize, usize),
    /// How many numbers its weights hold: learnt, and others.
    pub(super) parameters: (usize, usize),
}

/// A call of a layer of a model.
#[derive(Debug, Clone)]
pub(super) struct Placement {
    pub(super) layer: usize,
    pub(super) inputs: Vec<Value>,
    /// The dimensions of a row of each output.
    pub(super) dims: Vec<Vec<usize>>,
}

/// A value within a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// An input of the model.
    Input(usize),
    /// An output of a call.
    Output { call: usize, index: usize },
}

impl Model {
    /// What lies between `inputs` and `outputs`.
    ///
    /// # Errors
    /// If there is no input or no output, if an output depends on an input that is not listed, or if two layers have been
    /// given the same name.
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
        let calls = calls_between(&outputs, &specs)?;
        let mut this = Self {
            inputs: specs,
            layers: Vec::new(),
            calls: Vec::new(),
            outputs: Vec::new(),
            output_names: Vec::new(),
            name: None,
            kind: "Functional",
        };
        this.place(&calls)?;
        this.outputs = outputs.iter().map(|output| this.value(output, &calls)).collect();
        this.output_names = this.name_outputs();
        Ok(this)
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
        self.layers.iter().map(|layer| layer.parameters.0 + layer.parameters.1).sum()
    }

    /// A network with fresh weights that can predict; [`Network::compile`] makes it learn.
    ///
    /// # Errors
    /// If the session can't be made.
    pub fn build<T: Scalar>(&self, options: SessionOptions<T>) -> Result<Network<T>> {
        Network::of_model(self, options)
    }

    /// A network with fresh weights that learns as `compile` says.
    ///
    /// # Errors
    /// If an output has no loss, a loss or metric does not fit its output, the optimizer can't be built, or the session
    /// can't be made.
    pub fn compile<T: Scalar>(&self, compile: Compile, options: SessionOptions<T>) -> Result<Network<T>> {
        let mut network = self.build(options)?;
        network.compile(compile)?;
        Ok(network)
    }

    /// Fills layers and calls.
    fn place(&mut self, calls: &[Arc<Call>]) -> Result<()> {
        for call in calls {
            let known = self.layers.iter().position(|placed| placed.layer.is(&call.layer));
            let layer = match known {
                Some(layer) => layer,
                None => self.add_layer(call)?,
            };
            let inputs = call.inputs.iter().map(|input| self.value(input, calls)).collect();
            let dims = output_dims(&*call.layer.0.layer, &call.inputs)?;
            self.calls.push(Placement { layer, inputs, dims });
        }
        self.name_layers()
    }

    fn add_layer(&mut self, call: &Call) -> Result<usize> {
        let inputs: Vec<Vec<usize>> = call.inputs.iter().map(|input| input.dims().to_vec()).collect();
        // Built once in a graph that is thrown away, to know what it has.
        let mut g = Graph::new();
        let batch = g.placeholder("batch", &[None])?;
        let rows = g.shape(batch).dims()[0];
        let shapes: Vec<Shape> = inputs.iter().map(|dims| row_shape(rows, dims)).collect();
        let own = call.layer.0.layer.create(&mut g, &shapes)?;
        let variables = own.weights.iter().filter_map(|&node| g.variable_of(node)).map(|id| g.var(id));
        let mut parameters = (0, 0);
        for variable in variables {
            let size = variable.dims.iter().product::<usize>();
            *(if variable.trainable { &mut parameters.0 } else { &mut parameters.1 }) += size;
        }
        self.layers.push(Placed {
            layer: call.layer.clone(),
            name: call.layer.0.layer.name().unwrap_or_default().to_owned(),
            inputs,
            counts: (own.weights.len(), own.state.len()),
            parameters,
        });
        Ok(self.layers.len() - 1)
    }

    /// `dense`, `dense_1`, … for layers without a name, in the order in which they were made.
    fn name_layers(&mut self) -> Result<()> {
        let mut taken = HashSet::new();
        for placed in self.layers.iter().filter(|placed| !placed.name.is_empty()) {
            if !taken.insert(placed.name.clone()) {
                return Err(Error::invalid(format_args!(
                    "model: expected layers of different names, two are called \"{}\"",
                    placed.name
                )));
            }
        }
        let mut unnamed: Vec<&mut Placed> =
            self.layers.iter_mut().filter(|placed| placed.name.is_empty()).collect();
        unnamed.sort_by_key(|placed| placed.layer.0.number);
        for placed in unnamed {
            let base = snake_case(placed.layer.0.layer.class_name());
            placed.name = free_name(&base, |name| taken.contains(name));
            taken.insert(placed.name.clone());
        }
        Ok(())
    }

    fn name_outputs(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(self.outputs.len());
        for &output in &self.outputs {
            let base = match output {
                Value::Input(i) => &self.inputs[i].name,
                Value::Output { call, .. } => &self.layers[self.calls[call].layer].name,
            };
            names.push(free_name(base, |name| names.iter().any(|other| other == name)));
        }
        names
    }

    /// Where a symbolic tensor stands in this model, whose calls come from `calls`.
    fn value(&self, symbolic: &Symbolic, calls: &[Arc<Call>]) -> Value {
        let input = |spec: &Arc<InputSpec>| self.inputs.iter().position(|own| Arc::ptr_eq(own, spec));
        match &symbolic.origin {
            Origin::Input(spec) => Value::Input(input(spec).unwrap_or_default()),
            Origin::Output(call, index) => Value::Output {
                call: calls.iter().position(|c| Arc::ptr_eq(c, call)).unwrap_or_default(),
                index: *index,
            },
        }
    }

    /// Each layer's part of the model's variables, which are listed layer by layer.
    fn parts(&self, own: &Variables) -> Vec<Variables> {
        let (mut weights, mut state) = (own.weights.iter().copied(), own.state.iter().copied());
        self.layers
            .iter()
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
        for placed in &self.layers {
            let shapes: Vec<Shape> = placed.inputs.iter().map(|dims| row_shape(*first, dims)).collect();
            let own = g.reopen(&placed.name, |g| placed.layer.0.layer.create(g, &shapes))?;
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
        let parts = self.parts(own);
        let mut made: Vec<Vec<Node>> = Vec::with_capacity(self.calls.len());
        let find = |made: &[Vec<Node>], value: Value| match value {
            Value::Input(i) => inputs[i],
            Value::Output { call, index } => made[call][index],
        };
        for call in &self.calls {
            let placed = &self.layers[call.layer];
            let args: Vec<Node> = call.inputs.iter().map(|&value| find(&made, value)).collect();
            let layer = &placed.layer.0.layer;
            made.push(g.reopen(&placed.name, |g| layer.call(g, &parts[call.layer], &args, mode))?);
        }
        Ok(self.outputs.iter().map(|&output| find(&made, output)).collect())
    }

    fn penalties(&self, g: &mut Graph, own: &Variables) -> Result<Vec<Node>> {
        let mut all = Vec::new();
        for (placed, part) in self.layers.iter().zip(self.parts(own)) {
            all.extend(g.reopen(&placed.name, |g| placed.layer.0.layer.penalties(g, &part))?);
        }
        Ok(all)
    }

    fn has_modes(&self) -> bool {
        self.layers.iter().any(|placed| placed.layer.0.layer.has_modes())
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<&str> = self.layers.iter().map(|placed| placed.name.as_str()).collect();
        f.debug_struct("Model").field("name", &self.title()).field("layers", &layers).finish_non_exhaustive()
    }
}

/// `[None, 28, 28]`
pub(super) fn with_rows(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    format!("[None, {}]", dims.join(", "))
}

fn row_shape(batch: Dim, dims: &[usize]) -> Shape {
    Shape::new([batch].into_iter().chain(dims.iter().map(|&n| Dim::Fixed(n))))
}

fn input_spec(input: &Symbolic) -> Result<Arc<InputSpec>> {
    match &input.origin {
        Origin::Input(spec) => Ok(Arc::clone(spec)),
        Origin::Output(call, _) => Err(Error::invalid(format_args!(
            "model: an input is the output of a layer \"{}\", expected what `input` made",
            snake_case(call.layer.0.layer.class_name())
        ))),
    }
}

/// `base`, with a number behind it if it is taken.
fn free_name(base: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (1..).map(|number| format!("{base}_{number}"));
    [base.to_owned()].into_iter().chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

/// All calls that the outputs depend on, each after those it depends on.
fn calls_between(outputs: &[Symbolic], inputs: &[Arc<InputSpec>]) -> Result<Vec<Arc<Call>>> {
    let mut found: Vec<Arc<Call>> = Vec::new();
    let mut waiting: Vec<Symbolic> = outputs.to_vec();
    while let Some(symbolic) = waiting.pop() {
        match symbolic.origin {
            Origin::Input(spec) if inputs.iter().any(|own| Arc::ptr_eq(own, &spec)) => {}
            Origin::Input(spec) => {
                return Err(Error::invalid(format_args!(
                    "model: an output depends on the input \"{}\", which is not among the model's inputs",
                    spec.name
                )));
            }
            Origin::Output(call, _) => {
                if !found.iter().any(|known| Arc::ptr_eq(known, &call)) {
                    waiting.extend(call.inputs.iter().cloned());
                    found.push(call);
                }
            }
        }
    }
    found.sort_by_key(|call| call.number);
    Ok(found)
}
