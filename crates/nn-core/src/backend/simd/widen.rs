//! Bytes as numbers.

use super::vector::{Element, Kernel, LINE, On, Vector, ask_for_line};
use crate::Scalar;
use crate::matrix::InputRef;

/// numbers ← the rows of x, in whichever form they come.
pub(super) struct Widen<'a, T> {
    pub(super) x: InputRef<'a, T>,
    pub(super) numbers: &'a mut [T],
}

/// With fewer bytes than this it takes longer to find out whether there is a quicker way than division than this way would save. (Chosen: eight
/// times the bytes that are tried.)
pub(super) const FEW: usize = 2048;

/// How many values a byte has.
const BYTES: usize = 256;

/// How many rows before their turn bytes are asked for: rows that follow each other come from memory the first time.
const ROWS_AHEAD: usize = 2;

impl<T: Element> Kernel<T> for Widen<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let divisor = match &self.x {
            InputRef::Bytes(x) => Some(x.divisor()),
            InputRef::SparseBytes(x) => Some(x.divisor()),
            _ => None,
        };
        let by_products = divisor.filter(|&d| self.numbers.len() >= FEW && products_divide(on, d));
        for (i, row) in self.numbers.chunks_exact_mut(self.x.cols().max(1)).enumerate() {
            match (&self.x, by_products) {
                (InputRef::Bytes(x), Some(divisor)) => divide(on, x.row(i), divisor, row),
                (InputRef::SparseBytes(x), Some(divisor)) => divide(on, x.row(i), divisor, row),
                _ => self.x.write_row(i, row),
            }
        }
    }
}

/// numbers ← bytes / divisor, for a divisor that [`products_divide`] says it for: the quotient by the rounded reciprocal, and what that leaves
/// over once more (P. Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", 1990). A division takes 9 or 10
/// cycles for a vector of AVX-512, three multiply-adds 2 or 3.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
fn divide<V: Vector>(on: On<V>, bytes: &[u8], divisor: V::T, numbers: &mut [V::T]) {
    let one: V::T = num_traits::One::one();
    let (minus_divisor, reciprocal) = (on.splat(-divisor), on.splat(one / divisor));
    let later = bytes.as_ptr().wrapping_add(ROWS_AHEAD * bytes.len());
    (0..bytes.len()).step_by(LINE).for_each(|at| ask_for_line(later.wrapping_add(at)));
    // In two loops, each of which the compiler makes vectors of by itself or has nothing to do with.
    numbers.iter_mut().zip(bytes).for_each(|(number, &byte)| *number = V::T::of_byte(byte));
    let mut parts = numbers.chunks_exact_mut(V::LANES);
    for part in parts.by_ref() {
        on.store(quotient(on.load(part), minus_divisor, reciprocal), part);
    }
    let part = parts.into_remainder();
    on.store_part(quotient(on.load_part(part, V::T::default()), minus_divisor, reciprocal), part);
}

#[inline(always)]
fn quotient<V: Vector>(number: V, minus_divisor: V, reciprocal: V) -> V {
    let quotient = number.mul(reciprocal);
    let rest = quotient.mul_add(minus_divisor, number);
    rest.mul_add(reciprocal, quotient)
}

/// Whether [`divide`] gives for every byte what division gives. It does for almost every divisor, where a multiply-add is rounded once.
#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline(never))]
pub(super) fn products_divide<V: Vector>(on: On<V>, divisor: V::T) -> bool {
    let bytes: [u8; BYTES] = std::array::from_fn(|byte| byte as u8);
    let mut quotients = [V::T::default(); BYTES];
    divide(on, &bytes, divisor, &mut quotients);
    bytes.iter().zip(quotients).all(|(&byte, quotient)| quotient == V::T::of_byte(byte) / divisor)
}
