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
