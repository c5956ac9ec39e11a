//! Lanes: how the rows of a batch are shared out, and how what is summed over them is added up.

use smallvec::SmallVec;

use super::elementwise;
use super::pool::Pool;
use crate::Scalar;
use crate::matrix::AlignedBuf;

/// The most lanes that a batch is cut into. Each has its own copy of every gradient, so more would cost memory (16 ×
/// 1.6 MB for 784 × 512 in f32); fewer would leave threads without work.
const MAX_LANES: usize = 16;

/// Shards that a lane should at least have, so that beginning and adding up its sums is small beside computing them.
const MIN_SHARDS_PER_LANE: usize = 2;

/// The same where the widest weights have at least as many blocks, so that as many threads as are lost in lanes can be given columns.
/// Chosen: with it, an image costs within 9 % the same among a thousand and a million (784 → 512 → 10, two threads); with 2, up to 21 %
/// more among few.
const SHARDS_PER_WIDE_LANE: usize = 8;

/// The most lanes where nothing is summed, as in predictions. Lanes cost nothing there, and so many leave no number of threads without work,
/// nor a thread that comes late with half of it.
const MAX_LANES_WITHOUT_SUMS: usize = 64;

/// Shards from which on there are so many: fewer could not be shared out evenly, and all threads share each of them instead.
const MIN_SHARDS_WITHOUT_SUMS: usize = 2 * SHARDS_PER_WIDE_LANE;

/// Consecutive rows of the batch, with what is kept of them and summed over them.
#[derive(Debug)]
pub(super) struct Lane<T> {
    pub(super) first: usize,
    pub(super) rows: usize,
    pub(super) sums: Vec<AlignedBuf<T>>,
    pub(super) kept: Vec<AlignedBuf<T>>,
    pub(super) kept_ints: Vec<AlignedBuf<i32>>,
}

/// How the rows of a batch are cut: `(first row, rows)` of each lane. A function of the number of rows, the rows of a shard, whether
/// anything is `summed` over the rows, and the blocks of columns that the widest weights have: where threads can be given columns, there
/// are fewer lanes, in numbers that can be shared out evenly.
pub(super) fn lanes(
    rows: usize,
    shard_rows: usize,
    blocks: usize,
    summed: bool,
) -> impl Iterator<Item = (usize, usize)> {
    let shards = rows.div_ceil(shard_rows);
    let most = (shards / MIN_SHARDS_PER_LANE).clamp(1, MAX_LANES);
    let lanes = if !summed && shards >= MIN_SHARDS_WITHOUT_SUMS {
        shards.min(MAX_LANES_WITHOUT_SUMS)
    } else if blocks < SHARDS_PER_WIDE_LANE {
        most
    } else {
        let few = (shards / SHARDS_PER_WIDE_LANE).max(2).min(most);
        1 << few.ilog2()
    };
    let start = move |lane: usize| (shards * lane / lanes * shard_rows).min(rows);
    (0..lanes).map(move |lane| (start(lane), start(lane + 1) - start(lane)))
}

/// Numbers that are added up at a time: few enough to stay in the L1 cache while all lanes pass by.
const PIECE: usize = 1024;

/// Lanes that are added at a time. Their sums come from beyond a core's own caches, and what is read from several places at once
/// comes sooner. (Measured on Zen 4, 16 lanes of 1.6 MB, by samples: 0.8 % of a full batch's step; lane by lane it was 1.2 %.)
const AT_A_TIME: usize = 5;

/// into ← Σ over the lanes, in their order, of sum number `i`.
pub(super) fn add_up<'a, T: Scalar>(
    into: &mut AlignedBuf<T>,
    i: usize,
    lanes: &'a mut [Lane<T>],
    pool: &Pool<T>,
) {
    if let [lane] = lanes {
        std::mem::swap(into, &mut lane.sums[i]);
        return;
    }
    let lanes = &*lanes;
    let pieces = elementwise::pieces(into.len(), pool.threads());
    let step = into.len().div_ceil(pieces).max(1);
    let mut parts: SmallVec<[(usize, &mut [T]); 16]> =
        into.chunks_mut(step).enumerate().map(|(k, part)| (k * step, part)).collect();
    pool.for_each(&mut parts, &|(start, part), _| {
        for (piece, first) in part.chunks_mut(PIECE).zip((*start..).step_by(PIECE)) {
            let len = piece.len();
            let sum_of = |lane: &'a Lane<T>| &lane.sums[i][first..first + len];
            piece.copy_from_slice(sum_of(&lanes[0]));
            let (groups, rest) = lanes[1..].as_chunks::<AT_A_TIME>();
            for group in groups {
                let [a, b, c, d, e] = group.each_ref().map(sum_of);
                for (((((x, &a), &b), &c), &d), &e) in piece.iter_mut().zip(a).zip(b).zip(c).zip(d).zip(e) {
                    *x = *x + a + b + c + d + e;
                }
            }
            for lane in rest {
                piece.iter_mut().zip(sum_of(lane)).for_each(|(x, &y)| *x += y);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_are_added_up_in_the_order_of_the_lanes() -> crate::Result<()> {
        // So different in size that another order would round otherwise.
        let number = |lane: usize, k: usize| {
            ((lane * 31 + k * 7) % 23) as f32 * 1.1_f32.powi((lane * 5 % 17) as i32 * 8)
        };
        for count in 1..=MAX_LANES {
            for len in [1, PIECE - 1, 2 * PIECE + 3] {
                let mut lanes: Vec<_> = (0..count)
                    .map(|lane| {
                        let mut sum = AlignedBuf::<f32>::zeroed(len);
                        sum.iter_mut().enumerate().for_each(|(k, x)| *x = number(lane, k));
                        Lane { first: 0, rows: 0, sums: vec![sum], kept: vec![], kept_ints: vec![] }
                    })
                    .collect();
                let mut into = AlignedBuf::zeroed(len);
                add_up(&mut into, 0, &mut lanes, &Pool::new(2)?);
                let expected =
                    (0..len).map(|k| (1..count).fold(number(0, k), |sum, lane| sum + number(lane, k)));
                assert!(into.iter().copied().eq(expected), "{count} lanes, {len} numbers");
            }
        }
        Ok(())
    }

    #[test]
    fn lanes_are_few_where_gradients_are_summed_and_many_where_nothing_is() {
        let counts = |rows| [true, false].map(|summed| lanes(rows, 252, 8, summed).count());
        assert_eq!([500, 3_700, 10_000, 60_000].map(counts), [[1, 1], [2, 2], [4, 40], [16, 64]]);
    }

    proptest! {
        #[test]
        fn lanes_cover_every_row_once_and_begin_at_shards(
            rows in 0usize..100_000, shard_rows in 1usize..600, blocks in 0usize..20, summed in any::<bool>()
        ) {
            let mut next = 0;
            for (first, n) in lanes(rows, shard_rows, blocks, summed) {
                prop_assert_eq!(first, next);
                prop_assert!(first % shard_rows == 0 || n == 0);
                next = first + n;
            }
            prop_assert_eq!(next, rows);
        }
    }
}
