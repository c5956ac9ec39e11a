//! Level 3, models: two points go through one shared layer, and two outputs say whether they are on the same side of a line
//! and how far apart they are: `cargo run -p nn-core --example models`.

use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::simd::Simd;
use nn_core::exec::SessionOptions;
use nn_core::layers::{Concatenate, Dense};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Batch, Compile, Model, Shared, Target, input};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;

/// Pairs of points.
const PAIRS: usize = 400;

fn main() -> Result<()> {
    let (a, b) = (input("a", &[2]), input("b", &[2]));
    let look = Shared::new(Dense::new(16).activation(Activation::Tanh).name("look"));
    let both = Concatenate::new().apply([&look.apply(&a)?, &look.apply(&b)?])?;
    let hidden = Dense::new(32).activation(Activation::Relu).apply(&both)?;
    let side = Dense::new(1).activation(Activation::Sigmoid).name("side").apply(&hidden)?;
    let distance = Dense::new(1).name("distance").apply(&hidden)?;
    let model = Model::new([&a, &b], [&side, &distance])?.name("pairs");
    print!("{}", model.summary());

    let compile = Compile::outputs(Optimizer::adam(0.01))
        .loss("side", Loss::BinaryCrossEntropy, 1.0)
        .loss("distance", Loss::MeanSquaredError, 0.5)
        .metric_of("side", Metric::Accuracy)
        .metric_of("distance", Metric::MeanAbsoluteError);
    let options = SessionOptions { seed: 1, ..SessionOptions::new(Arc::new(Simd::detect())) };
    let mut network = model.compile::<f32>(compile, options)?;

    let (first, second) = (points([2.0, 3.0]), points([5.0, 7.0]));
    let pairs = || first.chunks(2).zip(second.chunks(2));
    let same: Vec<f32> =
        pairs().map(|(p, q)| if (p[0] > p[1]) == (q[0] > q[1]) { 1.0 } else { 0.0 }).collect();
    let apart: Vec<f32> = pairs().map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1])).collect();
    let inputs = [matrix(&first, 2)?, matrix(&second, 2)?];
    let batch = Batch::of(&inputs, &[Target::Values(matrix(&same, 1)?), Target::Values(matrix(&apart, 1)?)]);
    for step in 0..=300 {
        let figures = network.train(&batch)?;
        if step % 100 == 0 {
            let figures: Vec<String> =
                figures.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
            println!("step {step:3}: {}", figures.join(", "));
        }
    }

    let answers = network.predict(&[matrix(&[0.5, -0.5], 2)?, matrix(&[-0.5, 0.5], 2)?])?;
    println!("(0.5, -0.5) and (-0.5, 0.5): same side {:.3}, {:.2} apart", answers[0][0], answers[1][0]);
    Ok(())
}

/// Points that fill the square −1 .. 1 evenly: multiples of the roots of two primes, without their whole parts.
fn points(primes: [f64; 2]) -> Vec<f32> {
    let place = |i: usize, prime: f64| ((i as f64 * prime.sqrt()).fract() * 2.0 - 1.0) as f32;
    (0..PAIRS).flat_map(|i| primes.map(|prime| place(i, prime))).collect()
}

fn matrix(values: &[f32], columns: usize) -> Result<InputRef<'_, f32>> {
    Ok(InputRef::dense(MatRef::new(values, values.len() / columns, columns)?))
}
