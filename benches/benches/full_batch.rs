//! The full-batch step, 60000 × 784 → 512 tanh → 10, on every backend that is there: whole, and its three parts.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use nn_benches::{CLASSES, Data, Form, HIDDEN, PIXELS, backends, network, print_peak};
use nn_core::Result;
use nn_core::backend::Backend;
use nn_core::exec::{Session, SessionOptions};
use nn_core::graph::{Graph, Keep, Node};
use nn_core::init::Initializer;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::ops::{Activation, Trans};
use nn_core::optim::Optimizer;

fn full_batch(c: &mut Criterion) {
    run(c).expect("the benchmarks' own arguments fit");
}

fn run(c: &mut Criterion) -> Result<()> {
    print_peak();
    let data = Data::load()?;
    let backends = backends();
    for (part, measure) in [
        (
            "whole",
            whole as fn(&mut criterion::Bencher<'_>, &Data, Form, &Arc<dyn Backend<f32>>) -> Result<()>,
        ),
        ("forward", forward),
        ("backward", backward),
        ("update", update),
    ] {
        let mut group = c.benchmark_group(format!("full_batch/{part}"));
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        for (name, backend) in &backends {
            // Three loops over the dense rows would take the better part of an hour here.
            let forms = if name == "naive" { &[Form::Sparse][..] } else { &[Form::Dense, Form::Sparse][..] };
            let forms = if part == "update" { &forms[..1] } else { forms };
            for &form in forms {
                let id = BenchmarkId::new(name, if part == "update" { "" } else { form.name() });
                group.bench_function(id, |b| measure(b, &data, form, backend).expect("shapes fit"));
            }
        }
        group.finish();
    }
    Ok(())
}

/// Forward, backward and update, with loss and accuracy: what `train_on_batch` does.
fn whole(
    b: &mut criterion::Bencher<'_>,
    data: &Data,
    form: Form,
    backend: &Arc<dyn Backend<f32>>,
) -> Result<()> {
    let mut net = network(backend)?;
    let x = data.input(form)?;
    b.iter(|| net.train_on_batch(x, &data.labels));
    Ok(())
}

/// The forward pass with loss and accuracy.
fn forward(
    b: &mut criterion::Bencher<'_>,
    data: &Data,
    form: Form,
    backend: &Arc<dyn Backend<f32>>,
) -> Result<()> {
    let mut net = network(backend)?;
    let x = data.input(form)?;
    b.iter(|| net.test_on_batch(x, &data.labels));
    Ok(())
}

/// From the rows, the hidden layer's output and the logits' gradient, all in memory, to the four weights' gradients.
fn backward(
    b: &mut criterion::Bencher<'_>,
    data: &Data,
    form: Form,
    backend: &Arc<dyn Backend<f32>>,
) -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(PIXELS)])?;
    let hidden = g.placeholder("hidden", &[None, Some(HIDDEN)])?;
    let up = g.placeholder("up", &[None, Some(CLASSES)])?;
    let w2 = g.variable("w2", &[HIDDEN, CLASSES], Initializer::Normal(0.1))?;
    let delta = hidden_gradient(&mut g, up, w2, hidden)?;
    let gradients = [
        g.matmul_with(x, Trans::Yes, delta, Trans::No)?,
        g.sum_keeping(delta, Keep::Suffix(1))?,
        g.matmul_with(hidden, Trans::Yes, up, Trans::No)?,
        g.sum_keeping(up, Keep::Suffix(1))?,
    ];
    // Each is summed once more, so that no megabytes are fetched.
    let sums = gradients.map(|gradient| g.reduce_sum(gradient));
    let sums: Vec<Node> = sums.into_iter().collect::<Result<_>>()?;
    let mut session = Session::<f32>::new(g, SessionOptions::new(Arc::clone(backend)))?;
    let rows = data.rows();
    let activations: Vec<f32> = (0..rows * HIDDEN).map(|i| (i % 1000) as f32 / 1000.0 - 0.5).collect();
    let ups: Vec<f32> = (0..rows * CLASSES).map(|i| (i % 7) as f32 * 1e-6).collect();
    let feeds = [
        (x, data.input(form)?.into()),
        (hidden, InputRef::dense(MatRef::new(&activations, rows, HIDDEN)?).into()),
        (up, InputRef::dense(MatRef::new(&ups, rows, CLASSES)?).into()),
    ];
    b.iter(|| session.run(&sums, &feeds).map(|out| out.scalar(0)));
    Ok(())
}

/// (up · W2ᵀ) ⊙ tanh′, by the gradient rules themselves.
fn hidden_gradient(g: &mut Graph, up: Node, w2: Node, hidden: Node) -> Result<Node> {
    let product = g.matmul_with(up, Trans::No, w2, Trans::Yes)?;
    g.activation_gradient(Activation::Tanh, product, hidden)
}

/// w ← w − lr g for the four weights.
fn update(b: &mut criterion::Bencher<'_>, _: &Data, _: Form, backend: &Arc<dyn Backend<f32>>) -> Result<()> {
    let mut g = Graph::new();
    let mut pairs = Vec::new();
    for (name, dims) in
        [("w1", &[PIXELS, HIDDEN][..]), ("b1", &[HIDDEN]), ("w2", &[HIDDEN, CLASSES]), ("b2", &[CLASSES])]
    {
        let w = g.variable(name, dims, Initializer::Normal(0.1))?;
        pairs.push((g.state(&format!("{name}/gradient"), dims, Initializer::Constant(1e-9))?, w));
    }
    let step = Optimizer::sgd(0.5).apply_gradients(&mut g, &pairs)?;
    let mut session = Session::<f32>::new(g, SessionOptions::new(Arc::clone(backend)))?;
    b.iter(|| session.run(&[step], &[]).map(|_| ()));
    Ok(())
}

criterion_group!(benches, full_batch);
criterion_main!(benches);
