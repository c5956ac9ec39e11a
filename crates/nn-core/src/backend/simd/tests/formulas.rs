//! Passes that are recognised, against the naive backend, which takes them step by step.

use std::marker::PhantomData;

use super::super::Simd;
use super::super::formulas::{Algebra, Formula, Viewer, all, is_known, pass, show_all};
use super::super::isa::Isa;
use super::super::vector::Element;
use super::{checked, numbers};
use crate::backend::{Backend, Naive};
use crate::matrix::Scratch;
use crate::ops::{Binary, Pass, PassArgs, Step, Unary};

/// A gradient of `len` elements, scalars, and what the outputs of `pass` hold before it.
fn arguments<T: Element>(pass: &Pass, len: usize) -> (Vec<T>, Vec<T>, Vec<Vec<T>>) {
    let scalars = numbers::<T>(2, pass.scalars()).iter().map(|x| x.abs()).collect();
    // Nothing negative comes under a root, but for the spread of centred RMSprop: NaN is NaN on either side.
    let old = |k: usize| numbers::<T>(3 + k as u64, len).iter().map(|x| x.abs()).collect();
    (numbers(1, len), scalars, (0..pass.outputs().len()).map(old).collect())
}

/// What the outputs of `pass` hold after it went over `len` elements.
fn after<T: Element>(backend: &dyn Backend<T>, pass: &Pass, len: usize) -> Vec<Vec<T>> {
    let (gradient, scalars, mut outputs) = arguments::<T>(pass, len);
    let mut slices: Vec<&mut [T]> = outputs.iter_mut().map(|o| &mut o[..]).collect();
    let inputs = vec![&gradient[..]; pass.inputs()];
    let args = PassArgs::new(pass, &inputs, &scalars, &mut slices).expect("as many as it asks for");
    backend.pass(args, &mut Scratch::default());
    outputs
}

/// A formula on one number at a time. Fused, a product and a sum are rounded once, as vectors do it where the CPU can.
struct OneByOne<T> {
    fused: bool,
    of: PhantomData<T>,
}

impl<T: Element> Algebra for OneByOne<T> {
    type Value = T;

    fn add(&mut self, a: T, b: T) -> T {
        a + b
    }

    fn sub(&mut self, a: T, b: T) -> T {
        a - b
    }

    fn mul(&mut self, a: T, b: T) -> T {
        a * b
    }

    fn div(&mut self, a: T, b: T) -> T {
        a / b
    }

    fn mul_add(&mut self, a: T, b: T, c: T) -> T {
        if self.fused { a.mul_add(b, c) } else { a * b + c }
    }

    fn neg_mul_add(&mut self, a: T, b: T, c: T) -> T {
        if self.fused { (-a).mul_add(b, c) } else { c - a * b }
    }

    fn square(&mut self, x: T) -> T {
        x * x
    }

    fn sqrt(&mut self, x: T) -> T {
        x.sqrt()
    }

    /// None of the numbers below is so small.
    fn fading(&mut self, x: T) -> T {
        x
    }
}

/// Compares each formula as vectors compute it, one number at a time, and its steps as the naive backend takes them.
struct EveryFormula<T>(PhantomData<T>);

impl<T: Element> Viewer for EveryFormula<T>
where
    Simd: Backend<T>,
{
    fn see<F: Formula>(&mut self, name: &'static str) {
        let pass = pass::<F>().expect("a formula is a pass");
        assert!(is_known(&pass), "{name}");
        for len in [0, 1, 15, 16, 63, 1000, 2500] {
            let (gradient, scalars, old) = arguments::<T>(&pass, len);
            let one_by_one = |fused| {
                let mut new = old.clone();
                for (at, &g) in gradient.iter().enumerate() {
                    let old: Vec<T> = old.iter().map(|o| o[at]).collect();
                    let algebra = &mut OneByOne { fused, of: PhantomData };
                    let results = F::apply(algebra, g, &scalars, &old);
                    new.iter_mut().zip(results).for_each(|(new, result)| new[at] = result);
                }
                new
            };
            let same = |got: &[Vec<T>], want: &[Vec<T>], what: &str| {
                for (k, (got, want)) in got.iter().zip(want).enumerate() {
                    let same = |(a, b): (&T, &T)| a == b || a.is_nan() && b.is_nan();
                    let first = got.iter().zip(want).position(|pair| !same(pair));
                    assert_eq!(first, None, "{name} {what}: output {k} of {len} elements");
                }
            };
            same(&one_by_one(false), &after::<T>(&Naive, &pass, len), "step by step");
            for simd in checked() {
                let want = one_by_one(simd.isa() != Isa::Portable);
                same(&after::<T>(&simd, &pass, len), &want, simd.isa().name());
            }
        }
    }
}

#[test]
fn every_formula_has_the_bits_of_its_steps_but_that_a_product_and_a_sum_may_be_rounded_once() {
    show_all(&mut EveryFormula::<f32>(PhantomData));
    show_all(&mut EveryFormula::<f64>(PhantomData));
}

#[test]
fn a_pass_that_differs_in_one_step_is_not_taken_for_a_formula() {
    for (name, pass) in all() {
        let pass = pass.expect("a formula is a pass");
        let (inputs, scalars) = (pass.inputs(), pass.scalars());
        for (number, step) in pass.steps().iter().enumerate() {
            let mut steps = pass.steps().to_vec();
            steps[number] = match *step {
                Step::Unary(_, x, to) => Step::Unary(Unary::Abs, x, to),
                Step::Binary(_, a, b, to) => Step::Binary(Binary::Maximum, a, b, to),
            };
            let other = Pass::new(inputs, scalars, steps, pass.outputs().to_vec()).expect("still a pass");
            assert!(!is_known(&other), "{name} with another step {number}");
        }
    }
}

/// Without a gradient, what is remembered is halved: the least normal number to nothing, 1 as it should be; and NaN and ∞ don't become numbers.
fn what_fades<T: Element>()
where
    Simd: Backend<T>,
{
    let (half, least) = (T::of(0.5), T::min_positive_value());
    // Each formula is followed by itself with a penalty, which is a gradient.
    for (name, pass) in all().into_iter().step_by(2) {
        let pass = pass.expect("a formula is a pass");
        let count = pass.outputs().len();
        let old: Vec<T> =
            (0..37).map(|i| [least, -least, T::one(), T::nan(), T::infinity()][i % 5]).collect();
        let (gradient, scalars) = (vec![T::zero(); old.len()], vec![half; pass.scalars()]);
        let inputs = [&gradient[..]];
        for simd in checked() {
            let mut outputs = vec![old.clone(); count];
            outputs[count - 1].fill(T::one());
            let mut slices: Vec<&mut [T]> = outputs.iter_mut().map(|o| &mut o[..]).collect();
            let args = PassArgs::new(&pass, &inputs, &scalars, &mut slices).expect("as many as it asks for");
            simd.pass(args, &mut Scratch::default());
            for remembered in &outputs[..count - 1] {
                for (&new, &old) in remembered.iter().zip(&old) {
                    let halved = if old.abs() == least { T::zero() } else { half * old };
                    let want = if name == "Adagrad" { old } else { halved };
                    let right = if old.is_finite() { new == want } else { !new.is_finite() };
                    assert!(right, "{name}: {new} of {old}, not {want}");
                }
            }
        }
    }
}

#[test]
fn what_fades_away_becomes_zero() {
    what_fades::<f32>();
    what_fades::<f64>();
}
