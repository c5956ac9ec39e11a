//! Elementwise functions against the scalar ones.

use super::super::elementwise::{Activate, OfOne, OfTwo, SumRows};
use super::super::vector::{Element, Kernel, On, Vector};
use super::{Check, Runner, everywhere, numbers};
use crate::Scalar;
use crate::backend::reference::{self, fits};
use crate::matrix::MatRef;
use crate::ops::{Activation, Binary, Operand, Pass, Source, Step, Unary};

const ACTIVATIONS: [Activation; 4] =
    [Activation::Linear, Activation::Tanh, Activation::Relu, Activation::Sigmoid];

/// How far `got` is from `want`, in units in the last place of the element type at `want`.
fn ulps<T: Scalar>(got: T, want: f64) -> f64 {
    let nearest = T::of(want);
    if got == nearest || (got.is_nan() && nearest.is_nan()) {
        return 0.0;
    }
    // ε · the power of two below, but no less than the smallest number there is.
    let magnitude = want.abs().max(T::min_positive_value().wide());
    let ulp = T::EPSILON.wide() * magnitude.log2().floor().exp2();
    (got.wide() - want).abs() / ulp
}

/// How many units tanh may err by: a quotient's, or those of a function that stands on e^x.
fn tanh_units<T: Element>() -> f64 {
    if T::TANH.is_some() { 6.0 } else { 3.0 }
}

/// What the documentation of `math` states, over a fine grid of the whole range in which the result varies.
struct Accuracy;

impl Check for Accuracy {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let steps = 200_000;
        let mut grid: Vec<T> = (-steps..=steps)
            .map(|i| {
                // Half of it linear, half of it by powers of ten down to the smallest numbers.
                let s = f64::from(i) / f64::from(steps);
                if i % 2 == 0 {
                    T::of(s * 760.0)
                } else {
                    T::of(10f64.powf(-300.0 * s.abs()) * s.signum() * 25.0)
                }
            })
            .collect();
        grid.extend(numbers::<T>(7, 100_000).iter().map(|&x| x * T::of(12.0)));
        for (f, most) in [
            (Unary::Exp, 2.0),
            (Unary::Activation(Activation::Tanh), tanh_units::<T>()),
            (Unary::Activation(Activation::Sigmoid), 3.0),
        ] {
            let mut y = vec![T::zero(); grid.len()];
            on.run(OfOne { f, x: &grid, y: &mut y });
            // f64's own functions are within 1 unit of the truth, which the bounds have room for.
            let error = |x: T, y: T| {
                let want = f.eval(x.wide());
                // 1 / (1 + e⁻ˣ), in scalars too, is 0 where e⁻ˣ is infinite: below the smallest normal number.
                let lost = f != Unary::Exp && want.abs() < T::min_positive_value().wide() && y == T::zero();
                if lost { 0.0 } else { ulps(y, want) }
            };
            let worst =
                grid.iter().zip(&y).map(|(&x, &y)| (error(x, y), x)).fold((0.0, T::zero()), |worst, here| {
                    if here.0 > worst.0 || here.0.is_nan() { here } else { worst }
                });
            println!(
                "{name}: {}: at most {:.2} units in the last place, at {:e}",
                f.name(),
                worst.0,
                worst.1
            );
            assert!(worst.0 <= most, "{name}: {} errs by {} units at {:e}", f.name(), worst.0, worst.1);
            if f == Unary::Activation(Activation::Tanh) {
                let (one, from) = (T::one(), T::TANH_HIGHEST);
                for (&x, &y) in grid.iter().zip(&y) {
                    assert!(
                        y.abs() <= one && (x.abs() < from || y.abs() == one),
                        "{name}: tanh {x:e} is {y:e}"
                    );
                }
            }
        }
    }
}

/// y ← ln x
struct Ln<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Element> Kernel<T> for Ln<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        for (x, y) in self.x.chunks(V::LANES).zip(self.y.chunks_mut(V::LANES)) {
            on.store_part(on.ln_to_16(on.load_part(x, T::one())), y);
        }
    }
}

/// The same of the logarithm, over a fine grid, the numbers next to 1 and those where another power of 2 begins.
struct LogarithmAccuracy;

impl Check for LogarithmAccuracy {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let mut grid: Vec<T> = (0..=150_000).map(|i| T::of(1.0 + f64::from(i) / 10_000.0)).collect();
        grid.extend((0..40_000).map(|i| T::of(f64::from(i) * 1e-4).exp2()));
        grid.extend((0..2_000).map(|i| T::one() + T::EPSILON * T::of(f64::from(i * i))));
        grid.push(T::of(16.0));
        let mut y = vec![T::nan(); grid.len()];
        on.run(Ln { x: &grid, y: &mut y });
        let errors = grid.iter().zip(&y).map(|(&x, &y)| (ulps(y, x.wide().ln()), x));
        let worst =
            errors.fold((0.0, T::one()), |w, here| if here.0 > w.0 || here.0.is_nan() { here } else { w });
        println!("{name}: ln: at most {:.2} units in the last place, at {:e}", worst.0, worst.1);
        assert!(worst.0 <= 3.0, "{name}: ln errs by {} units at {:e}", worst.0, worst.1);
        let mut none = [T::zero()];
        on.run(Ln { x: &[T::nan()], y: &mut none });
        assert!(none[0].is_nan(), "{name}: ln NaN is {}", none[0]);
    }
}

#[test]
fn the_logarithm_of_1_to_16_errs_by_no_more_than_is_stated() {
    everywhere(&LogarithmAccuracy);
}

#[test]
fn exp_tanh_and_sigmoid_err_by_no_more_than_is_stated() {
    everywhere(&Accuracy);
}

/// Every function of one or two arguments, of every length around a vector's, with numbers of every kind.
struct Functions;

impl Check for Functions {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let special = [
            T::zero(),
            -T::zero(),
            T::one(),
            -T::one(),
            T::nan(),
            T::infinity(),
            T::neg_infinity(),
            T::max_value(),
            T::min_value(),
            T::min_positive_value(),
            T::of(88.8),
            T::of(-103.0),
        ];
        let mut a: Vec<T> = special.iter().flat_map(|&x| [x; 12]).collect();
        let mut b: Vec<T> = special.iter().cycle().take(a.len()).copied().collect();
        a.extend(numbers::<T>(1, 53).iter().map(|&x| x * T::of(3.0)));
        b.extend(numbers::<T>(2, 53).iter().map(|&x| x * T::of(3.0)));
        let within = |most: f64, got: T, want: T| {
            ulps(got, want.wide()) <= most && (want != T::zero() || signs_agree(got, want))
        };
        // What every backend is said to compute alike may not differ at all.
        let alike = |step| fits(Pass::new(2, 0, vec![step], vec![])).is_alike();
        let (of_one, of_two) = (Source::Input(0), Source::Input(1));

        let unary = [Unary::Neg, Unary::Exp, Unary::Log, Unary::Sqrt, Unary::Square, Unary::Abs, Unary::Sign];
        let rare = [Unary::Log1p, Unary::Floor, Unary::Sin, Unary::Cos];
        for f in unary.into_iter().chain(rare).chain(ACTIVATIONS.map(Unary::Activation)) {
            let most = match f {
                Unary::Activation(Activation::Tanh) => tanh_units::<T>().max(4.0),
                f if alike(Step::Unary(f, of_one, 0)) => 0.0,
                _ => 4.0,
            };
            for n in (0..40).chain([a.len()]) {
                let x = &a[a.len() - n..];
                let (mut got, mut want) = (vec![T::zero(); n], vec![T::zero(); n]);
                on.run(OfOne { f, x, y: &mut got });
                reference::unary(f, x, &mut want);
                for ((&got, &want), &x) in got.iter().zip(&want).zip(x) {
                    assert!(within(most, got, want), "{name}: {} {x:e} is {got:e}, not {want:e}", f.name());
                }
            }
        }

        let binary = [
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Div,
            Binary::Pow,
            Binary::Maximum,
            Binary::Minimum,
        ];
        for f in binary.into_iter().chain(ACTIVATIONS.map(Binary::Slope)) {
            let most = if alike(Step::Binary(f, of_one, of_two, 0)) { 0.0 } else { 4.0 };
            for n in (0..40).chain([a.len()]) {
                let (a, b) = (&a[a.len() - n..], &b[b.len() - n..]);
                let splat = Operand::Splat(T::of(0.75));
                for (x, y) in [
                    (Operand::Slice(a), Operand::Slice(b)),
                    (Operand::Slice(a), splat),
                    (splat, Operand::Slice(b)),
                    (splat, splat),
                ] {
                    let (mut got, mut want) = (vec![T::zero(); n], vec![T::zero(); n]);
                    on.run(OfTwo { f, a: x, b: y, y: &mut got });
                    reference::binary(f, x, y, &mut want);
                    for (at, (&got, &want)) in got.iter().zip(&want).enumerate() {
                        assert!(
                            within(most, got, want),
                            "{name}: {}({:e}, {:e}) is {got:e}, not {want:e}",
                            f.name(),
                            a[at],
                            b[at]
                        );
                    }
                }
            }
        }
    }
}

fn signs_agree<T: Scalar>(a: T, b: T) -> bool {
    a.is_sign_negative() == b.is_sign_negative()
}

#[test]
fn functions_agree_with_the_scalar_ones_for_numbers_of_every_kind_and_slices_of_every_length() {
    everywhere(&Functions);
}

/// An element's value is the same wherever in a slice it stands, in place or not.
struct Places;

impl Check for Places {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let x = numbers::<T>(3, 100);
        for f in ACTIVATIONS {
            let mut whole = x.clone();
            on.run(Activate { f, x: &mut whole });
            for (at, &x) in x.iter().enumerate() {
                let mut alone = [x];
                on.run(Activate { f, x: &mut alone });
                assert_eq!(alone[0], whole[at], "{name}: {} at {at}", f.name());
            }
        }
    }
}

#[test]
fn an_elements_value_does_not_depend_on_its_place() {
    everywhere(&Places);
}

/// The sum over the rows of δ is added row after row, as the reference does.
struct Bias;

impl Check for Bias {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        for n in 0..40 {
            let delta = numbers::<T>(4, 3 * n);
            let delta = fits(MatRef::new(&delta, 3, n));
            let (mut got, mut want) = (vec![T::one(); n], vec![T::one(); n]);
            on.run(SumRows { delta, db: &mut got });
            delta.iter_rows().for_each(|row| reference::add_assign(&mut want, row));
            assert_eq!(got, want, "{name}: {n} columns");
        }
    }
}

#[test]
fn the_bias_gradient_is_the_sum_over_the_rows() {
    everywhere(&Bias);
}
