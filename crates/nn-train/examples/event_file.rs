//! Learns XOR, lets TensorBoard's callback write event files into the directory given, and prints what is in them as JSON:
//! `cargo run -p nn-train --example event_file -- runs/xor && tensorboard --logdir runs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use nn_core::backend::Naive;
use nn_core::exec::SessionOptions;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::metrics::Metric;
use nn_core::models::{Compile, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_train::callbacks::TensorBoard;
use nn_train::{BatchSize, Dataset, FitData, FitOptions, fit};
use serde_json::json;

/// The epochs to train for.
const EPOCHS: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("expected a directory: event_file DIR")?;
    let mut network = Sequential::new(2)
        .add(Dense::new(8).activation(Activation::Tanh))
        .add(Dense::new(2).activation(Nonlinearity::Softmax))
        .compile::<f32>(
            Compile::new(Optimizer::adam(0.1), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy),
            SessionOptions::new(Arc::new(Naive)),
        )?;
    let rows = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    let xor = Dataset::new(InputRef::dense(MatRef::new(&rows, 4, 2)?), &[0, 1, 1, 0])?;
    let data = FitData { validation: Some(xor.clone()), ..FitData::new(xor) };
    let options = FitOptions { epochs: EPOCHS, batch_size: BatchSize::Full, ..FitOptions::default() };
    let history = fit(&mut network, &data, &options, &mut [&mut TensorBoard::new(dir)])?.history;

    let (mut train, mut validation) = (BTreeMap::new(), BTreeMap::new());
    for (figure, values) in history.iter() {
        match figure.strip_prefix("val_") {
            Some(name) => validation.insert(format!("epoch_{name}"), values),
            None => train.insert(format!("epoch_{figure}"), values),
        };
    }
    let counts: BTreeMap<String, [usize; EPOCHS]> =
        network.weights().into_iter().map(|w| (w.name, [w.values.len(); EPOCHS])).collect();
    let nodes = network.session().graph().nodes().len();
    let written = json!({
        "train": { "nodes": nodes, "scalars": train, "histograms": counts },
        "validation": { "nodes": 0, "scalars": validation, "histograms": {} },
    });
    println!("{written}");
    Ok(())
}
