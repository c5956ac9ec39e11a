//! Level 2, layers: functions that add to a graph, here a classifier of two spirals, with dropout while it learns:
//! `cargo run -p nn-core --example layers`.

use std::f64::consts::TAU;
use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::simd::Simd;
use nn_core::exec::{Session, SessionOptions};
use nn_core::graph::{DType, Graph};
use nn_core::layers::{Dense, Dropout};
use nn_core::layers::{Layer, Mode, Updates, apply, dense};
use nn_core::losses::Loss;
use nn_core::matrix::MatRef;
use nn_core::metrics::accuracy;
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;

/// Points on each of the two spirals.
const POINTS: usize = 150;
/// How far out they go.
const RADIUS: f64 = 3.0;

fn main() -> Result<()> {
    let mut g = Graph::new();
    g.set_seed(1);
    let x = g.placeholder("x", &[None, Some(2)])?;
    let class = g.typed_placeholder("class", &[None], DType::Int)?;
    let hidden = dense(&mut g, x, 32, Activation::Tanh)?;
    let hidden = dense(&mut g, hidden, 32, Activation::Tanh)?;

    // What is done once to learn and once to predict is a layer that is called twice: with the same variables.
    let mut updates = Updates::default();
    let dropout = Dropout::new(0.1);
    let (own, dropped) = apply(&dropout, &mut g, &[hidden], &mut Mode::Training(&mut updates))?;
    let kept = dropout.call(&mut g, &own, &[hidden], &mut Mode::Inference)?;
    let output = Dense::new(2);
    let (own, learning) = apply(&output, &mut g, &dropped, &mut Mode::Training(&mut updates))?;
    let predicting = output.call(&mut g, &own, &kept, &mut Mode::Inference)?;

    let loss = Loss::SparseCategoricalCrossEntropy.mean(&mut g, learning[0], class)?;
    let right = accuracy(&mut g, predicting[0], class)?;
    let step = Optimizer::adam(0.02).minimize(&mut g, loss)?;
    let mut all = updates.assign(&mut g)?;
    all.push(step);
    let train = g.group(&all);

    let mut session = Session::<f32>::new(g, SessionOptions::new(Arc::new(Simd::detect())))?;
    let (points, classes) = spirals();
    let feeds = [(x, MatRef::new(&points, 2 * POINTS, 2)?.into()), (class, classes.as_slice().into())];
    for number in 0..=500 {
        let out = session.run(&[loss, right, train], &feeds)?;
        if number % 100 == 0 {
            println!("step {number:3}: loss {:.4}, accuracy {:.3}", out.scalar(0)?, out.scalar(1)?);
        }
    }
    Ok(())
}

/// Two arms that wind one and a half times around the middle, half a turn apart.
fn spirals() -> (Vec<f32>, Vec<i32>) {
    let point = |i: usize| {
        let (along, arm) = ((i / 2) as f64 / POINTS as f64, i % 2);
        let angle = TAU * (1.5 * along + 0.5 * arm as f64);
        [(RADIUS * along * angle.cos()) as f32, (RADIUS * along * angle.sin()) as f32]
    };
    ((0..2 * POINTS).flat_map(point).collect(), (0..2 * POINTS).map(|i| (i % 2) as i32).collect())
}
