//! `simd`: our own kernels, written once over a `Vector` trait.
//!
//! Every algorithm is a `Kernel`, generic over the vector; [`Simd`] is the proof that an instruction
//! set is there, and hands each kernel to a shell that has it switched on.
//!
//! That works where the compiler may inline across its units of code, as Cargo's release profile lets it. With `lto = "off"` and many
//! units it may not, and a dense step of 252 rows takes 2.7 times as long (measured on Emerald Rapids with 16 units).
// One of the three islands of unsafe code: vector instructions, and loads whose bounds were checked before.
#![allow(unsafe_code)]

mod alone;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod argmax;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod caches;
mod classes;
mod elementwise;
mod few;
mod finish;
mod formulas;
mod gemm;
mod gemv;
mod ink;
mod isa;
mod lists;
mod math;
mod narrow;
mod narrow_back;
mod narrow_product;
#[cfg(target_arch = "aarch64")]
mod neon;
mod on;
mod pack;
mod pair_gather;
mod pair_sums;
mod pair_update;
mod pairs;
mod peak;
mod portable;
mod reversed;
mod shells;
mod softmax;
mod sparse;
mod tile;
mod tiled;
mod vector;
mod widen;

pub use self::isa::Isa;
pub use self::peak::Peak;
pub use self::shells::Simd;

use self::argmax::ArgMax;
use self::elementwise::{Activate, OfOne, OfTwo, SumRows};
use self::finish::Finish;
use self::gemm::{Product, product};
use self::ink::{InkOuter, InkProduct, MAX_ROWS};
use self::narrow::{MAX_NARROW, NarrowOuter};
use self::narrow_back::NarrowBackpropagate;
use self::narrow_product::{NarrowParts, NarrowProduct};
use self::pack::Source;
use self::pairs::{PairOuter, PairProduct, block_columns, two_blocks_fit};
use self::softmax::{CrossEntropy, Softmax};
use self::sparse::{SparseOuter, SparseProduct};
use self::tiled::Tiled;
use self::vector::Element;
use self::widen::Widen;
use super::{Backend, Description, blockwise, reference};
use crate::Scalar;
use crate::matrix::{GROUP_ROWS, InputRef, MatMut, MatRef, Prepared, Scratch, SparseRows};
use crate::ops::{Activation, Binary, Gemm, Labels, Operand, PassArgs, Sum, Trans, Unary, Update};

/// Density below which the sparse products of the first layer, forward and backward together, take less time than the
/// dense ones. Measured with AVX2 on Zen 3 (256 rows, 784 → 512, `f32`): they are equal near 0.6
/// for CSR rows. (Rows of bytes are faster and so should be equal later; that was not measured.)
const SPARSE_BELOW: f64 = 0.5;

/// The same where bytes are multiplied in tiles, whose time does not depend on how many are lit. (Chosen after what was measured on Granite Rapids with
/// MNIST, of which 19 % is lit, and 512 units: steps of bytes take 1.4 times as long as sparse ones with 50 rows, 1.1 times with 128, 1.05 to 1.1
/// times with 60,000.)
const SPARSE_BELOW_IN_TILES: f64 = 0.25;

impl Simd {
    /// Calls `body` with rows that are not sparse, as numbers: bytes are written out into scratch memory first.
    fn with_numbers<T: Element>(
        self,
        x: InputRef<'_, T>,
        scratch: &mut Scratch<T>,
        body: impl FnOnce(Source<'_, T>, &mut Scratch<T>),
    ) {
        match x {
            InputRef::Dense(rows) => body(rows.into(), scratch),
            _ => {
                let (rows, cols) = (x.rows(), x.cols());
                let mut numbers = scratch.take(rows * cols);
                self.run(Widen { x, numbers: &mut numbers });
                body(Source::Matrix(reference::fits(MatRef::new(&numbers, rows, cols))), scratch);
                scratch.give(numbers);
            }
        }
    }
}

/// Zeroes a sum that begins, for kernels that only add to one.
fn begin<T: Scalar>(sum: Sum, dw: &mut MatMut<'_, T>) {
    if sum == Sum::Begin {
        dw.fill(T::zero());
    }
}

/// One impl for each element type, not a generic one: so the kernels are compiled once, in this crate, and not again in
/// every crate that uses them.
macro_rules! backend {
    ($($t:ty)*) => { $(
        impl Backend<$t> for Simd {
            fn describe(&self) -> Description {
                Description {
                    backend: "simd",
                    library: "own kernels".into(),
                    version: Some(env!("CARGO_PKG_VERSION").into()),
                    path: None,
                    isa: self.isa().features().into(),
                    threads_per_call: 1,
                }
            }

            fn gemm(&self, gemm: Gemm<'_, $t>, scratch: &mut Scratch<$t>) {
                product(self, Product::new(gemm, Finish::Nothing, scratch));
            }

            fn shard_rows(&self) -> usize {
                GROUP_ROWS
            }

            fn block_columns(&self) -> Option<usize> {
                Some(block_columns::<$t>())
            }

            fn prefers_sparse(&self, density: f64) -> bool {
                density < if <$t>::tiles(*self) { SPARSE_BELOW_IN_TILES } else { SPARSE_BELOW }
            }

            fn prefers_bytes(&self) -> bool {
                <$t>::tiles(*self)
            }

            fn mixes_rows(&self, x: &InputRef<'_, $t>, cols: usize) -> bool {
                match x {
                    // Which rows are paired decides in which order they are summed. In layers of fewer columns none is.
                    InputRef::SparseBytes(_) => cols >= block_columns::<$t>(),
                    // Which columns are 0 in all rows decides what is summed together.
                    _ => <$t>::are_tiled(*self, x, cols),
                }
            }

            fn prepare(
                &self,
                x: &SparseRows<'_, $t>,
                backward: bool,
                part: (usize, usize),
                prepared: &mut Prepared,
                scratch: &mut Scratch<$t>,
            ) -> bool {
                let mut maker = scratch.take_lists();
                maker.make_part(x, part, backward, prepared);
                scratch.give_lists(maker);
                true
            }

            fn affine(
                &self,
                x: InputRef<'_, $t>,
                w: MatRef<'_, $t>,
                bias: Option<&[$t]>,
                f: Activation,
                y: MatMut<'_, $t>,
                scratch: &mut Scratch<$t>,
            ) {
                assert!(
                    x.rows() == y.rows() && x.cols() == w.rows() && w.cols() == y.cols(),
                    "affine: [{}, {}] · [{}, {}] → [{}, {}]",
                    x.rows(),
                    x.cols(),
                    w.rows(),
                    w.cols(),
                    y.rows(),
                    y.cols()
                );
                assert!(bias.is_none_or(|bias| bias.len() == y.cols()), "affine: length of the bias");
                let finish = Finish::Activate(f, bias);
                match x {
                    InputRef::Sparse(x) => return self.run(SparseProduct { x, w, finish, y, scratch }),
                    InputRef::SparseBytes(x) if y.rows() <= MAX_ROWS || y.cols() < block_columns::<$t>() => {
                        return self.run(InkProduct { x, w, finish, y });
                    }
                    _ if <$t>::are_tiled(*self, &x, y.cols()) => {
                        return <$t>::product(*self, x, w, finish, y, scratch);
                    }
                    InputRef::SparseBytes(x) => return self.run(PairProduct { x, w, bias, f, y, scratch }),
                    _ => {}
                }
                self.with_numbers(x, scratch, |a, scratch| {
                    if NarrowProduct::<$t>::is_for(y.rows(), (w.rows(), w.cols())) && y.is_plain() {
                        return self.run(NarrowProduct { x: a, w, finish, y, scratch });
                    }
                    let (alpha, beta, k) = (1.0, 0.0, w.rows());
                    let of = Product {
                        alpha,
                        a,
                        ta: Trans::No,
                        b: w,
                        tb: Trans::No,
                        beta,
                        c: y,
                        k,
                        finish,
                        later: None,
                        scratch,
                    };
                    product(self, of);
                });
            }

            fn partial_products(
                &self,
                x: MatRef<'_, $t>,
                w: MatRef<'_, $t>,
                parts: &mut [$t],
                scratch: &mut Scratch<$t>,
            ) {
                if NarrowProduct::<$t>::is_for(x.rows(), (x.block_cols(), w.cols())) {
                    return self.run(NarrowParts { x, w, parts, scratch });
                }
                blockwise::partial_products(self, x, w, parts, scratch);
            }

            fn accumulate_weights(
                &self,
                alpha: $t,
                x: InputRef<'_, $t>,
                delta: MatRef<'_, $t>,
                sum: Sum,
                mut dw: MatMut<'_, $t>,
                scratch: &mut Scratch<$t>,
            ) {
                assert!(
                    x.rows() == delta.rows() && x.cols() == dw.rows() && delta.cols() == dw.cols(),
                    "accumulate_weights: [{}, {}]ᵀ · [{}, {}] → [{}, {}]",
                    x.rows(),
                    x.cols(),
                    delta.rows(),
                    delta.cols(),
                    dw.rows(),
                    dw.cols()
                );
                match x {
                    InputRef::Sparse(x) => {
                        begin(sum, &mut dw);
                        return self.run(SparseOuter { alpha, x, delta, dw, scratch });
                    }
                    InputRef::SparseBytes(x)
                        if delta.rows() <= MAX_ROWS || delta.cols() < block_columns::<$t>() =>
                    {
                        begin(sum, &mut dw);
                        return self.run(InkOuter { alpha, x, delta, dw });
                    }
                    _ if <$t>::are_tiled(*self, &x, dw.cols()) => {
                        return <$t>::outer(*self, alpha, x, delta, sum, dw, scratch);
                    }
                    InputRef::SparseBytes(x) => {
                        let two_blocks = two_blocks_fit(x.rows.len());
                        return self.run(PairOuter { alpha, x, delta, sum, dw, two_blocks, scratch });
                    }
                    _ => {}
                }
                if let InputRef::Dense(rows) = x
                    && let Some(x) = rows.view()
                    && (1..=MAX_NARROW).contains(&delta.cols())
                    && x.cols() > MAX_NARROW
                {
                    begin(sum, &mut dw);
                    return self.run(NarrowOuter { alpha, x, delta, dw });
                }
                let later = if let InputRef::Dense(rows) = x { rows.following() } else { None };
                self.with_numbers(x, scratch, |a, scratch| {
                    let beta = if sum == Sum::Begin { 0.0 } else { 1.0 };
                    let (k, finish) = (delta.rows(), Finish::Nothing);
                    let (ta, tb) = (Trans::Yes, Trans::No);
                    product(self, Product { alpha, a, ta, b: delta, tb, beta, c: dw, k, finish, later, scratch });
                });
            }

            fn update_weights(
                &self,
                x: InputRef<'_, $t>,
                delta: MatRef<'_, $t>,
                update: Update<'_, '_, $t>,
                scratch: &mut Scratch<$t>,
            ) {
                match x {
                    InputRef::SparseBytes(rows) if rows.rows.len() > MAX_ROWS => {
                        if let Err((update, scratch)) = pair_update::run(*self, (rows, delta), update, scratch) {
                            blockwise::update_weights(self, x, delta, update, scratch);
                        }
                    }
                    _ => blockwise::update_weights(self, x, delta, update, scratch),
                }
            }

            fn backpropagate(
                &self,
                dy: MatRef<'_, $t>,
                w: MatRef<'_, $t>,
                f: Activation,
                output: MatRef<'_, $t>,
                delta: MatMut<'_, $t>,
                scratch: &mut Scratch<$t>,
            ) {
                assert!(
                    output.rows() == delta.rows() && output.cols() == delta.cols(),
                    "backpropagate: output [{}, {}], δ [{}, {}]",
                    output.rows(),
                    output.cols(),
                    delta.rows(),
                    delta.cols()
                );
                if (1..=MAX_NARROW).contains(&dy.cols()) {
                    return self.run(NarrowBackpropagate { dy, w, f, output, delta });
                }
                let gemm = reference::fits(Gemm::new(1.0, dy, Trans::No, w, Trans::Yes, 0.0, delta));
                product(self, Product::new(gemm, Finish::Slope(f, output), scratch));
            }

            fn accumulate_bias(&self, delta: MatRef<'_, $t>, db: &mut [$t]) {
                self.run(SumRows { delta, db });
            }

            fn activate(&self, f: Activation, x: &mut [$t]) {
                if f != Activation::Linear {
                    self.run(Activate { f, x });
                }
            }

            fn unary(&self, f: Unary, x: &[$t], y: &mut [$t]) {
                self.run(OfOne { f, x, y });
            }

            fn binary(&self, f: Binary, a: Operand<'_, $t>, b: Operand<'_, $t>, y: &mut [$t]) {
                self.run(OfTwo { f, a, b, y });
            }

            fn pass(&self, args: PassArgs<'_, '_, $t>, scratch: &mut Scratch<$t>) {
                if let Err(args) = formulas::run(*self, args) {
                    blockwise::pass(self, args, scratch);
                }
            }

            fn softmax(&self, x: MatRef<'_, $t>, p: MatMut<'_, $t>) {
                self.run(Softmax { x, p });
            }

            fn softmax_cross_entropy(
                &self,
                logits: MatRef<'_, $t>,
                labels: Labels<'_, $t>,
                losses: Option<&mut [$t]>,
                gradient: Option<($t, MatMut<'_, $t>)>,
            ) {
                self.run(CrossEntropy { logits, labels, losses, gradient });
            }

            fn argmax(&self, x: MatRef<'_, $t>, index: &mut [i32]) {
                self.run(ArgMax { x, index });
            }
        }
    )* };
}

backend!(f32 f64);

#[cfg(test)]
pub(crate) use self::formulas::is_known;
#[cfg(test)]
mod tests;
