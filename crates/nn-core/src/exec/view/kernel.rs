//! Kernels in words.

use super::super::program::Kernel;
use crate::ops::{Activation, Pass, Step, Trans};

/// Steps up to which an elementwise pass is spelled out.
const SPELLED_OUT: usize = 3;

/// What a kernel does, in a few words.
pub(super) fn name(kernel: &Kernel) -> String {
    let transposed = |t: &Trans| if *t == Trans::Yes { "ᵀ" } else { "" };
    let fixed = match kernel {
        Kernel::Affine { f, bias } => {
            return match (bias, f) {
                (true, f) => format!("affine {}", f.name()),
                (false, Activation::Linear) => "product".to_owned(),
                (false, f) => format!("product {}", f.name()),
            };
        }
        Kernel::AddPartial { f, .. } => return format!("sum of partial products, {}", f.name()),
        Kernel::MatMul { ta, tb } => return format!("matmul (a{}·b{})", transposed(ta), transposed(tb)),
        Kernel::Backpropagate { f } => return format!("backpropagate (δ·wᵀ ⊙ {}′)", f.name()),
        Kernel::Unary(f) => return f.name().to_owned(),
        Kernel::Binary(f, ..) => return f.name().to_owned(),
        Kernel::Elementwise(pass) => return pass_name(pass),
        Kernel::Update { pass, .. } => return format!("update (xᵀ·δ, {})", pass_name(pass)),
        Kernel::Compare(comparison, ..) => return comparison.name().replace('_', " "),
        Kernel::InTopK { k } => return format!("in the top {k}"),
        Kernel::PartialProducts => "partial products",
        Kernel::Load => "load rows",
        Kernel::AccumulateWeights => "accumulate weights (xᵀ·δ)",
        Kernel::Descend => "descend (w −= rate · xᵀ·δ)",
        Kernel::AccumulateRows => "accumulate rows",
        Kernel::AccumulateAll => "accumulate all",
        Kernel::CrossEntropy { losses: true, gradient: true } => "cross-entropy + gradient",
        Kernel::CrossEntropy { losses: true, gradient: false } => "cross-entropy",
        Kernel::CrossEntropy { losses: false, .. } => "cross-entropy gradient",
        Kernel::Softmax => "softmax",
        Kernel::SumTail => "sum of each row",
        Kernel::Spread(_) => "spread",
        Kernel::ArgMax => "argmax",
        Kernel::Equal => "equal",
        Kernel::Concatenate { .. } => "concatenate",
        Kernel::SliceColumns { .. } => "cut columns",
        Kernel::PadColumns { .. } => "pad columns",
        Kernel::SliceRows { .. } => "cut rows",
        Kernel::PadRows { .. } => "pad rows",
        Kernel::Select(..) => "select",
        Kernel::Max => "largest of each row",
        Kernel::Uniform { .. } => "random numbers",
        Kernel::OneHot => "one-hot",
        Kernel::Cast { .. } => "cast",
        Kernel::Relayout => "relayout",
    };
    fixed.to_owned()
}

fn pass_name(pass: &Pass) -> String {
    let step = |step: &Step| match step {
        Step::Unary(f, ..) => f.name(),
        Step::Binary(f, ..) => f.name(),
    };
    match pass.steps().len() {
        0 => "copy".to_owned(),
        1..=SPELLED_OUT => pass.steps().iter().map(step).collect::<Vec<_>>().join(", "),
        n => format!("elementwise pass of {n} steps"),
    }
}
