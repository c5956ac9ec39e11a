//! Bytes as numbers, in as many ways as there are, against one division each.

use super::super::vector::{Element, Kernel, On, Vector};
use super::super::widen::{FEW, Widen, products_divide};
use super::{Check, Isa, Runner, checked, everywhere};
use crate::matrix::{InputRef, SparseBytes};

/// Rows of this many bytes are whole vectors and a part of one, on every instruction set.
const COLS: usize = 83;

/// Divisors, as `f64`: of which the products are exact, are not, don't fit or are none.
const DIVISORS: [f64; 10] = [255.0, 256.0, 1.0, 3.0, 0.1, 1e-30, 3.3e38, 1e-40, -255.0, 16_777_215.0];

/// All values that bytes have, in rows.
fn bytes(rows: usize) -> Vec<u8> {
    (0..rows * COLS).map(|at| (at * 7 + at / 256) as u8).collect()
}

struct BytesAreDivided {
    rows: usize,
}

impl Check for BytesAreDivided {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let bytes = bytes(self.rows);
        for divisor in DIVISORS.map(T::of) {
            let whole = InputRef::bytes(&bytes, self.rows, COLS, divisor).expect("bytes");
            let sparse = SparseBytes::new(&bytes, self.rows, COLS, divisor).expect("bytes");
            for x in [whole, InputRef::sparse_bytes(&sparse)] {
                let mut numbers = vec![T::nan(); self.rows * COLS];
                on.run(Widen { x, numbers: &mut numbers });
                for (number, &byte) in numbers.into_iter().zip(&bytes) {
                    let quotient = T::of_byte(byte) / divisor;
                    let same = number == quotient && number.is_sign_negative() == quotient.is_sign_negative();
                    assert!(same, "{name}: {byte} / {divisor} is {quotient}, not {number}");
                }
            }
        }
    }
}

#[test]
fn bytes_are_divided_whether_there_are_few_or_many() {
    let many = FEW.div_ceil(COLS);
    for rows in [1, many - 1, many, 2 * many] {
        everywhere(&BytesAreDivided { rows });
    }
}

struct ProductsDivide<T>(T);

impl<T: Element> Kernel<T> for ProductsDivide<T> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) -> bool {
        products_divide(on, self.0)
    }
}

#[test]
fn pixels_are_divided_by_products_where_multiply_adds_are_rounded_once() {
    for simd in checked().into_iter().filter(|simd| simd.isa() != Isa::Portable) {
        assert!(Runner::<f32>::run(&simd, ProductsDivide(255.0)), "{} f32", simd.isa());
        assert!(Runner::<f64>::run(&simd, ProductsDivide(255.0)), "{} f64", simd.isa());
    }
}
