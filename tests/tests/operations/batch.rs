//! What needs the whole batch, or a known part of it: statistics, rows cut out, and measures of a classifier.

use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::{Backend, Naive};
use nn_core::exec::Feed;
use nn_core::graph::{DType, Graph, Node};
use nn_core::init::Initializer;
use nn_core::matrix::InputRef;
use nn_tests::engine::{deterministic_backends, fetch, rows, session, session_on};
use nn_tests::plain::{Matrix, column_means};
use nn_tests::random::Rng;

use super::{ROWS, THREADS};

/// Batch normalization without an operation of its own, and the sum of its output's products with c.
fn normalized(g: &mut Graph, x: Node, gamma: Node, beta: Node, c: Node) -> Result<[Node; 4]> {
    let mean = g.reduce_mean_axis(x, 0)?;
    let centred = g.sub(x, mean)?;
    let square = g.square(centred)?;
    let variance = g.reduce_mean_axis(square, 0)?;
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

#[test]
fn rows_are_cut_out_of_a_batch_wherever_shards_and_lanes_begin() -> Result<()> {
    const COLS: usize = 3;
    for threads in THREADS {
        for (start, len) in [(0, 1), (0, 256), (255, 2), (256, 300), (511, 600), (1000, 3000)] {
            let mut g = Graph::new();
            let x = g.placeholder("x", &[None, Some(COLS)])?;
            let doubled = g.add(x, x)?;
            let part = g.slice_rows(doubled, start, len)?;
            let last = g.slice_rows(part, len - 1, 1)?;
            let joined = g.concatenate_rows(&[last, part])?;
            let spread = g.sub(x, last)?;
            let mut session = session_on(g, Arc::new(Naive), threads)?;
            for m in ROWS {
                let values: Vec<f64> = Rng(m as u64).values(m * COLS, 1.0);
                let feeds = [(x, rows(&values, COLS))];
                if m < start + len {
                    let error = session.run(&[part], &feeds).unwrap_err().to_string();
                    let words =
                        [format!("rows {start} to {}", start + len - 1), format!("has {m} in this run")];
                    assert!(error.contains("slice_rows \"slice_rows\""), "{error}");
                    assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
                    continue;
                }
                let found = fetch(&mut session, &[part, joined, spread], &feeds)?;
                let expected: Vec<f64> = values[start * COLS..][..len * COLS].iter().map(|v| v + v).collect();
                let end = expected[(len - 1) * COLS..].to_vec();
                assert_eq!(found[0], expected, "{len} rows from {start} of {m} on {threads} threads");
                assert_eq!(found[1], [end.clone(), expected].concat());
                let minus: Vec<f64> = values.iter().zip(end.iter().cycle()).map(|(v, e)| v - e).collect();
                assert_eq!(found[2], minus);
            }
        }
    }
    Ok(())
}

#[test]
fn a_group_of_what_is_computed_row_by_row_can_be_run() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(2)])?;
    let w = g.variable("w", &[2], Initializer::Zeros)?;
    let y = g.tanh(x)?;
    let mean = g.reduce_mean_axis(y, 0)?;
    let update = g.assign(w, mean)?;
    let both = g.group(&[y, update]);
    let mut session = session(g)?;
    let values = [0.5; 1200];
    let out = session.run(&[both, y], &[(x, rows(&values, 2))])?;
    assert!(out.floats(0).is_err() && out.floats(1)?.iter().all(|&y| y == 0.5f64.tanh()));
    let id = session.graph().variable_of(w).expect("a variable");
    assert!(session.variable(id).data().iter().all(|&w| (w - 0.5f64.tanh()).abs() < 1e-13));
    Ok(())
}

/// Pixels of 0 to 255 in the graph's floats: fed as bytes with a scale, or fed as they are and divided in the graph.
#[test]
fn bytes_and_labels_are_prepared_inside_the_graph() -> Result<()> {
    const PIXELS: usize = 12;
    const CLASSES: usize = 4;
    for fixed in [None, Some(300)] {
        let mut g = Graph::new();
        let bytes = g.placeholder("bytes", &[fixed, Some(PIXELS)])?;
        let labels = g.typed_placeholder("labels", &[fixed], DType::Int)?;
        let w = g.variable("w", &[PIXELS, CLASSES], Initializer::GlorotUniform)?;
        let most = g.scalar(255.0);
        let pixels = g.div(bytes, most)?;
        let hot = g.one_hot(labels, CLASSES)?;
        let logits = g.matmul(pixels, w)?;
        let losses = g.softmax_cross_entropy(logits, hot)?;
        let from_hot = g.reduce_mean(losses)?;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let from_classes = g.reduce_mean(losses)?;
        let predicted = g.argmax(logits)?;
        let right = g.equal(predicted, labels)?;
        let right = g.cast(right, DType::Float);
        let accuracy = g.reduce_mean(right)?;
        let wanted = g.argmax(hot)?;
        let as_floats = g.cast(labels, DType::Float);
        let column = g.reshape(as_floats, &[fixed, Some(1)])?;
        let back = g.cast(column, DType::Int);
        let mut session = session(g)?;
        for m in fixed.map_or(ROWS.to_vec(), |m| vec![m]) {
            let pixels = Rng(5).pixels(m * PIXELS);
            let classes = Rng(6).classes(m, CLASSES);
            let wide: Vec<f64> = pixels.iter().map(|&p| f64::from(p)).collect();
            let as_bytes: Feed<'_, f64> = InputRef::bytes(&pixels, m, PIXELS, 1.0)?.into();
            let as_numbers = if fixed.is_some() { Feed::Floats(&wide) } else { rows(&wide, PIXELS) };
            let fetches = [from_hot, from_classes, accuracy, column, w];
            let mut forms = vec![as_numbers];
            forms.extend(fixed.is_none().then_some(as_bytes));
            for form in forms {
                let feeds = [(bytes, form), (labels, classes.as_slice().into())];
                let found = fetch(&mut session, &fetches, &feeds)?;
                let x = Matrix::new(m, wide.iter().map(|p| p / 255.0).collect());
                let logits = x.times(&Matrix::new(PIXELS, found[4].clone()));
                let row = |i: usize| (0..CLASSES).map(move |j| (j, i)).map(|(j, i)| logits.at(i, j));
                let loss =
                    |i: usize| row(i).map(f64::exp).sum::<f64>().ln() - logits.at(i, classes[i] as usize);
                let mean = |f: &dyn Fn(usize) -> f64| (0..m).map(f).sum::<f64>() / m as f64;
                let best = |i: usize| {
                    (0..CLASSES).fold(0, |b, j| if logits.at(i, j) > logits.at(i, b) { j } else { b })
                };
                let right = |i: usize| if best(i) == classes[i] as usize { 1.0 } else { 0.0 };
                // Products of 12 pixels and means of up to 4613 rows: some 12 + √4613 roundings, a few of them kept.
                for (found, expected) in
                    [(found[0][0], mean(&loss)), (found[1][0], mean(&loss)), (found[2][0], mean(&right))]
                {
                    assert!(
                        (found - expected).abs() <= 256.0 * f64::EPSILON * expected.abs(),
                        "{found}, {expected}"
                    );
                }
                assert_eq!(found[3], classes.iter().map(|&c| f64::from(c)).collect::<Vec<_>>());
                let out = session.run(&[wanted, back], &feeds)?;
                assert_eq!((out.ints(0)?, out.ints(1)?), (&classes[..], &classes[..]));
            }
        }
    }
    Ok(())
}
