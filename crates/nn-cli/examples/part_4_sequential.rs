//! Part 4: the same network as a stack of layers that is compiled and fitted.
//!
//!     cargo run --release -p nn-cli --example part_4_sequential -- --fast

use std::num::NonZeroUsize;

use mnist_data::Mnist;
use nn_cli::lesson::{Digits, Pace, Page, Result, options};
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Compile, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_train::metrics::{ConfusionMatrix, argmax_rows};
use nn_train::{BatchSize, FitData, FitOptions, evaluate, fit, predict};

fn main() -> Result {
    nn_cli::lesson::tell(run)
}

/// 784 → 512 → 10, with the squares of the kernels' elements in the loss if wanted.
fn stack(l2: f64) -> Sequential {
    let dense = |units| Dense::new(units).regularizer(0.0, l2);
    Sequential::new(784)
        .add(dense(512).activation(Activation::Tanh))
        .add(dense(10).activation(Nonlinearity::Softmax))
}

pub(crate) fn run(page: &mut dyn Page, pace: Pace) -> Result {
    page.cell("A stack", "No graph to be seen any more: layers, one on top of the other.");
    let model = stack(0.0);
    page.say(&model.summary()?);

    page.cell(
        "A hundred epochs, one batch each",
        "Compile says how to learn, fit does it. An epoch is one step here.",
    );
    let compile =
        || Compile::new(Optimizer::sgd(0.5), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy);
    let data = Mnist::bundled()?;
    let (train, test) = (Digits::new(&data.train)?, Digits::new(&data.test)?);
    let fit_data = FitData { test: Some(test.dataset()?), ..FitData::new(train.dataset()?) };
    let mut network = model.compile(compile(), options()?)?;
    let full = FitOptions { epochs: pace.epochs(100), batch_size: BatchSize::Full, ..FitOptions::default() };
    let history = fit(&mut network, &fit_data, &full, &mut [])?.history;
    page.history("100 full-batch epochs", &history);
    let on_train = evaluate(&mut network, &train.dataset()?)?.get("accuracy").unwrap_or(f64::NAN);
    page.compare("train accuracy after 100 full-batch epochs", on_train, 0.9115);

    page.cell("Batches of 50", "The same network goes on: 1,200 steps an epoch instead of one.");
    let batches_of_50 = NonZeroUsize::new(50).map_or(BatchSize::Full, BatchSize::Rows);
    let mini = FitOptions { epochs: pace.epochs(10), batch_size: batches_of_50, ..FitOptions::default() };
    let history = fit(&mut network, &fit_data, &mini, &mut [])?.history;
    page.history("batches of 50", &history);
    page.compare(
        "test accuracy after mini-batches of 50",
        history.last("test_accuracy").unwrap_or(f64::NAN),
        0.9818,
    );
    page.compare(
        "train accuracy after mini-batches of 50",
        history.last("accuracy").unwrap_or(f64::NAN),
        0.9888,
    );

    page.cell("Which are still taken for which", "What is left are digits that people would look at twice.");
    let answers = predict(&mut network, test.x())?;
    page.confusion(&ConfusionMatrix::from_labels(&test.labels, &argmax_rows(&answers, 10)?, 10)?);

    page.cell(
        "With a penalty on large weights",
        "L2 adds 0.0001 times the kernels' squares to the loss: train and test come closer.",
    );
    let mut network = stack(0.0001).compile(compile(), options()?)?;
    let history = fit(&mut network, &fit_data, &mini, &mut [])?.history;
    page.history("batches of 50, L2", &history);
    for name in ["accuracy", "test_accuracy"] {
        page.say(&format!("{name}: {:.2} %", 100.0 * history.last(name).unwrap_or(f64::NAN)));
    }
    Ok(())
}
