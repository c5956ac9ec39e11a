//! The squares that make columns of rows.

use super::super::vector::{Element, Kernel, MAX_LANES, On, Vector};
use super::{Check, Runner, everywhere, numbers};

/// to ← fromᵀ
struct Transpose<'a, T> {
    from: (&'a [T], usize),
    to: (&'a mut [T], usize),
}

impl<T: Element> Kernel<T> for Transpose<'_, T> {
    type Output = usize;

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) -> usize {
        on.transpose(self.from.0, self.from.1, self.to.0, self.to.1);
        V::LANES
    }
}

/// Squares anywhere in wider matrices, and rows that overlap where they are read.
struct Squares;

impl Check for Squares {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        for (from_stride, to_stride) in [(MAX_LANES, MAX_LANES), (1, 16), (10, 16), (40, 29)] {
            let from = numbers::<T>(1, MAX_LANES * (from_stride + 1));
            let mut to = vec![T::nan(); MAX_LANES * to_stride];
            let lanes = on.run(Transpose { from: (&from, from_stride), to: (&mut to, to_stride) });
            for (at, &got) in to.iter().enumerate() {
                let (j, i) = (at / to_stride, at % to_stride);
                if j < lanes && i < lanes {
                    assert_eq!(got, from[i * from_stride + j], "{name}: column {j} of row {i}");
                } else {
                    assert!(got.is_nan(), "{name}: wrote column {i} of row {j}");
                }
            }
        }
    }
}

#[test]
fn a_square_is_transposed_and_nothing_beside_it_is_written() {
    everywhere(&Squares);
}
