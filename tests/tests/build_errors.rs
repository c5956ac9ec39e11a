//! What is built wrongly is refused where it is built: the error names the operation and its scope, the shapes, and the
//! line.

use nn_core::Result;
use nn_core::graph::{DType, Graph, Keep, Node};
use nn_core::init::Initializer;
use nn_core::layers::{self, Dense, Mode};
use nn_core::ops::{Activation, Trans};

/// Nodes to go wrong with: named after their shapes.
struct Nodes {
    /// float \[None, 4\]
    batch: Node,
    /// float \[None\]
    column: Node,
    /// int \[None\]
    labels: Node,
    /// float \[5, 3\]
    matrix: Node,
    /// float \[2, 5, 3\]
    cube: Node,
    /// float \[\]
    scalar: Node,
    /// bool \[5, 3\]
    flags: Node,
}

impl Nodes {
    fn new(g: &mut Graph) -> Result<Self> {
        let matrix = g.variable("matrix", &[5, 3], Initializer::Zeros)?;
        Ok(Self {
            batch: g.placeholder("batch", &[None, Some(4)])?,
            column: g.placeholder("column", &[None])?,
            labels: g.typed_placeholder("labels", &[None], DType::Int)?,
            matrix,
            cube: g.variable("cube", &[2, 5, 3], Initializer::Zeros)?,
            scalar: g.scalar(1.0),
            flags: g.equal(matrix, matrix)?,
        })
    }
}

/// The line that calls the builder, what it answers, and what the answer must contain.
type Case = (u32, nn_core::Error, &'static [&'static str]);

macro_rules! refused {
    ($call:expr, $($words:literal),+) => {
        (line!(), $call.map(drop).expect_err(concat!(stringify!($call), " was built")), &[$($words),+])
    };
}

fn assert_named(cases: Vec<Case>) {
    for (line, error, words) in cases {
        let error = error.to_string();
        let at = format!("(built at {}:{line})", file!());
        for word in words.iter().copied().chain([at.as_str()]) {
            assert!(error.contains(word), "expected {word:?} in: {error}");
        }
    }
}

#[test]
#[rustfmt::skip]
fn every_builder_names_itself_the_shapes_and_the_line_that_called_it() -> Result<()> {
    let g = &mut Graph::new();
    let Nodes { batch, column, labels, matrix, cube, scalar, flags } = Nodes::new(g)?;
    let wide = g.placeholder("wide", &[None, Some(3)])?;
    let tall = g.variable("tall", &[2, 1, 3], Initializer::Zeros)?;
    let flat = g.variable("flat", &[1, 5, 1], Initializer::Zeros)?;
    let count = g.nodes().len();
    assert_named(vec![
        // Sources
        refused!(g.placeholder("p", &[Some(2), None]), "placeholder \"p\"", "[2, None]", "dimension 1"),
        refused!(g.typed_placeholder("p", &[None, None], DType::Int), "placeholder \"p\"", "[None, None]"),
        refused!(g.variable("v", &[2], Initializer::Values([1.0].into())), "variable \"v\"", "[2]", "1 values"),
        refused!(g.state("s", &[2], Initializer::Orthogonal(1.0)), "variable \"s\"", "[2]", "matrix"),
        refused!(g.constant(&[1.0, 2.0], &[3]), "constant", "2 values", "[3]"),
        // Functions of one and two arguments
        refused!(g.neg(labels), "neg", "\"labels\" holds int [None]", "expected float"),
        refused!(g.log1p(flags), "log1p", "holds bool [5, 3]", "expected float"),
        refused!(g.activation(Activation::Tanh, labels), "tanh", "int [None]"),
        refused!(g.add(batch, matrix), "add", "[None, 4]", "[5, 3]", "4 and 3"),
        refused!(g.sub(labels, batch), "sub", "\"labels\" holds int [None]"),
        refused!(g.mul(cube, batch), "mul", "[2, 5, 3]", "[None, 4]"),
        refused!(g.activation_gradient(Activation::Tanh, matrix, batch), "tanh_grad", "[5, 3]", "[None, 4]"),
        refused!(g.maximum(tall, flat), "maximum", "[2, 1, 3] and [1, 5, 1]", "one operand must be a scalar, a row"),
        refused!(g.broadcast_like(batch, matrix), "broadcast_like", "[None, 4]", "[5, 3]"),
        refused!(g.broadcast_like(labels, batch), "broadcast", "\"labels\" holds int [None]"),
        refused!(g.greater(matrix, batch), "greater", "[5, 3]", "[None, 4]"),
        refused!(g.less_equal(flags, batch), "less_equal", "bool [5, 3]"),
        refused!(g.equal(labels, batch), "equal", "int [None]", "float [None, 4]"),
        refused!(g.equal(matrix, cube), "equal", "float [5, 3]", "float [2, 5, 3]"),
        refused!(g.select(batch, batch, batch), "select", "float [None, 4]", "expected bool"),
        refused!(g.select(flags, matrix, batch), "select", "[5, 3]", "\"batch\" [None, 4]"),
        refused!(g.select(flags, labels, scalar), "select", "\"labels\" holds int [None]"),
        // Products
        refused!(g.matmul(batch, matrix), "matmul", "[None, 4] · [5, 3]", "inner dimensions differ (4 vs 5)"),
        refused!(g.matmul_with(matrix, Trans::Yes, batch, Trans::Yes), "matmul", "[5, 3]ᵀ · [None, 4]ᵀ", "5 vs 4"),
        refused!(g.matmul_with(matrix, Trans::No, wide, Trans::Yes), "matmul", "[5, 3] · [None, 3]ᵀ", "columns of the result"),
        refused!(g.matmul(batch, column), "matmul", "[None, 4] · [None]", "two matrices"),
        refused!(g.matmul(batch, labels), "matmul", "\"labels\" holds int [None]"),
        // Sums
        refused!(g.reduce_sum(labels), "reduce_sum", "int [None]"),
        refused!(g.reduce_mean(flags), "reduce_mean", "bool [5, 3]"),
        refused!(g.sum_keeping(batch, Keep::Suffix(3)), "sum_keeping", "[None, 4]", "3 dimensions"),
        refused!(g.reduce_sum_axis(cube, 1), "reduce_sum_axis", "axis 1", "[2, 5, 3]", "middle", "reshape"),
        refused!(g.reduce_mean_axis(batch, 2), "reduce_mean_axis", "axis 2", "[None, 4]"),
        refused!(g.reduce_mean_axis(labels, 0), "reduce_mean_axis", "int [None]"),
        refused!(g.reduce_max(column), "reduce_max", "[None]", "last dimension"),
        refused!(g.reduce_max(scalar), "reduce_max", "[]", "last dimension"),
        // Shapes, rows and columns
        refused!(g.reshape(batch, &[None, Some(5)]), "reshape", "[None, 4] → [None, 5]"),
        refused!(g.reshape(batch, &[Some(4)]), "reshape", "[None, 4] → [4]", "batch axis"),
        refused!(g.reshape(matrix, &[None, Some(3)]), "reshape", "[5, 3]", "batch axis"),
        refused!(g.concatenate(&[]), "concatenate", "no tensors"),
        refused!(g.concatenate(&[matrix, cube]), "concatenate", "[5, 3]", "[2, 5, 3]"),
        refused!(g.concatenate(&[batch, labels]), "concatenate", "int [None]"),
        refused!(g.slice_columns(batch, 2, 3), "slice_columns", "3 columns from column 2 of [None, 4]"),
        refused!(g.slice_columns(column, 0, 1), "slice_columns", "[None]", "two"),
        refused!(g.slice_columns(matrix, 0, 0), "slice_columns", "0 columns", "[5, 3]"),
        refused!(g.slice_columns(matrix, usize::MAX, 2), "slice_columns", "[5, 3]"),
        refused!(g.slice_rows(matrix, 4, 2), "slice_rows", "2 rows from row 4 of [5, 3]"),
        refused!(g.slice_rows(scalar, 0, 1), "slice_rows", "[]"),
        refused!(g.slice_rows(labels, 0, 1), "slice_rows", "int [None]"),
        refused!(g.concatenate_rows(&[]), "concatenate_rows", "no tensors"),
        refused!(g.concatenate_rows(&[matrix, batch]), "concatenate_rows", "[5, 3] and [None, 4]", "batch", "slice_rows"),
        refused!(g.concatenate_rows(&[matrix, cube]), "concatenate_rows", "[5, 3] and [2, 5, 3]"),
        // Classes
        refused!(g.softmax(cube), "softmax", "[2, 5, 3]", "matrix"),
        refused!(g.softmax_cross_entropy(batch, flags), "softmax_cross_entropy", "[None, 4]", "[5, 3]"),
        refused!(g.softmax_cross_entropy(cube, labels), "softmax_cross_entropy", "[2, 5, 3]", "[None]", "int [m]"),
        refused!(g.argmax(column), "argmax", "[None]", "matrix"),
        refused!(g.one_hot(column, 3), "one_hot", "\"column\" holds float [None]", "expected int"),
        refused!(g.in_top_k(cube, labels, 1), "in_top_k", "[2, 5, 3]", "[None]", "int [m]"),
        refused!(g.in_top_k(batch, column, 1), "in_top_k", "\"column\" holds float [None]"),
        // Random numbers
        refused!(g.uniform_like(batch, column), "uniform_like", "[None, 4]", "step [None]"),
        // Variables
        refused!(g.assign(batch, matrix), "assign", "\"batch\" [None, 4] is a placeholder, expected a variable"),
        refused!(g.assign(matrix, cube), "assign", "variable \"matrix\" is [5, 3], the value is [2, 5, 3]"),
        refused!(g.assign(matrix, labels), "assign", "int [None]"),
        // Differentiation
        refused!(g.gradients(batch, &[matrix]), "gradients", "\"batch\" is float [None, 4]", "float scalar []"),
        // Layers
        refused!(Dense::new(3).bias_initializer(Initializer::Orthogonal(1.0)).build(g, batch), "variable \"dense/bias\"", "[3]"),
        refused!(Dense::new(0).build(g, batch), "dense", "0 units", "[None, 4]"),
        refused!(Dense::new(3).build(g, cube), "dense", "3 units", "[2, 5, 3]"),
        refused!(Dense::new(3).regularizer(f64::NAN, 0.0).build(g, batch), "dense", "NaN"),
        refused!(layers::dropout(g, batch, 1.0, &mut Mode::Inference), "dropout", "rate", "1"),
        refused!(layers::add(g, &[batch, matrix]), "add", "[None, 4] and [5, 3]"),
        refused!(layers::concatenate(g, &[batch]), "concatenate", "found 1"),
        refused!(layers::flatten(g, scalar), "flatten", "[]"),
    ]);
    // The first layer had its kernel before its bias was refused; nothing else was built, and no batch axis has
    // become a number.
    let built: Vec<&str> = g.nodes()[count..].iter().map(|node| node.name.as_str()).collect();
    assert_eq!(built, ["dense/kernel"]);
    assert_eq!([batch, column, wide].map(|n| g.shape(n).to_string()), ["[None, 4]", "[None]", "[None, 3]"]);
    Ok(())
}

#[test]
fn an_error_within_a_scope_names_it() -> Result<()> {
    let mut g = Graph::new();
    let Nodes { batch, matrix, .. } = Nodes::new(&mut g)?;
    let error = g.scope("hidden", |g| g.matmul(batch, matrix)).unwrap_err().to_string();
    assert!(
        error.starts_with("matmul \"hidden\": [None, 4] · [5, 3]: inner dimensions differ (4 vs 5)"),
        "{error}"
    );
    let error = g.scope("outer", |g| g.scope("inner", |g| g.neg(matrix).and_then(|n| g.add(n, batch))));
    assert!(error.unwrap_err().to_string().starts_with("add \"outer/inner\""));
    let error = g.scope("late", |g| g.placeholder("p", &[Some(2), None])).unwrap_err().to_string();
    assert!(error.starts_with("placeholder \"late/p\""), "{error}");
    Ok(())
}

#[test]
fn what_a_layer_or_a_gradient_builds_says_the_line_that_asked_for_it() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(4)])?;
    let (dense, line) = (Dense::new(3).build(&mut g, x)?, line!());
    for node in [dense.output, dense.kernel, dense.bias] {
        let at = g.node(node).built_at;
        assert_eq!((at.file(), at.line()), (file!(), line), "{}", g.node(node).name);
    }
    let cost = g.reduce_mean(dense.output)?;
    let from = g.nodes().len();
    let (_, line) = (g.gradients(cost, &[dense.kernel])?, line!());
    assert!(g.nodes()[from..].iter().any(|node| node.name.starts_with("gradients")));
    for node in &g.nodes()[from..] {
        assert_eq!((node.built_at.file(), node.built_at.line()), (file!(), line), "{}", node.name);
    }
    Ok(())
}

#[test]
fn symbols_that_are_found_to_be_the_same_dimension_or_a_number_are_so_everywhere() -> Result<()> {
    let mut g = Graph::new();
    let a = g.placeholder("a", &[None, Some(2)])?;
    let b = g.placeholder("b", &[None, Some(2)])?;
    let c = g.placeholder("c", &[Some(6), Some(2)])?;
    let before = g.sum_keeping(a, Keep::Prefix(1))?;
    let symbol = |g: &Graph, n: Node| g.shape(n).batch();
    assert_ne!(symbol(&g, a), symbol(&g, b));
    let sum = g.add(a, b)?;
    assert_eq!(symbol(&g, a), symbol(&g, b));
    assert_eq!(symbol(&g, sum), symbol(&g, before));
    g.mul(sum, c)?;
    for (node, shape) in [(a, "[6, 2]"), (b, "[6, 2]"), (before, "[6]")] {
        assert_eq!(g.shape(node).to_string(), shape);
    }
    Ok(())
}
