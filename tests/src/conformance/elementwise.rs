//! Functions of single elements, of pairs, and of rows of logits.

use nn_core::Scalar;
use nn_core::backend::Backend;
use nn_core::matrix::MatRef;
use nn_core::ops::{Activation, Binary, Labels, Operand, Unary};

use super::data::{Rng, Stored, assert_close};
use super::layers::ACTIVATIONS;

/// Rounding errors of a mathematical function, in ε: those of a good library, doubled.
const FUNCTION: f64 = 8.0;

/// The functions that have no kernel of their own in mathematics libraries: exact up to one rounding.
const EXACT: [Binary; 6] =
    [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Maximum, Binary::Minimum];

/// Arguments from the tiny to the overflowing.
fn arguments<T: Scalar>() -> Vec<T> {
    let mut all: Vec<f64> = vec![0.0, -0.0, 1.0, -1.0, 1e-30, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    for base in [1e-20, 1e-8, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.625, 0.9, 1.1, 1.7, 2.5, 4.0, 8.0, 9.0, 12.0]
    {
        all.extend([base, -base]);
    }
    all.extend([20.0, 40.0, 80.0, 87.0, 89.0, 100.0, 500.0, 700.0, 800.0, 1e4, 1e30].map(|x| -x));
    all.extend([20.0, 40.0, 80.0, 87.0, 89.0, 100.0, 500.0, 700.0, 800.0, 1e4, 1e30]);
    let mut all: Vec<T> = all.into_iter().map(T::of).collect();
    all.extend(Rng(4).values::<T>(300, 10.0));
    all
}

/// A function of one argument.
type Scalars = (&'static str, fn(f64) -> f64);

/// What each function is, in f64 from the standard library, written without the engine's own definitions.
fn definition(f: Unary) -> Scalars {
    match f {
        Unary::Neg => ("neg", |x| -x),
        Unary::Exp => ("exp", f64::exp),
        Unary::Log => ("log", f64::ln),
        Unary::Log1p => ("log1p", f64::ln_1p),
        Unary::Sqrt => ("sqrt", f64::sqrt),
        Unary::Square => ("square", |x| x * x),
        Unary::Abs => ("abs", f64::abs),
        Unary::Sign => ("sign", |x| if x == 0.0 || x.is_nan() { x } else { x.signum() }),
        Unary::Floor => ("floor", f64::floor),
        Unary::Sin => ("sin", f64::sin),
        Unary::Cos => ("cos", f64::cos),
        Unary::Activation(Activation::Linear) => ("linear", |x| x),
        Unary::Activation(Activation::Tanh) => ("tanh", f64::tanh),
        Unary::Activation(Activation::Relu) => ("relu", |x| if x.is_nan() { x } else { x.max(0.0) }),
        Unary::Activation(Activation::Sigmoid) => ("sigmoid", |x| 1.0 / (1.0 + (-x).exp())),
        other => panic!("{other:?} has no definition here: write one"),
    }
}

/// Panics unless functions of one argument, in place and not, are right for all lengths up to a few vectors.
pub(super) fn check_unary<T: Scalar>(backend: &dyn Backend<T>) {
    let plain = [Unary::Neg, Unary::Exp, Unary::Log, Unary::Sqrt, Unary::Square, Unary::Abs, Unary::Sign]
        .into_iter()
        .chain([Unary::Log1p, Unary::Floor, Unary::Sin, Unary::Cos]);
    let all = arguments::<T>();
    for f in plain.chain(ACTIVATIONS.map(Unary::Activation)) {
        let (name, value) = definition(f);
        let assert_right = |x: &[T], y: &[T], how: &str| {
            for (i, (&x, &y)) in x.iter().zip(y).enumerate() {
                let context = || format!("{how} {name} of {x:e}, element {i}");
                let expected = T::of(value(x.wide())).wide();
                let room = FUNCTION * T::EPSILON.wide() * expected.abs() + tiny::<T>();
                assert_close(context, y.wide(), expected, room);
            }
        };
        for len in (0..=70).chain([all.len()]) {
            let x = &all[all.len() - len..];
            let mut y = vec![T::of(7.0); len + 1];
            backend.unary(f, x, &mut y[..len]);
            assert_right(x, &y, "unary");
            assert_eq!(y[len], T::of(7.0), "unary {name}: the element behind the last of {len} was written");
            if let Unary::Activation(f) = f {
                y[..len].copy_from_slice(x);
                backend.activate(f, &mut y[..len]);
                assert_right(x, &y, "activate");
                assert_eq!(y[len], T::of(7.0), "activate {name}: the element behind the last was written");
            }
        }
    }
}

/// Results below the smallest normal number may be flushed or lose bits.
fn tiny<T: Scalar>() -> f64 {
    T::min_positive_value().wide()
}

/// Panics unless functions of two arguments are right for slices and single values on either side.
pub(super) fn check_binary<T: Scalar>(backend: &dyn Backend<T>) {
    let mut rng = Rng(5);
    let slopes = ACTIVATIONS.map(Binary::Slope);
    for len in (0..=40).chain([1000]) {
        let (a, b) = (rng.values::<T>(len, 3.0), rng.values::<T>(len, 3.0));
        let positive: Vec<T> = a.iter().map(|x| x.abs()).collect();
        let splat = rng.values::<T>(2, 3.0);
        for f in EXACT.into_iter().chain([Binary::Pow]).chain(slopes) {
            let (a, s) = if f == Binary::Pow { (&positive, splat[0].abs()) } else { (&a, splat[0]) };
            let forms = [
                (Operand::Slice(a), Operand::Slice(&b)),
                (Operand::Slice(a), Operand::Splat(splat[1])),
                (Operand::Splat(s), Operand::Slice(&b)),
                (Operand::Splat(s), Operand::Splat(splat[1])),
            ];
            for (form, (a, b)) in forms.into_iter().enumerate() {
                let mut y = vec![T::of(7.0); len + 1];
                backend.binary(f, a, b, &mut y[..len]);
                assert_eq!(y[len], T::of(7.0), "binary {}: wrote behind its {len} elements", f.name());
                for (i, &y) in y[..len].iter().enumerate() {
                    let (a, b) = (get(a, i), get(b, i));
                    let context =
                        || format!("binary {} of {a:e}, {b:e} (form {form}), element {i}", f.name());
                    let (expected, room) = pair(f, a.wide(), b.wide());
                    let rounded = T::of(expected).wide();
                    assert_close(context, y.wide(), rounded, room * T::EPSILON.wide());
                }
            }
        }
    }
}

fn get<T: Scalar>(x: Operand<'_, T>, i: usize) -> T {
    match x {
        Operand::Slice(x) => x[i],
        Operand::Splat(x) => x,
    }
}

/// f(a, b) and how many ε it may be wrong by beyond one rounding.
fn pair(f: Binary, a: f64, b: f64) -> (f64, f64) {
    match f {
        Binary::Add => (a + b, 0.0),
        Binary::Sub => (a - b, 0.0),
        Binary::Mul => (a * b, 0.0),
        Binary::Div => (a / b, 0.0),
        Binary::Maximum => (a.max(b), 0.0),
        Binary::Minimum => (a.min(b), 0.0),
        Binary::Pow => (a.powf(b), FUNCTION * a.powf(b)),
        Binary::Slope(f) => {
            let slope = match f {
                Activation::Linear => 1.0,
                Activation::Tanh => 1.0 - b * b,
                Activation::Relu => f64::from(b > 0.0),
                Activation::Sigmoid => b * (1.0 - b),
            };
            // Three roundings of numbers no larger than |a| (1 + b²) or |a| (|b| + b²).
            let exact = matches!(f, Activation::Linear | Activation::Relu);
            (a * slope, if exact { 0.0 } else { 3.0 * a.abs() * (1.0 + b.abs() + b * b) })
        }
        other => panic!("{other:?} has no definition here: write one"),
    }
}

/// Panics unless softmax and its cross-entropy are right, for classes and for probabilities, together and apart.
pub(super) fn check_softmax<T: Scalar>(backend: &dyn Backend<T>) {
    let mut rng = Rng(6);
    for (m, n) in [(1, 1), (1, 10), (3, 2), (7, 10), (33, 10), (5, 17), (16, 64), (9, 100)] {
        for limit in [1.0, 30.0, 2000.0] {
            let x = rng.values::<T>(m * n, limit);
            let logits = Stored::from_fn(m, n, 3, |i, j| x[i * n + j]);
            let rows: Vec<Row> = (0..m).map(|i| Row::of(&x[i * n..][..n])).collect();
            let mut p = Stored::guarded(m, n, 2, |_, _| T::nan());
            backend.softmax(logits.view(), p.view_mut());
            let context = format!("softmax {m}x{n} of logits up to {limit}");
            let eps = T::EPSILON.wide();
            let room = |i: usize, j: usize| rows[i].relative(j) * eps * rows[i].p[j] + tiny::<T>();
            p.assert_close(&context, |i, j| rows[i].p[j], room);

            let mut classes: Vec<i32> = (0..m).map(|_| (rng.next() % n as u64) as i32).collect();
            check_cross_entropy(backend, &logits, &rows, Labels::Classes(&classes), &context);
            // One row whose class there is not: below, just above, far above.
            classes[m / 2] = [-1, n as i32, i32::MAX][m % 3];
            check_cross_entropy(backend, &logits, &rows, Labels::Classes(&classes), &context);
            let t: Vec<T> = rng.values::<T>(m * n, 1.0).into_iter().map(|t| t.abs()).collect();
            let t = MatRef::new(&t, m, n).expect("as many as announced");
            check_cross_entropy(backend, &logits, &rows, Labels::Probabilities(t), &context);
        }
    }
}

/// Softmax of one row in f64.
struct Row {
    x: Vec<f64>,
    max: f64,
    log_sum: f64,
    p: Vec<f64>,
}

impl Row {
    fn of<T: Scalar>(x: &[T]) -> Self {
        let x: Vec<f64> = x.iter().map(|x| x.wide()).collect();
        let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
        let p = x.iter().map(|x| (x - max).exp() / sum).collect();
        Self { log_sum: max + sum.ln(), x, max, p }
    }

    /// How many ε the j-th probability may be wrong by, relative to itself: the rounding of x − max, which the
    /// exponential makes relative, in this element and, weighted by the others' share (at most 1/e each), in the sum;
    /// n additions; the functions.
    fn relative(&self, j: usize) -> f64 {
        (self.max - self.x[j]) + 2.0 * self.x.len() as f64 + 2.0 * FUNCTION
    }

    /// How many ε a loss −ln pⱼ may be wrong by.
    fn absolute(&self) -> f64 {
        let largest = self.x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        4.0 * largest + 2.0 * self.x.len() as f64 + 2.0 * FUNCTION
    }
}

fn check_cross_entropy<T: Scalar>(
    backend: &dyn Backend<T>,
    logits: &Stored<T>,
    rows: &[Row],
    labels: Labels<'_, T>,
    context: &str,
) {
    let (m, n, eps, scale) = (rows.len(), rows[0].x.len(), T::EPSILON.wide(), 0.125);
    let kind = if matches!(labels, Labels::Classes(_)) { "classes" } else { "probabilities" };
    // None: a class that there is not.
    let target = |i: usize, j: usize| match labels {
        Labels::Classes(c) => {
            usize::try_from(c[i]).ok().filter(|&c| c < n).map(|c| if c == j { 1.0 } else { 0.0 })
        }
        Labels::Probabilities(t) => Some(t.row(i)[j].wide()),
    };
    let targets = |i: usize| (0..n).map(|j| target(i, j)).collect::<Option<Vec<f64>>>();
    for (with_loss, with_gradient) in [(true, true), (true, false), (false, true)] {
        let context =
            format!("{context}, cross-entropy from {kind}, loss {with_loss}, gradient {with_gradient}");
        let mut losses = vec![T::of(7.0); m];
        let mut dx = Stored::guarded(m, n, 4, |_, _| T::nan());
        let gradient = with_gradient.then(|| (T::of(scale), dx.view_mut()));
        backend.softmax_cross_entropy(logits.view(), labels, with_loss.then_some(&mut losses[..]), gradient);
        for (i, row) in rows.iter().enumerate().filter(|_| with_loss) {
            let (expected, total) = targets(i).map_or((f64::NAN, 0.0), |t| {
                let terms = t.iter().zip(&row.x).map(|(t, x)| t * (row.log_sum - x));
                (terms.sum(), t.iter().sum())
            });
            let room = eps * (total * row.absolute() + n as f64 * expected.abs());
            assert_close(|| format!("{context}: loss of row {i}"), losses[i].wide(), expected, room);
        }
        if !with_gradient {
            continue;
        }
        let total = |i: usize| targets(i).map_or(f64::NAN, |t| t.iter().sum());
        dx.assert_close(
            &context,
            |i, j| (rows[i].p[j] * total(i) - target(i, j).unwrap_or(f64::NAN)) * scale,
            |i, j| {
                let parts = rows[i].p[j] * total(i) * (rows[i].relative(j) + n as f64)
                    + 2.0 * target(i, j).unwrap_or(0.0);
                eps * parts * scale + tiny::<T>()
            },
        );
    }
}

/// Panics unless the largest element of each row is found: the first of equals, −∞ before NaN, 0 where there is none.
pub(super) fn check_argmax<T: Scalar>(backend: &dyn Backend<T>) {
    let mut rng = Rng(7);
    let special = [f64::NAN, f64::NEG_INFINITY, f64::INFINITY, 0.0, -0.0, -1.0];
    for (m, n) in [(0, 3), (3, 0), (1, 1), (33, 1), (1, 10), (33, 2), (252, 10), (40, 16), (33, 17), (7, 100)]
    {
        for kinds in [0, 2, 3, 6] {
            let x: Vec<f64> =
                (0..m * n)
                    .map(|_| {
                        if kinds == 0 {
                            rng.int(n as i64) as f64
                        } else {
                            special[rng.next() as usize % kinds]
                        }
                    })
                    .collect();
            let stored = Stored::from_fn(m, n, 3, |i, j| T::of(x[i * n + j]));
            let mut index = vec![-1; m + 1];
            backend.argmax(stored.view(), &mut index[..m]);
            assert_eq!(index[m], -1, "argmax {m}x{n}: wrote behind the last index");
            for (i, &got) in index[..m].iter().enumerate() {
                let row = &x[i * n..][..n];
                let numbers = || row.iter().copied().filter(|x| !x.is_nan());
                let max = numbers().fold(f64::NEG_INFINITY, f64::max);
                let want = row.iter().position(|&x| x == max).unwrap_or(0);
                assert_eq!(got, want as i32, "argmax {m}x{n}: row {i}: {row:?}");
            }
        }
    }
}
