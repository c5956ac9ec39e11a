//! From a model's outputs to what learns: targets, losses, metrics, gradients, updates.

use std::collections::HashSet;

use super::endpoints::{Endpoints, FigureNodes};
use super::model::Model;
use crate::graph::{DType, Graph, Node};
use crate::layers::{Layer, Mode, Updates, Variables};
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::optim::{Optimizer, Prepared};
use crate::{Error, Result};

/// How a model learns: an optimizer, a loss for each output, and metrics.
///
/// ```
/// use nn_core::losses::Loss;
/// use nn_core::metrics::Metric;
/// use nn_core::models::Compile;
/// use nn_core::optim::Optimizer;
/// let classifier = Compile::new(Optimizer::sgd(0.5), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy);
/// let two_outputs = Compile::outputs(Optimizer::adam(0.001))
///     .loss("digit", Loss::SparseCategoricalCrossEntropy, 1.0)
///     .loss("size", Loss::MeanSquaredError, 0.3)
///     .metric_of("digit", Metric::Accuracy);
/// # let _ = (classifier, two_outputs);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Compile {
    optimizer: Optimizer,
    /// For each output that has no loss of its own.
    default_loss: Option<Loss>,
    losses: Vec<(String, Loss, f64)>,
    /// With the output that it is for; without one, for each.
    metrics: Vec<(Option<String>, Metric)>,
}

impl Compile {
    /// The same loss for each output, of which there mostly is one.
    pub fn new(optimizer: impl Into<Optimizer>, loss: Loss) -> Self {
        Self { default_loss: Some(loss), ..Self::outputs(optimizer) }
    }

    /// A loss for each output still to come.
    pub fn outputs(optimizer: impl Into<Optimizer>) -> Self {
        Self { optimizer: optimizer.into(), default_loss: None, losses: Vec::new(), metrics: Vec::new() }
    }

    /// With this loss for the output `output`, times `weight` in the sum over the outputs.
    #[must_use]
    pub fn loss(mut self, output: impl Into<String>, loss: Loss, weight: f64) -> Self {
        self.losses.push((output.into(), loss, weight));
        self
    }

    /// With this metric for each output.
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metrics.push((None, metric));
        self
    }

    /// With this metric for the output `output`.
    #[must_use]
    pub fn metric_of(mut self, output: impl Into<String>, metric: Metric) -> Self {
        self.metrics.push((Some(output.into()), metric));
        self
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The loss of each output with its factor, and the metrics of each output.
    fn check(&self, outputs: &[String]) -> Result<Vec<(Loss, f64, Vec<Metric>)>> {
        let list = outputs.join(", ");
        let named = self.losses.iter().map(|(output, ..)| output);
        let named = named.chain(self.metrics.iter().filter_map(|(output, _)| output.as_ref()));
        for name in named {
            if !outputs.contains(name) {
                return Err(Error::invalid(format_args!(
                    "compile: the model has no output \"{name}\"; its outputs are {list}"
                )));
            }
        }
        let of_output = |output: &String| {
            let mut own = self.losses.iter().filter(|(name, ..)| name == output);
            let (loss, weight) = match (own.next(), self.default_loss) {
                (Some((_, loss, weight)), _) => (*loss, *weight),
                (None, Some(loss)) => (loss, 1.0),
                (None, None) => {
                    return Err(Error::invalid(format_args!(
                        "compile: the output \"{output}\" has no loss; expected one for each of {list}"
                    )));
                }
            };
            if own.next().is_some() {
                return Err(Error::invalid(format_args!(
                    "compile: the output \"{output}\" was given two losses, expected one"
                )));
            }
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::invalid(format_args!(
                    "compile: the loss of \"{output}\" has the weight {weight}, expected a finite number, 0 or greater"
                )));
            }
            let metrics = self.metrics.iter().filter(|(of, _)| of.as_ref().is_none_or(|of| of == output));
            Ok((loss, weight, metrics.map(|(_, metric)| *metric).collect()))
        };
        outputs.iter().map(of_output).collect()
    }
}

/// A model's nodes in a graph, and what learning adds to them.
#[derive(Debug)]
pub(super) struct Compiled {
    prepared: Prepared,
    weights: Vec<Node>,
    targets: Vec<Node>,
    /// As they are in training and in inference.
    outputs: [Vec<Node>; 2],
    penalties: Vec<Node>,
    updates: Updates,
    parts: Vec<(Loss, f64, Vec<Metric>)>,
}

impl Compiled {
    /// Adds to the graph what learning needs. `outputs` are those of inference.
    pub(super) fn new(
        g: &mut Graph,
        model: &Model,
        own: &Variables,
        (inputs, outputs): (&[Node], &[Node]),
        compile: &Compile,
    ) -> Result<Self> {
        let parts = compile.check(model.output_names())?;
        let mut updates = Updates::default();
        let training = if model.has_modes() {
            g.scope("training", |g| model.call(g, own, inputs, &mut Mode::Training(&mut updates)))?
        } else {
            outputs.to_vec()
        };
        let mut targets = Vec::with_capacity(outputs.len());
        for ((&output, (loss, ..)), name) in outputs.iter().zip(&parts).zip(model.output_names()) {
            let name = if outputs.len() == 1 { "labels".to_owned() } else { format!("{name}_labels") };
            let columns = g.shape(output).row_len();
            targets.push(match loss.target() {
                DType::Int => g.typed_placeholder(&name, &[None], DType::Int)?,
                _ => g.placeholder(&name, &[None, Some(columns)])?,
            });
        }
        let penalties = model.penalties(g, own)?;
        let weights: Vec<Node> = own
            .weights
            .iter()
            .copied()
            .filter(|&node| g.variable_of(node).is_some_and(|id| g.var(id).trainable))
            .collect();
        let prepared = compile.optimizer.prepare(g, &weights)?;
        Ok(Self {
            prepared,
            weights,
            targets,
            outputs: [training, outputs.to_vec()],
            penalties,
            updates,
            parts,
        })
    }

    /// The optimizer's variables.
    pub(super) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Adds the figures of training and inference, and a step, to the graph. With `row_weights`, each row's loss counts so much.
    pub(super) fn endpoints(
        &self,
        g: &mut Graph,
        model: &Model,
        inputs: &[Node],
        row_weights: Option<Node>,
    ) -> Result<Endpoints> {
        let [training, inference] = &self.outputs;
        let (loss, train_figures) = self.figures(g, model, training, row_weights)?;
        let test_figures = if training == inference {
            train_figures.clone()
        } else {
            self.figures(g, model, inference, row_weights)?.1
        };
        let gradients = g.gradients(loss, &self.weights)?;
        let pairs: Vec<(Node, Node)> = gradients.into_iter().zip(self.weights.iter().copied()).collect();
        let step = self.prepared.apply(g, &pairs)?;
        let mut all = self.updates.assign(g)?;
        let train = if all.is_empty() {
            step
        } else {
            all.insert(0, step);
            g.group(&all)
        };
        Ok(Endpoints {
            inputs: inputs.to_vec(),
            targets: self.targets.clone(),
            row_weights,
            outputs: inference.clone(),
            train_figures,
            test_figures,
            train,
        })
    }

    /// The loss, and the figures: the loss first, then each output's, where there are several, then each output's metrics.
    fn figures(
        &self,
        g: &mut Graph,
        model: &Model,
        outputs: &[Node],
        row_weights: Option<Node>,
    ) -> Result<(Node, Vec<(String, FigureNodes)>)> {
        let several = outputs.len() > 1;
        let names = model.output_names();
        let mut total: Option<Node> = None;
        let mut of_outputs = Vec::new();
        let mut metrics = Vec::new();
        for (i, (loss, weight, measured)) in self.parts.iter().enumerate() {
            let (output, target) = (outputs[i], self.targets[i]);
            let label = |e: Error| e.about(format_args!("compile: output \"{}\"", names[i]));
            let mean = match row_weights {
                Some(weights) => loss.weighted_mean(g, output, target, weights).map_err(label)?,
                None => loss.mean(g, output, target).map_err(label)?,
            };
            let weighted = if *weight == 1.0 {
                mean
            } else {
                let weight = g.scalar(*weight);
                g.mul(weight, mean)?
            };
            total = Some(match total {
                Some(total) => g.add(total, weighted)?,
                None => weighted,
            });
            if several {
                of_outputs.push((format!("{}_loss", names[i]), FigureNodes::Mean(mean)));
            }
            for metric in measured {
                let name = if several { format!("{}_{metric}", names[i]) } else { metric.to_string() };
                metrics
                    .push((name, FigureNodes::Ratio(metric.under(*loss, g, output, target).map_err(label)?)));
            }
        }
        for &penalty in &self.penalties {
            total = Some(match total {
                Some(total) => g.add(total, penalty)?,
                None => penalty,
            });
        }
        let total = total.ok_or_else(|| Error::invalid("compile: expected one output or more"))?;
        let loss = ("loss".to_owned(), FigureNodes::Mean(total));
        let figures: Vec<_> = [loss].into_iter().chain(of_outputs).chain(metrics).collect();
        let mut known = HashSet::new();
        match figures.iter().find(|(name, _)| !known.insert(name)) {
            None => Ok((total, figures)),
            Some((twice, _)) => Err(Error::invalid(format_args!(
                "compile: two figures would be called \"{twice}\"; expected each metric once, and outputs whose names tell \
                 their figures apart"
            ))),
        }
    }
}
