//! The network that the options describe, at each level of abstraction. The levels lower to the same graph.

use nn_core::Scalar;
use nn_core::exec::SessionOptions;
use nn_core::graph::{DType, Graph, Node};
use nn_core::init::Initializer;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Compile, Endpoints, FigureNodes, Model, Network, Sequential, input};
use nn_core::ops::Activation;
use nn_train::weights::{match_weights, read_weights};

use super::config::NetworkConfig;
use crate::args::{Api, Init};
use crate::failure::Failure;

/// Builds the network; with `--init FILE` it begins with the file's weights.
pub(crate) fn build<T: Scalar>(
    config: &NetworkConfig,
    features: usize,
    classes: usize,
    options: SessionOptions<T>,
) -> Result<Network<T>, Failure> {
    let mut network = fresh(config, features, classes, options)?;
    if let Init::File(path) = &config.init {
        network.set_weights(&match_weights(path, &network.weights(), read_weights(path)?)?)?;
    }
    Ok(network)
}

/// Builds the network; with `--init FILE` its weights are still to be put in.
pub(crate) fn fresh<T: Scalar>(
    config: &NetworkConfig,
    features: usize,
    classes: usize,
    options: SessionOptions<T>,
) -> Result<Network<T>, Failure> {
    let beyond =
        |metric: &&Metric| matches!(metric, Metric::Precision(c) | Metric::Recall(c) if *c >= classes);
    if let Some(metric) = config.metrics.iter().find(beyond) {
        return Err(Failure::usage(format_args!(
            "--metric {metric}: the data have the classes 0 to {}",
            classes.saturating_sub(1)
        )));
    }
    let plan = Plan { config, features, classes };
    Ok(match config.api {
        Api::Graph => plan.graph(options, |g, x, units, f| plan.dense_by_hand(g, x, units, f))?,
        Api::Layers => plan.graph(options, |g, x, units, f| {
            let built = plan.dense(units, f).build(g, x)?;
            Ok((built.output, built.penalty))
        })?,
        Api::Sequential => plan.sequential().compile(plan.learning(), options)?,
        Api::Functional => plan.functional()?.compile(plan.learning(), options)?,
    })
}

struct Plan<'a> {
    config: &'a NetworkConfig,
    features: usize,
    classes: usize,
}

impl Plan<'_> {
    /// Units and activation of each layer; the last one's sums are the logits.
    fn layers(&self) -> impl Iterator<Item = (usize, Activation)> {
        let hidden = self.config.hidden.iter().map(|&units| (units, self.config.activation));
        hidden.chain([(self.classes, Activation::Linear)])
    }

    fn initializer(&self) -> Initializer {
        match &self.config.init {
            Init::Drawn(initializer, _) => initializer.clone(),
            Init::File(_) => Initializer::Zeros,
        }
    }

    fn dense(&self, units: usize, f: Activation) -> Dense {
        let layer = Dense::new(units).activation(f).kernel_initializer(self.initializer());
        layer.regularizer(self.config.l1, self.config.l2)
    }

    /// The dense layers of a model, the last one with its softmax.
    fn dense_layers(&self) -> impl Iterator<Item = Dense> {
        let last = self.config.hidden.len();
        self.layers().enumerate().map(move |(i, (units, f))| {
            let dense = self.dense(units, f);
            if i == last { dense.activation(Nonlinearity::Softmax) } else { dense }
        })
    }

    fn learning(&self) -> Compile {
        let compile = Compile::new(self.config.optimizer.clone(), Loss::SparseCategoricalCrossEntropy);
        self.config.metrics.iter().copied().fold(compile, Compile::metric)
    }

    fn sequential(&self) -> Sequential {
        self.dense_layers().fold(Sequential::new(self.features), Sequential::add)
    }

    fn functional(&self) -> nn_core::Result<Model> {
        let pixels = input("input", &[self.features]);
        let mut x = pixels.clone();
        for layer in self.dense_layers() {
            x = layer.apply(&x)?;
        }
        Model::new(&pixels, &x)
    }

    /// The whole classifier as a graph, given what builds a layer: from the layer's input, units and activation to its
    /// output and what it adds to the loss.
    fn graph<T: Scalar>(
        &self,
        options: SessionOptions<T>,
        layer: impl Fn(&mut Graph, Node, usize, Activation) -> nn_core::Result<(Node, Option<Node>)>,
    ) -> nn_core::Result<Network<T>> {
        let mut g = Graph::new();
        let input = g.placeholder("input", &[None, Some(self.features)])?;
        let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
        let mut logits = input;
        let mut penalties = Vec::new();
        for (units, f) in self.layers() {
            let (output, penalty) = layer(&mut g, logits, units, f)?;
            logits = output;
            penalties.extend(penalty);
        }
        let output = g.softmax(logits)?;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let mut loss = g.reduce_mean(losses)?;
        for penalty in penalties {
            loss = g.add(loss, penalty)?;
        }
        let mut figures = vec![("loss".to_owned(), FigureNodes::Mean(loss))];
        for metric in &self.config.metrics {
            let nodes = metric.nodes(&mut g, logits, labels)?;
            figures.push((metric.to_string(), FigureNodes::Ratio(nodes)));
        }
        let ends = Endpoints {
            inputs: vec![input],
            targets: vec![labels],
            row_weights: None,
            outputs: vec![output],
            train_figures: figures.clone(),
            test_figures: figures,
            train: self.config.optimizer.minimize(&mut g, loss)?,
        };
        Network::new(g, ends, options)
    }

    /// f(x · W + b), and l1 · Σ |W| + l2 · Σ W² where that is wanted, written out.
    fn dense_by_hand(
        &self,
        g: &mut Graph,
        x: Node,
        units: usize,
        f: Activation,
    ) -> nn_core::Result<(Node, Option<Node>)> {
        let inputs = g.shape(x).row_len();
        g.scope("dense", |g| {
            let kernel = g.variable("kernel", &[inputs, units], self.initializer())?;
            let bias = g.variable("bias", &[units], Initializer::Zeros)?;
            let product = g.matmul(x, kernel)?;
            let sum = g.add(product, bias)?;
            let output = g.activation(f, sum)?;
            let (sizes, squares) = (g.abs(kernel)?, g.square(kernel)?);
            let mut penalty = None;
            for (factor, terms) in [(self.config.l1, sizes), (self.config.l2, squares)] {
                if factor > 0.0 {
                    let (factor, sum) = (g.scalar(factor), g.reduce_sum(terms)?);
                    let term = g.mul(factor, sum)?;
                    penalty = Some(match penalty {
                        Some(first) => g.add(first, term)?,
                        None => term,
                    });
                }
            }
            Ok((output, penalty))
        })
    }
}
