//! Operations that move, choose or compare elements, and sums along one axis.

use nn_core::Result;
use nn_core::graph::{DType, Graph, Node};
use nn_tests::gradcheck::Range;
use proptest::prelude::*;

use super::{Lies, gradient_is_right, rows, size, world};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn tensors_side_by_side_and_cut_apart_again(
        world in world(), m in rows(), p in prop::sample::select(&[1usize, 2, 5][..]), a in size(), b in size(),
        start in any::<prop::sample::Index>(), seed: u64,
    ) {
        for rest in [&[][..], &[p]] {
            let of = |width: usize| [rest, &[width]].concat();
            gradient_is_right(world, m, seed, |bench| {
                let x = bench.batch(&of(a), Range::Any)?;
                let y = bench.batch(&of(b), Range::Any)?;
                let square = bench.g.square(y)?;
                // One part twice: its gradients add up.
                let joined = bench.g.concatenate(&[x, square, x])?;
                let squared = bench.g.square(joined)?;
                let start = start.index(2 * a + b);
                let part = bench.g.slice_columns(squared, start, 2 * a + b - start)?;
                let one = bench.g.slice_columns(part, 0, 1)?;
                let whole = bench.g.concatenate(&[one, part])?;
                bench.weigh(whole)
            })?;
        }
    }

    #[test]
    fn gradients_of_gradients_through_slices(world in world(), m in rows(), n in 2usize..20, seed: u64) {
        gradient_is_right(world, m, seed, |b| {
            let x = b.batch(&[n], Range::Any)?;
            let part = b.g.slice_columns(x, 1, n - 1)?;
            let joined = b.g.concatenate(&[part, x])?;
            let y = b.g.exp(joined)?;
            let cost = b.weigh(y)?;
            let dx = b.g.gradients(cost, &[x])?[0];
            b.weigh(dx)
        })?;
    }

    #[test]
    fn nothing_flows_through_random_numbers_and_comparisons(world in world(), m in rows(), n in size(), seed: u64) {
        gradient_is_right(world, m, seed, |b| {
            let x = b.batch(&[n], Range::Between)?;
            let row = b.parameter(&[n], Range::Any)?;
            let step = b.g.scalar(3.0);
            let u = b.g.uniform_like(x, step)?;
            let larger = b.g.greater(x, row)?;
            let mask = b.g.cast(larger, DType::Float);
            let kept = b.g.mul(mask, x)?;
            let y = b.g.mul(u, kept)?;
            let y = b.g.square(y)?;
            b.weigh(y)
        })?;
    }

    #[test]
    fn rows_cut_out_of_a_batch_and_joined(
        world in world(), m in rows(), n in size(), k in size(), at in any::<prop::sample::Index>(),
        take in any::<prop::sample::Index>(), seed: u64,
    ) {
        for rest in [&[][..], &[n], &[n, 2]] {
            gradient_is_right(world, m, seed, |b| {
                let x = b.batch(rest, Range::Any)?;
                let squared = b.g.square(x)?;
                let start = at.index(m);
                let part = b.g.slice_rows(squared, start, 1 + take.index(m - start))?;
                if b.g.shape(part).batch().is_some() {
                    return b.weigh(part);
                }
                let other = b.parameter(&[&[k], rest].concat(), Range::Any)?;
                let joined = b.g.concatenate_rows(&[part, other, part])?;
                let y = b.g.tanh(joined)?;
                b.weigh(y)
            })?;
        }
    }

    #[test]
    fn gradients_of_gradients_through_rows(world in world(), m in rows(), n in size(), seed: u64) {
        gradient_is_right(world, m, seed, |b| {
            let x = b.batch(&[n], Range::Any)?;
            let part = b.g.slice_rows(x, m / 2, m - m / 2)?;
            let y = b.g.exp(part)?;
            let cost = b.weigh(y)?;
            let dx = b.g.gradients(cost, &[x])?[0];
            b.weigh(dx)
        })?;
    }

    #[test]
    fn values_chosen_by_a_condition(world in world(), m in rows(), n in size(), seed: u64) {
        for lies in [Lies::Same, Lies::Scalar, Lies::Row, Lies::Column] {
            for first in [true, false] {
                gradient_is_right(world, m, seed, |b| {
                    let x = b.batch(&[n], Range::Between)?;
                    let bound = b.parameter(&[n], Range::Any)?;
                    let condition = b.g.less(x, bound)?;
                    let whole = b.g.exp(x)?;
                    let spread = lies.operand(b, &[n], Range::Any)?;
                    let spread = b.g.square(spread)?;
                    let (yes, no) = if first { (whole, spread) } else { (spread, whole) };
                    let y = b.g.select(condition, yes, no)?;
                    let y = b.g.square(y)?;
                    b.weigh(y)
                })?;
            }
        }
    }

    #[test]
    fn the_largest_of_each_row(world in world(), m in rows(), p in prop::sample::select(&[1usize, 3][..]), n in size(), seed: u64) {
        for rest in [&[n][..], &[p, n]] {
            gradient_is_right(world, m, seed, |b| {
                // Multiples of 1/8, each moved by another fraction of that: no two elements of a row are nearer to each
                // other than 1 / (8 · 34), which is four times what the differences move them.
                let x = b.batch(rest, Range::Any)?;
                let moved: Vec<f64> = (0..n).map(|j| j as f64 / (8 * (n + 1)) as f64).collect();
                let moved = b.g.constant(&moved, &[n])?;
                let x = b.g.add(x, moved)?;
                let largest = b.g.reduce_max(x)?;
                let y = b.g.square(largest)?;
                b.weigh(y)
            })?;
        }
    }

    #[test]
    fn sums_and_means_along_an_axis(world in world(), m in rows(), p in prop::sample::select(&[1usize, 2, 5][..]), n in size(), seed: u64) {
        type Reduce = fn(&mut Graph, Node, usize) -> Result<Node>;
        let both: [Reduce; 2] = [Graph::reduce_sum_axis, Graph::reduce_mean_axis];
        for reduce in both {
            for (rest, axis) in [(&[][..], 0), (&[n], 0), (&[n], 1), (&[p, n], 0), (&[p, n], 2)] {
                gradient_is_right(world, m, seed, |b| {
                    let x = b.batch(rest, Range::Any)?;
                    let x = b.g.exp(x)?;
                    let y = reduce(&mut b.g, x, axis)?;
                    let y = b.g.square(y)?;
                    b.weigh(y)
                })?;
            }
        }
    }
}

/// Where several are the largest, the differences say nothing; each gets the same share.
#[test]
fn the_largest_share_their_gradient() -> Result<()> {
    let mut g = Graph::new();
    let x = g.constant(&[3.0, 1.0, 3.0, 2.0, 2.0, 2.0], &[2, 3])?;
    let largest = g.reduce_max(x)?;
    let cost = g.reduce_sum(largest)?;
    let dx = g.gradients(cost, &[x])?[0];
    let found = nn_tests::engine::fetch(&mut nn_tests::engine::session(g)?, &[dx], &[])?;
    assert_eq!(found[0], [0.5, 0.0, 0.5, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]);
    Ok(())
}

/// What was not chosen has no gradient, not even one that is not a number.
#[test]
fn a_nan_that_was_not_chosen_stays_out_of_the_gradient() -> Result<()> {
    let mut g = Graph::new();
    let x = g.constant(&[-1.0, 4.0], &[2])?;
    let zero = g.scalar(0.0);
    let positive = g.greater(x, zero)?;
    let safe = g.select(positive, x, zero)?;
    let root = g.sqrt(x)?;
    let y = g.select(positive, root, zero)?;
    let cost = g.reduce_sum(y)?;
    let [droot, dsafe] = [root, safe].map(|n| g.gradients(cost, &[n]).map(|d| d[0]));
    let fetches = [y, droot?, dsafe?];
    assert_eq!(g.dtype(positive), DType::Bool);
    let found = nn_tests::engine::fetch(&mut nn_tests::engine::session(g)?, &fetches, &[])?;
    assert_eq!(found, [[0.0, 2.0], [0.0, 1.0], [0.0, 0.0]]);
    Ok(())
}
