//! C ← f(α op(A) op(B) + β C): the five loops around the register tile, as in Goto and van de Geijn, "Anatomy of
//! high-performance matrix multiplication" (2008).

use super::caches::caches;
use super::few::{self, Dots, Outer};
use super::finish::Finish;
use super::gemv::OfOneRow;
use super::pack::{LanesAre, Source, pack, packed_len};
use super::reversed::{self, Reversed};
use super::tile::{self, Lanes, MAX_TILE, STEPS_OF_A, Steps, To};
use super::vector::{Element, Kernel, LINE, On, Runner, Vector};
use crate::matrix::{MatMut, MatRef, Scratch};
use crate::ops::{Gemm, GemmParts, Trans};

/// Most steps of the sum in one block (KC). A panel of B of this depth (32 columns of `f32`: 128 KiB) stays in the L2 cache
/// while all rows of A pass by, and no sum of a layer of usual size is interrupted. It decides how sums are rounded, so it is
/// the same on every machine.
const DEPTH: usize = 1024;

/// In blocks of how many steps a longer sum is cut: where A's columns come in blocks, these are whole ones.
pub(super) const DEPTH_UNIT: usize = 64;

/// Fewest steps of a block that is not all of the sum. (Chosen: with fewer, loading and storing C takes a tile longer than a block.)
const MIN_DEPTH: usize = 128;

/// Vectors of sums that are under way together where there are enough: as many as it takes to hide how long a multiply-add takes, 4
/// cycles on Zen 2 to Zen 4 and since Skylake, on the one unit for 512 bits that Zen 4 and many of Intel's have.
pub(super) const CHAINS: usize = 4;

/// Most columns in one block of B (NC): with KC steps of `f32` 16 MB, a share of the L3 cache.
const COLUMNS: usize = 4096;

/// With so few panels of A, B is read where it is even if it is row-major: packing it would take longer than it saves.
const FEW_PANELS: usize = 2;

/// With so many panels of A, it pays to copy a panel of B even out of a wider block: in one piece, it falls evenly on the L1 cache's sets.
/// (Measured on Zen 4, AVX-512, blocks of two panels: 56 panels of A, in dW of 784 inputs, take 2 % less, 18 of a shard 2 % more.)
const MANY_PANELS: usize = 32;

/// Where the tile's rows are columns of a stored A and fewer bytes of each than this, most of every cache line goes unused:
/// they are packed. (Measured: 24 bytes on AVX2 gain a sixth by it, 56 on AVX-512 lose a twentieth.)
const NARROW_BYTES: usize = 48;

/// For so many panels of B, it pays to pack columns of a stored A. (Measured on Granite Rapids with 48 KiB of L1 cache, 784 inputs and 252 rows.)
const MANY_PANELS_OF_B: usize = 4;

/// A product to be carried out. Its maker has checked that the shapes fit; a wrong one panics, it does no harm.
#[derive(Debug)]
pub(super) struct Product<'a, T> {
    pub(super) alpha: T,
    pub(super) a: Source<'a, T>,
    pub(super) ta: Trans,
    pub(super) b: MatRef<'a, T>,
    pub(super) tb: Trans,
    pub(super) beta: T,
    pub(super) c: MatMut<'a, T>,
    /// op(A)'s columns, op(B)'s rows.
    pub(super) k: usize,
    pub(super) finish: Finish<'a, T>,
    /// What A will probably be next time, to be asked for before this is done.
    pub(super) later: Option<MatRef<'a, T>>,
    pub(super) scratch: &'a mut Scratch<T>,
}

impl<'a, T: Element> Product<'a, T> {
    /// From a checked gemm.
    pub(super) fn new(gemm: Gemm<'a, T>, finish: Finish<'a, T>, scratch: &'a mut Scratch<T>) -> Self {
        let k = gemm.k();
        let GemmParts { alpha, a, ta, b, tb, beta, c } = gemm.into_parts();
        Self { alpha, a: Source::Matrix(a), ta, b, tb, beta, c, k, finish, later: None, scratch }
    }
}

/// `total` cut into as few equal pieces of at most `most` as it takes; the length of a piece, a multiple of `unit`.
pub(super) fn piece(total: usize, most: usize, unit: usize) -> usize {
    let pieces = total.div_ceil(most.max(unit)).max(1);
    total.div_ceil(pieces).next_multiple_of(unit).max(1)
}

/// Steps of the sum in one block, KC. It decides how sums are rounded, so that it depends on the sizes alone, and of those on k and n,
/// so that a row has the same bits alone and among others.
///
/// A single row of A whose sums are fewer than [`CHAINS`] vectors is cut into so many blocks more, which `gemv` adds up at the same time.
pub(super) fn depth_of_block<V: Vector>(ta: Trans, k: usize, n: usize) -> usize {
    let blocks = match n.div_ceil(V::LANES) {
        _ if ta == Trans::Yes => 1,
        0 | 1 if k >= CHAINS * MIN_DEPTH => CHAINS,
        0..=2 if k >= CHAINS / 2 * MIN_DEPTH => CHAINS / 2,
        _ => 1,
    };
    if blocks == 1 && k <= DEPTH {
        return k.max(1);
    }
    // Columns that are no whole number of units don't come in blocks.
    let unit = if blocks == 1 || k.is_multiple_of(DEPTH_UNIT) { DEPTH_UNIT } else { 1 };
    piece(k, DEPTH.min(k.div_ceil(blocks)), unit)
}

/// Carries out a product by the kernel that is for such sizes. Each is compiled by itself: what a product of one row takes is little more
/// than to get in and out of the function that it is done in.
pub(super) fn product<T: Element>(on: &impl Runner<T>, product: Product<'_, T>) {
    if product.c.rows() == 1 && product.tb == Trans::No {
        on.run(OfOneRow(product));
    } else if few::is_outer(&product) {
        on.run(Outer(product));
    } else if few::is_dots(&product) {
        on.run(Dots(product));
    } else if reversed::is_for(&product) {
        on.run(Reversed(product));
    } else {
        on.run(product);
    }
}

impl<T: Element> Kernel<T> for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        let (m, n, k) = (self.c.rows(), self.c.cols(), self.k);
        let (mr, nr) = (tile::rows::<V>(), tile::columns::<V>());
        let nc = piece(n, COLUMNS, nr);
        let kc = depth_of_block::<V>(self.ta, k, n);
        // A's panels stay in most of the L2 cache while B passes by; where B may be larger than all caches, in all of it, so that a
        // shard of 252 rows is not cut, for each half of which B would have to come from memory.
        let l2 = if self.ta == Trans::No { caches().l2 } else { caches().l2 / 8 * 7 };
        let mc = piece(m, l2 / size_of::<T>() / kc / mr * mr, mr);
        let panels = m.div_ceil(mr);
        let in_place =
            panels <= FEW_PANELS || !self.b.is_plain() && (panels < MANY_PANELS || self.b.block_cols() == nr);
        let a = Rows { source: self.a, trans: self.ta };
        let b = Columns { matrix: self.b, trans: self.tb, direct: in_place };
        let packed = !a.is_direct() || self.ta == Trans::Yes && columns_are_packed::<T>((mr, nr), n, kc);
        let mut a_block = self.scratch.take(if packed { packed_len(mr, mc.min(m), kc) } else { mr * kc });
        let mut b_block = self.scratch.take(nr * kc);
        let mut sums = [V::T::default(); MAX_TILE];
        // Of what comes later so much for each tile that all of it is asked for while the last quarter of B passes by: what came before would
        // not be there any more. (Measured on Emerald Rapids, dW of 784 inputs with X in memory: 7 % less time; in the second half, 4 %.)
        let mut later = self.later.and_then(|later| later.contiguous()).unwrap_or(&[]);
        let later_piece = (later.len() / nr).div_ceil((n / 4 / nr).max(1) * panels.max(1)) * nr;

        // Loop 5: blocks of NC columns of B and C.
        for j0 in (0..n).step_by(nc) {
            // Loop 4: blocks of KC steps of the sum. With k = 0 it is one empty block, which still scales C.
            for p0 in (0..k.max(1)).step_by(kc) {
                let steps = p0..(p0 + kc).min(k);
                let beta = if p0 == 0 { self.beta } else { T::one() };
                let finish = if steps.end == k { self.finish } else { Finish::Nothing };
                // Loop 3: blocks of MC rows of A and C.
                for i0 in (0..m).step_by(mc) {
                    let rows = i0..(i0 + mc).min(m);
                    let mut out = Out { alpha: self.alpha, beta, finish, c: &mut self.c };
                    if packed {
                        let a_block = &mut a_block[..packed_len(mr, rows.len(), steps.len())];
                        pack(mr, &a.source, a.lanes_are(), rows.clone(), steps.clone(), a_block);
                    }
                    // Loop 2: panels of NR columns of B, none of which lies in two blocks of a matrix.
                    let mut j = j0;
                    while j < (j0 + nc).min(n) {
                        let columns = j..(j + out.columns_from(j).min(b.columns_from(j)).min(nr)).min(n);
                        let narrow = columns.len() <= V::LANES;
                        let width = if narrow { V::LANES } else { nr };
                        let mut b_panel = b.panel(&columns, &steps, width, &mut b_block);
                        let next = b.ready(columns.end..(columns.end + nr).min(j0 + nc).min(n), &steps);
                        let mut ahead = 0..steps.len();
                        let piece = steps.len().div_ceil(rows.len().div_ceil(mr));
                        // Loop 1: panels of MR rows of A.
                        let mut i = rows.start;
                        while i < rows.end {
                            let in_block = if packed { mr } else { a.rows_from(i) };
                            let mut left = (rows.end - i).min(in_block).min(mr);
                            if !packed {
                                // As many as can be read where they are.
                                left = tile::height_within::<V>(left).unwrap_or(left);
                            }
                            let height = tile::height::<V>(left);
                            let a_panel = if packed {
                                a.packed_panel(i - rows.start, mr, steps.len(), &a_block)
                            } else {
                                a.panel(i..i + left, &steps, height, j == j0, &mut a_block)
                            };
                            // What is needed next comes from memory while this is multiplied.
                            let now = ahead.start..(ahead.start + piece).min(ahead.end);
                            ahead.start = now.end;
                            b_panel.next = next.map(|next| next.row_range(now.start, now.len()));
                            if next.is_none() && 4 * j >= 3 * n && !later.is_empty() {
                                let now = later.split_off(..later_piece.min(later.len())).unwrap_or(&[]);
                                b_panel.next = MatRef::new(now, now.len() / nr, nr).ok();
                            }
                            let (tile, size) = ((height, narrow), steps.len());
                            if columns.len() == width
                                && left == height
                                && matches!(out.finish, Finish::Nothing)
                            {
                                let to = out.tile(i, columns.clone());
                                tile::product(on, tile, &a_panel, &b_panel, size, to);
                            } else {
                                tile::product(on, tile, &a_panel, &b_panel, size, To::Sums(&mut sums));
                                write(on, &sums, width, i..i + left, columns.clone(), &mut out);
                            }
                            i += left;
                        }
                        j = columns.end;
                    }
                }
            }
        }
        self.scratch.give(a_block);
        self.scratch.give(b_block);
    }
}

/// Whether columns of a stored A are packed, of which a panel is `mr` wide and has `depth` steps, to be multiplied by `n` columns in panels of `nr`.
///
/// Where they lie, a panel of them takes one or two cache lines for each step; packed, it takes only what it has. That pays if so it fits into the
/// L1 cache beside a panel of B, and serves several of them.
fn columns_are_packed<T>((mr, nr): (usize, usize), n: usize, depth: usize) -> bool {
    let both = (mr + nr) * depth * size_of::<T>();
    let fit = both <= caches().l1 && n >= MANY_PANELS_OF_B * nr;
    mr * size_of::<T>() < NARROW_BYTES || fit
}

/// op(A), panel by panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) source: Source<'a, T>,
    pub(super) trans: Trans,
}

impl<'a, T: Element> Rows<'a, T> {
    /// The matrix, if the tile can read it where it is: any but a list of rows.
    #[inline(always)]
    fn matrix(&self) -> Option<MatRef<'a, T>> {
        match self.source {
            Source::Matrix(matrix) => Some(matrix),
            Source::Rows(_) => None,
        }
    }

    #[inline(always)]
    fn is_direct(&self) -> bool {
        self.matrix().is_some()
    }

    #[inline(always)]
    fn lanes_are(&self) -> LanesAre {
        if self.trans == Trans::No { LanesAre::Rows } else { LanesAre::Columns }
    }

    /// How many rows of op(A) from `i` on lie in one block.
    #[inline(always)]
    fn rows_from(&self, i: usize) -> usize {
        match (self.matrix(), self.trans) {
            (Some(matrix), Trans::Yes) => matrix.block_cols() - i % matrix.block_cols(),
            _ => usize::MAX,
        }
    }

    /// Some rows of op(A), as many as the tile is high; copied where they are not as many. When rows that are stored as such are read for
    /// the first time, the next panel is asked for, where that is read in its place, too. It may be that of the next block of rows, or of
    /// the next shard; or nothing at all, which does no harm.
    #[inline(always)]
    pub(super) fn panel<'b>(
        &self,
        rows: std::ops::Range<usize>,
        steps: &std::ops::Range<usize>,
        height: usize,
        is_first: bool,
        copy: &'b mut [T],
    ) -> Lanes<'b, T>
    where
        'a: 'b,
    {
        match (self.matrix(), self.trans) {
            (Some(a), Trans::No)
                if rows.len() == height
                    && !steps.is_empty()
                    && (a.is_plain() || steps.start.is_multiple_of(a.block_cols())) =>
            {
                let data = &a.as_slice()[rows.start * a.stride()..];
                let (lane, step) = (a.stride(), 1);
                if !a.is_plain() {
                    let start = steps.start / a.block_cols() * a.block_stride();
                    let (run, next_run) = (a.block_cols(), a.block_stride());
                    return Lanes { data: &data[start..], lane, step, run, next_run, ahead: 0 };
                }
                // A cache line of each row at a time, and with it that of a row of the next panel.
                let (run, ahead) =
                    if is_first { (LINE / size_of::<T>(), rows.len() * lane) } else { (steps.len(), 0) };
                Lanes { data: &data[steps.start..], lane, step, run, next_run: run, ahead }
            }
            (Some(a), Trans::Yes) if rows.len() == height && !steps.is_empty() => {
                let strip = a.strip(rows.start, rows.len()).row_range(steps.start, steps.len());
                let (data, run) = (strip.as_slice(), steps.len());
                let (step, ahead) = (a.stride(), STEPS_OF_A * a.stride());
                Lanes { data, lane: 1, step, run, next_run: 0, ahead }
            }
            _ => {
                let copy = &mut copy[..packed_len(height, rows.len(), steps.len())];
                pack(height, &self.source, self.lanes_are(), rows, steps.clone(), copy);
                Lanes { data: copy, lane: 1, step: height, run: steps.len().max(1), next_run: 0, ahead: 0 }
            }
        }
    }

    /// Rows from `i` on of a packed block.
    #[inline(always)]
    fn packed_panel<'b>(&self, i: usize, mr: usize, steps: usize, block: &'b [T]) -> Lanes<'b, T> {
        Lanes { data: &block[i * steps..], lane: 1, step: mr, run: steps.max(1), next_run: 0, ahead: 0 }
    }
}

/// op(B), panel by panel.
#[derive(Debug, Clone, Copy)]
struct Columns<'a, T> {
    matrix: MatRef<'a, T>,
    trans: Trans,
    /// Whether panels are read where they are, if they can be.
    direct: bool,
}

impl<'a, T: Element> Columns<'a, T> {
    /// How many columns of op(B) from `j` on lie in one block.
    #[inline(always)]
    fn columns_from(&self, j: usize) -> usize {
        match self.trans {
            Trans::No => self.matrix.block_cols() - j % self.matrix.block_cols(),
            Trans::Yes => usize::MAX,
        }
    }

    /// Those of some columns of op(B), from the first on, that are read where they are, and so can be asked for beforehand.
    #[inline(always)]
    fn ready(
        &self,
        columns: std::ops::Range<usize>,
        steps: &std::ops::Range<usize>,
    ) -> Option<MatRef<'a, T>> {
        if !self.direct || self.trans == Trans::Yes || columns.is_empty() || steps.is_empty() {
            return None;
        }
        let len = columns.len().min(self.columns_from(columns.start));
        Some(self.matrix.strip(columns.start, len).row_range(steps.start, steps.len()))
    }

    /// Some columns of op(B), `width` wide; copied where there are not as many.
    #[inline(always)]
    fn panel<'b>(
        &self,
        columns: &std::ops::Range<usize>,
        steps: &std::ops::Range<usize>,
        width: usize,
        copy: &'b mut [T],
    ) -> Steps<'b, T>
    where
        'a: 'b,
    {
        if self.direct && self.trans == Trans::No && columns.len() == width && !steps.is_empty() {
            let strip = self.matrix.strip(columns.start, width).row_range(steps.start, steps.len());
            return Steps { data: strip.as_slice(), step: strip.stride(), next: None };
        }
        let lanes_are = if self.trans == Trans::No { LanesAre::Columns } else { LanesAre::Rows };
        let copy = &mut copy[..width * steps.len()];
        pack(width, &Source::Matrix(self.matrix), lanes_are, columns.clone(), steps.clone(), copy);
        Steps { data: copy, step: width, next: None }
    }
}

/// Where a block's tiles go, and how.
struct Out<'a, 'c, T> {
    alpha: T,
    beta: T,
    finish: Finish<'a, T>,
    c: &'a mut MatMut<'c, T>,
}

impl<T: Copy> Out<'_, '_, T> {
    /// Rows of C from `i` on in neighbouring columns, which lie in one block of it.
    #[inline(always)]
    fn tile(&mut self, i: usize, columns: std::ops::Range<usize>) -> To<'_, T> {
        let c = self.c.strip(columns.start, columns.len());
        To::Matrix { c, first: i, alpha: self.alpha, beta: self.beta }
    }

    /// How many columns of C, and of what finishes it, from `j` on lie in one block.
    #[inline(always)]
    fn columns_from(&self, j: usize) -> usize {
        let left = |block: usize| block - j % block;
        match &self.finish {
            Finish::Slope(_, output) => left(self.c.block_cols()).min(left(output.block_cols())),
            _ => left(self.c.block_cols()),
        }
    }
}

/// C ← finish(α tile + β C) in the given rows and columns. With β = 0, C is not read. The tile is `width` wide.
#[inline(always)]
fn write<V: Vector>(
    on: On<V>,
    tile: &[V::T; MAX_TILE],
    width: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    out: &mut Out<'_, '_, V::T>,
) {
    let finish = out.finish.of_columns(&columns);
    let mut c = out.c.strip(columns.start, columns.len());
    let how = (out.alpha, out.beta, &finish);
    for (i, sums) in rows.zip(tile.chunks_exact(width)) {
        let c_row = c.row(i);
        if c_row.len() == sums.len() {
            // All of it in whole vectors: lengths that the compiler knows.
            for j in (0..sums.len()).step_by(V::LANES) {
                put(on, how, &sums[j..], i, j, &mut c_row[j..j + V::LANES]);
            }
        } else {
            for (c, j) in c_row.chunks_mut(V::LANES).zip((0..).step_by(V::LANES)) {
                put(on, how, &sums[j..], i, j, c);
            }
        }
    }
}

/// c ← finish(α sums + β c) for one vector of C or a part of one, at (`i`, `j`). Not a closure, which might be compiled outside of the
/// shell that has the instructions.
#[inline(always)]
pub(super) fn put<V: Vector>(
    on: On<V>,
    (alpha, beta, finish): (V::T, V::T, &Finish<'_, V::T>),
    sums: &[V::T],
    i: usize,
    j: usize,
    c: &mut [V::T],
) {
    let mut v = on.splat(alpha).mul(on.load(sums));
    if beta != V::T::default() {
        v = on.splat(beta).mul_add(on.load_part(c, V::T::default()), v);
    }
    on.store_part(finish.apply(on, i, j, c.len(), v), c);
}
