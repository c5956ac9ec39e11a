//! The seam between the executor and the arithmetic: a [`Backend`] is a set of single-threaded CPU kernels on borrowed
//! views. One method is required; the others are provided in terms of it and of [`reference`](mod@reference), the
//! scalar implementation that defines what is correct.

pub mod blas;
mod blockwise;
mod choose;
mod naive;
mod ndarray;
pub mod reference;
pub mod simd;

use std::fmt;
use std::path::PathBuf;

pub use self::choose::{BackendKind, Choice, Found, survey};
pub use self::naive::Naive;
pub use self::ndarray::Ndarray;

use crate::Scalar;
use crate::matrix::{InputRef, MatMut, MatRef, Prepared, Scratch, SparseRows};
use crate::ops::{Activation, Binary, Gemm, Labels, Operand, PassArgs, Sum, Trans, Unary, Update};

/// What runs: printed by everything that reports a result, so that no figure goes without its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `naive`, `ndarray`, `blas` or `simd`.
    pub backend: &'static str,
    /// The library that does the arithmetic, such as `OpenBLAS`.
    pub library: String,
    /// The library's version, as it reports it.
    pub version: Option<String>,
    /// The file that the library was loaded from.
    pub path: Option<PathBuf>,
    /// The instruction set or kernel in use, such as `AVX2+FMA` or OpenBLAS's core name.
    pub isa: String,
    /// Threads that one kernel call uses, read back from the library; 1 unless its own threading was asked for.
    pub threads_per_call: usize,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.backend, self.library)?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        write!(f, ", {}", self.isa)?;
        if let Some(path) = &self.path {
            write!(f, ", {}", path.display())?;
        }
        if self.threads_per_call != 1 {
            write!(f, ", {} threads per call", self.threads_per_call)?;
        }
        Ok(())
    }
}

/// The kernels that the executor needs, for one element type.
///
/// Every method is an assignment to its output. Kernels start no threads: the executor calls them from its own, each
/// with its own `scratch`. Implement `describe` and `gemm` and the rest follows; override what can be done faster.
/// Results of an override may differ from the provided one by rounding, never by more.
///
/// ```
/// use nn_core::backend::{Backend, Naive};
/// use nn_core::matrix::{MatMut, MatRef, Scratch};
/// use nn_core::ops::{Gemm, Trans};
///
/// let (a, b, mut c) = ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0], [f64::NAN; 2]);
/// let gemm = Gemm::new(
///     1.0, MatRef::new(&a, 2, 2)?, Trans::No, MatRef::new(&b, 2, 1)?, Trans::No,
///     0.0, MatMut::new(&mut c, 2, 1)?,
/// )?;
/// Naive.gemm(gemm, &mut Scratch::default());
/// assert_eq!(c, [3.0, 7.0]);
/// # Ok::<(), nn_core::Error>(())
/// ```
pub trait Backend<T: Scalar>: fmt::Debug + Send + Sync {
    /// What this is and what it runs on.
    fn describe(&self) -> Description;

    /// C ← α op(A) op(B) + β C. With β = 0, C is not read.
    fn gemm(&self, gemm: Gemm<'_, T>, scratch: &mut Scratch<T>);

    /// Whether the same call gives the same bits on any thread at any time. False for libraries that promise nothing.
    fn is_deterministic(&self) -> bool {
        true
    }

    /// Rows of the batch that one call should get, so that what it reads and writes stays in the cache.
    fn shard_rows(&self) -> usize {
        256
    }

    /// Columns of a block, if kernels are faster on matrices in blocks of columns (see [`MatRef`]). The executor may then keep
    /// weights and activations that way, wherever only `affine`, `partial_products`, `backpropagate`,
    /// `accumulate_weights` and `accumulate_bias` read them; every other method gets plain matrices, and so does every method of a backend that says `None`.
    fn block_columns(&self) -> Option<usize> {
        None
    }

    /// Whether a data set of this density (share of elements that are not 0) is faster in sparse form here.
    fn prefers_sparse(&self, density: f64) -> bool {
        let _ = density;
        false
    }

    /// Whether rows of bytes that are not sparse are faster here as they are than as numbers.
    fn prefers_bytes(&self) -> bool {
        false
    }

    /// Whether the bits of a row of `affine`'s product of these rows, `cols` columns wide, may depend on what other rows the call gets.
    /// Such rows are not divided among threads, whose number must not decide about bits.
    fn mixes_rows(&self, x: &InputRef<'_, T>, cols: usize) -> bool {
        let _ = (x, cols);
        false
    }

    /// Prepares one part of `parts` (its number first) of what products with these rows need: at least the forward one, and if
    /// `backward`, also that with Xᵀ. An executor that calls several kernels with the same rows may have threads make some
    /// parts each, and hand all of them to the kernels (`SparseRows::with_prepared`). Returns whether there was anything to make.
    fn prepare(
        &self,
        x: &SparseRows<'_, T>,
        backward: bool,
        part: (usize, usize),
        prepared: &mut Prepared,
        scratch: &mut Scratch<T>,
    ) -> bool {
        let _ = (x, backward, part, prepared, scratch);
        false
    }

    /// Y ← f(X · W + b). X: \[m, k\] in any input form, W: \[k, n\], b: \[n\], Y: \[m, n\].
    fn affine(
        &self,
        x: InputRef<'_, T>,
        w: MatRef<'_, T>,
        bias: Option<&[T]>,
        f: Activation,
        mut y: MatMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        match &x {
            InputRef::Sparse(rows) => reference::sparse_product(rows, w, y.reborrow()),
            _ => with_dense(x, scratch, |x, scratch| {
                self.gemm(
                    reference::fits(Gemm::new(T::one(), x, Trans::No, w, Trans::No, T::zero(), y.reborrow())),
                    scratch,
                );
            }),
        }
        for i in 0..y.rows() {
            let row = y.row(i);
            if let Some(bias) = bias {
                reference::add_assign(row, bias);
            }
            self.activate(f, row);
        }
    }

    /// Xᵦ · Wᵦ for each block of X's columns and the rows of W that belong to it, one after the other in `parts`. X: \[m, k\] in blocks of
    /// columns, W: \[k, n\], a part: \[m, n\]. A part's bits don't depend on how many others there are.
    fn partial_products(
        &self,
        x: MatRef<'_, T>,
        w: MatRef<'_, T>,
        parts: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        blockwise::partial_products(self, x, w, parts, scratch);
    }

    /// dW ← α Xᵀ · δ where the sum begins, dW ← dW + α Xᵀ · δ where it continues. X: \[m, k\] in any input form, δ: \[m, n\],
    /// dW: \[k, n\]. With α = −rate, gradient descent on W itself.
    fn accumulate_weights(
        &self,
        alpha: T,
        x: InputRef<'_, T>,
        delta: MatRef<'_, T>,
        sum: Sum,
        mut dw: MatMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        match &x {
            InputRef::Sparse(rows) => reference::sparse_outer(alpha, rows, delta, sum, dw),
            _ => with_dense(x, scratch, |x, scratch| {
                self.gemm(
                    reference::fits(Gemm::new(
                        alpha,
                        x,
                        Trans::Yes,
                        delta,
                        Trans::No,
                        if sum == Sum::Begin { T::zero() } else { T::one() },
                        dw.reborrow(),
                    )),
                    scratch,
                );
            }),
        }
    }

    /// outputs ← what the update's pass makes of them and of Xᵀ · δ, as `accumulate_weights` and `pass` do one after the other.
    /// X: \[m, k\] in any input form, δ: \[m, n\], outputs: \[k, n\] each.
    fn update_weights(
        &self,
        x: InputRef<'_, T>,
        delta: MatRef<'_, T>,
        update: Update<'_, '_, T>,
        scratch: &mut Scratch<T>,
    ) {
        blockwise::update_weights(self, x, delta, update, scratch);
    }

    /// δ ← (dY · Wᵀ) ⊙ f′, with f′ told from the activation's output. dY: \[m, n\], W: \[k, n\], output and δ: \[m, k\].
    fn backpropagate(
        &self,
        dy: MatRef<'_, T>,
        w: MatRef<'_, T>,
        f: Activation,
        output: MatRef<'_, T>,
        mut delta: MatMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        self.gemm(
            reference::fits(Gemm::new(T::one(), dy, Trans::No, w, Trans::Yes, T::zero(), delta.reborrow())),
            scratch,
        );
        for i in 0..delta.rows() {
            for (d, &y) in delta.row(i).iter_mut().zip(output.row(i)) {
                *d = Binary::Slope(f).eval(*d, y);
            }
        }
    }

    /// db ← db + Σᵢ δᵢ, the sum over the rows of δ: \[m, n\], db: \[n\].
    fn accumulate_bias(&self, delta: MatRef<'_, T>, db: &mut [T]) {
        for row in delta.iter_rows() {
            reference::add_assign(db, row);
        }
    }

    /// x ← f(x), in place.
    fn activate(&self, f: Activation, x: &mut [T]) {
        if f != Activation::Linear {
            x.iter_mut().for_each(|v| *v = f.eval(*v));
        }
    }

    /// y ← f(x). Panics if the lengths differ.
    fn unary(&self, f: Unary, x: &[T], y: &mut [T]) {
        reference::unary(f, x, y);
    }

    /// y ← f(a, b). Panics if a slice is not as long as y.
    fn binary(&self, f: Binary, a: Operand<'_, T>, b: Operand<'_, T>, y: &mut [T]) {
        reference::binary(f, a, b, y);
    }

    /// outputs ← what the pass makes of each element: all steps on the old values, then the outputs are written.
    /// (Passes over single numbers are not asked for if their steps are functions that every backend computes alike, as [`Unary::eval`] and
    /// [`Binary::eval`] do: all but exponentials and activations.)
    fn pass(&self, args: PassArgs<'_, '_, T>, scratch: &mut Scratch<T>) {
        blockwise::pass(self, args, scratch);
    }

    /// pᵢ ← softmax(xᵢ) row by row: p = e^(x − max x) / Σ e^(x − max x). x and p: \[m, n\].
    fn softmax(&self, x: MatRef<'_, T>, p: MatMut<'_, T>) {
        reference::softmax(x, p);
    }

    /// The softmax cross-entropy of each row and its gradient with respect to the logits, either or both.
    /// ℓᵢ = −Σⱼ tᵢⱼ ln softmax(xᵢ)ⱼ and dxᵢⱼ = (softmax(xᵢ)ⱼ Σₖ tᵢₖ − tᵢⱼ) · scale. Logits and dx: \[m, n\], losses: \[m\].
    fn softmax_cross_entropy(
        &self,
        logits: MatRef<'_, T>,
        labels: Labels<'_, T>,
        losses: Option<&mut [T]>,
        gradient: Option<(T, MatMut<'_, T>)>,
    ) {
        reference::softmax_cross_entropy(logits, labels, losses, gradient);
    }

    /// indexᵢ ← the column of the largest element of xᵢ, the first of equals. NaN counts as less than every number, −∞
    /// among them; where there is nothing but NaN, or nothing at all, the index is 0. x: \[m, n\], index: \[m\].
    fn argmax(&self, x: MatRef<'_, T>, index: &mut [i32]) {
        reference::argmax(x, index);
    }
}

/// Calls `body` with the rows of `x` as a dense view, written out into scratch memory where they are not one already.
pub fn with_dense<T: Scalar>(
    x: InputRef<'_, T>,
    scratch: &mut Scratch<T>,
    body: impl FnOnce(MatRef<'_, T>, &mut Scratch<T>),
) {
    if let InputRef::Dense(dense) = &x
        && let Some(view) = dense.view()
    {
        return body(view, scratch);
    }
    let (rows, cols) = (x.rows(), x.cols());
    let mut buf = scratch.take(rows * cols);
    for (i, row) in buf.chunks_exact_mut(cols.max(1)).enumerate() {
        x.write_row(i, row);
    }
    body(reference::fits(MatRef::new(&buf, rows, cols)), scratch);
    scratch.give(buf);
}
