//! Kernels that move elements, compare them, or choose among them, and do no arithmetic.

use std::ops::Range;

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

/// Which of the rows `first .. first + rows` of a tensor are among the `len` from `start` on, and where among those.
fn overlap(first: usize, rows: usize, start: usize, len: usize) -> (Range<usize>, Range<usize>) {
    let (from, to) = (first.max(start), (first + rows).min(start + len));
    let to = to.max(from);
    let among = |origin: usize| if from < to { from - origin..to - origin } else { 0..0 };
    (among(first), among(start))
}

/// The rows of `x`, which begin with row `first` of a tensor, that are among those from `start` on: to their place in
/// out. What else out holds stays.
pub(super) fn slice_rows<T: Scalar>(x: &[T], first: usize, (start, row): (usize, usize), out: &mut [T]) {
    let count = |elements: usize| elements.checked_div(row).unwrap_or(0);
    let (from, to) = overlap(first, count(x.len()), start, count(out.len()));
    out[to.start * row..to.end * row].copy_from_slice(&x[from.start * row..from.end * row]);
}

/// The other way round: out, which begins with row `first` of a tensor, becomes 0, except that rows from `start` on are
/// those of x.
pub(super) fn pad_rows<T: Scalar>(x: &[T], first: usize, (start, row): (usize, usize), out: &mut [T]) {
    let count = |elements: usize| elements.checked_div(row).unwrap_or(0);
    let (to, from) = overlap(first, count(out.len()), start, count(x.len()));
    out.fill(T::zero());
    out[to.start * row..to.end * row].copy_from_slice(&x[from.start * row..from.end * row]);
}

/// out ← a where the condition holds, b elsewhere.
pub(super) fn select<T: Scalar>(condition: &[i32], a: Arg<'_, T>, b: Arg<'_, T>, out: &mut [T]) {
    let get = |x: Arg<'_, T>, i: usize| match x {
        Arg::Slice(x) => x[i],
        Arg::Splat(x) => x,
    };
    for (i, (o, &condition)) in out.iter_mut().zip(condition).enumerate() {
        *o = get(if condition != 0 { a } else { b }, i);
    }
}

/// The largest element, NaN if one is NaN.
pub(super) fn largest<T: Scalar>(row: &[T]) -> T {
    // A NaN that was taken stays: nothing is greater than it.
    row.iter().copied().fold(T::neg_infinity(), |m, x| if x > m || x.is_nan() { x } else { m })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_two_ranges_share_are_counted_from_either() {
        assert_eq!(overlap(10, 5, 12, 2), (2..4, 0..2));
        assert_eq!(overlap(10, 5, 8, 4), (0..2, 2..4));
        assert_eq!(overlap(10, 5, 0, 100), (0..5, 10..15));
        for (start, len) in [(0, 10), (15, 3), (20, 1), (0, 0)] {
            assert_eq!(overlap(10, 5, start, len), (0..0, 0..0));
        }
    }

    #[test]
    fn the_largest_is_nan_where_there_is_one_and_infinite_where_all_are() {
        assert!(largest(&[1.0, f64::NAN, 2.0]).is_nan());
        assert!(largest(&[f64::NAN, 1.0]).is_nan());
        assert_eq!(largest(&[f64::NEG_INFINITY; 3]), f64::NEG_INFINITY);
        assert_eq!(largest(&[-2.0f64, -1.0, -3.0]), -1.0);
    }
}
