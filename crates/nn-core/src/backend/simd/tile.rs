//! gemm's innermost loop: one register tile.

use super::vector::{Grid, On, Vector};

/// Rows of the register tile, MR.
#[inline(always)]
pub(super) fn rows<V: Vector>() -> usize {
    V::Tile::ROWS
}

/// Columns of the register tile, NR.
#[inline(always)]
pub(super) fn columns<V: Vector>() -> usize {
    V::Tile::COLS * V::LANES
}

/// Numbers of the largest tile there is (AVX-512 with `f32`: 14 × 32), and a little more.
pub(super) const MAX_TILE: usize = 512;

/// tile ← A · B for a packed panel of A (MR × k, step by step) and one of B (k × NR). The tile is row-major, NR wide.
///
/// Each element is one chain of k fused multiply-adds in the order of the steps, so that it depends on nothing but its
/// own row and column.
#[inline(always)]
pub(super) fn product<V: Vector>(on: On<V>, a: &[V::T], b: &[V::T], tile: &mut [V::T; MAX_TILE]) {
    let (mr, nr) = (rows::<V>(), columns::<V>());
    let k = a.len() / mr;
    assert!(a.len() == k * mr && b.len() == k * nr && mr * nr <= MAX_TILE, "packed panels");
    let mut sums = V::Tile::filled(on.zero());
    let (mut pa, mut pb) = (a.as_ptr(), b.as_ptr());
    for _ in 0..k {
        let mut b_row = V::Tile::filled_row(on.zero());
        for j in 0..V::Tile::COLS {
            // SAFETY: `on` proves the instructions; step p reads B at p·NR .. (p + 1)·NR, and k·NR is B's length.
            b_row[j] = unsafe { V::load(pb.add(j * V::LANES)) };
        }
        for i in 0..mr {
            // SAFETY: step p reads A at p·MR .. (p + 1)·MR, and k·MR is A's length.
            let a_i = on.splat(unsafe { *pa.add(i) });
            for j in 0..V::Tile::COLS {
                sums[i][j] = a_i.mul_add(b_row[j], sums[i][j]);
            }
        }
        // SAFETY: after step p these point at step p + 1 or, at the end, just past the panels.
        unsafe {
            pa = pa.add(mr);
            pb = pb.add(nr);
        }
    }
    for i in 0..mr {
        for j in 0..V::Tile::COLS {
            on.store(sums[i][j], &mut tile[i * nr + j * V::LANES..]);
        }
    }
}
