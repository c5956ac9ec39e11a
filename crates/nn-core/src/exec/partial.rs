//! The product of a layer of a few columns after a layer in blocks, where the batch is a single shard: each of its sums is cut into one
//! part for each block of the layer before. A thread forms the parts that belong to its own columns right after it has computed these,
//! while they are in its cache; the parts are added up afterwards.
//!
//! Uncut, the product would wait for all threads, and read columns that lie in other cores' caches. A sum is cut at every block, however
//! the blocks are dealt out to threads, so that its bits don't depend on how many threads there are.

use super::program::{BufferSizes, Instr, Kernel, Operand, Place, Program};
use super::wide::MIN_ROWS;

/// How many columns a block must have, at least, for each column of the layer. What one thread leaves for another to add up is then less
/// than what it was formed from, by this factor. (Chosen.)
const COLUMNS_FOR_ONE: usize = 4;

/// Cuts the products of every stage that is one shard of enough rows. `rows` gives the rows of a stage that is one shard, and nothing for
/// any other. The sums' parts get slots of their own.
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

/// The instruction as it is; or, where it is f(x · w + b) of the right shapes, two: the partial products, and f of their sum and b.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use crate::exec::lower::lower;
    use crate::exec::program::{Extent, Stage};
    use crate::graph::{DType, Graph, VarId};
    use crate::layers::Dense;
    use crate::ops::Activation;
    use crate::optim::Optimizer;

    const TANH: Activation = Activation::Tanh;

    /// Columns of a block: there may be a product of four of them at most.
    const BLOCK: usize = 16;

    /// Rows of a shard.
    const SHARD: usize = 252;

    /// A value of a batch.
    fn value(slot: usize, cols: usize, blocked: bool) -> Operand {
        Operand { place: Place::Slot(slot), extent: Extent::Batch, cols, ints: false, blocked }
    }

    fn variable(number: usize, rows: usize, cols: usize) -> Operand {
        let place = Place::Var(VarId(number));
        Operand { place, extent: Extent::Fixed(rows), cols, ints: false, blocked: false }
    }

    /// tanh(x · w), or tanh(x · w + b).
    fn layer(x: Operand, out: Operand, bias: bool) -> Instr {
        let (w, b) = (variable(0, x.cols, out.cols), variable(1, 1, out.cols));
        let ins = [x, w].into_iter().chain(bias.then_some(b)).collect();
        Instr { kernel: Kernel::Affine { f: TANH, bias }, ins, outs: vec![out] }
    }

    /// One that is cut, if it has the rows: three blocks, and as many columns as there may be.
    fn cuttable(bias: bool) -> Instr {
        layer(value(0, 3 * BLOCK, true), value(1, BLOCK / COLUMNS_FOR_ONE, false), bias)
    }

    /// The slots that it reads and writes.
    fn slots() -> BufferSizes {
        BufferSizes { floats: vec![3 * BLOCK, BLOCK / COLUMNS_FOR_ONE], ints: vec![] }
    }

    #[test]
    fn a_product_becomes_one_for_each_block_and_their_sum() {
        for bias in [false, true] {
            let (mut slots, x, y) = (slots(), value(0, 48, true), value(1, 4, false));
            let (w, b) = (variable(0, 48, 4), variable(1, 1, 4));
            let parts = value(2, 3 * 4, false);
            let expected = [
                Instr { kernel: Kernel::PartialProducts, ins: vec![x, w], outs: vec![parts] },
                Instr {
                    kernel: Kernel::AddPartial { f: TANH, bias },
                    ins: if bias { vec![parts, b] } else { vec![parts] },
                    outs: vec![y],
                },
            ];
            assert_eq!(cut(cuttable(bias), &mut slots, BLOCK), expected);
            assert_eq!((slots.floats, slots.ints), (vec![48, 4, 3 * 4], vec![]));
        }
    }

    #[test]
    fn what_lacks_a_single_condition_stays_one_instruction() {
        let (x, y) = (value(0, 48, true), value(1, 4, false));
        let plain_x = layer(Operand { blocked: false, ..x }, y, true);
        let y_in_blocks = layer(x, Operand { blocked: true, ..y }, true);
        let a_column_too_many = layer(x, Operand { cols: 5, ..y }, true);
        let not_a_layer = Instr { kernel: Kernel::Backpropagate { f: TANH }, ..cuttable(false) };
        for instr in [plain_x, y_in_blocks, a_column_too_many, not_a_layer] {
            let mut slots = slots();
            assert_eq!(cut(instr.clone(), &mut slots, BLOCK), [instr]);
            assert_eq!(slots.floats.len(), 2, "nor is there a slot for its parts");
        }
    }

    #[test]
    fn products_are_cut_where_a_stage_is_one_shard_of_enough_rows() {
        let rows = [None, Some(MIN_ROWS - 1), Some(MIN_ROWS), Some(SHARD)];
        let softmax =
            Instr { kernel: Kernel::Softmax, ins: vec![value(1, 4, false)], outs: vec![value(2, 4, false)] };
        let per_shard = vec![cuttable(true), softmax];
        let stage = Stage { per_shard: per_shard.clone(), ..Stage::default() };
        let mut program =
            Program { stages: vec![stage; rows.len()], block_cols: BLOCK, ..Program::default() };
        let mut slots = slots();
        cut_products(&mut program, &mut slots, |stage| rows[stage]);
        let found: Vec<_> = program.stages.iter().map(|stage| stage.per_shard.len()).collect();
        assert_eq!(found, [2, 2, 3, 3]);
        for stage in &program.stages[..2] {
            assert_eq!(stage.per_shard, per_shard);
        }
        for stage in &program.stages[2..] {
            let [products, sum, after] = &stage.per_shard[..] else { panic!("{stage:?}") };
            assert_eq!(products.kernel, Kernel::PartialProducts);
            assert_eq!(sum.kernel, Kernel::AddPartial { f: TANH, bias: true });
            assert_eq!(*after, per_shard[1], "what comes after it stays there");
        }
    }

    /// A step of a classifier 6 → 48 tanh → 4 on so many rows.
    fn step(rows: usize) -> Result<Program> {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(6)])?;
        let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
        let hidden = Dense::new(48).activation(TANH).build(&mut g, x)?.output;
        let logits = Dense::new(4).build(&mut g, hidden)?.output;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let loss = g.reduce_mean(losses)?;
        let step = Optimizer::sgd(0.1).minimize(&mut g, loss)?;
        lower(&g, &[step], &[x, labels], &|_| Some(rows), Some(BLOCK), SHARD)
    }

    #[test]
    fn one_fork_computes_a_hidden_layer_and_what_the_next_one_needs_of_it() -> Result<()> {
        for rows in [MIN_ROWS, SHARD] {
            let program = step(rows)?;
            let stage = &program.stages[0];
            let kernels: Vec<_> = stage.per_shard.iter().map(|instr| &instr.kernel).collect();
            let [Kernel::Affine { f: TANH, bias: true }, Kernel::PartialProducts, sum, ..] = kernels[..]
            else {
                panic!("{rows} rows: {kernels:?}")
            };
            assert_eq!(*sum, Kernel::AddPartial { f: Activation::Linear, bias: true });
            let [first, second, ..] = &stage.bands[..] else { panic!("{rows} rows: {:?}", stage.bands) };
            assert_eq!((first.instrs.clone(), first.cols), (0..2, Some(48)), "{rows} rows");
            assert_eq!((second.instrs.start, second.cols), (2, None), "the sum is of all threads' parts");
        }
        Ok(())
    }

    #[test]
    fn a_step_on_few_rows_or_several_shards_keeps_its_product_whole() -> Result<()> {
        for rows in [1, MIN_ROWS - 1, SHARD + 1] {
            let program = step(rows)?;
            let mut instrs = program.stages.iter().flat_map(|stage| &stage.per_shard);
            assert!(instrs.all(|instr| instr.kernel != Kernel::PartialProducts), "{rows} rows");
        }
        Ok(())
    }
}
