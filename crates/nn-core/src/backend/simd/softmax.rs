//! Softmax and its cross-entropy. Rows of many columns go one by one; what a row lacks to a whole vector is filled up with
//! −∞, whose exponential is 0. Rows of few go a vector's lanes of them at a time (`classes`), or alone.

use super::vector::{Element, Kernel, On, Vector};
use super::{alone, classes};
use crate::matrix::{MatMut, MatRef};
use crate::ops::Labels;

/// pᵢ ← softmax(xᵢ)
pub(super) struct Softmax<'a, T> {
    pub(super) x: MatRef<'a, T>,
    pub(super) p: MatMut<'a, T>,
}

impl<T: Element> Kernel<T> for Softmax<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        let same = self.p.rows() == self.x.rows() && self.p.cols() == self.x.cols();
        assert!(same, "softmax: shapes");
        if classes::are_few::<V>(self.x.cols()) {
            let Self { x, p } = self;
            return if x.rows() == 1 { alone::softmax(on, x, p) } else { classes::softmax(on, x, p) };
        }
        for (i, x) in self.x.iter_rows().enumerate() {
            let p = self.p.row(i);
            let sum = exponentials(on, x, largest(on, x), p);
            divide(on, p, sum);
        }
    }
}

/// ℓᵢ = −Σⱼ tᵢⱼ ln softmax(xᵢ)ⱼ and dxᵢⱼ = (softmax(xᵢ)ⱼ Σₖ tᵢₖ − tᵢⱼ) · scale
pub(super) struct CrossEntropy<'a, T> {
    pub(super) logits: MatRef<'a, T>,
    pub(super) labels: Labels<'a, T>,
    pub(super) losses: Option<&'a mut [T]>,
    pub(super) gradient: Option<(T, MatMut<'a, T>)>,
}

impl<T: Element> Kernel<T> for CrossEntropy<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        let m = self.logits.rows();
        assert_eq!(self.labels.rows(), m, "softmax_cross_entropy: rows of the labels");
        assert!(
            self.losses.as_ref().is_none_or(|l| l.len() == m),
            "softmax_cross_entropy: number of losses, expected {m}"
        );
        let same = |rows: usize, cols: usize| rows == m && cols == self.logits.cols();
        let labels_fit = match self.labels {
            Labels::Classes(_) => true,
            Labels::Probabilities(t) => same(t.rows(), t.cols()),
        };
        let gradient_fits = self.gradient.as_ref().is_none_or(|(_, dx)| same(dx.rows(), dx.cols()));
        assert!(labels_fit && gradient_fits, "softmax_cross_entropy: shapes");
        if classes::are_few::<V>(self.logits.cols()) {
            let Self { logits, labels, losses, gradient } = self;
            return if m == 1 {
                alone::cross_entropy(on, logits, labels, losses, gradient)
            } else {
                classes::cross_entropy(on, logits, labels, losses, gradient)
            };
        }
        for (i, x) in self.logits.iter_rows().enumerate() {
            let max = largest(on, x);
            let sum = match &mut self.gradient {
                Some((_, dx)) => exponentials(on, x, max, dx.row(i)),
                None => sum_of_exponentials(on, x, max),
            };
            if let Some(losses) = &mut self.losses {
                losses[i] = loss(self.labels, i, x, max + sum.ln());
            }
            if let Some((scale, dx)) = &mut self.gradient {
                let dx = dx.row(i);
                divide(on, dx, sum);
                subtract_labels(self.labels, i, dx);
                dx.iter_mut().for_each(|v| *v *= *scale);
            }
        }
    }
}

/// −Σⱼ tᵢⱼ ln softmax(xᵢ)ⱼ, from ln Σ eˣ. The sum begins at 0 and goes on class by class, as it does where the classes of several
/// rows are in vectors (`classes`): so a row alone has the same bits.
#[inline(always)]
pub(super) fn loss<T: Element>(labels: Labels<'_, T>, i: usize, x: &[T], log_sum: T) -> T {
    match labels {
        Labels::Classes(c) => class(c[i], x.len()).map_or(T::nan(), |c| log_sum - x[c]),
        Labels::Probabilities(t) => {
            t.row(i).iter().zip(x).fold(T::zero(), |loss, (&t, &x)| loss + t * (log_sum - x))
        }
    }
}

/// (e · share − t) · scale: the gradient of some logits, from e = e^(x − max), share = Σₖ tᵢₖ / Σ e, and −t. It is written once, so that
/// the rows of few classes are rounded alike whether they go alone (`alone`) or in lanes (`classes`).
#[inline(always)]
pub(super) fn gradient_of<V: Vector>(e: V, share: V, minus_t: V, scale: V) -> V {
    e.mul_add(share, minus_t).mul(scale)
}

/// p ← p Σₖ tᵢₖ − tᵢ
#[inline(always)]
fn subtract_labels<T: Element>(labels: Labels<'_, T>, i: usize, p: &mut [T]) {
    match labels {
        Labels::Classes(c) => match class(c[i], p.len()) {
            Some(c) => p[c] -= T::one(),
            None => p.fill(T::nan()),
        },
        Labels::Probabilities(t) => {
            let total: T = t.row(i).iter().copied().sum();
            for (p, &t) in p.iter_mut().zip(t.row(i)) {
                *p = *p * total - t;
            }
        }
    }
}

pub(super) fn class(c: i32, classes: usize) -> Option<usize> {
    usize::try_from(c).ok().filter(|&c| c < classes)
}

/// The largest element; NaN is passed over.
#[inline(always)]
pub(super) fn largest<V: Vector>(on: On<V>, x: &[V::T]) -> V::T {
    let lowest = <V::T as num_traits::Float>::neg_infinity();
    let mut max = on.splat(lowest);
    for x in x.chunks(V::LANES) {
        max = on.load_part(x, lowest).max(max);
    }
    on.largest(max)
}

/// e ← e^(x − max); returns Σ e.
#[inline(always)]
fn exponentials<V: Vector>(on: On<V>, x: &[V::T], max: V::T, e: &mut [V::T]) -> V::T {
    let (lowest, max) = (<V::T as num_traits::Float>::neg_infinity(), on.splat(max));
    let mut sum = on.zero();
    for (x, e) in x.chunks(V::LANES).zip(e.chunks_mut(V::LANES)) {
        let v = on.exp(on.load_part(x, lowest).sub(max));
        on.store_part(v, e);
        sum = sum.add(v);
    }
    on.sum(sum)
}

/// Σ e^(x − max), the same bits as [`exponentials`] returns.
#[inline(always)]
fn sum_of_exponentials<V: Vector>(on: On<V>, x: &[V::T], max: V::T) -> V::T {
    let (lowest, max) = (<V::T as num_traits::Float>::neg_infinity(), on.splat(max));
    let mut sum = on.zero();
    for x in x.chunks(V::LANES) {
        sum = sum.add(on.exp(on.load_part(x, lowest).sub(max)));
    }
    on.sum(sum)
}

/// x ← x / divisor
#[inline(always)]
fn divide<V: Vector>(on: On<V>, x: &mut [V::T], divisor: V::T) {
    let divisor = on.splat(divisor);
    for x in x.chunks_mut(V::LANES) {
        on.store_part(on.load_part(x, V::T::default()).div(divisor), x);
    }
}
