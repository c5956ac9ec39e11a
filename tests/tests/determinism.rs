//! The same bits on any number of threads.

use std::sync::Arc;

use nn_core::backend::Backend;
use nn_core::backend::simd::Simd;
use nn_core::optim::Optimizer;
use nn_core::{Result, Scalar};
use nn_tests::conformance::blas_libraries;
use nn_tests::digits::{Digits, Form};
use nn_tests::engine::deterministic_backends;
use nn_tests::levels::{Classifier, Trace, trace};

/// Eighteen shards, the last of them not full, in nine lanes.
const ROWS: usize = 17 * 256 + 100;

const THREADS: [usize; 4] = [1, 2, 3, 8];

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
