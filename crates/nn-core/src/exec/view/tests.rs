use super::*;
use crate::layers::Dense;
use crate::ops::Activation;
use crate::optim::{Optimizer, Schedule, Sgd};

/// A classifier 6 → 5 tanh → 3 with its training step: the graph, and the fetches loss, accuracy and step.
fn classifier(optimizer: &Optimizer) -> Result<(Graph, [Node; 3])> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(6)])?;
    let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
    let hidden = Dense::new(5).activation(Activation::Tanh).build(&mut g, x)?.output;
    let logits = Dense::new(3).build(&mut g, hidden)?.output;
    let losses = g.softmax_cross_entropy(logits, labels)?;
    let loss = g.reduce_mean(losses)?;
    let predicted = g.argmax(logits)?;
    let right = g.equal(predicted, labels)?;
    let right = g.cast(right, DType::Float);
    let accuracy = g.reduce_mean(right)?;
    let step = optimizer.minimize(&mut g, loss)?;
    Ok((g, [loss, accuracy, step]))
}

fn kernels<'e>(explained: &'e Explained, steps: &[usize]) -> Vec<&'e str> {
    steps.iter().map(|&s| explained.steps[s].kernel.as_str()).collect()
}

#[test]
fn a_training_step_is_told_as_it_runs() -> Result<()> {
    let (g, fetches) = classifier(&Optimizer::sgd(0.1))?;
    let explained = explain(&g, &fetches, 1000, 100)?;
    let [first, last] = explained.stages.as_slice() else { panic!("{:?}", explained.stages) };
    assert_eq!((first.shards, first.lanes, last.shards, last.lanes), (10, 5, 0, 0));
    let per_shard = kernels(&explained, &first.per_shard);
    for kernel in [
        "affine tanh",
        "affine linear",
        "cross-entropy + gradient",
        "accumulate weights (xᵀ·δ)",
        "backpropagate (δ·wᵀ ⊙ tanh′)",
    ] {
        assert!(per_shard.contains(&kernel), "no {kernel} in {per_shard:?}");
    }
    let sums: Vec<&[usize]> = first.sums.iter().map(|s| s.dims.as_slice()).collect();
    for dims in [[6, 5].as_slice(), &[5], &[5, 3], &[3], &[]] {
        assert!(sums.contains(&dims), "no sum {dims:?} in {sums:?}");
    }
    let update = last.before.iter().map(|&s| &explained.steps[s]).find(|step| {
        step.outputs
            .iter()
            .any(|o| matches!(o.origin, Origin::Variable(id) if g.var(id).name == "dense/kernel"))
    });
    let update = update.expect("the kernel is updated in place");
    assert_eq!(update.kernel, "mul, sub");
    assert!(update.inputs.iter().any(|i| matches!(i.origin, Origin::Sum { .. })), "{update:?}");
    Ok(())
}

#[test]
fn shapes_are_a_shards_and_a_short_batch_is_one_short_shard() -> Result<()> {
    let (g, fetches) = classifier(&Optimizer::sgd(0.1))?;
    for (rows, expected) in [(1000, (100, 10)), (100, (100, 1)), (7, (7, 1))] {
        let explained = explain(&g, &fetches, rows, 100)?;
        let stage = &explained.stages[0];
        let affine = &explained.steps[stage.per_shard[0]];
        assert_eq!((explained.shard_rows, stage.shards), expected, "{rows}");
        assert_eq!(
            (affine.inputs[0].dims.as_slice(), affine.inputs[1].dims.as_slice()),
            ([expected.0, 6].as_slice(), [6, 5].as_slice())
        );
        assert_eq!(affine.outputs[0].shape.as_ref().map(Shape::to_string).as_deref(), Some("[None, 5]"));
    }
    Ok(())
}

#[test]
fn every_computed_node_of_the_run_belongs_to_a_step() -> Result<()> {
    let optimizers = [
        Optimizer::adam(0.1),
        Optimizer::rmsprop(0.1),
        Optimizer::from(Sgd::new(0.1).momentum(0.9).nesterov(true)).decay(1e-3),
        Optimizer::adagrad(0.1).schedule(Schedule::Step { every: 10, factor: 0.5 }),
    ];
    for optimizer in optimizers {
        let (g, fetches) = classifier(&optimizer)?;
        let explained = explain(&g, &fetches, 50, 16)?;
        let analysis = Analysis::new(&g, &fetches);
        let computed = |n: &Node| {
            let op = &g.node(*n).op;
            let source = matches!(op, Op::Placeholder | Op::Variable(_) | Op::Constant(_) | Op::Size);
            // Assignments may take effect at the end, without a step.
            analysis.when[n.index()].is_some() && !source && !matches!(op, Op::Group | Op::Assign(_))
        };
        for node in g.handles().filter(computed) {
            let steps = explained.steps.iter().filter(|step| step.nodes.contains(&node)).count();
            assert!(steps >= 1, "{}: \"{}\" is in no step", optimizer.name(), g.node(node).name);
        }
        let in_place = explained.steps.iter().flat_map(|s| &s.outputs).filter_map(|o| match o.origin {
            Origin::Variable(id) => Some(id),
            _ => None,
        });
        let assigned: std::collections::BTreeSet<VarId> =
            in_place.chain(explained.commits.iter().map(|c| c.variable)).collect();
        let expected = g.nodes().iter().filter(|n| matches!(n.op, Op::Assign(_))).count();
        assert_eq!(assigned.len(), expected, "{}", optimizer.name());
    }
    Ok(())
}

#[test]
fn a_step_reads_only_what_earlier_steps_wrote() -> Result<()> {
    let (g, fetches) = classifier(&Optimizer::adam(0.1))?;
    let explained = explain(&g, &fetches, 1000, 100)?;
    for (number, step) in explained.steps.iter().enumerate() {
        for input in &step.inputs {
            if let Origin::Step { step: from, output } = input.origin {
                assert!(from < number && output < explained.steps[from].outputs.len());
            }
            if let Origin::Sum { step: from } = input.origin {
                assert!(from < number, "{step:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn an_update_is_one_pass_for_each_variable_and_nothing_of_it_waits_in_memory() -> Result<()> {
    let momentum = Optimizer::from(Sgd::new(0.1).momentum(0.9));
    for optimizer in [Optimizer::adam(0.1), Optimizer::rmsprop(0.1), Optimizer::adagrad(0.1), momentum] {
        let (g, fetches) = classifier(&optimizer)?;
        let explained = explain(&g, &fetches, 1000, 100)?;
        let kernel_sized = |value: &ValueView| value.dims.iter().product::<usize>() == 6 * 5;
        let once = explained.stages.iter().flat_map(|stage| &stage.before);
        let writers: Vec<&StepView> = once
            .map(|&step| &explained.steps[step])
            .filter(|step| step.outputs.iter().any(kernel_sized))
            .collect();
        let [update] = writers.as_slice() else { panic!("{}: {writers:?}", optimizer.name()) };
        let in_place = |value: &ValueView| matches!(value.origin, Origin::Variable(_));
        assert!(update.outputs.iter().all(in_place), "{}: {update:?}", optimizer.name());
    }
    Ok(())
}

#[test]
fn a_value_that_needs_the_whole_batch_makes_another_stage() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(2)])?;
    let mean = g.reduce_mean(x)?;
    let centred = g.sub(x, mean)?;
    let explained = explain(&g, &[centred], 30, 10)?;
    let shards: Vec<usize> = explained.stages.iter().map(|s| s.shards).collect();
    assert_eq!(&shards[..2], [3, 3]);
    assert_eq!(explained.fetched[0].as_ref().and_then(|v| v.node), Some(centred));
    Ok(())
}

#[test]
fn a_fetch_of_another_graph_is_refused() -> Result<()> {
    let (_, fetches) = classifier(&Optimizer::sgd(0.1))?;
    let error = explain(&Graph::new(), &fetches, 1, 1).map(|_| ()).map_err(|e| e.to_string());
    assert!(error.is_err_and(|e| e.contains("not a node of this graph")));
    Ok(())
}
