//! Part 2: a network as a dataflow graph, with nothing but placeholders, variables and operations.
//!
//!     cargo run --release -p nn-cli --example part_2_graph -- --fast

use mnist_data::Mnist;
use nn_cli::lesson::{Digits, Pace, Page, Result, options};
use nn_core::exec::Session;
use nn_core::graph::{DType, Graph};
use nn_core::init::Initializer;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::optim::Optimizer;
use nn_train::metrics::{ConfusionMatrix, accuracy};

fn main() -> Result {
    nn_cli::lesson::tell(run)
}

pub(crate) fn run(page: &mut dyn Page, pace: Pace) -> Result {
    page.cell(
        "Placeholders and variables",
        "A placeholder is fed at each run; how many rows is not known yet. A variable stays.",
    );
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(784)])?;
    let y = g.placeholder("y", &[None, Some(10)])?;
    let w1 = g.variable("w1", &[784, 512], Initializer::Normal(0.1))?;
    let b1 = g.variable("b1", &[512], Initializer::Zeros)?;
    let w2 = g.variable("w2", &[512, 10], Initializer::Normal(0.1))?;
    let b2 = g.variable("b2", &[10], Initializer::Zeros)?;

    page.cell(
        "The network",
        "hidden = tanh(x · w1 + b1), logits = hidden · w2 + b2. Nothing is computed yet: this is a plan.",
    );
    let product = g.matmul(x, w1)?;
    let sum = g.add(product, b1)?;
    let hidden = g.tanh(sum)?;
    let product = g.matmul(hidden, w2)?;
    let logits = g.add(product, b2)?;
    page.say(&format!("x {} → hidden {} → logits {}", g.shape(x), g.shape(hidden), g.shape(logits)));

    page.cell(
        "Cost, step, accuracy",
        "The gradient of the cost is more graph; so is the step that follows it downhill.",
    );
    let losses = g.softmax_cross_entropy(logits, y)?;
    let cost = g.reduce_mean(losses)?;
    let step = Optimizer::sgd(0.5).minimize(&mut g, cost)?;
    let predicted = g.argmax(logits)?;
    let truth = g.argmax(y)?;
    let right = g.equal(predicted, truth)?;
    let right = g.cast(right, DType::Float);
    let share_right = g.reduce_mean(right)?;
    page.say(&format!("the graph has {} nodes", g.nodes().len()));

    page.cell(
        "A hundred steps",
        "Each step sees all 60,000 images. Every tenth time we look at the test images as well.",
    );
    let data = Mnist::bundled()?;
    let (train, test) = (Digits::new(&data.train)?, Digits::new(&data.test)?);
    let (y_train, y_test) = (data.train.labels.one_hot::<f32>(10)?, data.test.labels.one_hot::<f32>(10)?);
    let feeds = |digits, labels| -> Result<_> {
        let labels = InputRef::dense(MatRef::new(labels, labels.len() / 10, 10)?);
        Ok([(x, Digits::x(digits).into()), (y, labels.into())])
    };
    let (train_feeds, test_feeds) = (feeds(&train, &y_train[..])?, feeds(&test, &y_test[..])?);
    let mut session = Session::new(g, options()?)?;
    for epoch in 1..=pace.epochs(100) {
        let loss = session.run(&[cost, step], &train_feeds)?.scalar(0)?;
        if epoch % 10 == 0 {
            let on_train = session.run(&[share_right], &train_feeds)?.scalar(0)?;
            let on_test = session.run(&[share_right], &test_feeds)?.scalar(0)?;
            page.say(&format!(
                "step {epoch:3}: loss {loss:.4}, {:.2} % of train and {:.2} % of test are right",
                100.0 * on_train,
                100.0 * on_test
            ));
        }
    }

    page.cell("Which are taken for which", "A row is a true digit, a column what it was taken for.");
    let guesses = session.run(&[predicted], &test_feeds)?.ints(0)?.to_vec();
    page.say(&format!("{:.2} % of the test images are right", 100.0 * accuracy(&test.labels, &guesses)?));
    page.confusion(&ConfusionMatrix::from_labels(&test.labels, &guesses, 10)?);
    Ok(())
}
