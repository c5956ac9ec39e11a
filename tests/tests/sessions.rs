//! What a session keeps, and what happens to it when its graph grows.

use std::sync::Arc;

use nn_core::backend::Naive;
use nn_core::exec::{Session, SessionOptions};
use nn_core::graph::{Graph, Node};
use nn_core::init::Initializer;
use nn_core::{Error, Result};
use nn_tests::engine::{fetch, rows, session};

fn seeded(graph: Graph, seed: u64) -> Result<Session<f64>> {
    Session::new(graph, SessionOptions { threads: 2, seed, ..SessionOptions::new(Arc::new(Naive)) })
}

#[test]
fn a_graph_that_grows_in_a_session_is_the_graph_that_was_whole_from_the_beginning() -> Result<()> {
    fn first(g: &mut Graph) -> Result<[Node; 3]> {
        let x = g.placeholder("x", &[None, Some(3)])?;
        let w = g.variable("w", &[3, 4], Initializer::GlorotUniform)?;
        Ok([x, w, g.matmul(x, w)?])
    }
    fn second(g: &mut Graph, y: Node) -> Result<[Node; 3]> {
        let v = g.variable("w", &[4, 2], Initializer::Normal(0.5))?;
        let z = g.matmul(y, v)?;
        let step = g.scalar(1.0);
        let noise = g.uniform_like(z, step)?;
        Ok([v, g.add(z, noise)?, noise])
    }
    let mut whole = Graph::new();
    let [x, w, y] = first(&mut whole)?;
    let [v, z, noise] = second(&mut whole, y)?;
    let mut part = Graph::new();
    first(&mut part)?;

    let (mut whole, mut grown) = (seeded(whole, 11)?, seeded(part, 11)?);
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let feeds = [(x, rows(&values, 3))];
    let before = fetch(&mut grown, &[w, y], &feeds)?;
    let added = grown.extend(|g| second(g, y))?;
    assert_eq!(added, [v, z, noise]);
    assert_eq!(grown.graph().node(v).name, whole.graph().node(v).name);
    assert_eq!(fetch(&mut grown, &[w, y], &feeds)?, before, "what was there is as it was");
    let all = [w, y, v, z, noise];
    assert_eq!(fetch(&mut grown, &all, &feeds)?, fetch(&mut whole, &all, &feeds)?);
    Ok(())
}

#[test]
fn variables_keep_what_they_learnt_when_the_graph_grows() -> Result<()> {
    let mut g = Graph::new();
    let a = g.variable("a", &[2], Initializer::Constant(1.0))?;
    let doubled = g.add(a, a)?;
    let double = g.assign(a, doubled)?;
    let mut session = session(g)?;
    session.run(&[double], &[])?;
    let b = session.extend(|g| g.variable("b", &[2], Initializer::Constant(7.0)))?;
    session.run(&[double], &[])?;
    assert_eq!(fetch(&mut session, &[a, b], &[])?, [[4.0; 2], [7.0; 2]]);
    Ok(())
}

#[test]
fn an_extension_that_fails_has_changed_nothing() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(3)])?;
    let y = g.placeholder("y", &[None, Some(3)])?;
    let a = g.variable("a", &[], Initializer::Constant(1.0))?;
    let mut session = session(g)?;
    let values = [0.0; 9];
    let different = [(x, rows(&values, 3)), (y, rows(&values[..3], 3))];
    session.run(&[a], &different)?;

    let nodes = session.graph().nodes().len();
    let error = session.extend(|g| {
        g.variable("b", &[], Initializer::Zeros)?;
        g.add(x, y)?;
        Err::<(), _>(Error::invalid("on second thoughts"))
    });
    assert_eq!(error.unwrap_err().to_string(), "on second thoughts");
    assert_eq!(session.graph().nodes().len(), nodes);
    assert_eq!(session.graph().variables().len(), 1);
    session.run(&[a], &different)?;

    let replaced = session.extend(|g| {
        *g = Graph::new();
        Ok(())
    });
    let error = replaced.unwrap_err().to_string();
    assert!(error.contains("expected it to be added to"), "{error}");
    session.run(&[a], &different)?;
    Ok(())
}

#[test]
fn batch_axes_that_an_extension_makes_one_must_have_the_same_rows_from_then_on() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(1)])?;
    let y = g.placeholder("y", &[None, Some(1)])?;
    let fixed = g.placeholder("z", &[None, Some(1)])?;
    let nodes = [g.reduce_sum(x)?, g.reduce_sum(y)?, g.reduce_sum(fixed)?];
    let mut session = session(g)?;
    let values = [1.0, 2.0, 3.0];
    let feeds = |x_rows: usize, y_rows: usize| {
        [(x, rows(&values[..x_rows], 1)), (y, rows(&values[..y_rows], 1)), (fixed, rows(&values, 1))]
    };
    assert_eq!(fetch(&mut session, &nodes, &feeds(3, 2))?.concat(), [6.0, 3.0, 6.0]);
    assert_eq!(fetch(&mut session, &nodes, &feeds(3, 3))?.concat(), [6.0, 6.0, 6.0]);
    let sum = session.extend(|g| {
        let sum = g.add(x, y)?;
        g.reduce_sum(sum)
    })?;
    assert_eq!(fetch(&mut session, &[sum], &feeds(3, 3))?.concat(), [12.0]);
    assert_eq!(fetch(&mut session, &nodes, &feeds(3, 3))?.concat(), [6.0, 6.0, 6.0]);
    assert_eq!(fetch(&mut session, &nodes, &feeds(1, 1))?.concat(), [1.0, 1.0, 6.0]);
    let error = session.run(&nodes, &feeds(3, 2)).unwrap_err().to_string();
    assert!(error.contains("\"y\" was fed 2 rows, another of the same batch axis 3"), "{error}");
    Ok(())
}
