//! The forms of an input and the ways to choose its rows.

use std::sync::Arc;

use nn_core::Result;
use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Naive};
use nn_core::exec::Session;
use nn_core::graph::{Graph, Node};
use nn_core::init::Initializer;
use nn_core::matrix::{Csr, InputRef, MatRef, Rows, SparseBytes};
use nn_tests::engine::{assert_close, fetch, rows, session_on};
use nn_tests::random::Rng;

/// A layer and its gradients, from an input of any form.
fn layer(backend: Arc<dyn Backend<f64>>) -> Result<(Session<f64>, Node, [Node; 3])> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(30)])?;
    let w = g.variable("w", &[30, 7], Initializer::GlorotUniform)?;
    let b = g.variable("b", &[7], Initializer::Constant(0.25))?;
    let z = g.matmul(x, w)?;
    let z = g.add(z, b)?;
    let y = g.tanh(z)?;
    let square = g.square(y)?;
    let cost = g.reduce_mean(square)?;
    let gradients = g.gradients(cost, &[w, b])?;
    Ok((session_on(g, backend, 2)?, x, [y, gradients[0], gradients[1]]))
}

#[test]
fn the_form_of_the_input_and_the_way_rows_are_chosen_change_no_more_than_rounding() -> Result<()> {
    const ROWS: usize = 1500;
    let bytes = Rng(5).pixels(ROWS * 30);
    let numbers: Vec<f64> = bytes.iter().map(|&b| f64::from(b) / 255.0).collect();
    let csr = Csr::from_bytes(&bytes, ROWS, 30, 255.0)?;
    let dense = InputRef::dense(MatRef::new(&numbers, ROWS, 30)?);
    let sparse_bytes = SparseBytes::new(&bytes, ROWS, 30, 255.0)?;
    let forms = [
        dense,
        InputRef::bytes(&bytes, ROWS, 30, 255.0)?,
        InputRef::sparse(&csr),
        InputRef::sparse_bytes(&sparse_bytes),
    ];
    let mut order: Vec<u32> = (0..ROWS as u32).collect();
    order.sort_by_key(|&row| Rng(u64::from(row)).bits());

    let backends: [Arc<dyn Backend<f64>>; 2] = [Arc::new(Naive), Arc::new(Simd::detect())];
    for backend in backends {
        let (mut session, x, fetches) = layer(backend)?;
        for list in [&order[..], &order[..1], &order[..256], &order[3..260], &[7, 7, 7]] {
            let picked: Vec<f64> =
                list.iter().flat_map(|&r| &numbers[r as usize * 30..][..30]).copied().collect();
            let copied = fetch(&mut session, &fetches, &[(x, rows(&picked, 30))])?;
            let [from_dense, from_bytes, from_sparse, from_sparse_bytes] = forms
                .map(|form| fetch(&mut session, &fetches, &[(x, form.select(Rows::List(list))?.into())]));
            let n = list.len();
            assert_eq!(from_dense?, copied, "{n} listed rows, and the same rows copied");
            assert_eq!(from_bytes?, copied, "{n} rows of bytes, and the numbers that they stand for");
            for (found, expected) in from_sparse?.iter().zip(&copied) {
                assert_close(&format!("{n} sparse rows"), found, expected, 1e-13);
            }
            for (found, expected) in from_sparse_bytes?.iter().zip(&copied) {
                assert_close(&format!("{n} rows of sparse bytes"), found, expected, 1e-13);
            }
        }
        for (start, len) in [(0, ROWS), (1, 255), (700, 513)] {
            let range = Rows::Range { start, len };
            let list: Vec<u32> = (start as u32..(start + len) as u32).collect();
            for form in forms {
                let by_range = fetch(&mut session, &fetches, &[(x, form.select(range)?.into())])?;
                let by_list = fetch(&mut session, &fetches, &[(x, form.select(Rows::List(&list))?.into())])?;
                if let InputRef::SparseBytes(_) = form {
                    // Rows that are a whole group are paired with their like, listed ones as they come: sums differ in order.
                    for (by_range, by_list) in by_range.iter().zip(&by_list) {
                        assert_close(&format!("rows {start} to {}", start + len), by_range, by_list, 1e-13);
                    }
                } else {
                    assert_eq!(by_range, by_list, "rows {start} to {}", start + len);
                }
            }
        }
    }
    Ok(())
}

/// ⟨∇f, t⟩ against (f(w + ht) − f(w − ht)) / 2h, extrapolated from h and 2h. What that leaves, and what rounding adds, is told in
/// `gradcheck`: some 1e-12 of f with h = 2⁻¹².
#[test]
fn the_gradient_from_sparse_bytes_is_what_differences_say() -> Result<()> {
    const ROWS: usize = 600;
    let bytes = Rng(5).pixels(ROWS * 30);
    let data = SparseBytes::new(&bytes, ROWS, 30, 255.0)?;
    let listed: Vec<u32> = (0..50).map(|i| i * 7 % ROWS as u32).collect();
    let all = Rows::Range { start: 0, len: ROWS };
    for picked in [all, Rows::Range { start: 252, len: 252 }, Rows::List(&listed)] {
        let x_fed = InputRef::sparse_bytes(&data).select(picked)?;
        let (mut session, x, [y, by_w, _]) = layer(Arc::new(Simd::detect()))?;
        let w = session.graph().variables()[0].node;
        let id = session.graph().variable_of(w).expect("a variable");
        let at = session.variable(id).data().to_vec();
        let gradient = fetch(&mut session, &[by_w], &[(x, x_fed.into())])?.remove(0);
        let direction: Vec<f64> = Rng(8).values(at.len(), 1.0);
        let mut cost = |h: f64| -> Result<f64> {
            let moved: Vec<f64> = at.iter().zip(&direction).map(|(w, t)| w + h * t).collect();
            session.set_variable(id, &moved, &[30, 7])?;
            let y = fetch(&mut session, &[y], &[(x, x_fed.into())])?.remove(0);
            Ok(y.iter().map(|y| y * y).sum::<f64>() / y.len() as f64)
        };
        let h = 1.0 / 4096.0;
        let mut slope = |h: f64| -> Result<f64> { Ok((cost(h)? - cost(-h)?) / (2.0 * h)) };
        let expected = (4.0 * slope(h)? - slope(2.0 * h)?) / 3.0;
        let found: f64 = gradient.iter().zip(&direction).map(|(g, t)| g * t).sum();
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!((found - expected).abs() <= 1e-6 * norm, "{picked:?}: {found}, by differences {expected}");
        assert!(norm > 1e-3, "{picked:?}: a gradient of {norm} says nothing");
    }
    Ok(())
}
