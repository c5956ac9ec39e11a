//! The same bits on any number of threads.

use std::sync::Arc;

use nn_core::backend::Backend;
use nn_core::backend::simd::Simd;
use nn_core::exec::SessionOptions;
use nn_core::layers::{BatchNormalization, Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::matrix::Rows;
use nn_core::models::{Compile, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_core::{Result, Scalar};
use nn_tests::conformance::blas_libraries;
use nn_tests::digits::{Digits, Form};
use nn_tests::engine::deterministic_backends;
use nn_tests::levels::{Classifier, Trace, trace};
use nn_tests::random::Rng;

/// Eighteen shards (nineteen of 252 rows), the last of them not full, in nine lanes.
const ROWS: usize = 17 * 256 + 100;

const THREADS: [usize; 5] = [1, 2, 3, 5, 8];

fn train<T>(backend: &Arc<dyn Backend<T>>, digits: &Digits<T>, threads: usize) -> Result<Trace>
where
    T: Scalar + mnist_data::Scalar,
{
    let classifier = Classifier { features: 784, classes: 10, optimizer: Optimizer::adam(0.002), threads };
    trace(&mut classifier.from_model(Arc::clone(backend))?, digits, 2, 20)
}

fn any_number_of_threads_gives_the_same_bits<T>() -> Result<()>
where
    T: Scalar + mnist_data::Scalar,
    Simd: Backend<T>,
{
    for form in Form::ALL {
        let digits = Digits::<T>::train(ROWS, form);
        for backend in deterministic_backends::<T>() {
            assert!(backend.is_deterministic());
            let expected = train(&backend, &digits, THREADS[0])?;
            for threads in THREADS {
                let found = train(&backend, &digits, threads)?;
                let what = format!("{}, {form:?}, {} on {threads} threads", backend.describe(), T::NAME);
                assert!(found.steps == expected.steps, "losses: {what}");
                assert!(found.weights == expected.weights, "weights: {what}");
                assert!(found.predictions == expected.predictions, "predictions: {what}");
            }
        }
    }
    Ok(())
}

#[test]
fn any_number_of_threads_gives_the_same_bits_in_f32() -> Result<()> {
    any_number_of_threads_gives_the_same_bits::<f32>()
}

#[test]
fn any_number_of_threads_gives_the_same_bits_in_f64() -> Result<()> {
    any_number_of_threads_gives_the_same_bits::<f64>()
}

/// What training in batches of every size left: the losses and the weights, as bits.
fn in_batches<T>(
    backend: &Arc<dyn Backend<T>>,
    digits: &Digits<T>,
    optimizer: &Optimizer,
    hidden: usize,
    threads: usize,
) -> Result<(Vec<u64>, Vec<Vec<u64>>)>
where
    T: Scalar + mnist_data::Scalar,
{
    let model = Sequential::new(784)
        .add(Dense::new(hidden).activation(Activation::Tanh))
        .add(Dense::new(128).activation(Activation::Relu))
        .add(Dense::new(10).activation(Nonlinearity::Softmax));
    let compile = Compile::new(optimizer.clone(), Loss::SparseCategoricalCrossEntropy);
    let options = SessionOptions { threads, seed: 3, ..SessionOptions::new(Arc::clone(backend)) };
    let mut network = model.compile(compile, options)?;
    let (x, labels) = (digits.x(), digits.labels());
    let mut rng = Rng(17);
    let mut losses = Vec::new();
    let mut step = |rows: Rows<'_>| -> Result<()> {
        let classes: Vec<i32> = (0..rows.len()).map(|i| labels[rows.get(i)]).collect();
        losses.push(network.train_on_batch(x.select(rows)?, &classes)?.loss().to_bits());
        Ok(())
    };
    for _ in 0..2 {
        for len in [24, 50, 128, 300] {
            let shuffled: Vec<u32> = (0..len).map(|_| rng.below(labels.len()) as u32).collect();
            step(Rows::List(&shuffled))?;
        }
        // The first is a group of rows whose lists are kept, the others are not or are cut into several.
        for (start, len) in [(252, 252), (50, 50), (128, 128), (0, 300), (300, 1000), (0, 1)] {
            step(Rows::Range { start, len })?;
        }
    }
    let weights = network.weights().into_iter();
    let weights = weights.map(|t| t.values.iter().map(|w| w.wide().to_bits()).collect()).collect();
    Ok((losses, weights))
}

fn batches_of_every_size_give_the_same_bits<T>(backends: Vec<Arc<dyn Backend<T>>>) -> Result<()>
where
    T: Scalar + mnist_data::Scalar,
{
    for form in Form::ALL {
        let digits = Digits::<T>::train(1300, form);
        for backend in &backends {
            for optimizer in [Optimizer::sgd(0.1), Optimizer::adam(0.002)] {
                // In blocks, and so few that it never is: threads then take rows of what is written.
                for hidden in [128, 48] {
                    let expected = in_batches(backend, &digits, &optimizer, hidden, THREADS[0])?;
                    for threads in &THREADS[1..] {
                        let found = in_batches(backend, &digits, &optimizer, hidden, *threads)?;
                        let (this, name) = (backend.describe(), optimizer.name());
                        let what =
                            format!("{this}, {form:?}, {}, {name}, {hidden} on {threads} threads", T::NAME);
                        assert!(found.0 == expected.0, "losses: {what}");
                        assert!(found.1 == expected.1, "weights: {what}");
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn batches_of_every_size_give_the_same_bits_on_any_number_of_threads_in_f32() -> Result<()> {
    let simd = deterministic_backends::<f32>().into_iter().filter(|b| b.describe().backend == "simd");
    batches_of_every_size_give_the_same_bits(simd.collect())
}

#[test]
fn batches_of_every_size_give_the_same_bits_on_any_number_of_threads_in_f64() -> Result<()> {
    batches_of_every_size_give_the_same_bits::<f64>(vec![Arc::new(Simd::detect())])
}

/// What training on picked rows left, batch by batch: the losses and the weights, as bits. Of each batch it is `announced` which one comes
/// next, or it is not.
fn on_picked_rows(
    digits: &Digits<f32>,
    optimizer: &Optimizer,
    normalized: bool,
    threads: usize,
    announced: bool,
) -> Result<(Vec<u64>, Vec<Vec<u32>>)> {
    let mut model = Sequential::new(784).add(Dense::new(192).activation(Activation::Tanh));
    if normalized {
        // Sums over the whole batch, between the way there and the way back.
        model = model.add(BatchNormalization::new());
    }
    let model = model.add(Dense::new(10).activation(Nonlinearity::Softmax));
    let compile = Compile::new(optimizer.clone(), Loss::SparseCategoricalCrossEntropy);
    let options = SessionOptions { threads, seed: 3, ..SessionOptions::new(Arc::new(Simd::detect())) };
    let mut network = model.compile(compile, options)?;
    let (x, labels) = (digits.x(), digits.labels());
    let mut rng = Rng(23);
    let order: Vec<u32> = (0..labels.len()).map(|_| rng.below(labels.len()) as u32).collect();
    let all = x.select(Rows::List(&order))?;
    let mut losses = Vec::new();
    // Those that follow each other, some that don't, one twice, and others of another size.
    let (follow, jump) = ((0..9).map(|i| (50 * i, 50)), [(700, 50), (0, 50), (0, 50), (50, 50)]);
    for (first, len) in follow.chain(jump).chain([(100, 24), (124, 24), (148, 130), (278, 130), (408, 20)]) {
        let rows = &order[first..first + len];
        let classes: Vec<i32> = rows.iter().map(|&row| labels[row as usize]).collect();
        let x = if announced { all.slice(first, len) } else { x.select(Rows::List(rows))? };
        losses.push(network.train_on_batch(x, &classes)?.loss().to_bits());
        match first {
            // What is measured in between changes nothing of what was computed ahead; other weights do.
            100 => losses.push(network.test_on_batch(all.slice(500, 50), &labels[..50])?.loss().to_bits()),
            250 => {
                let mut weights = network.weights();
                weights.iter_mut().flat_map(|t| &mut t.values).for_each(|w| *w *= 0.5);
                network.set_weights(&weights)?;
            }
            _ => {}
        }
    }
    let weights = network.weights().into_iter();
    Ok((losses, weights.map(|t| t.values.iter().map(|w| w.to_bits()).collect()).collect()))
}

#[test]
fn what_is_made_of_a_batch_before_its_turn_changes_no_bit() -> Result<()> {
    let digits = Digits::<f32>::train(1300, Form::SparseBytes);
    for optimizer in [Optimizer::sgd(0.1), Optimizer::rmsprop(0.001), Optimizer::adam(0.002)] {
        for normalized in [false, true] {
            let expected = on_picked_rows(&digits, &optimizer, normalized, 1, false)?;
            for (threads, announced) in THREADS.into_iter().flat_map(|n| [(n, false), (n, true)]) {
                let found = on_picked_rows(&digits, &optimizer, normalized, threads, announced)?;
                let name = optimizer.name();
                let what =
                    format!("{name}, normalized: {normalized}, {threads} threads, announced: {announced}");
                assert!(found.0 == expected.0, "losses: {what}");
                assert!(found.1 == expected.1, "weights: {what}");
            }
        }
    }
    Ok(())
}

/// What is said of images one at a time, as bits, so often that the executor has tried to share one out, and not to.
fn one_by_one(backend: &Arc<dyn Backend<f32>>, digits: &Digits<f32>, threads: usize) -> Result<Vec<u32>> {
    let model = Sequential::new(784)
        .add(Dense::new(256).activation(Activation::Tanh))
        .add(Dense::new(10).activation(Nonlinearity::Softmax));
    let options = SessionOptions { threads, seed: 3, ..SessionOptions::new(Arc::clone(backend)) };
    let mut network = model.build(options)?;
    let x = digits.x();
    let mut bits = Vec::new();
    for i in (0..x.rows()).cycle().take(300) {
        bits.extend(network.predict_on_batch(x.slice(i, 1))?.iter().map(|p| p.to_bits()));
    }
    Ok(bits)
}

#[test]
fn images_one_at_a_time_give_the_same_bits_on_any_number_of_threads() -> Result<()> {
    for form in Form::ALL {
        let digits = Digits::<f32>::train(20, form);
        for backend in deterministic_backends::<f32>() {
            let expected = one_by_one(&backend, &digits, THREADS[0])?;
            let (first, again) = expected.split_at(20 * 10);
            assert!(
                again.chunks(first.len()).all(|again| again == first),
                "{} on one thread",
                backend.describe()
            );
            for threads in &THREADS[1..] {
                let what = format!("{}, {form:?} on {threads} threads", backend.describe());
                assert!(one_by_one(&backend, &digits, *threads)? == expected, "{what}");
            }
        }
    }
    Ok(())
}

/// A BLAS promises no order of summation. A product over 784 pixels may then differ by some √784 ε = 28 ε, and 22 steps of
/// Adam add up what the first did; 1e-12 is 4500 ε. One that does promise it is held to its word.
#[test]
fn a_blas_gives_the_same_numbers_on_any_number_of_threads_within_rounding() -> Result<()> {
    let digits = Digits::<f64>::train(ROWS, Form::Dense);
    for blas in blas_libraries() {
        let backend: Arc<dyn Backend<f64>> = Arc::new(blas);
        let expected = train(&backend, &digits, 1)?;
        for threads in THREADS {
            let found = train(&backend, &digits, threads)?;
            let what = format!("{} on {threads} threads", backend.describe());
            assert!(found == expected || !backend.is_deterministic(), "{what}");
            for (name, a, b) in [
                ("losses", found.losses(), expected.losses()),
                ("weights", found.weights(), expected.weights()),
            ] {
                nn_tests::engine::assert_close(&format!("{name}: {what}"), &a, &b, 1e-12);
            }
        }
    }
    Ok(())
}
