//! Random numbers that depend on where they go and on nothing that was drawn before: Philox4x32-10 (Salmon, Moraes,
//! Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011), a cipher of a 128-bit counter under a 64-bit
//! key, weakened until it is fast.

use crate::Scalar;

/// Rounds of the generator, as the paper recommends for it.
const ROUNDS: usize = 10;

/// The paper's multipliers for the counter's even words.
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];

/// The paper's increments of the key between rounds: the fractional parts of the golden ratio and of √3 − 1.
const INCREMENTS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// Blocks that are computed side by side, so that compilers make vectors of them: eight words are one AVX2 register.
const LANES: usize = 8;

/// Numbers of a block.
const WORDS: usize = 4;

/// The four words that `counter` becomes under `key`.
fn philox(counter: [u32; WORDS], key: [u32; 2]) -> [u32; WORDS] {
    blocks(counter.map(|word| [word; 1]), key).map(|[word]| word)
}

/// The same for `N` counters: word w of counter i is `counters[w][i]`.
#[inline(always)]
fn blocks<const N: usize>(mut counters: [[u32; N]; WORDS], mut key: [u32; 2]) -> [[u32; N]; WORDS] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(INCREMENTS[0]), key[1].wrapping_add(INCREMENTS[1])];
        }
        for i in 0..N {
            let [a, b, c, d] = counters.each_ref().map(|word| word[i]);
            let product = |x: u32, by: u32| u64::from(x) * u64::from(by);
            let (left, right) = (product(a, MULTIPLIERS[0]), product(c, MULTIPLIERS[1]));
            counters[0][i] = (right >> 32) as u32 ^ b ^ key[0];
            counters[1][i] = right as u32;
            counters[2][i] = (left >> 32) as u32 ^ d ^ key[1];
            counters[3][i] = left as u32;
        }
    }
    counters
}

/// The low and the high half.
fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// One tensor of random numbers: those of a node (`stream`) at a `step`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uniform {
    key: [u32; 2],
    /// The counter's upper half.
    tensor: [u32; 2],
}

impl Uniform {
    /// The seed is the key under which stream and step are enciphered to a key and half a counter for the elements: so
    /// seed, stream and step all have their full 64 bits.
    pub(super) fn new(seed: u64, stream: u64, step: f64) -> Self {
        let ([s0, s1], [t0, t1]) = (halves(stream), halves(step.to_bits()));
        let [k0, k1, c2, c3] = philox([s0, s1, t0, t1], halves(seed));
        Self { key: [k0, k1], tensor: [c2, c3] }
    }

    /// out ← the tensor's elements from number `first` on, uniform in \[0, 1) in steps of 2⁻²⁴.
    pub(super) fn fill<T: Scalar>(&self, mut first: u64, mut out: &mut [T]) {
        const GROUP: usize = LANES * WORDS;
        while !out.is_empty() {
            let skip = first as usize % WORDS;
            let words = self.group(first / WORDS as u64);
            let (now, later) = out.split_at_mut(out.len().min(GROUP - skip));
            for (at, x) in now.iter_mut().enumerate() {
                let at = at + skip;
                // The leading 24 bits: all that an f32 of [1/2, 1) can tell apart.
                *x = T::of(f64::from(words[at % WORDS][at / WORDS] >> 8) * (1.0 / f64::from(1 << 24)));
            }
            first += now.len() as u64;
            out = later;
        }
    }

    /// The blocks from number `block` on.
    fn group(&self, block: u64) -> [[u32; LANES]; WORDS] {
        let numbers: [[u32; 2]; LANES] = std::array::from_fn(|i| halves(block.wrapping_add(i as u64)));
        let counters = [
            numbers.map(|[low, _]| low),
            numbers.map(|[_, high]| high),
            [self.tensor[0]; LANES],
            [self.tensor[1]; LANES],
        ];
        blocks(counters, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors that the authors publish with their library Random123.
    #[test]
    fn the_generator_gives_its_authors_answers() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        for (counter, key, expected) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (pi, [0xa409_3822, 0x299f_31d0], [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
        ] {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn any_part_of_a_tensor_can_be_drawn_on_its_own_and_in_any_type() {
        let uniform = Uniform::new(1, 2, 3.0);
        let mut whole = vec![0.0f64; 300];
        uniform.fill(0, &mut whole);
        for (first, len) in [(0, 1), (1, 2), (3, 40), (31, 33), (299, 1), (128, 100)] {
            let mut part = vec![0.0f32; len];
            uniform.fill(first as u64, &mut part);
            assert!(part.iter().zip(&whole[first..]).all(|(&a, &b)| f64::from(a) == b), "{first}, {len}");
        }
        // Beyond 2³² blocks the counter's second word counts on.
        let far = WORDS as u64 * (1 << 32) - 2;
        let (mut across, mut beyond) = ([0.0f64; 4], [0.0f64; 2]);
        uniform.fill(far, &mut across);
        uniform.fill(far + 2, &mut beyond);
        assert_eq!(across[2..], beyond);
        assert_ne!(beyond, whole[..2]);
    }

    #[test]
    fn numbers_are_uniform_and_other_ones_for_each_seed_stream_and_step() {
        const N: usize = 1 << 16;
        let draw = |seed, stream, step| {
            let mut x = vec![0.0f64; N];
            Uniform::new(seed, stream, step).fill(0, &mut x);
            x
        };
        let x = draw(7, 0, 0.0);
        assert!(x.iter().all(|x| (0.0..1.0).contains(x)));
        // χ² of 256 cells: mean 255, standard deviation √510 = 22.6; five of those are allowed.
        let mut cells = [0.0f64; 256];
        x.iter().for_each(|x| cells[(x * 256.0) as usize] += 1.0);
        let expected = N as f64 / 256.0;
        let chi: f64 = cells.iter().map(|n| (n - expected).powi(2) / expected).sum();
        assert!((chi - 255.0).abs() < 5.0 * 22.6, "χ² = {chi}");
        for (seed, stream, step) in
            [(8, 0, 0.0), (7, 1, 0.0), (7, 0, 1.0), (7, 1 << 32, 0.0), (7 << 32, 0, 0.0)]
        {
            let y = draw(seed, stream, step);
            // The correlation of independent numbers is 1/√N = 1/256 off zero, usually; five times that is allowed.
            let dot: f64 = x.iter().zip(&y).map(|(x, y)| (x - 0.5) * (y - 0.5)).sum();
            assert!((dot / (N as f64 / 12.0)).abs() < 5.0 / 256.0, "{seed}, {stream}, {step}: {dot}");
        }
    }
}
