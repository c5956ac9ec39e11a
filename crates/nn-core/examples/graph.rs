//! Level 1, the graph: XOR learnt with nothing but operations, gradients and a session:
//! `cargo run -p nn-core --example graph`.

use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::Naive;
use nn_core::exec::{Feed, Session, SessionOptions};
use nn_core::graph::{DType, Graph, Node};
use nn_core::init::Initializer;
use nn_core::matrix::MatRef;
use nn_core::optim::Optimizer;

fn main() -> Result<()> {
    let mut g = Graph::new();
    g.set_seed(1);
    // Any number of rows of two numbers, and a class for each.
    let x = g.placeholder("x", &[None, Some(2)])?;
    let class = g.typed_placeholder("class", &[None], DType::Int)?;

    let w1 = g.variable("w1", &[2, 8], Initializer::GlorotUniform)?;
    let b1 = g.variable("b1", &[8], Initializer::Zeros)?;
    let w2 = g.variable("w2", &[8, 2], Initializer::GlorotUniform)?;
    let b2 = g.variable("b2", &[2], Initializer::Zeros)?;
    let sums = affine(&mut g, x, w1, b1)?;
    let hidden = g.tanh(sums)?;
    let logits = affine(&mut g, hidden, w2, b2)?;
    println!("logits are {}", g.shape(logits));

    let losses = g.softmax_cross_entropy(logits, class)?;
    let cost = g.reduce_mean(losses)?;
    let answer = g.argmax(logits)?;
    let step = Optimizer::sgd(1.0).minimize(&mut g, cost)?;

    let mut session = Session::<f32>::new(g, SessionOptions::new(Arc::new(Naive)))?;
    let rows = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    let xor: [i32; 4] = [0, 1, 1, 0];
    let feeds: [(Node, Feed<'_, f32>); 2] =
        [(x, MatRef::new(&rows, 4, 2)?.into()), (class, xor.as_slice().into())];
    for number in 0..=200 {
        // One run computes what all of the fetches need, once; the step takes effect at its end.
        let out = session.run(&[cost, step], &feeds)?;
        if number % 50 == 0 {
            println!("step {number:3}: cost {:.4}", out.scalar(0)?);
        }
    }
    // The answers need no classes.
    let out = session.run(&[answer], &feeds[..1])?;
    println!("0 xor 0, 0 xor 1, 1 xor 0, 1 xor 1 = {:?}", out.ints(0)?);
    Ok(())
}

/// x · w + b
fn affine(g: &mut Graph, x: Node, w: Node, b: Node) -> Result<Node> {
    let product = g.matmul(x, w)?;
    g.add(product, b)
}
