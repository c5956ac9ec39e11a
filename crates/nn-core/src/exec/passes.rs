//! What runs once: single kernels, and passes that do many elementwise operations in one go over memory. Assignments
//! become outputs of a pass wherever nothing reads the variable's old value afterwards.

use std::collections::{BTreeMap, HashMap};

use super::analysis::{When, is_source, operands};
use super::fusion::Form;
use super::layout::is_kept_in_blocks;
use super::lower::Lower;
use super::memory::{Life, assign};
use super::program::{Instr, Kernel, Operand, Place};
use crate::graph::{Node, Op, Spread, VarId};
use crate::ops::{Pass, Source, Step};
use crate::{Error, Result};

/// Where in a run something happens: (stage level, shards after once, depth, single kernels after passes).
type Position = (usize, bool, usize, bool);

/// Elementwise nodes that one pass computes, or one node with a kernel of its own.
#[derive(Debug)]
pub(super) struct Unit {
    position: Position,
    nodes: Vec<Node>,
}

/// An assignment of the run.
#[derive(Debug, Clone, Copy)]
struct Assignment {
    id: VarId,
    value: Node,
    in_place: bool,
}

/// Everything that runs once.
#[derive(Debug)]
pub(super) struct Passes {
    units: Vec<Unit>,
    /// The unit that computes a node.
    unit_of: HashMap<Node, usize>,
    assignments: Vec<Assignment>,
}

impl Passes {
    /// Gathers the wanted nodes that exist once into units, in an order in which they can run.
    pub(super) fn find(lower: &Lower<'_>) -> Result<Self> {
        let mut units: BTreeMap<(Position, usize), Vec<Node>> = BTreeMap::new();
        let mut first_of: HashMap<Node, Node> = HashMap::new();
        for node in computed_once(lower) {
            let position = position(lower, node);
            let joined =
                mates(lower, node).filter_map(|mate| first_of.get(&mate).copied()).collect::<Vec<_>>();
            let first = joined.iter().copied().min().unwrap_or(node);
            let mut nodes = vec![node];
            for other in joined {
                nodes.extend(units.remove(&(position, other.index())).unwrap_or_default());
            }
            nodes.sort();
            first_of.extend(nodes.iter().map(|&n| (n, first)));
            units.insert((position, first.index()), nodes);
        }
        let units: Vec<Unit> =
            units.into_iter().map(|((position, _), nodes)| Unit { position, nodes }).collect();
        let numbered = units.iter().enumerate();
        let unit_of = numbered.flat_map(|(i, unit)| unit.nodes.iter().map(move |&n| (n, i))).collect();
        let mut this = Self { units, unit_of, assignments: Vec::new() };
        this.assignments = this.find_assignments(lower)?;
        this.keep_assignments_apart(lower);
        Ok(this)
    }

    /// Writes the instructions of every unit, then what remains of the assignments.
    pub(super) fn write(&self, lower: &mut Lower<'_>) -> Result<()> {
        self.write_initialization(lower)?;
        for unit in &self.units {
            match unit.nodes.as_slice() {
                &[node] if !lower.analysis.is_elementwise(lower.graph, node) => lower.write_single(node)?,
                nodes => self.write_pass(nodes, unit.position.0, lower)?,
            }
        }
        self.write_assignments(lower)
    }

    fn find_assignments(&self, lower: &Lower<'_>) -> Result<Vec<Assignment>> {
        let mut found: Vec<Assignment> = Vec::new();
        for (_, data) in lower.graph.nodes().iter().enumerate().filter(|(i, _)| lower.wanted[*i]) {
            let Op::Assign(id) = data.op else { continue };
            if found.iter().any(|a| a.id == id) {
                return Err(Error::invalid(format_args!(
                    "run: variable \"{}\" is assigned twice, the second time by \"{}\"; fetch one of the two",
                    lower.graph.var(id).name,
                    data.name
                )));
            }
            let value = lower.root(data.inputs[0]);
            found.push(Assignment { id, value, in_place: self.can_be_in_place(id, value, lower) });
        }
        Ok(found)
    }

    /// Whether nothing reads the variable's old value once the pass that computes the new one has begun.
    fn can_be_in_place(&self, id: VarId, value: Node, lower: &Lower<'_>) -> bool {
        let Some(&unit) = self.unit_of.get(&value) else { return false };
        if !lower.analysis.is_elementwise(lower.graph, value) || !is_laid_out_like(lower, id, value) {
            return false;
        }
        let variable = lower.graph.var(id).node;
        let readers = (0..lower.forms.len()).map(Node::from_index).filter(|r| lower.wanted[r.index()]);
        let mut readers = readers.filter(|&r| {
            !matches!(lower.forms[r.index()], Some(Form::Alias(_)) | None)
                && lower.form(r).reads().into_iter().any(|read| lower.root(read) == variable)
        });
        readers.all(|reader| {
            let own = self.unit_of.get(&reader) == Some(&unit);
            let op = &lower.graph.node(reader).op;
            own || !matches!(op, Op::Assign(_)) && position(lower, reader) < self.units[unit].position
        })
    }

    /// A pass that writes a buffer, too, assigns nothing in place: what is in place can be left until everything else is
    /// computed.
    fn keep_assignments_apart(&mut self, lower: &Lower<'_>) {
        let writes_buffer = |unit: &Unit| {
            let mut outputs = unit.nodes.iter().flat_map(|&node| self.outputs_of(node, &unit.nodes, lower));
            outputs.any(|(_, variable)| variable.is_none())
        };
        let mixed: Vec<bool> = self.units.iter().map(writes_buffer).collect();
        for assignment in &mut self.assignments {
            let unit = self.unit_of.get(&assignment.value);
            assignment.in_place &= unit.is_some_and(|&unit| !mixed[unit]);
        }
    }

    fn write_pass(&self, nodes: &[Node], level: usize, lower: &mut Lower<'_>) -> Result<()> {
        let stage = lower.first_stage(level);
        let blocked = nodes.first().is_some_and(|&node| lower.is_blocked(node));
        let mut writer = PassWriter::new(nodes, blocked, stage);
        let outputs: Vec<(Node, Option<VarId>)> =
            nodes.iter().flat_map(|&n| self.outputs_of(n, nodes, lower)).collect();
        let mut outs: Vec<Operand> = Vec::with_capacity(outputs.len());
        for &(node, variable) in &outputs {
            outs.push(match variable {
                None => lower.once_buffer(node),
                Some(id) => {
                    let variable = lower.graph.var(id).node;
                    lower.once_operand(variable)?
                }
            });
        }
        for (step, &node) in nodes.iter().enumerate() {
            let data = lower.graph.node(node);
            match data.op {
                Op::Unary(f) => {
                    let x = writer.source(data.inputs[0], Spread::Same, step, &outs, lower)?;
                    writer.steps.push(Step::Unary(f, x, step));
                }
                Op::Binary(f, a, b) => {
                    let [(a, sa), (b, sb)] = operands(lower.graph, node, [a, b]);
                    let a = writer.source(a, sa, step, &outs, lower)?;
                    let b = writer.source(b, sb, step, &outs, lower)?;
                    writer.steps.push(Step::Binary(f, a, b, step));
                }
                _ => {}
            }
        }
        let values: Vec<Node> = outputs.into_iter().map(|(node, _)| node).collect();
        lower.write_copies();
        lower.program.stages[stage].before.push(writer.finish(&values, outs)?);
        Ok(())
    }

    /// The places that a member's value must be written to: a buffer if something outside of the pass reads it, and
    /// each variable that it is assigned to in place.
    fn outputs_of(&self, node: Node, pass: &[Node], lower: &Lower<'_>) -> Vec<(Node, Option<VarId>)> {
        let assigned = self.assignments.iter().filter(|a| a.value == node);
        let by_commit = assigned.clone().any(|a| !a.in_place);
        let read = (0..lower.forms.len()).map(Node::from_index).any(|r| {
            let outside = lower.wanted[r.index()] && !pass.contains(&r);
            let assigns = matches!(lower.graph.node(r).op, Op::Assign(_) | Op::Group);
            let form = &lower.forms[r.index()];
            outside && !assigns && form.as_ref().is_some_and(|f| f.reads().contains(&node))
        });
        let buffer = read || by_commit || lower.analysis.fetched[node.index()];
        let in_place = assigned.filter(|a| a.in_place).map(|a| (node, Some(a.id)));
        buffer.then_some((node, None)).into_iter().chain(in_place).collect()
    }

    /// Whether the run ends with all variables at their initial values, which leaves none to be assigned.
    fn write_initialization(&self, lower: &mut Lower<'_>) -> Result<()> {
        let nodes = (0..lower.wanted.len()).filter(|&i| lower.wanted[i]).map(Node::from_index);
        let Some(initializer) = nodes.into_iter().find(|&n| lower.graph.node(n).op == Op::Initialize) else {
            return Ok(());
        };
        if let Some(assigned) = self.assignments.first() {
            return Err(Error::invalid(format_args!(
                "run: variable \"{}\" is assigned, and \"{}\" gives it its initial value; fetch one of the two",
                lower.graph.var(assigned.id).name,
                lower.graph.node(initializer).name
            )));
        }
        lower.program.initializes = true;
        Ok(())
    }

    /// Assignments that are not made in place take effect from a buffer, when the run is over.
    fn write_assignments(&self, lower: &mut Lower<'_>) -> Result<()> {
        for &Assignment { id, value, in_place } in &self.assignments {
            if in_place {
                continue;
            }
            let mut from = lower.once_operand(value)?;
            if !matches!(from.place, Place::Once(_)) {
                // Another assignment may change it before this one takes effect, so it is copied while it is old.
                let copy = Pass::new(1, 0, Vec::new(), vec![Source::Input(0)])?;
                let buffer = lower.program.once.add(false, from.len());
                let out = Operand { place: Place::Once(buffer), ..from };
                let instr = Instr { kernel: Kernel::Elementwise(copy), ins: vec![from], outs: vec![out] };
                lower.program.stages[0].before.insert(0, instr);
                from = out;
            }
            if from.blocked && !is_laid_out_like(lower, id, value) {
                // It was reshaped on the way, and only plain numbers can be seen in another shape.
                let buffer = lower.program.once.add(false, lower.analysis.size(value));
                let out = Operand { place: Place::Once(buffer), blocked: false, ..from };
                let instr = Instr { kernel: Kernel::Relayout, ins: vec![from], outs: vec![out] };
                lower.program.stages.last_mut().into_iter().for_each(|s| s.before.push(instr.clone()));
                from = out;
            }
            lower.commit(id, from);
        }
        Ok(())
    }
}

/// Whether a value has its elements where the variable that it is assigned to has them: neither is in blocks, or both are and
/// have the same shape.
fn is_laid_out_like(lower: &Lower<'_>, id: VarId, value: Node) -> bool {
    let dims = &lower.graph.var(id).dims;
    let same = lower.analysis.shapes[value.index()].with_batch(0) == *dims;
    same || !lower.is_blocked(value) && !is_kept_in_blocks(dims, lower.block)
}

/// The wanted nodes that are computed once, in the order of the graph.
fn computed_once(lower: &Lower<'_>) -> Vec<Node> {
    let nodes = (0..lower.forms.len()).map(Node::from_index).filter(|n| lower.wanted[n.index()]);
    nodes
        .filter(|&node| {
            let op = &lower.graph.node(node).op;
            let once = matches!(lower.analysis.when(node), When::Once { .. });
            once && !is_source(op) && !matches!(op, Op::Assign(_) | Op::Initialize | Op::Group | Op::Reshape)
        })
        .collect()
}

fn position(lower: &Lower<'_>, node: Node) -> Position {
    match lower.analysis.when(node) {
        When::Shard { level, .. } | When::Contraction { level, .. } => (level, true, 0, true),
        When::Once { ready, depth } => {
            (ready, false, depth, !lower.analysis.is_elementwise(lower.graph, node))
        }
    }
}

/// The inputs of an elementwise node that are computed in the same pass.
fn mates<'l>(lower: &'l Lower<'_>, node: Node) -> impl Iterator<Item = Node> + use<'l> {
    let inputs = lower.form(node).reads();
    let when = lower.analysis.when(node);
    inputs.into_iter().filter(move |&input| {
        lower.analysis.when(input) == when
            && !is_source(&lower.graph.node(input).op)
            && lower.analysis.same_pass(lower.graph, input, node)
    })
}

/// Collects the steps of a pass. Until it is finished, each step has a register of its own.
struct PassWriter<'n> {
    nodes: &'n [Node],
    arrays: Vec<Operand>,
    scalars: Vec<Operand>,
    steps: Vec<Step>,
    /// The last step that reads each register.
    last_read: Vec<usize>,
    /// Whether its arrays are in blocks.
    blocked: bool,
    stage: usize,
}

impl<'n> PassWriter<'n> {
    fn new(nodes: &'n [Node], blocked: bool, stage: usize) -> Self {
        let last_read = (0..nodes.len()).collect();
        Self { nodes, arrays: Vec::new(), scalars: Vec::new(), steps: Vec::new(), last_read, blocked, stage }
    }

    /// Where a step finds `input`.
    fn source(
        &mut self,
        input: Node,
        spread: Spread,
        step: usize,
        outs: &[Operand],
        lower: &mut Lower<'_>,
    ) -> Result<Source> {
        if let Some(register) = self.nodes.iter().position(|&n| n == input) {
            self.last_read[register] = step;
            return Ok(Source::Register(register));
        }
        let scalar = spread == Spread::Scalar;
        let operand = if scalar {
            lower.plain_once(input, self.stage)?
        } else {
            lower.once_for_pass(input, self.blocked, self.stage)?
        };
        if let (Place::Var(_), Some(k)) = (operand.place, outs.iter().position(|o| o.place == operand.place))
        {
            return Ok(Source::Output(k));
        }
        let list = if scalar { &mut self.scalars } else { &mut self.arrays };
        let number = list.iter().position(|o| o.place == operand.place).unwrap_or_else(|| {
            list.push(operand);
            list.len() - 1
        });
        Ok(if scalar { Source::Scalar(number) } else { Source::Input(number) })
    }

    /// Lets steps share registers, and puts the instruction together. `values` are the nodes that go to `outs`.
    fn finish(self, values: &[Node], outs: Vec<Operand>) -> Result<Instr> {
        let end = self.steps.len();
        let lives: Vec<Life> = (0..end)
            .map(|step| {
                let to = if values.contains(&self.nodes[step]) { end } else { self.last_read[step] };
                Life { from: step, to, len: 1 }
            })
            .collect();
        let (registers, _) = assign(&lives);
        let rename = |source| match source {
            Source::Register(r) => Source::Register(registers[r]),
            other => other,
        };
        let steps =
            self.steps.into_iter().map(|step| step.renamed(rename, registers[step.target()])).collect();
        let register_of =
            |value: &Node| self.nodes.iter().position(|n| n == value).map_or(0, |step| registers[step]);
        let outputs = values.iter().map(|value| Source::Register(register_of(value))).collect();
        let pass = Pass::new(self.arrays.len(), self.scalars.len(), steps, outputs)?;
        let ins = self.arrays.into_iter().chain(self.scalars).collect();
        Ok(Instr { kernel: Kernel::Elementwise(pass), ins, outs })
    }
}
