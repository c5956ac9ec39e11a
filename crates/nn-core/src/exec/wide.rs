//! One shard on all threads: a batch so small that it is a single shard (or a few) is cut along the other axis.
//!
//! The large kernels are called once for each thread, on columns of what they write; each thread gets the same columns every
//! time, so that its part of the weights stays in its own cache. No sum is cut, so the bits are those of one thread. What
//! is small runs on the calling thread alone.

use std::mem::take;

use smallvec::SmallVec;

use super::lanes::Lane;
use super::plan::{Buffers, With};
use super::pool::{Pool, Worker};
use super::program::{Instr, Kernel, Place, Stage};
use super::rows_ahead::{RowsMade, fed};
use super::run::{execute, view};
use super::store::{ShardStore, Store, Taken};
use super::value::Variable;
use crate::Scalar;
use crate::graph::VarId;
use crate::matrix::{AlignedBuf, InputRef, MatMut};
use crate::ops::Sum;

/// Multiply-adds below which a kernel is not cut: some 2 µs of one core with AVX-512, four times what it costs to have
/// the other threads begin and end.
const MIN_WORK: usize = 128 * 1024;

/// Rows that a part has at least. Kernels may compute a few rows in another way than many, with sums in another order, and
/// how many threads there are must not decide in which.
pub(super) const MIN_ROWS: usize = 8;

/// Rows of dW that a part has at least, for the same reason: as many inputs are never few.
const MIN_INPUTS: usize = 64;

/// Rows of a shard, of which kernels would like to get `preferred`, for a batch of `rows`: up to half as many more stay together. A
/// second shard of a few rows would read and write all the weights again for them, and keep descent on the weights from going
/// straight into them. It follows from the number of rows alone, and so do the sums.
pub(super) fn shard_rows(rows: usize, preferred: usize) -> usize {
    if rows <= preferred + preferred / 2 { rows.max(preferred) } else { preferred }
}

/// Variables that a band changes without memory having to be allocated: the weights and the bias of a layer and the weights of the next one, each
/// with two that an optimizer has for it.
const FEW_VARIABLES: usize = 9;

/// Rows of a matrix that is written, and the number of the first.
struct Part<'a, T> {
    first: usize,
    matrix: MatMut<'a, T>,
}

/// Filled where they are, and not returned: their room is a kilobyte, which is more than there is to do for a batch of one row.
type Parts<'a, T> = SmallVec<[Part<'a, T>; 16]>;

/// Cuts a plain matrix into parts of rows, whose numbers are multiples of `unit`, but for the last, which has what is left, too.
fn cut_rows<'a, T>(matrix: MatMut<'a, T>, parts: usize, unit: usize, cut: &mut Parts<'a, T>) {
    let units = matrix.rows() / unit.max(1);
    let parts = parts.min(units).max(1);
    let (mut rest, mut first) = (matrix, 0);
    for part in 1..parts {
        let end = units * part / parts * unit;
        let (above, below) = rest.split_at_row(end - first);
        cut.push(Part { first, matrix: above });
        (rest, first) = (below, end);
    }
    cut.push(Part { first, matrix: rest });
}

/// What a stage's shards work with when each is spread over the threads.
pub(super) struct Wide<'p, T> {
    pub(super) pool: &'p Pool<T>,
    /// The values of the shard at hand: no thread's own.
    pub(super) slots: &'p mut Worker<T>,
    pub(super) shard_rows: usize,
    pub(super) block_cols: usize,
    pub(super) made: &'p mut RowsMade,
    /// Whether threads share the work on a row that comes alone, if it is as much as that of a row without zeros should be.
    pub(super) shares_one_row: bool,
}

impl<T: Scalar> Wide<'_, T> {
    /// Runs the instructions of `stage` on the rows of `lane`, whose sums are zero where no kernel begins them.
    pub(super) fn run(
        &mut self,
        stage: &Stage,
        lane: &mut Lane<T>,
        once: &Buffers<T>,
        vars: &mut [Variable<T>],
        constants: &[AlignedBuf<T>],
        with: With<'_, T>,
    ) {
        let block_cols = self.block_cols;
        for first in (0..lane.rows).step_by(self.shard_rows.max(1)) {
            let rows = self.shard_rows.min(lane.rows - first);
            let fed = fed(stage, (lane.first + first, rows), with.feeds, block_cols);
            if let Some(fed) = &fed {
                self.made.make(fed, with);
            }
            let chain =
                stage.chain.as_ref().filter(|chain| fed.as_ref().is_some_and(|fed| fed.feed == chain.feed));
            let are_multiplied = chain.is_some() && self.made.were_multiplied(with.version);
            let prepared = fed.and_then(|fed| Some((fed.feed, self.made.parts()?)));
            for (number, band) in stage.bands.iter().enumerate() {
                let is_last = number + 1 == stage.bands.len();
                let instrs = match chain {
                    Some(_) if number == 0 && are_multiplied => continue,
                    Some(chain) if is_last && with.next.is_some() => &chain.instrs[..],
                    _ => &stage.per_shard[band.instrs.clone()],
                };
                let mut taken = Variables::default();
                taken.take(instrs, vars);
                let shared = with.shared(vars, constants, block_cols);
                let mut store = ShardStore {
                    prepared,
                    next: with.next.map(InputRef::SparseBytes),
                    shares_one_row: self.shares_one_row,
                    ..ShardStore::new((&shared, once), self.slots, lane, first..first + rows)
                };
                match band.cols {
                    Some(cols) => self.pool.run_columns(instrs, cols, &mut store, &mut taken),
                    None => instrs.iter().for_each(|instr| self.pool.run_rows(instr, &mut store, &mut taken)),
                }
                taken.give_back(vars);
            }
        }
    }
}

/// The variables that a band writes, out of their places until it is done. Filled and emptied where it is: most bands write
/// none.
#[derive(Default)]
pub(super) struct Variables<T>(SmallVec<[(VarId, AlignedBuf<T>); FEW_VARIABLES]>);

impl<T: Scalar> Variables<T> {
    fn take(&mut self, instrs: &[Instr], vars: &mut [Variable<T>]) {
        for out in instrs.iter().flat_map(|instr| &instr.outs) {
            if let Place::Var(id) = out.place {
                self.0.push((id, take(vars[id.index()].buf_mut())));
            }
        }
    }

    /// Their elements, in the order in which they are written.
    pub(super) fn elements(&mut self) -> SmallVec<[&mut [T]; FEW_VARIABLES]> {
        self.0.iter_mut().map(|(_, buf)| &mut buf[..]).collect()
    }

    fn give_back(&mut self, vars: &mut [Variable<T>]) {
        for (id, buf) in &mut self.0 {
            std::mem::swap(vars[id.index()].buf_mut(), buf);
        }
    }
}

/// The multiply-adds of an instruction, where they are many.
///
/// Bytes that are 0 count, too: with them a kernel for rows of bytes has about as much to do beside its multiply-adds. But whether one row
/// that is only predicted leaves others the time to begin, depends on the machine: so it is tried ([`Trial`](super::trial::Trial)), with
/// and without its zeros. (MNIST, 512 units: if two threads share it, it takes 3.7 µs on Zen 4 at times when its two cores share a
/// cache, and 4.8 if one does it all; on Emerald Rapids 6.4 and 4.7.) Where the weights change, it matters more in whose cache their
/// columns are.
pub(super) fn multiply_adds<T: Scalar>(instr: &Instr, store: &ShardStore<'_, '_, T>) -> usize {
    let (ins, rows) = (instr.ins.as_slice(), store.rows());
    match instr.kernel {
        Kernel::Affine { .. } if rows == 1 && !store.shares_one_row => {
            let density = match store.input(&ins[0]) {
                InputRef::SparseBytes(x) => x.data().density(),
                _ => 1.0,
            };
            (density * (store.extent(&ins[1]) * ins[1].cols) as f64) as usize
        }
        Kernel::Affine { .. } | Kernel::PartialProducts | Kernel::Backpropagate { .. } => {
            rows * store.extent(&ins[1]) * ins[1].cols
        }
        Kernel::AccumulateWeights | Kernel::Descend | Kernel::Update { .. } => {
            rows * store.extent(&instr.outs[0]) * instr.outs[0].cols
        }
        _ => 0,
    }
}

impl<T: Scalar> Pool<T> {
    /// Into how many parts to cut so much work.
    pub(super) fn parts(&self, multiply_adds: usize) -> usize {
        if multiply_adds < MIN_WORK { 1 } else { self.threads() }
    }

    /// Runs an instruction that is not cut along columns: by rows, if it is large and can be, and else on this thread.
    fn run_rows(&self, instr: &Instr, store: &mut ShardStore<'_, '_, T>, variables: &mut Variables<T>) {
        let backend = store.shared.backend;
        let parts = self.parts(multiply_adds(instr, store));
        if instr.kernel == Kernel::Descend {
            let rate = -store.floats(&instr.ins[2])[0];
            let weights = view(store, &instr.outs[0], variables.elements().remove(0));
            return self.accumulate((rate, Sum::Continue), instr, store, weights, parts);
        }
        let mut out = match instr.kernel {
            Kernel::Affine { .. } | Kernel::Backpropagate { .. } | Kernel::AccumulateWeights if parts > 1 => {
                Taken::new(store, &instr.outs[0])
            }
            _ => return execute(instr, backend, store),
        };
        let to = view(&*store, &instr.outs[0], out.elements());
        let (ins, from) = (instr.ins.as_slice(), &*store);
        match instr.kernel {
            Kernel::Affine { f, bias } => {
                let (x, w) = (from.input(&ins[0]), from.matrix(&ins[1]));
                let bias = bias.then(|| from.floats(&ins[2]));
                let mixed = backend.mixes_rows(&x, w.cols());
                let mut cut = Parts::new();
                cut_rows(to, if mixed { 1 } else { parts }, MIN_ROWS, &mut cut);
                self.for_each(&mut cut, &|part, worker| {
                    let y = part.matrix.reborrow();
                    let x = from.input(&ins[0]).slice(part.first, y.rows());
                    backend.affine(x, w, bias, f, y, &mut worker.scratch);
                });
            }
            Kernel::Backpropagate { f } => {
                let (dy, w, y) = (from.matrix(&ins[0]), from.matrix(&ins[1]), from.matrix(&ins[2]));
                let mut cut = Parts::new();
                cut_rows(to, parts, MIN_ROWS, &mut cut);
                self.for_each(&mut cut, &|part, worker| {
                    let (first, delta) = (part.first, part.matrix.reborrow());
                    let (dy, y) = (dy.row_range(first, delta.rows()), y.row_range(first, delta.rows()));
                    backend.backpropagate(dy, w, f, y, delta, &mut worker.scratch);
                });
            }
            _ => {
                let sum = if from.begins_sums() { Sum::Begin } else { Sum::Continue };
                self.accumulate((T::one(), sum), instr, from, to, parts);
            }
        }
        out.give_back(store);
    }

    /// dw ← dw + α xᵀ · δ, or without the old dw where the sum begins, for a plain dw.
    fn accumulate(
        &self,
        (alpha, sum): (T, Sum),
        instr: &Instr,
        store: &ShardStore<'_, '_, T>,
        dw: MatMut<'_, T>,
        parts: usize,
    ) {
        let (delta, backend) = (store.matrix(&instr.ins[1]), store.shared.backend);
        let all = store.input(&instr.ins[0]);
        if parts == 1 {
            return self.with_worker(|worker| {
                backend.accumulate_weights(alpha, all, delta, sum, dw, &mut worker.scratch);
            });
        }
        // Rows of numbers that lie in one matrix can be cut by their columns, which are rows of dW, and so can bytes that are not paired.
        let x = match all {
            InputRef::Dense(rows) => rows.view().ok_or(all),
            other => Err(other),
        };
        let bytes = match x {
            Err(InputRef::SparseBytes(bytes)) if dw.cols() < store.block_cols() => Some(bytes),
            _ => None,
        };
        let mut cut = Parts::new();
        cut_rows(dw, if x.is_ok() || bytes.is_some() { parts } else { 1 }, MIN_INPUTS, &mut cut);
        self.for_each(&mut cut, &|part, worker| {
            let (first, dw) = (part.first, part.matrix.reborrow());
            let x = match (x, bytes) {
                (Ok(x), _) => InputRef::dense(x.columns(first, dw.rows())),
                (Err(_), Some(bytes)) => InputRef::SparseBytes(bytes.with_columns(first, dw.rows())),
                (Err(x), None) => x,
            };
            backend.accumulate_weights(alpha, x, delta, sum, dw, &mut worker.scratch);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_is_a_little_larger_than_a_shard_is_one_shard() {
        let found = [1, 252, 253, 256, 378, 379, 60_000].map(|rows| shard_rows(rows, 252));
        assert_eq!(found, [252, 252, 253, 256, 378, 252, 252]);
    }

    #[test]
    fn parts_of_rows_are_never_fewer_than_the_least_unless_they_are_all() {
        for rows in 0..40 {
            for parts in 1..5 {
                let mut elements = vec![0.0; rows * 3];
                let Ok(matrix) = MatMut::new(&mut elements, rows, 3) else { panic!("{rows} rows") };
                let mut cut = Parts::new();
                cut_rows(matrix, parts, MIN_ROWS, &mut cut);
                let found: Vec<_> = cut.iter().map(|part| (part.first, part.matrix.rows())).collect();
                assert!(found.len() == 1 || found.iter().all(|part| part.1 >= MIN_ROWS), "{found:?}");
                let end = found
                    .iter()
                    .fold(0, |end, &(first, rows)| if first == end { end + rows } else { usize::MAX });
                assert_eq!(end, rows, "{found:?}");
            }
        }
    }
}
