//! Softmax and cross-entropy of rows of a few classes, transposed: a vector holds one class, and each of its lanes belongs to a row.
//!
//! To find a row's largest number or its sum, vectors are then compared or added lane by lane, which is one instruction for as many rows as
//! there are lanes; and no lane is wasted where the classes don't fill a vector. As no lane sees another, a row's bits don't depend on
//! the rows beside it.

use super::softmax::gradient_of;
use super::vector::{MAX_LANES, On, Square, Vector};
use crate::Scalar;
use crate::matrix::{MatMut, MatRef};
use crate::ops::Labels;

/// Most classes: a [`Square`] has room for so many vectors.
pub(super) const MAX_CLASSES: usize = MAX_LANES;

/// Whether rows of so many columns are taken this way. Vectors of two lanes gain nothing by it where a row is whole vectors.
pub(super) fn are_few<V: Vector>(classes: usize) -> bool {
    (1..=MAX_CLASSES).contains(&classes) && (V::LANES > 2 || !classes.is_multiple_of(V::LANES))
}

/// The vectors of the first `k` classes, as slices.
#[inline(always)]
fn each<V: Vector>(classes: &[V::T], k: usize) -> impl Iterator<Item = &[V::T]> {
    classes.chunks_exact(V::LANES).take(k)
}

/// The same, to be written.
#[inline(always)]
fn each_mut<V: Vector>(classes: &mut [V::T], k: usize) -> impl Iterator<Item = &mut [V::T]> {
    classes.chunks_exact_mut(V::LANES).take(k)
}

/// to ← a square of x, transposed: as many vectors as one has lanes, of which each holds a column (`j` and those after it) and each lane
/// belongs to a row (`i` and those after it). Lanes and vectors for which x has no row or column hold numbers that mean nothing.
#[inline(always)]
pub(super) fn load_columns<V: Vector>(on: On<V>, x: MatRef<'_, V::T>, i: usize, j: usize, to: &mut [V::T]) {
    assert!(x.is_plain(), "rows in blocks");
    let (numbers, stride, start) = (x.as_slice(), x.stride(), i * x.stride() + j);
    // Behind the last column come those of the next row, which do no harm, but behind the last row comes nothing.
    if i + V::LANES <= x.rows() && start + (V::LANES - 1) * stride + V::LANES <= numbers.len() {
        return on.transpose(&numbers[start..], stride, to, V::LANES);
    }
    let mut rows = Square::zeroed();
    let columns = j..(j + V::LANES).min(x.cols());
    for (r, to) in rows.chunks_exact_mut(V::LANES).take(V::LANES.min(x.rows() - i)).enumerate() {
        on.store(on.load_part(&x.row(i + r)[columns.clone()], V::T::default()), to);
    }
    on.transpose(&*rows, V::LANES, to, V::LANES);
}

/// The same for all columns of x, of which there are few.
#[inline(always)]
fn load<V: Vector>(on: On<V>, x: MatRef<'_, V::T>, i: usize, classes: &mut Square<V::T>) {
    for j in (0..x.cols()).step_by(V::LANES) {
        load_columns(on, x, i, j, &mut classes[j * V::LANES..]);
    }
}

/// Writes `classes` back into x, from row `i` on: as many rows as there are lanes, or as x still has. `rows` is room for the transposed
/// numbers; what was in it is lost.
#[inline(always)]
fn store<V: Vector>(
    on: On<V>,
    classes: &Square<V::T>,
    rows: &mut Square<V::T>,
    x: &mut MatMut<'_, V::T>,
    i: usize,
) {
    let (m, k) = (V::LANES.min(x.rows() - i), x.cols());
    let width = k.next_multiple_of(V::LANES);
    for j in (0..k).step_by(V::LANES) {
        on.transpose(&classes[j * V::LANES..], V::LANES, &mut rows[j..], width);
    }
    let mut r = 0;
    if let Some(all) = x.contiguous() {
        // Rows lie one after the other, and are written in their order as whole vectors. What a row's vectors have too much gets into the
        // next row, which is written later. The last rows, after which there is no such room, are left for below.
        let to = &mut all[i * k..][..m * k];
        while r * k + width <= to.len() {
            for j in (0..k).step_by(V::LANES) {
                on.store(on.load(&rows[r * width + j..]), &mut to[r * k + j..]);
            }
            r += 1;
        }
    }
    for r in r..m {
        let to = x.row(i + r).chunks_mut(V::LANES);
        for (from, to) in rows[r * width..].chunks(V::LANES).zip(to) {
            on.store_part(on.load(from), to);
        }
    }
}

/// e ← e^(x − max), where max is the largest number of each row; NaN is passed over. Returns max and Σ e, which is 1 at least: the largest
/// number gives e⁰.
#[inline(always)]
fn exponentials<V: Vector>(on: On<V>, x: &Square<V::T>, k: usize, e: &mut Square<V::T>) -> (V, V) {
    let mut max = on.splat(<V::T as num_traits::Float>::neg_infinity());
    for x in each::<V>(&**x, k) {
        max = on.load(x).max(max);
    }
    let mut sum = on.zero();
    for (x, e) in each::<V>(&**x, k).zip(each_mut::<V>(&mut **e, k)) {
        let v = on.exp(on.load(x).sub(max));
        on.store(v, e);
        sum = sum.add(v);
    }
    (max, sum)
}

/// pᵢ ← softmax(xᵢ) for few columns
#[inline(always)]
pub(super) fn softmax<V: Vector>(on: On<V>, x: MatRef<'_, V::T>, mut p: MatMut<'_, V::T>) {
    let (mut logits, mut e, k) = (Square::zeroed(), Square::zeroed(), x.cols());
    for i in (0..x.rows()).step_by(V::LANES) {
        load(on, x, i, &mut logits);
        let (_, sum) = exponentials(on, &logits, k, &mut e);
        let share = on.one().div(sum);
        for e in each_mut::<V>(&mut *e, k) {
            on.store(on.load(e).mul(share), e);
        }
        store(on, &e, &mut logits, &mut p, i);
    }
}

/// The losses and the gradient of [`CrossEntropy`](super::softmax::CrossEntropy) for few columns
#[inline(always)]
pub(super) fn cross_entropy<V: Vector>(
    on: On<V>,
    x: MatRef<'_, V::T>,
    labels: Labels<'_, V::T>,
    mut losses: Option<&mut [V::T]>,
    mut gradient: Option<(V::T, MatMut<'_, V::T>)>,
) {
    let (mut logits, mut e, k) = (Square::zeroed(), Square::zeroed(), x.cols());
    for i in (0..x.rows()).step_by(V::LANES) {
        load(on, x, i, &mut logits);
        let (max, sum) = exponentials(on, &logits, k, &mut e);
        let rows = i..(i + V::LANES).min(x.rows());
        let log_sum = if losses.is_some() { max.add(on.ln_to_16(sum)) } else { max };
        let losses = losses.as_mut().map(|losses| &mut losses[rows.clone()]);
        let gradient = gradient.as_mut().map(|(scale, dx)| (on.splat(*scale), dx));
        match labels {
            Labels::Classes(c) => {
                let classes = numbers(on, &c[rows], k);
                if let Some(losses) = losses {
                    on.store_part(log_sum.sub(of_class(on, &logits, k, classes)), losses);
                }
                if let Some((scale, dx)) = gradient {
                    subtract_class(on, &mut e, k, (on.one().div(sum), classes, scale));
                    store(on, &e, &mut logits, dx, i);
                }
            }
            Labels::Probabilities(t) => {
                let mut targets = Square::zeroed();
                load(on, t, i, &mut targets);
                if let Some(losses) = losses {
                    let mut loss = on.zero();
                    for (t, x) in each::<V>(&*targets, k).zip(each::<V>(&*logits, k)) {
                        loss = loss.add(on.load(t).mul(log_sum.sub(on.load(x))));
                    }
                    on.store_part(loss, losses);
                }
                if let Some((scale, dx)) = gradient {
                    let mut total = on.zero();
                    for t in each::<V>(&*targets, k) {
                        total = total.add(on.load(t));
                    }
                    let share = total.div(sum);
                    for (e, t) in each_mut::<V>(&mut *e, k).zip(each::<V>(&*targets, k)) {
                        let target = on.zero().sub(on.load(t));
                        on.store(gradient_of(on.load(e), share, target, scale), e);
                    }
                    store(on, &e, &mut logits, dx, i);
                }
            }
        }
    }
}

/// The rows' classes as numbers, a row in each lane; NaN where there is no such class.
#[inline(always)]
fn numbers<V: Vector>(on: On<V>, classes: &[i32], k: usize) -> V {
    let mut numbers = [V::T::default(); MAX_LANES];
    for (number, &c) in numbers.iter_mut().zip(classes) {
        let there = (c as u32) < k as u32;
        *number = if there { V::T::of_byte(c as u8) } else { <V::T as num_traits::Float>::nan() };
    }
    on.load(&numbers)
}

/// The logit of each row's class, NaN where there is none. A lane's distance to the class at hand shrinks by 1 from vector to vector, and at
/// the row's own class it is 0 (less than ½ is what is asked for); NaN stays NaN, and is never less.
#[inline(always)]
fn of_class<V: Vector>(on: On<V>, logits: &Square<V::T>, k: usize, classes: V) -> V {
    let (near, one) = (on.splat(V::T::of(0.5)), on.one());
    let (mut distance, mut of_class) = (classes, on.splat(<V::T as num_traits::Float>::nan()));
    for x in each::<V>(&**logits, k) {
        of_class = distance.abs().select_lt(near, on.load(x), of_class);
        distance = distance.sub(one);
    }
    of_class
}

/// e ← (e · share − 1) · scale for each row's class, e · share · scale for the others; NaN where there is no class.
#[inline(always)]
fn subtract_class<V: Vector>(on: On<V>, e: &mut Square<V::T>, k: usize, (share, classes, scale): (V, V, V)) {
    let (near, one, zero) = (on.splat(V::T::of(0.5)), on.one(), on.zero());
    let minus_one = zero.sub(one);
    let mut distance = classes;
    // Adds 0 where there is a class, and NaN where there is none, which makes that row's whole gradient NaN.
    let share = share.add(classes.mul(zero));
    for e in each_mut::<V>(&mut **e, k) {
        let target = distance.abs().select_lt(near, minus_one, zero);
        on.store(gradient_of(on.load(e), share, target, scale), e);
        distance = distance.sub(one);
    }
}
