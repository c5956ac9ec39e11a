//! Packing: a block of a matrix, rearranged into the order in which gemm's inner loop reads it.
//!
//! A packed block is a row of *panels*. A panel holds `width` neighbouring lanes (rows of op(A), or columns of op(B)) for
//! all `depth` steps of the sum, step by step: element (lane, p) of panel q is at `q·width·depth + p·width + lane`. The
//! last panel is filled up with zeros, so that the inner loop needs no special case.

use std::ops::Range;

use crate::Scalar;
use crate::matrix::{Bytes, DenseRows, InputRef, MatRef};

/// A matrix that gemm reads, in whatever form it comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a, T> {
    /// Plain numbers.
    Matrix(MatRef<'a, T>),
    /// Selected rows of plain numbers.
    Rows(DenseRows<'a, T>),
    /// Selected rows of bytes, with the number that each byte stands for.
    Bytes(Bytes<'a, T>, &'a [T; 256]),
}

impl<'a, T: Scalar> Source<'a, T> {
    /// Calls `body` with the rows of `x`, which are not sparse ones.
    pub(super) fn with<R>(x: InputRef<'a, T>, body: impl FnOnce(Source<'_, T>) -> R) -> R {
        match x {
            InputRef::Dense(rows) => body(Source::Rows(rows)),
            InputRef::Bytes(bytes) => {
                let table = std::array::from_fn(|byte| T::of_byte(byte as u8) / bytes.divisor());
                body(Source::Bytes(bytes, &table))
            }
            InputRef::Sparse(_) => unreachable!("sparse rows have products of their own"),
        }
    }
}

/// What the lanes of a packed matrix are in the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LanesAre {
    /// A lane is a stored row; the sum runs along it.
    Rows,
    /// A lane is a stored column; the sum runs down it.
    Columns,
}

/// How many numbers the packed form of `lanes` × `depth` takes.
#[inline(always)]
pub(super) fn packed_len(width: usize, lanes: usize, depth: usize) -> usize {
    lanes.next_multiple_of(width) * depth
}

/// Packs the given lanes and steps of `source` into panels of `width` lanes. `out` is exactly as long as they take.
#[inline(always)]
pub(super) fn pack<T: Scalar>(
    width: usize,
    source: &Source<'_, T>,
    lanes_are: LanesAre,
    lanes: Range<usize>,
    depth: Range<usize>,
    out: &mut [T],
) {
    match source {
        Source::Matrix(m) => pack_with(width, |i| m.row(i), |x| x, lanes_are, lanes, depth, out),
        Source::Rows(rows) => pack_with(width, |i| rows.row(i), |x| x, lanes_are, lanes, depth, out),
        Source::Bytes(bytes, table) => {
            pack_with(width, |i| bytes.row(i), |x| table[usize::from(x)], lanes_are, lanes, depth, out);
        }
    }
}

/// [`pack`], from stored rows and the number that a stored element stands for.
#[inline(always)]
fn pack_with<'a, T: Scalar, S: Copy + 'a>(
    width: usize,
    row: impl Fn(usize) -> &'a [S],
    number: impl Fn(S) -> T,
    lanes_are: LanesAre,
    lanes: Range<usize>,
    depth: Range<usize>,
    out: &mut [T],
) {
    assert_eq!(out.len(), packed_len(width, lanes.len(), depth.len()), "length of the packed block");
    let panel_len = width * depth.len();
    match lanes_are {
        LanesAre::Rows => {
            for (q, panel) in out.chunks_exact_mut(panel_len.max(1)).enumerate() {
                let first = lanes.start + q * width;
                for lane in 0..width {
                    // Every `width`-th place from `lane` on: the steps of this lane.
                    let places = panel[lane..].iter_mut().step_by(width);
                    if first + lane < lanes.end {
                        let stored = &row(first + lane)[depth.clone()];
                        places.zip(stored).for_each(|(place, &x)| *place = number(x));
                    } else {
                        places.for_each(|place| *place = T::zero());
                    }
                }
            }
        }
        LanesAre::Columns => {
            let whole = lanes.len() / width;
            for (p, step) in depth.enumerate() {
                let stored = &row(step)[lanes.clone()];
                let mut groups = stored.chunks_exact(width);
                for (q, group) in groups.by_ref().enumerate() {
                    let places = &mut out[q * panel_len + p * width..][..width];
                    places.iter_mut().zip(group).for_each(|(place, &x)| *place = number(x));
                }
                if !groups.remainder().is_empty() {
                    let places = &mut out[whole * panel_len + p * width..][..width];
                    places.fill(T::zero());
                    places.iter_mut().zip(groups.remainder()).for_each(|(place, &x)| *place = number(x));
                }
            }
        }
    }
}
