//! Lists that several threads make in parts, and all of them read.

use std::ops::Range;

use super::super::vector::ask_for;
use super::panels_of_columns;
use super::transpose::TILE;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::Scalar;
use crate::matrix::{Head, Maker, Prepared, SparseRows};

/// One of `parts` nearly equal parts of a range.
fn share(whole: Range<usize>, (part, parts): (usize, usize)) -> Range<usize> {
    let at = |part: usize| whole.start + whole.len() * part / parts;
    at(part)..at(part + 1)
}

/// A part of the lists: those by row of some panels of columns, and those by column of some tiles of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) panels: Range<usize>,
    pub(super) tiles: Range<usize>,
}

impl Part {
    /// All there is of so many columns.
    pub(super) fn whole(columns: usize) -> Self {
        Self { panels: 0..panels_of_columns(columns).0, tiles: 0..columns.div_ceil(TILE) }
    }

    /// One of some parts. If they are enough, half of them are lists by row (but no more than there are panels), and each of these is followed
    /// by lists by column of the same columns: a thread that makes both finds the bytes in its caches.
    fn of(columns: usize, (number, parts): (usize, usize), backward: bool) -> Self {
        let Self { panels, tiles } = Self::whole(columns);
        let groups = (parts / 2).min(panels.len());
        if !backward || groups == 0 {
            let part = (number, parts);
            return Self { panels: share(panels, part), tiles: share(tiles, part) };
        }
        let of_group = |group: usize| share(0..parts, (group, groups));
        let Some(group) = (0..groups).find(|&group| of_group(group).contains(&number)) else {
            unreachable!("part {number} of {parts}")
        };
        let (own, panels, tiles) =
            (of_group(group), share(panels, (group, groups)), share(tiles, (group, groups)));
        match number - own.start {
            0 => Self { panels, tiles: tiles.start..tiles.start },
            next => {
                Self { panels: panels.start..panels.start, tiles: share(tiles, (next - 1, own.len() - 1)) }
            }
        }
    }

    /// The columns that are read: those of the panels, or else those of the tiles.
    pub(super) fn columns(&self, columns: usize) -> Range<usize> {
        let (count, panel, _) = panels_of_columns(columns);
        let Self { panels, tiles } = self;
        if panels.is_empty() {
            tiles.start * TILE..(tiles.end * TILE).min(columns)
        } else {
            panels.start * panel..if panels.end == count { columns } else { panels.end * panel }
        }
    }
}

impl Maker {
    /// Makes a part of the lists for several threads: by row, and by column for the way back.
    pub(in super::super) fn make_part<T: Scalar>(
        &mut self,
        x: &SparseRows<'_, T>,
        part: (usize, usize),
        backward: bool,
        made: &mut Prepared,
    ) {
        let alone = part.1 == 1;
        let part = Part::of(x.data().cols(), part, backward);
        self.make_by_row(x, &part, false);
        if backward {
            self.make_by_column(x, &part, false);
        }
        if alone {
            // Nobody else will read them.
            std::mem::swap(&mut self.by_row.lists, &mut made.by_row);
            std::mem::swap(&mut self.by_column.lists, &mut made.by_column);
        } else {
            self.by_row.lists.hand_out(&mut made.by_row, copy_out, copy_out);
            if backward {
                self.by_column.lists.hand_out(&mut made.by_column, copy_out, copy_out);
            }
            #[cfg(target_arch = "x86_64")]
            x86::end_copies();
        }
        ask_for_next(x, &part);
    }
}

/// Asks for the bytes of the rows that are likely to be selected next, as far as this part of their lists will be made of them. It is
/// much for a thread to wait for at once, but nothing waits for it now. (Measured: without it a step of 50 rows takes 2 µs more, of 112.)
fn ask_for_next<T: Scalar>(x: &SparseRows<'_, T>, part: &Part) {
    let columns = part.columns(x.data().cols());
    x.next().iter().for_each(|&row| ask_for(&x.any_padded_row(row as usize)[columns.clone()]));
}

/// to ← from, past the caches where there is a way; [`end_copies`](x86::end_copies) comes after the last.
fn copy_out<T: Copy + Solid>(from: &[T], to: &mut Vec<T>) {
    to.clear();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `make_part`, the only caller, ends its copies before it returns.
    unsafe {
        x86::copy_out(from, to)
    };
    #[cfg(not(target_arch = "x86_64"))]
    to.extend_from_slice(from);
}

/// Types without a byte that may be unwritten.
///
/// # Safety
/// There must be none between, before or after the fields.
pub(super) unsafe trait Solid {}

// SAFETY: a byte.
unsafe impl Solid for u8 {}
// SAFETY: four bytes, then two numbers of four.
unsafe impl Solid for Head {}
const _: () = assert!(size_of::<Head>() == 4 + 2 * size_of::<u32>());
