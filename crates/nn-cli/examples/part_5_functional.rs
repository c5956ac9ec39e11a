//! Part 5: the functional style, RMSprop, and a fifth of the images held back to see when to stop.
//!
//!     cargo run --release -p nn-cli --example part_5_functional -- --fast

use std::num::NonZeroUsize;

use mnist_data::Mnist;
use nn_cli::lesson::{Digits, Pace, Page, Result, options};
use nn_core::init::Initializer;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Compile, Model, input};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_train::{BatchSize, FitData, FitOptions, evaluate, fit};

fn main() -> Result {
    nn_cli::lesson::tell(run)
}

pub(crate) fn run(page: &mut dyn Page, pace: Pace) -> Result {
    page.cell(
        "Layers are functions",
        "Each is called on what it works on; a model is what lies between its ends.",
    );
    let pixels = input("pixels", &[784]);
    let dense = |units| Dense::new(units).kernel_initializer(Initializer::Normal(0.1));
    let hidden = dense(512).activation(Activation::Tanh).apply(&pixels)?;
    let digit = dense(10).activation(Nonlinearity::Softmax).apply(&hidden)?;
    let model = Model::new(&pixels, &digit)?;
    page.say(&model.summary());

    page.cell("One epoch", "RMSprop divides each step by a running mean of the gradient's size.");
    let data = Mnist::bundled()?;
    let (train, test) = (Digits::new(&data.train)?, Digits::new(&data.test)?);
    let compile = || {
        Compile::new(Optimizer::rmsprop(0.001), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy)
    };
    let mut network = model.compile(compile(), options()?)?;
    let first_weights = network.weights();
    let batches_of_50 = NonZeroUsize::new(50).map_or(BatchSize::Full, BatchSize::Rows);
    let one = FitOptions { epochs: 1, batch_size: batches_of_50, ..FitOptions::default() };
    let history = fit(&mut network, &FitData::new(train.dataset()?), &one, &mut [])?.history;
    let on_test = evaluate(&mut network, &test.dataset()?)?.get("accuracy").unwrap_or(f64::NAN);
    page.compare("train accuracy of the first epoch", history.last("accuracy").unwrap_or(f64::NAN), 0.918);
    page.compare("test accuracy after 1 epoch", on_test, 0.955);

    page.cell(
        "Ten epochs from the same weights",
        "The last fifth of the images is not trained on but measured after each epoch.",
    );
    network.set_weights(&first_weights)?;
    network.compile(compile())?;
    let ten = FitOptions { epochs: pace.epochs(10), validation_split: 0.2, ..one };
    let history = fit(&mut network, &FitData::new(train.dataset()?), &ten, &mut [])?.history;
    page.history("batches of 50, a fifth held back", &history);
    let on_test = evaluate(&mut network, &test.dataset()?)?.get("accuracy").unwrap_or(f64::NAN);
    page.compare("train accuracy of the tenth epoch", history.last("accuracy").unwrap_or(f64::NAN), 0.966);
    page.compare("test accuracy after 10 epochs", on_test, 0.98);
    Ok(())
}
