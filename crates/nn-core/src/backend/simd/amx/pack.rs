//! What tiles read: bytes and numbers as bf16, in the order in which products take them.
//!
//! Bf16 is the upper half of an `f32`, with 8 significant bits. So a byte is one such number, and an `f32` the sum of three: its upper half, the
//! upper half of what is then left, and the rest, none of which is rounded (the idea of G. Henry, P. T. P. Tang and A. Heinecke, "Leveraging the
//! bfloat16 artificial intelligence datatype for higher-precision computations", 2019).

use std::arch::x86_64::*;

use super::super::vector::{On, Vector, ask_for_line};
use super::tiles::{PIECES, ROWS, STEPS, TILE, WORDS_OF_B};
use crate::matrix::MatRef;

/// Most columns of X: which of them are lit is noted on the stack.
pub(super) const MAX_COLUMNS: usize = 4096;

/// Columns whose bytes a vector has.
const WORD: usize = 64;

/// How far ahead rows are asked for: the first time, they come from memory.
const AHEAD: usize = 4096;

/// Numbers in a vector.
const LANES: usize = 16;

/// A row of bytes, those of unlit columns left out, with room for a vector more.
type Row = [u8; MAX_COLUMNS + WORD];

/// The columns of some rows of bytes in which any of them is not 0.
#[derive(Debug)]
pub(super) struct Lit {
    words: [u64; MAX_COLUMNS / WORD],
    columns: [u16; MAX_COLUMNS],
    count: usize,
    /// How many columns there are.
    all: usize,
}

impl Lit {
    /// Looks at all rows, each of `all` bytes.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn new<'a>(rows: impl Iterator<Item = &'a [u8]>, all: usize) -> Self {
        assert!(all <= MAX_COLUMNS, "{all} columns");
        let mut words = [0; MAX_COLUMNS / WORD];
        for row in rows {
            assert_eq!(row.len(), all, "bytes of a row");
            for (word, bytes) in words.iter_mut().zip(row.chunks(WORD)) {
                ask_for_line(bytes.as_ptr().wrapping_add(AHEAD));
                let bytes = load(bytes);
                *word |= _mm512_test_epi8_mask(bytes, bytes);
            }
        }
        let (mut columns, mut count) = ([0; MAX_COLUMNS], 0);
        for (i, &word) in words.iter().enumerate() {
            let mut left: u64 = word;
            while left != 0 {
                columns[count] = (WORD * i) as u16 + left.trailing_zeros() as u16;
                left &= left - 1;
                count += 1;
            }
        }
        Self { words, columns, count, all }
    }

    /// Their numbers, in ascending order.
    pub(super) fn columns(&self) -> &[u16] {
        &self.columns[..self.count]
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The bytes of a row in these columns; what follows them up to the next multiple of [`STEPS`] is 0.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    fn compress(&self, row: &[u8], to: &mut Row) {
        assert_eq!(row.len(), self.all, "bytes of a row");
        let mut at = 0;
        for (&word, bytes) in self.words.iter().zip(row.chunks(WORD)) {
            store(_mm512_maskz_compress_epi8(word, load(bytes)), &mut to[at..at + WORD]);
            at += word.count_ones() as usize;
        }
        // The last vector may end where the columns do.
        to[at..at.next_multiple_of(STEPS)].fill(0);
    }
}

/// At most 64 bytes, and zeros after them.
#[target_feature(enable = "avx512f,avx512bw")]
fn load(bytes: &[u8]) -> __m512i {
    let mask = u64::MAX >> (WORD - bytes.len().clamp(1, WORD));
    assert!(!bytes.is_empty(), "bytes to load");
    // SAFETY: the mask leaves out what lies beyond the slice.
    unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn store(vector: __m512i, to: &mut [u8]) {
    assert!(to.len() >= WORD, "a vector into {} bytes", to.len());
    // SAFETY: the slice was just measured.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) }
}

/// Sixteen words, as they are.
#[target_feature(enable = "avx512f")]
fn store_words(vector: __m512i, to: &mut [f32]) {
    assert!(to.len() >= LANES, "a vector into {} numbers", to.len());
    // SAFETY: the slice was just measured.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) }
}

/// The first sixteen of a slice of bytes, as the bits of `f32`.
#[target_feature(enable = "avx512f")]
fn numbers(bytes: &[u8]) -> __m512i {
    assert!(bytes.len() >= LANES, "a vector from {} bytes", bytes.len());
    // SAFETY: the slice was just measured.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)))
}

/// The upper halves of the words of two vectors, by turns: of the first in the lower half of each word, of the second in the upper one.
#[target_feature(enable = "avx512f")]
fn upper_halves(first: __m512i, second: __m512i) -> __m512i {
    _mm512_or_si512(_mm512_srli_epi32::<16>(first), upper_half(second))
}

/// The words with their lower halves 0.
#[target_feature(enable = "avx512f")]
fn upper_half(words: __m512i) -> __m512i {
    _mm512_and_si512(words, _mm512_set1_epi32(0xffff_0000_u32 as i32))
}

/// How many tiles so many steps take.
pub(super) fn chunks(steps: usize) -> usize {
    steps.div_ceil(STEPS)
}

/// Words of the tiles of so many rows, an even number of tiles.
pub(super) fn words_of_a(rows: usize, chunks: usize) -> usize {
    rows.next_multiple_of(2 * ROWS) * chunks * (TILE / ROWS)
}

/// A ← the rows' bytes in the lit columns, and zeros for the rows that fill up the last tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
pub(super) fn rows_as_a<'a>(rows: impl Iterator<Item = &'a [u8]>, lit: &Lit, a: &mut [f32]) {
    let chunks = chunks(lit.count());
    let mut row_bytes: Row = [0; _];
    let place = |i: usize, chunk: usize| (i / ROWS * chunks + chunk) * TILE + i % ROWS * (TILE / ROWS);
    // The upper half of each word: of one vector, then of the other.
    let halves: [i16; 32] = std::array::from_fn(|i| 2 * i as i16 + 1);
    // SAFETY: an array of 64 bytes.
    let halves = unsafe { _mm512_loadu_si512(halves.as_ptr().cast()) };
    let mut count = 0;
    for row in rows {
        lit.compress(row, &mut row_bytes);
        for chunk in 0..chunks {
            let bytes = &row_bytes[chunk * STEPS..(chunk + 1) * STEPS];
            let (first, second) = (numbers(bytes), numbers(&bytes[LANES..]));
            store_words(_mm512_permutex2var_epi16(first, halves, second), &mut a[place(count, chunk)..]);
        }
        count += 1;
    }
    for i in count..count.next_multiple_of(2 * ROWS) {
        (0..chunks).for_each(|chunk| a[place(i, chunk)..][..LANES].fill(0.0));
    }
}

/// A ← the lit columns of the rows' bytes, each as a row of A, and zeros for those that fill up the last tiles. `pairs` is room for two rows of X in
/// each of 16 rows, as wide as the tiles are high.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
pub(super) fn columns_as_a<'a, V: Vector<T = f32>>(
    on: On<V>,
    rows: impl ExactSizeIterator<Item = &'a [u8]>,
    lit: &Lit,
    pairs: &mut [f32],
    a: &mut [f32],
) {
    let width = lit.count().next_multiple_of(2 * ROWS);
    let chunks = chunks(rows.len());
    let mut bytes: [Row; 2] = [[0; _]; 2];
    let mut rows = rows;
    for chunk in 0..chunks {
        for pair in pairs.chunks_exact_mut(width).take(STEPS / 2) {
            for bytes in &mut bytes {
                match rows.next() {
                    Some(row) => lit.compress(row, bytes),
                    None => bytes[..width].fill(0),
                }
            }
            for j in (0..width).step_by(LANES) {
                let (first, second) = (numbers(&bytes[0][j..]), numbers(&bytes[1][j..]));
                store_words(upper_halves(first, second), &mut pair[j..]);
            }
        }
        for tile in 0..width / ROWS {
            let to = &mut a[(tile * chunks + chunk) * TILE..][..TILE];
            on.transpose(&pairs[tile * ROWS..], width, to, TILE / ROWS);
        }
    }
}

/// B ← the pieces of `scale` times `count` rows of a matrix of at most 32 columns, the i-th of which is row `row(i)`; zeros in what they don't fill.
#[target_feature(enable = "avx512f")]
pub(super) fn pieces_as_b(
    matrix: &MatRef<'_, f32>,
    (count, row): (usize, impl Fn(usize) -> usize),
    scale: f32,
    b: &mut [f32],
) {
    let scale = _mm512_set1_ps(scale);
    let masks = [0, LANES].map(|j| ((1_u32 << matrix.cols().saturating_sub(j).min(LANES)) - 1) as __mmask16);
    for (chunk, first) in b.chunks_exact_mut(WORDS_OF_B).zip((0..).step_by(STEPS)).take(chunks(count)) {
        for p in 0..ROWS {
            let (i, zeros) = (first + 2 * p, [0.0; 0]);
            // A row that is not there is one of which nothing is loaded.
            let two = [i, i + 1].map(|i| if i < count { matrix.row(row(i)) } else { &zeros[..] });
            for (t, mask) in masks.into_iter().enumerate() {
                let [mut first, mut second] = two.map(|row| {
                    let mask = if row.is_empty() { 0 } else { mask };
                    // SAFETY: the mask leaves out what lies beyond the row.
                    let numbers =
                        unsafe { _mm512_maskz_loadu_ps(mask, row.as_ptr().wrapping_add(t * LANES)) };
                    _mm512_castps_si512(_mm512_mul_ps(numbers, scale))
                });
                for piece in 0..PIECES {
                    let at = (2 * piece + t) * TILE + p * (TILE / ROWS);
                    store_words(upper_halves(first, second), &mut chunk[at..at + LANES]);
                    (first, second) = (rest(first), rest(second));
                }
            }
        }
    }
}

/// What numbers have beyond their upper halves.
#[target_feature(enable = "avx512f")]
fn rest(numbers: __m512i) -> __m512i {
    let upper = _mm512_castsi512_ps(upper_half(numbers));
    _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(numbers), upper))
}
