//! Softmax and cross-entropy of a single row of few classes. In `classes` each lane belongs to a row, so that one row takes as long as
//! many; here the lanes are the row's classes. (With two rows both ways take the same time.) Sums are formed class by class, in
//! the order of `classes`, so that a row has the same bits whether it comes alone or with others.

use super::softmax::{class, gradient_of, largest, loss};
use super::vector::{Element, MAX_LANES, On, Vector};
use crate::matrix::{MatMut, MatRef};
use crate::ops::Labels;

/// A number for each class, aligned so that no vector lies in two cache lines.
#[repr(align(64))]
struct PerClass<T>([T; MAX_LANES]);

/// e ← e^(x − max), where max is the largest of the row, NaN passed over; returns max and Σ e.
#[inline(always)]
fn exponentials<V: Vector>(on: On<V>, x: &[V::T], e: &mut PerClass<V::T>) -> (V::T, V::T) {
    let (lowest, max) = (<V::T as num_traits::Float>::neg_infinity(), largest(on, x));
    for (x, e) in x.chunks(V::LANES).zip(e.0.chunks_exact_mut(V::LANES)) {
        on.store(on.exp(on.load_part(x, lowest).sub(on.splat(max))), e);
    }
    let mut sum = V::T::default();
    for &e in &e.0[..x.len()] {
        sum += e;
    }
    (max, sum)
}

/// pᵢ ← softmax(xᵢ), row by row
#[inline(always)]
pub(super) fn softmax<V: Vector>(on: On<V>, x: MatRef<'_, V::T>, mut p: MatMut<'_, V::T>) {
    let mut e = PerClass([V::T::default(); MAX_LANES]);
    for (i, x) in x.iter_rows().enumerate() {
        let (_, sum) = exponentials(on, x, &mut e);
        let share = on.one().div(on.splat(sum));
        for (e, p) in e.0.chunks_exact(V::LANES).zip(p.row(i).chunks_mut(V::LANES)) {
            on.store_part(on.load(e).mul(share), p);
        }
    }
}

/// The losses and the gradient of [`CrossEntropy`](super::softmax::CrossEntropy), row by row
#[inline(always)]
pub(super) fn cross_entropy<V: Vector>(
    on: On<V>,
    x: MatRef<'_, V::T>,
    labels: Labels<'_, V::T>,
    mut losses: Option<&mut [V::T]>,
    mut gradient: Option<(V::T, MatMut<'_, V::T>)>,
) {
    let mut e = PerClass([V::T::default(); MAX_LANES]);
    for (i, x) in x.iter_rows().enumerate() {
        let (max, sum) = exponentials(on, x, &mut e);
        if let Some(losses) = &mut losses {
            losses[i] = loss(labels, i, x, max + on.lanes(on.ln_to_16(on.splat(sum)))[0]);
        }
        if let Some((scale, dx)) = &mut gradient {
            let (total, targets) = targets(labels, i, x.len());
            let (share, scale) = (on.splat(total).div(on.splat(sum)), on.splat(*scale));
            let vectors = e.0.chunks_exact(V::LANES).zip(targets.0.chunks_exact(V::LANES));
            for ((e, t), dx) in vectors.zip(dx.row(i).chunks_mut(V::LANES)) {
                on.store_part(gradient_of(on.load(e), share, on.load(t), scale), dx);
            }
        }
    }
}

/// Σₖ tᵢₖ and −tᵢ. Where there is no such class the sum is NaN, which makes the row's whole gradient NaN.
#[inline(always)]
fn targets<T: Element>(labels: Labels<'_, T>, i: usize, k: usize) -> (T, PerClass<T>) {
    let mut targets = PerClass([T::zero(); MAX_LANES]);
    let total = match labels {
        Labels::Classes(c) => match class(c[i], k) {
            Some(c) => {
                targets.0[c] = -T::one();
                T::one()
            }
            None => T::nan(),
        },
        Labels::Probabilities(t) => {
            targets.0.iter_mut().zip(t.row(i)).fold(T::zero(), |total, (target, &t)| {
                *target = -t;
                total + t
            })
        }
    };
    (total, targets)
}
