//! The executor keeps weights and activations in blocks of columns where the backend asks for them. Whatever reads them,
//! the numbers are those of plain matrices: `naive`, which knows no blocks, is the oracle of `simd`, whose blocks are 32
//! columns wide in f64. Small batches and plain gradient descent take ways of their own, which are compared alike.

use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::simd::{Isa, Simd};
use nn_core::backend::{Backend, Naive};
use nn_core::exec::{Feed, Session, SessionOptions};
use nn_core::graph::{DType, Graph, Node, VarId};
use nn_core::init::Initializer;
use nn_core::layers::{Dense, Mode, Updates, batch_normalization, dropout};
use nn_core::matrix::{InputRef, MatRef, SparseBytes};
use nn_core::ops::{Activation, Trans};
use nn_core::optim::{Clipping, Optimizer, Sgd};
use nn_tests::random::Rng;

/// Columns of the input: three blocks, so that a matrix of such columns is in blocks as well.
const FEATURES: usize = 96;

const CLASSES: usize = 10;

/// One row, a batch that is one shard, and several lanes of several shards, the last not full.
const BATCHES: [usize; 3] = [1, 50, 1130];

const STEPS: usize = 3;

/// What a model is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Dropout,
    BatchNormalization,
    Concatenation,
    Slices,
    Penalty,
    /// h · Wᵀ reads the weights that h = x · W made it with.
    Tied,
    /// One square matrix of weights, three times in a row.
    Shared,
    /// The hidden layer and statistics of its weights are fetched.
    Watched,
    /// Weights that are a reshaped variable, and a hidden layer that is reshaped and back.
    Reshaped,
}

const KINDS: [Kind; 10] = [
    Kind::Plain,
    Kind::Dropout,
    Kind::BatchNormalization,
    Kind::Concatenation,
    Kind::Slices,
    Kind::Penalty,
    Kind::Tied,
    Kind::Shared,
    Kind::Watched,
    Kind::Reshaped,
];

/// A graph with its ends.
struct Model {
    g: Graph,
    x: Node,
    labels: Node,
    cost: Node,
    watched: Vec<Node>,
    updates: Vec<Node>,
}

fn tanh_of(g: &mut Graph, x: Node, w: Node) -> Result<Node> {
    let product = g.matmul(x, w)?;
    g.tanh(product)
}

fn model(kind: Kind, units: usize) -> Result<Model> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(FEATURES)])?;
    let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
    let layer = Dense::new(units).activation(Activation::Tanh);
    let layer = if kind == Kind::Penalty { layer.regularizer(1e-3, 1e-2) } else { layer };
    let (mut watched, mut penalties, mut updates) = (vec![], vec![], Updates::default());
    let hidden = match kind {
        Kind::Reshaped => {
            let flat = g.variable("flat", &[FEATURES * units], Initializer::Normal(0.1))?;
            let w = g.reshape(flat, &[Some(FEATURES), Some(units)])?;
            let h = tanh_of(&mut g, x, w)?;
            let cube = g.reshape(h, &[None, Some(2), Some(units / 2)])?;
            let cube = g.sin(cube)?;
            g.reshape(cube, &[None, Some(units)])?
        }
        _ => {
            let built = layer.build(&mut g, x)?;
            penalties.extend(built.penalty);
            if kind == Kind::Watched {
                let squares = g.square(built.kernel)?;
                let columns = g.reduce_sum_axis(squares, 0)?;
                let rows = g.reduce_sum_axis(built.kernel, 1)?;
                watched.extend([built.kernel, built.bias, built.output, columns, rows]);
            }
            if kind == Kind::Tied {
                let back = g.matmul_with(built.output, Trans::No, built.kernel, Trans::Yes)?;
                let apart = g.sub(back, x)?;
                let squares = g.square(apart)?;
                penalties.push(g.reduce_mean(squares)?);
            }
            built.output
        }
    };
    let second = Dense::new(units).activation(Activation::Sigmoid);
    let hidden = match kind {
        Kind::Dropout => dropout(&mut g, hidden, 0.25, &mut Mode::Training(&mut updates))?,
        Kind::BatchNormalization => batch_normalization(&mut g, hidden, &mut Mode::Training(&mut updates))?,
        Kind::Concatenation => {
            let other = second.build(&mut g, x)?.output;
            g.concatenate(&[hidden, x, other])?
        }
        Kind::Slices => {
            let left = g.slice_columns(hidden, 3, units / 2)?;
            let right = g.slice_columns(hidden, units / 2, units / 2)?;
            g.mul(left, right)?
        }
        Kind::Shared => {
            let w = g.variable("shared", &[units, units], Initializer::GlorotUniform)?;
            let mut h = hidden;
            for _ in 0..3 {
                h = tanh_of(&mut g, h, w)?;
            }
            h
        }
        _ => hidden,
    };
    let hidden = second.build(&mut g, hidden)?.output;
    let logits = Dense::new(CLASSES).build(&mut g, hidden)?.output;
    let losses = g.softmax_cross_entropy(logits, labels)?;
    let mut cost = g.reduce_mean(losses)?;
    for penalty in penalties {
        cost = g.add(cost, penalty)?;
    }
    if kind == Kind::Watched {
        watched.push(hidden);
    }
    let updates = updates.assign(&mut g)?;
    Ok(Model { g, x, labels, cost, watched, updates })
}

/// Values of the run, each a tensor: fetches of every step, and the variables at the end.
type Trace = Vec<(String, Vec<f64>)>;

/// Trains for some steps. With `nudge`, every variable at the start is off by a unit in its last place or two.
fn train(
    backend: Arc<dyn Backend<f64>>,
    (kind, units): (Kind, usize),
    optimizer: &Optimizer,
    with_gradients: bool,
    (x, labels): (InputRef<'_, f64>, &[i32]),
    nudge: bool,
) -> Result<Trace> {
    let Model { mut g, x: input, labels: classes, cost, watched, updates } = model(kind, units)?;
    let pairs = optimizer.compute_gradients(&mut g, cost)?;
    let step = optimizer.apply_gradients(&mut g, &pairs)?;
    let mut fetches = vec![cost];
    fetches.extend(&watched);
    if with_gradients {
        fetches.extend(pairs.iter().map(|(gradient, _)| *gradient));
    }
    let values = fetches.len();
    fetches.push(step);
    fetches.extend(&updates);

    let variables = g.variables().len();
    let mut session =
        Session::new(g, SessionOptions { threads: 3, seed: 5, ..SessionOptions::new(backend) })?;
    if nudge {
        let mut rng = Rng(9);
        for number in 0..variables {
            let id = variable(&session, number);
            let before = session.variable(id);
            let one_ulp = |w: &f64| w * (1.0 + f64::EPSILON.copysign(rng.unit()));
            let near: Vec<f64> = before.data().iter().map(one_ulp).collect();
            session.set_variable(id, &near, before.dims())?;
        }
    }
    let mut trace = Trace::new();
    for turn in 0..STEPS {
        let feeds = [(input, Feed::from(x)), (classes, labels.into())];
        let out = session.run(&fetches, &feeds)?;
        for i in 0..values {
            trace.push((format!("fetch {i} of step {turn}"), out.floats(i)?.to_vec()));
        }
    }
    for number in 0..variables {
        let id = variable(&session, number);
        let name = session.graph().var(id).name.clone();
        trace.push((name, session.variable(id).data().to_vec()));
    }
    Ok(trace)
}

fn variable(session: &Session<f64>, number: usize) -> VarId {
    let node = session.graph().variables()[number].node;
    session.graph().variable_of(node).expect("a variable")
}

/// The largest difference of an element, relative to the largest element of its tensor.
fn difference(a: &Trace, b: &Trace) -> (f64, String) {
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(b).map(|((name, a), (_, b))| {
        assert_eq!(a.len(), b.len(), "{name}");
        let scale = a.iter().fold(1e-300f64, |m, x| m.max(x.abs()));
        let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs() / scale);
        // A NaN is the largest difference of all.
        (apart.fold(0.0f64, |m, x| if x > m || x.is_nan() { x } else { m }), name.clone())
    });
    apart.fold((0.0, String::new()), |m, x| if x.0 > m.0 || x.0.is_nan() { x } else { m })
}

fn pixels(rows: usize) -> (Vec<u8>, Vec<i32>) {
    (Rng(3).pixels(rows * FEATURES), Rng(4).classes(rows, CLASSES))
}

/// Trains on both backends and compares. One rounding is half a unit in the last place of its operands; a run whose weights
/// were off by that much at the start tells how a step makes it grow. No value is a sum of more than 1130 rows or 480 columns of
/// which each may add another, so that 2000 times that growth (and of ε itself) has room for all of them, and is still a
/// thousand million times less than what a number in the wrong place does.
fn compare(kind: Kind, units: usize, optimizer: &Optimizer, rows: usize, with_gradients: bool) -> Result<()> {
    let (bytes, labels) = pixels(rows);
    let numbers: Vec<f64> = bytes.iter().map(|&b| f64::from(b) / 255.0).collect();
    let sparse = SparseBytes::new(&bytes, rows, FEATURES, 255.0)?;
    let dense = (InputRef::dense(MatRef::new(&numbers, rows, FEATURES)?), &labels[..]);
    let model = (kind, units);
    let expected = train(Arc::new(Naive), model, optimizer, with_gradients, dense, false)?;
    let nudged = train(Arc::new(Naive), model, optimizer, with_gradients, dense, true)?;
    let allowed = 2000.0 * (f64::EPSILON + difference(&expected, &nudged).0);
    let what =
        format!("{kind:?}, {units} units, {}, {rows} rows, gradients {with_gradients}", optimizer.name());
    assert!(allowed < 1e-6, "{what}: a tolerance of {allowed:.1e} says nothing");
    let simd: Arc<dyn Backend<f64>> = Arc::new(Simd::detect());
    for (form, input) in [("dense", dense), ("sparse", (InputRef::sparse_bytes(&sparse), &labels[..]))] {
        let found = train(Arc::clone(&simd), model, optimizer, with_gradients, input, false)?;
        let (apart, at) = difference(&expected, &found);
        assert!(apart <= allowed, "{what}, {form}: {at} is off by {apart:.1e}, allowed {allowed:.1e}");
    }
    Ok(())
}

fn optimizers() -> [Optimizer; 4] {
    let sgd = Optimizer::sgd(0.1);
    let clipped = sgd.clone().clipping(Clipping::GlobalNorm(0.5));
    [sgd, clipped, Sgd::new(0.1).momentum(0.9).into(), Optimizer::adam(0.002)]
}

#[test]
fn whatever_reads_values_in_blocks_reads_the_right_numbers() -> Result<()> {
    for kind in KINDS {
        for (turn, optimizer) in optimizers().iter().enumerate() {
            for rows in BATCHES {
                compare(kind, 128, optimizer, rows, turn % 2 == 1)?;
            }
        }
    }
    Ok(())
}

#[test]
fn any_number_of_units_trains_alike_with_and_without_blocks() -> Result<()> {
    for units in [32, 64, 100, 128, 192] {
        for kind in [Kind::Plain, Kind::Tied, Kind::Concatenation] {
            for with_gradients in [false, true] {
                compare(kind, units, &Optimizer::sgd(0.1), 50, with_gradients)?;
                compare(kind, units, &Optimizer::sgd(0.1), 300, with_gradients)?;
            }
            compare(kind, units, &optimizers()[1], 50, false)?;
            let clipped = Optimizer::sgd(0.1).clipping(Clipping::Norm(0.1));
            compare(kind, units, &clipped, 50, false)?;
        }
    }
    Ok(())
}

/// Every backend that may keep values in blocks, and the one that never does.
fn backends() -> Vec<Arc<dyn Backend<f64>>> {
    let simd =
        Isa::available().into_iter().map(|isa| Simd::with_isa(isa).expect("was found to be available"));
    let mut all: Vec<Arc<dyn Backend<f64>>> = vec![Arc::new(Naive)];
    all.extend(simd.map(|simd| Arc::new(simd) as _));
    all
}

#[test]
fn a_variable_in_blocks_is_assigned_and_read_in_any_shape() -> Result<()> {
    let (k, n) = (96, 128);
    let values: Vec<f64> = Rng(1).values(k * n, 1.0);
    for backend in backends() {
        let mut g = Graph::new();
        let w = g.variable("w", &[k, n], Initializer::Zeros)?;
        // Shapes that are in blocks as w is, otherwise, and not at all.
        let dims: [&[usize]; 5] = [&[k, n], &[n, k], &[k * n], &[k * n / 64, 64], &[k, 4, n / 4]];
        let mut fetches = Vec::new();
        let mut targets = Vec::new();
        let two = g.scalar(2.0);
        let twice = g.mul(w, two)?;
        for (i, dims) in dims.iter().enumerate() {
            let symbolic: Vec<Option<usize>> = dims.iter().map(|&d| Some(d)).collect();
            let copy = g.variable(&format!("copy{i}"), dims, Initializer::Constant(1.0))?;
            let double = g.variable(&format!("double{i}"), dims, Initializer::Constant(1.0))?;
            let (as_is, doubled) = (g.reshape(w, &symbolic)?, g.reshape(twice, &symbolic)?);
            fetches.extend([g.assign(copy, as_is)?, g.assign(double, doubled)?]);
            let sum = g.add(copy, as_is)?;
            let sum = g.add(sum, doubled)?;
            targets.push((copy, double, as_is, doubled, sum));
        }
        let id = |session: &Session<f64>, node| session.graph().variable_of(node).expect("a variable");
        let name = backend.describe().to_string();
        let mut session = Session::new(g, SessionOptions { threads: 2, ..SessionOptions::new(backend) })?;
        let w_id = id(&session, w);
        session.set_variable(w_id, &values, &[k, n])?;
        let values_read = targets.iter().flat_map(|t| [t.2, t.3, t.4]);
        let all: Vec<Node> = values_read.chain(fetches).collect();
        let out = session.run(&all, &[])?;
        for (i, dims) in dims.iter().enumerate() {
            let what = format!("{name}: {dims:?}");
            assert_eq!(out.floats(3 * i)?, values, "{what}: w");
            assert!(out.floats(3 * i + 1)?.iter().zip(&values).all(|(a, b)| *a == 2.0 * b), "{what}: 2 w");
            let sum = |b: &f64| (1.0 + b) + 2.0 * b;
            assert!(
                out.floats(3 * i + 2)?.iter().zip(&values).all(|(a, b)| *a == sum(b)),
                "{what}: 1 + w + 2 w"
            );
        }
        for (i, &(copy, double, ..)) in targets.iter().enumerate() {
            let what = format!("{name}: {:?}", dims[i]);
            assert_eq!(session.variable(id(&session, copy)).data(), values, "{what}: copy ← w");
            let double = session.variable(id(&session, double));
            assert!(double.data().iter().zip(&values).all(|(a, b)| *a == 2.0 * b), "{what}: double ← 2 w");
        }
        assert_eq!(session.variable(w_id).data(), values, "{name}: w is as it was");
    }
    Ok(())
}

#[test]
fn variables_in_blocks_change_places() -> Result<()> {
    let (k, n) = (3, 64);
    for backend in backends() {
        let mut g = Graph::new();
        let a = g.variable("a", &[k, n], Initializer::Constant(1.0))?;
        let b = g.variable("b", &[k, n], Initializer::Constant(2.0))?;
        let swap = [g.assign(a, b)?, g.assign(b, a)?];
        let swap = g.group(&swap);
        let ids = [a, b].map(|node| g.variable_of(node).expect("a variable"));
        let mut session = Session::new(g, SessionOptions::new(backend))?;
        session.run(&[swap], &[])?;
        for (id, expected) in ids.into_iter().zip([2.0, 1.0]) {
            assert_eq!(session.variable(id).data(), vec![expected; k * n]);
        }
    }
    Ok(())
}

/// w ← w − s · xᵀδ where s itself is a sum over the batch, and w a variable of another shape than the product: neither is
/// there when a product could go straight into the weights.
#[test]
fn descent_by_a_rate_of_the_same_batch_and_into_a_reshaped_variable_uses_this_steps_numbers() -> Result<()> {
    let (rows, k, n) = (40, 96, 64);
    let (x_values, d_values): (Vec<f64>, Vec<f64>) =
        (Rng(1).values(rows * k, 1.0), Rng(2).values(rows * n, 1.0));
    for reshaped in [false, true] {
        for backend in backends() {
            let mut g = Graph::new();
            let x = g.placeholder("x", &[None, Some(k)])?;
            let d = g.placeholder("d", &[None, Some(n)])?;
            let dims: &[usize] = if reshaped { &[k * n] } else { &[k, n] };
            let w = g.variable("w", dims, Initializer::Constant(0.5))?;
            let rate = if reshaped { g.scalar(0.125) } else { g.reduce_sum(x)? };
            let gradient = g.matmul_with(x, Trans::Yes, d, Trans::No)?;
            let gradient = if reshaped { g.reshape(gradient, &[Some(k * n)])? } else { gradient };
            let less = g.mul(rate, gradient)?;
            let new = g.sub(w, less)?;
            let step = g.assign(w, new)?;
            let id = g.variable_of(w).expect("a variable");
            let name = backend.describe().to_string();
            let mut session = Session::new(g, SessionOptions { threads: 2, ..SessionOptions::new(backend) })?;
            let rate: f64 = if reshaped { 0.125 } else { x_values.iter().sum() };
            for turn in 1..=2 {
                let feeds =
                    [(x, nn_tests::engine::rows(&x_values, k)), (d, nn_tests::engine::rows(&d_values, n))];
                session.run(&[step], &feeds)?;
                let found = session.variable(id);
                for (at, &found) in found.data().iter().enumerate() {
                    let terms = (0..rows).map(|r| x_values[r * k + at / n] * d_values[r * n + at % n]);
                    let expected = 0.5 - f64::from(turn) * rate * terms.sum::<f64>();
                    // 40 products below 1, times the rate, which is itself a sum of 3840 numbers below 1; twice.
                    let allowed = 2.0 * f64::EPSILON * 40.0 * (44.0 * rate.abs() + 3840.0);
                    assert!(
                        (found - expected).abs() <= allowed,
                        "{name}: {at}: {found}, expected {expected}"
                    );
                }
            }
        }
    }
    Ok(())
}
