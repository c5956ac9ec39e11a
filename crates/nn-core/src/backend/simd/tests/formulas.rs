//! Passes that are recognised, against the naive backend, which takes them step by step.

use super::super::Simd;
use super::super::formulas::{all, is_known};
use super::super::vector::Element;
use super::{checked, numbers};
use crate::backend::{Backend, Naive};
use crate::matrix::Scratch;
use crate::ops::{Binary, Pass, PassArgs, Step, Unary};

/// What the outputs of `pass` hold after it went over `len` elements.
fn after<T: Element>(backend: &dyn Backend<T>, pass: &Pass, len: usize) -> Vec<Vec<T>> {
    let gradient = numbers::<T>(1, len);
    let scalars: Vec<T> = numbers::<T>(2, pass.scalars()).iter().map(|x| x.abs()).collect();
    // Nothing negative comes under a root, but for the spread of centred RMSprop: NaN is NaN on either side.
    let old = |k: usize| numbers::<T>(3 + k as u64, len).iter().map(|x| x.abs()).collect();
    let mut outputs: Vec<Vec<T>> = (0..pass.outputs().len()).map(old).collect();
    let mut slices: Vec<&mut [T]> = outputs.iter_mut().map(|o| &mut o[..]).collect();
    let inputs = vec![&gradient[..]; pass.inputs()];
    let args = PassArgs::new(pass, &inputs, &scalars, &mut slices).expect("as many as it asks for");
    backend.pass(args, &mut Scratch::default());
    outputs
}

fn every_formula<T: Element>()
where
    Simd: Backend<T>,
{
    for (name, pass) in all() {
        let pass = pass.expect("a formula is a pass");
        assert!(is_known(&pass), "{name}");
        for len in [0, 1, 15, 16, 63, 1000, 2500] {
            let want = after::<T>(&Naive, &pass, len);
            for simd in checked() {
                let got = after::<T>(&simd, &pass, len);
                for (k, (got, want)) in got.iter().zip(&want).enumerate() {
                    let same = |(a, b): (&T, &T)| a == b || a.is_nan() && b.is_nan();
                    let first = got.iter().zip(want).position(|pair| !same(pair));
                    assert_eq!(first, None, "{name} on {}: output {k} of {len} elements", simd.isa().name());
                }
            }
        }
    }
}

#[test]
fn every_formula_has_the_bits_of_its_steps_one_by_one() {
    every_formula::<f32>();
    every_formula::<f64>();
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

/// Without a gradient, what is remembered is halved: the least normal number to nothing, and others, NaN and ∞ among them, as they should be.
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
                    assert!(
                        new == want || new.is_nan() && want.is_nan(),
                        "{name}: {new} of {old}, not {want}"
                    );
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
