//! C ← f(α A · Bᵀ + β C), as backpropagation needs it, with the roles in the register tile exchanged: Cᵀ = B · Aᵀ. B, the weights,
//! is read where it is, row by row, and never packed; what is packed is A, the gradient of a few hundred rows.

use super::caches::caches;
use super::finish::Finish;
use super::gemm::{DEPTH_UNIT, Product, Rows, piece, put};
use super::pack::Source;
use super::tile::{self, Steps, To};
use super::vector::{Element, Kernel, LINE, MAX_LANES, On, Vector, ask_for};
use crate::backend::reference::fits;
use crate::matrix::{MatMut, MatRef};
use crate::ops::Trans;

/// Most steps of the sum in one block: a panel of B (14 rows of `f32`: 28 KiB) stays in the L1 cache while all of Aᵀ passes by.
/// (Measured on Zen 4, 4096 steps: with 128, 256 and 1024 of them it takes 2, 4 and 1 % longer.) It decides how sums are rounded, so it is
/// the same on every machine.
const DEPTH: usize = 512;

/// Whether [`Reversed`] is for this product.
pub(super) fn is_for<T: Element>(product: &Product<'_, T>) -> bool {
    product.ta == Trans::No
        && product.tb == Trans::Yes
        && product.k > 0
        && matches!(product.a, Source::Matrix(_))
}

/// Such a product.
pub(super) struct Reversed<'a, T>(pub(super) Product<'a, T>);

impl<T: Element> Kernel<T> for Reversed<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        run(on, self.0);
    }
}

#[inline(always)]
fn run<T: Element, V: Vector<T = T>>(on: On<V>, product: Product<'_, T>) {
    let Product { alpha, a: Source::Matrix(a), b, beta, mut c, k, finish, scratch, .. } = product else {
        return;
    };
    let (m, n, (mr, nr)) = (c.rows(), c.cols(), (tile::rows::<V>(), tile::columns::<V>()));
    let kc = if k <= DEPTH { k } else { piece(k, DEPTH, DEPTH_UNIT) };
    // Aᵀ stays in half of the L2 cache while all of B passes by.
    let mc = piece(m, caches().l2 / 2 / size_of::<T>() / kc / nr * nr, nr);
    let rows = Rows { source: Source::Matrix(b), trans: Trans::No };
    let mut a_block = scratch.take(mc * kc);
    let mut b_copy = scratch.take(mr * kc);
    // The last tile may be higher than there are rows of B for it.
    let mut transposed = scratch.take((n + mr) * mc);

    for i0 in (0..m).step_by(mc) {
        let lanes = i0..(i0 + mc).min(m);
        let width = lanes.len().next_multiple_of(nr);
        for p0 in (0..k).step_by(kc) {
            let steps = p0..(p0 + kc).min(k);
            let a_block = &mut a_block[..width * steps.len()];
            let mut sums = fits(MatMut::new(&mut transposed, n + mr, width));
            pack(on, nr, &a, lanes.clone(), steps.clone(), a_block);
            let mut j = 0;
            while j < n {
                let left = (n - j).min(mr);
                let left = tile::height_within::<V>(left).unwrap_or(left);
                let height = tile::height::<V>(left);
                let b_panel = rows.panel(j..j + left, &steps, height, false, &mut b_copy);
                let next = j + left..(j + left + mr).min(n);
                let mut ahead = steps.clone();
                let line = LINE / size_of::<T>();
                let piece = steps.len().div_ceil(width / nr).next_multiple_of(line);
                for (l, panel) in a_block.chunks_exact(nr * steps.len()).enumerate() {
                    // The next rows of B are asked for a piece at a time, while these are multiplied.
                    let now = ahead.start..(ahead.start + piece).min(ahead.end);
                    ahead.start = now.end;
                    for row in next.clone() {
                        now.clone().step_by(line).for_each(|p| ask_for(&b.run(row, p)[..1]));
                    }
                    let narrow = lanes.len() - l * nr <= V::LANES;
                    let a_panel = Steps { data: panel, step: nr, next: None };
                    let columns = if narrow { V::LANES } else { nr };
                    let to = To::Matrix {
                        c: sums.strip(l * nr, columns),
                        first: j,
                        alpha: T::one(),
                        beta: if p0 > 0 { T::one() } else { T::zero() },
                    };
                    tile::product(on, (height, narrow), &b_panel, &a_panel, steps.len(), to);
                }
                j += left;
            }
        }
        // C's rows are columns of what was computed.
        let lanes_of_c = V::LANES;
        for first in lanes.clone().step_by(lanes_of_c) {
            let count = lanes_of_c.min(lanes.end - first);
            let mut j = 0;
            while j < n {
                let output = if let Finish::Slope(_, output) = finish { output.block_cols() } else { n };
                let in_block = [c.block_cols(), output].map(|block| block - j % block);
                let len = in_block[0].min(in_block[1]).min(n - j).min(V::LANES);
                let mut square = [T::zero(); MAX_LANES * MAX_LANES];
                let from = &transposed[j * width + first - i0..];
                if len == V::LANES {
                    on.transpose(from, width, &mut square, V::LANES);
                } else {
                    for (column, from) in from.chunks(width).take(len).enumerate() {
                        for (row, &x) in from.iter().take(V::LANES).enumerate() {
                            square[row * V::LANES + column] = x;
                        }
                    }
                }
                for (i, sums) in (first..first + count).zip(square.chunks_exact(V::LANES)) {
                    put(on, (alpha, beta, &finish), sums, i, j, &mut c.run(i, j)[..len]);
                }
                j += len;
            }
        }
    }
    scratch.give(a_block);
    scratch.give(b_copy);
    scratch.give(transposed);
}

/// Packs rows of A as panels of `nr` lanes, step by step; what is missing to the last panel is 0.
#[inline(always)]
fn pack<T: Element, V: Vector<T = T>>(
    on: On<V>,
    nr: usize,
    a: &MatRef<'_, T>,
    lanes: std::ops::Range<usize>,
    steps: std::ops::Range<usize>,
    out: &mut [T],
) {
    let depth = steps.len();
    for (panel, first) in out.chunks_exact_mut(nr * depth).zip(lanes.clone().step_by(nr)) {
        for lane in (0..nr).step_by(V::LANES) {
            let count = V::LANES.min(lanes.end.saturating_sub(first + lane));
            if count == 0 {
                panel.chunks_exact_mut(nr).for_each(|step| step[lane..lane + V::LANES].fill(T::zero()));
                continue;
            }
            let mut p = 0;
            while p < depth {
                let run = a.run(first + lane, steps.start + p).len().min(depth - p).min(V::LANES);
                let out = &mut panel[p * nr + lane..];
                if run == V::LANES {
                    // Rows that there are not are whatever the last one is; they are never looked at.
                    let mut square = [T::zero(); MAX_LANES * MAX_LANES];
                    for (row, i) in square.chunks_exact_mut(V::LANES).zip(first + lane..).take(count) {
                        on.store(on.load(&a.run(i, steps.start + p)[..run]), row);
                    }
                    on.transpose(&square, V::LANES, out, nr);
                } else {
                    for (at, step) in out.chunks_mut(nr).take(run).enumerate() {
                        step[..V::LANES].fill(T::zero());
                        for (x, i) in step.iter_mut().zip(first + lane..).take(count) {
                            *x = a.run(i, steps.start + p)[at];
                        }
                    }
                }
                p += run;
            }
        }
    }
}
