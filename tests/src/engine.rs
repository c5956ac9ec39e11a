//! Shorthands for tests that build and run graphs.

use std::sync::Arc;

use nn_core::backend::simd::{Isa, Simd};
use nn_core::backend::{Backend, Naive, Ndarray};
use nn_core::exec::{Feed, Session, SessionOptions};
use nn_core::graph::{Graph, Node};
use nn_core::matrix::MatRef;
use nn_core::{Result, Scalar};

/// A session over `graph` on the reference kernels, with two threads.
///
/// # Errors
/// Those of the session.
pub fn session(graph: Graph) -> Result<Session<f64>> {
    session_on(graph, Arc::new(Naive), 2)
}

/// A session over `graph`.
///
/// # Errors
/// Those of the session.
pub fn session_on<T: Scalar>(
    graph: Graph,
    backend: Arc<dyn Backend<T>>,
    threads: usize,
) -> Result<Session<T>> {
    Session::new(graph, SessionOptions { threads, ..SessionOptions::new(backend) })
}

/// Rows of numbers as a feed. Panics if they don't fill the rows.
pub fn rows<T: Scalar>(values: &[T], cols: usize) -> Feed<'_, T> {
    assert!(values.len().is_multiple_of(cols));
    MatRef::new(values, values.len() / cols, cols).expect("whole rows").into()
}

/// The values of float fetches, copied.
///
/// # Errors
/// Those of the run.
pub fn fetch<T: Scalar>(
    session: &mut Session<T>,
    fetches: &[Node],
    feeds: &[(Node, Feed<'_, T>)],
) -> Result<Vec<Vec<T>>> {
    let out = session.run(fetches, feeds)?;
    (0..fetches.len()).map(|i| out.floats(i).map(<[T]>::to_vec)).collect()
}

/// The backends that promise the same bits on any number of threads.
pub fn deterministic_backends<T: Scalar>() -> Vec<Arc<dyn Backend<T>>>
where
    Simd: Backend<T>,
{
    let mut all: Vec<Arc<dyn Backend<T>>> = vec![Arc::new(Naive), Arc::new(Ndarray)];
    for isa in Isa::available() {
        all.push(Arc::new(Simd::with_isa(isa).unwrap_or_else(|error| panic!("{isa:?}: {error}"))));
    }
    all
}

/// Panics unless the numbers are the same within `tolerance`, relative to the largest of them.
pub fn assert_close(context: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{context}: length");
    let scale = expected.iter().fold(1e-300, |m: f64, x| m.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * scale,
            "{context}: element {i} is {f:e}, expected {e:e}, scale {scale:e}"
        );
    }
}
