//! Passes over memory, spread over threads: each gets a piece of every array.

use smallvec::SmallVec;

use super::pool::Pool;
use crate::Scalar;
use crate::backend::{Backend, reference::fits};
use crate::ops::{Pass, PassArgs};

/// Elements below which a pass is not spread over threads. Chosen, not measured: 128 KiB of f32, some ten microseconds of
/// one operation at memory speed, which is about what it takes to wake a sleeping thread.
const MIN_PER_THREAD: usize = 32 * 1024;

/// Arrays that a pass writes without memory having to be allocated: as many as an optimizer's rule has at most. (Lists of them with room
/// for more are slower to hand round than to fill: in a step on one row, a tenth of the time went into it with 16.)
pub(super) const FEW: usize = 4;

/// Pieces that a pass can be cut into without allocating memory.
const FEW_PIECES: usize = 16;

/// Arrays, and scalars, that a pass reads without memory having to be allocated.
pub(super) const FEW_READ: usize = 16;

/// Into how many pieces a pass of `len` elements is cut for `threads` threads.
pub(super) fn pieces(len: usize, threads: usize) -> usize {
    (len / MIN_PER_THREAD).clamp(1, threads)
}

/// A part of the outputs of a pass.
pub(super) struct Piece<'a, T> {
    pub(super) start: usize,
    pub(super) outputs: SmallVec<[&'a mut [T]; FEW]>,
}

/// Cuts outputs of equal length into parts of `step` elements; the last may have fewer.
pub(super) fn cut<'a, T>(outputs: &'a mut [&mut [T]], step: usize) -> SmallVec<[Piece<'a, T>; FEW_PIECES]> {
    let len = outputs.first().map_or(0, |o| o.len());
    let starts = (0..len).step_by(step.max(1));
    let mut parts: SmallVec<[Piece<'a, T>; FEW_PIECES]> =
        starts.map(|start| Piece { start, outputs: SmallVec::new() }).collect();
    for output in outputs {
        for (part, slice) in parts.iter_mut().zip(output.chunks_mut(step.max(1))) {
            part.outputs.push(slice);
        }
    }
    parts
}

/// outputs ← what the pass makes of them, on as many threads as pays.
pub(super) fn run<T: Scalar>(
    pass: &Pass,
    inputs: &[&[T]],
    scalars: &[T],
    outputs: &mut [&mut [T]],
    (backend, pool): (&dyn Backend<T>, &Pool<T>),
) {
    let len = outputs.first().map_or(0, |o| o.len());
    let count = pieces(len, pool.threads());
    if count == 1 {
        let args = fits(PassArgs::new(pass, inputs, scalars, outputs));
        return pool.with_worker(|worker| backend.pass(args, &mut worker.scratch));
    }
    let mut pieces = cut(outputs, len.div_ceil(count));
    pool.for_each(&mut pieces, &|piece, worker| {
        let len = piece.outputs.first().map_or(0, |o| o.len());
        let inputs: SmallVec<[&[T]; FEW_READ]> = inputs.iter().map(|x| &x[piece.start..][..len]).collect();
        let args = PassArgs::new(pass, &inputs, scalars, &mut piece.outputs);
        backend.pass(fits(args), &mut worker.scratch);
    });
}
