//! Products of rows of bytes with numbers, in the tile registers of AMX.
//!
//! A tile instruction multiplies 16 × 32 by 32 × 16 numbers of 8 significant bits (bf16) in 16 cycles, for which AVX-512 takes 256 on two units. A byte is
//! one such number and an `f32` the sum of three, so that three products give what one of `f32` gives, with exact products and sums rounded as ever.
//! Columns that are 0 in all rows are left out.

mod pack;
mod tiles;

use self::pack::{Lit, MAX_COLUMNS, chunks, columns_as_a, pieces_as_b, rows_as_a, words_of_a};
use self::tiles::{AREA, BLOCK, STEPS, TILE, Tiles, WORDS_OF_B};
use super::finish::Finish;
use super::narrow::strips;
use super::tiled::Tiled;
use super::vector::{Kernel, LINE, On, Vector, ask_for_line};
use super::{Isa, Simd, begin};
use crate::matrix::{Bytes, InputRef, MatMut, MatRef, Scratch};
use crate::ops::Sum;

/// Whether this CPU has AMX for bf16, and this process may use it.
pub(super) fn is_available() -> bool {
    tiles::is_available()
}

/// With fewer rows than this, it takes longer to make pieces of W and tiles of X than the products save. (Measured on Granite Rapids, 784 → 512, two
/// threads: a prediction of 8 rows takes 1.4 times as long in tiles, of 16 rows 0.8 times, of 252 rows 0.3 times; a step 1.08, 0.68 and 0.37 times.)
pub(super) const MIN_ROWS: usize = 16;

/// With fewer columns of W than this, tiles would be half empty. (Chosen.)
const MIN_COLUMNS: usize = 32;

/// Tiles of B's steps that are multiplied by all rows before the next: with 6 KiB each, they stay in the L1 cache (48 KiB on all CPUs with AMX so
/// far), and more would not. (Measured on Granite Rapids: 18 tiles in two halves take 0.87 of the time.)
const MOST_CHUNKS: usize = 9;

impl Tiled for f32 {
    fn tiles(simd: Simd) -> bool {
        simd.isa() == Isa::Amx
    }

    fn are_tiled(simd: Simd, x: &InputRef<'_, f32>, cols: usize) -> bool {
        let InputRef::Bytes(x) = x else { return false };
        let many = x.rows() >= MIN_ROWS && cols >= MIN_COLUMNS && (1..=MAX_COLUMNS).contains(&x.cols());
        Self::tiles(simd) && many && (1.0 / x.divisor()).is_normal()
    }

    fn product(
        simd: Simd,
        x: InputRef<'_, f32>,
        w: MatRef<'_, f32>,
        finish: Finish<'_, f32>,
        y: MatMut<'_, f32>,
        scratch: &mut Scratch<f32>,
    ) {
        assert!(Self::are_tiled(simd, &x, y.cols()), "rows for tiles");
        let InputRef::Bytes(x) = x else { unreachable!("rows of bytes") };
        simd.run(TileProduct { x, w, finish, y, scratch });
    }

    fn outer(
        simd: Simd,
        alpha: f32,
        x: InputRef<'_, f32>,
        delta: MatRef<'_, f32>,
        sum: Sum,
        mut dw: MatMut<'_, f32>,
        scratch: &mut Scratch<f32>,
    ) {
        assert!(Self::are_tiled(simd, &x, dw.cols()), "rows for tiles");
        let InputRef::Bytes(x) = x else { unreachable!("rows of bytes") };
        begin(sum, &mut dw);
        simd.run(TileOuter { alpha, x, delta, dw, scratch });
    }
}

/// The bytes of each row.
fn rows<'a>(x: &Bytes<'a, f32>) -> impl ExactSizeIterator<Item = &'a [u8]> {
    let x = *x;
    (0..x.rows()).map(move |i| x.row(i))
}

/// Y ← finish(X · W). X: \[m, k\], W: \[k, n\], Y: \[m, n\].
struct TileProduct<'a> {
    x: Bytes<'a, f32>,
    w: MatRef<'a, f32>,
    finish: Finish<'a, f32>,
    y: MatMut<'a, f32>,
    scratch: &'a mut Scratch<f32>,
}

/// dW ← dW + α Xᵀ · δ. X: \[m, k\], δ: \[m, n\], dW: \[k, n\].
struct TileOuter<'a> {
    alpha: f32,
    x: Bytes<'a, f32>,
    delta: MatRef<'a, f32>,
    dw: MatMut<'a, f32>,
    scratch: &'a mut Scratch<f32>,
}

/// What becomes of finished blocks. (Not a closure, which might be compiled outside of the shell that has the instructions.)
trait Finished {
    /// Takes the block of the rows from 32 · `i` on.
    fn take(&mut self, i: usize, sums: &[f32]);
}

/// C ← A · B, block by block: some tiles of B's steps at a time, so that these stay in the L1 cache while A passes by. `blocks` has room for all
/// of C. Each block that is finished is handed on when the next one is on its way, for which the tiles don't wait then.
#[inline(always)]
fn products(tiles: &Tiles, a: &[f32], b: &[f32], blocks: &mut [f32], finished: &mut impl Finished) {
    let chunks = b.len() / WORDS_OF_B;
    let most = chunks.div_ceil(chunks.div_ceil(MOST_CHUNKS));
    let (blocks, _) = blocks.as_chunks_mut::<AREA>();
    for first in (0..chunks).step_by(most) {
        let part = first..(first + most).min(chunks);
        let sum = if first == 0 { Sum::Begin } else { Sum::Continue };
        let b = &b[part.start * WORDS_OF_B..part.end * WORDS_OF_B];
        for i in 0..=blocks.len() {
            if i < blocks.len() {
                let (upper, lower) = a[2 * i * chunks * TILE..].split_at(chunks * TILE);
                let rows = [upper, lower].map(|tiles| &tiles[part.start * TILE..part.end * TILE]);
                tiles.multiply(rows, b, sum, &mut blocks[i]);
            }
            if part.end == chunks && i > 0 {
                finished.take(i - 1, &blocks[i - 1]);
            }
        }
    }
}

/// Asks for all lines of a row.
#[inline(always)]
fn ask_for(row: &[f32]) {
    (0..row.len()).step_by(LINE / size_of::<f32>()).for_each(|at| ask_for_line(&raw const row[at]));
}

/// Some columns of Y, which blocks become.
struct ToY<'a, V> {
    on: On<V>,
    scale: V,
    finish: Finish<'a, f32>,
    /// The first of the columns.
    first: usize,
    y: MatMut<'a, f32>,
    /// Those columns of W that come next, and how many rows of them to ask for with each block.
    later: Option<(MatRef<'a, f32>, usize)>,
    lit: &'a Lit,
}

impl<V: Vector<T = f32>> Finished for ToY<'_, V> {
    #[inline(always)]
    fn take(&mut self, i: usize, sums: &[f32]) {
        if let Some((w, share)) = &self.later {
            let columns = self.lit.columns();
            for &column in &columns[(i * share).min(columns.len())..((i + 1) * share).min(columns.len())] {
                ask_for(w.row(column as usize));
            }
        }
        for (i, sums) in (i * BLOCK..self.y.rows()).zip(sums.chunks_exact(BLOCK)) {
            let row = self.y.row(i);
            for j in (0..row.len()).step_by(V::LANES) {
                let len = V::LANES.min(row.len() - j);
                let sum = self.on.load(&sums[j..]).mul(self.scale);
                let y = self.finish.apply(self.on, i, self.first + j, len, sum);
                self.on.store_part(y, &mut row[j..j + len]);
            }
        }
    }
}

impl Kernel<f32> for TileProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = f32>>(self, on: On<V>) {
        let Self { x, w, finish, mut y, scratch } = self;
        let (m, k, n) = (y.rows(), w.rows(), y.cols());
        // SAFETY: who makes one of these has found AMX, and with it all that is asked for here.
        let lit = unsafe { Lit::new(rows(&x), k) };
        // Room for all columns, so that the next rows, of which more may be lit, need no more.
        let (chunks, most) = (chunks(lit.count()).max(1), chunks(k));
        let (mut a_room, mut b_room) = (scratch.take(words_of_a(m, most)), scratch.take(most * WORDS_OF_B));
        let (a, b) = (&mut a_room[..words_of_a(m, chunks)], &mut b_room[..chunks * WORDS_OF_B]);
        let mut blocks = scratch.take(m.div_ceil(BLOCK) * AREA);
        if lit.count() == 0 {
            a.fill(0.0);
            b.fill(0.0);
        } else {
            // SAFETY: likewise.
            unsafe { rows_as_a(rows(&x), &lit, a) };
        }
        // SAFETY: likewise; a kernel calls no other.
        let tiles = unsafe { Tiles::new() };
        let scale = on.splat(1.0 / x.divisor());
        let share = lit.count().div_ceil(m.div_ceil(BLOCK));
        let mut strips = strips(n, BLOCK, [w.block_cols(), y.block_cols()]).peekable();
        while let Some((j, len)) = strips.next() {
            let later = strips.peek().map(|&(j, len)| (w.strip(j, len), share));
            // SAFETY: likewise.
            unsafe {
                let row = |i| lit.columns()[i] as usize;
                pieces_as_b(&w.strip(j, len), (lit.count(), row), 1.0, b);
            }
            let y = y.strip(j, len);
            let mut to = ToY { on, scale, finish, first: j, y, later, lit: &lit };
            products(&tiles, a, b, &mut blocks, &mut to);
        }
        drop(tiles);
        scratch.give(a_room);
        scratch.give(b_room);
        scratch.give(blocks);
    }
}

/// Some columns of dW, to whose lit rows blocks are added.
struct ToDw<'a, V> {
    on: On<V>,
    dw: MatMut<'a, f32>,
    lit: &'a Lit,
}

impl<V: Vector<T = f32>> Finished for ToDw<'_, V> {
    #[inline(always)]
    fn take(&mut self, i: usize, sums: &[f32]) {
        let columns = &self.lit.columns()[i * BLOCK..];
        for &column in columns.iter().skip(2 * BLOCK).take(BLOCK) {
            ask_for(self.dw.row(column as usize));
        }
        for (&column, sums) in columns.iter().zip(sums.chunks_exact(BLOCK)) {
            let row = self.dw.row(column as usize);
            for j in (0..row.len()).step_by(V::LANES) {
                let part = &mut row[j..];
                let len = V::LANES.min(part.len());
                let part = &mut part[..len];
                let sum = self.on.load_part(part, 0.0).add(self.on.load(&sums[j..]));
                self.on.store_part(sum, part);
            }
        }
    }
}

impl Kernel<f32> for TileOuter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = f32>>(self, on: On<V>) {
        let Self { alpha, x, delta, mut dw, scratch } = self;
        let (m, k, n) = (delta.rows(), dw.rows(), delta.cols());
        // SAFETY: who makes one of these has found AMX, and with it all that is asked for here.
        let lit = unsafe { Lit::new(rows(&x), k) };
        if lit.count() == 0 {
            return;
        }
        let chunks = chunks(m);
        // Room for all columns here, too.
        let (width, most) = (lit.count().next_multiple_of(BLOCK), k.next_multiple_of(BLOCK));
        let (mut pairs, mut a_room) =
            (scratch.take(STEPS / 2 * most), scratch.take(words_of_a(most, chunks)));
        let mut blocks_room = scratch.take(most / BLOCK * AREA);
        let (a, blocks) =
            (&mut a_room[..words_of_a(width, chunks)], &mut blocks_room[..width / BLOCK * AREA]);
        let mut b = scratch.take(chunks * WORDS_OF_B);
        // SAFETY: likewise.
        unsafe { columns_as_a(on, rows(&x), &lit, &mut pairs, a) };
        // SAFETY: likewise; a kernel calls no other.
        let tiles = unsafe { Tiles::new() };
        for (j, len) in strips(n, BLOCK, [delta.block_cols(), dw.block_cols()]) {
            // SAFETY: likewise.
            unsafe { pieces_as_b(&delta.strip(j, len), (m, |i| i), alpha / x.divisor(), &mut b) };
            products(&tiles, a, &b, blocks, &mut ToDw { on, dw: dw.strip(j, len), lit: &lit });
        }
        drop(tiles);
        scratch.give(pairs);
        scratch.give(a_room);
        scratch.give(b);
        scratch.give(blocks_room);
    }
}
