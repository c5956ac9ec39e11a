//! c ← f(α x B + β c) for a single row: every number of B is used once, so that nothing is worth packing.

use std::ops::Range;

use super::finish::Finish;
use super::gemm::{CHAINS, Product, depth_of_block, put};
use super::pack::{LanesAre, Source, pack};
use super::vector::{Element, Kernel, LINE, On, Vector, ask_for_line, part, part_mut, strip};
use crate::matrix::MatRef;
use crate::ops::Trans;

/// How many numbers of x are asked for before they are needed: 64, some 500 cycles of the loop with 16 columns, and more than memory takes.
/// A row of a large data set comes from there, and the few lines of each block are over before the CPU has seen that they follow each
/// other. (Chosen; what it gains was not measured by itself.)
const AHEAD: usize = 64;

/// Rows of B that pass by together: so often are the sums loaded and stored less.
const ROWS: usize = 4;

/// A product with m = 1 and B as it is stored. Blocks and order of the sums are gemm's, and so are the bits.
pub(super) struct OfOneRow<'a, T>(pub(super) Product<'a, T>);

impl<T: Element> Kernel<T> for OfOneRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        run(on, self.0);
    }
}

#[inline(always)]
fn run<T: Element, V: Vector<T = T>>(on: On<V>, mut product: Product<'_, T>) {
    let (n, k) = (product.c.cols(), product.k);
    let lanes_are = if product.ta == Trans::No { LanesAre::Rows } else { LanesAre::Columns };
    let row = match product.a {
        Source::Matrix(a) if product.ta == Trans::No && a.is_plain() => Some(a.row(0)),
        Source::Rows(rows) if product.ta == Trans::No => Some(rows.row(0)),
        _ => None,
    };
    let mut copy = product.scratch.take(if row.is_some() { 0 } else { k });
    match product.a {
        _ if row.is_some() => (),
        Source::Matrix(a) if product.ta == Trans::No => copy_row(on, &a, &mut copy),
        _ => pack(1, &product.a, lanes_are, 0..1, 0..k, &mut copy),
    }
    let x = row.unwrap_or(&copy);
    let kc = depth_of_block::<V>(product.ta, k, n);
    let vectors = n.div_ceil(V::LANES);
    if (1..=2).contains(&vectors) && kc < k && product.b.is_plain() {
        for p0 in (0..k).step_by(CHAINS / vectors * kc) {
            if vectors == 1 {
                in_chains::<T, V, 1, 4>(on, x, p0, kc, &mut product);
            } else {
                in_chains::<T, V, 2, 2>(on, x, p0, kc, &mut product);
            }
        }
        product.scratch.give(copy);
        return;
    }
    let mut sums = product.scratch.take(n.next_multiple_of(V::LANES));
    for p0 in (0..k.max(1)).step_by(kc) {
        let steps = p0..(p0 + kc).min(k);
        sums.fill(T::zero());
        let mut j = 0;
        while j < n && !steps.is_empty() {
            // A plain matrix is read row by row, one in blocks block by block.
            let len = if product.b.is_plain() { n } else { strip::<V>().min(product.b.block_cols()) };
            let b = product.b.strip(j, len);
            let sums = &mut sums[j..(j + len).next_multiple_of(V::LANES)];
            j += len;
            if len <= strip::<V>() {
                // Sums that fit in registers stay there.
                match len.div_ceil(V::LANES) {
                    1 => in_registers::<V, 1>(on, x, steps.clone(), &b, sums),
                    2 => in_registers::<V, 2>(on, x, steps.clone(), &b, sums),
                    4 => in_registers::<V, 4>(on, x, steps.clone(), &b, sums),
                    8 => in_registers::<V, 8>(on, x, steps.clone(), &b, sums),
                    _ => in_fours(on, x, steps.clone(), &b, sums),
                }
            } else {
                in_fours(on, x, steps.clone(), &b, sums);
            }
        }
        let beta = if p0 == 0 { product.beta } else { T::one() };
        let finish = if steps.end == k { product.finish } else { Finish::Nothing };
        for j in (0..n).step_by(V::LANES) {
            let len = V::LANES.min(n - j);
            let c = &mut product.c.run(0, j)[..len];
            put(on, (product.alpha, beta, &finish), &sums[j..], 0, j, c);
        }
    }
    product.scratch.give(copy);
    product.scratch.give(sums);
}

/// The only row of a matrix in blocks of columns, in one piece. (To call a function for each block would take longer than to copy it.)
#[inline(always)]
fn copy_row<V: Vector>(on: On<V>, from: &MatRef<'_, V::T>, to: &mut [V::T]) {
    for j in (0..from.cols()).step_by(from.block_cols()) {
        let block = from.run(0, j);
        for c in 0..block.len().div_ceil(V::LANES) {
            let numbers = on.load_part(part::<V>(block, c), V::T::default());
            on.store_part(numbers, part_mut::<V>(&mut to[j..j + block.len()], c));
        }
    }
}

/// [`run`] for at most `B` blocks of steps from `p0` on, and `C` vectors of columns: an addition does not wait for the one before, which
/// is another block's.
#[inline(always)]
fn in_chains<T: Element, V: Vector<T = T>, const C: usize, const B: usize>(
    on: On<V>,
    x: &[T],
    p0: usize,
    kc: usize,
    product: &mut Product<'_, T>,
) {
    let (n, k) = (product.c.cols(), product.k);
    let blocks = (k - p0).div_ceil(kc).min(B);
    let last = (k - p0 - (blocks - 1) * kc).min(kc);
    let (x, b) = (&x[p0..], product.b.row_range(p0, k - p0));
    let mut sums = [[on.zero(); C]; B];
    for ahead in (0..AHEAD).step_by(LINE / size_of::<T>()) {
        (0..blocks).for_each(|block| ask_for_line(x.as_ptr().wrapping_add(block * kc + ahead)));
    }
    // The last block may be shorter than the others.
    match blocks {
        4 => {
            advance::<V, C, 4>(on, x, &b, kc, 0..last, &mut sums);
            advance::<V, C, 3>(on, x, &b, kc, last..kc, &mut sums);
        }
        3 => {
            advance::<V, C, 3>(on, x, &b, kc, 0..last, &mut sums);
            advance::<V, C, 2>(on, x, &b, kc, last..kc, &mut sums);
        }
        2 => {
            advance::<V, C, 2>(on, x, &b, kc, 0..last, &mut sums);
            advance::<V, C, 1>(on, x, &b, kc, last..kc, &mut sums);
        }
        _ => advance::<V, C, 1>(on, x, &b, kc, 0..last, &mut sums),
    }
    for (block, sums) in sums.iter().enumerate().take(blocks) {
        let begin = p0 + block * kc;
        let beta = if begin == 0 { product.beta } else { T::one() };
        let finish = if begin + kc >= k { product.finish } else { Finish::Nothing };
        for (&sum, j) in sums.iter().zip((0..n).step_by(V::LANES)) {
            let c = &mut product.c.run(0, j)[..V::LANES.min(n - j)];
            put(on, (product.alpha, beta, &finish), &on.lanes(sum), 0, j, c);
        }
    }
}

/// Adds some steps of each of the first `B` blocks of `kc` steps to their sums.
#[inline(always)]
fn advance<V: Vector, const C: usize, const B: usize>(
    on: On<V>,
    x: &[V::T],
    b: &MatRef<'_, V::T>,
    kc: usize,
    steps: Range<usize>,
    sums: &mut [[V; C]],
) {
    if B > sums.len() || steps.is_empty() {
        return;
    }
    let (end, width) = ((B - 1) * kc + steps.end, b.cols());
    assert!(end <= x.len() && end <= b.rows(), "rows of B");
    assert!((end - 1) * b.stride() + width <= b.as_slice().len(), "elements of B");
    assert!(width > (C - 1) * V::LANES && width <= C * V::LANES, "columns of B");
    let mut chains: [[V; C]; B] = std::array::from_fn(|i| sums[i]);
    // Which of the two it is the compiler is to know: a load of a part takes a mask or more.
    if width == C * V::LANES {
        for p in steps {
            if p % (LINE / size_of::<V::T>()) == 0 {
                (0..B).for_each(|i| ask_for_line(x.as_ptr().wrapping_add(i * kc + p + AHEAD)));
            }
            for (i, chain) in chains.iter_mut().enumerate() {
                // SAFETY: `on` proves the instructions; a step of block i < B has an x and a whole row of B, as was just checked.
                unsafe {
                    let x = V::splat(*x.get_unchecked(i * kc + p));
                    let row = b.as_slice().as_ptr().add((i * kc + p) * b.stride());
                    for (c, sum) in chain.iter_mut().enumerate() {
                        *sum = x.mul_add(V::load(row.add(c * V::LANES)), *sum);
                    }
                }
            }
        }
    } else {
        let rest = width - (C - 1) * V::LANES;
        for p in steps {
            for (i, chain) in chains.iter_mut().enumerate() {
                // SAFETY: likewise; of the last vector there are `rest` numbers, more than none and fewer than all.
                unsafe {
                    let x = V::splat(*x.get_unchecked(i * kc + p));
                    let row = b.as_slice().as_ptr().add((i * kc + p) * b.stride());
                    for (c, sum) in chain.iter_mut().enumerate() {
                        let part = row.add(c * V::LANES);
                        let part =
                            if c + 1 < C { V::load(part) } else { V::load_first(part, rest, on.zero()) };
                        *sum = x.mul_add(part, *sum);
                    }
                }
            }
        }
    }
    sums[..B].copy_from_slice(&chains);
}

/// sums ← Σ x row over some rows of B, which are `C` vectors wide or a little less.
#[inline(always)]
fn in_registers<V: Vector, const C: usize>(
    on: On<V>,
    x: &[V::T],
    steps: Range<usize>,
    b: &MatRef<'_, V::T>,
    sums: &mut [V::T],
) {
    let mut columns = [on.zero(); C];
    let (stride, width) = (b.stride(), b.cols());
    let (x, b) = (&x[steps.clone()], b.row_range(steps.start, steps.len()));
    if width == C * V::LANES {
        let rows = b.as_slice();
        assert!((x.len() - 1) * stride + width <= rows.len(), "rows of B");
        let mut row = rows.as_ptr();
        for &x in x {
            let x = on.splat(x);
            for (c, sum) in columns.iter_mut().enumerate() {
                // SAFETY: `on` proves the instructions; the last row ends within the slice, as was just checked. The pointer leaves it at
                // the end, without being read, in wrapping arithmetic.
                *sum = x.mul_add(unsafe { V::load(row.add(c * V::LANES)) }, *sum);
            }
            row = row.wrapping_add(stride);
        }
    } else {
        for (p, &x) in x.iter().enumerate() {
            let x = on.splat(x);
            for (c, sum) in columns.iter_mut().enumerate() {
                *sum = x.mul_add(on.load_part(part::<V>(b.row(p), c), V::T::default()), *sum);
            }
        }
    }
    for (c, v) in columns.into_iter().enumerate() {
        on.store(v, &mut sums[c * V::LANES..]);
    }
}

/// sums ← Σ x row over some rows of B of any width, a few rows at a time. The sums are 0 before.
#[inline(always)]
fn in_fours<V: Vector>(on: On<V>, x: &[V::T], steps: Range<usize>, b: &MatRef<'_, V::T>, sums: &mut [V::T]) {
    let (fours, rest) = x[steps.clone()].as_chunks::<ROWS>();
    for (x, p) in fours.iter().zip((steps.start..).step_by(ROWS)) {
        add_rows(on, *x, [b.row(p), b.row(p + 1), b.row(p + 2), b.row(p + 3)], sums);
    }
    for (&x, p) in rest.iter().zip(steps.start + ROWS * fours.len()..) {
        add_rows(on, [x], [b.row(p)], sums);
    }
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
