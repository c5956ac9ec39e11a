//! Goes through the lists of pairs: a panel's rows are added to two sums at a time, and what becomes of these is their target's affair.

use super::pair_sums::{Panel, Target, blocks, place_of};
use super::pairs::block_columns;
use super::vector::{Element, Grid, On, Vector};
use crate::matrix::{Head, Listed, PairLists};

/// Adds what panel `p` contributes to the lines of `target`; or, if `fresh`, begins with it.
#[inline(always)]
pub(super) fn gather_panel<V: Vector, G: Grid<V>, T: Target<V, G>>(
    on: On<V>,
    lists: &PairLists,
    p: usize,
    values: &[V::T],
    panel: Panel<'_, V::T>,
    target: &mut T,
    fresh: bool,
) {
    let (width, part, blocks) = (block_columns::<V::T>(), G::COLS * V::LANES, blocks::<V, G>());
    let Listed { heads, full, stream } = lists.of_panel(p);
    // A pair without entries begins with zeros, and else adds nothing.
    let resting = if fresh && T::RESTS { &heads[full..] } else { &[] };
    let heads = if (fresh && !T::RESTS) || T::COMPLETES { heads } else { &heads[..full] };
    assert!(values.len() > u8::MAX as usize, "a value for every byte");
    assert!(target.lines() == lists.lines() && target.blocks() == blocks, "lines of the target");
    let span = (blocks - 1) * panel.apart + width;
    assert!(
        panel.height > 0 && (panel.height - 1) * panel.stride + span <= panel.rows.len(),
        "rows of the panel"
    );
    assert!((blocks * width).is_multiple_of(part) && panel.height == lists.height(p), "places of the panel");
    for c in (0..blocks * width).step_by(part) {
        let from = Gathered {
            values: values.as_ptr(),
            rows: panel.rows.as_ptr().wrapping_add(c),
            stride: panel.stride,
            apart: panel.apart,
        };
        let mut at = stream.as_ptr();
        let mut behind = Behind { target: &mut *target, done: None };
        for &head in heads {
            // SAFETY: `on` proves the instructions. The lines are lines of the target (heads name no others), and `part` columns from `c`
            // on are within its blocks; the places are below the height that the lists were made for, which is the panel's, and the
            // stream holds what the heads say, and a byte more.
            unsafe {
                let place = behind.target.place(head.lines, c);
                let mut sums = G::filled(on.zero());
                if !fresh {
                    sums = behind.target.load(on, place);
                }
                at = gather(on, head, at, from, &mut sums, &mut behind);
                behind.store(on, sums, place);
            }
        }
        // SAFETY: likewise.
        unsafe { behind.finish(on) };
        for &head in resting {
            // SAFETY: likewise.
            unsafe {
                let place = target.place(head.lines, c);
                target.rest(on, place);
            }
        }
    }
}

/// A target whose last sums may still wait for what becomes of them.
///
/// A CPU carries out instructions before earlier ones are done, but only so many: on Zen 4, 320 of all kinds, and 160 that write a vector.
/// Adam's formula for two lines of sums has 200, in which the divider is busy for 128 cycles; so hardly anything of the next pair's products,
/// which keep the other units busy as long, is done meanwhile. With one line's formula after the entries that both of the next lines have,
/// and the other's after the rest, both kinds of work are at hand for longer.
struct Behind<'t, G, T, P> {
    target: &'t mut T,
    done: Option<(G, P)>,
}

impl<G: Copy, T, P: Copy> Behind<'_, G, T, P> {
    /// What becomes of a line of the sums before these.
    ///
    /// # Safety
    /// Whatever was stored must have a place of the target.
    #[inline(always)]
    unsafe fn store_line<V: Vector>(&mut self, on: On<V>, line: usize)
    where
        G: Grid<V>,
        T: Target<V, G, Place = P>,
    {
        if let Some((sums, place)) = self.done {
            // SAFETY: as the caller promises.
            unsafe { self.target.store_line(on, line, sums, place) }
        }
    }

    /// Stores sums, now or while the next ones are formed.
    ///
    /// # Safety
    /// The place must be one of the target, and both lines of the sums before these must have been stored.
    #[inline(always)]
    unsafe fn store<V: Vector>(&mut self, on: On<V>, sums: G, place: P)
    where
        G: Grid<V>,
        T: Target<V, G, Place = P>,
    {
        if T::LATE {
            self.done = Some((sums, place));
        } else {
            // SAFETY: as the caller promises.
            unsafe { self.target.store(on, sums, place) }
        }
    }

    /// Stores what was left for later.
    ///
    /// # Safety
    /// As for [`store_line`](Self::store_line).
    #[inline(always)]
    unsafe fn finish<V: Vector>(self, on: On<V>)
    where
        G: Grid<V>,
        T: Target<V, G, Place = P>,
    {
        if let Some((sums, place)) = self.done {
            // SAFETY: as the caller promises.
            unsafe { self.target.store(on, sums, place) }
        }
    }
}

/// What lists are gathered from.
#[derive(Clone, Copy)]
struct Gathered<T> {
    /// The value of each byte.
    values: *const T,
    /// A column of a panel.
    rows: *const T,
    /// From one row to the next.
    stride: usize,
    /// From one block of columns to the next.
    apart: usize,
}

impl<T: Element> Gathered<T> {
    /// The row and the value of an entry.
    ///
    /// # Safety
    /// As [`gather_panel`] says.
    #[inline(always)]
    unsafe fn row_and_value<V: Vector<T = T>>(&self, entry: usize) -> (*const T, V) {
        // SAFETY: there is a value for every byte.
        let value = unsafe { V::splat(*self.values.add(entry & 0xff)) };
        (self.rows.wrapping_add((entry >> 8 & 0xff) * self.stride), value)
    }

    /// Adds entries that both lines have.
    ///
    /// # Safety
    /// As [`gather_panel`] says.
    #[inline(always)]
    unsafe fn add_to_both<V: Vector<T = T>, G: Grid<V>>(
        &self,
        mut at: *const u8,
        end: *const u8,
        sums: &mut G,
    ) {
        // SAFETY: see above.
        unsafe {
            while at != end {
                let entry = u32::from_le(at.cast::<u32>().read_unaligned()) as usize;
                let ((row, a), b) =
                    (self.row_and_value::<V>(entry), V::splat(*self.values.add(entry >> 16 & 0xff)));
                for s in 0..G::COLS {
                    let w = V::load(row.add(place_of::<V>(s, self.apart)));
                    sums[0][s] = a.mul_add(w, sums[0][s]);
                    sums[1][s] = b.mul_add(w, sums[1][s]);
                }
                at = at.add(3);
            }
        }
    }

    /// Adds entries that line `of` has alone.
    ///
    /// # Safety
    /// As [`gather_panel`] says.
    #[inline(always)]
    unsafe fn add_to_one<V: Vector<T = T>, G: Grid<V>>(
        &self,
        mut at: *const u8,
        end: *const u8,
        of: usize,
        sums: &mut G,
    ) {
        // SAFETY: see above.
        unsafe {
            while at != end {
                let entry = u16::from_le(at.cast::<u16>().read_unaligned()) as usize;
                let (row, alone) = self.row_and_value::<V>(entry);
                for s in 0..G::COLS {
                    let w = V::load(row.add(place_of::<V>(s, self.apart)));
                    sums[of][s] = alone.mul_add(w, sums[of][s]);
                }
                at = at.add(2);
            }
        }
    }
}

/// sums ← sums + Σ value · row, for two sums at once, and meanwhile what becomes of those before them. Returns where the next lists begin.
///
/// How a pair begins counts as much as its entries: what is added to it waits for that, and many pairs have but ten entries.
///
/// # Safety
/// As [`gather_panel`] says.
#[inline(always)]
unsafe fn gather<V: Vector, G: Grid<V>, T: Target<V, G>>(
    on: On<V>,
    head: Head,
    lists: *const u8,
    from: Gathered<V::T>,
    sums: &mut G,
    behind: &mut Behind<'_, G, T, T::Place>,
) -> *const u8 {
    // SAFETY: see above.
    unsafe {
        let first = lists.add(3 * head.both as usize);
        from.add_to_both(lists, first, sums);
        behind.store_line(on, 0);
        let second = first.add(2 * head.first as usize);
        from.add_to_one(first, second, 0, sums);
        let end = second.add(2 * head.second as usize);
        from.add_to_one(second, end, 1, sums);
        behind.store_line(on, 1);
        end
    }
}
