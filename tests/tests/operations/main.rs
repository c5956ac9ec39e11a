//! What each operation computes, on batches of every number of shards, on one thread and on several, and on what exists
//! once.

mod batch;
mod random;

use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::Naive;
use nn_core::graph::{DType, Graph, Node};
use nn_tests::engine::{fetch, rows, session, session_on};
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

#[test]
fn the_largest_of_a_row_and_what_is_chosen_by_a_condition() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(4)])?;
    let zero = g.scalar(0.0);
    let row = g.constant(&[10.0, 20.0, 30.0, 40.0], &[4])?;
    let largest = g.reduce_max(x)?;
    let pairs = g.reshape(x, &[None, Some(2), Some(2)])?;
    let of_pairs = g.reduce_max(pairs)?;
    let of_all = g.reduce_max(row)?;
    let positive = g.greater(x, zero)?;
    let column = g.reshape(largest, &[None, Some(1)])?;
    let chosen =
        [g.select(positive, x, zero)?, g.select(positive, row, x)?, g.select(positive, zero, column)?];
    let mut session = session(g)?;
    for m in ROWS {
        let mut values: Vec<f64> = Rng(m as u64).values(4 * m, 1.0);
        values[4 * m - 2] = f64::NAN;
        let fetches = [&[largest, of_pairs, of_all][..], &chosen].concat();
        let found = fetch(&mut session, &fetches, &[(x, rows(&values, 4))])?;
        let max = |x: &[f64]| {
            if x.iter().any(|x| x.is_nan()) { f64::NAN } else { x.iter().copied().fold(f64::MIN, f64::max) }
        };
        let rows_max: Vec<f64> = values.chunks(4).map(max).collect();
        let expected = [
            rows_max.clone(),
            values.chunks(2).map(max).collect(),
            vec![40.0],
            values.iter().map(|&x| if x > 0.0 { x } else { 0.0 }).collect(),
            (0..4 * m).map(|i| if values[i] > 0.0 { 10.0 * (i % 4 + 1) as f64 } else { values[i] }).collect(),
            (0..4 * m).map(|i| if values[i] > 0.0 { 0.0 } else { rows_max[i / 4] }).collect(),
        ];
        for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let same = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
            assert!(
                found.len() == expected.len() && found.iter().zip(expected).all(same),
                "fetch {k} of {m} rows"
            );
        }
    }
    Ok(())
}
