//! What vectors compute by more than one instruction, lane by lane.

use super::super::vector::{Element, Kernel, MAX_LANES, On, Vector};
use super::{Check, Runner, everywhere};

/// y ← √x by products.
struct Roots<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Element> Kernel<T> for Roots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        for (x, y) in self.x.chunks(V::LANES).zip(self.y.chunks_mut(V::LANES)) {
            on.store_part(on.load_part(x, T::zero()).sqrt_by_products(), y);
        }
    }
}

/// The first of these numbers whose root has other bits than `sqrt` gives.
fn wrong<T: Element>(on: &impl Runner<T>, x: &[T]) -> Option<T> {
    let mut y = vec![T::one(); x.len()];
    on.run(Roots { x, y: &mut y });
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
/// sign were compared once, on Emerald Rapids and on Zen 4.)
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

/// Whether the vectors say of numbers that are all the first one, but for the second one in one lane, that they are less than a bound, for
/// each lane in its turn, and again from the first one if a vector has fewer.
struct AllLess<T>([T; 2], T);

impl<T: Element> Kernel<T> for AllLess<T> {
    type Output = [bool; MAX_LANES];

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) -> [bool; MAX_LANES] {
        let (Self([all, one], bound), mut less) = (self, [false; MAX_LANES]);
        for (lane, less) in less.iter_mut().enumerate() {
            let mut x = [all; MAX_LANES];
            x[lane % V::LANES] = one;
            *less = on.load(&x).all_lt(on.splat(bound));
        }
        less
    }
}

struct Less;

impl Check for Less {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let (zero, one, least) = (T::zero(), T::one(), T::epsilon() * T::min_positive_value());
        let (nan, infinity) = (T::nan(), T::infinity());
        for (numbers, bound, want) in [
            ([zero, zero], one, true),
            ([zero, -infinity], one, true),
            ([zero, one], infinity, true),
            ([zero, -zero], least, true),
            ([zero, least], least, false),
            ([zero, one], one, false),
            ([zero, infinity], infinity, false),
            ([zero, nan], one, false),
            ([zero, nan], infinity, false),
            ([zero, zero], zero, false),
            ([zero, zero], nan, false),
        ] {
            let got = on.run(AllLess(numbers, bound));
            assert_eq!(got, [want; MAX_LANES], "{name}: {numbers:?} less than {bound}");
        }
    }
}

#[test]
fn all_lanes_are_less_than_a_bound_or_not_all_are() {
    everywhere(&Less);
}

/// y ← x without what is subnormal.
struct Cleared<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Element> Kernel<T> for Cleared<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        for (x, y) in self.x.chunks(V::LANES).zip(self.y.chunks_mut(V::LANES)) {
            on.store_part(on.load_part(x, T::zero()).without_subnormals(), y);
        }
    }
}

struct Clearing;

impl Check for Clearing {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let (least, two) = (T::min_positive_value(), T::of(2.0));
        let step = T::of(8.0) * least;
        // From the smallest number there is to the largest, eight of each size, and of either sign.
        let mut x = vec![T::zero(), least, step / two, T::infinity()];
        let mut size = least * T::epsilon();
        while size.is_finite() {
            x.extend((0..8).map(|k| size * (T::one() + T::of(0.1234) * T::of(f64::from(k)))));
            size *= two;
        }
        x.extend(x.clone().iter().map(|&x| -x));
        let mut y = vec![T::one(); x.len()];
        on.run(Cleared { x: &x, y: &mut y });
        // 2⁻⁷⁴, or 2⁻⁹¹².
        let unchanged = T::of(8.0) * step / (T::epsilon() * T::epsilon());
        for (x, y) in x.into_iter().zip(y) {
            assert!(y == T::zero() || y.abs() >= step, "{name}: {x} becomes {y}");
            let off = (y - x).abs();
            let right = x == y || x.abs() < unchanged && off <= step.max(T::epsilon() * x.abs());
            assert!(right, "{name}: {x} becomes {y}");
        }
    }
}

#[test]
fn what_is_near_zero_is_cleared_and_the_rest_keeps_all_but_its_last_bit() {
    everywhere(&Clearing);
}
