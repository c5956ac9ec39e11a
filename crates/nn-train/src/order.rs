//! The order in which an epoch visits the rows.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Fills `order` with the numbers `0 .. rows` in the order of one epoch: a permutation that is a pure function of
/// (`seed`, `epoch`), so that a run that resumes at epoch 7 goes on as if it had never stopped. Each permutation is
/// equally likely (Fisher–Yates, with unbiased draws from ChaCha8's stream number `epoch`).
///
/// ```
/// let mut order = Vec::new();
/// nn_train::epoch_order(0, 3, 5, &mut order);
/// let mut again = Vec::new();
/// nn_train::epoch_order(0, 3, 5, &mut again);
/// assert_eq!(order, again);
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// ```
pub fn epoch_order(seed: u64, epoch: u64, rows: u32, order: &mut Vec<u32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    order.clear();
    order.extend(0..rows);
    for last in (1..rows).rev() {
        order.swap(last as usize, below(&mut rng, last + 1) as usize);
    }
}

/// A number in `0 .. n`, each equally likely: the high half of a 32 × 32 bit product; draws whose low half falls into the
/// incomplete range, 2³² mod n values of it, are thrown away (Lemire 2019, "Fast random integer generation in an interval").
fn below(rng: &mut ChaCha8Rng, n: u32) -> u32 {
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(n);
        if product as u32 >= n.wrapping_neg() % n {
            return (product >> 32) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64, epoch: u64, rows: u32) -> Vec<u32> {
        let mut order = vec![99; 3];
        epoch_order(seed, epoch, rows, &mut order);
        order
    }

    #[test]
    fn another_epoch_or_another_seed_is_another_order() {
        let first = order(0, 0, 1000);
        assert_ne!(first, order(0, 1, 1000));
        assert_ne!(first, order(1, 0, 1000));
        assert_ne!(order(0, 1, 1000), order(1, 0, 1000));
        assert!(order(5, 5, 0).is_empty());
        assert_eq!(order(5, 5, 1), [0]);
    }

    #[test]
    fn every_permutation_is_equally_likely() {
        // 4! = 24 orders, 24,000 draws: a count has mean 1000 and σ = √(24000 · 1/24 · 23/24) ≈ 31. With 24 counts, 5 σ is
        // far beyond what chance does (1.4e-5), and the draws are the same on every run.
        let mut counts = std::collections::HashMap::new();
        for draw in 0..24_000 {
            *counts.entry(order(draw / 100, draw % 100, 4)).or_insert(0i32) += 1;
        }
        assert_eq!(counts.len(), 24);
        for (order, count) in counts {
            assert!((count - 1000).abs() < 155, "{order:?} came {count} times");
        }
    }
}
