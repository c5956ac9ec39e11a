//! Plain gradient descent on a batch of a single shard: the product that would form the gradient goes straight into the
//! weights, and neither the gradient nor a pass over the weights is left.

use super::elementwise::{Elementwise, Source, Step};
use super::program::{Fetched, Instr, Kernel, Operand, Place, Program};
use crate::graph::VarId;
use crate::ops::Binary;

/// Lets every sum of the stages that `is_single` names which only serves w ← w − rate · sum be added to w itself. The
/// products are moved to the end of their stage's shards, when nothing reads the old weights any more.
pub(super) fn descend_in_place(program: &mut Program, is_single: impl Fn(usize) -> bool) {
    for sum in 0..program.sums.len() {
        let stage = program.sums[sum].stage;
        if is_single(stage)
            && let Some(found) = find(program, sum, stage)
        {
            let mut product = program.stages[stage].per_shard.remove(found.product);
            product.kernel = Kernel::Descend;
            product.ins.push(found.rate);
            product.outs = vec![found.weights];
            program.stages[stage].per_shard.push(product);
            program.stages[found.pass.0].before.remove(found.pass.1);
            let into = program.sums[sum].into;
            program.sums[sum].len = 0;
            program.once.floats[into] = 0;
        }
    }
}

/// A product and the pass that applies it.
struct Found {
    product: usize,
    /// The stage and the number among what runs before its shards.
    pass: (usize, usize),
    weights: Operand,
    rate: Operand,
}

fn find(program: &Program, sum: usize, stage: usize) -> Option<Found> {
    let (into, place) = (Place::Once(program.sums[sum].into), Place::Sum(sum));
    let shards = &program.stages[stage].per_shard;
    let product = shards.iter().position(|instr| instr.outs.iter().any(|out| out.place == place))?;
    if shards[product].kernel != Kernel::AccumulateWeights {
        return None;
    }
    let mut readers = program.stages.iter().enumerate().flat_map(|(s, stage)| {
        let before = stage.before.iter().enumerate().map(move |(i, instr)| (s, Some(i), instr));
        before.chain(stage.per_shard.iter().map(move |instr| (s, None, instr)))
    });
    let mut readers = readers.by_ref().filter(|(_, _, instr)| instr.ins.iter().any(|x| x.place == into));
    let (pass_stage, Some(number), pass) = readers.next()? else { return None };
    let kept = program.commits.iter().any(|(_, from)| from.place == into)
        || program
            .fetched
            .iter()
            .any(|f| matches!(f, Fetched::Once { operand, .. } if operand.place == into));
    if readers.next().is_some() || kept {
        return None;
    }
    let (weights, rate, id) = descent(pass, into)?;
    // A gradient that was reshaped on the way has the weights' elements in another shape.
    let sum_shape = shards[product].outs.first().map(|out| (out.extent, out.cols, out.blocked));
    if sum_shape != Some((weights.extent, weights.cols, weights.blocked)) {
        return None;
    }
    // Whoever else reads the weights (fetches do so before everything) does so in an earlier instruction of these shards, or before them.
    let reads = |instr: &Instr| instr.ins.iter().any(|x| x.place == Place::Var(id));
    let later = program.stages[stage + 1..].iter().enumerate().any(|(s, later)| {
        let before = later.before.iter().enumerate();
        let mut others =
            before.filter(|(i, _)| (stage + 1 + s, *i) != (pass_stage, number)).map(|(_, instr)| instr);
        others.any(reads) || later.per_shard.iter().any(reads)
    });
    let copied = program.commits.iter().any(|(_, from)| from.place == Place::Var(id));
    // The rate has to be there before the shards, and to be the same until the pass would have run.
    let writes_rate = |instr: &Instr| instr.outs.iter().any(|out| out.place == rate.place);
    let rate_comes_later =
        program.stages[stage + 1..=pass_stage].iter().any(|s| s.before.iter().any(writes_rate))
            || program.sums.iter().any(|sum| sum.stage >= stage && Place::Once(sum.into) == rate.place);
    if later || copied || rate_comes_later {
        return None;
    }
    Some(Found { product, pass: (pass_stage, number), weights, rate })
}

/// The weights and the rate of a pass that is nothing but w ← w − rate · sum.
fn descent(pass: &Instr, sum: Place) -> Option<(Operand, Operand, VarId)> {
    let (Kernel::Elementwise(Elementwise { inputs: 1, steps, outputs, .. }), [weights], [gradient, rate]) =
        (&pass.kernel, pass.outs.as_slice(), pass.ins.as_slice())
    else {
        return None;
    };
    let Place::Var(id) = weights.place else { return None };
    let &[Step::Binary(Binary::Mul, a, b, product), Step::Binary(Binary::Sub, from, less, result)] =
        steps.as_slice()
    else {
        return None;
    };
    let scaled =
        matches!((a, b), (Source::Scalar(0), Source::Input(0)) | (Source::Input(0), Source::Scalar(0)));
    let descends = from == Source::Output(0) && less == Source::Register(product);
    let written = outputs.as_slice() == [Source::Register(result)];
    (scaled && descends && written && gradient.place == sum).then_some((*weights, *rate, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use crate::exec::lower::lower;
    use crate::graph::{DType, Graph, Node, Op};
    use crate::init::Initializer;
    use crate::layers::Dense;
    use crate::ops::{Activation, Trans};
    use crate::optim::{Clipping, Optimizer, Sgd};

    /// Rows of a shard.
    const SHARD: usize = 252;

    /// Which variables a run of `fetches` on `rows` rows descends on directly; weights may be in blocks of 4 columns.
    fn descends(g: &Graph, fetches: &[Node], rows: usize) -> Result<Vec<String>> {
        let feeds: Vec<Node> = g.handles().filter(|&n| g.node(n).op == Op::Placeholder).collect();
        let program = lower(g, fetches, &feeds, &|_| Some(rows), Some(4), SHARD)?;
        let shards = program.stages.iter().flat_map(|stage| &stage.per_shard);
        let directly = shards.filter(|instr| instr.kernel == Kernel::Descend);
        Ok(directly
            .map(|instr| match instr.outs[0].place {
                Place::Var(id) => g.var(id).name.clone(),
                place => format!("{place:?}"),
            })
            .collect())
    }

    /// A classifier 6 → 8 tanh → 3, its kernels' gradients, and its step.
    fn classifier(optimizer: &Optimizer, l2: f64) -> Result<(Graph, Vec<Node>, Node)> {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(6)])?;
        let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
        let hidden = Dense::new(8).activation(Activation::Tanh).regularizer(0.0, l2).build(&mut g, x)?;
        let logits = Dense::new(3).build(&mut g, hidden.output)?.output;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let mut loss = g.reduce_mean(losses)?;
        if let Some(penalty) = hidden.penalty {
            loss = g.add(loss, penalty)?;
        }
        let pairs = optimizer.compute_gradients(&mut g, loss)?;
        let step = optimizer.apply_gradients(&mut g, &pairs)?;
        Ok((g, pairs.into_iter().map(|(gradient, _)| gradient).collect(), step))
    }

    #[test]
    fn plain_descent_on_one_shard_goes_into_both_kernels() -> Result<()> {
        let (g, _, step) = classifier(&Optimizer::sgd(0.1), 0.0)?;
        for rows in [1, 50, SHARD] {
            let mut found = descends(&g, &[step], rows)?;
            found.sort();
            assert_eq!(found, ["dense/kernel", "dense_1/kernel"], "{rows} rows");
        }
        assert_eq!(descends(&g, &[step], SHARD + 1)?, [""; 0], "shards add up their sums first");
        Ok(())
    }

    #[test]
    fn a_gradient_that_is_fetched_is_formed() -> Result<()> {
        let (g, gradients, step) = classifier(&Optimizer::sgd(0.1), 0.0)?;
        assert_eq!(descends(&g, &[step, gradients[0]], 50)?, ["dense_1/kernel"]);
        assert_eq!(descends(&g, &[step, gradients[2]], 50)?, ["dense/kernel"]);
        Ok(())
    }

    #[test]
    fn an_update_that_is_more_than_plain_descent_is_a_pass() -> Result<()> {
        let momentum = Optimizer::from(Sgd::new(0.1).momentum(0.9));
        let clipped = |by| Optimizer::sgd(0.1).clipping(by);
        for optimizer in [
            momentum,
            Optimizer::adam(0.1),
            clipped(Clipping::Value(1.0)),
            clipped(Clipping::Norm(1.0)),
            clipped(Clipping::GlobalNorm(1.0)),
        ] {
            let (g, _, step) = classifier(&optimizer, 0.0)?;
            assert_eq!(descends(&g, &[step], 50)?, [""; 0], "{optimizer:?}");
        }
        let (g, _, step) = classifier(&Optimizer::sgd(0.1), 0.01)?;
        assert_eq!(
            descends(&g, &[step], 50)?,
            ["dense_1/kernel"],
            "the penalty is part of the first gradient"
        );
        Ok(())
    }

    /// w ← w − rate · xᵀδ for w: \[6, 8\], by hand: the graph, x, δ, w and the product.
    fn by_hand() -> Result<(Graph, [Node; 4])> {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(6)])?;
        let delta = g.placeholder("delta", &[None, Some(8)])?;
        let w = g.variable("w", &[6, 8], Initializer::Constant(1.0))?;
        let product = g.matmul_with(x, Trans::Yes, delta, Trans::No)?;
        Ok((g, [x, delta, w, product]))
    }

    fn assign(g: &mut Graph, w: Node, rate: Node, gradient: Node) -> Result<Node> {
        let less = g.mul(rate, gradient)?;
        let new = g.sub(w, less)?;
        g.assign(w, new)
    }

    #[test]
    fn weights_that_are_read_before_or_in_the_same_shard_do_not_matter() -> Result<()> {
        let (mut g, [x, _, w, product]) = by_hand()?;
        let rate = g.scalar(0.5);
        let step = assign(&mut g, w, rate, product)?;
        let y = g.matmul(x, w)?;
        let squares = g.square(w)?;
        let norm = g.reduce_sum(squares)?;
        assert_eq!(descends(&g, &[step], 50)?, ["w"]);
        assert_eq!(descends(&g, &[step, y, norm, w], 50)?, ["w"]);
        Ok(())
    }

    #[test]
    fn weights_that_are_read_later_stay_as_they_are_till_then() -> Result<()> {
        let (mut g, [x, _, w, product]) = by_hand()?;
        let rate = g.scalar(0.5);
        let step = assign(&mut g, w, rate, product)?;
        let mean = g.reduce_mean(x)?;
        let centred = g.sub(x, mean)?;
        let y = g.matmul(centred, w)?;
        assert_eq!(descends(&g, &[step, y], 50)?, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_rate_that_is_a_sum_of_the_same_batch_is_waited_for() -> Result<()> {
        let (mut g, [x, _, w, product]) = by_hand()?;
        let sum = g.reduce_sum(x)?;
        let step = assign(&mut g, w, sum, product)?;
        assert_eq!(descends(&g, &[step], 50)?, [""; 0]);

        let (mut g, [x, _, w, product]) = by_hand()?;
        let sum = g.reduce_mean(x)?;
        let step = assign(&mut g, w, sum, product)?;
        assert_eq!(descends(&g, &[step], 50)?, [""; 0], "or computed from one");
        Ok(())
    }

    #[test]
    fn a_gradient_of_another_shape_than_the_weights_is_formed() -> Result<()> {
        let (mut g, [_, _, _, product]) = by_hand()?;
        let flat = g.variable("flat", &[48], Initializer::Constant(1.0))?;
        let reshaped = g.reshape(product, &[Some(48)])?;
        let rate = g.scalar(0.5);
        let step = assign(&mut g, flat, rate, reshaped)?;
        assert_eq!(descends(&g, &[step], 50)?, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_product_that_serves_two_variables_is_formed() -> Result<()> {
        let (mut g, [_, _, w, product]) = by_hand()?;
        let v = g.variable("v", &[6, 8], Initializer::Constant(1.0))?;
        let rate = g.scalar(0.5);
        let steps = [assign(&mut g, w, rate, product)?, assign(&mut g, v, rate, product)?];
        assert_eq!(descends(&g, &steps, 50)?, [""; 0]);
        assert_eq!(descends(&g, &steps[1..], 50)?, ["v"]);
        Ok(())
    }
}
