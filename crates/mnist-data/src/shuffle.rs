//! Seeded shuffling whose result is part of this crate's interface: the same on every platform and in
//! every version.
//!
//! The generator is ChaCha with 8 rounds. Its key is the seed as eight little-endian bytes followed by 24
//! zero bytes, its nonce (the *stream*) tells apart the shuffles made with one seed, such as one per
//! epoch. The shuffle is Fisher and Yates' in Durstenfeld's form: for `i` from `n − 1` down to 1, swap
//! element `i` with element `j`, drawn uniformly from `0..=i`.
//!
//! A number below `m` is drawn by Lemire's method: with `r` the generator's next 64 bits (two 32-bit words, low one
//! first), the high half of the 128-bit product `r · m` is taken, and `r` drawn again while the low half is below
//! `2⁶⁴ mod m`, which makes all outcomes equally likely.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// `0..count` in an order decided by `seed` and `stream`.
///
/// ```
/// use mnist_data::shuffle::permutation;
///
/// let order = permutation(1000, 42, 0);
/// assert_eq!(order, permutation(1000, 42, 0));
/// assert_ne!(order, permutation(1000, 42, 1));
/// ```
pub fn permutation(count: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    shuffle(&mut order, seed, stream);
    order
}

/// Shuffles `items` in an order decided by `seed`, `stream` and how many there are.
pub fn shuffle<T>(items: &mut [T], seed: u64, stream: u64) {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(stream);
    for i in (1..items.len()).rev() {
        items.swap(i, below(&mut generator, i as u64 + 1) as usize);
    }
}

/// A uniform number below `bound`, which is not 0.
fn below(generator: &mut impl Rng, bound: u64) -> u64 {
    let biased = bound.wrapping_neg() % bound; // 2⁶⁴ mod bound
    loop {
        let product = u128::from(generator.next_u64()) * u128::from(bound);
        if product as u64 >= biased {
            return (product >> 64) as u64;
        }
    }
}
