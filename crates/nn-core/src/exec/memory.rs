//! Which values can share a buffer: linear scan over the life of each.

use std::collections::{BTreeMap, HashMap};

use super::program::{BufferSizes, Place, Program};

/// A value of a straight-line program: the steps from its definition to its last use, and its size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) len: usize,
}

/// Assigns each value a buffer such that values alive at the same step never share one. Returns each value's buffer,
/// and the buffers' lengths. A free buffer is taken by best fit; one that is too small grows only if none fits.
pub(super) fn assign(lives: &[Life]) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&i| lives[i].from);
    let mut buffers: Vec<(usize, usize)> = Vec::new(); // (length, last step of the current owner)
    let mut chosen = vec![0; lives.len()];
    for i in order {
        let life = lives[i];
        let free = || (0..buffers.len()).filter(|&b| buffers[b].1 < life.from);
        let best = free()
            .filter(|&b| buffers[b].0 >= life.len)
            .min_by_key(|&b| buffers[b].0)
            .or_else(|| free().max_by_key(|&b| buffers[b].0));
        let b = best.unwrap_or_else(|| {
            buffers.push((0, 0));
            buffers.len() - 1
        });
        buffers[b] = (buffers[b].0.max(life.len), life.to);
        chosen[i] = b;
    }
    (chosen, buffers.into_iter().map(|(len, _)| len).collect())
}

/// Lets values of a shard that are never alive together share a slot.
pub(super) fn share_slots(program: &mut Program, slots: &BufferSizes) {
    for ints in [false, true] {
        let lens = if ints { slots.ints.clone() } else { slots.floats.clone() };
        let mut sizes: Vec<usize> = Vec::new();
        for stage in &mut program.stages {
            let mut lives: BTreeMap<usize, Life> = BTreeMap::new();
            // The instructions of a band are one step: a thread may be ahead of another by all of them.
            let steps = stage.bands.iter().enumerate().flat_map(|(step, band)| {
                stage.per_shard[band.instrs.clone()].iter().map(move |instr| (step, instr))
            });
            for (step, instr) in steps {
                for operand in instr.ins.iter().chain(&instr.outs).filter(|o| o.ints == ints) {
                    if let Place::Slot(i) = operand.place {
                        lives.entry(i).or_insert(Life { from: step, to: step, len: lens[i] }).to = step;
                    }
                }
            }
            // What is computed for the next run stays until then.
            let of_next = stage.chain.iter().flat_map(|chain| chain.of_next());
            for out in of_next.flat_map(|instr| &instr.outs).filter(|out| out.ints == ints) {
                if let Place::Slot(i) = out.place {
                    lives.insert(i, Life { from: 0, to: stage.bands.len(), len: lens[i] });
                }
            }
            let (chosen, stage_sizes) = assign(&lives.values().copied().collect::<Vec<_>>());
            let rename: HashMap<usize, usize> = lives.into_keys().zip(chosen).collect();
            let chained = stage.chain.iter_mut().flat_map(|chain| &mut chain.instrs);
            for instr in stage.per_shard.iter_mut().chain(chained) {
                for operand in instr.ins.iter_mut().chain(&mut instr.outs).filter(|o| o.ints == ints) {
                    if let Place::Slot(i) = &mut operand.place {
                        *i = rename[i];
                    }
                }
            }
            for (i, len) in stage_sizes.into_iter().enumerate() {
                match sizes.get_mut(i) {
                    Some(size) => *size = len.max(*size),
                    None => sizes.push(len),
                }
            }
        }
        *(if ints { &mut program.slots.ints } else { &mut program.slots.floats }) = sizes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chain_of_values_needs_two_buffers() {
        let lives: Vec<Life> = (0..10).map(|i| Life { from: i, to: i + 1, len: 100 }).collect();
        assert_eq!(assign(&lives).1, [100, 100]);
    }

    /// Two instructions of a band, the second of which reads nothing that the first read.
    #[test]
    fn values_of_a_band_share_no_slot_even_if_one_is_dead_before_the_other() {
        use crate::exec::bands::Band;
        use crate::exec::program::{Extent, Instr, Kernel, Operand, Stage};
        let value = |slot| Operand {
            place: Place::Slot(slot),
            extent: Extent::Batch,
            cols: 8,
            ints: false,
            blocked: true,
        };
        let copy =
            |from, to| Instr { kernel: Kernel::Relayout, ins: vec![value(from)], outs: vec![value(to)] };
        let slots = BufferSizes { floats: vec![8; 4], ints: vec![] };
        let instrs = vec![copy(0, 1), copy(1, 2), copy(2, 3)];
        let shared_by = |bands: &[std::ops::Range<usize>]| {
            let bands = bands.iter().map(|instrs| Band { instrs: instrs.clone(), cols: None }).collect();
            let stage = Stage { per_shard: instrs.clone(), bands, ..Stage::default() };
            let mut program = Program { stages: vec![stage], ..Program::default() };
            share_slots(&mut program, &slots);
            program.slots.floats.len()
        };
        assert_eq!(shared_by(&[0..1, 1..2, 2..3]), 2);
        assert_eq!(shared_by(&[0..1, 1..3]), 3);
        assert_eq!(shared_by(&[0..3, 3..3]), 4);
    }

    proptest! {
        #[test]
        fn values_alive_together_never_share_and_always_fit(
            spans in proptest::collection::vec((0usize..30, 0usize..10, 1usize..100), 0..40)
        ) {
            let lives: Vec<Life> =
                spans.iter().map(|&(from, more, len)| Life { from, to: from + more, len }).collect();
            let (chosen, sizes) = assign(&lives);
            for (i, a) in lives.iter().enumerate() {
                prop_assert!(sizes[chosen[i]] >= a.len);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let together = a.from <= b.to && b.from <= a.to;
                    prop_assert!(!together || chosen[i] != chosen[j], "{a:?} and {b:?} share a buffer");
                }
            }
        }
    }
}
