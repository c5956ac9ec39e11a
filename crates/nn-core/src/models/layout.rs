//! What lies between symbolic inputs and outputs: which layers, called on what.

use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::sync::Arc;

use super::order::{Order, Row};
use super::symbolic::{Call, InputSpec, Origin, Shared, Symbolic};
use crate::graph::{Dim, Graph, Shape};
use crate::layers::snake_case;
use crate::{Error, Result};

/// A layer of a model.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) layer: Shared,
    /// Unique in the model.
    pub(super) name: String,
    /// The dimensions of a row of each input of the first call.
    pub(super) inputs: Vec<Vec<usize>>,
    /// How many weights, and how many other variables it has.
    pub(super) counts: (usize, usize),
    /// How many numbers its weights hold: learnt, and others.
    pub(super) parameters: (usize, usize),
    /// The line that called it first.
    pub(super) line: &'static Location<'static>,
}

/// A call of a layer of a model.
#[derive(Debug, Clone)]
pub(super) struct Placement {
    pub(super) layer: usize,
    pub(super) inputs: Vec<Value>,
    /// The dimensions of a row of each output.
    pub(super) dims: Vec<Vec<usize>>,
    /// The line that made the call.
    pub(super) line: &'static Location<'static>,
}

/// A value within a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// An input of the model.
    Input(usize),
    /// An output of a call.
    Output { call: usize, index: usize },
}

/// The inside of a model.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// In Keras' order, which is the order of the weights.
    pub(super) layers: Vec<Placed>,
    /// In the order in which they were made: a call comes after those whose outputs it reads.
    pub(super) calls: Vec<Placement>,
    pub(super) outputs: Vec<Value>,
    pub(super) order: Order,
}

impl Layout {
    /// All that `outputs` depend on.
    ///
    /// # Errors
    /// If that is an input that is not among `inputs`, a layer can't be built, or two layers were given the same name.
    pub(super) fn between(inputs: &[Arc<InputSpec>], outputs: &[Symbolic]) -> Result<Self> {
        let found = calls_between(inputs, outputs)?;
        let numbers: HashMap<u64, usize> = found.iter().zip(0..).map(|(call, i)| (call.number, i)).collect();
        let value = |symbolic: &Symbolic| match &symbolic.origin {
            Origin::Input(spec) => input_number(inputs, spec).map(Value::Input),
            Origin::Output(call, index) => Ok(Value::Output { call: numbers[&call.number], index: *index }),
        };
        let mut layers: Vec<Placed> = Vec::new();
        let mut calls = Vec::with_capacity(found.len());
        for call in &found {
            let known = layers.iter().position(|placed| placed.layer.is(&call.layer));
            let layer = known.unwrap_or(layers.len());
            if known.is_none() {
                layers.push(Placed::first_called(call)?);
            }
            let inputs = call.inputs.iter().map(value).collect::<Result<_>>()?;
            calls.push(Placement { layer, inputs, dims: call.dims.clone(), line: call.line });
        }
        let outputs = outputs.iter().map(value).collect::<Result<Vec<_>>>()?;
        let order = Order::new(inputs.len(), layers.len(), &calls, &outputs);
        let mut this = Self { layers, calls, outputs, order };
        this.put_in_order();
        this.name_layers(inputs)?;
        Ok(this)
    }

    /// Numbers the layers as they are ordered.
    fn put_in_order(&mut self) {
        let mut new_numbers = vec![0; self.layers.len()];
        let mut ordered = Vec::with_capacity(self.layers.len());
        for row in &mut self.order.rows {
            if let Row::Layer(number) = row {
                new_numbers[*number] = ordered.len();
                ordered.push(self.layers[*number].clone());
                *number = ordered.len() - 1;
            }
        }
        for call in &mut self.calls {
            call.layer = new_numbers[call.layer];
        }
        self.layers = ordered;
    }

    /// `dense`, `dense_1`, … for layers without a name, in the order in which they were made.
    fn name_layers(&mut self, inputs: &[Arc<InputSpec>]) -> Result<()> {
        let mut taken = HashSet::new();
        for placed in self.layers.iter().filter(|placed| !placed.name.is_empty()) {
            if !taken.insert(placed.name.clone()) {
                return Err(Error::invalid(format_args!(
                    "model: expected layers of different names, two are called \"{}\"",
                    placed.name
                )));
            }
        }
        taken.extend(inputs.iter().map(|input| input.name.clone()));
        let mut unnamed: Vec<&mut Placed> =
            self.layers.iter_mut().filter(|placed| placed.name.is_empty()).collect();
        unnamed.sort_by_key(|placed| placed.layer.number());
        for placed in unnamed {
            placed.name = free_name(&snake_case(placed.layer.layer().class_name()), &taken);
            taken.insert(placed.name.clone());
        }
        Ok(())
    }

    /// The names of the outputs: those of the layers that make them.
    pub(super) fn output_names(&self, inputs: &[Arc<InputSpec>]) -> Vec<String> {
        let mut taken = HashSet::new();
        let name = |&output: &Value| {
            let base = match output {
                Value::Input(i) => &inputs[i].name,
                Value::Output { call, .. } => &self.layers[self.calls[call].layer].name,
            };
            let name = free_name(base, &taken);
            taken.insert(name.clone());
            name
        };
        self.outputs.iter().map(name).collect()
    }
}

impl Placed {
    /// Built once in a graph that is thrown away, to know what it has.
    fn first_called(call: &Call) -> Result<Self> {
        let inputs: Vec<Vec<usize>> = call.inputs.iter().map(|input| input.dims().to_vec()).collect();
        let layer = call.layer.layer();
        let mut g = Graph::new();
        let batch = g.placeholder("batch", &[None])?;
        let rows = g.shape(batch).dims()[0];
        let shapes: Vec<Shape> = inputs.iter().map(|dims| row_shape(rows, dims)).collect();
        let own = layer.create(&mut g, &shapes)?;
        let mut parameters = (0, 0);
        for variable in own.weights.iter().filter_map(|&node| g.variable_of(node)).map(|id| g.var(id)) {
            let size = variable.dims.iter().product::<usize>();
            *(if variable.trainable { &mut parameters.0 } else { &mut parameters.1 }) += size;
        }
        Ok(Self {
            layer: call.layer.clone(),
            name: layer.name().unwrap_or_default().to_owned(),
            inputs,
            counts: (own.weights.len(), own.state.len()),
            parameters,
            line: call.line,
        })
    }
}

/// The shape of rows of these dimensions.
pub(super) fn row_shape(batch: Dim, dims: &[usize]) -> Shape {
    Shape::new([batch].into_iter().chain(dims.iter().map(|&n| Dim::Fixed(n))))
}

fn input_number(inputs: &[Arc<InputSpec>], spec: &Arc<InputSpec>) -> Result<usize> {
    inputs.iter().position(|own| Arc::ptr_eq(own, spec)).ok_or_else(|| {
        Error::invalid(format_args!(
            "model: an output depends on the input \"{}\", which is not among the model's inputs",
            spec.name
        ))
    })
}

/// `base`, with a number behind it if it is taken.
fn free_name(base: &str, taken: &HashSet<String>) -> String {
    let mut name = base.to_owned();
    let mut number = 0;
    while taken.contains(&name) {
        number += 1;
        name = format!("{base}_{number}");
    }
    name
}

/// All calls that the outputs depend on, each after those it depends on.
fn calls_between(inputs: &[Arc<InputSpec>], outputs: &[Symbolic]) -> Result<Vec<Arc<Call>>> {
    let mut known = HashSet::new();
    let mut found: Vec<Arc<Call>> = Vec::new();
    let mut waiting: Vec<&Symbolic> = outputs.iter().collect();
    while let Some(symbolic) = waiting.pop() {
        match &symbolic.origin {
            Origin::Input(spec) => {
                input_number(inputs, spec)?;
            }
            Origin::Output(call, _) => {
                if known.insert(call.number) {
                    waiting.extend(&call.inputs);
                    found.push(Arc::clone(call));
                }
            }
        }
    }
    found.sort_by_key(|call| call.number);
    Ok(found)
}
