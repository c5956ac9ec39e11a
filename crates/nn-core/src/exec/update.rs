//! Where a batch is a single shard, its gradient is complete as soon as it is formed, and is applied at once: no buffer for the
//! gradient of all weights is written and read again.
//!
//! Plain gradient descent adds the product that would form the gradient to the weights themselves. Any other rule is a pass
//! over the weights and what it remembers of each; this pass becomes part of the product, one block of columns after the other, so that
//! the gradient need not leave the cache, or even the registers, in which it is formed.

use smallvec::SmallVec;

use super::elementwise::{FEW_READ, cut};
use super::pool::Worker;
use super::program::{Fetched, Instr, Kernel, Operand, Place, Program};
use super::store::{ShardStore, Store};
use crate::Scalar;
use crate::backend::reference::fits;
use crate::matrix::{MatRef, blocked_len};
use crate::ops::{Binary, Pass, Source, Step, Update};

/// Makes one instruction of each product that forms a gradient and the pass that applies it, where the stage is a single shard (as
/// `is_single` says) and nothing else needs the gradient. It stands at the end of the shard's instructions, where nothing reads the
/// variables' old values any more.
pub(super) fn update_in_place(program: &mut Program, is_single: impl Fn(usize) -> bool) {
    for sum in 0..program.sums.len() {
        let stage = program.sums[sum].stage;
        if is_single(stage)
            && let Some(found) = find(program, sum, stage)
        {
            program.stages[stage].per_shard.remove(found.product);
            program.stages[stage].per_shard.push(found.update);
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
    /// Both in one.
    update: Instr,
}

/// The product that forms `sum` in the shards of `stage`, and the only pass that reads it, if they can be one instruction.
fn find(program: &Program, sum: usize, stage: usize) -> Option<Found> {
    let number = what_forms(program, sum, stage)?;
    let product = &program.stages[stage].per_shard[number];
    if product.kernel != Kernel::AccumulateWeights {
        return None;
    }
    let into = Place::Once(program.sums[sum].into);
    let at = only_reader(program, into)?;
    let pass = &program.stages[at.0].before[at.1];
    let update = descent(product, pass, into).or_else(|| pass_in_blocks(product, pass, into))?;
    // A gradient that was reshaped on the way has the variables' elements in another shape.
    let shape = |x: &Operand| (x.extent, x.cols, x.blocked);
    let is_like_sum = |out: &Operand| product.outs.first().map(shape) == Some(shape(out));
    let fits = update.outs.iter().all(is_like_sum)
        && can_end_shards(program, stage, at, &update.ins[PRODUCT..], &update.outs);
    fits.then_some(Found { product: number, pass: at, update })
}

/// Which instruction of the shards of `stage` forms `sum`.
pub(super) fn what_forms(program: &Program, sum: usize, stage: usize) -> Option<usize> {
    let is_sum = |out: &Operand| out.place == Place::Sum(sum);
    program.stages[stage].per_shard.iter().position(|instr| instr.outs.iter().any(is_sum))
}

/// The instruction that reads what is at `place`, by its stage and its number among what runs before the shards, if nothing else needs it.
pub(super) fn only_reader(program: &Program, place: Place) -> Option<(usize, usize)> {
    let mut readers = program.stages.iter().enumerate().flat_map(|(s, stage)| {
        let before = stage.before.iter().enumerate().map(move |(i, instr)| (s, Some(i), instr));
        before.chain(stage.per_shard.iter().map(move |instr| (s, None, instr)))
    });
    let mut readers = readers.by_ref().filter(|(_, _, instr)| instr.ins.iter().any(|x| x.place == place));
    let (stage, Some(number), _) = readers.next()? else { return None };
    let kept = program.commits.iter().any(|(_, from)| from.place == place)
        || program
            .fetched
            .iter()
            .any(|f| matches!(f, Fetched::Once { operand, .. } if operand.place == place));
    (readers.next().is_none() && !kept).then_some((stage, number))
}

/// Whether the pass at `at`, which reads `ins` beside what the shards of `stage` form, and writes `outs`, can as well be the end of these
/// shards.
pub(super) fn can_end_shards(
    program: &Program,
    stage: usize,
    at: (usize, usize),
    ins: &[Operand],
    outs: &[Operand],
) -> bool {
    // The variables change earlier than they would have. So whatever else reads them must run before: in these shards, at whose end the
    // update stands, or before them. (Fetched variables are read before everything.)
    let runs_later = |reads: &dyn Fn(&Instr) -> bool| {
        program.stages.iter().enumerate().skip(stage + 1).any(|(s, later)| {
            let before = later.before.iter().enumerate();
            let mut before = before.filter(|(i, _)| (s, *i) != at);
            before.any(|(_, instr)| reads(instr)) || later.per_shard.iter().any(reads)
        })
    };
    let writes = |place: Place| move |instr: &Instr| instr.outs.iter().any(|out| out.place == place);
    let reads = |place: Place| move |instr: &Instr| instr.ins.iter().any(|x| x.place == place);
    let is_needed = |out: &Operand| {
        runs_later(&reads(out.place)) || program.commits.iter().any(|(_, from)| from.place == out.place)
    };
    // The pass runs earlier, too. So what it reads beside the gradient must have the value before the shards run that it has
    // where the pass stands: nothing in between may write it.
    let changes = |x: &Operand| {
        program.stages[stage + 1..=at.0].iter().any(|s| s.before.iter().any(writes(x.place)))
            || program.sums.iter().any(|sum| sum.stage >= stage && Place::Once(sum.into) == x.place)
            || program.stages[stage].per_shard.iter().any(writes(x.place))
    };
    !outs.iter().any(is_needed) && !ins.iter().any(changes)
}

/// w −= rate · xᵀ · δ as one instruction, if the pass is w ← w − rate · sum and nothing more.
fn descent(product: &Instr, pass: &Instr, sum: Place) -> Option<Instr> {
    let (Kernel::Elementwise(steps), [weights], [gradient, rate]) =
        (&pass.kernel, pass.outs.as_slice(), pass.ins.as_slice())
    else {
        return None;
    };
    let &[Step::Binary(Binary::Mul, a, b, product_of), Step::Binary(Binary::Sub, from, less, result)] =
        steps.steps()
    else {
        return None;
    };
    let scaled =
        matches!((a, b), (Source::Scalar(0), Source::Input(0)) | (Source::Input(0), Source::Scalar(0)));
    let descends = from == Source::Output(0) && less == Source::Register(product_of);
    let written = steps.outputs() == [Source::Register(result)];
    let is_variable = matches!(weights.place, Place::Var(_));
    (scaled && descends && written && is_variable && gradient.place == sum).then(|| Instr {
        kernel: Kernel::Descend,
        ins: product.ins.iter().chain([rate]).copied().collect(),
        outs: vec![*weights],
    })
}

/// How many inputs of an [`Update`](Kernel::Update) are the product's, x and δ; those of the pass follow, without the gradient.
const PRODUCT: usize = 2;

/// The product and the pass as one [`Update`](Kernel::Update), if all arrays of the pass are in blocks of columns, so that a block of the
/// gradient meets whole pieces of the others.
fn pass_in_blocks(product: &Instr, instr: &Instr, sum: Place) -> Option<Instr> {
    let Kernel::Elementwise(pass) = &instr.kernel else { return None };
    let is_sum = |x: &Operand| x.place == sum;
    let gradient = instr.ins.iter().position(is_sum)?;
    let in_blocks = |x: &Operand| x.blocked;
    let arrays = &instr.ins[..pass.inputs()];
    let fits = arrays.iter().filter(|x| is_sum(x)).count() == 1
        && arrays.iter().chain(&instr.outs).all(in_blocks)
        && instr.outs.iter().all(|out| matches!(out.place, Place::Var(_)));
    let others = instr.ins.iter().filter(|x| !is_sum(x)).copied();
    fits.then(|| Instr {
        kernel: Kernel::Update { pass: pass.clone(), gradient },
        ins: product.ins.iter().copied().chain(others).collect(),
        outs: instr.outs.clone(),
    })
}

/// Runs an [`Update`](Kernel::Update) on some blocks of columns: forms xᵀ · δ and applies the pass, one block after the other. `delta` has
/// these columns, the first of which is number `first` of all; `outputs` are the elements of the variables that belong to them.
pub(super) fn update<T: Scalar>(
    (pass, gradient): (&Pass, usize),
    instr: &Instr,
    store: &ShardStore<'_, '_, T>,
    (first, delta): (usize, MatRef<'_, T>),
    outputs: &mut [&mut [T]],
    worker: &mut Worker<T>,
) {
    let (x, backend) = (store.input(&instr.ins[0]), store.shared.backend);
    let (rows, cols) = (store.extent(&instr.outs[0]), store.block_cols());
    let len = blocked_len(rows, cols);
    let (arrays, scalars) = instr.ins[PRODUCT..].split_at(pass.inputs() - 1);
    let scalars: SmallVec<[T; FEW_READ]> = scalars.iter().map(|s| store.floats(s)[0]).collect();
    // Backwards: the instructions before this one went forwards through δ, and the last blocks are those that are still in the cache.
    for block in cut(outputs, len).iter_mut().rev() {
        let start = first / cols * len + block.start;
        let delta = delta.columns(block.start / len * cols, cols);
        let inputs: SmallVec<[&[T]; FEW_READ]> =
            arrays.iter().map(|a| &store.floats(a)[start..][..len]).collect();
        let update = Update::new((pass, gradient), &inputs, &scalars, &mut block.outputs, (rows, cols));
        backend.update_weights(x, delta, fits(update), &mut worker.scratch);
    }
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
    use crate::optim::{Clipping, Optimizer, RmsProp, Sgd};

    /// Rows of a shard.
    const SHARD: usize = 252;

    /// What a run of `fetches` on `rows` rows compiles to; weights may be in blocks of 4 columns.
    fn program(g: &Graph, fetches: &[Node], rows: usize) -> Result<Program> {
        let feeds: Vec<Node> = g.handles().filter(|&n| g.node(n).op == Op::Placeholder).collect();
        lower(g, fetches, &feeds, &|_| Some(rows), Some(4), SHARD)
    }

    /// Which variables are written in the shards by instructions that `is` tells.
    fn written(g: &Graph, program: &Program, is: impl Fn(&Kernel) -> bool) -> Vec<String> {
        let shards = program.stages.iter().flat_map(|stage| &stage.per_shard);
        let outs = shards.filter(|instr| is(&instr.kernel)).flat_map(|instr| &instr.outs);
        outs.map(|out| match out.place {
            Place::Var(id) => g.var(id).name.clone(),
            place => format!("{place:?}"),
        })
        .collect()
    }

    /// Which variables a run of `fetches` on `rows` rows descends on directly.
    fn descends(g: &Graph, fetches: &[Node], rows: usize) -> Result<Vec<String>> {
        Ok(written(g, &program(g, fetches, rows)?, |kernel| *kernel == Kernel::Descend))
    }

    /// Which variables it updates block by block.
    fn updates(g: &Graph, fetches: &[Node], rows: usize) -> Result<Vec<String>> {
        Ok(written(g, &program(g, fetches, rows)?, |kernel| matches!(kernel, Kernel::Update { .. })))
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
    fn other_rules_go_into_what_is_in_blocks_at_once() -> Result<()> {
        for (optimizer, l2, slots) in [
            (Optimizer::from(Sgd::new(0.1).momentum(0.9)), 0.0, vec!["momentum"]),
            (Optimizer::from(RmsProp::new(0.1).momentum(0.9)), 0.0, vec!["velocity", "momentum"]),
            (Optimizer::adam(0.1), 0.0, vec!["momentum", "velocity"]),
            (Optimizer::adam(0.1), 0.01, vec!["momentum", "velocity"]),
            (Optimizer::sgd(0.1), 0.01, vec![]),
        ] {
            let (g, gradients, step) = classifier(&optimizer, l2)?;
            let found = updates(&g, &[step], 50)?;
            assert_eq!(found.len(), slots.len() + 1, "{optimizer:?}: {found:?}");
            assert_eq!(found.last().map(String::as_str), Some("dense/kernel"), "{optimizer:?}");
            for (found, slot) in found.iter().zip(slots) {
                assert!(found.contains("kernel") && found.contains(slot), "{optimizer:?}: {found}");
            }
            assert_eq!(updates(&g, &[step], SHARD + 1)?, [""; 0], "shards add up their sums first");
            if l2 == 0.0 {
                assert_eq!(updates(&g, &[step, gradients[0]], 50)?, [""; 0], "it is fetched");
            }
        }
        Ok(())
    }

    #[test]
    fn simd_has_a_formula_for_the_update_of_every_rule() -> Result<()> {
        use crate::optim::{Adagrad, Adam, AdamW};
        let rules: [Optimizer; 9] = [
            Sgd::new(0.1).into(),
            Sgd::new(0.1).momentum(0.9).into(),
            Sgd::new(0.1).momentum(0.9).nesterov(true).into(),
            RmsProp::new(0.1).into(),
            RmsProp::new(0.1).momentum(0.9).into(),
            RmsProp::new(0.1).centered(true).into(),
            Adam::new(0.1).into(),
            AdamW::new(0.1).into(),
            Adagrad::new(0.1).into(),
        ];
        for optimizer in rules {
            for l2 in [0.0, 0.01] {
                let (g, _, step) = classifier(&optimizer, l2)?;
                // Two shards, so that no pass is part of another instruction.
                let program = program(&g, &[step], SHARD + 1)?;
                let last = program.stages.last().into_iter().flat_map(|stage| &stage.before);
                let passes = last.filter_map(|instr| match &instr.kernel {
                    Kernel::Elementwise(pass) => Some(pass),
                    _ => None,
                });
                let mut count = 0;
                for pass in passes {
                    assert!(crate::backend::simd::is_known(pass), "{optimizer:?}, l2 {l2}: {pass:?}");
                    count += 1;
                }
                assert_eq!(count, 4, "{optimizer:?}: two kernels and two biases");
            }
        }
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
