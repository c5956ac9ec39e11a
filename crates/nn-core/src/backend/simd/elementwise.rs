//! Functions of one element at a time, a vector of them at once. The tail of a slice goes through the same
//! instructions, filled up, so that an element's value does not depend on its place.

use super::vector::{Element, Kernel, On, Vector};
use crate::matrix::MatRef;
use crate::ops::{Activation, Binary, Operand, Unary};

/// x ← f(x)
pub(super) struct Activate<'a, T> {
    pub(super) f: Activation,
    pub(super) x: &'a mut [T],
}

impl<T: Element> Kernel<T> for Activate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        for x in self.x.chunks_mut(V::LANES) {
            on.store_part(on.activation(self.f, on.load_part(x, T::zero())), x);
        }
    }
}

/// y ← f(x)
pub(super) struct OfOne<'a, T> {
    pub(super) f: Unary,
    pub(super) x: &'a [T],
    pub(super) y: &'a mut [T],
}

impl<T: Element> Kernel<T> for OfOne<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        assert_eq!(self.x.len(), self.y.len(), "unary {}: lengths", self.f.name());
        match self.f {
            Unary::Square => map_one::<V, Square>(on, self.x, self.y),
            Unary::Sqrt => map_one::<V, Root>(on, self.x, self.y),
            Unary::Abs => map_one::<V, Magnitude>(on, self.x, self.y),
            _ => self.one_by_one(on),
        }
    }
}

impl<T: Element> OfOne<'_, T> {
    /// The functions that take longer than choosing among them, or are rare: chosen vector by vector.
    #[inline(always)]
    fn one_by_one<V: Vector<T = T>>(self, on: On<V>) {
        let (zero, one, minus_one) = (on.zero(), on.splat(T::one()), on.splat(-T::one()));
        for (x, y) in self.x.chunks(V::LANES).zip(self.y.chunks_mut(V::LANES)) {
            let v = on.load_part(x, T::zero());
            let value = match self.f {
                Unary::Neg => v.mul(minus_one),
                Unary::Exp => on.exp(v),
                Unary::Sign => zero.select_lt(v, one, v.select_lt(zero, minus_one, v.mul(zero))),
                Unary::Activation(f) => on.activation(f, v),
                f => each(on, v, v, |x, _| f.eval(x)),
            };
            on.store_part(value, y);
        }
    }
}

/// y ← f(a, b)
pub(super) struct OfTwo<'a, T> {
    pub(super) f: Binary,
    pub(super) a: Operand<'a, T>,
    pub(super) b: Operand<'a, T>,
    pub(super) y: &'a mut [T],
}

impl<T: Element> Kernel<T> for OfTwo<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let n = self.y.len();
        for operand in [&self.a, &self.b] {
            if let Operand::Slice(x) = operand {
                assert_eq!(x.len(), n, "binary {}: lengths", self.f.name());
            }
        }
        // One loop for each operation, with nothing left to decide within.
        match self.f {
            Binary::Add => map::<V, Add>(on, self.a, self.b, self.y),
            Binary::Sub => map::<V, Sub>(on, self.a, self.b, self.y),
            Binary::Mul => map::<V, Mul>(on, self.a, self.b, self.y),
            Binary::Div => map::<V, Div>(on, self.a, self.b, self.y),
            _ => self.one_by_one(on),
        }
    }
}

impl<T: Element> OfTwo<'_, T> {
    /// The rarer operations, chosen vector by vector.
    #[inline(always)]
    fn one_by_one<V: Vector<T = T>>(self, on: On<V>) {
        for (at, y) in self.y.chunks_mut(V::LANES).enumerate() {
            let (at, len) = (at * V::LANES, y.len());
            let (a, b) = (operand(on, &self.a, at, len), operand(on, &self.b, at, len));
            let value = match self.f {
                Binary::Maximum => a.select_lt(b, b, a),
                Binary::Minimum => b.select_lt(a, b, a),
                Binary::Slope(f) => on.slope(f, a, b),
                f => each(on, a, b, |a, b| f.eval(a, b)),
            };
            on.store_part(value, y);
        }
    }
}

/// A function of one vector, as a type: closures might be compiled outside of the shell that has the instructions.
trait Function {
    fn apply<V: Vector>(x: V) -> V;
}

macro_rules! functions {
    ($($name:ident($x:ident) => $value:expr;)*) => { $(
        struct $name;
        impl Function for $name {
            #[inline(always)]
            fn apply<V: Vector>($x: V) -> V {
                $value
            }
        }
    )* };
}

functions! {
    Square(x) => x.mul(x);
    Root(x) => x.sqrt();
    Magnitude(x) => x.abs();
}

/// y ← f(x), whole vectors first, then the tail.
#[inline(always)]
fn map_one<V: Vector, F: Function>(on: On<V>, x: &[V::T], y: &mut [V::T]) {
    let whole = y.len() / V::LANES * V::LANES;
    let (body, tail) = y.split_at_mut(whole);
    for (y, x) in body.chunks_exact_mut(V::LANES).zip(x.chunks_exact(V::LANES)) {
        on.store(F::apply(on.load(x)), y);
    }
    if !tail.is_empty() {
        on.store_part(F::apply(on.load_part(&x[whole..], V::T::default())), tail);
    }
}

/// An operation on two vectors, likewise.
trait Arithmetic {
    fn apply<V: Vector>(a: V, b: V) -> V;
}

macro_rules! arithmetic {
    ($($name:ident $method:ident)*) => { $(
        struct $name;
        impl Arithmetic for $name {
            #[inline(always)]
            fn apply<V: Vector>(a: V, b: V) -> V {
                a.$method(b)
            }
        }
    )* };
}

arithmetic!(Add add Sub sub Mul mul Div div);

/// y ← a ∘ b, whole vectors first, then the tail.
#[inline(always)]
fn map<V: Vector, O: Arithmetic>(on: On<V>, a: Operand<'_, V::T>, b: Operand<'_, V::T>, y: &mut [V::T]) {
    let whole = y.len() / V::LANES * V::LANES;
    let (body, tail) = y.split_at_mut(whole);
    let vectors = body.chunks_exact_mut(V::LANES);
    match (a, b) {
        (Operand::Slice(a), Operand::Slice(b)) => {
            for ((y, a), b) in vectors.zip(a.chunks_exact(V::LANES)).zip(b.chunks_exact(V::LANES)) {
                on.store(O::apply(on.load(a), on.load(b)), y);
            }
        }
        (Operand::Slice(a), Operand::Splat(b)) => {
            let b = on.splat(b);
            for (y, a) in vectors.zip(a.chunks_exact(V::LANES)) {
                on.store(O::apply(on.load(a), b), y);
            }
        }
        (Operand::Splat(a), Operand::Slice(b)) => {
            let a = on.splat(a);
            for (y, b) in vectors.zip(b.chunks_exact(V::LANES)) {
                on.store(O::apply(a, on.load(b)), y);
            }
        }
        (Operand::Splat(a), Operand::Splat(b)) => {
            let value = O::apply(on.splat(a), on.splat(b));
            for y in vectors {
                on.store(value, y);
            }
        }
    }
    if !tail.is_empty() {
        let (a, b) = (operand(on, &a, whole, tail.len()), operand(on, &b, whole, tail.len()));
        on.store_part(O::apply(a, b), tail);
    }
}

/// The elements `at .. at + len` of an operand.
#[inline(always)]
fn operand<V: Vector>(on: On<V>, x: &Operand<'_, V::T>, at: usize, len: usize) -> V {
    match *x {
        Operand::Slice(x) => on.load_part(&x[at..at + len], V::T::default()),
        Operand::Splat(x) => on.splat(x),
    }
}

/// A function that there is only in scalar form, lane by lane.
#[inline(always)]
fn each<V: Vector>(on: On<V>, a: V, b: V, f: impl Fn(V::T, V::T) -> V::T) -> V {
    let (mut a, b) = (on.lanes(a), on.lanes(b));
    for (a, &b) in a.iter_mut().zip(&b).take(V::LANES) {
        *a = f(*a, b);
    }
    on.load(&a)
}

/// Vectors of the sum over rows that are kept in registers.
const WIDE: usize = 4;

/// db ← db + Σᵢ δᵢ, row after row
pub(super) struct SumRows<'a, T> {
    pub(super) delta: MatRef<'a, T>,
    pub(super) db: &'a mut [T],
}

impl<T: Element> Kernel<T> for SumRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        assert_eq!(self.delta.cols(), self.db.len(), "accumulate_bias: columns of δ and length of db");
        let (delta, n) = (self.delta, self.delta.cols());
        let mut j = 0;
        while j < n && delta.rows() > 0 {
            // Columns that a few registers hold while all rows pass by.
            let left = delta.block_cols() - j % delta.block_cols();
            let len = (WIDE * V::LANES).min(left).min(n - j);
            let strip = delta.strip(j, len);
            let db = &mut self.db[j..j + len];
            if len == WIDE * V::LANES {
                let mut sums: [V; WIDE] = std::array::from_fn(|s| on.load(&db[s * V::LANES..]));
                for i in 0..strip.rows() {
                    let row = strip.row(i);
                    for s in 0..WIDE {
                        sums[s] = sums[s].add(on.load(&row[s * V::LANES..]));
                    }
                }
                for s in 0..WIDE {
                    on.store(sums[s], &mut db[s * V::LANES..]);
                }
            } else {
                for (s, db) in db.chunks_mut(V::LANES).enumerate() {
                    let mut sum = on.load_part(db, T::zero());
                    for i in 0..strip.rows() {
                        let row = &strip.row(i)[s * V::LANES..][..db.len()];
                        sum = sum.add(on.load_part(row, T::zero()));
                    }
                    on.store_part(sum, db);
                }
            }
            j += len;
        }
    }
}
