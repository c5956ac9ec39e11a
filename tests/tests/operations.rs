//! What each operation computes, on batches of every number of shards, on one thread and on several, and on what exists
//! once.

use std::sync::Arc;

use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Naive};
use nn_core::exec::{Feed, Session, SessionOptions};
use nn_core::graph::{DType, Graph, Keep, Node};
use nn_core::init::Initializer;
use nn_core::{Result, Scalar};
use nn_tests::engine::{deterministic_backends, fetch, rows, session, session_on};
use nn_tests::plain::{Matrix, column_means};
use nn_tests::random::Rng;

/// One row, one shard to the row and one row more, several lanes, the last shard of which is not full.
const ROWS: [usize; 6] = [1, 255, 256, 257, 1000, 9 * 512 + 5];

const THREADS: [usize; 4] = [1, 2, 3, 8];

#[test]
fn columns_are_joined_and_cut_where_they_should_be() -> Result<()> {
    for threads in THREADS {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(3)])?;
        let y = g.placeholder("y", &[None, Some(2)])?;
        let twice = g.add(y, y)?;
        let joined = g.concatenate(&[x, twice, x])?;
        let middle = g.slice_columns(joined, 2, 4)?;
        let deep = g.reshape(x, &[None, Some(3), Some(1)])?;
        let pairs = g.concatenate(&[deep, deep])?;
        let seconds = g.slice_columns(pairs, 1, 1)?;
        assert_eq!(g.shape(joined).to_string(), "[None, 8]");
        assert_eq!(g.shape(pairs).to_string(), "[None, 3, 2]");
        let mut session = session_on(g, Arc::new(Naive), threads)?;
        for m in ROWS {
            let (a, b): (Vec<f64>, Vec<f64>) = (Rng(1).values(3 * m, 1.0), Rng(2).values(2 * m, 1.0));
            let feeds = [(x, rows(&a, 3)), (y, rows(&b, 2))];
            let found = fetch(&mut session, &[joined, middle, pairs, seconds], &feeds)?;
            let row = |i: usize| {
                let (a, b) = (&a[3 * i..][..3], &b[2 * i..][..2]);
                [a, &[2.0 * b[0], 2.0 * b[1]], a].concat()
            };
            assert_eq!(found[0], (0..m).flat_map(row).collect::<Vec<_>>());
            assert_eq!(found[1], (0..m).flat_map(|i| row(i)[2..6].to_vec()).collect::<Vec<_>>());
            assert_eq!(found[2], a.iter().flat_map(|&x| [x, x]).collect::<Vec<_>>());
            assert_eq!(found[3], a);
        }
    }
    Ok(())
}

#[test]
fn comparisons_are_those_of_numbers_however_their_operands_are_spread() -> Result<()> {
    type Compare = (fn(&mut Graph, Node, Node) -> Result<Node>, fn(f64, f64) -> bool);
    let all: [Compare; 4] = [
        (Graph::greater, |a, b| a > b),
        (Graph::greater_equal, |a, b| a >= b),
        (Graph::less, |a, b| a < b),
        (Graph::less_equal, |a, b| a <= b),
    ];
    for (build, holds) in all {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(3)])?;
        let y = g.placeholder("y", &[None, Some(3)])?;
        let column = g.placeholder("column", &[None, Some(1)])?;
        let row = g.constant(&[0.0, f64::NAN, 1.0], &[3])?;
        let one = g.scalar(0.0);
        let nodes = [
            build(&mut g, x, y)?,
            build(&mut g, x, row)?,
            build(&mut g, one, x)?,
            build(&mut g, x, column)?,
            build(&mut g, row, row)?,
        ];
        assert!(nodes.iter().all(|&n| g.dtype(n) == DType::Bool));
        let mut session = session(g)?;
        for m in ROWS {
            // Few different values, so that many are equal; and a NaN.
            let mut rng = Rng(m as u64);
            let mut values = |n: usize| (0..n).map(|_| rng.below(3) as f64 - 1.0).collect::<Vec<_>>();
            let (mut a, b, c) = (values(3 * m), values(3 * m), values(m));
            a[m] = f64::NAN;
            let feeds = [(x, rows(&a, 3)), (y, rows(&b, 3)), (column, rows(&c, 1))];
            let out = session.run(&nodes, &feeds)?;
            let row = [0.0, f64::NAN, 1.0];
            for i in 0..3 * m {
                let expected =
                    [holds(a[i], b[i]), holds(a[i], row[i % 3]), holds(0.0, a[i]), holds(a[i], c[i / 3])];
                for (k, expected) in expected.into_iter().enumerate() {
                    assert_eq!(out.ints(k)?[i], i32::from(expected), "form {k}, element {i} of {m} rows");
                }
            }
            assert_eq!(out.ints(4)?, row.map(|r| i32::from(holds(r, r))));
        }
    }
    Ok(())
}

#[test]
fn a_class_is_in_the_top_k_if_fewer_than_k_scores_are_greater() -> Result<()> {
    const CLASSES: usize = 5;
    let mut g = Graph::new();
    let scores = g.placeholder("scores", &[None, Some(CLASSES)])?;
    let classes = g.typed_placeholder("classes", &[None], DType::Int)?;
    let top: Vec<Node> = (0..=CLASSES).map(|k| g.in_top_k(scores, classes, k)).collect::<Result<_>>()?;
    let best = g.argmax(scores)?;
    let first = g.in_top_k(scores, best, 1)?;
    let mut session = session(g)?;
    for m in ROWS {
        let mut rng = Rng(m as u64);
        let mut x: Vec<f64> = (0..m * CLASSES).map(|_| rng.below(4) as f64).collect();
        x[0] = f64::NAN;
        let mut labels = rng.classes(m, CLASSES);
        labels[0] = 0;
        labels[m - 1] = if m == 1 { 0 } else { [-1, CLASSES as i32][m % 2] };
        let fetches = [top.as_slice(), &[first]].concat();
        let out =
            session.run(&fetches, &[(scores, rows(&x, CLASSES)), (classes, labels.as_slice().into())])?;
        for (i, (row, &class)) in x.chunks(CLASSES).zip(&labels).enumerate() {
            for k in 0..=CLASSES {
                // By sorting: the class's score is at least as large as the k-th largest, among numbers.
                let own = usize::try_from(class).ok().and_then(|c| row.get(c)).copied();
                let mut sorted: Vec<f64> = row.iter().copied().filter(|x| !x.is_nan()).collect();
                sorted.sort_by(|a, b| b.total_cmp(a));
                let last = k.checked_sub(1).map(|k| sorted.get(k).copied().unwrap_or(f64::NEG_INFINITY));
                let expected = matches!((own, last), (Some(own), Some(last)) if own >= last);
                assert_eq!(out.ints(k)?[i], i32::from(expected), "row {i} of {m}: {row:?}, {class}, k = {k}");
            }
        }
        assert!(out.ints(CLASSES + 1)?.iter().all(|&first| first == 1), "the best is among the best one");
    }
    Ok(())
}

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

#[test]
fn what_needs_the_rows_of_a_batch_that_was_not_fed_says_which_placeholder_tells() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("pixels", &[None, Some(7)])?;
    let step = g.scalar(0.0);
    let u = g.uniform_like(x, step)?;
    let sum = g.reduce_sum(u)?;
    let ones = g.broadcast_like(step, x)?;
    let size = g.size(x);
    let mut session = session(g)?;
    for node in [u, sum, ones, size] {
        let error = session.run(&[node], &[]).unwrap_err().to_string();
        assert!(error.contains("how many rows") && error.contains("feed \"pixels\""), "{error}");
    }
    Ok(())
}

/// Batch normalization without an operation of its own, and the sum of its output's products with c.
fn normalized(g: &mut Graph, x: Node, gamma: Node, beta: Node, c: Node) -> Result<[Node; 4]> {
    let cols = g.shape(x).row_len() as f64;
    let (size, cols) = (g.size(x), g.scalar(cols));
    let rows = g.div(size, cols)?;
    let mean = g.sum_keeping(x, Keep::Suffix(1))?;
    let mean = g.div(mean, rows)?;
    let centred = g.sub(x, mean)?;
    let square = g.square(centred)?;
    let variance = g.sum_keeping(square, Keep::Suffix(1))?;
    let variance = g.div(variance, rows)?;
    let epsilon = g.scalar(1e-3);
    let variance_and = g.add(variance, epsilon)?;
    let deviation = g.sqrt(variance_and)?;
    let unit = g.div(centred, deviation)?;
    let scaled = g.mul(unit, gamma)?;
    let y = g.add(scaled, beta)?;
    let weighted = g.mul(c, y)?;
    let cost = g.reduce_sum(weighted)?;
    Ok([mean, variance, y, cost])
}

#[test]
fn statistics_of_the_batch_are_used_row_by_row_and_differentiated_with_the_same_bits_on_any_threads()
-> Result<()> {
    const COLS: usize = 5;
    let run = |backend: Arc<dyn Backend<f64>>, threads: usize, m: usize| -> Result<Vec<Vec<f64>>> {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(COLS)])?;
        let c = g.placeholder("c", &[None, Some(COLS)])?;
        let gamma =
            g.variable("gamma", &[COLS], Initializer::Values((1..=COLS).map(|i| i as f64).collect()))?;
        let beta = g.variable("beta", &[COLS], Initializer::Constant(0.5))?;
        let forward = normalized(&mut g, x, gamma, beta, c)?;
        let gradients = g.gradients(forward[3], &[x, gamma, beta])?;
        let fetches = [&forward[..], &gradients].concat();
        let (a, b): (Vec<f64>, Vec<f64>) = (Rng(3).values(m * COLS, 2.0), Rng(4).values(m * COLS, 1.0));
        fetch(&mut session_on(g, backend, threads)?, &fetches, &[(x, rows(&a, COLS)), (c, rows(&b, COLS))])
    };
    for m in ROWS {
        for backend in deterministic_backends::<f64>() {
            let expected = run(Arc::clone(&backend), THREADS[0], m)?;
            for threads in THREADS {
                assert!(run(Arc::clone(&backend), threads, m)? == expected, "{m} rows, {threads} threads");
            }
            // By the formulas of Ioffe & Szegedy (2015), §3, with ε = 10⁻³.
            let x = Matrix::new(m, Rng(3).values(m * COLS, 2.0));
            let c = Matrix::new(m, Rng(4).values(m * COLS, 1.0));
            let mean = column_means(&x);
            let centred = x.map(|_, j, x| x - mean[j]);
            let variance = column_means(&centred.map(|_, _, d| d * d));
            let gamma = |j: usize| (j + 1) as f64;
            let deviation = |j: usize| (variance[j] + 1e-3).sqrt();
            let unit = centred.map(|_, j, d| d / deviation(j));
            let y = unit.map(|_, j, u| gamma(j) * u + 0.5);
            let cost: f64 = c.data.iter().zip(&y.data).map(|(c, y)| c * y).sum();
            let mean_c = column_means(&c);
            let mean_cu = column_means(&c.map(|i, j, c| c * unit.at(i, j)));
            let dx = c.map(|i, j, c| gamma(j) / deviation(j) * (c - mean_c[j] - unit.at(i, j) * mean_cu[j]));
            let dgamma: Vec<f64> = mean_cu.iter().map(|m_| m_ * m as f64).collect();
            let dbeta: Vec<f64> = mean_c.iter().map(|m_| m_ * m as f64).collect();
            let names = ["mean", "variance", "y", "cost", "dx", "dgamma", "dbeta"];
            let formulas =
                [mean.clone(), variance.clone(), y.data.clone(), vec![cost], dx.data, dgamma, dbeta];
            // Sums of up to 4613 numbers whose errors are random, √4613 ε = 1.5e-14; ten times that, and √1000 = 32 for
            // the division by a deviation of √(10⁻³). Of one row, all that is left is the rounding of what cancels:
            // numbers of up to 5 · 32 = 160, of which 64 ε are 2.3e-12.
            for ((name, formula), found) in names.iter().zip(formulas).zip(&expected) {
                let slack = if m == 1 { 2.3e-12 } else { 0.0 };
                let scale = formula.iter().fold(1e-300f64, |s, x| s.max(x.abs()));
                for (f, e) in found.iter().zip(&formula) {
                    assert!(
                        (f - e).abs() <= 1.5e-13 * 32.0 * scale + slack,
                        "{name} of {m} rows: {f:e}, expected {e:e}"
                    );
                }
                assert_eq!(found.len(), formula.len());
            }
        }
    }
    Ok(())
}
