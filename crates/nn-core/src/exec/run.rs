//! Carrying out one instruction on a store: the only place where a plan meets the backend's kernels.

use super::moves;
use super::program::{Instr, Kernel, Operand, Place};
use super::random::Uniform;
use super::store::{Store, Taken};
use crate::Scalar;
use crate::backend::{Backend, reference::fits};
use crate::graph::Spread;
use crate::matrix::{MatMut, MatRef};
use crate::ops::{Binary, Gemm, Labels, Operand as Arg, Sum};

/// Runs `instr`. Elementwise passes are run by the plan, which can spread them over threads.
pub(super) fn execute<T: Scalar, S: Store<T>>(instr: &Instr, backend: &dyn Backend<T>, store: &mut S) {
    let (ins, outs) = (instr.ins.as_slice(), instr.outs.as_slice());
    match &instr.kernel {
        Kernel::Load => store.write(&outs[0], |s, out, _| {
            let x = s.input(&ins[0]);
            for (i, row) in out.chunks_exact_mut(x.cols().max(1)).enumerate() {
                x.write_row(i, row);
            }
        }),
        Kernel::Affine { f, bias } => store.write(&outs[0], |s, out, scratch| {
            let bias = bias.then(|| s.floats(&ins[2]));
            backend.affine(s.input(&ins[0]), s.matrix(&ins[1]), bias, *f, view(s, &outs[0], out), scratch);
        }),
        Kernel::MatMul { ta, tb } => store.write(&outs[0], |s, out, scratch| {
            let (a, b) = (s.matrix(&ins[0]), s.matrix(&ins[1]));
            let gemm = Gemm::new(T::one(), a, *ta, b, *tb, T::zero(), view(s, &outs[0], out));
            backend.gemm(fits(gemm), scratch);
        }),
        Kernel::PartialProducts => unreachable!("blocks of columns are run in bands"),
        Kernel::AddPartial { f, bias } => store.write(&outs[0], |s, out, _| {
            let bias = bias.then(|| s.floats(&ins[1]));
            match bias {
                Some(bias) => spread_over(bias, Spread::Suffix, out),
                None => out.fill(T::zero()),
            }
            add_rows(backend, s.floats(&ins[0]), out);
            backend.activate(*f, out);
        }),
        Kernel::Backpropagate { f } => store.write(&outs[0], |s, out, scratch| {
            let (dy, w, y) = (s.matrix(&ins[0]), s.matrix(&ins[1]), s.matrix(&ins[2]));
            backend.backpropagate(dy, w, *f, y, view(s, &outs[0], out), scratch);
        }),
        Kernel::AccumulateWeights => store.write(&outs[0], |s, out, scratch| {
            let dw = view(s, &outs[0], out);
            // Each lane has one such sum for each product, which its first shard begins.
            let sum = if s.begins_sums() { Sum::Begin } else { Sum::Continue };
            backend.accumulate_weights(T::one(), s.input(&ins[0]), s.matrix(&ins[1]), sum, dw, scratch);
        }),
        Kernel::Descend | Kernel::Update { .. } => unreachable!("variables are written by the plan"),
        Kernel::AccumulateRows => store.write(&outs[0], |s, out, _| {
            begin_sum(&outs[0], out);
            if ins[0].blocked {
                return backend.accumulate_bias(s.matrix(&ins[0]), out);
            }
            add_rows(backend, s.floats(&ins[0]), out);
        }),
        Kernel::AccumulateAll => store.write(&outs[0], |s, out, _| {
            begin_sum(&outs[0], out);
            out[0] += sum(s.floats(&ins[0]));
        }),
        Kernel::CrossEntropy { losses, gradient } => {
            cross_entropy(ins, outs, (*losses, *gradient), backend, store)
        }
        Kernel::Softmax => store.write(&outs[0], |s, out, _| {
            backend.softmax(s.matrix(&ins[0]), view(s, &outs[0], out));
        }),
        Kernel::Unary(f) => store.write(&outs[0], |s, out, _| backend.unary(*f, s.floats(&ins[0]), out)),
        Kernel::Binary(f, sa, sb) => store.write(&outs[0], |s, out, _| {
            binary(backend, *f, (s.floats(&ins[0]), *sa), (s.floats(&ins[1]), *sb), out);
        }),
        Kernel::SumTail => store.write(&outs[0], |s, out, _| {
            let x = s.floats(&ins[0]);
            let run = x.len().checked_div(out.len()).unwrap_or(1).max(1);
            for (o, run) in out.iter_mut().zip(x.chunks_exact(run)) {
                *o = sum(run);
            }
        }),
        Kernel::Spread(spread) => {
            store.write(&outs[0], |s, out, _| spread_over(s.floats(&ins[0]), *spread, out))
        }
        Kernel::ArgMax => store.write_ints(&outs[0], |s, out| backend.argmax(s.matrix(&ins[0]), out)),
        Kernel::Equal => store.write_ints(&outs[0], |s, out| {
            if ins[0].ints {
                equal(s.ints(&ins[0]), s.ints(&ins[1]), out);
            } else {
                equal(s.floats(&ins[0]), s.floats(&ins[1]), out);
            }
        }),
        Kernel::Compare(comparison, sa, sb) => store.write_ints(&outs[0], |s, out| {
            let (a, b) = ((s.floats(&ins[0]), *sa), (s.floats(&ins[1]), *sb));
            spread_runs(a, b, out, |_, a, b, out| moves::compare(*comparison, a, b, out));
        }),
        Kernel::InTopK { k } => store.write_ints(&outs[0], |s, out| {
            let rows = s.matrix(&ins[0]);
            for ((o, row), &class) in out.iter_mut().zip(rows.iter_rows()).zip(s.ints(&ins[1])) {
                *o = i32::from(moves::in_top_k(row, class, *k));
            }
        }),
        Kernel::Concatenate { widths } => store.write(&outs[0], |s, out, _| {
            moves::concatenate(ins.iter().map(|part| s.floats(part)), widths, out);
        }),
        &Kernel::SliceColumns { start, len, width } => store.write(&outs[0], |s, out, _| {
            moves::slice_columns(s.floats(&ins[0]), (start, len, width), out);
        }),
        &Kernel::PadColumns { start, len, width } => store.write(&outs[0], |s, out, _| {
            moves::pad_columns(s.floats(&ins[0]), (start, len, width), out);
        }),
        &Kernel::SliceRows { start, row } => store.write(&outs[0], |s, out, _| {
            moves::slice_rows(s.floats(&ins[0]), s.first_row(), (start, row), out);
        }),
        &Kernel::PadRows { start, row } => store.write(&outs[0], |s, out, _| {
            moves::pad_rows(s.floats(&ins[0]), s.first_row(), (start, row), out);
        }),
        Kernel::Select(sa, sb) => store.write(&outs[0], |s, out, _| {
            let (condition, a, b) = (s.ints(&ins[0]), s.floats(&ins[1]), s.floats(&ins[2]));
            spread_runs((a, *sa), (b, *sb), out, |start, a, b, out| {
                moves::select(&condition[start..][..out.len()], a, b, out);
            });
        }),
        Kernel::Max => store.write(&outs[0], |s, out, _| {
            let x = s.floats(&ins[0]);
            let row = x.len().checked_div(out.len()).unwrap_or(1).max(1);
            for (o, row) in out.iter_mut().zip(x.chunks_exact(row)) {
                *o = moves::largest(row);
            }
        }),
        &Kernel::Uniform { stream } => store.write(&outs[0], |s, out, _| {
            let step = s.floats(&ins[0])[0].wide();
            let first = s.first_row() as u64 * outs[0].cols as u64;
            Uniform::new(s.seed(), stream, step).fill(first, out);
        }),
        Kernel::OneHot => store.write(&outs[0], |s, out, _| {
            out.fill(T::zero());
            for (row, &c) in out.chunks_exact_mut(outs[0].cols.max(1)).zip(s.ints(&ins[0])) {
                if let Some(hot) = usize::try_from(c).ok().and_then(|c| row.get_mut(c)) {
                    *hot = T::one();
                }
            }
        }),
        Kernel::Relayout => store.write(&outs[0], |s, out, _| {
            view(s, &outs[0], out).copy_from(s.matrix(&ins[0]));
        }),
        Kernel::Cast { to_bool } => cast(&ins[0], &outs[0], *to_bool, store),
        Kernel::Elementwise(_) => unreachable!("elementwise passes are run by the plan"),
    }
}

pub(super) fn view<'a, T: Scalar, S: Store<T>>(
    store: &S,
    operand: &Operand,
    elements: &'a mut [T],
) -> MatMut<'a, T> {
    let (rows, cols) = (store.extent(operand), operand.cols);
    fits(if operand.blocked {
        MatMut::blocked(elements, rows, cols, store.block_cols())
    } else {
        MatMut::new(elements, rows, cols)
    })
}

/// out ← out + Σ of the rows of x, each of which is as long as `out`, in their order
fn add_rows<T: Scalar>(backend: &dyn Backend<T>, x: &[T], out: &mut [T]) {
    if let Some(rows) = x.len().checked_div(out.len()) {
        backend.accumulate_bias(fits(MatRef::new(x, rows, out.len())), out);
    }
}

/// A lane's sums are zeroed before its first shard; a sum that is computed once begins here.
fn begin_sum<T: Scalar>(operand: &Operand, out: &mut [T]) {
    if let Place::Once(_) = operand.place {
        out.fill(T::zero());
    }
}

/// Both outputs come from one pass over the logits.
fn cross_entropy<T: Scalar, S: Store<T>>(
    ins: &[Operand],
    outs: &[Operand],
    (losses, gradient): (bool, bool),
    backend: &dyn Backend<T>,
    store: &mut S,
) {
    let mut taken_losses = losses.then(|| Taken::new(store, &outs[0]));
    let mut taken_gradient = gradient.then(|| Taken::new(store, &outs[usize::from(losses)]));
    let labels = if ins[1].ints {
        Labels::Classes(store.ints(&ins[1]))
    } else {
        Labels::Probabilities(store.matrix(&ins[1]))
    };
    let scale = ins.get(2).map_or(T::one(), |scale| store.floats(scale)[0]);
    backend.softmax_cross_entropy(
        store.matrix(&ins[0]),
        labels,
        taken_losses.as_mut().map(Taken::elements),
        taken_gradient.as_mut().map(|dx| (scale, view(store, dx.operand, dx.elements()))),
    );
    for taken in taken_losses.into_iter().chain(taken_gradient) {
        taken.give_back(store);
    }
}

fn binary<T: Scalar>(
    backend: &dyn Backend<T>,
    f: Binary,
    a: (&[T], Spread),
    b: (&[T], Spread),
    out: &mut [T],
) {
    spread_runs(a, b, out, |_, a, b, out| backend.binary(f, a, b, out));
}

/// Cuts the output into runs in which each operand is a slice or a single number: `f(where it begins, a, b, run)`.
fn spread_runs<T: Scalar, O>(
    a: (&[T], Spread),
    b: (&[T], Spread),
    out: &mut [O],
    f: impl Fn(usize, Arg<'_, T>, Arg<'_, T>, &mut [O]),
) {
    let run_of = |(x, spread): (&[T], Spread), whole: usize| match spread {
        Spread::Same | Spread::Scalar => whole,
        Spread::Suffix => x.len(),
        Spread::Prefix(_) => whole.checked_div(x.len()).unwrap_or(0),
    };
    let whole = out.len();
    let run = run_of(a, whole).min(run_of(b, whole)).max(1);
    for (i, out) in out.chunks_mut(run).enumerate() {
        let start = i * run;
        f(start, argument(a, start, out.len(), whole), argument(b, start, out.len(), whole), out);
    }
}

/// The part of a spread operand that goes with `len` elements of the output from `start` on.
fn argument<T: Scalar>((x, spread): (&[T], Spread), start: usize, len: usize, whole: usize) -> Arg<'_, T> {
    match spread {
        Spread::Same => Arg::Slice(&x[start..][..len]),
        Spread::Scalar => Arg::Splat(x[0]),
        Spread::Suffix => Arg::Slice(&x[start % x.len()..][..len]),
        Spread::Prefix(_) => Arg::Splat(x[start / (whole / x.len())]),
    }
}

/// Σ x. Long runs are halved and the halves' sums added (pairwise summation, Higham 1993), so that the error grows with the
/// logarithm of the length; short ones are summed in lanes, which compilers make vectors of.
fn sum<T: Scalar>(x: &[T]) -> T {
    const LANES: usize = 16;
    const SHORT: usize = 16 * LANES;
    if x.len() > SHORT {
        let (a, b) = x.split_at(x.len() / 2);
        return sum(a) + sum(b);
    }
    let (rows, rest) = x.as_chunks::<LANES>();
    let mut lanes = [T::zero(); LANES];
    for row in rows {
        lanes.iter_mut().zip(row).for_each(|(lane, &x)| *lane += x);
    }
    lanes.iter().chain(rest).copied().sum()
}

fn spread_over<T: Scalar>(x: &[T], spread: Spread, out: &mut [T]) {
    match spread {
        Spread::Same => out.copy_from_slice(x),
        Spread::Scalar => out.fill(x[0]),
        Spread::Suffix => out.chunks_exact_mut(x.len().max(1)).for_each(|row| row.copy_from_slice(x)),
        Spread::Prefix(_) => {
            let run = out.len().checked_div(x.len()).unwrap_or(1).max(1);
            out.chunks_exact_mut(run).zip(x).for_each(|(row, &x)| row.fill(x));
        }
    }
}

fn equal<E: PartialEq>(a: &[E], b: &[E], out: &mut [i32]) {
    for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
        *o = i32::from(a == b);
    }
}

fn cast<T: Scalar, S: Store<T>>(from: &Operand, to: &Operand, to_bool: bool, store: &mut S) {
    match (from.ints, to.ints) {
        (true, false) => store.write(to, |s, out, _| {
            out.iter_mut().zip(s.ints(from)).for_each(|(o, &x)| *o = T::of(f64::from(x)));
        }),
        (false, true) => store.write_ints(to, |s, out| {
            let convert = |x: T| if to_bool { i32::from(x != T::zero()) } else { x.wide() as i32 };
            out.iter_mut().zip(s.floats(from)).for_each(|(o, &x)| *o = convert(x));
        }),
        (true, true) => store.write_ints(to, |s, out| {
            out.iter_mut()
                .zip(s.ints(from))
                .for_each(|(o, &x)| *o = if to_bool { i32::from(x != 0) } else { x });
        }),
        (false, false) => store.write(to, |s, out, _| out.copy_from_slice(s.floats(from))),
    }
}
