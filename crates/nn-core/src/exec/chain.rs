//! Where a training step ends, the next one begins: the weights that a step changes last are those that the next one multiplies first. So if
//! it is known which rows come next, a thread that has changed its columns of the weights goes on to multiply those rows by them. The last
//! band of a step and the first one of the next become one: a step is a single fork and join.
//!
//! What was multiplied ahead serves if just these rows come, and no variable has changed since
//! ([`RowsMade`](super::rows_ahead::RowsMade) knows both); else they are multiplied when they come. It is the same bits either way.

use super::ahead::assigns;
use super::bands::{Band, can_follow};
use super::program::{Instr, Kernel, Place, Program, Stage};

/// The last band of a run and the first one of the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chain {
    /// The instructions of both. Those of the next run read [`Place::Next`].
    pub(super) instrs: Vec<Instr>,
    /// How many of them belong to this run.
    own: usize,
    /// The number of the feed whose rows are multiplied.
    pub(super) feed: usize,
}

impl Chain {
    /// The instructions that belong to the next run.
    pub(super) fn of_next(&self) -> &[Instr] {
        &self.instrs[self.own..]
    }
}

/// The chain of stage `number`, whose shards are a single one. There is one if
///
/// - no other stage has shards, whose values would take the places of these;
/// - the first band does nothing but multiply the rows of one feed by variables, and what it writes is the shard's own;
/// - the last band changes variables, and those that are multiplied change in the shards, if at all;
/// - both are cut along the same columns, and no thread needs of another what that one has not written before the last band.
pub(super) fn chain(program: &Program, number: usize) -> Option<Chain> {
    let stage = &program.stages[number];
    let [first, .., last] = &stage.bands[..] else { return None };
    let is_elsewhere = |(s, other): (usize, &Stage)| s != number && !other.per_shard.is_empty();
    if program.stages.iter().enumerate().any(is_elsewhere) {
        return None;
    }
    let instrs_of = |band: &Band| &stage.per_shard[band.instrs.clone()];
    let (begin, end) = (instrs_of(first), instrs_of(last));
    let Some(&Place::Feed(feed)) = begin[0].ins.first().map(|x| &x.place) else { return None };
    let is_written = |place: Place| begin.iter().flat_map(|instr| &instr.outs).any(|out| out.place == place);
    let only_multiplies = |instr: &Instr| {
        let is_product = matches!(instr.kernel, Kernel::Affine { .. } | Kernel::PartialProducts);
        let is_variable = |place: Place| matches!(place, Place::Var(_));
        is_product
            && (instr.ins[0].place == Place::Feed(feed) || is_written(instr.ins[0].place))
            && instr.ins[1..].iter().all(|x| is_variable(x.place))
            && instr.outs.iter().all(|out| matches!(out.place, Place::Slot(_)))
    };
    let cut_alike = first.cols.is_some() && first.cols == last.cols;
    let changes_variables = end.iter().any(assigns);
    if !cut_alike
        || !changes_variables
        || !begin.iter().all(only_multiplies)
        || changes_otherwise(program, begin)
    {
        return None;
    }
    let mut instrs = end.to_vec();
    for instr in begin {
        let mut instr = instr.clone();
        for x in instr.ins.iter_mut().filter(|x| x.place == Place::Feed(feed)) {
            x.place = Place::Next(feed);
        }
        // A thread may be ahead of another one.
        if !instrs.iter().all(|before| can_follow(before, &instr)) {
            return None;
        }
        instrs.push(instr);
    }
    Some(Chain { instrs, own: end.len(), feed })
}

/// Whether anything writes a variable that `instrs` read but shards.
fn changes_otherwise(program: &Program, instrs: &[Instr]) -> bool {
    let is_read = |place: Place| instrs.iter().flat_map(|instr| &instr.ins).any(|x| x.place == place);
    let writes = |instr: &Instr| assigns(instr) && instr.outs.iter().any(|out| is_read(out.place));
    program.initializes
        || program.commits.iter().any(|(id, _)| is_read(Place::Var(*id)))
        || program.stages.iter().flat_map(|stage| &stage.before).any(writes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use crate::exec::lower::lower;
    use crate::graph::{DType, Graph, Node, Op};
    use crate::layers::Dense;
    use crate::ops::Activation;
    use crate::optim::{Clipping, Optimizer};

    /// Columns of a block, and rows of a shard.
    const BLOCK: usize = 16;
    const SHARD: usize = 252;

    /// A classifier 6 → … → 4 with so many hidden units, what its last hidden layer gives, its loss, and its step.
    fn classifier(hidden: &[usize], optimizer: &Optimizer, l2: f64) -> Result<(Graph, Node, Node, Node)> {
        let mut g = Graph::new();
        let mut x = g.placeholder("x", &[None, Some(6)])?;
        let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
        let mut penalty = None;
        for &units in hidden {
            let layer =
                Dense::new(units).activation(Activation::Tanh).regularizer(0.0, l2).build(&mut g, x)?;
            (x, penalty) = (layer.output, layer.penalty);
        }
        let logits = Dense::new(4).build(&mut g, x)?.output;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let mut loss = g.reduce_mean(losses)?;
        if let Some(penalty) = penalty {
            loss = g.add(loss, penalty)?;
        }
        let step = optimizer.minimize(&mut g, loss)?;
        Ok((g, x, loss, step))
    }

    /// What a run of `fetches` on `rows` rows compiles to.
    fn program(g: &Graph, fetches: &[Node], rows: usize) -> Result<Program> {
        let feeds: Vec<Node> = g.handles().filter(|&n| g.node(n).op == Op::Placeholder).collect();
        lower(g, fetches, &feeds, &|_| Some(rows), Some(BLOCK), SHARD)
    }

    /// The chains of all stages of a program.
    fn chains(program: &Program) -> Vec<&Chain> {
        program.stages.iter().filter_map(|stage| stage.chain.as_ref()).collect()
    }

    fn counted(g: &Graph, fetches: &[Node], rows: usize) -> Result<usize> {
        Ok(chains(&program(g, fetches, rows)?).len())
    }

    #[test]
    fn a_step_ends_with_the_first_products_of_the_next_whose_values_nothing_else_takes_the_place_of()
    -> Result<()> {
        for optimizer in [Optimizer::sgd(0.1), Optimizer::rmsprop(0.1), Optimizer::adam(0.1)] {
            for l2 in [0.0, 0.01] {
                let (g, _, loss, step) = classifier(&[48], &optimizer, l2)?;
                let program = program(&g, &[loss, step], 50)?;
                let chains = chains(&program);
                let [chain] = chains[..] else { panic!("{optimizer:?}: {} chains", chains.len()) };
                let [product, partial] = chain.of_next() else { panic!("{:?}", chain.of_next()) };
                assert!(matches!(product.kernel, Kernel::Affine { f: Activation::Tanh, bias: true }));
                assert_eq!(product.ins[0].place, Place::Next(0));
                assert_eq!(partial.kernel, Kernel::PartialProducts);
                // All that it reads is changed before, by threads that own it.
                let changes = &chain.instrs[..chain.own];
                for x in product.ins[1..].iter().chain(&partial.ins[1..]) {
                    let changed = changes.iter().flat_map(|i| &i.outs).any(|out| out.place == x.place);
                    assert!(changed, "{optimizer:?}: {x:?}");
                }
                let kept: Vec<_> = [product, partial].map(|instr| instr.outs[0].place).to_vec();
                let stage = program.stages.iter().find(|s| s.chain.is_some()).expect("it has one");
                let others = stage.per_shard.iter().skip(chain.of_next().len());
                for out in others.flat_map(|instr| &instr.outs).filter(|out| !out.ints) {
                    assert!(!kept.contains(&out.place), "{optimizer:?}: {out:?} is written between them");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn there_is_none_where_a_single_condition_is_missing() -> Result<()> {
        let sgd = Optimizer::sgd(0.1);
        let (g, hidden, loss, step) = classifier(&[48], &sgd, 0.0)?;
        assert_eq!(counted(&g, &[step], SHARD)?, 1, "all are there");
        assert_eq!(counted(&g, &[step], SHARD + 1)?, 0, "two shards");
        assert_eq!(counted(&g, &[step, hidden], 50)?, 0, "what is multiplied is fetched");
        assert_eq!(counted(&g, &[loss], 50)?, 0, "nothing changes");
        for clipping in [Clipping::Norm(1.0), Clipping::GlobalNorm(1.0)] {
            let (g, _, _, step) = classifier(&[48], &sgd.clone().clipping(clipping), 0.0)?;
            assert_eq!(counted(&g, &[step], 50)?, 0, "weights change when the shard is over: {clipping:?}");
        }
        let (g, _, _, step) = classifier(&[48, 32], &sgd, 0.0)?;
        assert_eq!(counted(&g, &[step], 50)?, 1, "two layers");
        let (g, _, loss, step) = classifier(&[48, 48], &sgd, 0.0)?;
        assert_eq!(counted(&g, &[step], 50)?, 0, "the last band reads all that the first layer gave");
        assert_eq!(counted(&g, &[loss], 50)?, 0, "bands alike, but nothing changes");
        Ok(())
    }
}
