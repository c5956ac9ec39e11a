//! Optimizers' updates with everything in registers: passes that are recognised by their steps.
//!
//! A formula is written once, over an [`Algebra`]. On vectors it is the kernel; on a [`Teller`] it is the list of steps
//! that a pass must have to be it. The operations are those of the steps, one by one, so the result has the same bits as
//! the pass gives step by step; but that a product and a sum are rounded once where the CPU can, and for what fades away.
//!
//! What an optimizer remembers of a gradient that has become 0, as that of a pixel which is seldom lit or of a unit that is never active
//! any more, is multiplied by the same factor again and again, until it is subnormal, and there it stays: the smallest number times 0.9
//! is rounded to itself. Many CPUs take some hundred cycles for each vector with such a number in it. So it is
//! [rounded more coarsely](Vector::without_subnormals) before: it becomes 0, or stays where it is normal.
//! (Measured on Emerald Rapids with MNIST in batches of 50: after 8,000 steps, a step of RMSprop takes 6 to 8 % less time by it, one of
//! Adam 5 to 8 %; in the first few hundred, 1 % more. TensorFlow and XLA switch subnormal numbers off altogether.)

use std::array;
use std::marker::PhantomData;

use super::Simd;
use super::vector::{Element, Kernel, On, Vector};
use crate::ops::{Binary, Pass, PassArgs, PassParts, Source, Step, Unary};

/// The most outputs of a formula: a variable and two that remember.
pub(super) const MAX_OUTPUTS: usize = 3;

/// The most scalars of a formula: AdamW's 6, and 2 for a penalty.
pub(super) const MAX_SCALARS: usize = 8;

/// What formulas are written in.
pub(super) trait Algebra {
    type Value: Copy;
    fn add(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
    fn sub(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
    fn mul(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
    fn div(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
    /// a · b + c: two steps, on vectors rounded once where the CPU can.
    fn mul_add(&mut self, a: Self::Value, b: Self::Value, c: Self::Value) -> Self::Value;
    /// c − a · b, likewise.
    fn neg_mul_add(&mut self, a: Self::Value, b: Self::Value, c: Self::Value) -> Self::Value;
    fn square(&mut self, x: Self::Value) -> Self::Value;
    fn sqrt(&mut self, x: Self::Value) -> Self::Value;
    /// x, which fades away, and is nowhere subnormal. No step of its own.
    fn fading(&mut self, x: Self::Value) -> Self::Value;
}

/// Computes on vectors; with `BY_PRODUCTS`, roots are [formed by products](Vector::sqrt_by_products).
pub(super) struct Lanes<V, const BY_PRODUCTS: bool = false>(PhantomData<V>);

impl<V, const BY_PRODUCTS: bool> Lanes<V, BY_PRODUCTS> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<V: Vector, const BY_PRODUCTS: bool> Algebra for Lanes<V, BY_PRODUCTS> {
    type Value = V;

    #[inline(always)]
    fn add(&mut self, a: V, b: V) -> V {
        a.add(b)
    }

    #[inline(always)]
    fn sub(&mut self, a: V, b: V) -> V {
        a.sub(b)
    }

    #[inline(always)]
    fn mul(&mut self, a: V, b: V) -> V {
        a.mul(b)
    }

    #[inline(always)]
    fn div(&mut self, a: V, b: V) -> V {
        a.div(b)
    }

    #[inline(always)]
    fn mul_add(&mut self, a: V, b: V, c: V) -> V {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn neg_mul_add(&mut self, a: V, b: V, c: V) -> V {
        a.neg_mul_add(b, c)
    }

    #[inline(always)]
    fn square(&mut self, x: V) -> V {
        x.mul(x)
    }

    #[inline(always)]
    fn sqrt(&mut self, x: V) -> V {
        if BY_PRODUCTS { x.sqrt_by_products() } else { x.sqrt() }
    }

    #[inline(always)]
    fn fading(&mut self, x: V) -> V {
        x.without_subnormals()
    }
}

/// Tells the steps of a formula one after the other; each writes a register of its own.
struct Teller<F> {
    tell: F,
    count: usize,
}

impl<F: FnMut(Step)> Teller<F> {
    fn new(tell: F) -> Self {
        Self { tell, count: 0 }
    }

    fn binary(&mut self, f: Binary, a: Source, b: Source) -> Source {
        self.step(Step::Binary(f, a, b, self.count))
    }

    fn unary(&mut self, f: Unary, x: Source) -> Source {
        self.step(Step::Unary(f, x, self.count))
    }

    fn step(&mut self, step: Step) -> Source {
        (self.tell)(step);
        self.count += 1;
        Source::Register(step.target())
    }
}

impl<F: FnMut(Step)> Algebra for Teller<F> {
    type Value = Source;

    fn add(&mut self, a: Source, b: Source) -> Source {
        self.binary(Binary::Add, a, b)
    }

    fn sub(&mut self, a: Source, b: Source) -> Source {
        self.binary(Binary::Sub, a, b)
    }

    fn mul(&mut self, a: Source, b: Source) -> Source {
        self.binary(Binary::Mul, a, b)
    }

    fn div(&mut self, a: Source, b: Source) -> Source {
        self.binary(Binary::Div, a, b)
    }

    fn mul_add(&mut self, a: Source, b: Source, c: Source) -> Source {
        let product = self.mul(a, b);
        self.add(c, product)
    }

    fn neg_mul_add(&mut self, a: Source, b: Source, c: Source) -> Source {
        let product = self.mul(a, b);
        self.sub(c, product)
    }

    fn square(&mut self, x: Source) -> Source {
        self.unary(Unary::Square, x)
    }

    fn sqrt(&mut self, x: Source) -> Source {
        self.unary(Unary::Sqrt, x)
    }

    fn fading(&mut self, x: Source) -> Source {
        x
    }
}

/// An update: new outputs from the gradient g, scalars s and the old outputs o, of which the last are the weights.
pub(super) trait Formula {
    const SCALARS: usize;
    const OUTPUTS: usize;

    fn apply<A: Algebra>(a: &mut A, g: A::Value, s: &[A::Value], o: &[A::Value]) -> [A::Value; MAX_OUTPUTS];
}

/// Writes formulas down: scalars and old outputs by name, then the steps, then what each output gets.
macro_rules! formulas {
    ($(
        $(#[$doc:meta])*
        $name:ident($a:ident, $g:ident; [$($scalar:ident),*]; [$($output:ident),*]) { $($step:tt)* } => [$($new:ident),*];
    )*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name;

            impl Formula for $name {
                const SCALARS: usize = [$(stringify!($scalar)),*].len();
                const OUTPUTS: usize = [$(stringify!($output)),*].len();

                #[inline(always)]
                fn apply<A: Algebra>(
                    $a: &mut A,
                    $g: A::Value,
                    s: &[A::Value],
                    o: &[A::Value],
                ) -> [A::Value; MAX_OUTPUTS] {
                    let &[$($scalar),*] = &s[..Self::SCALARS] else { unreachable!("as many scalars") };
                    let &[$($output),*] = &o[..Self::OUTPUTS] else { unreachable!("as many outputs") };
                    $($step)*
                    let mut new = [$g; MAX_OUTPUTS];
                    for (new, value) in new.iter_mut().zip([$($new),*]) {
                        *new = value;
                    }
                    new
                }
            }
        )*

        /// Carries out a pass if it is one of the formulas, with or without a penalty; else gives it back.
        pub(super) fn run<'a, 'o, T: Element>(
            simd: Simd,
            args: PassArgs<'a, 'o, T>,
        ) -> Result<(), PassArgs<'a, 'o, T>> {
            $(
                if is::<$name>(args.pass()) {
                    simd.run(Update::<T, $name>(args.into_parts(), PhantomData));
                    return Ok(());
                }
                if is::<Penalised<$name>>(args.pass()) {
                    simd.run(Update::<T, Penalised<$name>>(args.into_parts(), PhantomData));
                    return Ok(());
                }
            )*
            Err(args)
        }

        /// The passes that the formulas are, by name, with and without a penalty.
        #[cfg(test)]
        pub(super) fn all() -> Vec<(&'static str, crate::Result<Pass>)> {
            vec![$((stringify!($name), pass::<$name>()), (stringify!($name), pass::<Penalised<$name>>())),*]
        }

        /// Shows the formulas, in the order of [`all`].
        #[cfg(test)]
        pub(super) fn show_all(to: &mut impl Viewer) {
            $(
                to.see::<$name>(stringify!($name));
                to.see::<Penalised<$name>>(stringify!($name));
            )*
        }
    };
}

/// old + share · (new − old)
#[inline(always)]
fn average<A: Algebra>(a: &mut A, share: A::Value, [old, new]: [A::Value; 2]) -> A::Value {
    let difference = a.sub(new, old);
    let average = a.mul_add(share, difference, old);
    a.fading(average)
}

/// g / √(spread + ε)
#[inline(always)]
fn over_root<A: Algebra>(a: &mut A, spread: A::Value, epsilon: A::Value, g: A::Value) -> A::Value {
    let shifted = a.add(spread, epsilon);
    let root = a.sqrt(shifted);
    a.div(g, root)
}

/// μ v − step
#[inline(always)]
fn velocity<A: Algebra>(a: &mut A, mu: A::Value, v: A::Value, step: A::Value) -> A::Value {
    let kept = a.mul(mu, v);
    let velocity = a.sub(kept, step);
    a.fading(velocity)
}

/// The new m and v of Adam, and where it leads to from `w`.
#[inline(always)]
fn adam<A: Algebra>(
    a: &mut A,
    g: A::Value,
    [first, second]: [A::Value; 2],
    [epsilon, scale]: [A::Value; 2],
    [m, v, w]: [A::Value; 3],
) -> [A::Value; 3] {
    let momentum = average(a, first, [m, g]);
    let squared = a.square(g);
    let velocity = average(a, second, [v, squared]);
    let root = a.sqrt(velocity);
    let shifted = a.add(root, epsilon);
    let direction = a.div(momentum, shifted);
    [momentum, velocity, a.neg_mul_add(scale, direction, w)]
}

formulas! {
    /// w ← w − rate · g
    Descent(a, g; [rate]; [w]) {
        let step = a.mul(rate, g);
        let new = a.sub(w, step);
    } => [new];

    /// v ← μ v − rate · g, w ← w + v
    Momentum(a, g; [rate, mu]; [v, w]) {
        let step = a.mul(rate, g);
        let v = velocity(a, mu, v, step);
        let new = a.add(w, v);
    } => [v, new];

    /// v ← μ v − rate · g, w ← w + μ v − rate · g
    Nesterov(a, g; [rate, mu]; [v, w]) {
        let step = a.mul(rate, g);
        let v = velocity(a, mu, v, step);
        let ahead = a.mul(mu, v);
        let moved = a.add(w, ahead);
        let new = a.sub(moved, step);
    } => [v, new];

    /// v ← v + (1 − ρ)(g² − v), w ← w − rate · g / √(v + ε)
    RmsProp(a, g; [rest, epsilon, rate]; [v, w]) {
        let squared = a.square(g);
        let v = average(a, rest, [v, squared]);
        let direction = over_root(a, v, epsilon, g);
        let new = a.neg_mul_add(rate, direction, w);
    } => [v, new];

    /// As [`RmsProp`], with m ← μ m + rate · g / √(v + ε), w ← w − m
    RmsPropMomentum(a, g; [rest, epsilon, rate, mu]; [v, m, w]) {
        let squared = a.square(g);
        let v = average(a, rest, [v, squared]);
        let direction = over_root(a, v, epsilon, g);
        let step = a.mul(rate, direction);
        let m = a.mul_add(mu, m, step);
        let m = a.fading(m);
        let new = a.sub(w, m);
    } => [v, m, new];

    /// As [`RmsProp`], with c ← c + (1 − ρ)(g − c), and v − c² + ε under the root
    RmsPropCentered(a, g; [rest, rest_again, epsilon, rate]; [v, c, w]) {
        let squared = a.square(g);
        let v = average(a, rest, [v, squared]);
        let c = average(a, rest_again, [c, g]);
        let squared = a.square(c);
        let spread = a.sub(v, squared);
        let direction = over_root(a, spread, epsilon, g);
        let new = a.neg_mul_add(rate, direction, w);
    } => [v, c, new];

    /// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), w ← w − scale · m / (√v + ε)
    Adam(a, g; [rest_1, rest_2, epsilon, scale]; [m, v, w]) {
        let [m, v, new] = adam(a, g, [rest_1, rest_2], [epsilon, scale], [m, v, w]);
    } => [m, v, new];

    /// As [`Adam`], from w − w · decay · rate instead of w
    AdamW(a, g; [decay, rate, rest_1, rest_2, epsilon, scale]; [m, v, w]) {
        let decayed = a.mul(w, decay);
        let less = a.mul(decayed, rate);
        let from = a.sub(w, less);
        let [m, v, new] = adam(a, g, [rest_1, rest_2], [epsilon, scale], [m, v, from]);
    } => [m, v, new];

    /// v ← v + g², w ← w − rate · g / √(v + ε)
    Adagrad(a, g; [epsilon, rate]; [v, w]) {
        let squared = a.square(g);
        let v = a.add(v, squared);
        let direction = over_root(a, v, epsilon, g);
        let new = a.neg_mul_add(rate, direction, w);
    } => [v, new];
}

/// A formula of g + s₁ · (s₀ · w), the gradient with a penalty's on the squared weights.
struct Penalised<F>(PhantomData<F>);

impl<F: Formula> Formula for Penalised<F> {
    const SCALARS: usize = F::SCALARS + 2;
    const OUTPUTS: usize = F::OUTPUTS;

    #[inline(always)]
    fn apply<A: Algebra>(a: &mut A, g: A::Value, s: &[A::Value], o: &[A::Value]) -> [A::Value; MAX_OUTPUTS] {
        let scaled = a.mul(s[0], o[F::OUTPUTS - 1]);
        let penalty = a.mul(s[1], scaled);
        let gradient = a.add(penalty, g);
        F::apply(a, gradient, &s[2..], o)
    }
}

/// Whether a pass is this formula.
pub(super) fn is<F: Formula>(pass: &Pass) -> bool {
    let (steps, outputs) = pass.numbered();
    // Counts tell nearly all apart, and are quick to compare.
    if (pass.inputs(), pass.scalars(), outputs.len()) != (1, F::SCALARS, F::OUTPUTS) {
        return false;
    }
    let (mut left, mut fits) = (steps.iter(), true);
    let new = told::<F>(|step| fits &= left.next() == Some(&step));
    fits && left.next().is_none() && new[..F::OUTPUTS] == outputs[..]
}

/// Tells the steps of a formula; gives what its outputs get.
fn told<F: Formula>(tell: impl FnMut(Step)) -> [Source; MAX_OUTPUTS] {
    let (scalars, old) = (
        array::from_fn::<_, MAX_SCALARS, _>(Source::Scalar),
        array::from_fn::<_, MAX_OUTPUTS, _>(Source::Output),
    );
    F::apply(&mut Teller::new(tell), Source::Input(0), &scalars, &old)
}

/// Looks at one formula after the other.
#[cfg(test)]
pub(super) trait Viewer {
    fn see<F: Formula>(&mut self, name: &'static str);
}

#[cfg(test)]
pub(super) fn pass<F: Formula>() -> crate::Result<Pass> {
    let mut steps = Vec::new();
    let new = told::<F>(|step| steps.push(step));
    Pass::new(1, F::SCALARS, steps, new[..F::OUTPUTS].to_vec())
}

/// outputs ← the formula of the gradient, the scalars and the old outputs
struct Update<'a, 'o, T, F>(PassParts<'a, 'o, T>, PhantomData<F>);

impl<T: Element, F: Formula> Kernel<T> for Update<'_, '_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let lanes = &mut Lanes::<V>::new();
        let PassParts { inputs, scalars, outputs, len, .. } = self.0;
        let mut s = [on.zero(); MAX_SCALARS];
        for (s, &scalar) in s.iter_mut().zip(scalars) {
            *s = on.splat(scalar);
        }
        let whole = len / V::LANES * V::LANES;
        let mut o = [on.zero(); MAX_OUTPUTS];
        for at in (0..whole).step_by(V::LANES) {
            for k in 0..F::OUTPUTS {
                o[k] = on.load(&outputs[k][at..]);
            }
            let g = on.load(&inputs[0][at..]);
            let new = F::apply(lanes, g, &s, &o);
            for k in 0..F::OUTPUTS {
                on.store(new[k], &mut outputs[k][at..]);
            }
        }
        if whole < len {
            for k in 0..F::OUTPUTS {
                o[k] = on.load_part(&outputs[k][whole..], T::zero());
            }
            let g = on.load_part(&inputs[0][whole..], T::zero());
            let new = F::apply(lanes, g, &s, &o);
            for k in 0..F::OUTPUTS {
                on.store_part(new[k], &mut outputs[k][whole..]);
            }
        }
    }
}

/// Whether there is a formula for this pass.
#[cfg(test)]
pub(crate) fn is_known(pass: &Pass) -> bool {
    let (mut outputs, input) = (vec![Vec::<f32>::new(); pass.outputs().len()], Vec::new());
    let mut outputs: Vec<&mut [f32]> = outputs.iter_mut().map(|o| &mut o[..]).collect();
    let (inputs, scalars) = (vec![&input[..]; pass.inputs()], vec![0.0; pass.scalars()]);
    let args = PassArgs::new(pass, &inputs, &scalars, &mut outputs);
    args.is_ok_and(|args| run(Simd::detect(), args).is_ok())
}
