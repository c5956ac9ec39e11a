//! What any backend does block by block: a pass, every step of which is a kernel call on data that is in the L1 cache, and products.

use smallvec::SmallVec;

use super::{Backend, reference};
use crate::Scalar;
use crate::matrix::{InputRef, MatMut, MatRef, Scratch, blocked_len};
use crate::ops::{Activation, Operand, PassArgs, PassParts, Source, Step, Sum, Update};

/// Elements of a block: 4 KiB of f32, so that a handful of registers and inputs fit in a 32 KiB L1 data cache.
const BLOCK: usize = 1024;

/// Inputs of a pass for which no memory has to be allocated.
const FEW_INPUTS: usize = 16;

/// Carries out a pass by the backend's `unary` and `binary`.
pub(super) fn pass<T: Scalar, B: Backend<T> + ?Sized>(
    backend: &B,
    args: PassArgs<'_, '_, T>,
    scratch: &mut Scratch<T>,
) {
    let mut parts = args.into_parts();
    let mut registers = scratch.take(parts.pass.registers() * BLOCK);
    for begin in (0..parts.len).step_by(BLOCK) {
        block(backend, &mut parts, begin, &mut registers);
    }
    scratch.give(registers);
}

/// Forms the product of each block of X's columns by the backend's `affine`.
pub(super) fn partial_products<T: Scalar, B: Backend<T> + ?Sized>(
    backend: &B,
    x: MatRef<'_, T>,
    w: MatRef<'_, T>,
    parts: &mut [T],
    scratch: &mut Scratch<T>,
) {
    let (m, n, block) = (x.rows(), w.cols(), x.block_cols());
    for (part, first) in parts.chunks_exact_mut((m * n).max(1)).zip((0..).step_by(block)) {
        let (x, w) = (InputRef::dense(x.columns(first, block)), w.row_range(first, block));
        backend.affine(x, w, None, Activation::Linear, reference::fits(MatMut::new(part, m, n)), scratch);
    }
}

/// Forms the product Xᵀ · δ by the backend's `accumulate_weights`, then carries out the pass.
pub(super) fn update_weights<T: Scalar, B: Backend<T> + ?Sized>(
    backend: &B,
    x: InputRef<'_, T>,
    delta: MatRef<'_, T>,
    update: Update<'_, '_, T>,
    scratch: &mut Scratch<T>,
) {
    let Update { pass, product, inputs, scalars, outputs, rows, cols } = update;
    let mut sum = scratch.take(blocked_len(rows, cols));
    // The row that pads a block: no product writes it.
    sum[rows * cols..].fill(T::zero());
    let dw = reference::fits(MatMut::blocked(&mut sum, rows, cols, cols));
    backend.accumulate_weights(T::one(), x, delta, Sum::Begin, dw, scratch);
    let mut all: SmallVec<[&[T]; FEW_INPUTS]> = SmallVec::from_slice(inputs);
    all.insert(product, &sum[..]);
    backend.pass(reference::fits(PassArgs::new(pass, &all, scalars, outputs)), scratch);
    drop(all);
    scratch.give(sum);
}

fn block<T: Scalar, B: Backend<T> + ?Sized>(
    backend: &B,
    parts: &mut PassParts<'_, '_, T>,
    begin: usize,
    registers: &mut [T],
) {
    let n = BLOCK.min(parts.len - begin);
    let (inputs, scalars, outputs) = (parts.inputs, parts.scalars, &mut *parts.outputs);
    for step in parts.pass.steps() {
        let into = step.target();
        // A step never reads the register it writes, so the register can be cut out of the rest.
        let (before, rest) = registers.split_at_mut(into * BLOCK);
        let (target, after) = rest.split_at_mut(BLOCK);
        let read = |source| match source {
            Source::Input(i) => Operand::Slice(&inputs[i][begin..][..n]),
            Source::Scalar(i) => Operand::Splat(scalars[i]),
            Source::Output(i) => Operand::Slice(&outputs[i][begin..][..n]),
            Source::Register(r) if r < into => Operand::Slice(&before[r * BLOCK..][..n]),
            Source::Register(r) => Operand::Slice(&after[(r - into - 1) * BLOCK..][..n]),
        };
        match *step {
            Step::Unary(f, x, _) => match read(x) {
                Operand::Slice(x) => backend.unary(f, x, &mut target[..n]),
                Operand::Splat(x) => target[..n].fill(f.eval(x)),
            },
            Step::Binary(f, a, b, _) => backend.binary(f, read(a), read(b), &mut target[..n]),
        }
    }
    for (k, &source) in parts.pass.outputs().iter().enumerate() {
        match source {
            Source::Register(r) => outputs[k][begin..][..n].copy_from_slice(&registers[r * BLOCK..][..n]),
            Source::Input(i) => outputs[k][begin..][..n].copy_from_slice(&inputs[i][begin..][..n]),
            Source::Scalar(i) => outputs[k][begin..][..n].fill(scalars[i]),
            Source::Output(_) => {}
        }
    }
}
