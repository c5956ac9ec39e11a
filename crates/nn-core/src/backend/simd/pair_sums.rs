//! Sums of rows of a panel, two at a time, in registers: what [`pairs`](super::pairs) multiplies by.

use std::marker::PhantomData;

use super::pairs::{MAX_BLOCK, block_columns};
use super::vector::{Element, Grid, On, Vector};
use crate::matrix::{Head, Listed, MatMut, MatRef, NO_LINE, PairLists};
use crate::ops::Activation;

/// Where vector `s` of a line is, from the line's beginning on, if its blocks of columns are `apart`.
#[inline(always)]
fn place_of<V: Vector>(s: usize, apart: usize) -> usize {
    let at = s * V::LANES;
    at / block_columns::<V::T>() * apart + at % block_columns::<V::T>()
}

/// Blocks of columns that a pair of sums reaches over.
pub(super) const fn blocks<V: Vector, G: Grid<V>>() -> usize {
    (G::COLS * V::LANES).div_ceil(block_columns::<V::T>())
}

/// Rows of a whole block of columns, `stride` numbers apart; or of two blocks, the second of which is `apart` from the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel<'a, T> {
    rows: &'a [T],
    stride: usize,
    apart: usize,
    pub(super) height: usize,
}

/// Rows `first .. first + height` of a strip: where they are, if they are of the `width` of a block, or a copy. Two blocks are always
/// where they are.
pub(super) fn panel<'a, T: Element>(
    strip: &MatRef<'a, T>,
    first: usize,
    height: usize,
    width: Option<usize>,
    copy: &'a mut [T],
) -> Panel<'a, T> {
    if width.is_some() {
        let (stride, apart) = (strip.stride(), strip.block_stride());
        return Panel { rows: strip.row_range(first, height).as_slice(), stride, apart, height };
    }
    assert!(strip.is_plain(), "rows of one block to copy");
    let width = block_columns::<T>();
    for (i, row) in copy.chunks_exact_mut(width).enumerate().take(height) {
        row[..strip.cols()].copy_from_slice(strip.row(first + i));
    }
    Panel { rows: copy, stride: width, apart: 0, height }
}

/// Where sums are kept from panel to panel, or what becomes of them. A line is a row of as many numbers as a block, or two, have
/// columns; two lines, and of them as many columns as a pair of sums holds, are at hand at a time.
///
/// # Safety
/// There must be as many lines as `lines` says, of as many blocks as `blocks` says.
pub(super) unsafe trait Target<V: Vector, G: Grid<V>> {
    /// Two lines, from some column on.
    type Place: Copy;

    /// Whether what is stored is more than the sums, so that lines without entries count, too.
    const COMPLETES: bool = false;

    /// Whether lines whose sums are to begin, but have no entries, are for [`rest`](Self::rest).
    const RESTS: bool = false;

    /// Whether what becomes of sums takes so long that it is done line by line, between the lists of the next pair.
    const LATE: bool = false;

    /// How many lines there are.
    fn lines(&self) -> usize;

    /// How many blocks of columns a line has.
    fn blocks(&self) -> usize {
        1
    }

    /// Two lines, the second of which may be [`NO_LINE`], from column `c` on.
    ///
    /// # Safety
    /// There must be such lines and columns.
    unsafe fn place(&mut self, lines: [u32; 2], c: usize) -> Self::Place;

    /// The sums so far.
    ///
    /// # Safety
    /// The place must be one of this target.
    unsafe fn load(&self, on: On<V>, from: Self::Place) -> G;

    /// The same sums, with a panel's entries added.
    ///
    /// # Safety
    /// The place must be one of this target.
    unsafe fn store(&mut self, on: On<V>, sums: G, to: Self::Place);

    /// What `store` does with one of the two lines, 0 and then 1.
    ///
    /// # Safety
    /// The place must be one of this target.
    #[inline(always)]
    unsafe fn store_line(&mut self, on: On<V>, line: usize, sums: G, to: Self::Place) {
        if line == 1 {
            // SAFETY: as the caller promises.
            unsafe { self.store(on, sums, to) }
        }
    }

    /// What `store` does with sums that are 0.
    ///
    /// # Safety
    /// The place must be one of this target.
    #[inline(always)]
    unsafe fn rest(&mut self, on: On<V>, at: Self::Place) {
        // SAFETY: as the caller promises.
        unsafe { self.store(on, G::filled(on.zero()), at) }
    }
}

/// Lines of a matrix that is a block of columns, or two of them.
pub(super) struct Lines<'a, T> {
    start: *mut T,
    lines: usize,
    stride: usize,
    blocks: usize,
    /// From one block to the next.
    apart: usize,
    /// The partner of the last of an odd number.
    nowhere: [T; MAX_BLOCK],
    matrix: PhantomData<&'a mut [T]>,
}

impl<'a, T: Element> Lines<'a, T> {
    pub(super) fn new(matrix: &'a mut MatMut<'_, T>) -> Self {
        let (lines, stride, apart) = (matrix.rows(), matrix.stride(), matrix.block_stride());
        assert!(matrix.block_cols() == block_columns::<T>(), "lines of blocks");
        let blocks = matrix.cols() / matrix.block_cols();
        let start = matrix.as_mut_slice().as_mut_ptr();
        let nowhere = [T::default(); MAX_BLOCK];
        Self { start, lines, stride, blocks, apart, nowhere, matrix: PhantomData }
    }
}

// SAFETY: the matrix has them.
unsafe impl<V: Vector, G: Grid<V>> Target<V, G> for Lines<'_, V::T> {
    /// Where the two lines are, and how far the next block of either is.
    type Place = [(*mut V::T, usize); 2];

    fn lines(&self) -> usize {
        self.lines
    }

    fn blocks(&self) -> usize {
        self.blocks
    }

    #[inline(always)]
    unsafe fn place(&mut self, [a, b]: [u32; 2], c: usize) -> Self::Place {
        // Chosen are a base and numbers, not one of two pointers: else the compiler chooses anew for each vector.
        let none = b == NO_LINE;
        let (base, b, apart) =
            if none { (self.nowhere.as_mut_ptr(), 0, 0) } else { (self.start, b, self.apart) };
        let line = |base: *mut V::T, line: u32| base.wrapping_add(line as usize * self.stride + c);
        [(line(self.start, a), self.apart), (line(base, b), apart)]
    }

    #[inline(always)]
    unsafe fn load(&self, on: On<V>, from: Self::Place) -> G {
        let mut sums = G::filled(on.zero());
        let [(a, a_apart), (b, b_apart)] = from;
        for s in 0..G::COLS {
            // SAFETY: there are so many numbers, as the caller promises.
            unsafe {
                sums[0][s] = V::load(a.add(place_of::<V>(s, a_apart)));
                sums[1][s] = V::load(b.add(place_of::<V>(s, b_apart)));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(&mut self, _: On<V>, sums: G, to: Self::Place) {
        let [(a, a_apart), (b, b_apart)] = to;
        for s in 0..G::COLS {
            // SAFETY: there are so many numbers, as the caller promises. (What belongs nowhere lies one block upon the other.)
            unsafe {
                sums[0][s].store(a.add(place_of::<V>(s, a_apart)));
                sums[1][s].store(b.add(place_of::<V>(s, b_apart)));
            }
        }
    }
}

/// Lines of a matrix that get f(sum + bias) instead of a last sum.
///
/// There, in registers, the function costs less than in a pass of its own: its steps overlap with the beginning of the next sums.
pub(super) struct Activated<'a, 'm, T> {
    pub(super) lines: &'a mut Lines<'m, T>,
    pub(super) f: Activation,
    pub(super) bias: &'a [T; MAX_BLOCK],
}

// SAFETY: as its lines.
unsafe impl<V: Vector> Target<V, V::Pair> for Activated<'_, '_, V::T> {
    /// Where the lines are, and from which column on.
    type Place = ([(*mut V::T, usize); 2], usize);

    const COMPLETES: bool = true;

    fn lines(&self) -> usize {
        self.lines.lines
    }

    #[inline(always)]
    unsafe fn place(&mut self, lines: [u32; 2], c: usize) -> Self::Place {
        // SAFETY: the caller promises what the lines ask for.
        (unsafe { Target::<V, V::Pair>::place(self.lines, lines, c) }, c)
    }

    #[inline(always)]
    unsafe fn load(&self, on: On<V>, (from, _): Self::Place) -> V::Pair {
        // SAFETY: as above.
        unsafe { self.lines.load(on, from) }
    }

    #[inline(always)]
    unsafe fn store(&mut self, on: On<V>, sums: V::Pair, (to, c): Self::Place) {
        // SAFETY: `c` is a column of a block, from which on a pair's columns follow; the rest as above.
        unsafe {
            let bias = self.bias.as_ptr().add(c);
            // One way for each function, with nothing left to decide within.
            let y = match self.f {
                Activation::Linear => activate(on, Activation::Linear, sums, bias),
                Activation::Tanh => activate(on, Activation::Tanh, sums, bias),
                Activation::Relu => activate(on, Activation::Relu, sums, bias),
                Activation::Sigmoid => activate(on, Activation::Sigmoid, sums, bias),
            };
            self.lines.store(on, y, to);
        }
    }
}

/// f(sums + bias) of two lines.
///
/// # Safety
/// There must be a bias for each column.
#[inline(always)]
unsafe fn activate<V: Vector>(on: On<V>, f: Activation, mut sums: V::Pair, bias: *const V::T) -> V::Pair {
    for s in 0..V::Pair::COLS {
        // SAFETY: see above.
        let bias = unsafe { V::load(bias.add(s * V::LANES)) };
        sums[0][s] = on.activation(f, sums[0][s].add(bias));
        sums[1][s] = on.activation(f, sums[1][s].add(bias));
    }
    sums
}

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
