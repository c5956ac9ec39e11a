//! A program with its memory, ready to run: lanes, buffers, and the order of things.

use std::mem::take;
use std::sync::Arc;

use smallvec::SmallVec;

use super::ahead::{assigns, is_separable};
use super::elementwise::{self, FEW, FEW_READ};
use super::lanes::{Lane, add_up, lanes};
use super::numbers::{are_numbers, evaluate};
use super::outputs::FetchBuf;
use super::pool::{Pool, Worker};
use super::program::{Extent, Fetched, Instr, Kernel, Operand, Place, Program, Stage};
use super::rows_ahead::{Fed, RowsMade, fed};
use super::run::execute;
use super::store::{OnceStore, ShardStore, Shared};
use super::trial::{Trial, Way};
use super::value::{Feed, Variable};
use super::wide::Wide;
use crate::Scalar;
use crate::backend::{Backend, reference::fits};
use crate::graph::{Symbol, VarId};
use crate::matrix::{AlignedBuf, MatMut, MatRef, SparseRows};
use crate::ops::Pass;

/// Runs without products ahead after some that were in vain: whoever sets a variable before each step, such as a learning rate, has the first
/// band computed twice in one of 65 steps, and not in every one. (Chosen.)
const PAUSE: usize = 64;

/// Numbered buffers.
#[derive(Debug)]
pub(super) struct Buffers<T> {
    pub(super) floats: Vec<AlignedBuf<T>>,
    pub(super) ints: Vec<AlignedBuf<i32>>,
}

/// What a run works with, beside the plan and the variables.
pub(super) struct With<'a, T> {
    pub(super) backend: &'a dyn Backend<T>,
    pub(super) feeds: &'a [Feed<'a, T>],
    pub(super) pool: &'a Pool<T>,
    /// What random numbers are drawn from.
    pub(super) seed: u64,
    /// How often variables have been changed before the run.
    pub(super) version: u64,
    /// The rows that are likely to come next, with what was made of them, if this run is to multiply them.
    pub(super) next: Option<SparseRows<'a, T>>,
}

impl<T> Clone for With<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for With<'_, T> {}

impl<'a, T> With<'a, T> {
    /// What every instruction can read.
    pub(super) fn shared(
        &self,
        vars: &'a [Variable<T>],
        constants: &'a [AlignedBuf<T>],
        block_cols: usize,
    ) -> Shared<'a, T> {
        Shared { backend: self.backend, vars, constants, feeds: self.feeds, seed: self.seed, block_cols }
    }
}

/// A program and its memory.
#[derive(Debug)]
pub(super) struct Plan<T> {
    program: Arc<Program>,
    shard_rows: usize,
    block_cols: usize,
    /// The lanes of each symbol's batch axis.
    axes: Vec<(Symbol, Vec<Lane<T>>)>,
    once: Buffers<T>,
    /// The values of a shard that all threads work on.
    slots: Worker<T>,
    /// What was made of the rows of a shard that all threads work on.
    made: RowsMade,
    /// What was made of the rows that are likely to come next, and of those after them.
    coming: [RowsMade; 2],
    /// The runs that are still to come before rows are multiplied ahead again, after that was in vain.
    pause: usize,
    constants: Vec<AlignedBuf<T>>,
    pub(super) outputs: Vec<FetchBuf<T>>,
    /// Of each stage, whether it pays to share out the work on a single row.
    trials: Vec<Trial>,
    /// Whether what is the same in every run has been computed.
    is_fixed: bool,
    /// Whether what it assigns can wait until everything else was computed.
    separable: bool,
}

impl<T: Scalar> Plan<T> {
    /// Allocates the memory that `program` needs for batches of these sizes.
    pub(super) fn new(
        program: Program,
        axes: &[(Symbol, usize)],
        (shard_rows, blocks): (usize, usize),
    ) -> Self {
        let shard_rows = shard_rows.max(1);
        let sum_of = |symbol: Symbol, sum: &super::program::SumSpec| {
            if program.stages[sum.stage].symbol == Some(symbol) { sum.len } else { 0 }
        };
        let make = |symbol: Symbol, (first, rows): (usize, usize)| {
            let keep = |&(s, cols): &(Symbol, usize)| if s == symbol { rows * cols } else { 0 };
            Lane {
                first,
                rows,
                sums: program.sums.iter().map(|sum| AlignedBuf::zeroed(sum_of(symbol, sum))).collect(),
                kept: program.kept.iter().map(|k| AlignedBuf::zeroed(keep(k))).collect(),
                kept_ints: program.kept_ints.iter().map(|k| AlignedBuf::zeroed(keep(k))).collect(),
            }
        };
        let axes: Vec<_> = axes
            .iter()
            .map(|&(symbol, rows)| {
                let summed = program.sums.iter().any(|sum| sum_of(symbol, sum) > 0);
                (symbol, lanes(rows, shard_rows, blocks, summed).map(|span| make(symbol, span)).collect())
            })
            .collect();
        let once = Buffers {
            floats: program.once.floats.iter().map(|&len| AlignedBuf::zeroed(len)).collect(),
            ints: program.once.ints.iter().map(|&len| AlignedBuf::zeroed(len)).collect(),
        };
        let constants = program
            .constants
            .iter()
            .map(|values| {
                let mut buf = AlignedBuf::zeroed(values.len());
                buf.iter_mut().zip(values).for_each(|(b, &v)| *b = T::of(v));
                buf
            })
            .collect();
        let outputs = program.fetched.iter().map(FetchBuf::new).collect();
        Self {
            block_cols: program.block_cols,
            is_fixed: program.fixed.is_empty(),
            separable: is_separable(&program),
            trials: program.stages.iter().map(|_| Trial::default()).collect(),
            program: Arc::new(program),
            shard_rows,
            axes,
            once,
            slots: Worker::default(),
            made: RowsMade::default(),
            coming: Default::default(),
            pause: 0,
            constants,
            outputs,
        }
    }

    /// The classes that fed labels must lie in: (feed, number of classes).
    pub(super) fn classes(&self) -> &[(usize, usize)] {
        &self.program.classes
    }

    /// Whether a run ends with all variables at their initial values.
    pub(super) fn initializes(&self) -> bool {
        self.program.initializes
    }

    /// Whether a run changes variables.
    pub(super) fn changes_variables(&self) -> bool {
        let program = &self.program;
        let mut instrs = program.stages.iter().flat_map(|s| s.before.iter().chain(&s.per_shard));
        program.initializes || !program.commits.is_empty() || instrs.any(assigns)
    }

    /// Whether [`compute`](Self::compute) can come before [`assign`](Self::assign), with other plans' runs in between.
    pub(super) fn is_separable(&self) -> bool {
        self.separable
    }

    /// Runs the program: computes, then writes the fetches, then lets the assignments take effect.
    pub(super) fn run(&mut self, with: With<'_, T>, vars: &mut [Variable<T>]) {
        let mut run = |plan: &mut Self, with: With<'_, T>| {
            plan.compute(with, vars);
            plan.assign(with, vars);
        };
        let Some(fed) = self.fed(with) else { return run(self, with) };
        let mut coming = take(&mut self.coming);
        let came_as_expected = self.made.take(&mut coming, &fed.rows);
        let in_vain = came_as_expected && self.made.were_multiplied_in_vain(with.version);
        self.pause = if in_vain { PAUSE } else { self.pause.saturating_sub(1) };
        let [made_next, made_after] = &mut coming;
        let next = fed.next();
        let after = next.as_ref().and_then(Fed::next);
        match next {
            None => run(self, with),
            // Whoever took other rows than the next ones may do so again: then no more is lost than what was made of them.
            Some(next)
                if came_as_expected
                    && self.pause == 0
                    && self.chains(fed.feed)
                    && (after.is_some() || made_next.is_of(&next)) =>
            {
                made_next.make(&next, with);
                let with = With { next: made_next.rows(&next), ..with };
                match after {
                    Some(after) => made_after.make_meanwhile(&after, with, || run(self, with)),
                    None => run(self, with),
                }
                if with.next.is_some() {
                    made_next.are_multiplied(with.version + 1);
                }
            }
            Some(next) => made_next.make_meanwhile(&next, with, || run(self, with)),
        }
        self.coming = coming;
    }

    /// Whether a run can multiply the rows of this feed that come next.
    fn chains(&self, feed: usize) -> bool {
        let mut chains = self.program.stages.iter().filter_map(|stage| stage.chain.as_ref());
        chains.any(|chain| chain.feed == feed)
    }

    /// The rows of the batch that it pays to prepare, if they are a single shard that several threads work on.
    fn fed<'a>(&self, with: With<'a, T>) -> Option<Fed<'a, T>> {
        let [(symbol, lanes)] = &self.axes[..] else { return None };
        let [Lane { rows, .. }] = lanes[..] else { return None };
        if rows > self.shard_rows || with.pool.threads() == 1 {
            return None;
        }
        let stages = self.program.stages.iter().filter(|stage| stage.symbol == Some(*symbol));
        let found = stages.filter_map(|stage| fed(stage, (0, rows), with.feeds, self.block_cols));
        found.reduce(|first, other| first.with(&other))
    }

    /// The first part of a run: computes and writes the fetches. Of a separable plan no variable has changed then, and all
    /// that the second part needs is in the plan's own buffers.
    pub(super) fn compute(&mut self, with: With<'_, T>, vars: &mut [Variable<T>]) {
        for &(feed, once, ints) in &self.program.fed_once {
            match with.feeds[feed] {
                Feed::Floats(x) if !ints => self.once.floats[once].copy_from_slice(x),
                Feed::Ints(x) if ints => self.once.ints[once].copy_from_slice(x),
                _ => {}
            }
        }
        self.fetch_variables(vars);
        let program = Arc::clone(&self.program);
        if !self.is_fixed {
            program.fixed.iter().for_each(|instr| self.run_once(instr, with, vars));
            self.is_fixed = true;
        }
        for (number, stage) in program.stages.iter().enumerate() {
            for instr in &stage.before {
                if !(self.separable && assigns(instr)) {
                    self.run_once(instr, with, vars);
                }
            }
            self.run_shards(&program, number, stage, with, vars);
        }
        self.fetch();
    }

    /// The second part of a run: passes that write variables in place, if they were left for it, then the commits. Reads
    /// no feed.
    pub(super) fn assign(&mut self, with: With<'_, T>, vars: &mut [Variable<T>]) {
        if self.separable {
            let program = Arc::clone(&self.program);
            for instr in program.stages.iter().flat_map(|stage| &stage.before).filter(|i| assigns(i)) {
                self.run_once(instr, with, vars);
            }
        }
        self.commit(vars);
    }

    fn run_once(&mut self, instr: &Instr, with: With<'_, T>, vars: &mut [Variable<T>]) {
        if let Kernel::Elementwise(pass) = &instr.kernel {
            return if are_numbers(pass, instr) {
                self.run_on_numbers(pass, instr, vars)
            } else {
                self.run_elementwise(pass, instr, with, vars)
            };
        }
        let shared = with.shared(vars, &self.constants, self.block_cols);
        with.pool.with_worker(|worker| {
            let mut store = OnceStore { shared: &shared, once: &mut self.once, scratch: &mut worker.scratch };
            execute(instr, shared.backend, &mut store);
        });
    }

    fn run_on_numbers(&mut self, pass: &Pass, instr: &Instr, vars: &mut [Variable<T>]) {
        let values = evaluate(pass, instr, |operand| self.number(operand, vars));
        for (out, value) in instr.outs.iter().zip(values) {
            self.output(out.place, vars)[0] = value;
        }
    }

    /// The first number of a value that exists once.
    fn number(&self, operand: &Operand, vars: &[Variable<T>]) -> T {
        match operand.place {
            Place::Once(i) => self.once.floats[i][0],
            Place::Var(id) => vars[id.index()].data()[0],
            Place::Const(i) => self.constants[i][0],
            place => unreachable!("an elementwise pass reads what exists once, not {place:?}"),
        }
    }

    fn run_elementwise(&mut self, pass: &Pass, instr: &Instr, with: With<'_, T>, vars: &mut [Variable<T>]) {
        let mut taken: SmallVec<[AlignedBuf<T>; FEW]> =
            instr.outs.iter().map(|out| take(self.output(out.place, vars))).collect();
        {
            let (once, constants) = (&self.once, &self.constants);
            let read = |operand: &Operand| -> &[T] {
                match operand.place {
                    Place::Once(i) => &once.floats[i],
                    Place::Var(id) => vars[id.index()].data(),
                    Place::Const(i) => &constants[i],
                    // A variable that is updated in place is read through the output.
                    _ => &[],
                }
            };
            let inputs: SmallVec<[&[T]; FEW_READ]> = instr.ins[..pass.inputs()].iter().map(read).collect();
            let scalars: SmallVec<[T; FEW_READ]> =
                instr.ins[pass.inputs()..].iter().map(|s| read(s)[0]).collect();
            let mut outputs: SmallVec<[&mut [T]; FEW]> = taken.iter_mut().map(|buf| &mut buf[..]).collect();
            elementwise::run(pass, &inputs, &scalars, &mut outputs, (with.backend, with.pool));
        }
        for (out, buf) in instr.outs.iter().zip(taken) {
            *self.output(out.place, vars) = buf;
        }
    }

    fn output<'a>(&'a mut self, place: Place, vars: &'a mut [Variable<T>]) -> &'a mut AlignedBuf<T> {
        match place {
            Place::Once(i) => &mut self.once.floats[i],
            Place::Var(id) => vars[id.index()].buf_mut(),
            _ => unreachable!("an elementwise pass writes to once buffers and variables, not to {place:?}"),
        }
    }

    fn run_shards(
        &mut self,
        program: &Program,
        number: usize,
        stage: &Stage,
        with: With<'_, T>,
        vars: &mut [Variable<T>],
    ) {
        let Some((_, lanes)) = self.axes.iter_mut().find(|(symbol, _)| stage.symbol == Some(*symbol)) else {
            return;
        };
        let (once, shard_rows) = (&self.once, self.shard_rows);
        // Room for a row more, as blocks of columns have it.
        let reserve = |worker: &mut Worker<T>, rows: usize| {
            worker.reserve(
                program.slots.floats.iter().map(|cols| cols * (rows + 1)),
                program.slots.ints.iter().map(|cols| cols * rows),
            );
        };
        let begin_sums = |lane: &mut Lane<T>| {
            let (sums, nothing) = (lane.sums.iter_mut().zip(&program.sums), lane.rows == 0);
            for (sum, _) in sums.filter(|(_, spec)| spec.stage == number && (nothing || !spec.begins)) {
                sum.fill(T::zero());
            }
        };
        if lanes.len() * 2 <= with.pool.threads() || lanes.len() == 1 {
            let (slots, block_cols) = (&mut self.slots, self.block_cols);
            let made = &mut self.made;
            let mut wide =
                Wide { pool: with.pool, slots, shard_rows, block_cols, made, shares_one_row: true };
            for lane in lanes.iter_mut() {
                reserve(wide.slots, shard_rows.min(lane.rows));
                begin_sums(lane);
                let may_share = lane.rows == 1 && lane.sums.is_empty() && with.pool.threads() > 1;
                let mut run = |way| {
                    wide.shares_one_row = way == Way::Second;
                    wide.run(stage, lane, once, vars, &self.constants, with);
                };
                if may_share { self.trials[number].run(run) } else { run(Way::Second) }
            }
        } else {
            let shared = with.shared(vars, &self.constants, self.block_cols);
            with.pool.for_each(lanes, &|lane: &mut Lane<T>, worker| {
                reserve(worker, shard_rows.min(lane.rows));
                begin_sums(lane);
                for first in (0..lane.rows).step_by(shard_rows) {
                    let rows = shard_rows.min(lane.rows - first);
                    let mut store = ShardStore::new((&shared, once), worker, lane, first..first + rows);
                    for instr in &stage.per_shard {
                        execute(instr, shared.backend, &mut store);
                    }
                }
            });
        }
        for (i, spec) in program.sums.iter().enumerate().filter(|(_, spec)| spec.stage == number) {
            add_up(&mut self.once.floats[spec.into], i, lanes, with.pool);
        }
    }

    /// Variables are fetched as they are before the run.
    fn fetch_variables(&mut self, vars: &[Variable<T>]) {
        for (fetched, out) in self.program.fetched.iter().zip(&mut self.outputs) {
            if let Fetched::Once { operand: Operand { place: Place::Var(id), .. }, .. } = fetched {
                vars[id.index()].copy_to(&mut out.floats);
            }
        }
    }

    fn fetch(&mut self) {
        for (fetched, out) in self.program.fetched.iter().zip(&mut self.outputs) {
            match fetched {
                Fetched::Nothing => {}
                Fetched::Once { operand, .. } => match operand.place {
                    Place::Once(i) if operand.ints => out.ints.copy_from_slice(&self.once.ints[i]),
                    Place::Once(i) if operand.blocked => {
                        let from = blocked(operand, &self.once.floats[i], self.block_cols);
                        fits(MatMut::new(&mut out.floats, from.rows(), from.cols())).copy_from(from);
                    }
                    Place::Once(i) => out.floats.copy_from_slice(&self.once.floats[i]),
                    Place::Const(i) => out.floats.copy_from_slice(&self.constants[i]),
                    _ => {}
                },
                Fetched::Rows { operand, symbol, .. } => {
                    let Place::Kept(i) = operand.place else { continue };
                    let lanes = self.axes.iter().filter(|(s, _)| s == symbol).flat_map(|(_, lanes)| lanes);
                    for lane in lanes {
                        let window = lane.first * operand.cols..(lane.first + lane.rows) * operand.cols;
                        if operand.ints {
                            out.ints[window].copy_from_slice(&lane.kept_ints[i]);
                        } else {
                            out.floats[window].copy_from_slice(&lane.kept[i]);
                        }
                    }
                }
            }
        }
    }

    fn commit(&mut self, vars: &mut [Variable<T>]) {
        for (id, from) in &self.program.commits {
            let VarId(to) = *id;
            match from.place {
                Place::Once(i) if from.blocked => {
                    vars[to].set(blocked(from, &self.once.floats[i], self.block_cols));
                }
                Place::Once(i) => {
                    let variable = &mut vars[to];
                    let (rows, cols) = variable.as_matrix();
                    variable.set(fits(MatRef::new(&self.once.floats[i], rows, cols)));
                }
                _ => {}
            }
        }
    }
}

/// A value that exists once, in blocks.
fn blocked<'a, T: Scalar>(operand: &Operand, data: &'a [T], block_cols: usize) -> MatRef<'a, T> {
    let rows = if let Extent::Fixed(rows) = operand.extent { rows } else { 0 };
    fits(MatRef::blocked(data, rows, operand.cols, block_cols))
}
