//! Updates of what has a few numbers for each column, a bias or the weights of a narrow layer that follows, as part of the band that forms
//! their gradients: each thread updates what belongs to its own columns, and nobody has to do it for all afterwards.

use super::ahead::assigns;
use super::bands::can_follow;
use super::program::{Extent, Instr, Kernel, Operand, Place, Program, Stage};
use super::update::{can_end_shards, only_reader, what_forms};

/// Moves passes to the end of the bands that form the sums they read, in each stage that is a single shard and changes variables anyway,
/// where the band cuts the sum as the pass can be cut.
pub(super) fn update_in_band(program: &mut Program, is_single: impl Fn(usize) -> bool) {
    for sum in 0..program.sums.len() {
        let stage = program.sums[sum].stage;
        if is_single(stage)
            && let Some(Found { band, pass: (s, number), moved }) = find(program, sum, stage)
        {
            program.stages[s].before.remove(number);
            let Stage { per_shard, bands, .. } = &mut program.stages[stage];
            per_shard.insert(bands[band].instrs.end, moved);
            bands[band].instrs.end += 1;
            for later in &mut bands[band + 1..] {
                later.instrs = later.instrs.start + 1..later.instrs.end + 1;
            }
        }
    }
}

/// A pass that can be moved.
struct Found {
    /// The band that it can be the end of.
    band: usize,
    /// Where it stands: the stage, and the number among what runs before its shards.
    pass: (usize, usize),
    /// What it is in the band.
    moved: Instr,
}

/// The pass that reads `sum`, if it can be moved into the shards of `stage`.
fn find(program: &Program, sum: usize, stage: usize) -> Option<Found> {
    let Stage { per_shard, bands, .. } = &program.stages[stage];
    let number = what_forms(program, sum, stage).filter(|_| per_shard.iter().any(assigns))?;
    let band = bands.iter().position(|band| band.instrs.contains(&number))?;
    let (instrs, later) = per_shard[bands[band].instrs.start..].split_at(bands[band].instrs.len());
    let (formed, cols) = (per_shard[number].outs[0], bands[band].cols?);
    let is_cut = match formed.extent {
        Extent::Fixed(1) => formed.cols == cols,
        Extent::Fixed(rows) => rows == cols,
        Extent::Batch => false,
    };
    let into = Place::Once(program.sums[sum].into);
    let at = only_reader(program, into)?;
    let mut moved = program.stages[at.0].before[at.1].clone();
    let Kernel::Elementwise(pass) = &moved.kernel else { return None };
    let shape = |x: &Operand| (x.extent, x.cols, x.blocked);
    let mut arrays = moved.ins[..pass.inputs()].iter().chain(&moved.outs);
    let others: Vec<Operand> = moved.ins.iter().filter(|x| x.place != into).copied().collect();
    let is_needed_later = |out: &Operand| later.iter().flat_map(|i| &i.ins).any(|x| x.place == out.place);
    let fits = is_cut
        && !formed.blocked
        && arrays.all(|x| shape(x) == shape(&formed))
        && moved.outs.iter().all(|out| matches!(out.place, Place::Var(_)) && !is_needed_later(out))
        && can_end_shards(program, stage, at, &others, &moved.outs);
    moved.ins.iter_mut().filter(|x| x.place == into).for_each(|x| x.place = formed.place);
    let fits = fits && instrs.iter().all(|before| can_follow(before, &moved));
    fits.then_some(Found { band, pass: at, moved })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use crate::exec::lower::lower;
    use crate::graph::{DType, Graph, Node, Op};
    use crate::layers::Dense;
    use crate::ops::Activation;
    use crate::optim::Optimizer;

    /// The step of a classifier 6 → 48 tanh → 4, and its gradients.
    fn classifier(optimizer: &Optimizer) -> Result<(Graph, Node, Vec<Node>)> {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(6)])?;
        let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
        let hidden = Dense::new(48).activation(Activation::Tanh).build(&mut g, x)?.output;
        let logits = Dense::new(4).build(&mut g, hidden)?.output;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let loss = g.reduce_mean(losses)?;
        let pairs = optimizer.compute_gradients(&mut g, loss)?;
        let step = optimizer.apply_gradients(&mut g, &pairs)?;
        Ok((g, step, pairs.into_iter().map(|(gradient, _)| gradient).collect()))
    }

    /// The variables, by name, that passes within the shards change; and those that passes change after them.
    fn changed(g: &Graph, fetches: &[Node], rows: usize) -> Result<[Vec<String>; 2]> {
        let feeds: Vec<Node> = g.handles().filter(|&n| g.node(n).op == Op::Placeholder).collect();
        let program = lower(g, fetches, &feeds, &|_| Some(rows), Some(16), 252)?;
        let by_passes = |instrs: &mut dyn Iterator<Item = &Instr>| {
            let passes = instrs.filter(|instr| matches!(instr.kernel, Kernel::Elementwise(_)));
            let outs = passes.flat_map(|instr| &instr.outs);
            let mut names: Vec<String> = outs
                .filter_map(|out| match out.place {
                    Place::Var(id) => Some(g.var(id).name.clone()),
                    _ => None,
                })
                .collect();
            names.sort();
            names
        };
        let stages = &program.stages;
        Ok([
            by_passes(&mut stages.iter().flat_map(|stage| &stage.per_shard)),
            by_passes(&mut stages.iter().flat_map(|stage| &stage.before)),
        ])
    }

    #[test]
    fn what_belongs_to_a_layer_s_columns_changes_in_their_band() -> Result<()> {
        let (g, step, _) = classifier(&Optimizer::sgd(0.1))?;
        let [band, after] = changed(&g, &[step], 50)?;
        // Plain descent has both layers' weights in kernels of their own.
        assert_eq!(band, ["dense/bias"]);
        assert!(after.contains(&"dense_1/bias".to_owned()) && !after.contains(&"dense/bias".to_owned()));

        let (g, step, gradients) = classifier(&Optimizer::adam(0.1))?;
        let [band, after] = changed(&g, &[step], 50)?;
        assert_eq!(band.len(), 6, "a bias and the next layer's weights, with two slots each: {band:?}");
        assert_eq!(after.iter().filter(|name| name.contains("dense_1/bias")).count(), 3, "{after:?}");

        let [band, _] = changed(&g, &[step, gradients[1]], 50)?;
        assert_eq!(band.len(), 3, "the gradient of a bias is fetched: {band:?}");
        let [band, _] = changed(&g, &[step], 253)?;
        assert_eq!(band, [""; 0], "two shards add up their sums first");
        Ok(())
    }

    #[test]
    fn weights_that_the_way_back_still_needs_change_after_it() -> Result<()> {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(6)])?;
        let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
        let first = Dense::new(48).activation(Activation::Tanh).build(&mut g, x)?.output;
        let second = Dense::new(32).activation(Activation::Tanh).build(&mut g, first)?.output;
        let logits = Dense::new(4).build(&mut g, second)?.output;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let loss = g.reduce_mean(losses)?;
        let step = Optimizer::adam(0.1).minimize(&mut g, loss)?;
        let feeds = [x, labels];
        let program = lower(&g, &[step], &feeds, &|_| Some(50), Some(16), 252)?;
        let instrs: Vec<&Instr> = program.stages.iter().flat_map(|stage| &stage.per_shard).collect();
        for (number, instr) in instrs.iter().enumerate() {
            let outs = instr.outs.iter().filter(|out| matches!(out.place, Place::Var(_)));
            for out in outs {
                let later = instrs[number + 1..].iter().flat_map(|later| &later.ins);
                assert!(!later.map(|x| x.place).any(|place| place == out.place), "{out:?} is read later");
            }
        }
        let [band, _] = changed(&g, &[step], 50)?;
        for name in ["dense/bias", "dense_1/bias", "dense_2/kernel"] {
            assert_eq!(band.iter().filter(|changed| changed.contains(name)).count(), 3, "{name}: {band:?}");
        }
        Ok(())
    }
}
