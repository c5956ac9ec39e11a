//! Numbers that look random and are the same on every machine.

use nn_core::Scalar;

/// SplitMix64 (Steele, Lea & Flood 2014).
///
/// ```
/// use nn_tests::random::Rng;
/// assert_eq!(Rng(0).bits(), 0xe220_a839_7b1d_cdaf);
/// ```
#[derive(Debug, Clone)]
pub struct Rng(pub u64);

impl Rng {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number of 0 .. `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// A number of −1 .. 1, with 24 bits, so that it is the same in `f32` and `f64`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 40) as f64 / f64::from(1u32 << 23) - 1.0
    }

    /// `len` numbers of −`limit` .. `limit`.
    pub fn values<T: Scalar>(&mut self, len: usize, limit: f64) -> Vec<T> {
        (0..len).map(|_| T::of(self.unit() * limit)).collect()
    }

    /// `len` classes of 0 .. `classes`.
    pub fn classes(&mut self, len: usize, classes: usize) -> Vec<i32> {
        (0..len).map(|_| self.below(classes) as i32).collect()
    }

    /// `len` bytes, four fifths of them 0, as in images of digits.
    pub fn pixels(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| if self.below(5) == 0 { self.bits() as u8 } else { 0 }).collect()
    }
}
