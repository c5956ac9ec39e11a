//! What a session keeps, and what happens to it when its graph grows.

use std::sync::Arc;

use nn_core::backend::{Backend, Naive};
use nn_core::exec::{Feed, Session, SessionOptions};
use nn_core::graph::{DType, Graph, Keep, Node};
use nn_core::init::Initializer;
use nn_core::{Error, Result};
use nn_tests::counting::Counting;
use nn_tests::engine::{fetch, rows, session, session_on};

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

#[test]
fn the_seed_of_the_graph_goes_before_that_of_the_session() -> Result<()> {
    let build = |seed: Option<u64>| -> Result<(Graph, [Node; 2])> {
        let mut g = Graph::new();
        let w = g.variable("w", &[4], Initializer::Normal(1.0))?;
        let step = g.scalar(0.0);
        let u = g.uniform_like(w, step)?;
        if let Some(seed) = seed {
            g.set_seed(seed);
        }
        assert_eq!(g.seed(), seed);
        Ok((g, [w, u]))
    };
    let draw = |of_graph: Option<u64>, of_session: u64| -> Result<Vec<Vec<f64>>> {
        let (graph, nodes) = build(of_graph)?;
        fetch(&mut seeded(graph, of_session)?, &nodes, &[])
    };
    let expected = draw(None, 3)?;
    assert_eq!(draw(Some(3), 0)?, expected);
    assert_eq!(draw(Some(3), 4)?, expected);
    assert!(draw(None, 4)?.iter().zip(&expected).all(|(a, b)| a != b));

    // What is added later draws from the same seed, whatever the extension sets.
    let (graph, _) = build(Some(3))?;
    let mut session = seeded(graph, 0)?;
    let late = session.extend(|g| {
        g.set_seed(9);
        g.variable("late", &[4], Initializer::Normal(1.0))
    })?;
    let expected = Initializer::Normal(1.0).values(&[4], 3, 1)?;
    assert_eq!(fetch(&mut session, &[late], &[])?[0], expected);
    Ok(())
}

#[test]
fn all_variables_begin_again_when_their_initializer_is_run() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(3)])?;
    let w = g.variable("w", &[3, 2], Initializer::GlorotUniform)?;
    let count = g.state("count", &[], Initializer::Zeros)?;
    let y = g.matmul(x, w)?;
    let loss = g.reduce_sum(y)?;
    let gradient = g.gradients(loss, &[w])?[0];
    let (new, one) = (g.sub(w, gradient)?, g.scalar(1.0));
    let more = g.add(count, one)?;
    let updates = [g.assign(w, new)?, g.assign(count, more)?];
    let step = g.group(&updates);
    let initializer = g.global_variables_initializer();
    let nested = g.group(&[initializer, loss]);
    let mut session = seeded(g, 5)?;

    let values = [1.0, 2.0, 3.0];
    let feeds = [(x, rows(&values, 3))];
    let variables = |session: &mut Session<f64>| fetch(session, &[w, count], &[]);
    let first = variables(&mut session)?;
    for begin in [&[initializer][..], &[nested], &[loss, initializer, w]] {
        session.run(&[step], &feeds)?;
        let stepped = variables(&mut session)?;
        assert_ne!(stepped, first);
        let out = session.run(begin, &feeds)?;
        if begin.len() > 1 {
            assert_eq!(out.floats(2)?, stepped[0], "reads see the value before the run");
            assert!(out.floats(1).is_err(), "it has no value of its own");
        }
        assert_eq!(variables(&mut session)?, first);
    }
    let error = session.run(&[step, initializer], &feeds).unwrap_err().to_string();
    assert!(error.contains("\"w\" is assigned, and \"global_variables_initializer\""), "{error}");
    assert_eq!(variables(&mut session)?, first);

    // Those that were added after it too, and after a run of it.
    let (late, change) = session.extend(|g| {
        let late = g.variable("late", &[2], Initializer::Uniform(1.0))?;
        let doubled = g.add(late, late)?;
        Ok((late, g.assign(late, doubled)?))
    })?;
    let before = fetch(&mut session, &[late], &[])?;
    session.run(&[change, step], &feeds)?;
    assert_ne!(fetch(&mut session, &[late], &[])?, before);
    session.run(&[initializer], &[])?;
    assert_eq!(fetch(&mut session, &[late], &[])?, before);
    assert_eq!(variables(&mut session)?, first);
    Ok(())
}

#[test]
fn not_one_kernel_is_called_for_what_no_fetch_needs() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(4)])?;
    let unfed = g.placeholder("unfed", &[None, Some(4)])?;
    let w = g.variable("w", &[4, 3], Initializer::GlorotUniform)?;
    let y = g.matmul(x, w)?;
    let elsewhere = g.matmul(unfed, w)?;
    let probabilities = g.softmax(elsewhere)?;
    let both = g.sub(y, probabilities)?;
    let squares = g.square(both)?;
    let loss = g.reduce_mean(squares)?;
    let gradient = g.gradients(loss, &[w])?[0];
    let weight = g.square(w)?;
    let rooted = g.sqrt(weight)?;
    let norms = g.sum_keeping(rooted, Keep::Suffix(1))?;
    let counting = Arc::new(Counting::default());
    let mut session = session_on(g, Arc::clone(&counting) as Arc<dyn Backend<f64>>, 2)?;

    let values = [0.5; 8];
    let feeds = [(x, rows(&values, 4))];
    let mut calls = |fetches: &[Node], feeds: &[(Node, Feed<'_, f64>)]| -> Result<usize> {
        counting.take();
        session.run(fetches, feeds)?;
        Ok(counting.take())
    };
    assert_eq!(calls(&[], &feeds)?, 0, "nothing");
    assert_eq!(calls(&[w, x], &feeds)?, 0, "a variable and a placeholder");
    assert_eq!(calls(&[y], &feeds)?, 1, "one product, nothing of the branch that is not fed");
    assert_eq!(calls(&[weight], &[])?, 1, "one square");
    assert_eq!(calls(&[rooted], &[])?, 2, "and its root");
    assert_eq!(calls(&[norms], &[])?, 3, "and their sum");
    assert_eq!(calls(&[norms, rooted, weight], &[])?, 3, "which are not computed twice");
    assert_eq!(calls(&[norms, y], &feeds)?, 4);
    let all = [feeds[0], (unfed, rows(&values, 4))];
    assert!(calls(&[gradient], &all)? > calls(&[loss], &all)?, "the count sees kernels at all");
    for needs in [loss, gradient, elsewhere] {
        let error = calls(&[needs], &feeds).unwrap_err().to_string();
        assert!(error.contains("placeholder \"unfed\" float [None, 4] was not fed"), "{error}");
        assert_eq!(counting.take(), 0, "an error comes before the first kernel");
    }
    Ok(())
}

/// What is fed, and what the message must say.
type Fault<'a> = (&'a [(Node, Feed<'a, f64>)], &'a [&'a str]);

#[test]
fn what_is_fed_must_fit_its_placeholder() -> Result<()> {
    let mut g = Graph::new();
    let fixed = g.placeholder("fixed", &[Some(2), Some(3)])?;
    let batch = g.placeholder("batch", &[None, Some(3)])?;
    let flags = g.typed_placeholder("flags", &[Some(2)], DType::Int)?;
    let w = g.variable("w", &[3, 1], Initializer::Zeros)?;
    let y = g.matmul(fixed, w)?;
    let constant = g.constant(&[1.0; 3], &[3])?;
    let nodes = g.nodes().len();
    let mut other = Graph::new();
    let mut stranger = other.scalar(0.0);
    for _ in 0..nodes {
        stranger = other.scalar(0.0);
    }
    let mut session = session(g)?;

    let numbers = [0.0; 9];
    let right = || Feed::Floats(&numbers[..6]);
    let cases: [Fault<'_>; 13] = [
        (&[(w, right())], &["fed to variable \"w\"", "expected a placeholder"]),
        (&[(y, right())], &["fed to matmul \"matmul\"", "expected a placeholder"]),
        (&[(constant, right())], &["fed to constant \"constant\"", "expected a placeholder"]),
        (&[(stranger, right())], &["no node of this session's graph"]),
        (&[(fixed, right()), (fixed, right())], &["placeholder \"fixed\" was fed twice"]),
        (&[(fixed, Feed::Floats(&numbers[..5]))], &["\"fixed\" is float [2, 3]", "5 floats"]),
        (&[(fixed, Feed::Floats(&numbers))], &["\"fixed\" is float [2, 3]", "9 floats"]),
        (&[(fixed, Feed::Ints(&[0; 6]))], &["\"fixed\" is float [2, 3]", "6 ints"]),
        (
            &[(fixed, rows(&numbers[..6], 3))],
            &["\"fixed\" is float [2, 3]", "a batch of 2 rows of 3", "Feed::Floats"],
        ),
        (&[(batch, right())], &["\"batch\" is float [None, 3]", "6 floats without a batch axis"]),
        (&[(batch, rows(&numbers[..8], 4))], &["\"batch\" is float [None, 3]", "a batch of 2 rows of 4"]),
        (&[(flags, right())], &["\"flags\" is int [2]", "6 floats"]),
        (&[(flags, Feed::Ints(&[1, 2, 3]))], &["\"flags\" is int [2]", "3 ints"]),
    ];
    for (feeds, words) in cases {
        let error = session.run(&[w], feeds).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    }
    let error = session.run(&[stranger], &[]).unwrap_err().to_string();
    assert!(error.contains("is not a node of this session's graph"), "{error}");
    session.run(&[y], &[(fixed, right())])?;
    Ok(())
}
