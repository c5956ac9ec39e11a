//! A network that trains: a session, and which of its nodes are which. Every level of abstraction ends in one.

use std::sync::Arc;

use smallvec::SmallVec;

use super::batch::{Batch, Figures, Ratio, Target};
use super::compile::{Compile, Compiled};
use super::model::Model;
use crate::exec::{Feed, Session, SessionOptions};
use crate::graph::{DType, Graph, Node, VarId};
use crate::layers::{Layer, Mode, Variables};
use crate::matrix::InputRef;
use crate::metrics::MetricNodes;
use crate::{Error, Result, Scalar};

/// The nodes of a graph that learning needs: what a network that was built by hand, or by layers, is made of.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The rows fed: float \[None, …\], one for each input.
    pub inputs: Vec<Node>,
    /// What they belong to: int \[None\] classes or float \[None, n\], one for each output.
    pub targets: Vec<Node>,
    /// How much each row counts: float \[None\], if the figures know weights.
    pub row_weights: Option<Node>,
    /// What is predicted, one for each output.
    pub outputs: Vec<Node>,
    /// What is reported of a training step, as it was before the step; the first is the loss, regularisers included.
    pub train_figures: Vec<(String, FigureNodes)>,
    /// The same when nothing is learnt. The same names.
    pub test_figures: Vec<(String, FigureNodes)>,
    /// Running it makes one step.
    pub train: Node,
}

impl Endpoints {
    /// Those of a classifier with one input and one output that reports loss (a mean over the rows) and accuracy (given as the
    /// number of hits).
    pub fn classifier(input: Node, labels: Node, output: Node, [loss, hits, train]: [Node; 3]) -> Self {
        let hits = MetricNodes { sum: hits, count: None };
        let figures =
            vec![("loss".into(), FigureNodes::Mean(loss)), ("accuracy".into(), FigureNodes::Ratio(hits))];
        Self {
            inputs: vec![input],
            targets: vec![labels],
            row_weights: None,
            outputs: vec![output],
            train_figures: figures.clone(),
            test_figures: figures,
            train,
        }
    }
}

/// How a figure is computed: scalars of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureNodes {
    /// A mean over the rows, or a sum of such means.
    Mean(Node),
    /// A numerator and a denominator.
    Ratio(MetricNodes),
}

impl FigureNodes {
    fn nodes(self) -> impl Iterator<Item = Node> {
        let (first, second) = match self {
            Self::Mean(mean) => (mean, None),
            Self::Ratio(MetricNodes { sum, count }) => (sum, count),
        };
        [first].into_iter().chain(second)
    }
}

/// A variable's name and value.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor<T> {
    /// Its name, such as `dense/kernel`.
    pub name: String,
    /// Its dimensions; none for a scalar.
    pub dims: Vec<usize>,
    /// Its elements, row-major.
    pub values: Vec<T>,
}

/// A model with its weights, its optimizer's state, and the session that runs it.
#[derive(Debug)]
pub struct Network<T> {
    session: Session<T>,
    inputs: Vec<Node>,
    outputs: Vec<Node>,
    output_names: Vec<String>,
    /// What `weights` lists.
    weights: Vec<VarId>,
    /// Other variables that training changes, the optimizer's included.
    state: Vec<VarId>,
    model: Option<(Model, Variables)>,
    training: Option<Training>,
}

/// What is run to learn and to measure.
#[derive(Debug)]
struct Training {
    names: Arc<[String]>,
    plain: Run,
    weighted: Option<Run>,
    compiled: Option<Compiled>,
    learning_rate: Option<VarId>,
}

/// What is fed and fetched.
#[derive(Debug)]
struct Run {
    ends: Endpoints,
    train: Vec<Node>,
    test: Vec<Node>,
}

impl Run {
    fn new(ends: Endpoints) -> Self {
        let nodes = |figures: &[(String, FigureNodes)]| figures.iter().flat_map(|(_, f)| f.nodes()).collect();
        let mut train: Vec<Node> = nodes(&ends.train_figures);
        train.push(ends.train);
        Self { train, test: nodes(&ends.test_figures), ends }
    }
}

/// The state variable that callbacks set.
const LEARNING_RATE: &str = "learning_rate";

impl<T: Scalar> Network<T> {
    /// A network over a graph that was built by hand or by layers.
    ///
    /// # Errors
    /// If the session can't be made.
    pub fn new(graph: Graph, ends: Endpoints, options: SessionOptions<T>) -> Result<Self> {
        let ids = |trainable| {
            let all = graph.variables().iter().enumerate();
            all.filter(move |(_, v)| v.trainable == trainable).map(|(i, _)| VarId(i))
        };
        let (weights, state): (Vec<VarId>, Vec<VarId>) = (ids(true).collect(), ids(false).collect());
        let ends_in_rate = |id: &VarId| graph.var(*id).name.rsplit('/').next() == Some(LEARNING_RATE);
        let learning_rate = state.iter().copied().find(ends_in_rate);
        let names: Arc<[String]> = ends.train_figures.iter().map(|(name, _)| name.clone()).collect();
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
        })
    }

    /// A network of a model, with fresh weights, that has not been compiled.
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
        })
    }

    /// Makes the network learn as `compile` says. The weights stay what they are, so a network can be compiled again to go on
    /// with another optimizer, which begins afresh.
    ///
    /// # Errors
    /// If an output has no loss, a loss or metric does not fit its output, the optimizer can't be built, or the network is not
    /// a model's but was built by hand; nothing has changed then.
    pub fn compile(&mut self, compile: Compile) -> Result<()> {
        let Some((model, own)) = &self.model else {
            return Err(Error::invalid(
                "compile: this network was built from a graph, with its loss and its optimizer; only a model's can be \
                 compiled",
            ));
        };
        let (inputs, outputs) = (&self.inputs, &self.outputs);
        let before = self.session.graph().variables().len();
        let (compiled, ends) = self.session.extend(|g| {
            let compiled = Compiled::new(g, model, own, (inputs, outputs), &compile)?;
            let ends = compiled.endpoints(g, model, inputs, None)?;
            Ok((compiled, ends))
        })?;
        let graph = self.session.graph();
        let own_state = own.state.iter().filter_map(|&node| graph.variable_of(node));
        self.state = own_state.chain((before..graph.variables().len()).map(VarId)).collect();
        let learning_rate = graph.variable_of(compiled.prepared().learning_rate);
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

    fn compiled(&self, what: &str) -> Result<&Training> {
        compiled(self.training.as_ref(), what)
    }

    /// Whether training on this batch (or on parts of it) can work.
    ///
    /// # Errors
    /// If the network was not compiled, if inputs, targets or weights don't fit it or each other, or if a class is none of its
    /// classes; the message says which row.
    pub fn check(&self, batch: &Batch<'_, T>) -> Result<()> {
        let ends = &self.compiled("fit")?.plain.ends;
        let counts = [
            ("input", batch.inputs.len(), ends.inputs.len()),
            ("target", batch.targets.len(), ends.targets.len()),
        ];
        if let Some((what, found, expected)) =
            counts.into_iter().find(|(_, found, expected)| found != expected)
        {
            return Err(Error::invalid(format_args!(
                "batch: the network has {expected} {what}s, expected one of each, found {found}"
            )));
        }
        let graph = self.session.graph();
        let rows = batch.rows();
        let same = |name: &str, found: usize| {
            if found == rows {
                return Ok(());
            }
            Err(Error::shape(format_args!("batch: \"{name}\" has {found} rows, the first input has {rows}")))
        };
        for (&node, x) in ends.inputs.iter().zip(&batch.inputs) {
            self.check_columns(node, x.cols())?;
            same(&graph.node(node).name, x.rows())?;
        }
        for ((&node, target), &output) in ends.targets.iter().zip(&batch.targets).zip(&ends.outputs) {
            let name = &graph.node(node).name;
            same(name, target.rows())?;
            match target {
                Target::Classes(classes) if graph.dtype(node) == DType::Int => {
                    check_classes(name, classes, graph.shape(output).row_len())?;
                }
                Target::Values(values) if graph.dtype(node) == DType::Float => {
                    self.check_columns(node, values.cols())?;
                }
                Target::Classes(_) => {
                    return Err(Error::invalid(format_args!(
                        "batch: \"{name}\" was given classes, its loss expects numbers {}",
                        graph.shape(node)
                    )));
                }
                Target::Values(_) => {
                    return Err(Error::invalid(format_args!(
                        "batch: \"{name}\" was given numbers, its loss expects class indices int [None]"
                    )));
                }
            }
        }
        batch.weights.map_or(Ok(()), |weights| same("row weights", weights.len()))
    }

    fn check_columns(&self, node: Node, found: usize) -> Result<()> {
        let graph = self.session.graph();
        let shape = graph.shape(node);
        if found == shape.row_len() {
            return Ok(());
        }
        Err(Error::shape(format_args!(
            "batch: \"{}\" has rows of {found} numbers, expected {} for {shape}",
            graph.node(node).name,
            shape.row_len()
        )))
    }

    /// One training step. The figures are those before the step.
    ///
    /// # Errors
    /// If the network was not compiled, or the batch does not fit it; nothing has changed then.
    pub fn train(&mut self, batch: &Batch<'_, T>) -> Result<Figures> {
        self.run("train", batch, true)
    }

    /// The figures of a batch.
    ///
    /// # Errors
    /// If the network was not compiled, or the batch does not fit it.
    pub fn test(&mut self, batch: &Batch<'_, T>) -> Result<Figures> {
        self.run("test", batch, false)
    }

    /// [`train`](Self::train) for one input and one output of classes.
    ///
    /// # Errors
    /// If the network was not compiled, or rows and labels don't fit it or each other; nothing has changed then.
    pub fn train_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<Figures> {
        self.train(&Batch::new(x, labels))
    }

    /// [`test`](Self::test) for one input and one output of classes.
    ///
    /// # Errors
    /// If the network was not compiled, or rows and labels don't fit it or each other.
    pub fn test_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<Figures> {
        self.test(&Batch::new(x, labels))
    }

    fn run(&mut self, what: &str, batch: &Batch<'_, T>, learn: bool) -> Result<Figures> {
        let weighted = batch.weights.is_some();
        if weighted {
            self.prepare_weights(what)?;
        }
        let training = compiled(self.training.as_ref(), what)?;
        let run = match &training.weighted {
            Some(run) if weighted => run,
            _ => &training.plain,
        };
        let rows = batch.rows();
        if rows == 0 {
            return Err(Error::invalid("batch: expected one row or more, found none"));
        }
        if (batch.inputs.len(), batch.targets.len()) != (run.ends.inputs.len(), run.ends.targets.len()) {
            self.check(batch)?;
        }
        let mut feeds: SmallVec<[(Node, Feed<'_, T>); 4]> = SmallVec::new();
        feeds.extend(run.ends.inputs.iter().copied().zip(batch.inputs.iter().map(|x| Feed::Input(*x))));
        feeds.extend(run.ends.targets.iter().copied().zip(batch.targets.iter().map(|target| match target {
            Target::Classes(classes) => Feed::Ints(classes),
            Target::Values(values) => Feed::Input(*values),
        })));
        let column;
        if let (Some(node), Some(weights)) = (run.ends.row_weights, batch.weights) {
            column = crate::matrix::MatRef::new(weights, weights.len(), 1)?;
            feeds.push((node, column.into()));
        }
        let (fetches, figures) =
            if learn { (&run.train, &run.ends.train_figures) } else { (&run.test, &run.ends.test_figures) };
        let out = self.session.run(fetches, &feeds)?;
        let mut next = 0;
        let mut scalar = || {
            next += 1;
            out.scalar(next - 1).map(Scalar::wide)
        };
        let count = rows as f64;
        let mut ratios: SmallVec<[Ratio; 8]> = SmallVec::with_capacity(figures.len());
        for (_, figure) in figures {
            ratios.push(match figure {
                FigureNodes::Mean(_) => Ratio { sum: scalar()? * count, count },
                FigureNodes::Ratio(MetricNodes { count: None, .. }) => Ratio { sum: scalar()?, count },
                FigureNodes::Ratio(_) => Ratio { sum: scalar()?, count: scalar()? },
            });
        }
        Ok(Figures::new(&training.names, rows, ratios))
    }

    /// Builds what weighted rows need, the first time there are any.
    fn prepare_weights(&mut self, what: &str) -> Result<()> {
        if self.compiled(what)?.weighted.is_some() {
            return Ok(());
        }
        let (Some(training), Some((model, _))) = (&mut self.training, &self.model) else {
            return Err(Error::invalid(format_args!(
                "{what}: rows were given weights, but this network was built from a graph that has none"
            )));
        };
        let Some(compiled) = &training.compiled else { return Ok(()) };
        let inputs = &self.inputs;
        let ends = self.session.extend(|g| {
            let weights = g.placeholder("row_weights", &[None])?;
            compiled.endpoints(g, model, inputs, Some(weights))
        })?;
        training.weighted = Some(Run::new(ends));
        Ok(())
    }

    /// What the model makes of each row, one row-major slice for each output, until the next call.
    ///
    /// # Errors
    /// If the rows don't fit the network.
    pub fn predict(&mut self, inputs: &[InputRef<'_, T>]) -> Result<Vec<&[T]>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::invalid(format_args!(
                "predict: the network has {} inputs, expected rows for each, found {}",
                self.inputs.len(),
                inputs.len()
            )));
        }
        let feeds: SmallVec<[(Node, Feed<'_, T>); 4]> =
            self.inputs.iter().copied().zip(inputs.iter().map(|x| Feed::Input(*x))).collect();
        let out = self.session.run(&self.outputs, &feeds)?;
        (0..self.outputs.len()).map(|i| out.floats(i)).collect()
    }

    /// [`predict`](Self::predict) for one input and one output: \[rows, classes\], row-major, until the next call.
    ///
    /// # Errors
    /// If the rows don't fit the network, or it has more than one input or output.
    pub fn predict_on_batch(&mut self, x: InputRef<'_, T>) -> Result<&[T]> {
        let outputs = self.outputs.len();
        match self.predict(&[x])?.as_slice() {
            [one] => Ok(one),
            _ => Err(Error::invalid(format_args!(
                "predict: the network has {outputs} outputs, expected one; call predict"
            ))),
        }
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
        match self.compiled("learning rate")?.learning_rate {
            Some(id) => self.session.set_variable(id, &[T::of(rate)], &[]),
            None => Err(Error::invalid("learning rate: this network's graph has no variable of that name")),
        }
    }

    /// The weights in Keras' order: layer by layer, kernel before bias. Statistics that are saved with them (those of batch
    /// normalisation) are among them.
    pub fn weights(&self) -> Vec<NamedTensor<T>> {
        self.weights.iter().map(|&id| self.tensor(id)).collect()
    }

    /// All that training changes: weights, the optimizer's slots, its count of steps and its learning rate.
    pub fn state(&self) -> Vec<NamedTensor<T>> {
        self.weights.iter().chain(&self.state).map(|&id| self.tensor(id)).collect()
    }

    fn tensor(&self, id: VarId) -> NamedTensor<T> {
        let variable = self.session.graph().var(id);
        NamedTensor {
            name: variable.name.clone(),
            dims: variable.dims.clone(),
            values: self.session.variable(id).data().to_vec(),
        }
    }

    /// Replaces the weights. All are named, each once.
    ///
    /// # Errors
    /// If a name is missing, unknown or given twice, or dimensions differ; nothing has changed then.
    pub fn set_weights(&mut self, tensors: &[NamedTensor<T>]) -> Result<()> {
        self.set(tensors, &self.weights.clone())
    }

    /// Replaces the weights by those of another network with the same shapes in the same order, whatever their names.
    ///
    /// # Errors
    /// If there are more or fewer, or dimensions differ; nothing has changed then.
    pub fn set_weights_in_order(&mut self, tensors: &[NamedTensor<T>]) -> Result<()> {
        if tensors.len() != self.weights.len() {
            return Err(Error::shape(format_args!(
                "weights: expected {} tensors, found {}",
                self.weights.len(),
                tensors.len()
            )));
        }
        let named = |(&id, tensor): (&VarId, &NamedTensor<T>)| NamedTensor {
            name: self.session.graph().var(id).name.clone(),
            ..tensor.clone()
        };
        let renamed: Vec<_> = self.weights.iter().zip(tensors).map(named).collect();
        self.set_weights(&renamed)
    }

    /// Replaces all that training changes, as [`state`](Self::state) gave it.
    ///
    /// # Errors
    /// If a name is missing, unknown or given twice, or dimensions differ; nothing has changed then.
    pub fn set_state(&mut self, tensors: &[NamedTensor<T>]) -> Result<()> {
        let all: Vec<VarId> = self.weights.iter().chain(&self.state).copied().collect();
        self.set(tensors, &all)
    }

    fn set(&mut self, tensors: &[NamedTensor<T>], wanted: &[VarId]) -> Result<()> {
        let graph = self.session.graph();
        let mut found = Vec::with_capacity(tensors.len());
        for &id in wanted {
            let v = graph.var(id);
            let mut named = tensors.iter().filter(|t| t.name == v.name);
            let (tensor, again) = (named.next(), named.next());
            let problem = match tensor {
                None => "it is missing".to_owned(),
                Some(_) if again.is_some() => "it is there twice".to_owned(),
                Some(t) if t.dims != v.dims || t.values.len() != v.dims.iter().product::<usize>() => {
                    format!("found {:?} with {} values", t.dims, t.values.len())
                }
                Some(t) => {
                    found.push((id, t));
                    continue;
                }
            };
            return Err(Error::shape(format_args!(
                "weights: expected \"{}\" {:?}: {problem}",
                v.name, v.dims
            )));
        }
        if found.len() != tensors.len() {
            let known = |t: &&NamedTensor<T>| !found.iter().any(|(_, f)| f.name == t.name);
            let stranger = tensors.iter().find(known).map_or("", |t| &t.name);
            return Err(Error::invalid(format_args!(
                "weights: \"{stranger}\" belongs to no variable of this network"
            )));
        }
        for (id, tensor) in found {
            self.session.set_variable(id, &tensor.values, &tensor.dims)?;
        }
        Ok(())
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
fn compiled<'t>(training: Option<&'t Training>, what: &str) -> Result<&'t Training> {
    training.ok_or_else(|| {
        Error::invalid(format_args!(
            "{what}: the network was not compiled, so it has no loss and no optimizer; call compile first"
        ))
    })
}

/// Every class must be one of the network's.
fn check_classes(name: &str, classes: &[i32], known: usize) -> Result<()> {
    let fits = |&class: &i32| usize::try_from(class).is_ok_and(|class| class < known);
    match classes.iter().position(|class| !fits(class)) {
        None => Ok(()),
        Some(row) => Err(Error::invalid(format_args!(
            "batch: \"{name}\" has the class {} in row {row}, expected 0 to {}",
            classes[row],
            known.saturating_sub(1)
        ))),
    }
}
