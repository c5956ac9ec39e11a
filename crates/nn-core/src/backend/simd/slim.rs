//! Products of rows of bytes in pairs, by the lists of `lists.rs`, for layers of fewer columns than a block has: W and δ are read where
//! they are, as plain rows, and no more columns are computed than there are.

use super::gemm::Finish;
use super::vector::{Element, Kernel, On, Vector};
use crate::matrix::{MatMut, MatRef, PairLists, Scratch, SparseRows};

/// Most rows for which dW is computed by the lists of rows, so that those of columns need not be made, 392 pairs of 784 columns
/// however few the rows are. dW is then read and written for every entry; later, sums that stay in registers gain more.
const BY_ROW: usize = 64;

/// Y ← finish(X · W). X: \[m, k\], W: \[k, n\], Y: \[m, n\].
pub(super) struct SlimProduct<'a, T> {
    pub(super) x: SparseRows<'a, T>,
    pub(super) w: MatRef<'a, T>,
    pub(super) finish: Finish<'a, T>,
    pub(super) y: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

/// dW ← dW + α Xᵀ · δ. X: \[m, k\], δ: \[m, n\], dW: \[k, n\].
pub(super) struct SlimOuter<'a, T> {
    pub(super) alpha: T,
    pub(super) x: SparseRows<'a, T>,
    pub(super) delta: MatRef<'a, T>,
    pub(super) dw: MatMut<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

impl<T: Element> Kernel<T> for SlimProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { x, w, finish, mut y, scratch } = self;
        let (m, n) = (y.rows(), y.cols());
        (0..m).for_each(|i| y.row(i).fill(T::zero()));
        if w.rows() > 0 && n > 0 {
            let mut maker = scratch.take_lists();
            let lists = maker.lists_by_row(&x);
            for part in 0..lists.parts() {
                gather(on, lists.part(part), x.values(), &w, &mut y);
            }
            scratch.give_lists(maker);
        }
        for i in 0..m {
            for (part, j) in y.row(i).chunks_mut(V::LANES).zip((0..).step_by(V::LANES)) {
                let sums = on.load_part(part, T::zero());
                on.store_part(finish.apply(on, i, j, part.len(), sums), part);
            }
        }
    }
}

impl<T: Element> Kernel<T> for SlimOuter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { alpha, x, delta, mut dw, scratch } = self;
        if dw.rows() == 0 || dw.cols() == 0 {
            return;
        }
        let mut maker = scratch.take_lists();
        let mut values = scratch.take(x.values().len());
        values.iter_mut().zip(x.values()).for_each(|(to, &value)| *to = alpha * value);
        if delta.rows() <= BY_ROW {
            let lists = maker.lists_by_row(&x);
            for part in 0..lists.parts() {
                scatter(on, lists.part(part), &values, &delta, &mut dw);
            }
        } else {
            let lists = maker.lists_by_column(&x);
            for part in 0..lists.parts() {
                gather(on, lists.part(part), &values, &delta, &mut dw);
            }
        }
        scratch.give(values);
        scratch.give_lists(maker);
    }
}

/// to ← to + what the lists say: each line gets the rows of `from` at its places, times the values of its bytes.
#[inline(always)]
fn gather<T: Element, V: Vector<T = T>>(
    on: On<V>,
    lists: &PairLists,
    values: &[T],
    from: &MatRef<'_, T>,
    to: &mut MatMut<'_, T>,
) {
    let n = to.cols();
    let mut j = 0;
    while j < n {
        let left = (n - j).div_ceil(V::LANES);
        let len = (left.min(2) * V::LANES).min(n - j);
        let (from, mut to) = (from.strip(j, len), to.strip(j, len));
        if left == 1 {
            strip::<T, V, 1>(on, lists, values, &from, &mut to);
        } else {
            strip::<T, V, 2>(on, lists, values, &from, &mut to);
        }
        j += len;
    }
}

/// [`gather`] for `C` vectors of columns.
#[inline(always)]
fn strip<T: Element, V: Vector<T = T>, const C: usize>(
    on: On<V>,
    lists: &PairLists,
    values: &[T],
    from: &MatRef<'_, T>,
    to: &mut MatMut<'_, T>,
) {
    let Some(values) = values.first_chunk::<256>() else { panic!("a value for every byte") };
    for p in lists.panels() {
        let first = p * lists.panel();
        let panel = from.row_range(first, lists.height(p));
        let (heads, mut stream) = lists.of_panel(p);
        for (q, head) in lists.pairs().zip(heads) {
            let (both, only) = (head.both as usize, [head.first as usize, head.second as usize]);
            // Sums of even and odd entries, so that an addition need not wait for the one before.
            let mut sums = [[[on.zero(); C]; 2]; 2];
            let (places, rest) = stream.split_at(both);
            let (of_first, rest) = rest.split_at(both);
            let (of_second, mut rest) = rest.split_at(both);
            for at in (0..both - both % 2).step_by(2) {
                let even = load::<V, C>(on, panel.row(places[at] as usize));
                let odd = load::<V, C>(on, panel.row(places[at + 1] as usize));
                add(on, values[of_first[at] as usize], &even, &mut sums[0][0]);
                add(on, values[of_second[at] as usize], &even, &mut sums[1][0]);
                add(on, values[of_first[at + 1] as usize], &odd, &mut sums[0][1]);
                add(on, values[of_second[at + 1] as usize], &odd, &mut sums[1][1]);
            }
            if both % 2 == 1 {
                let row = load::<V, C>(on, panel.row(places[both - 1] as usize));
                add(on, values[of_first[both - 1] as usize], &row, &mut sums[0][0]);
                add(on, values[of_second[both - 1] as usize], &row, &mut sums[1][0]);
            }
            for (line, &count) in only.iter().enumerate() {
                let (places, bytes) = rest.split_at(count);
                let (bytes, after) = bytes.split_at(count);
                rest = after;
                for at in (0..count - count % 2).step_by(2) {
                    let even = load::<V, C>(on, panel.row(places[at] as usize));
                    let odd = load::<V, C>(on, panel.row(places[at + 1] as usize));
                    add(on, values[bytes[at] as usize], &even, &mut sums[line][0]);
                    add(on, values[bytes[at + 1] as usize], &odd, &mut sums[line][1]);
                }
                if count % 2 == 1 {
                    let row = load::<V, C>(on, panel.row(places[count - 1] as usize));
                    add(on, values[bytes[count - 1] as usize], &row, &mut sums[line][0]);
                }
            }
            stream = rest;
            let (a, b) = lists.pair(q);
            for (line, sums) in [Some(a), b].into_iter().flatten().zip(&sums) {
                for (c, part) in to.row(line).chunks_mut(V::LANES).enumerate().take(C) {
                    let sum = on.load_part(part, T::zero()).add(sums[0][c].add(sums[1][c]));
                    on.store_part(sum, part);
                }
            }
        }
    }
}

/// to ← to + what the lists say, the other way round: each line of `from`, times the values of its bytes, goes to the rows at its
/// places.
#[inline(always)]
fn scatter<T: Element, V: Vector<T = T>>(
    on: On<V>,
    lists: &PairLists,
    values: &[T],
    from: &MatRef<'_, T>,
    to: &mut MatMut<'_, T>,
) {
    let n = to.cols();
    for j in (0..n).step_by(V::LANES) {
        let len = V::LANES.min(n - j);
        scatter_strip(on, lists, values, &from.strip(j, len), &mut to.strip(j, len));
    }
}

/// [`scatter`] for a vector of columns, or a part of one.
#[inline(always)]
fn scatter_strip<T: Element, V: Vector<T = T>>(
    on: On<V>,
    lists: &PairLists,
    values: &[T],
    from: &MatRef<'_, T>,
    to: &mut MatMut<'_, T>,
) {
    let Some(values) = values.first_chunk::<256>() else { panic!("a value for every byte") };
    for p in lists.panels() {
        let first = p * lists.panel();
        let (heads, mut stream) = lists.of_panel(p);
        for (q, head) in lists.pairs().zip(heads) {
            let (a, b) = lists.pair(q);
            let a = on.load_part(from.row(a), T::zero());
            let b = b.map_or(on.zero(), |b| on.load_part(from.row(b), T::zero()));
            let (both, only) = (head.both as usize, [(head.first as usize, a), (head.second as usize, b)]);
            let (places, rest) = stream.split_at(both);
            let (of_a, rest) = rest.split_at(both);
            let (of_b, mut rest) = rest.split_at(both);
            for ((&place, &of_a), &of_b) in places.iter().zip(of_a).zip(of_b) {
                let row = to.row(first + place as usize);
                let sum = on.splat(values[of_a as usize]).mul_add(a, on.load_part(row, T::zero()));
                on.store_part(on.splat(values[of_b as usize]).mul_add(b, sum), row);
            }
            for (count, line) in only {
                let (places, bytes) = rest.split_at(count);
                let (bytes, after) = bytes.split_at(count);
                rest = after;
                for (&place, &byte) in places.iter().zip(bytes) {
                    let row = to.row(first + place as usize);
                    let sum = on.load_part(row, T::zero());
                    on.store_part(on.splat(values[byte as usize]).mul_add(line, sum), row);
                }
            }
            stream = rest;
        }
    }
}

/// A row of at most `C` vectors, and zeros after it.
#[inline(always)]
fn load<V: Vector, const C: usize>(on: On<V>, row: &[V::T]) -> [V; C] {
    if row.len() == C * V::LANES {
        return std::array::from_fn(|c| on.load(&row[c * V::LANES..(c + 1) * V::LANES]));
    }
    let mut vectors = [on.zero(); C];
    for (v, part) in vectors.iter_mut().zip(row.chunks(V::LANES)) {
        *v = on.load_part(part, V::T::default());
    }
    vectors
}

/// sums ← sums + value · row
#[inline(always)]
fn add<V: Vector, const C: usize>(on: On<V>, value: V::T, row: &[V; C], sums: &mut [V; C]) {
    let value = on.splat(value);
    for c in 0..C {
        sums[c] = value.mul_add(row[c], sums[c]);
    }
}
