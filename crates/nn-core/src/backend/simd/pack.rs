//! Packing: a block of a matrix, rearranged into the order in which gemm's inner loop reads it.
//!
//! A packed block is a row of *panels*. A panel holds `width` neighbouring lanes (rows of op(A), or columns of op(B)) for
//! all `depth` steps of the sum, step by step: element (lane, p) of panel q is at `q·width·depth + p·width + lane`. The
//! last panel is filled up with zeros, so that the inner loop needs no special case.

use std::ops::Range;

use crate::Scalar;
use crate::matrix::{DenseRows, MatRef};

/// Steps that are packed together: as many numbers as a vector of AVX2 holds, and whole cache lines of any panel.
const STEPS: usize = 8;

/// Most lanes of a panel (AVX-512 with `f32`: 32 columns of B).
const MAX_WIDTH: usize = 32;

/// A matrix that gemm reads, in whatever form it comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a, T> {
    /// Plain numbers.
    Matrix(MatRef<'a, T>),
    /// Selected rows of plain numbers, which don't follow each other.
    Rows(DenseRows<'a, T>),
}

impl<'a, T: Scalar> From<DenseRows<'a, T>> for Source<'a, T> {
    /// Rows that follow each other are a matrix, the only one of which the columns may lie in blocks.
    fn from(rows: DenseRows<'a, T>) -> Self {
        rows.view().map_or(Self::Rows(rows), Self::Matrix)
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
///
/// Inlined, so that `width` is a number that the compiler knows; not into tests, which have a dozen widths to compile.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
pub(super) fn pack<T: Scalar>(
    width: usize,
    source: &Source<'_, T>,
    lanes_are: LanesAre,
    lanes: Range<usize>,
    depth: Range<usize>,
    out: &mut [T],
) {
    match source {
        Source::Matrix(m) if !m.is_plain() => pack_blocked(width, m, lanes_are, lanes, depth, out),
        Source::Matrix(m) => pack_with(width, |i| m.row(i), lanes_are, lanes, depth, out),
        Source::Rows(rows) => pack_with(width, |i| rows.row(i), lanes_are, lanes, depth, out),
    }
}

/// [`pack`], from a matrix in blocks of columns.
fn pack_blocked<T: Scalar>(
    width: usize,
    m: &MatRef<'_, T>,
    lanes_are: LanesAre,
    lanes: Range<usize>,
    depth: Range<usize>,
    out: &mut [T],
) {
    assert_eq!(out.len(), packed_len(width, lanes.len(), depth.len()), "length of the packed block");
    let panel_len = (width * depth.len()).max(1);
    for (panel, first) in out.chunks_exact_mut(panel_len).zip(lanes.clone().step_by(width)) {
        let count = width.min(lanes.end - first);
        if count < width {
            panel.fill(T::zero());
        }
        match lanes_are {
            LanesAre::Rows => {
                for lane in 0..count {
                    let mut places = panel[lane..].iter_mut().step_by(width);
                    let mut p = depth.start;
                    while p < depth.end {
                        let run = m.run(first + lane, p);
                        let run = &run[..run.len().min(depth.end - p)];
                        places.by_ref().take(run.len()).zip(run).for_each(|(place, &x)| *place = x);
                        p += run.len();
                    }
                }
            }
            LanesAre::Columns => {
                for (places, p) in panel.chunks_exact_mut(width).zip(depth.clone()) {
                    let mut lane = 0;
                    while lane < count {
                        let run = m.run(p, first + lane);
                        let run = &run[..run.len().min(count - lane)];
                        copy(run, &mut places[lane..lane + run.len()]);
                        lane += run.len();
                    }
                }
            }
        }
    }
}

/// to ← from, which is about as long as a panel is wide: in pieces of a length that the compiler knows, without the call that copies any number.
fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<STEPS>(), to.as_chunks_mut::<STEPS>());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
}

/// [`pack`], from stored rows.
#[inline(always)]
fn pack_with<'a, T: Scalar>(
    width: usize,
    row: impl Fn(usize) -> &'a [T],
    lanes_are: LanesAre,
    lanes: Range<usize>,
    depth: Range<usize>,
    out: &mut [T],
) {
    assert_eq!(out.len(), packed_len(width, lanes.len(), depth.len()), "length of the packed block");
    let panel_len = width * depth.len();
    if panel_len == 0 {
        return;
    }
    match lanes_are {
        LanesAre::Rows => {
            for (panel, first) in out.chunks_exact_mut(panel_len).zip(lanes.clone().step_by(width)) {
                let count = width.min(lanes.end - first);
                if count < width {
                    panel.fill(T::zero());
                }
                let mut rows: [&[T]; MAX_WIDTH] = [&[]; MAX_WIDTH];
                for (lane, stored) in rows.iter_mut().enumerate().take(count) {
                    *stored = &row(first + lane)[depth.clone()];
                }
                // A transposition, a few steps of all lanes at a time.
                for (places, start) in panel.chunks_mut(STEPS * width).zip((0..).step_by(STEPS)) {
                    if places.len() == STEPS * width && count == width {
                        for lane in 0..width {
                            let stored = &rows[lane][start..start + STEPS];
                            for p in 0..STEPS {
                                places[p * width + lane] = stored[p];
                            }
                        }
                    } else {
                        for (lane, stored) in rows.iter().enumerate().take(count) {
                            for (places, &x) in places.chunks_exact_mut(width).zip(&stored[start..]) {
                                places[lane] = x;
                            }
                        }
                    }
                }
            }
        }
        LanesAre::Columns => {
            // A few steps of one panel after the other, so that whole cache lines of it are written at once.
            let whole = lanes.len() / width;
            for start in (0..depth.len()).step_by(STEPS) {
                let count = STEPS.min(depth.len() - start);
                let mut rows: [&[T]; STEPS] = [&[]; STEPS];
                for (p, stored) in rows.iter_mut().enumerate().take(count) {
                    *stored = &row(depth.start + start + p)[lanes.clone()];
                }
                for (q, panel) in out.chunks_exact_mut(panel_len).enumerate() {
                    let places = panel[start * width..(start + count) * width].chunks_exact_mut(width);
                    if q < whole {
                        for (places, stored) in places.zip(rows) {
                            let stored = &stored[q * width..(q + 1) * width];
                            places.copy_from_slice(stored);
                        }
                    } else {
                        for (places, stored) in places.zip(rows) {
                            places.fill(T::zero());
                            let stored = &stored[q * width..];
                            places[..stored.len()].copy_from_slice(stored);
                        }
                    }
                }
            }
        }
    }
}
