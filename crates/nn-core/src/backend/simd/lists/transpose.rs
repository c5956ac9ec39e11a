//! Columns of bytes made lines, in tiles.

use std::ops::Range;

use crate::Scalar;
use crate::matrix::SparseRows;

/// Rows and columns of a tile that is transposed in registers. (Measured: tiles of 64 rows in vectors of 64 bytes, four of these beside each
/// other, take a third longer.)
pub(super) const TILE: usize = 16;

/// transposed ← the bytes of rows `first .. first + len` in some tiles of columns, a line of so many bytes for each column, of
/// which the first `len` count.
pub(super) fn transpose<T: Scalar>(
    x: &SparseRows<'_, T>,
    first: usize,
    len: usize,
    tiles: Range<usize>,
    transposed: &mut [u8],
    line: usize,
) {
    assert!(0 < len && len <= line && transposed.len() >= tiles.len() * TILE * line, "room for {tiles:?}");
    for i in (0..len).step_by(TILE) {
        // Past the last row any other does: nobody counts those places.
        let rows: [&[u8]; TILE] = std::array::from_fn(|r| x.padded_row(first + (i + r).min(len - 1)));
        for (at, tile) in tiles.clone().enumerate() {
            tile_transposed(&rows, tile * TILE, &mut transposed[at * TILE * line + i..], line);
        }
    }
}

/// to\[c · line + r\] ← rows\[r\]\[first + c\] for 16 rows and columns.
#[inline(always)]
fn tile_transposed(rows: &[&[u8]; TILE], first: usize, to: &mut [u8], line: usize) {
    let there = rows.iter().all(|row| row.len() >= first + TILE);
    assert!(there && to.len() >= (TILE - 1) * line + TILE, "a tile");
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8};
        // SAFETY: SSE2 is part of x86-64; the lengths were just checked.
        unsafe {
            let mut v: [_; TILE] =
                std::array::from_fn(|r| _mm_loadu_si128(rows[r].as_ptr().add(first).cast()));
            // Each round interleaves register i with i + 8, which rotates the eight bits of (row, column) by one; four make the
            // columns rows.
            for _ in 0..4 {
                let mut next = v;
                for i in 0..TILE / 2 {
                    next[2 * i] = _mm_unpacklo_epi8(v[i], v[i + TILE / 2]);
                    next[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + TILE / 2]);
                }
                v = next;
            }
            for (c, v) in v.into_iter().enumerate() {
                _mm_storeu_si128(to.as_mut_ptr().add(c * line).cast(), v);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for c in 0..TILE {
        for r in 0..TILE {
            to[c * line + r] = rows[r][first + c];
        }
    }
}
