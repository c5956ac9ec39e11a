//! Models at work: modes, forms and numbers of rows, threads, interruptions.

use std::num::NonZeroUsize;
use std::sync::Arc;

use nn_core::backend::simd::Simd;
use nn_core::exec::SessionOptions;
use nn_core::layers::{BatchNormalization, Concatenate, Dense, Dropout, Flatten, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::matrix::InputRef;
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Batch, Compile, Model, NamedTensor, Network, Sequential, Target, input};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_core::{Result, Scalar};
use nn_tests::random::Rng;
use nn_train::callbacks::ModelCheckpoint;
use nn_train::checkpoint::Checkpoint;
use nn_train::{BatchSize, Dataset, FitData, FitOptions, fit};

use super::{CLASSES, FEATURES, classify, examples, losses_of_steps, options, rows, stack};

/// 4 → 6 (relu), normalised, half dropped → 3
fn with_modes() -> Sequential {
    Sequential::new(FEATURES)
        .add(Dense::new(6).activation(Activation::Relu))
        .add(BatchNormalization::new().momentum(0.9))
        .add(Dropout::new(0.5))
        .add(Dense::new(CLASSES).activation(Nonlinearity::Softmax))
}

#[test]
fn predictions_and_tests_drop_nothing_and_normalise_by_the_averages() -> Result<()> {
    let data = examples(60, 2);
    let (x, labels) = &data;
    let mut network = with_modes().compile(classify(Optimizer::adam(0.01)), options())?;
    losses_of_steps(&mut network, &data, 4)?;
    let before = network.state();
    let whole = network.predict_on_batch(rows(x, FEATURES))?.to_vec();
    // A row's answer is its own, whatever it stands beside: with the batch's statistics, one row would be all zeros.
    for row in 0..60 {
        let one = &x[row * FEATURES..(row + 1) * FEATURES];
        let p = network.predict_on_batch(rows(one, FEATURES))?;
        assert_eq!(p, &whole[row * CLASSES..(row + 1) * CLASSES], "row {row}");
    }
    let loss = network.test_on_batch(rows(x, FEATURES), labels)?.loss();
    let own = labels.iter().enumerate().map(|(row, &class)| -whole[row * CLASSES + class as usize].ln());
    let expected = own.sum::<f64>() / 60.0;
    assert!((loss - expected).abs() <= 80.0 * f64::EPSILON * (1.0 + expected), "{loss} {expected}");
    assert_eq!(network.state(), before, "nothing is learnt");

    let training = network.train_on_batch(rows(x, FEATURES), labels)?.loss();
    assert!((training - loss).abs() > 1e-3, "half is dropped: {training} and {loss}");
    Ok(())
}

#[test]
fn dropout_and_normalisation_stopped_and_resumed_go_through_the_same_bits() -> nn_train::Result<()> {
    let (x, labels) = examples::<f64>(70, 6);
    let data = FitData::new(Dataset::new(rows(&x, FEATURES), &labels)?);
    let network =
        |seed| with_modes().compile(classify(Optimizer::adam(0.01)), SessionOptions { seed, ..options() });
    let batch_size = NonZeroUsize::new(16).map_or(BatchSize::Full, BatchSize::Rows);
    let epochs = |epochs| FitOptions { epochs, batch_size, seed: 3, ..FitOptions::default() };
    let mut whole = network(1)?;
    let uninterrupted = fit(&mut whole, &data, &epochs(5), &mut [])?;

    let path = std::env::temp_dir().join(format!("nn-models-{}.safetensors", std::process::id()));
    fit(&mut network(1)?, &data, &epochs(2), &mut [&mut ModelCheckpoint::new(&path)])?;
    let from = Checkpoint::<f64>::load(&path);
    std::fs::remove_file(&path).expect("it was written");
    let from = from?;
    let mut resumed = network(1)?;
    let scrambled: Vec<NamedTensor<f64>> = resumed
        .state()
        .into_iter()
        .map(|t| NamedTensor { values: t.values.iter().map(|v| v + 0.25).collect(), ..t })
        .collect();
    resumed.set_state(&scrambled)?;
    resumed.set_state(&from.state)?;
    let rest = FitOptions { initial_epoch: from.epochs_done, ..epochs(5) };
    let mut history = from.history;
    history.append(&fit(&mut resumed, &data, &rest, &mut [])?.history);
    assert_eq!(resumed.state(), whole.state());
    assert_eq!(history, uninterrupted.history);
    Ok(())
}

/// Two inputs, dropout, batch normalisation, two outputs.
fn two_ways() -> Result<Model> {
    let (a, b) = (input("a", &[10]), input("b", &[6]));
    let left = Dense::new(24).activation(Activation::Tanh).apply(&a)?;
    let left = Dropout::new(0.3).apply(&BatchNormalization::new().apply(&left)?)?;
    let right = Dense::new(16).activation(Activation::Relu).apply(&b)?;
    let both = Concatenate::new().apply([&left, &right])?;
    let class = Dense::new(CLASSES).activation(Nonlinearity::Softmax).name("class").apply(&both)?;
    let value = Dense::new(2).name("value").apply(&both)?;
    Model::new([&a, &b], [&class, &value])
}

#[test]
fn two_inputs_and_two_outputs_give_the_same_bits_on_any_number_of_threads() -> Result<()> {
    // Several shards, and not a whole number of them.
    const ROWS: usize = 1100;
    let mut rng = Rng(4);
    let (a, b): (Vec<f32>, Vec<f32>) = (rng.values(ROWS * 10, 1.0), rng.values(ROWS * 6, 1.0));
    let (classes, value): (_, Vec<f32>) = (rng.classes(ROWS, CLASSES), rng.values(ROWS * 2, 1.0));
    let weights: Vec<f32> = rng.values(ROWS, 1.0).into_iter().map(f32::abs).collect();
    let run = |threads| -> Result<_> {
        let options = SessionOptions { threads, seed: 9, ..SessionOptions::new(Arc::new(Simd::detect())) };
        let compile = Compile::outputs(Optimizer::adam(0.01))
            .loss("class", Loss::SparseCategoricalCrossEntropy, 1.0)
            .loss("value", Loss::MeanSquaredError, 0.5)
            .metric_of("class", Metric::Accuracy);
        let mut network: Network<f32> = two_ways()?.compile(compile, options)?;
        let targets = [Target::Classes(&classes), Target::Values(rows(&value, 2))];
        let batch = Batch::of(&[rows(&a, 10), rows(&b, 6)], &targets);
        let mut figures = Vec::new();
        for _ in 0..4 {
            figures.push(network.train(&batch)?);
            figures.push(network.train(&batch.clone().weighted(&weights))?);
        }
        figures.push(network.test(&batch)?);
        let outputs: Vec<Vec<f32>> =
            network.predict(&[rows(&a, 10), rows(&b, 6)])?.into_iter().map(<[f32]>::to_vec).collect();
        Ok((figures, network.state(), outputs))
    };
    let expected = run(1)?;
    let (first, last) = (expected.0[0].loss(), expected.0[6].loss());
    assert!(last < first, "it learns: {first} {last}");
    for threads in [2, 3, 8] {
        assert!(run(threads)? == expected, "{threads} threads and one differ");
    }
    Ok(())
}

#[test]
fn a_stack_is_the_functional_model_bit_by_bit_with_modes_too() -> Result<()> {
    let x = input("x", &[2, 2]);
    let flat = Flatten::new().apply(&x)?;
    let hidden = Dense::new(6).activation(Activation::Relu).apply(&flat)?;
    let dropped = Dropout::new(0.4).apply(&BatchNormalization::new().apply(&hidden)?)?;
    let class = Dense::new(CLASSES).activation(Nonlinearity::Softmax).apply(&dropped)?;
    let functional = Model::new(&x, &class)?;
    let stacked = Sequential::over(&[2, 2])
        .add(Flatten::new())
        .add(Dense::new(6).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.4))
        .add(Dense::new(CLASSES).activation(Nonlinearity::Softmax));
    let mut functional = functional.compile(classify(Optimizer::rmsprop(0.01)), options())?;
    let mut stacked = stacked.compile(classify(Optimizer::rmsprop(0.01)), options())?;
    let data = examples(40, 3);
    assert_eq!(losses_of_steps(&mut functional, &data, 8)?, losses_of_steps(&mut stacked, &data, 8)?);
    assert_eq!(functional.state(), stacked.state());
    Ok(())
}

#[test]
fn images_of_bytes_go_through_flatten_as_their_numbers_would() -> Result<()> {
    const ROWS: usize = 5;
    const PIXELS: usize = 3 * 4 * 2;
    let bytes = Rng(6).pixels(ROWS * PIXELS);
    let x = InputRef::bytes(&bytes, ROWS, PIXELS, 255.0)?;
    let model = Sequential::over(&[3, 4, 2]).add(Flatten::new()).add(Dense::new(CLASSES));
    let mut network = model.compile(classify(Optimizer::sgd(0.1)), options())?;
    network.train_on_batch(x, &[0, 1, 2, 1, 0])?;
    let weights = network.weights();
    let [kernel, bias] = weights.as_slice() else { panic!("kernel and bias") };
    let found = network.predict_on_batch(x)?;
    for (i, &y) in found.iter().enumerate() {
        let (row, class) = (i / CLASSES, i % CLASSES);
        let terms = (0..PIXELS)
            .map(|p| f64::from(bytes[row * PIXELS + p]) / 255.0 * kernel.values[p * CLASSES + class]);
        let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
        let (sum, size) = (sum + bias.values[class], size + bias.values[class].abs());
        assert!((y - sum).abs() <= (PIXELS + 3) as f64 * f64::EPSILON * size, "{y} {sum}");
    }
    Ok(())
}

/// Panics unless the figures of a batch are those of its rows taken one by one.
fn assert_sum_of_rows<T: Scalar>(network: &mut Network<T>, count: usize) -> Result<()> {
    let (x, labels) = examples::<T>(count, 7);
    let (mut loss, mut hits) = (0.0, 0.0);
    for row in 0..count {
        let one = rows(&x[row * FEATURES..(row + 1) * FEATURES], FEATURES);
        let figures = network.test_on_batch(one, &labels[row..=row])?;
        loss += figures.loss();
        hits += figures.get("accuracy").unwrap_or(f64::NAN);
    }
    let figures = network.test_on_batch(rows(&x, FEATURES), &labels)?;
    let expected = loss / count as f64;
    // A sum of `count` losses, each off by a dozen roundings.
    let tolerance = (count + 12) as f64 * T::EPSILON.wide() * expected;
    assert!((figures.loss() - expected).abs() <= tolerance, "{count} rows: {} {expected}", figures.loss());
    assert_eq!(figures.get("accuracy"), Some(hits / count as f64), "{count} rows");
    assert_eq!(figures.rows(), count);
    Ok(())
}

#[test]
fn a_batch_of_one_row_or_of_several_shards_measures_what_its_rows_do() -> Result<()> {
    let mut network = stack().compile(classify(Optimizer::sgd(0.1)), options())?;
    for count in [1, 2, 255, 256, 257, 1500] {
        assert_sum_of_rows(&mut network, count)?;
    }
    let (x, labels) = examples::<f64>(1, 3);
    let before = network.weights();
    let first = network.train_on_batch(rows(&x, FEATURES), &labels)?.loss();
    assert_ne!(network.weights(), before);
    assert!(network.test_on_batch(rows(&x, FEATURES), &labels)?.loss() < first, "one row is learnt, too");
    Ok(())
}

#[test]
fn no_rows_at_all_are_an_error_to_learn_from_and_no_answers_to_predict() -> Result<()> {
    let mut network = with_modes().compile(classify(Optimizer::sgd(0.1)), options())?;
    let before = network.state();
    let none = InputRef::dense(nn_core::matrix::MatRef::new(&[], 0, FEATURES)?);
    for result in [network.train_on_batch(none, &[]), network.test_on_batch(none, &[])] {
        let error = result.expect_err("there is nothing to average").to_string();
        assert!(error.contains("one row or more"), "{error}");
    }
    assert!(network.predict_on_batch(none)?.is_empty());
    assert_eq!(network.state(), before);
    Ok(())
}

#[test]
fn an_output_may_be_an_input_or_be_given_twice() -> Result<()> {
    let x = input("x", &[2]);
    let y = Dense::new(1).apply(&x)?;
    let model = Model::new(&x, [&y, &x, &y])?;
    assert_eq!(model.output_names(), ["dense", "x", "dense_1"]);
    let mut network = model.build(options())?;
    let values = [1.0, 2.0, 3.0, 4.0];
    let outputs = network.predict(&[rows(&values, 2)])?;
    assert_eq!(outputs[1], values);
    assert_eq!(outputs[0], outputs[2]);
    Ok(())
}
