//! Random numbers are a function of seed, node, step and place.

use std::sync::Arc;

use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Naive};
use nn_core::exec::{Feed, Session, SessionOptions};
use nn_core::graph::Graph;
use nn_core::init::Initializer;
use nn_core::{Result, Scalar};
use nn_tests::engine::{deterministic_backends, fetch, rows};

use super::{ROWS, THREADS};

/// The numbers that a session with this many threads and this seed draws for `m` rows at `step`: two random nodes, the
/// first of them in the shape of a batch and in one of known size.
fn draws<T: Scalar>(
    backend: Arc<dyn Backend<T>>,
    threads: usize,
    seed: u64,
    step: f64,
    m: usize,
) -> Result<[Vec<T>; 2]> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(7)])?;
    let now = g.placeholder("step", &[])?;
    let nodes = [g.uniform_like(x, now)?, g.uniform_like(x, now)?];
    let mut session = Session::new(g, SessionOptions { threads, seed, ..SessionOptions::new(backend) })?;
    let values = vec![T::zero(); 7 * m];
    let feeds = [(x, rows(&values, 7)), (now, Feed::Floats(&[T::of(step)]))];
    let [first, second] =
        [0, 1].map(|i| session.run(&nodes, &feeds).and_then(|out| Ok(out.floats(i)?.to_vec())));
    Ok([first?, second?])
}

#[test]
fn random_numbers_do_not_depend_on_threads_shards_backends_or_types() -> Result<()> {
    let most = ROWS[ROWS.len() - 1];
    let expected = draws::<f64>(Arc::new(Naive), 1, 5, 2.0, most)?;
    for m in ROWS {
        for threads in THREADS {
            for backend in deterministic_backends::<f64>() {
                let found = draws(backend, threads, 5, 2.0, m)?;
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found[..], expected[..7 * m], "{m} rows on {threads} threads");
                }
            }
            let single = draws::<f32>(Arc::new(Simd::detect()), threads, 5, 2.0, m)?;
            assert!(single[0].iter().zip(&expected[0]).all(|(&a, &b)| f64::from(a) == b));
        }
    }
    // The same numbers where the rows are known when the graph is built.
    let mut g = Graph::new();
    let like = g.variable("like", &[257, 7], Initializer::Zeros)?;
    let step = g.scalar(2.0);
    let u = g.uniform_like(like, step)?;
    let mut session = Session::new(
        g,
        SessionOptions { seed: 5, ..SessionOptions::new(Arc::new(Naive) as Arc<dyn Backend<f64>>) },
    )?;
    assert_eq!(fetch(&mut session, &[u], &[])?[0][..], expected[0][..257 * 7]);
    Ok(())
}

#[test]
fn random_numbers_are_others_for_each_node_step_and_seed_and_repeat_for_the_same() -> Result<()> {
    let draw = |seed, step| draws::<f64>(Arc::new(Naive), 2, seed, step, 300);
    let [a, b] = draw(1, 0.0)?;
    // Of 2100 draws of 24 bits, fewer than three are expected to be equal by chance in the same place: 2100 / 2²⁴ are.
    let differ = |x: &[f64], y: &[f64]| x.iter().zip(y).filter(|(x, y)| x == y).count() < 3;
    assert!(differ(&a, &b), "two nodes");
    assert!(differ(&a, &draw(1, 1.0)?[0]), "two steps");
    assert!(differ(&a, &draw(2, 0.0)?[0]), "two seeds");
    assert_eq!(draw(1, 0.0)?, [a.clone(), b]);
    assert!(differ(&a[..a.len() - 7], &a[7..]), "two rows");
    assert!(a.iter().all(|u| (0.0..1.0).contains(u)));
    Ok(())
}
