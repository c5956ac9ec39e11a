//! Part 3: the same network by layers, with the labels made one-hot inside the graph.
//!
//!     cargo run --release -p nn-cli --example part_3_layers -- --fast

use mnist_data::Mnist;
use nn_cli::lesson::{Digits, Pace, Page, Result, options};
use nn_core::exec::Session;
use nn_core::graph::{DType, Graph};
use nn_core::init::Initializer;
use nn_core::layers::Dense;
use nn_core::losses::Loss;
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_train::metrics::ConfusionMatrix;

fn main() -> Result {
    nn_cli::lesson::tell(run)
}

pub(crate) fn run(page: &mut dyn Page, pace: Pace) -> Result {
    page.cell(
        "Layers",
        "A layer makes its variables and adds its operations to the graph: two lines instead of nine.",
    );
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(784)])?;
    let y = g.typed_placeholder("y", &[None], DType::Int)?;
    let dense = |units| Dense::new(units).kernel_initializer(Initializer::Normal(0.1));
    let hidden = dense(512).activation(Activation::Tanh).build(&mut g, x)?.output;
    let logits = dense(10).build(&mut g, hidden)?.output;
    for variable in g.variables() {
        page.say(&format!("{} {:?}", variable.name, variable.dims));
    }

    page.cell(
        "One-hot inside the graph",
        "The labels are fed as classes, 0 to 9; the graph makes rows of them.",
    );
    let one_hot = g.one_hot(y, 10)?;
    let cost = Loss::CategoricalCrossEntropy.mean(&mut g, logits, one_hot)?;
    let step = Optimizer::sgd(0.5).minimize(&mut g, cost)?;
    let predicted = g.argmax(logits)?;
    let right = g.equal(predicted, y)?;
    let right = g.cast(right, DType::Float);
    let share_right = g.reduce_mean(right)?;

    page.cell(
        "Several fetches in one run",
        "Step, cost and accuracy come from one pass: none is computed twice.",
    );
    let data = Mnist::bundled()?;
    let (train, test) = (Digits::new(&data.train)?, Digits::new(&data.test)?);
    let train_feeds = [(x, train.x().into()), (y, train.labels.as_slice().into())];
    let test_feeds = [(x, test.x().into()), (y, test.labels.as_slice().into())];
    let mut session = Session::new(g, options()?)?;
    for epoch in 1..=pace.epochs(100) {
        let out = session.run(&[cost, share_right, step], &train_feeds)?;
        if epoch % 10 == 0 {
            let (loss, on_train) = (out.scalar(0)?, out.scalar(1)?);
            page.say(&format!(
                "step {epoch:3}: loss {loss:.4}, {:.2} % of train are right",
                100.0 * on_train
            ));
        }
    }

    page.cell("Which are taken for which", "The same picture as before.");
    let guesses = session.run(&[predicted], &test_feeds)?.ints(0)?.to_vec();
    page.confusion(&ConfusionMatrix::from_labels(&test.labels, &guesses, 10)?);
    Ok(())
}
