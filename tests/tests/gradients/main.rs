//! Every gradient rule, and every kernel that the executor fuses from them, against differences (see
//! `nn_tests::gradcheck`), on the reference kernels and on the vector kernels.

mod moves;

use nn_core::Result;
use nn_core::graph::{Graph, Keep, Node};
use nn_core::layers::Dense;
use nn_core::ops::{Activation, Trans};
use nn_tests::gradcheck::{Bench, Range, World, check};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// 1, the small ones, and both sides of the edges of tiles and vectors.
const SIZES: [usize; 10] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 33];

const WORLDS: [World; 3] = [World::Batched, World::Fixed, World::Variables];

const ACTIVATIONS: [Activation; 4] =
    [Activation::Linear, Activation::Tanh, Activation::Relu, Activation::Sigmoid];

fn size() -> impl Strategy<Value = usize> {
    prop::sample::select(&SIZES[..])
}

/// Batches of one shard mostly, of several sometimes.
fn rows() -> impl Strategy<Value = usize> {
    prop_oneof![9 => size(), 1 => prop::sample::select(&[256usize, 257, 520][..])]
}

fn world() -> impl Strategy<Value = World> {
    prop::sample::select(&WORLDS[..])
}

fn activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(&ACTIVATIONS[..])
}

fn gradient_is_right(
    world: World,
    rows: usize,
    seed: u64,
    build: impl Fn(&mut Bench) -> Result<Node>,
) -> Result<(), TestCaseError> {
    check(world, rows, seed, build).map_err(TestCaseError::fail)
}

type Unary = fn(&mut Graph, Node) -> Result<Node>;

const UNARY: [(Unary, Range); 14] = [
    (Graph::neg, Range::Any),
    (Graph::exp, Range::Any),
    (Graph::log, Range::Positive),
    (Graph::log1p, Range::Positive),
    (Graph::sqrt, Range::Positive),
    (Graph::square, Range::Any),
    (Graph::abs, Range::Between),
    (Graph::sign, Range::Between),
    (Graph::floor, Range::Between),
    (Graph::sin, Range::Any),
    (Graph::cos, Range::Any),
    (Graph::tanh, Range::Any),
    (Graph::relu, Range::Between),
    (Graph::sigmoid, Range::Any),
];

type Binary = fn(&mut Graph, Node, Node) -> Result<Node>;

const BINARY: [(Binary, Range, Range); 7] = [
    (Graph::add, Range::Any, Range::Any),
    (Graph::sub, Range::Any, Range::Any),
    (Graph::mul, Range::Any, Range::Any),
    (Graph::div, Range::Any, Range::Positive),
    (Graph::pow, Range::Positive, Range::Any),
    (Graph::maximum, Range::Any, Range::Between),
    (Graph::minimum, Range::Between, Range::Any),
];

/// How an operand lies in a result of the shape [rows, n] or [rows, p, n].
#[derive(Debug, Clone, Copy)]
enum Lies {
    Same,
    Scalar,
    Ones,
    Row,
    RowWithOnes,
    Column,
    /// Of three dimensions: the last two.
    Slab,
    /// Of three dimensions: the first two, and a one.
    Front,
}

impl Lies {
    fn operand(self, b: &mut Bench, rest: &[usize], range: Range) -> Result<Node> {
        let n = rest[rest.len() - 1];
        let ones = vec![1; rest.len()];
        match self {
            Self::Same => b.batch(rest, range),
            Self::Scalar => b.parameter(&[], range),
            Self::Ones => b.parameter(&[ones, vec![1]].concat(), range),
            Self::Row => b.parameter(&[n], range),
            Self::RowWithOnes => b.parameter(&[ones, vec![n]].concat(), range),
            Self::Column => b.batch(&ones, range),
            Self::Slab => b.parameter(rest, range),
            Self::Front => b.batch(&[&rest[..rest.len() - 1], &[1]].concat(), range),
        }
    }
}

const FLAT: [(Lies, Lies); 13] = [
    (Lies::Same, Lies::Same),
    (Lies::Same, Lies::Scalar),
    (Lies::Scalar, Lies::Same),
    (Lies::Same, Lies::Ones),
    (Lies::Ones, Lies::Same),
    (Lies::Same, Lies::Row),
    (Lies::Row, Lies::Same),
    (Lies::Same, Lies::RowWithOnes),
    (Lies::RowWithOnes, Lies::Same),
    (Lies::Same, Lies::Column),
    (Lies::Column, Lies::Same),
    (Lies::Row, Lies::Column),
    (Lies::Column, Lies::RowWithOnes),
];

const DEEP: [(Lies, Lies); 9] = [
    (Lies::Same, Lies::Same),
    (Lies::Same, Lies::Scalar),
    (Lies::Same, Lies::Row),
    (Lies::Slab, Lies::Same),
    (Lies::Same, Lies::Column),
    (Lies::Front, Lies::Same),
    (Lies::Front, Lies::Row),
    (Lies::Slab, Lies::Column),
    (Lies::RowWithOnes, Lies::Front),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn functions_of_one_argument(world in world(), m in rows(), n in size(), seed: u64) {
        for (f, range) in UNARY {
            gradient_is_right(world, m, seed, |b| {
                let x = b.batch(&[n], range)?;
                let y = f(&mut b.g, x)?;
                b.weigh(y)
            })?;
        }
    }

    #[test]
    fn functions_of_two_arguments_however_they_are_spread(
        world in world(), m in rows(), n in size(), seed: u64, lie in prop::sample::select(&FLAT[..]),
    ) {
        for (f, range_a, range_b) in BINARY {
            gradient_is_right(world, m, seed, |b| {
                let x = lie.0.operand(b, &[n], range_a)?;
                let y = lie.1.operand(b, &[n], range_b)?;
                let z = f(&mut b.g, x, y)?;
                b.weigh(z)
            })?;
        }
    }

    #[test]
    fn functions_of_two_arguments_of_three_dimensions(
        world in world(), m in size(), p in size(), n in size(), seed: u64, lie in prop::sample::select(&DEEP[..]),
    ) {
        for (f, range_a, range_b) in BINARY {
            gradient_is_right(world, m, seed, |b| {
                let x = lie.0.operand(b, &[p, n], range_a)?;
                let y = lie.1.operand(b, &[p, n], range_b)?;
                let z = f(&mut b.g, x, y)?;
                b.weigh(z)
            })?;
        }
    }

    #[test]
    fn an_operand_that_is_spread_by_a_node_of_its_own_and_again_by_the_function(
        world in world(), m in size(), p in size(), n in size(), seed: u64,
        inner in prop::sample::select(&["scalar", "row", "column"][..]),
    ) {
        // like: [p, n], spread from the inner form first and then over the [m, p, n] of the other operand.
        for (f, range_a, range_b) in BINARY {
            gradient_is_right(world, m, seed, |b| {
                let x = b.batch(&[p, n], range_a)?;
                let dims: &[usize] = match inner {
                    "scalar" => &[],
                    "row" => &[n],
                    _ => &[p, 1],
                };
                let small = b.parameter(dims, range_b)?;
                let like = b.parameter(&[p, n], Range::Any)?;
                let spread = b.g.broadcast_like(small, like)?;
                let z = f(&mut b.g, x, spread)?;
                b.weigh(z)
            })?;
        }
    }

    #[test]
    fn spreading(world in world(), m in rows(), n in size(), seed: u64) {
        for lies in [Lies::Scalar, Lies::Ones, Lies::Row, Lies::RowWithOnes, Lies::Column, Lies::Same] {
            gradient_is_right(world, m, seed, |b| {
                let x = lies.operand(b, &[n], Range::Any)?;
                let like = b.batch(&[n], Range::Any)?;
                let y = b.g.broadcast_like(x, like)?;
                let squared = b.g.square(y)?;
                b.weigh(squared)
            })?;
        }
    }

    #[test]
    fn products_of_matrices_that_are_there_once(
        world in prop::sample::select(&[World::Fixed, World::Variables][..]),
        m in size(), k in size(), n in size(), seed: u64,
    ) {
        for (ta, tb) in [(Trans::No, Trans::No), (Trans::No, Trans::Yes), (Trans::Yes, Trans::No), (Trans::Yes, Trans::Yes)] {
            gradient_is_right(world, m, seed, |b| {
                let dims = |t, r, c| if t == Trans::No { [r, c] } else { [c, r] };
                let x = b.parameter(&dims(ta, m, k), Range::Any)?;
                let y = b.parameter(&dims(tb, k, n), Range::Any)?;
                let z = b.g.matmul_with(x, ta, y, tb)?;
                b.weigh(z)
            })?;
        }
    }

    #[test]
    fn products_of_a_batch_and_a_parameter(m in rows(), k in size(), n in size(), seed: u64) {
        for tb in [Trans::No, Trans::Yes] {
            gradient_is_right(World::Batched, m, seed, |b| {
                let x = b.batch(&[k], Range::Any)?;
                let w = b.parameter(&if tb == Trans::No { [k, n] } else { [n, k] }, Range::Any)?;
                let y = b.g.matmul_with(x, Trans::No, w, tb)?;
                b.weigh(y)
            })?;
        }
    }

    #[test]
    fn products_over_the_batch(world in world(), m in rows(), k in size(), n in size(), seed: u64) {
        gradient_is_right(world, m, seed, |b| {
            let x = b.batch(&[k], Range::Any)?;
            let y = b.batch(&[n], Range::Any)?;
            let z = b.g.matmul_with(x, Trans::Yes, y, Trans::No)?;
            let z = b.g.square(z)?;
            b.weigh(z)
        })?;
    }

    #[test]
    fn sums_and_means(world in world(), m in rows(), p in prop::sample::select(&[1usize, 2, 5][..]), n in size(), seed: u64) {
        let keeps = [
            Keep::Nothing, Keep::Suffix(0), Keep::Suffix(1), Keep::Suffix(2), Keep::Suffix(3),
            Keep::Prefix(0), Keep::Prefix(1), Keep::Prefix(2), Keep::Prefix(3),
        ];
        for keep in keeps {
            gradient_is_right(world, m, seed, |b| {
                let x = b.batch(&[p, n], Range::Any)?;
                let x = b.g.square(x)?;
                let sum = b.g.sum_keeping(x, keep)?;
                let squared = b.g.square(sum)?;
                b.weigh(squared)
            })?;
        }
        gradient_is_right(world, m, seed, |b| {
            let x = b.batch(&[p, n], Range::Any)?;
            let x = b.g.exp(x)?;
            b.g.reduce_mean(x)
        })?;
    }

    #[test]
    fn reshapes(world in world(), m in rows(), p in size(), n in size(), seed: u64) {
        gradient_is_right(world, m, seed, |b| {
            let x = b.batch(&[p, n], Range::Any)?;
            let first = if b.g.shape(x).batch().is_some() { None } else { Some(m) };
            let flat = b.g.reshape(x, &[first, Some(p * n)])?;
            let w = b.parameter(&[p * n, 2], Range::Any)?;
            let y = b.g.matmul(flat, w)?;
            let y = b.g.tanh(y)?;
            let back = b.g.reshape(y, &[first, Some(2), Some(1)])?;
            b.weigh(back)
        })?;
    }

    #[test]
    fn softmax_and_both_forms_of_its_cross_entropy(world in world(), m in rows(), n in size(), seed: u64) {
        gradient_is_right(world, m, seed, |b| {
            let x = b.batch(&[n], Range::Any)?;
            let p = b.g.softmax(x)?;
            b.weigh(p)
        })?;
        // With a weight for each row, and with their mean: one has a kernel of its own, the other one for loss and gradient.
        for mean in [false, true] {
            gradient_is_right(world, m, seed, |b| {
                let x = b.batch(&[n], Range::Any)?;
                let labels = b.classes(n)?;
                let losses = b.g.softmax_cross_entropy(x, labels)?;
                if mean { b.g.reduce_mean(losses) } else { b.weigh(losses) }
            })?;
            gradient_is_right(world, m, seed, |b| {
                let x = b.batch(&[n], Range::Any)?;
                let labels = b.batch(&[n], Range::Positive)?;
                b.hold(labels);
                let losses = b.g.softmax_cross_entropy(x, labels)?;
                if mean { b.g.reduce_mean(losses) } else { b.weigh(losses) }
            })?;
        }
    }

    #[test]
    fn gradients_of_gradients(world in world(), m in rows(), n in size(), seed: u64) {
        for f in ACTIVATIONS {
            gradient_is_right(world, m, seed, |b| {
                let x = b.batch(&[n], Range::Between)?;
                let w = b.parameter(&[n, n], Range::Any)?;
                let z = b.g.matmul(x, w)?;
                let z = b.g.mul(x, z)?;
                let z = if f == Activation::Relu { x } else { z };
                let y = b.g.activation(f, z)?;
                let y = b.g.mul(y, x)?;
                let cost = b.weigh(y)?;
                let dx = b.g.gradients(cost, &[x])?[0];
                b.weigh(dx)
            })?;
        }
    }

    #[test]
    fn a_stack_of_layers_with_its_loss_and_penalties(
        m in rows(), k in size(), hidden in prop::collection::vec((size(), activation()), 0..3), n in size(),
        l1 in prop::sample::select(&[0.0, 0.25][..]), l2 in prop::sample::select(&[0.0, 0.5][..]),
        mean in any::<bool>(), world in world(), seed: u64,
    ) {
        gradient_is_right(world, m, seed, |b| {
            let x = b.batch(&[k], Range::Halves)?;
            let labels = b.classes(n)?;
            let mut logits = x;
            let mut penalties = Vec::new();
            // A relu is the first layer only, where its argument can be kept away from 0.
            for (layer, &(units, f)) in hidden.iter().enumerate() {
                let f = if f == Activation::Relu && layer > 0 { Activation::Tanh } else { f };
                let built = Dense::new(units).activation(f).regularizer(l1, l2).build(&mut b.g, logits)?;
                b.variable(built.kernel, Range::Halves);
                b.variable(built.bias, Range::OddEighths);
                logits = built.output;
                penalties.extend(built.penalty);
            }
            let built = Dense::new(n).build(&mut b.g, logits)?;
            b.variable(built.kernel, Range::Any);
            b.variable(built.bias, Range::Any);
            let losses = b.g.softmax_cross_entropy(built.output, labels)?;
            let mut cost = if mean { b.g.reduce_mean(losses)? } else { b.g.reduce_sum(losses)? };
            for penalty in penalties {
                cost = b.g.add(cost, penalty)?;
            }
            Ok(cost)
        })?;
    }
}
