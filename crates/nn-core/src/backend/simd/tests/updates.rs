//! Updates that are the end of a product, against the product and the pass one after the other.

use super::super::Simd;
use super::super::formulas::all;
use super::super::lists;
use super::super::pair_update::updates;
use super::super::pairs::block_columns;
use super::super::vector::Element;
use super::pairs::bytes;
use super::{checked, numbers};
use crate::backend::{Backend, blockwise, reference::fits};
use crate::matrix::{InputRef, MatRef, Rows, Scratch, SparseBytes, blocked_len};
use crate::ops::{Pass, Update};

/// What the outputs of `pass` hold after an update by xᵀ · δ, for `k` columns of `x`: as the kernel does it, and step by step.
///
/// Of what is remembered, some rows are 0, and in some there is a number of a special kind; of all scalars, one has the value that `special`
/// says.
fn both<T: Element>(
    simd: Simd,
    (pass, special): (&Pass, Option<(usize, T)>),
    x: InputRef<'_, T>,
    k: usize,
) -> [Vec<Vec<T>>; 2]
where
    Simd: Backend<T>,
{
    let (m, n) = (x.rows(), block_columns::<T>());
    let delta = numbers::<T>(1, m * n);
    let mut scalars: Vec<T> = numbers::<T>(2, pass.scalars()).iter().map(|s| s.abs()).collect();
    special.into_iter().for_each(|(at, value)| scalars[at] = value);
    let count = pass.outputs().len();
    [true, false].map(|at_once| {
        // Nothing negative comes under a root, but for the spread of centred RMSprop: NaN is NaN on either side.
        let old = |number: usize| {
            let mut output: Vec<T> =
                numbers::<T>(3 + number as u64, blocked_len(k, n)).iter().map(|w| w.abs()).collect();
            // Row by row, another of these is 0, then all of them; the last output is the weights.
            for (i, row) in output.chunks_exact_mut(n).enumerate() {
                if number + 1 < count && (i % (count + 1) == number || i % (count + 1) == count) {
                    row.fill(T::zero());
                }
                if number + 1 < count && i % 7 == 3 {
                    row[i % n] = [T::nan(), T::infinity(), T::min_positive_value()][i / 7 % 3];
                }
            }
            output
        };
        let mut outputs: Vec<Vec<T>> = (0..count).map(old).collect();
        let mut slices: Vec<&mut [T]> = outputs.iter_mut().map(|output| &mut output[..]).collect();
        let update = fits(Update::new((pass, 0), &[], &scalars, &mut slices, (k, n)));
        let (delta, scratch) = (fits(MatRef::new(&delta, m, n)), &mut Scratch::default());
        if at_once {
            assert_eq!(updates(m, &update), m <= lists::ROWS, "{m} rows");
            simd.update_weights(x, delta, update, scratch);
        } else {
            blockwise::update_weights(&simd, x, delta, update, scratch);
        }
        outputs.iter_mut().for_each(|output| output.truncate(k * n));
        outputs
    })
}

fn every_formula<T: Element>()
where
    Simd: Backend<T>,
{
    for (name, pass) in all() {
        let pass = pass.expect("a formula is a pass");
        // An odd number of columns, of which every third pair is of zeros; rows of one panel, and one more.
        for (m, k) in [(3, 7), (50, 129), (lists::ROWS, 16), (lists::ROWS + 1, 20)] {
            let mut bytes = bytes(m + 5, k);
            bytes
                .iter_mut()
                .enumerate()
                .filter(|(at, _)| at % k / 2 % 3 == 1)
                .for_each(|(_, byte)| *byte = 0);
            let set = fits(SparseBytes::new(&bytes, m + 5, k, T::of(255.0)));
            let x = fits(InputRef::sparse_bytes(&set).select(Rows::Range { start: 5, len: m }));
            for simd in checked() {
                // With each scalar 0 and ∞ in its turn: 0 is divided by 0 without ε, and ∞ times 0 is no number.
                let each = (0..pass.scalars()).flat_map(|at| [(at, T::zero()), (at, T::infinity())]);
                for special in each.map(Some).chain([None]) {
                    let [got, want] = both(simd, (&pass, special), x, k);
                    for (number, (got, want)) in got.iter().zip(&want).enumerate() {
                        let same = |(a, b): (&T, &T)| a == b || a.is_nan() && b.is_nan();
                        let first = got.iter().zip(want).position(|pair| !same(pair));
                        let on = simd.isa().name();
                        let what = format!("{name} on {on}, scalar {special:?}");
                        assert_eq!(first, None, "{what}: output {number} of [{k}] by {m} rows");
                    }
                }
            }
        }
    }
}

#[test]
fn an_update_at_the_end_of_a_product_has_the_bits_of_one_after_the_other() {
    every_formula::<f32>();
    every_formula::<f64>();
}
