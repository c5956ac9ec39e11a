//! From graph to program: what is computed at all, by which instructions, in which stage.
//!
//! 1. [`Fusion`] gives each needed node a form: computed on its own, by a fused kernel, or as part of another's.
//! 2. What the forms read tells which values are asked for at all, and which must be kept beyond their shard.
//! 3. Instructions are written: batched nodes into the stage of their level, in the order of the graph; what exists
//!    once before the stage that may read it, elementwise nodes gathered into passes.

use std::collections::{BTreeSet, HashMap};

use super::analysis::{Analysis, When, is_source};
use super::band_update::update_in_band;
use super::bands::bands;
use super::chain::chain;
use super::fixed::take_fixed;
use super::fusion::{Form, Fusion};
use super::memory::share_slots;
use super::partial::cut_products;
use super::passes::Passes;
use super::program::{BufferSizes, Fetched, Instr, Kernel, Operand, Place, Program, Stage, SumSpec};
use super::update::update_in_place;
use crate::Result;
use crate::graph::{Graph, Node, Op, Spread, Symbol, VarId};
use crate::ops::Binary;

/// Compiles `fetches` for the given feeds (the placeholders, in the order in which their values will come) and the
/// number of rows of each symbol; matrices may be in blocks of `block` columns, and
/// kernels get `shard_rows` rows at a time.
pub(super) fn lower(
    graph: &Graph,
    fetches: &[Node],
    feeds: &[Node],
    rows: &dyn Fn(Symbol) -> Option<usize>,
    block: Option<usize>,
    shard_rows: usize,
) -> Result<Program> {
    let analysis = Analysis::new(graph, fetches);
    let mut lower = written(graph, &analysis, fetches, feeds, rows, block)?;
    let symbols: Vec<_> = lower.program.stages.iter().map(|stage| stage.symbol).collect();
    // The rows of a stage that is a single shard.
    let single = |stage: usize| symbols[stage].and_then(rows).filter(|rows| *rows <= shard_rows);
    update_in_place(&mut lower.program, |stage| single(stage).is_some());
    cut_products(&mut lower.program, &mut lower.slots, single);
    for stage in &mut lower.program.stages {
        stage.bands = bands(&stage.per_shard);
    }
    update_in_band(&mut lower.program, |stage| single(stage).is_some());
    for stage in 0..symbols.len() {
        if single(stage).is_some() {
            lower.program.stages[stage].chain = chain(&lower.program, stage);
        }
    }
    share_slots(&mut lower.program, &lower.slots);
    take_fixed(&mut lower.program);
    Ok(lower.program)
}

/// The program as it is written, in which every value has a place of its own, with what is known of its nodes.
pub(super) fn written<'g>(
    graph: &'g Graph,
    analysis: &'g Analysis,
    fetches: &[Node],
    feeds: &'g [Node],
    rows: &'g dyn Fn(Symbol) -> Option<usize>,
    block: Option<usize>,
) -> Result<Lower<'g>> {
    let forms = Fusion::new(graph, analysis).run();
    let mut lower = Lower {
        graph,
        feeds,
        rows,
        wanted: vec![false; forms.len()],
        kept: vec![false; forms.len()],
        places: HashMap::new(),
        loaded: HashMap::new(),
        slots: BufferSizes::default(),
        block,
        blocked: vec![false; forms.len()],
        plain_copies: HashMap::new(),
        copies_before: Vec::new(),
        copies_for_shards: Vec::new(),
        writing_shards: true,
        forms,
        program: Program { block_cols: block.unwrap_or(0), ..Program::default() },
        analysis,
    };
    lower.want(fetches);
    lower.lay_out();
    lower.lay_out_stages()?;
    lower.write_batched()?;
    lower.writing_shards = false;
    lower.write_once()?;
    lower.write_copies_for_shards();
    lower.write_fetches(fetches)?;
    Ok(lower)
}

pub(super) struct Lower<'g> {
    pub(super) graph: &'g Graph,
    pub(super) analysis: &'g Analysis,
    pub(super) feeds: &'g [Node],
    pub(super) rows: &'g dyn Fn(Symbol) -> Option<usize>,
    pub(super) forms: Vec<Option<Form>>,
    /// Whether a node's value is asked for by a fetch or by a kernel.
    pub(super) wanted: Vec<bool>,
    /// Whether a batched value is asked for outside of its own shard.
    pub(super) kept: Vec<bool>,
    pub(super) places: HashMap<Node, Place>,
    /// Float feeds written out as numbers: (feed, stage) → place.
    pub(super) loaded: HashMap<(Node, usize), Place>,
    /// Columns of a block, where the backend has blocks.
    pub(super) block: Option<usize>,
    /// Whether a node's value is in blocks.
    pub(super) blocked: Vec<bool>,
    /// Plain copies of values in blocks: (value, stage, whether for shards) → place.
    pub(super) plain_copies: HashMap<(Node, usize, bool), Place>,
    /// Copies to another layout that are still to be written, with their stages.
    pub(super) copies_before: Vec<(usize, Instr)>,
    pub(super) copies_for_shards: Vec<(usize, Instr)>,
    /// Whether it is shards' instructions that are being written.
    pub(super) writing_shards: bool,
    /// Elements per row of the values in slots, before slots are shared.
    pub(super) slots: BufferSizes,
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

    pub(super) fn is_feed(&self, node: Node) -> bool {
        self.graph.node(node).op == Op::Placeholder
    }

    /// One stage for each (level, axis) that has batched nodes, and a last one for what runs after all of them.
    fn lay_out_stages(&mut self) -> Result<()> {
        let mut keys: BTreeSet<(usize, Symbol)> = BTreeSet::new();
        let mut last = 0;
        for (index, when) in self.analysis.when.iter().enumerate() {
            match *when {
                Some(When::Shard { level, symbol }) | Some(When::Contraction { level, symbol })
                    if self.wanted[index] =>
                {
                    let node = Node::from_index(index);
                    if self.is_feed(node) {
                        self.feed_place(node)?;
                    }
                    self.rows_of(node, symbol)?;
                    keys.insert((level, symbol));
                    last = last.max(level + 1);
                }
                Some(When::Once { ready, .. }) if self.wanted[index] => last = last.max(ready),
                _ => {}
            }
        }
        let keys: Vec<(usize, Symbol)> = keys.into_iter().collect();
        for level in 0..=last {
            let mut symbols = keys.iter().filter(|key| key.0 == level).map(|key| key.1).peekable();
            if symbols.peek().is_none() {
                self.program.stages.push(Stage { level, ..Stage::default() });
            }
            for symbol in symbols {
                self.program.stages.push(Stage { level, symbol: Some(symbol), ..Stage::default() });
            }
        }
        Ok(())
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
            // An alias has no value of its own, and the losses' kernel writes the gradient beside them.
            Form::Alias(_) | Form::WithLosses(_) => return Ok(()),
            _ if self.is_feed(node) => {
                if !self.kept[node.index()] {
                    return Ok(());
                }
                self.new_place(node, symbol)
            }
            _ => self.new_place(node, symbol),
        };
        let out = Operand { place, ..self.own_layout(node) };
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
                ins: self.all_in_any_layout(&[dy, w, y], stage)?,
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
        let describe = self.own_layout(node);
        let len = describe.len();
        let into = self.program.once.add(false, len);
        self.places.insert(node, Place::Once(into));
        let sum = Operand { place: Place::Sum(self.program.sums.len()), ..describe };
        let kernel = self.summing_kernel(node)?;
        let begins = kernel == Kernel::AccumulateWeights;
        self.program.sums.push(SumSpec { len, into, stage, begins });
        let ins = match kernel {
            Kernel::AccumulateWeights => self.with_input(inputs[0], &inputs[1..], stage)?,
            _ => self.all_in_any_layout(&inputs, stage)?,
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
            || matches!(self.graph.node(node).op, Op::Group | Op::Initialize | Op::Assign(_))
        {
            return Ok(());
        }
        let stage = self.first_stage(self.analysis.when(node).ready());
        let mut ins = inputs.iter().map(|&i| self.plain_once(i, stage)).collect::<Result<Vec<_>>>()?;
        self.write_copies();
        let out = self.once_buffer(node);
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

    pub(super) fn push(&mut self, stage: usize, instr: Instr) {
        if let (Kernel::CrossEntropy { .. }, [logits, Operand { place: Place::Feed(feed), .. }, ..]) =
            (&instr.kernel, instr.ins.as_slice())
        {
            self.program.classes.push((*feed, logits.cols));
        }
        self.program.stages[stage].per_shard.push(instr);
    }

    fn write_fetches(&mut self, fetches: &[Node]) -> Result<()> {
        for &fetch in fetches {
            let shape = &self.analysis.shapes[fetch.index()];
            let fetched = match (&self.graph.node(fetch).op, shape.batch()) {
                (Op::Assign(_) | Op::Initialize | Op::Group, _) => Fetched::Nothing,
                (_, Some(symbol)) => {
                    let root = self.root(fetch);
                    let operand = Operand { place: self.places[&root], ..self.describe(fetch) };
                    let rows = self.rows_of(fetch, symbol)?;
                    Fetched::Rows { operand, symbol, dims: shape.with_batch(rows) }
                }
                (_, None) => Fetched::Once { dims: shape.with_batch(0), operand: self.once_operand(fetch)? },
            };
            self.program.fetched.push(fetched);
        }
        Ok(())
    }

    /// Schedules the value at `from` to become the variable's at the end of the run.
    pub(super) fn commit(&mut self, id: VarId, from: Operand) {
        self.program.commits.push((id, from));
    }
}
