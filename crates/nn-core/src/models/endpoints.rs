//! Which nodes of a graph learning needs.

use crate::graph::{Graph, Node};
use crate::metrics::MetricNodes;
use crate::{Error, Result};

/// The nodes of a graph that learning needs: what a network that was built by hand, or by layers, is made of.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The rows fed: float \[None, …\], one for each input.
    pub inputs: Vec<Node>,
    /// What they belong to: int \[None\] classes or float \[None, n\], one for each output.
    pub targets: Vec<Node>,
    /// How much each row counts: float \[None\], if the figures know weights. A batch without weights is fed ones.
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

    /// An error unless all of it is in the graph and belongs together.
    pub(super) fn check(&self, graph: &Graph) -> Result<()> {
        let figures = self.train_figures.iter().chain(&self.test_figures);
        let mut all = (self.inputs.iter().chain(&self.targets).chain(&self.outputs).copied())
            .chain(self.row_weights)
            .chain(figures.flat_map(|(_, figure)| figure.nodes()))
            .chain([self.train]);
        if let Some(stranger) = all.find(|node| node.index() >= graph.nodes().len()) {
            return Err(Error::invalid(format_args!(
                "network: {stranger:?} is no node of the graph, expected all endpoints in it"
            )));
        }
        if self.inputs.is_empty() || self.outputs.is_empty() || self.targets.len() != self.outputs.len() {
            return Err(Error::invalid(format_args!(
                "network: expected one input or more and a target for each of one output or more, found {} inputs, {} \
                 targets and {} outputs",
                self.inputs.len(),
                self.targets.len(),
                self.outputs.len()
            )));
        }
        let names = |figures: &[(String, FigureNodes)]| -> Vec<String> {
            figures.iter().map(|(name, _)| name.clone()).collect()
        };
        let (train, test) = (names(&self.train_figures), names(&self.test_figures));
        if train.is_empty() || train != test {
            return Err(Error::invalid(format_args!(
                "network: expected the loss and the same figures in training and in tests, found {train:?} and {test:?}"
            )));
        }
        Ok(())
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

/// What a training step and a test feed and fetch.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) ends: Endpoints,
    pub(super) train: Vec<Node>,
    pub(super) test: Vec<Node>,
}

impl Run {
    pub(super) fn new(ends: Endpoints) -> Self {
        let nodes = |figures: &[(String, FigureNodes)]| figures.iter().flat_map(|(_, f)| f.nodes()).collect();
        let mut train: Vec<Node> = nodes(&ends.train_figures);
        train.push(ends.train);
        Self { train, test: nodes(&ends.test_figures), ends }
    }

    /// Whether the first fetches of a step are those of a test: no layer does anything else when it learns.
    pub(super) fn measures_alike(&self) -> bool {
        self.train.split_last().is_some_and(|(_, figures)| *figures == self.test)
    }
}
