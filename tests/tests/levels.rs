//! Three levels of abstraction, one engine.

use std::sync::Arc;

use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Ndarray};
use nn_core::optim::Optimizer;
use nn_core::{Result, Scalar};
use nn_tests::digits::{Digits, Form};
use nn_tests::levels::{Classifier, trace};

fn every_level_gives_the_same_bits<T: Scalar + mnist_data::Scalar>(
    backend: Arc<dyn Backend<T>>,
    form: Form,
) -> Result<()> {
    let classifier = Classifier { features: 784, classes: 10, optimizer: Optimizer::sgd(0.2), threads: 2 };
    let digits = Digits::<T>::train(2000, form);
    let mut by_operations = classifier.from_operations(Arc::clone(&backend))?;
    let mut by_layers = classifier.from_layers(Arc::clone(&backend))?;
    let mut by_functional = classifier.from_functional(Arc::clone(&backend))?;
    let mut by_model = classifier.from_model(backend)?;
    by_operations.set_weights(&by_model.weights())?;
    by_layers.set_weights(&by_model.weights())?;
    by_functional.set_weights(&by_model.weights())?;

    let expected = trace(&mut by_model, &digits, 5, 200)?;
    let losses = expected.losses();
    assert!(losses[losses.len() - 1] < 0.5 * losses[0], "it learns: {} … {}", losses[0], losses[205]);
    assert!(trace(&mut by_layers, &digits, 5, 200)? == expected, "layers and Sequential differ");
    assert!(trace(&mut by_functional, &digits, 5, 200)? == expected, "functional and Sequential differ");
    assert!(trace(&mut by_operations, &digits, 5, 200)? == expected, "operations and Sequential differ");
    Ok(())
}

#[test]
fn operations_layers_and_models_train_bit_by_bit_alike_in_f32() -> Result<()> {
    every_level_gives_the_same_bits::<f32>(Arc::new(Simd::detect()), Form::Bytes)
}

#[test]
fn operations_layers_and_models_train_bit_by_bit_alike_in_f64() -> Result<()> {
    every_level_gives_the_same_bits::<f64>(Arc::new(Ndarray), Form::Bytes)
}

#[test]
fn operations_layers_and_models_train_bit_by_bit_alike_from_sparse_bytes() -> Result<()> {
    every_level_gives_the_same_bits::<f32>(Arc::new(Simd::detect()), Form::SparseBytes)
}
