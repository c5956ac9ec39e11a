//! What vectors compute by more than one instruction, lane by lane.

use super::super::vector::{Element, Kernel, On, Vector};
use super::{Check, Runner, everywhere};

/// y ← √x by products, and whether the CPU is one for which that is meant.
struct Roots<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Element> Kernel<T> for Roots<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) -> bool {
        for (x, y) in self.x.chunks(V::LANES).zip(self.y.chunks_mut(V::LANES)) {
            on.store_part(on.load_part(x, T::zero()).sqrt_by_products(), y);
        }
        V::divider_is_slow()
    }
}

/// The first of these numbers whose root has other bits than `sqrt` gives.
fn wrong<T: Element>(on: &impl Runner<T>, x: &[T]) -> Option<T> {
    let mut y = vec![T::one(); x.len()];
    // Elsewhere it is `sqrt` itself, or made of approximations of which less is known.
    if !on.run(Roots { x, y: &mut y }) {
        return None;
    }
    let same = |x: T, y: T| {
        let root = x.sqrt();
        y == root && y.is_sign_negative() == root.is_sign_negative() || y.is_nan() && root.is_nan()
    };
    x.iter().zip(y).find(|&(&x, y)| !same(x, y)).map(|(&x, _)| x)
}

struct RootsOf<'a>(&'a [f32]);

impl Check for RootsOf<'_> {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let x: Vec<T> = self.0.iter().map(|&x| T::of(f64::from(x))).collect();
        assert_eq!(wrong(on, &x), None, "{name}");
    }
}

/// A factor of 4 makes the root twice as large and changes no rounding on the way, so two binades stand for all. (All 2³¹ numbers without a
/// sign were compared once, on Emerald Rapids.)
#[test]
fn roots_by_products_are_roots() {
    let (one, four) = (1f32.to_bits(), 4f32.to_bits());
    for first in (one..four).step_by(1 << 16) {
        let x: Vec<f32> = (first..first + (1 << 16)).map(f32::from_bits).collect();
        everywhere(&RootsOf(&x));
    }
}

#[test]
fn roots_by_products_are_roots_of_numbers_of_any_size_and_of_none() {
    let mut x: Vec<f32> = (0..=u32::MAX).step_by(32_749).map(f32::from_bits).collect();
    for special in [0.0, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1)] {
        x.extend([special, -special]);
    }
    // From where the remainder may be subnormal: 2⁻¹⁰⁰.
    let bound = (127 - 100) << 23;
    x.extend((bound - 2000..bound + 2000).map(f32::from_bits));
    everywhere(&RootsOf(&x));
}

/// Whether all of these numbers are less than a bound, by the vectors.
struct AllLess<'a, T>(&'a [T], T);

impl<T: Element> Kernel<T> for AllLess<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) -> bool {
        on.load(self.0).all_lt(on.splat(self.1))
    }
}

struct Less;

impl Check for Less {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let (zero, one) = (T::zero(), T::one());
        let of = |x: &[T], bound: T| on.run(AllLess(x, bound));
        let zeros = [zero; super::super::vector::MAX_LANES];
        assert!(of(&zeros, one) && of(&[-T::infinity(); 16], one), "{name}");
        assert!(of(&zeros, T::epsilon() * T::min_positive_value()), "{name}: the least number there is");
        assert!(!of(&zeros, zero) && !of(&zeros, -one) && !of(&zeros, T::nan()), "{name}");
        for other in [one, T::infinity(), T::nan()] {
            // The first lane is one of any vector; the others are, of the widest.
            let mut x = zeros;
            x[0] = other;
            assert!(!of(&x, one), "{name}: {other} is not less than 1");
        }
    }
}

#[test]
fn all_lanes_are_less_than_a_bound_or_not_all_are() {
    everywhere(&Less);
}
