//! From graph to program: which nodes one kernel computes together, and where each value lives.
//!
//! 1. [`Fusion`] gives each needed node a form: computed on its own, by a fused kernel, or as part of another's.
//! 2. What the forms read tells which values are asked for at all, and which must be kept beyond their shard.
//! 3. Instructions are written: batched nodes into the stage of their level, in the order of the graph; what exists
//!    once before the stage that may read it, elementwise nodes gathered into passes.

use std::collections::{BTreeMap, HashMap};

use super::analysis::{Analysis, When, is_source, read_inputs, spreads, through_broadcast};
use super::memory::{Life, assign};
use super::passes::Passes;
use super::program::{BufferSizes, Extent, Fetched, Instr, Kernel, Operand, Place, Program, Stage, SumSpec};
use crate::graph::{DType, Graph, Keep, Node, Op, Shape, Spread, Symbol, VarId};
use crate::ops::{Activation, Binary, Trans, Unary};
use crate::{Error, Result};

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
struct Fusion<'g> {
    graph: &'g Graph,
    analysis: &'g Analysis,
    forms: Vec<Option<Form>>,
}

impl Fusion<'_> {
    fn run(mut self) -> Vec<Option<Form>> {
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
        let plain = || Form::Plain(read_inputs(&data.op, &data.inputs).collect());
        if !self.analysis.when(node).is_batched() {
            return match data.op {
                Op::Reshape => Form::Alias(data.inputs[0]),
                _ => self.with_spread_inputs(node, plain()),
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
            _ => self.with_spread_inputs(node, plain()),
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

    /// Elementwise operations read through a `Broadcast`: spreading is what they do themselves.
    fn with_spread_inputs(&self, node: Node, form: Form) -> Form {
        let Op::Binary(..) = self.graph.node(node).op else { return form };
        match form {
            Form::Plain(inputs) => {
                Form::Plain(inputs.into_iter().map(|i| through_broadcast(self.graph, i).0).collect())
            }
            other => other,
        }
    }
}

/// Compiles `fetches` for the given feeds (the placeholders, in the order in which their values will come) and the
/// number of rows of each symbol.
pub(super) fn lower(
    graph: &Graph,
    fetches: &[Node],
    feeds: &[Node],
    rows: &dyn Fn(Symbol) -> Option<usize>,
) -> Result<Program> {
    let analysis = Analysis::new(graph, fetches);
    let fusion = Fusion { graph, analysis: &analysis, forms: vec![None; graph.nodes().len()] };
    let forms = fusion.run();
    let mut lower = Lower {
        graph,
        feeds,
        rows,
        wanted: vec![false; forms.len()],
        kept: vec![false; forms.len()],
        places: HashMap::new(),
        loaded: HashMap::new(),
        slots: BufferSizes::default(),
        forms,
        program: Program::default(),
        analysis: &analysis,
    };
    lower.want(fetches);
    lower.lay_out_stages();
    lower.write_batched()?;
    lower.write_once()?;
    lower.write_fetches(fetches)?;
    lower.assign_slots();
    Ok(lower.program)
}

pub(super) struct Lower<'g> {
    pub(super) graph: &'g Graph,
    pub(super) analysis: &'g Analysis,
    feeds: &'g [Node],
    rows: &'g dyn Fn(Symbol) -> Option<usize>,
    pub(super) forms: Vec<Option<Form>>,
    /// Whether a node's value is asked for by a fetch or by a kernel.
    pub(super) wanted: Vec<bool>,
    /// Whether a batched value is asked for outside of its own shard.
    kept: Vec<bool>,
    places: HashMap<Node, Place>,
    /// Float feeds written out as numbers: (feed, stage) → place.
    loaded: HashMap<(Node, usize), Place>,
    /// Elements per row of the values in slots, before slots are shared.
    slots: BufferSizes,
    pub(super) program: Program,
}

impl Lower<'_> {
    pub(super) fn form(&self, node: Node) -> Form {
        self.forms[node.index()].clone().unwrap_or(Form::Plain(vec![]))
    }

    /// The node whose value an alias shows.
    pub(super) fn root(&self, mut node: Node) -> Node {
        while let Some(Form::Alias(of)) = self.forms[node.index()] {
            node = of;
        }
        node
    }

    /// Marks what is asked for, backwards from the fetches.
    fn want(&mut self, fetches: &[Node]) {
        for &fetch in fetches {
            let root = self.root(fetch);
            self.wanted[fetch.index()] = true;
            self.kept[root.index()] = self.analysis.when(root).is_batched();
        }
        for index in (0..self.wanted.len()).rev().filter(|&i| self.forms[i].is_some()).collect::<Vec<_>>() {
            let node = Node::from_index(index);
            if !self.wanted[index] {
                continue;
            }
            let reader_level = match self.analysis.when(node) {
                When::Shard { level, .. } | When::Contraction { level, .. } => level,
                When::Once { ready, .. } => ready,
            };
            for read in self.form(node).reads() {
                self.wanted[read.index()] = true;
                let root = self.root(read);
                if let When::Shard { level, .. } = self.analysis.when(root) {
                    self.kept[root.index()] |= level < reader_level && !self.is_feed(root);
                }
            }
        }
    }

    fn is_feed(&self, node: Node) -> bool {
        self.graph.node(node).op == Op::Placeholder
    }

    /// One stage for each (level, axis) that has batched nodes, and a last one for what runs after all of them.
    fn lay_out_stages(&mut self) {
        let mut keys: BTreeMap<(usize, Symbol), ()> = BTreeMap::new();
        let mut last = 0;
        for (index, when) in self.analysis.when.iter().enumerate() {
            match *when {
                Some(When::Shard { level, symbol }) | Some(When::Contraction { level, symbol })
                    if self.wanted[index] =>
                {
                    keys.insert((level, symbol), ());
                    last = last.max(level + 1);
                }
                Some(When::Once { ready, .. }) if self.wanted[index] => last = last.max(ready),
                _ => {}
            }
        }
        self.stage_keys_into_program(keys.into_keys().collect(), last);
    }

    fn stage_keys_into_program(&mut self, keys: Vec<(usize, Symbol)>, last: usize) {
        for level in 0..=last {
            let mut symbols = keys.iter().filter(|key| key.0 == level).map(|key| key.1).peekable();
            if symbols.peek().is_none() {
                self.program.stages.push(Stage { level, ..Stage::default() });
            }
            for symbol in symbols {
                self.program.stages.push(Stage { level, symbol: Some(symbol), ..Stage::default() });
            }
        }
    }

    /// The stage in which shards of this axis run at this level.
    fn stage(&self, level: usize, symbol: Symbol) -> usize {
        let found = self.program.stages.iter().position(|s| s.level == level && s.symbol == Some(symbol));
        found.unwrap_or(self.program.stages.len() - 1)
    }

    /// The first stage of this level: what must be there before any of its shards is computed at its beginning.
    pub(super) fn first_stage(&self, level: usize) -> usize {
        let found = self.program.stages.iter().position(|s| s.level == level);
        found.unwrap_or(self.program.stages.len() - 1)
    }

    fn write_batched(&mut self) -> Result<()> {
        for index in 0..self.forms.len() {
            let node = Node::from_index(index);
            if !self.wanted[index] {
                continue;
            }
            match self.analysis.when(node) {
                When::Shard { level, symbol } => self.write_shard(node, self.stage(level, symbol), symbol)?,
                When::Contraction { level, symbol } => {
                    self.write_contraction(node, self.stage(level, symbol))?
                }
                When::Once { .. } => {}
            }
        }
        Ok(())
    }

    fn write_shard(&mut self, node: Node, stage: usize, symbol: Symbol) -> Result<()> {
        let place = match self.form(node) {
            Form::Alias(_) => return Ok(()),
            Form::WithLosses(losses) => {
                // The losses' kernel writes it; make sure that kernel is there even if nobody asks for the losses.
                return if self.wanted[losses.index()] {
                    Ok(())
                } else {
                    self.write_shard(losses, stage, symbol)
                };
            }
            _ if self.is_feed(node) => {
                if !self.kept[node.index()] {
                    return Ok(());
                }
                self.new_place(node, symbol)
            }
            _ => self.new_place(node, symbol),
        };
        let out = Operand { place, ..self.describe(node) };
        if self.is_feed(node) {
            let fed = Operand { place: self.feed_place(node)?, ..self.describe(node) };
            let kernel = if fed.ints { Kernel::Cast { to_bool: false } } else { Kernel::Load };
            self.push(stage, Instr { kernel, ins: vec![fed], outs: vec![out] });
            return Ok(());
        }
        self.places.insert(node, place);
        let instr = match self.form(node) {
            Form::Affine { x, w, bias, f } => Instr {
                kernel: Kernel::Affine { f, bias: bias.is_some() },
                ins: self.with_input(x, &[w].into_iter().chain(bias).collect::<Vec<_>>(), stage)?,
                outs: vec![out],
            },
            Form::Backpropagate { dy, w, f, y } => Instr {
                kernel: Kernel::Backpropagate { f },
                ins: self.dense_all(&[dy, w, y], stage)?,
                outs: vec![out],
            },
            Form::CrossEntropy { logits, labels, gradient } => {
                return self.write_cross_entropy(node, out, (logits, labels), gradient, stage, symbol);
            }
            Form::CrossEntropyGrad { logits, labels, scale } => Instr {
                kernel: Kernel::CrossEntropy { losses: false, gradient: true },
                ins: self.dense_all(&[logits, labels, scale], stage)?,
                outs: vec![out],
            },
            Form::Plain(inputs) if self.graph.node(node).op == Op::CrossEntropyGrad => {
                let ins = self.dense_all(&inputs, stage)?;
                let slot = self.slots.add(false, out.cols);
                let bare = Operand { place: Place::Slot(slot), ..out };
                let kernel = Kernel::CrossEntropy { losses: false, gradient: true };
                self.push(stage, Instr { kernel, ins: ins[..2].to_vec(), outs: vec![bare] });
                let kernel = Kernel::Binary(Binary::Mul, Spread::Same, Spread::Prefix(1));
                Instr { kernel, ins: vec![bare, ins[2]], outs: vec![out] }
            }
            Form::Plain(inputs) => Instr {
                kernel: self.plain_kernel(node)?,
                ins: self.dense_all(&inputs, stage)?,
                outs: vec![out],
            },
            Form::WithLosses(_) | Form::Alias(_) => return Ok(()),
        };
        self.push(stage, instr);
        Ok(())
    }

    fn write_cross_entropy(
        &mut self,
        node: Node,
        out: Operand,
        (logits, labels): (Node, Node),
        gradient: Option<(Node, Node)>,
        stage: usize,
        symbol: Symbol,
    ) -> Result<()> {
        let gradient = gradient.filter(|(g, _)| self.wanted[g.index()]);
        let losses = self.wanted[node.index()];
        let mut reads = vec![logits, labels];
        let mut outs = if losses { vec![out] } else { vec![] };
        if let Some((twin, scale)) = gradient {
            let place = self.new_place(twin, symbol);
            self.places.insert(twin, place);
            outs.push(Operand { place, ..self.describe(twin) });
            reads.push(scale);
        }
        let kernel = Kernel::CrossEntropy { losses, gradient: gradient.is_some() };
        let ins = self.dense_all(&reads, stage)?;
        self.push(stage, Instr { kernel, ins, outs });
        Ok(())
    }

    /// A node that sums over the batch: accumulated in a lane's sum, then added up into a once buffer.
    fn write_contraction(&mut self, node: Node, stage: usize) -> Result<()> {
        let Form::Plain(inputs) = self.form(node) else { return Ok(()) };
        let describe = self.describe(node);
        let len = self.analysis.size(node);
        let into = self.program.once.add(false, len);
        self.places.insert(node, Place::Once(into));
        let sum = Operand { place: Place::Sum(self.program.sums.len()), ..describe };
        self.program.sums.push(SumSpec { len, into, stage });
        let (kernel, ins) = match self.graph.node(node).op {
            Op::MatMul(Trans::Yes, Trans::No) => {
                (Kernel::AccumulateWeights, self.with_input(inputs[0], &inputs[1..], stage)?)
            }
            Op::Sum(Keep::Nothing) => (Kernel::AccumulateAll, self.dense_all(&inputs, stage)?),
            Op::Sum(_) => (Kernel::AccumulateRows, self.dense_all(&inputs, stage)?),
            ref op => {
                return Err(Error::invalid(format_args!(
                    "{} \"{}\" has an input with a batch axis but no rule for summing over it",
                    op.name(),
                    self.graph.node(node).name
                )));
            }
        };
        self.push(stage, Instr { kernel, ins, outs: vec![sum] });
        Ok(())
    }

    fn write_once(&mut self) -> Result<()> {
        Passes::find(self)?.write(self)
    }

    /// Writes a node that exists once and is not part of an elementwise pass.
    pub(super) fn write_single(&mut self, node: Node) -> Result<()> {
        let Form::Plain(inputs) = self.form(node) else { return Ok(()) };
        if is_source(&self.graph.node(node).op)
            || matches!(self.graph.node(node).op, Op::Group | Op::Assign(_))
        {
            return Ok(());
        }
        let mut ins = inputs.iter().map(|&i| self.once_operand(i)).collect::<Result<Vec<_>>>()?;
        let out = self.once_buffer(node);
        let stage = self.first_stage(self.analysis.when(node).ready());
        let before = |this: &mut Self, kernel, ins, out| {
            this.program.stages[stage].before.push(Instr { kernel, ins, outs: vec![out] });
        };
        if self.graph.node(node).op == Op::CrossEntropyGrad {
            let up = ins.pop();
            let bare = self.program.once.add(false, self.analysis.size(node));
            let bare = Operand { place: Place::Once(bare), ..out };
            before(self, Kernel::CrossEntropy { losses: false, gradient: true }, ins, bare);
            let by_row = Kernel::Binary(Binary::Mul, Spread::Same, Spread::Prefix(1));
            before(self, by_row, [bare].into_iter().chain(up).collect(), out);
        } else {
            let kernel = self.plain_kernel(node)?;
            before(self, kernel, ins, out);
        }
        Ok(())
    }

    /// The once buffer for a node's value.
    pub(super) fn once_buffer(&mut self, node: Node) -> Operand {
        let describe = self.describe(node);
        let (once, size) = (&mut self.program.once, self.analysis.size(node));
        let place = *self.places.entry(node).or_insert_with(|| Place::Once(once.add(describe.ints, size)));
        Operand { place, ..describe }
    }

    /// A new place for the value of a batched node: its lane's if it is asked for outside of the shard.
    fn new_place(&mut self, node: Node, symbol: Symbol) -> Place {
        let Operand { cols, ints, .. } = self.describe(node);
        if !self.kept[node.index()] {
            return Place::Slot(self.slots.add(ints, cols));
        }
        let kept = if ints { &mut self.program.kept_ints } else { &mut self.program.kept };
        kept.push((symbol, cols));
        let place = Place::Kept(kept.len() - 1);
        self.places.insert(node, place);
        place
    }

    /// A node's value as a matrix, without its place.
    fn describe(&self, node: Node) -> Operand {
        let (extent, cols) = as_matrix(&self.analysis.shapes[node.index()]);
        Operand {
            place: Place::Const(usize::MAX),
            extent,
            cols,
            ints: self.graph.dtype(node) != DType::Float,
        }
    }

    /// The number of a placeholder among the feeds.
    fn feed_place(&self, node: Node) -> Result<Place> {
        let number = self.feeds.iter().position(|&f| f == node);
        number.map(Place::Feed).ok_or_else(|| {
            let data = self.graph.node(node);
            Error::invalid(format_args!(
                "run: placeholder \"{}\" {} {} was not fed, and a fetch depends on it",
                data.name,
                data.dtype.name(),
                self.analysis.shapes[node.index()]
            ))
        })
    }

    /// Operands for a kernel that takes its first input in any form, and the rest as numbers.
    fn with_input(&mut self, x: Node, rest: &[Node], stage: usize) -> Result<Vec<Operand>> {
        let root = self.root(x);
        let first = if self.is_feed(root) && self.analysis.when(root).is_batched() && !self.kept[root.index()]
        {
            Operand { place: self.feed_place(root)?, ..self.describe(x) }
        } else {
            self.dense(x, stage)?
        };
        let mut all = vec![first];
        all.extend(self.dense_all(rest, stage)?);
        Ok(all)
    }

    fn dense_all(&mut self, nodes: &[Node], stage: usize) -> Result<Vec<Operand>> {
        nodes.iter().map(|&node| self.dense(node, stage)).collect()
    }

    /// A value that a shard's kernel can read; float feeds are written out as numbers, once per shard.
    fn dense(&mut self, node: Node, stage: usize) -> Result<Operand> {
        let root = self.root(node);
        if !self.analysis.when(root).is_batched() {
            return self.once_operand(node);
        }
        let describe = self.describe(node);
        if let Some(&place) = self.places.get(&root) {
            return Ok(Operand { place, ..describe });
        }
        let fed = self.feed_place(root)?;
        if describe.ints {
            return Ok(Operand { place: fed, ..describe });
        }
        if let Some(&place) = self.loaded.get(&(root, stage)) {
            return Ok(Operand { place, ..describe });
        }
        let place = Place::Slot(self.slots.add(false, describe.cols));
        self.loaded.insert((root, stage), place);
        let whole = self.describe(root);
        let (ins, outs) = (vec![Operand { place: fed, ..whole }], vec![Operand { place, ..whole }]);
        self.push(stage, Instr { kernel: Kernel::Load, ins, outs });
        Ok(Operand { place, ..describe })
    }

    /// A value that exists once.
    pub(super) fn once_operand(&mut self, node: Node) -> Result<Operand> {
        let root = self.root(node);
        let describe = self.describe(node);
        if let Some(&place) = self.places.get(&root) {
            return Ok(Operand { place, ..describe });
        }
        let data = self.graph.node(root);
        let place = match &data.op {
            Op::Variable(id) => Place::Var(*id),
            Op::Constant(values) => self.constant(values.to_vec()),
            Op::Size => {
                let of = self.graph.shape(data.inputs[0]);
                let rows = match of.batch() {
                    Some(symbol) => (self.rows)(symbol).ok_or_else(|| {
                        Error::invalid(format_args!(
                            "run: \"{}\" needs the number of rows of {of}, but no placeholder with that batch axis was fed",
                            data.name
                        ))
                    })?,
                    None => 1,
                };
                self.constant(vec![(rows * of.row_len()) as f64])
            }
            Op::Placeholder => {
                let Place::Feed(feed) = self.feed_place(root)? else {
                    unreachable!("a feed's place is a feed")
                };
                let once = self.program.once.add(describe.ints, self.analysis.size(root));
                self.program.fed_once.push((feed, once, describe.ints));
                Place::Once(once)
            }
            // Computed once: the place is fixed here, and written when its turn comes.
            _ => Place::Once(self.program.once.add(describe.ints, self.analysis.size(root))),
        };
        self.places.insert(root, place);
        Ok(Operand { place, ..describe })
    }

    fn constant(&mut self, values: Vec<f64>) -> Place {
        self.program.constants.push(values);
        Place::Const(self.program.constants.len() - 1)
    }

    fn push(&mut self, stage: usize, instr: Instr) {
        if let (Kernel::CrossEntropy { .. }, [logits, Operand { place: Place::Feed(feed), .. }, ..]) =
            (&instr.kernel, instr.ins.as_slice())
        {
            self.program.classes.push((*feed, logits.cols));
        }
        self.program.stages[stage].per_shard.push(instr);
    }

    fn plain_kernel(&self, node: Node) -> Result<Kernel> {
        let data = self.graph.node(node);
        Ok(match &data.op {
            Op::Unary(f) => Kernel::Unary(*f),
            Op::Binary(f, a, b) => {
                let [a, b] = spreads(self.graph, node, [*a, *b]);
                Kernel::Binary(*f, a, b)
            }
            Op::MatMul(ta, tb) => Kernel::MatMul { ta: *ta, tb: *tb },
            Op::Sum(Keep::Nothing) => Kernel::AccumulateAll,
            Op::Sum(Keep::Suffix(_)) => Kernel::AccumulateRows,
            Op::Sum(Keep::Prefix(_)) => Kernel::SumTail,
            Op::Broadcast(spread) => Kernel::Spread(*spread),
            Op::Softmax => Kernel::Softmax,
            Op::ArgMax => Kernel::ArgMax,
            Op::Equal => Kernel::Equal,
            Op::OneHot(_) => Kernel::OneHot,
            Op::Cast(to) => Kernel::Cast { to_bool: *to == DType::Bool },
            Op::CrossEntropy => Kernel::CrossEntropy { losses: true, gradient: false },
            op => {
                return Err(Error::invalid(format_args!(
                    "{} \"{}\" has no kernel; this is a fault of the engine",
                    op.name(),
                    data.name
                )));
            }
        })
    }

    fn write_fetches(&mut self, fetches: &[Node]) -> Result<()> {
        for &fetch in fetches {
            let shape = &self.analysis.shapes[fetch.index()];
            let fetched = match (&self.graph.node(fetch).op, shape.batch()) {
                (Op::Assign(_) | Op::Group, _) => Fetched::Nothing,
                (_, Some(symbol)) => {
                    let root = self.root(fetch);
                    let operand = Operand { place: self.places[&root], ..self.describe(fetch) };
                    let rows = (self.rows)(symbol).unwrap_or(0);
                    Fetched::Rows { operand, symbol, dims: shape.with_batch(rows) }
                }
                (_, None) => Fetched::Once { dims: shape.with_batch(0), operand: self.once_operand(fetch)? },
            };
            self.program.fetched.push(fetched);
        }
        Ok(())
    }

    /// Lets values of a shard that are never alive together share a slot.
    fn assign_slots(&mut self) {
        for ints in [false, true] {
            let lens = if ints { self.slots.ints.clone() } else { self.slots.floats.clone() };
            let mut sizes: Vec<usize> = Vec::new();
            for stage in &mut self.program.stages {
                let mut lives: BTreeMap<usize, Life> = BTreeMap::new();
                for (step, instr) in stage.per_shard.iter().enumerate() {
                    for operand in instr.ins.iter().chain(&instr.outs).filter(|o| o.ints == ints) {
                        if let Place::Slot(i) = operand.place {
                            lives.entry(i).or_insert(Life { from: step, to: step, len: lens[i] }).to = step;
                        }
                    }
                }
                let (chosen, stage_sizes) = assign(&lives.values().copied().collect::<Vec<_>>());
                let rename: HashMap<usize, usize> = lives.into_keys().zip(chosen).collect();
                for instr in &mut stage.per_shard {
                    for operand in instr.ins.iter_mut().chain(&mut instr.outs).filter(|o| o.ints == ints) {
                        if let Place::Slot(i) = &mut operand.place {
                            *i = rename[i];
                        }
                    }
                }
                for (i, len) in stage_sizes.into_iter().enumerate() {
                    match sizes.get_mut(i) {
                        Some(size) => *size = len.max(*size),
                        None => sizes.push(len),
                    }
                }
            }
            *(if ints { &mut self.program.slots.ints } else { &mut self.program.slots.floats }) = sizes;
        }
    }

    /// Schedules the value at `from` to become the variable's at the end of the run.
    pub(super) fn commit(&mut self, id: VarId, from: Operand) {
        self.program.commits.push((id, from));
    }
}

/// A shape seen as rows and columns: the batch axis (or all dimensions but the last) by the rest.
fn as_matrix(shape: &Shape) -> (Extent, usize) {
    if shape.batch().is_some() {
        return (Extent::Batch, shape.row_len());
    }
    let dims = shape.with_batch(0);
    match dims.split_last() {
        None => (Extent::Fixed(1), 1),
        Some((&last, leading)) => (Extent::Fixed(leading.iter().product()), last),
    }
}
