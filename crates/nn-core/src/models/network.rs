//! A network that trains: a session, and which of its nodes are which. Every level of abstraction ends in one.

use std::panic::Location;
use std::sync::Arc;

use super::ahead::Habit;
use super::compile::{Compile, Compiled};
use super::endpoints::{Endpoints, Run};
use super::model::Model;
use super::weights::NamedTensor;
use crate::exec::{Session, SessionOptions};
use crate::graph::{Graph, Node, VarId};
use crate::layers::{Layer, Mode, Variables};
use crate::{Error, Result, Scalar};

/// A model with its weights, its optimizer's state, and the session that runs it.
#[derive(Debug)]
pub struct Network<T> {
    pub(super) session: Session<T>,
    pub(super) inputs: Vec<Node>,
    pub(super) outputs: Vec<Node>,
    output_names: Vec<String>,
    /// What `weights` lists.
    pub(super) weights: Vec<VarId>,
    /// Other variables that training changes, the optimizer's included.
    pub(super) state: Vec<VarId>,
    pub(super) model: Option<(Model, Variables)>,
    pub(super) training: Option<Training>,
    /// What is fed as the weights of a batch that has none, where the graph has weights.
    pub(super) ones: Vec<T>,
    /// Whether tests are followed by steps on the same batch.
    pub(super) habit: Habit,
}

/// What is run to learn and to measure.
#[derive(Debug)]
pub(super) struct Training {
    pub(super) names: Arc<[String]>,
    pub(super) plain: Run,
    /// Once there were weights, of a model.
    pub(super) weighted: Option<Run>,
    /// What was compiled of a model.
    pub(super) compiled: Option<Compiled>,
    learning_rate: Option<VarId>,
}

/// The state variable that callbacks set.
const LEARNING_RATE: &str = "learning_rate";

impl<T: Scalar> Network<T> {
    /// A network over a graph that was built by hand or by layers.
    ///
    /// # Errors
    /// If an endpoint is not in the graph, if inputs, outputs, targets and figures don't belong together, or if the session
    /// can't be made.
    pub fn new(graph: Graph, ends: Endpoints, options: SessionOptions<T>) -> Result<Self> {
        ends.check(&graph)?;
        let ids = |trainable| {
            let all = graph.variables().iter().enumerate();
            all.filter(move |(_, v)| v.trainable == trainable).map(|(i, _)| VarId(i))
        };
        let (weights, state): (Vec<VarId>, Vec<VarId>) = (ids(true).collect(), ids(false).collect());
        let ends_in_rate = |id: &VarId| graph.var(*id).name.rsplit('/').next() == Some(LEARNING_RATE);
        let learning_rate = state.iter().copied().find(ends_in_rate);
        let names = ends.train_figures.iter().map(|(name, _)| name.clone()).collect();
        let output_names = ends.outputs.iter().map(|&node| graph.node(node).name.clone()).collect();
        Ok(Self {
            session: Session::new(graph, options)?,
            inputs: ends.inputs.clone(),
            outputs: ends.outputs.clone(),
            output_names,
            weights,
            state,
            model: None,
            training: Some(Training {
                names,
                plain: Run::new(ends),
                weighted: None,
                compiled: None,
                learning_rate,
            }),
            ones: Vec::new(),
            habit: Habit::default(),
        })
    }

    /// A network of a model, with fresh weights, that has not been compiled.
    #[track_caller]
    pub(super) fn of_model(model: &Model, options: SessionOptions<T>) -> Result<Self> {
        let mut g = Graph::new();
        let mut inputs = Vec::with_capacity(model.inputs.len());
        for input in &model.inputs {
            let dims: Vec<Option<usize>> =
                [None].into_iter().chain(input.dims.iter().map(|&n| Some(n))).collect();
            inputs.push(g.placeholder(&input.name, &dims)?);
        }
        let shapes: Vec<_> = inputs.iter().map(|&node| g.shape(node)).collect();
        let own = model.create(&mut g, &shapes)?;
        let outputs = model.call(&mut g, &own, &inputs, &mut Mode::Inference)?;
        let ids = |nodes: &[Node]| nodes.iter().filter_map(|&node| g.variable_of(node)).collect();
        let (weights, state) = (ids(&own.weights), ids(&own.state));
        Ok(Self {
            session: Session::new(g, options)?,
            inputs,
            outputs,
            output_names: model.output_names().to_vec(),
            weights,
            state,
            model: Some((model.clone(), own)),
            training: None,
            ones: Vec::new(),
            habit: Habit::default(),
        })
    }

    /// Makes the network learn as `compile` says. The weights stay what they are, so a network can be compiled again to go on
    /// with another optimizer, which begins afresh; what it remembers is called as if it were the first.
    ///
    /// # Errors
    /// If an output has no loss, a loss or metric does not fit its output, the optimizer can't be built, or the network is not
    /// a model's but was built by hand; nothing has changed then.
    #[track_caller]
    pub fn compile(&mut self, compile: Compile) -> Result<()> {
        let Some((model, own)) = &self.model else {
            return Err(Error::invalid(
                "compile: this network was built from a graph, with its loss and its optimizer; only a model's can be \
                 compiled",
            ));
        };
        let (inputs, outputs) = (&self.inputs, &self.outputs);
        let before = self.session.graph().variables().len();
        let line = Location::caller();
        let (compiled, ends) = self.session.extend(|g| {
            g.at(line, |g| {
                let compiled = Compiled::new(g, model, own, (inputs, outputs), &compile)?;
                let ends = compiled.endpoints(g, model, inputs, None)?;
                Ok((compiled, ends))
            })
        })?;
        let graph = self.session.graph();
        let own_state = own.state.iter().filter_map(|&node| graph.variable_of(node));
        self.state = own_state.chain((before..graph.variables().len()).map(VarId)).collect();
        let learning_rate = graph.variable_of(compiled.prepared().learning_rate);
        if let Some(before) = self.training.take() {
            for run in before.weighted.iter().chain([&before.plain]) {
                self.session.forget(&run.train);
                self.session.forget(&run.test);
            }
        }
        self.habit = Habit::default();
        let names = ends.train_figures.iter().map(|(name, _)| name.clone()).collect();
        self.training = Some(Training {
            names,
            plain: Run::new(ends),
            weighted: None,
            compiled: Some(compiled),
            learning_rate,
        });
        Ok(())
    }

    /// Whether it can be trained and tested.
    pub fn is_compiled(&self) -> bool {
        self.training.is_some()
    }

    /// The session.
    pub fn session(&self) -> &Session<T> {
        &self.session
    }

    /// The session, to run other fetches with.
    pub fn session_mut(&mut self) -> &mut Session<T> {
        &mut self.session
    }

    /// The nodes that training and testing without weights feed and fetch; none before it is compiled.
    pub fn endpoints(&self) -> Option<&Endpoints> {
        self.training.as_ref().map(|training| &training.plain.ends)
    }

    /// The model; none for a network that was built from a graph.
    pub fn model(&self) -> Option<&Model> {
        self.model.as_ref().map(|(model, _)| model)
    }

    /// The placeholders of the inputs, in order.
    pub fn inputs(&self) -> &[Node] {
        &self.inputs
    }

    /// The nodes of the outputs, in order.
    pub fn outputs(&self) -> &[Node] {
        &self.outputs
    }

    /// The names of the outputs, in order.
    pub fn output_names(&self) -> &[String] {
        &self.output_names
    }

    /// The numbers in a row of the first output: for a classifier, the number of classes.
    pub fn classes(&self) -> usize {
        self.outputs.first().map_or(0, |&output| self.session.graph().shape(output).row_len())
    }

    /// The numbers in a row of the first input.
    pub fn features(&self) -> usize {
        self.inputs.first().map_or(0, |&input| self.session.graph().shape(input).row_len())
    }

    /// The names of the figures that training and testing report: `loss`, then, with several outputs, each one's loss, then the
    /// metrics. None before the network is compiled.
    pub fn figure_names(&self) -> Arc<[String]> {
        self.training.as_ref().map_or_else(|| [].into(), |training| Arc::clone(&training.names))
    }

    /// The learning rate before its schedule; none if the network has no optimizer that names it.
    pub fn learning_rate(&self) -> Option<f64> {
        let id = self.training.as_ref()?.learning_rate?;
        self.session.variable(id).data().first().map(|rate| rate.wide())
    }

    /// Gives the optimizer another learning rate, which its schedule goes on from.
    ///
    /// # Errors
    /// If the network has no optimizer that names its rate, or the rate is negative or not finite.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        if !(rate.is_finite() && rate >= 0.0) {
            return Err(Error::invalid(format_args!(
                "learning rate: expected a finite number, 0 or greater, found {rate}"
            )));
        }
        match compiled(self.training.as_ref(), "learning rate")?.learning_rate {
            Some(id) => self.session.set_variable(id, &[T::of(rate)], &[]),
            None => Err(Error::invalid("learning rate: this network's graph has no variable of that name")),
        }
    }

    /// The table of layers, outputs and parameters that Keras prints; for a network that was built from a graph, its weights.
    pub fn summary(&self) -> String {
        match &self.model {
            Some((model, _)) => model.summary(),
            None => {
                let line = |t: NamedTensor<T>| format!("{} {:?}\n", t.name, t.dims);
                self.weights().into_iter().map(line).collect()
            }
        }
    }
}

/// What was compiled, or an error that says that nothing was.
pub(super) fn compiled<'t>(training: Option<&'t Training>, what: &str) -> Result<&'t Training> {
    training.ok_or_else(|| {
        Error::invalid(format_args!(
            "{what}: the network was not compiled, so it has no loss and no optimizer; call compile first"
        ))
    })
}
