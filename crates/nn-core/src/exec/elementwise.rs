//! Many elementwise operations in one pass over memory: an optimizer's whole update is one of these. The pass goes
//! block by block; within a block every step is a vectorised kernel call on data that is in the L1 cache.

use crate::Scalar;
use crate::backend::Backend;
use crate::matrix::Scratch;
use crate::ops::{Binary, Operand as Arg, Unary};

/// Elements of a block: 4 KiB of f32, so that a handful of registers and inputs fit in a 32 KiB L1 data cache.
const BLOCK: usize = 1024;

/// Elements below which a pass is not spread over threads. Chosen, not measured: 128 KiB of f32, some ten microseconds of
/// one operation at memory speed, which is about what it takes to wake a sleeping thread.
const MIN_PER_THREAD: usize = 32 * 1024;

/// The most outputs that one pass may have.
pub(super) const MAX_OUTPUTS: usize = 8;

/// Where a step reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// An input of the pass.
    Input(usize),
    /// A single number.
    Scalar(usize),
    /// What an output held before: a variable that is updated in place.
    Output(usize),
    /// The result of an earlier step.
    Register(usize),
}

/// One operation; its result goes to the register `.into`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    Unary(Unary, Source, usize),
    Binary(Binary, Source, Source, usize),
}

/// The steps of a pass. The instruction's inputs are the `inputs` arrays, then the scalars.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Elementwise {
    pub(super) inputs: usize,
    pub(super) steps: Vec<Step>,
    pub(super) registers: usize,
    /// For each output of the instruction, what it gets.
    pub(super) outputs: Vec<Source>,
}

/// The arrays of a pass: as many elements each as the outputs have.
pub(super) struct Arrays<'a, T> {
    pub(super) inputs: &'a [&'a [T]],
    pub(super) scalars: &'a [T],
}

impl Elementwise {
    /// Runs the pass over outputs of equal length; `start` is where they begin in the inputs.
    pub(super) fn run<T: Scalar>(
        &self,
        backend: &dyn Backend<T>,
        arrays: &Arrays<'_, T>,
        outputs: &mut [&mut [T]],
        start: usize,
        scratch: &mut Scratch<T>,
    ) {
        let len = outputs.first().map_or(0, |o| o.len());
        let mut registers = scratch.take(self.registers * BLOCK);
        for begin in (0..len).step_by(BLOCK) {
            let n = BLOCK.min(len - begin);
            self.block(backend, arrays, outputs, (start, begin, n), &mut registers);
        }
        scratch.give(registers);
    }

    fn block<T: Scalar>(
        &self,
        backend: &dyn Backend<T>,
        arrays: &Arrays<'_, T>,
        outputs: &mut [&mut [T]],
        (start, begin, n): (usize, usize, usize),
        registers: &mut [T],
    ) {
        for step in &self.steps {
            let (Step::Unary(_, _, into) | Step::Binary(_, _, _, into)) = *step;
            // A step never reads the register it writes, so the register can be cut out of the rest.
            let (before, rest) = registers.split_at_mut(into * BLOCK);
            let (target, after) = rest.split_at_mut(BLOCK);
            let read = |source| match source {
                Source::Input(i) => Arg::Slice(&arrays.inputs[i][start + begin..][..n]),
                Source::Scalar(i) => Arg::Splat(arrays.scalars[i]),
                Source::Output(i) => Arg::Slice(&outputs[i][begin..][..n]),
                Source::Register(r) if r < into => Arg::Slice(&before[r * BLOCK..][..n]),
                Source::Register(r) => Arg::Slice(&after[(r - into - 1) * BLOCK..][..n]),
            };
            match *step {
                Step::Unary(f, x, _) => match read(x) {
                    Arg::Slice(x) => backend.unary(f, x, &mut target[..n]),
                    Arg::Splat(x) => target[..n].fill(f.eval(x)),
                },
                Step::Binary(f, a, b, _) => backend.binary(f, read(a), read(b), &mut target[..n]),
            }
        }
        for (k, &source) in self.outputs.iter().enumerate() {
            match source {
                Source::Register(r) => outputs[k][begin..][..n].copy_from_slice(&registers[r * BLOCK..][..n]),
                Source::Input(i) => {
                    outputs[k][begin..][..n].copy_from_slice(&arrays.inputs[i][start + begin..][..n])
                }
                Source::Scalar(i) => outputs[k][begin..][..n].fill(arrays.scalars[i]),
                Source::Output(_) => {}
            }
        }
    }
}

/// Into how many pieces a pass of `len` elements is cut for `threads` threads.
pub(super) fn pieces(len: usize, threads: usize) -> usize {
    (len / MIN_PER_THREAD).clamp(1, threads)
}
