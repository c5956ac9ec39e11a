//! Bands: instructions of a shard that follow each other and can be cut along the same columns, so that a thread runs all of
//! them on its own columns without waiting for another thread in between. A band costs one fork and one join, however long it is.

use std::ops::Range;

use super::program::{Extent, Instr, Kernel, Operand};

/// Instructions that run between one fork and its join.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    /// Which of the shard's instructions.
    pub(super) instrs: Range<usize>,
    /// How many columns all of them are cut along. `None` is a band of a single instruction that is cut in another way, or not at all.
    pub(super) cols: Option<usize>,
}

/// The bands of a shard's instructions, in their order, each as long as possible.
pub(super) fn bands(instrs: &[Instr]) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for (number, instr) in instrs.iter().enumerate() {
        let cols = columns(instr);
        match bands.last_mut() {
            Some(band)
                if cols.is_some()
                    && band.cols == cols
                    && instrs[band.instrs.clone()].iter().all(|before| can_follow(before, instr)) =>
            {
                band.instrs.end = number + 1;
            }
            _ => bands.push(Band { instrs: number..number + 1, cols }),
        }
    }
    bands
}

/// Whether a band cuts the instruction's output between rows. A plain xᵀ · δ has a row for each column of x: where x is what the
/// threads have columns of, each of them writes the rows that belong to its own.
pub(super) fn is_cut_by_rows(instr: &Instr) -> bool {
    matches!(instr.kernel, Kernel::AccumulateWeights | Kernel::Descend) && !instr.outs[0].blocked
}

/// How many columns the instruction can be cut along, between blocks; `None` where it can't be.
fn columns(instr: &Instr) -> Option<usize> {
    let (ins, outs) = (&instr.ins, &instr.outs);
    let in_blocks = |x: &Operand| x.blocked.then_some(x.cols);
    match instr.kernel {
        Kernel::AccumulateWeights | Kernel::Descend if is_cut_by_rows(instr) => in_blocks(&ins[0]),
        Kernel::Affine { .. }
        | Kernel::Backpropagate { .. }
        | Kernel::AccumulateWeights
        | Kernel::Descend
        | Kernel::Update { .. } => in_blocks(&outs[0]),
        Kernel::PartialProducts | Kernel::AccumulateRows => in_blocks(&ins[0]),
        _ => None,
    }
}

/// What a thread that has some of a band's columns reads or writes of a matrix: the same columns of it, or the rows of these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Columns,
    Rows,
}

/// Which part of its input number `i` a thread's share of the instruction reads; `None` where it reads the whole of it.
fn reads(instr: &Instr, i: usize) -> Option<Part> {
    match (&instr.kernel, i) {
        (Kernel::Affine { .. }, 1 | 2) => Some(Part::Columns),
        (Kernel::Backpropagate { .. } | Kernel::PartialProducts, 1) => Some(Part::Rows),
        (Kernel::Backpropagate { .. }, 2) | (Kernel::PartialProducts | Kernel::AccumulateRows, _) => {
            Some(Part::Columns)
        }
        (Kernel::AccumulateWeights | Kernel::Descend, 0) if is_cut_by_rows(instr) => Some(Part::Columns),
        (Kernel::AccumulateWeights | Kernel::Descend, 1) if !is_cut_by_rows(instr) => Some(Part::Columns),
        (Kernel::Update { .. }, 1) => Some(Part::Columns),
        (Kernel::Elementwise(pass), i) if i < pass.inputs() => Some(of_each(&instr.ins[i])),
        _ => None,
    }
}

/// Which part of its output a thread's share of the instruction writes; `None` where that is not a part of a matrix that another
/// instruction of the band could read.
fn writes(instr: &Instr) -> Option<Part> {
    match instr.kernel {
        Kernel::PartialProducts => None,
        Kernel::Elementwise(_) => Some(of_each(&instr.outs[0])),
        _ if is_cut_by_rows(instr) => Some(Part::Rows),
        _ => Some(Part::Columns),
    }
}

/// Which part of an array of a pass belongs to some columns, where it has as many numbers for each of all columns: a vector's are columns, a
/// plain matrix has a row for each.
pub(super) fn of_each(x: &Operand) -> Part {
    if x.extent == Extent::Fixed(1) { Part::Columns } else { Part::Rows }
}

/// Whether a thread may run its share of `after` while another thread still runs its share of `before`, that is, whether none reads what
/// the other writes. What one of the instructions writes, the other may read, but only the part that the same thread writes. This goes
/// either way round, since weights that `before` reads may be changed by `after`. And they must not write the same place.
pub(super) fn can_follow(before: &Instr, after: &Instr) -> bool {
    let is_out = |instr: &Instr, x: &Operand| instr.outs.iter().any(|out| out.place == x.place);
    let only_own = |reader: &Instr, writer: &Instr| {
        let mut ins = reader.ins.iter().enumerate();
        ins.all(|(i, x)| {
            !is_out(writer, x) || reads(reader, i).is_some_and(|part| writes(writer) == Some(part))
        })
    };
    only_own(after, before) && only_own(before, after) && !after.outs.iter().any(|out| is_out(before, out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::program::{Extent, Place};
    use crate::graph::VarId;
    use crate::ops::Activation;

    const TANH: Activation = Activation::Tanh;

    /// A value of a batch, in blocks of columns.
    fn blocks(slot: usize, cols: usize) -> Operand {
        Operand { place: Place::Slot(slot), extent: Extent::Batch, cols, ints: false, blocked: true }
    }

    /// A value of a batch that is not.
    fn plain(slot: usize, cols: usize) -> Operand {
        Operand { blocked: false, ..blocks(slot, cols) }
    }

    fn weights(var: usize, rows: usize, cols: usize, blocked: bool) -> Operand {
        Operand { place: Place::Var(VarId(var)), extent: Extent::Fixed(rows), cols, ints: false, blocked }
    }

    fn sum(number: usize, rows: usize, cols: usize, blocked: bool) -> Operand {
        Operand { place: Place::Sum(number), ..weights(0, rows, cols, blocked) }
    }

    fn instr(kernel: Kernel, ins: &[Operand], out: Operand) -> Instr {
        Instr { kernel, ins: ins.to_vec(), outs: vec![out] }
    }

    fn found(instrs: &[Instr]) -> Vec<(Range<usize>, Option<usize>)> {
        bands(instrs).into_iter().map(|band| (band.instrs, band.cols)).collect()
    }

    #[test]
    fn the_way_back_through_a_hidden_layer_is_one_band() {
        let (x, y, dy, delta) = (plain(0, 784), blocks(1, 512), plain(2, 10), blocks(3, 512));
        let (w1, w2) = (weights(0, 784, 512, true), weights(1, 512, 10, false));
        let rate = weights(2, 1, 1, false);
        let instrs = [
            instr(Kernel::Affine { f: TANH, bias: false }, &[x, w1], y),
            instr(Kernel::Affine { f: Activation::Linear, bias: false }, &[y, w2], plain(4, 10)),
            instr(Kernel::AccumulateRows, &[dy], sum(0, 1, 10, false)),
            instr(Kernel::Backpropagate { f: TANH }, &[dy, w2, y], delta),
            instr(Kernel::AccumulateRows, &[delta], sum(1, 1, 512, false)),
            instr(Kernel::Descend, &[y, dy, rate], w2),
            instr(Kernel::Descend, &[x, delta, rate], w1),
        ];
        assert_eq!(found(&instrs), [(0..1, Some(512)), (1..2, None), (2..3, None), (3..7, Some(512))]);
    }

    #[test]
    fn what_needs_all_of_a_value_waits_for_it() {
        let (y, delta2, delta1) = (blocks(0, 512), blocks(1, 512), blocks(2, 512));
        let (x, dy, w3) = (plain(3, 784), plain(4, 10), weights(2, 512, 10, false));
        let w2 = weights(1, 512, 512, true);
        let back = |dy, w, y, delta| instr(Kernel::Backpropagate { f: TANH }, &[dy, w, y], delta);
        // δ₁ = δ₂ · W₂ᵀ ⊙ f′ needs δ₂ from all threads, and of W₂, as it was, other rows than those of a thread's columns.
        let instrs = [
            back(dy, w3, y, delta2),
            back(delta2, w2, y, delta1),
            instr(Kernel::Descend, &[y, delta2, x], w2),
        ];
        assert_eq!(found(&instrs), [0..1, 1..2, 2..3].map(|instrs| (instrs, Some(512))));
        // Another layer's δ · Wᵀ while W changes: it reads other rows than those of the columns that change.
        let instrs = [back(delta2, w2, y, delta1), instr(Kernel::Descend, &[y, delta2, x], w2)];
        assert_eq!(found(&instrs), [(0..1, Some(512)), (1..2, Some(512))]);
    }

    #[test]
    fn columns_that_a_thread_has_changed_it_may_multiply_but_not_another_one_s() {
        let (x, delta, y) = (plain(0, 784), blocks(1, 512), blocks(2, 512));
        let (w, b, rate) = (weights(0, 784, 512, true), weights(1, 1, 512, false), weights(2, 1, 1, false));
        let forward = |x, w| instr(Kernel::Affine { f: TANH, bias: true }, &[x, w, b], y);
        let change = instr(Kernel::Descend, &[x, delta, rate], w);
        assert_eq!(found(&[change, forward(x, w)]), [(0..2, Some(512))]);
        let deeper = weights(3, 512, 512, true);
        let change =
            instr(Kernel::Backpropagate { f: TANH }, &[plain(3, 10), weights(4, 512, 10, false), y], delta);
        assert_eq!(found(&[change, forward(delta, deeper)]).len(), 2, "the product needs all columns of δ");
    }

    #[test]
    fn other_columns_are_another_band() {
        let (x, y, z) = (plain(0, 784), blocks(1, 512), blocks(2, 256));
        let affine = |w: usize, out: Operand| {
            instr(Kernel::Affine { f: TANH, bias: false }, &[x, weights(w, 784, out.cols, true)], out)
        };
        assert_eq!(found(&[affine(0, y), affine(1, z)]), [(0..1, Some(512)), (1..2, Some(256))]);
        assert_eq!(found(&[affine(0, y), affine(1, blocks(2, 512))]), [(0..2, Some(512))]);
        assert_eq!(found(&[affine(0, y), affine(1, y)]).len(), 2, "written twice");
    }
}
