//! A step whose computation was shared with the measurement before it: the same bits, and no work twice.

use std::sync::Arc;

use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Naive};
use nn_core::exec::{Feed, Session, SessionOptions};
use nn_core::graph::{Graph, Node};
use nn_core::init::Initializer;
use nn_core::layers::{Dense, Dropout, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef, Rows, SparseBytes};
use nn_core::metrics::Metric;
use nn_core::models::{Compile, Figures, Network, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::{Clipping, Optimizer, Sgd};
use nn_core::{Result, Scalar};
use nn_tests::counting::Counting;
use nn_tests::engine::{deterministic_backends, session};
use nn_tests::levels::Classifier;
use nn_tests::random::Rng;
use nn_train::{BatchSize, Dataset, FitData, FitOptions};

const FEATURES: usize = 40;
const CLASSES: usize = 5;

/// Several shards and lanes of any backend, the last shard not whole: as many lanes as threads, so that a kernel is called
/// once for each shard.
const ROWS: usize = 1500;
const TEST_ROWS: usize = 1100;

/// Wide enough to be in blocks of columns where a backend has them.
const HIDDEN: usize = 128;

/// Images with their labels; `copy` is the same images, but no one can know.
struct Images<T> {
    train: SparseBytes<T>,
    copy: SparseBytes<T>,
    labels: Vec<i32>,
    test: SparseBytes<T>,
    test_labels: Vec<i32>,
}

fn images<T: Scalar>() -> Result<Images<T>> {
    let mut rng = Rng(5);
    let (pixels, test) = (rng.pixels(ROWS * FEATURES), rng.pixels(TEST_ROWS * FEATURES));
    let bytes = |pixels: &[u8], rows| SparseBytes::new(pixels, rows, FEATURES, T::of(255.0));
    Ok(Images {
        train: bytes(&pixels, ROWS)?,
        copy: bytes(&pixels, ROWS)?,
        labels: rng.classes(ROWS, CLASSES),
        test: bytes(&test, TEST_ROWS)?,
        test_labels: rng.classes(TEST_ROWS, CLASSES),
    })
}

fn network<T: Scalar>(optimizer: Optimizer, backend: Arc<dyn Backend<T>>) -> Result<Network<T>> {
    let compile = Compile::new(optimizer, Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy);
    let options = SessionOptions { threads: 2, seed: 3, ..SessionOptions::new(backend) };
    Sequential::new(FEATURES)
        .add(Dense::new(HIDDEN).activation(Activation::Tanh))
        .add(Dense::new(CLASSES).activation(Nonlinearity::Softmax))
        .compile(compile, options)
}

fn bits(figures: &Figures) -> Vec<u64> {
    figures.iter().map(|(_, value)| value.to_bits()).collect()
}

fn state<T: Scalar>(network: &Network<T>) -> Vec<(String, Vec<u64>)> {
    let bits = |values: &[T]| values.iter().map(|v| v.wide().to_bits()).collect();
    network.state().into_iter().map(|t| (t.name, bits(&t.values))).collect()
}

/// A step, and what it is worth, four times; measured on `measured`.
fn epochs<T: Scalar>(
    network: &mut Network<T>,
    images: &Images<T>,
    measured: &SparseBytes<T>,
) -> Result<Vec<Vec<u64>>> {
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(bits(&network.train_on_batch(InputRef::sparse_bytes(&images.train), &images.labels)?));
        seen.push(bits(&network.test_on_batch(InputRef::sparse_bytes(measured), &images.labels)?));
        seen.push(bits(&network.test_on_batch(InputRef::sparse_bytes(&images.test), &images.test_labels)?));
    }
    Ok(seen)
}

/// Two networks that are the same live the same life, but one can share, and the other can't.
fn sharing_changes_no_bit<T: Scalar>(what: &str, build: impl Fn() -> Result<Network<T>>) -> Result<()> {
    let images = images()?;
    let (mut sharing, mut alone) = (build()?, build()?);
    alone.set_weights(&sharing.weights())?;
    let shared = epochs(&mut sharing, &images, &images.train)?;
    assert_eq!(shared, epochs(&mut alone, &images, &images.copy)?, "{what}: figures");
    assert_eq!(shared[9][0], shared[7][0], "{what}: what a step reports was measured before it");
    assert_ne!(shared[9][0], shared[6][0], "{what}: it learns");
    assert!(state(&sharing) == state(&alone), "{what}: weights and what the optimizer remembers");
    // That it could be done at all: otherwise the two would have done the same.
    let ends = sharing.endpoints().cloned().expect("it is compiled");
    let feeds = [
        (ends.inputs[0], InputRef::sparse_bytes(&images.train).into()),
        (ends.targets[0], images.labels.as_slice().into()),
    ];
    assert!(sharing.session_mut().run_ahead(&[ends.train], &feeds)?.is_some(), "{what}: it was shared");
    assert!(state(&sharing) == state(&alone), "{what}: nothing is assigned ahead");
    Ok(())
}

fn on_every_backend<T: Scalar>(optimizer: &Optimizer) -> Result<()>
where
    Simd: Backend<T>,
{
    for backend in deterministic_backends::<T>() {
        let what = format!("{:?}, {optimizer:?}", backend.describe());
        sharing_changes_no_bit(&what, || network(optimizer.clone(), Arc::clone(&backend)))?;
    }
    Ok(())
}

#[test]
fn epochs_that_share_are_bit_by_bit_those_that_do_not() -> Result<()> {
    on_every_backend::<f32>(&Optimizer::sgd(0.5))?;
    on_every_backend::<f64>(&Optimizer::sgd(0.5))
}

#[test]
fn every_optimizer_shares_and_keeps_its_bits() -> Result<()> {
    let momentum = || Sgd::new(0.1).momentum(0.9);
    let optimizers: [Optimizer; 8] = [
        Optimizer::sgd(0.5).decay(0.1),
        momentum().into(),
        momentum().nesterov(true).into(),
        Optimizer::rmsprop(0.001),
        Optimizer::adam(0.001).decay(0.01),
        Optimizer::adamw(0.001).clipping(Clipping::Norm(0.1)),
        Optimizer::adagrad(0.01).clipping(Clipping::GlobalNorm(0.1)),
        Optimizer::sgd(0.5).clipping(Clipping::Value(0.001)),
    ];
    for optimizer in optimizers {
        let what = format!("{optimizer:?}");
        sharing_changes_no_bit::<f32>(&what, || network(optimizer.clone(), Arc::new(Simd::detect())))?;
    }
    Ok(())
}

fn at_every_level<T: Scalar>(backend: &Arc<dyn Backend<T>>) -> Result<()> {
    let optimizer = Optimizer::sgd(0.2);
    let classifier = Classifier { features: FEATURES, classes: CLASSES, optimizer, threads: 2 };
    let backend = || Arc::clone(backend);
    sharing_changes_no_bit("operations", || classifier.from_operations(backend()))?;
    sharing_changes_no_bit("layers", || classifier.from_layers(backend()))?;
    sharing_changes_no_bit("sequential", || classifier.from_model(backend()))?;
    sharing_changes_no_bit("functional", || classifier.from_functional(backend()))
}

#[test]
fn every_level_shares_and_keeps_its_bits() -> Result<()> {
    let simd = Arc::new(Simd::detect());
    at_every_level::<f32>(&(simd.clone() as Arc<dyn Backend<f32>>))?;
    at_every_level::<f64>(&(simd as Arc<dyn Backend<f64>>))
}

/// Calls that a pass through the first layer takes.
fn shards(rows: usize) -> usize {
    rows.div_ceil(Backend::<f64>::shard_rows(&Naive))
}

#[test]
fn from_the_third_epoch_on_the_training_rows_go_through_the_first_layer_once() -> nn_train::Result<()> {
    let images = images::<f64>()?;
    let counting = Arc::new(Counting::default());
    let mut network = network(Optimizer::sgd(0.5), Arc::clone(&counting) as Arc<dyn Backend<f64>>)?;
    let mut data = FitData::new(Dataset::new(InputRef::sparse_bytes(&images.train), &images.labels)?);
    data.validation = Some(data.train.clone());
    data.test = Some(Dataset::new(InputRef::sparse_bytes(&images.test), &images.test_labels)?);
    let mut counts = Vec::new();
    for epoch in 0..5 {
        let (epochs, initial_epoch) = (epoch + 1, epoch);
        let options =
            FitOptions { epochs, initial_epoch, batch_size: BatchSize::Full, ..FitOptions::default() };
        nn_train::fit(&mut network, &data, &options, &mut [])?;
        counts.push(counting.take_first_layers() - shards(TEST_ROWS));
    }
    // The first measurement might be the last thing that is done; by the second, a step has come after one.
    let (once, twice) = (shards(ROWS), 2 * shards(ROWS));
    assert_eq!(counts, [twice, twice, once, once, once]);
    Ok(())
}

#[test]
fn a_single_measurement_after_training_computes_no_gradient() -> Result<()> {
    let images = images::<f64>()?;
    let counting = Arc::new(Counting::default());
    let mut network = network(Optimizer::sgd(0.5), Arc::clone(&counting) as Arc<dyn Backend<f64>>)?;
    let x = InputRef::sparse_bytes(&images.train);
    for _ in 0..3 {
        network.train_on_batch(x, &images.labels)?;
    }
    let step = counting.take() / 3;
    network.test_on_batch(x, &images.labels)?;
    let first = counting.take();
    assert!(first < step, "a test's {first} calls, a step's {step}");
    Ok(())
}

/// What may happen between a measurement and the step after it.
struct World<'a> {
    network: Network<f64>,
    images: &'a Images<f64>,
    labels: Vec<i32>,
}

impl World<'_> {
    fn train(&mut self) -> Result<Vec<u64>> {
        let x = InputRef::sparse_bytes(&self.images.train);
        self.network.train_on_batch(x, &self.labels).map(|figures| bits(&figures))
    }

    /// Measured on rows that can be told to be those trained on, or can't.
    fn test(&mut self, shares: bool) -> Result<Vec<u64>> {
        let rows = if shares { &self.images.train } else { &self.images.copy };
        self.network.test_on_batch(InputRef::sparse_bytes(rows), &self.labels).map(|figures| bits(&figures))
    }
}

type Event = fn(&mut World<'_>) -> Result<()>;

/// A name, whether the step after it has to be computed, and what happens.
const EVENTS: [(&str, bool, Event); 12] = [
    ("nothing", false, |_| Ok(())),
    ("a prediction", false, |w| {
        w.network.predict_on_batch(InputRef::sparse_bytes(&w.images.train)).map(drop)
    }),
    ("a test of other rows", false, |w| {
        w.network.test_on_batch(InputRef::sparse_bytes(&w.images.test), &w.images.test_labels).map(drop)
    }),
    ("a test that is in error", false, |w| {
        let error = w.network.test_on_batch(InputRef::sparse_bytes(&w.images.train), &[-1; ROWS]);
        error.map_or_else(|_| Ok(()), |_| panic!("class −1"))
    }),
    ("equal labels in another place", false, |w| {
        w.labels = w.labels.clone();
        Ok(())
    }),
    ("another label in the same place", true, |w| {
        w.labels[7] = (w.labels[7] + 1) % CLASSES as i32;
        Ok(())
    }),
    ("another learning rate", true, |w| w.network.set_learning_rate(0.25)),
    ("a variable set", true, |w| {
        let id = w.network.session().graph().variables().iter().position(|v| v.name == "dense_1/bias");
        let node = w.network.session().graph().variables()[id.expect("a bias")].node;
        let id = w.network.session().graph().variable_of(node).expect("a variable");
        w.network.session_mut().set_variable(id, &[0.5; CLASSES], &[CLASSES])
    }),
    ("weights set", true, |w| {
        let mut weights = w.network.weights();
        weights[0].values[3] += 0.125;
        w.network.set_weights(&weights)
    }),
    ("a step on other rows", true, |w| {
        w.network.train_on_batch(InputRef::sparse_bytes(&w.images.test), &w.images.test_labels).map(drop)
    }),
    ("a step on some of the rows", true, |w| {
        let x = InputRef::sparse_bytes(&w.images.train).slice(0, 700);
        w.network.train_on_batch(x, &w.labels[..700]).map(drop)
    }),
    ("nodes added", true, |w| w.network.session_mut().extend(|g| g.scalar_variable()).map(drop)),
];

/// A shorthand for a graph's new variable.
trait Extended {
    fn scalar_variable(&mut self) -> Result<Node>;
}

impl Extended for Graph {
    fn scalar_variable(&mut self) -> Result<Node> {
        self.variable("more", &[], Initializer::Zeros)
    }
}

#[test]
fn what_changes_the_next_step_has_it_computed_again_and_nothing_else_does() -> Result<()> {
    let images = images::<f64>()?;
    for (name, computed, happens) in EVENTS {
        let mut lives = Vec::new();
        for shares in [true, false] {
            let counting = Arc::new(Counting::default());
            let network =
                network(Sgd::new(0.5).momentum(0.5).into(), Arc::clone(&counting) as Arc<dyn Backend<f64>>)?;
            let mut world = World { network, images: &images, labels: images.labels.clone() };
            let mut seen = Vec::new();
            for _ in 0..2 {
                seen.push(world.train()?);
                seen.push(world.test(shares)?);
            }
            happens(&mut world)?;
            counting.take_first_layers();
            seen.push(world.train()?);
            let expected = if shares && !computed { 0 } else { shards(ROWS) };
            assert_eq!(counting.take_first_layers(), expected, "{name}, shares: {shares}");
            seen.push(world.test(shares)?);
            seen.push(world.train()?);
            lives.push((seen, state(&world.network)));
        }
        assert!(lives[0] == lives[1], "{name}: other bits than without sharing");
    }
    Ok(())
}

#[test]
fn a_network_whose_layers_do_otherwise_in_training_measures_without_them() -> Result<()> {
    let images = images::<f64>()?;
    let build = || {
        let compile = Compile::new(Optimizer::sgd(0.5), Loss::SparseCategoricalCrossEntropy);
        Sequential::new(FEATURES)
            .add(Dense::new(HIDDEN).activation(Activation::Tanh))
            .add(Dropout::new(0.5))
            .add(Dense::new(CLASSES).activation(Nonlinearity::Softmax))
            .compile(compile.metric(Metric::Accuracy), SessionOptions::new(Arc::new(Naive)))
    };
    let (mut network, mut alone) = (build()?, build()?);
    let seen = epochs(&mut network, &images, &images.train)?;
    assert_eq!(seen, epochs(&mut alone, &images, &images.copy)?);
    assert_ne!(seen[9][0], seen[7][0], "the step drops, the test does not");
    Ok(())
}

/// Rows that are summed, and a variable that a run adds their sum to.
struct Adder<T> {
    session: Session<T>,
    x: Node,
    w: Node,
    fetches: [Node; 2],
}

fn adder() -> Result<Adder<f64>> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(2)])?;
    let w = g.variable("w", &[], Initializer::Zeros)?;
    let sum = g.reduce_sum(x)?;
    let new = g.add(w, sum)?;
    let step = g.assign(w, new)?;
    Ok(Adder { session: session(g)?, x, w, fetches: [sum, step] })
}

#[test]
fn rows_that_may_be_others_the_next_time_are_not_computed_ahead() -> Result<()> {
    let Adder { mut session, x, w, fetches } = adder()?;
    let (bytes, numbers) = ([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]);
    let data = SparseBytes::new(&bytes, 2, 2, 1.0)?;
    let known = InputRef::sparse_bytes(&data);
    let lent: [Feed<'_, f64>; 3] = [
        MatRef::new(&numbers, 2, 2)?.into(),
        InputRef::bytes(&bytes, 2, 2, 1.0)?.into(),
        known.select(Rows::List(&[0, 1]))?.into(),
    ];
    for feed in lent {
        assert!(session.run_ahead(&fetches, &[(x, feed)])?.is_none(), "{feed:?}");
    }
    assert!(session.run_ahead(&fetches, &[(x, known.into())])?.is_some());
    assert!(session.run_ahead(&fetches, &[]).is_err(), "what is wrong with a run is wrong ahead of it");
    assert_eq!(session.run(&[w], &[])?.scalar(0)?, 0.0);
    Ok(())
}

#[test]
fn a_run_ahead_serves_once_and_only_its_own_rows() -> Result<()> {
    let Adder { mut session, x, w, fetches } = adder()?;
    let data = SparseBytes::new(&[1, 2, 3, 4], 2, 2, 1.0)?;
    let same = SparseBytes::new(&[5, 6, 7, 8], 2, 2, 1.0)?;
    let (ten, most) = (InputRef::sparse_bytes(&data), InputRef::sparse_bytes(&same));
    let mut value = 0.0;
    let mut expect = |session: &mut Session<f64>, by: f64| -> Result<()> {
        value += by;
        assert_eq!(session.run(&[w], &[])?.scalar(0)?, value);
        Ok(())
    };
    session.run_ahead(&fetches, &[(x, ten.into())])?;
    session.run(&fetches, &[(x, ten.into())])?;
    expect(&mut session, 10.0)?;
    session.run(&fetches, &[(x, ten.into())])?;
    expect(&mut session, 10.0)?;
    session.run_ahead(&fetches, &[(x, ten.into())])?;
    session.run(&fetches, &[(x, most.into())])?;
    expect(&mut session, 26.0)?;
    session.run(&fetches, &[(x, ten.into())])?;
    expect(&mut session, 10.0)?;
    session.run_ahead(&fetches, &[(x, ten.slice(0, 1).into())])?;
    session.run_ahead(&fetches, &[(x, ten.slice(1, 1).into())])?;
    session.run(&fetches, &[(x, ten.slice(0, 1).into())])?;
    expect(&mut session, 3.0)?;
    Ok(())
}
