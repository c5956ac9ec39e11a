//! c ← f(α x B + β c) for a single row: every number of B is used once, so that nothing is worth packing.

use super::gemm::{Finish, Product, depth_of_block, put};
use super::pack::{LanesAre, pack};
use super::vector::{Element, On, Vector};
use crate::ops::Trans;

/// Rows of B that pass by together: so often are the sums loaded and stored less.
const ROWS: usize = 4;

/// Carries out a product with m = 1 and B as it is stored. Blocks and order of the sums are gemm's, and so are the bits.
#[inline(always)]
pub(super) fn run<T: Element, V: Vector<T = T>>(on: On<V>, mut product: Product<'_, T>) {
    let (n, k) = (product.c.cols(), product.k);
    let lanes_are = if product.ta == Trans::No { LanesAre::Rows } else { LanesAre::Columns };
    let mut x = product.scratch.take(k);
    pack(1, &product.a, lanes_are, 0..1, 0..k, &mut x);
    let mut sums = product.scratch.take(n.next_multiple_of(V::LANES));
    let kc = depth_of_block(k);
    for p0 in (0..k.max(1)).step_by(kc) {
        let steps = p0..(p0 + kc).min(k);
        sums.fill(T::zero());
        let mut j = 0;
        while j < n && !steps.is_empty() {
            let len = product.b.block_cols().min(n - j);
            let b = product.b.strip(j, len);
            let sums = &mut sums[j..(j + len).next_multiple_of(V::LANES)];
            let fours = steps.len() / ROWS * ROWS;
            for p in (steps.start..steps.start + fours).step_by(ROWS) {
                let x = [x[p], x[p + 1], x[p + 2], x[p + 3]];
                add_rows(on, x, [b.row(p), b.row(p + 1), b.row(p + 2), b.row(p + 3)], sums);
            }
            for p in steps.start + fours..steps.end {
                add_rows(on, [x[p]], [b.row(p)], sums);
            }
            j += len;
        }
        let beta = if p0 == 0 { product.beta } else { T::one() };
        let finish = if steps.end == k { product.finish } else { Finish::Nothing };
        for j in (0..n).step_by(V::LANES) {
            let len = V::LANES.min(n - j);
            let c = &mut product.c.run(0, j)[..len];
            put(on, (product.alpha, beta, &finish), &sums[j..], 0, j, c);
        }
    }
    product.scratch.give(x);
    product.scratch.give(sums);
}

/// sums ← sums + x₀ row₀ + x₁ row₁ + …, one after the other. `sums` is as long as a row, in whole vectors.
#[inline(always)]
fn add_rows<V: Vector, const R: usize>(on: On<V>, x: [V::T; R], rows: [&[V::T]; R], sums: &mut [V::T]) {
    let n = rows[0].len();
    for (sums, j) in sums.chunks_exact_mut(V::LANES).zip((0..).step_by(V::LANES)) {
        let mut v = on.load(sums);
        for r in 0..R {
            let part = on.load_part(&rows[r][j..(j + V::LANES).min(n)], V::T::default());
            v = on.splat(x[r]).mul_add(part, v);
        }
        on.store(v, sums);
    }
}
