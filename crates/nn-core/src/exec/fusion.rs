//! Which nodes one kernel computes together: fusion as instruction selection. Gradient rules know nothing of it.

use super::analysis::{Analysis, operands, read_inputs};
use crate::graph::{Graph, Node, Op, Spread};
use crate::ops::{Activation, Binary, Trans, Unary};

/// How a needed node is computed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// By the kernel of its own operation, from these inputs.
    Plain(Vec<Node>),
    /// f(x · w + b)
    Affine { x: Node, w: Node, bias: Option<Node>, f: Activation },
    /// (dy · wᵀ) ⊙ f′(y)
    Backpropagate { dy: Node, w: Node, f: Activation, y: Node },
    /// The losses, and with them the gradient node of the same logits and labels, times a scalar.
    CrossEntropy { logits: Node, labels: Node, gradient: Option<(Node, Node)> },
    /// The gradient alone, times a scalar.
    CrossEntropyGrad { logits: Node, labels: Node, scale: Node },
    /// The gradient, written by the losses' kernel.
    WithLosses(Node),
    /// The value of another node, seen in this one's shape.
    Alias(Node),
}

impl Form {
    /// The nodes whose values the kernel reads.
    pub(super) fn reads(&self) -> Vec<Node> {
        match self {
            Self::Plain(inputs) => inputs.clone(),
            Self::Affine { x, w, bias, .. } => [*x, *w].into_iter().chain(*bias).collect(),
            Self::Backpropagate { dy, w, y, .. } => vec![*dy, *w, *y],
            Self::CrossEntropy { logits, labels, gradient } => {
                [*logits, *labels].into_iter().chain(gradient.map(|(_, scale)| scale)).collect()
            }
            Self::CrossEntropyGrad { logits, labels, scale } => vec![*logits, *labels, *scale],
            Self::WithLosses(node) | Self::Alias(node) => vec![*node],
        }
    }
}

/// Finds the form of each needed node.
pub(super) struct Fusion<'g> {
    graph: &'g Graph,
    analysis: &'g Analysis,
    forms: Vec<Option<Form>>,
}

impl<'g> Fusion<'g> {
    /// Nothing found yet.
    pub(super) fn new(graph: &'g Graph, analysis: &'g Analysis) -> Self {
        Self { graph, analysis, forms: vec![None; graph.nodes().len()] }
    }

    /// The form of each needed node, nothing for others.
    pub(super) fn run(mut self) -> Vec<Option<Form>> {
        for index in 0..self.graph.nodes().len() {
            let node = Node::from_index(index);
            if self.analysis.when[index].is_some() {
                self.forms[index] = Some(self.form(node));
            }
        }
        self.forms
    }

    /// Whether only one kernel reads `node`, at the same point of the run as `reader`.
    fn only_for(&self, node: Node, reader: Node) -> bool {
        let (a, b) = (self.analysis.when(node), self.analysis.when(reader));
        self.analysis.uses[node.index()] == 1 && a == b && a.is_batched()
    }

    /// Whether `node` exists once, and early enough for a shard of `reader`'s stage.
    fn is_parameter(&self, node: Node, reader: Node) -> bool {
        let when = self.analysis.when(node);
        !when.is_batched() && when.ready() <= self.analysis.when(reader).ready()
    }

    fn form(&self, node: Node) -> Form {
        let data = self.graph.node(node);
        let plain = || {
            Form::Plain(match data.op {
                Op::Binary(_, a, b) => operands(self.graph, node, [a, b]).map(|(operand, _)| operand).into(),
                _ => read_inputs(&data.op, &data.inputs).collect(),
            })
        };
        if !self.analysis.when(node).is_batched() {
            return match data.op {
                Op::Reshape => Form::Alias(data.inputs[0]),
                _ => plain(),
            };
        }
        match (&data.op, data.inputs.as_slice()) {
            (Op::Reshape, &[x]) => Form::Alias(x),
            (Op::MatMul(Trans::No, Trans::No), &[x, w]) if self.is_parameter(w, node) => {
                Form::Affine { x, w, bias: None, f: Activation::Linear }
            }
            (Op::Binary(Binary::Add, Spread::Same, Spread::Suffix), &[y, b]) => {
                self.with_bias(node, y, b).unwrap_or_else(plain)
            }
            (Op::Binary(Binary::Add, Spread::Suffix, Spread::Same), &[b, y]) => {
                self.with_bias(node, y, b).unwrap_or_else(plain)
            }
            (Op::Unary(Unary::Activation(f)), &[y]) => self.activated(node, y, *f).unwrap_or_else(plain),
            (Op::Binary(Binary::Slope(f), Spread::Same, Spread::Same), &[dx, y]) => {
                self.backpropagated(node, dx, y, *f).unwrap_or_else(plain)
            }
            (Op::CrossEntropy, &[logits, labels]) => {
                let gradient = self.gradient_beside(node, logits, labels);
                Form::CrossEntropy { logits, labels, gradient }
            }
            (Op::CrossEntropyGrad, &[logits, labels, up]) => {
                self.cross_entropy_gradient(node, logits, labels, up)
            }
            _ => plain(),
        }
    }

    fn with_bias(&self, node: Node, y: Node, b: Node) -> Option<Form> {
        let Some(Form::Affine { x, w, bias: None, f: Activation::Linear }) = self.forms[y.index()] else {
            return None;
        };
        let whole_row = self.analysis.size(b) == self.analysis.shapes[node.index()].row_len();
        let fits = self.only_for(y, node) && self.is_parameter(b, node) && whole_row;
        fits.then_some(Form::Affine { x, w, bias: Some(b), f: Activation::Linear })
    }

    fn activated(&self, node: Node, y: Node, f: Activation) -> Option<Form> {
        let Some(Form::Affine { x, w, bias, f: Activation::Linear }) = self.forms[y.index()] else {
            return None;
        };
        self.only_for(y, node).then_some(Form::Affine { x, w, bias, f })
    }

    fn backpropagated(&self, node: Node, dx: Node, y: Node, f: Activation) -> Option<Form> {
        let product = self.graph.node(dx);
        let (&Op::MatMul(Trans::No, Trans::Yes), &[dy, w]) = (&product.op, product.inputs.as_slice()) else {
            return None;
        };
        let fits = self.only_for(dx, node) && self.is_parameter(w, node);
        fits.then_some(Form::Backpropagate { dy, w, f, y })
    }

    /// A single number that `up` spreads over all rows, there before the stage of `node`.
    fn spread_scalar(&self, node: Node, up: Node) -> Option<Node> {
        let data = self.graph.node(up);
        match (&data.op, data.inputs.as_slice()) {
            (Op::Broadcast(Spread::Scalar), &[s, _]) if self.is_parameter(s, node) => Some(s),
            _ => None,
        }
    }

    /// The needed gradient node of the same logits and labels as the losses `node`, if the losses' kernel can write it.
    fn gradient_beside(&self, node: Node, logits: Node, labels: Node) -> Option<(Node, Node)> {
        let twin = |index: usize| {
            let data = &self.graph.nodes()[index];
            let needed = self.analysis.when[index] == Some(self.analysis.when(node));
            let same = data.op == Op::CrossEntropyGrad && data.inputs[..2] == [logits, labels];
            let other = Node::from_index(index);
            (needed && same)
                .then(|| self.spread_scalar(node, data.inputs[2]))
                .flatten()
                .map(|scale| (other, scale))
        };
        (node.index() + 1..self.graph.nodes().len()).find_map(twin)
    }

    fn cross_entropy_gradient(&self, node: Node, logits: Node, labels: Node, up: Node) -> Form {
        let with_losses = (0..node.index()).map(Node::from_index).find(|losses| {
            matches!(self.forms[losses.index()], Some(Form::CrossEntropy { gradient: Some((g, _)), .. }) if g == node)
        });
        match (with_losses, self.spread_scalar(node, up)) {
            (Some(losses), _) => Form::WithLosses(losses),
            (None, Some(scale)) => Form::CrossEntropyGrad { logits, labels, scale },
            (None, None) => Form::Plain(vec![logits, labels, up]),
        }
    }
}
