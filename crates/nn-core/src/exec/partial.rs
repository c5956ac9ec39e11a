//! A layer of a few columns after one in blocks, in a batch of a single shard: its sums are cut at the blocks, so that a thread
//! forms its part of them from its own columns, right after it has computed those.
//!
//! Otherwise each thread would need rows of all columns, half of which another core has in its cache. Where a sum is cut follows
//! from the blocks alone, and not from how many threads there are.

use super::program::{BufferSizes, Instr, Kernel, Operand, Place, Program};
use super::wide::MIN_ROWS;

/// Columns of a block that there are at least for each column of the layer: its partial sums are then fewer numbers by as much than
/// what they are sums of. (Chosen.)
const COLUMNS_FOR_ONE: usize = 4;

/// Cuts such products in every stage whose shards have so many rows as `rows` tells, where it is one shard.
pub(super) fn cut_products(
    program: &mut Program,
    slots: &mut BufferSizes,
    rows: impl Fn(usize) -> Option<usize>,
) {
    let block = program.block_cols;
    for (number, stage) in program.stages.iter_mut().enumerate() {
        if rows(number).is_none_or(|rows| rows < MIN_ROWS) {
            continue;
        }
        let whole = std::mem::take(&mut stage.per_shard);
        stage.per_shard = whole.into_iter().flat_map(|instr| cut(instr, slots, block)).collect();
    }
}

/// x, w, (b) → f(x · w + b), or the same as two instructions
fn cut(mut instr: Instr, slots: &mut BufferSizes, block: usize) -> Vec<Instr> {
    let Kernel::Affine { f, bias } = instr.kernel else { return vec![instr] };
    let (x, out) = (instr.ins[0], instr.outs[0]);
    if !x.blocked || out.blocked || out.cols * COLUMNS_FOR_ONE > block {
        return vec![instr];
    }
    let cols = x.cols / block * out.cols;
    let partial = Operand { place: Place::Slot(slots.add(false, cols)), cols, ..out };
    let bias_of = instr.ins.split_off(2);
    let kernel = Kernel::PartialProducts;
    let products = Instr { kernel, ins: instr.ins, outs: vec![partial] };
    let ins = [partial].into_iter().chain(bias_of).collect();
    let sum = Instr { kernel: Kernel::AddPartial { f, bias }, ins, outs: instr.outs };
    vec![products, sum]
}
