//! Kernels that move elements, compare them, or choose among them, and do no arithmetic.

use crate::Scalar;
use crate::ops::{Comparison, Operand as Arg};

/// out ← runs of `widths[i]` elements of the i-th part, in turn.
pub(super) fn concatenate<'a, T: Scalar>(
    parts: impl Iterator<Item = &'a [T]>,
    widths: &[usize],
    out: &mut [T],
) {
    let whole: usize = widths.iter().sum();
    let mut start = 0;
    for (part, &width) in parts.zip(widths).filter(|(_, width)| **width > 0) {
        for (to, from) in out.chunks_exact_mut(whole).zip(part.chunks_exact(width)) {
            to[start..start + width].copy_from_slice(from);
        }
        start += width;
    }
}

/// out ← `len` elements from `start` on of each run of `width` elements of x.
pub(super) fn slice_columns<T: Scalar>(x: &[T], (start, len, width): (usize, usize, usize), out: &mut [T]) {
    for (to, from) in out.chunks_exact_mut(len.max(1)).zip(x.chunks_exact(width.max(1))) {
        to.copy_from_slice(&from[start..start + len]);
    }
}

/// The other way round: out ← 0, except that each run of `len` elements of x goes to `start` of `width`.
pub(super) fn pad_columns<T: Scalar>(x: &[T], (start, len, width): (usize, usize, usize), out: &mut [T]) {
    out.fill(T::zero());
    for (to, from) in out.chunks_exact_mut(width.max(1)).zip(x.chunks_exact(len.max(1))) {
        to[start..start + len].copy_from_slice(from);
    }
}

/// out ← whether a and b are in this order.
pub(super) fn compare<T: Scalar>(comparison: Comparison, a: Arg<'_, T>, b: Arg<'_, T>, out: &mut [i32]) {
    let holds = |a: T, b: T| i32::from(comparison.holds(a, b));
    match (a, b) {
        (Arg::Slice(a), Arg::Slice(b)) => {
            out.iter_mut().zip(a).zip(b).for_each(|((o, &a), &b)| *o = holds(a, b));
        }
        (Arg::Slice(a), Arg::Splat(b)) => out.iter_mut().zip(a).for_each(|(o, &a)| *o = holds(a, b)),
        (Arg::Splat(a), Arg::Slice(b)) => out.iter_mut().zip(b).for_each(|(o, &b)| *o = holds(a, b)),
        (Arg::Splat(a), Arg::Splat(b)) => out.fill(holds(a, b)),
    }
}

/// Whether fewer than `k` of a row's scores are greater than its class's. A score of NaN is not greater than another,
/// and a class of which the score is NaN, or that there is not, is not in.
pub(super) fn in_top_k<T: Scalar>(row: &[T], class: i32, k: usize) -> bool {
    let own = usize::try_from(class).ok().and_then(|class| row.get(class)).filter(|own| !own.is_nan());
    own.is_some_and(|own| row.iter().filter(|&score| score > own).count() < k)
}
