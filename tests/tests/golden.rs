//! Keras' trajectories, met in f64 to 1e-9 on every backend, and in f32 as closely as f32 can.
//!
//! Everything goes through `Sequential`, `Dense`, `Optimizer` and nn-train's `fit` and `predict`: what users run.

use std::sync::Arc;

use nn_core::Scalar;
use nn_core::backend::Backend;
use nn_core::backend::simd::Simd;
use nn_tests::conformance::backends;
use nn_tests::digits::Form;
use nn_tests::golden::{CASES, Case, Figures};

/// How far a run may be from Keras'.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    /// Of losses and norms, relatively.
    relative: f64,
    /// The share of rows that may be taken for another class.
    share: f64,
}

/// f64: whatever is a count is that count.
const EXACT: Tolerance = Tolerance { relative: 1e-9, share: 0.0 };

/// Panics at the first figure that is not Keras'.
fn meets_keras(case: &Case, found: &Figures, tolerance: Tolerance, context: &str) {
    let (expected, Tolerance { relative, share }) = (&case.expected, tolerance);
    assert!(found.history.keys().eq(expected.history.keys()), "{context}: {:?}", found.history.keys());
    for (name, values) in &expected.history {
        let found = &found.history[name];
        assert_eq!(found.len(), values.len(), "{context}: epochs of {name}");
        for (epoch, (&f, &e)) in found.iter().zip(values).enumerate() {
            let what = format!("{context}: {name}, epoch {epoch}: {f}, Keras {e}");
            if name.ends_with("accuracy") {
                let rows = rows(case, name);
                let (f, e) = (f * rows, e * rows);
                assert!((f.round() - e.round()).abs() <= (rows * share).floor(), "{what}: {f} and {e} rows");
                assert!((f - f.round()).abs() < 0.01, "{what}: {f} rows are no whole number");
            } else {
                let off = (f - e).abs() / e.abs();
                assert!(off <= relative, "{what}: off by {off:.1e}, allowed {relative:.1e}");
            }
        }
    }
    for (class, rows) in expected.test_confusion_rows_true.iter().enumerate() {
        let total: u64 = rows.iter().sum();
        let found = &found.confusion[class];
        let moved: u64 = rows.iter().zip(found).map(|(&e, &f)| e.saturating_sub(f)).sum();
        assert_eq!(found.iter().sum::<u64>(), total, "{context}: confusion matrix, class {class}");
        assert!(moved as f64 <= 10_000.0 * share, "{context}: class {class}: {found:?}, Keras {rows:?}");
    }
    assert!(found.weights.keys().eq(expected.final_weights.keys()), "{context}: names of the weights");
    for (name, e) in &expected.final_weights {
        let f = &found.weights[name];
        let off = (f.l2 - e.l2).abs() / e.l2;
        assert!(off <= relative, "{context}: norm of {name}: {}, Keras {}, off by {off:.1e}", f.l2, e.l2);
        let (off, allowed) = ((f.sum - e.sum).abs(), f.sum_tolerance(relative));
        assert!(off <= allowed, "{context}: sum of {name}: {}, Keras {}, ±{allowed:.1e}", f.sum, e.sum);
    }
}

/// How many rows an accuracy is the share of.
fn rows(case: &Case, name: &str) -> f64 {
    let train = case.settings.train_rows as f64;
    let held_back = (train * case.settings.validation_split).round();
    match name {
        "accuracy" => train - held_back,
        "val_accuracy" => held_back,
        _ => 10_000.0,
    }
}

fn every_backend_meets(name: &'static str, forms: impl Fn(&dyn Backend<f64>) -> Vec<Form>) {
    let case = Case::load(name);
    for backend in backends::<f64>() {
        for form in forms(&*backend) {
            let context = format!("{name}, {form:?}, {}", backend.describe());
            meets_keras(&case, &case.run(Arc::clone(&backend), form, None), EXACT, &context);
        }
    }
}

#[test]
fn relu_with_an_l2_term_follows_keras_from_every_form_of_input_on_every_backend() {
    every_backend_meets("l2-relu", |_| Form::ALL.to_vec());
}

#[test]
fn rmsprop_and_a_validation_split_follow_keras_on_every_backend() {
    every_backend_meets("rmsprop-validation", |_| vec![Form::Bytes]);
}

#[test]
fn twelve_hundred_small_batches_follow_keras_on_every_backend() {
    every_backend_meets("mini-batch", |backend| match backend.describe().backend {
        "simd" => vec![Form::Sparse, Form::SparseBytes],
        _ => vec![Form::Sparse],
    });
}

#[test]
fn the_notebooks_full_batch_run_follows_keras_on_every_backend() {
    every_backend_meets("notebook-full-batch", |backend| match affordable(backend) {
        Form::Dense => vec![Form::Dense, Form::SparseBytes],
        form => vec![form],
    });
}

/// The form of input for the full-batch run, which is 500 billion operations from numbers or bytes and a fifth of them
/// from sparse rows: what has fast products takes the former.
fn affordable<T: Scalar>(backend: &dyn Backend<T>) -> Form
where
    Simd: Backend<T>,
{
    let this = backend.describe();
    match this.backend {
        _ if this == Backend::<T>::describe(&Simd::detect()) => Form::Dense,
        "ndarray" | "blas" => Form::Bytes,
        "simd" => Form::SparseBytes,
        _ => Form::Sparse,
    }
}

/// How far f32 may be from f64. With u = 2⁻²⁴, what one rounding changes at most:
/// - A sum of n numbers, rounded at random, is off by √n u. The longest are those over the rows of a batch, for
///   gradients and losses, and over the 784 pixels.
/// - What is off by u in a weight grows from step to step with the trajectory. How much, a run in f64 tells whose
///   weights were nudged by u at the start; and it is not u but √784 u, the error of the sums that make the weights.
///
/// Twice the sum of these. Rows change their class where their two largest logits are closer than their errors. Logits
/// are below 10 here, and no more than a third of the rows have the two within 1, so the share is 2 · 10 / 3 times it.
fn single_precision(case: &Case) -> Tolerance {
    let u = f64::from(f32::EPSILON) / 2.0;
    let nudged = case.run::<f64>(Arc::new(Simd::detect()), Form::Sparse, Some(1));
    let grown = nudged.largest_difference(&case.expected);
    let rows = case.settings.batch_size.max(case.settings.train_rows.min(10_000)) as f64;
    let relative = 2.0 * ((rows.sqrt() + 28.0) * u + 28.0 * grown);
    assert!(relative < 1e-4, "{}: a tolerance of {relative:.1e} says nothing", case.name);
    Tolerance { relative, share: 7.0 * relative }
}

#[test]
fn f32_follows_keras_as_closely_as_its_rounding_allows_on_every_backend() {
    for name in CASES {
        let case = Case::load(name);
        let tolerance = single_precision(&case);
        for backend in backends::<f32>() {
            let form = affordable(&*backend);
            let context = format!("f32, {name}, {form:?}, {}", backend.describe());
            let found = case.run(Arc::clone(&backend), form, None);
            meets_keras(&case, &found, tolerance, &context);
        }
    }
}
