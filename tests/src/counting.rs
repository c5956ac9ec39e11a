//! A backend that counts what is asked of it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use nn_core::backend::{Backend, Description, Naive};
use nn_core::matrix::{InputRef, MatMut, MatRef, Scratch};
use nn_core::ops::{Activation, Binary, Gemm, Labels, Operand, Sum, Unary};

/// The reference kernels, and a count of the calls to them.
#[derive(Debug, Default)]
pub struct Counting {
    all: AtomicUsize,
    first_layers: AtomicUsize,
}

impl Counting {
    /// The calls since the last time that this was asked.
    pub fn take(&self) -> usize {
        self.all.swap(0, Relaxed)
    }

    /// Those for a layer on rows of [`SparseBytes`](nn_core::matrix::SparseBytes), since the last time that this was asked.
    pub fn take_first_layers(&self) -> usize {
        self.first_layers.swap(0, Relaxed)
    }

    fn count(&self) -> Naive {
        self.all.fetch_add(1, Relaxed);
        Naive
    }
}

impl Backend<f64> for Counting {
    fn describe(&self) -> Description {
        Backend::<f64>::describe(&Naive)
    }

    fn gemm(&self, gemm: Gemm<'_, f64>, scratch: &mut Scratch<f64>) {
        self.count().gemm(gemm, scratch);
    }

    fn affine(
        &self,
        x: InputRef<'_, f64>,
        w: MatRef<'_, f64>,
        bias: Option<&[f64]>,
        f: Activation,
        y: MatMut<'_, f64>,
        scratch: &mut Scratch<f64>,
    ) {
        if let InputRef::SparseBytes(_) = x {
            self.first_layers.fetch_add(1, Relaxed);
        }
        self.count().affine(x, w, bias, f, y, scratch);
    }

    fn accumulate_weights(
        &self,
        alpha: f64,
        x: InputRef<'_, f64>,
        delta: MatRef<'_, f64>,
        sum: Sum,
        dw: MatMut<'_, f64>,
        scratch: &mut Scratch<f64>,
    ) {
        self.count().accumulate_weights(alpha, x, delta, sum, dw, scratch);
    }

    fn backpropagate(
        &self,
        dy: MatRef<'_, f64>,
        w: MatRef<'_, f64>,
        f: Activation,
        output: MatRef<'_, f64>,
        delta: MatMut<'_, f64>,
        scratch: &mut Scratch<f64>,
    ) {
        self.count().backpropagate(dy, w, f, output, delta, scratch);
    }

    fn accumulate_bias(&self, delta: MatRef<'_, f64>, db: &mut [f64]) {
        self.count().accumulate_bias(delta, db);
    }

    fn activate(&self, f: Activation, x: &mut [f64]) {
        self.count().activate(f, x);
    }

    fn unary(&self, f: Unary, x: &[f64], y: &mut [f64]) {
        self.count().unary(f, x, y);
    }

    fn binary(&self, f: Binary, a: Operand<'_, f64>, b: Operand<'_, f64>, y: &mut [f64]) {
        self.count().binary(f, a, b, y);
    }

    fn softmax(&self, x: MatRef<'_, f64>, p: MatMut<'_, f64>) {
        self.count().softmax(x, p);
    }

    fn softmax_cross_entropy(
        &self,
        logits: MatRef<'_, f64>,
        labels: Labels<'_, f64>,
        losses: Option<&mut [f64]>,
        gradient: Option<(f64, MatMut<'_, f64>)>,
    ) {
        self.count().softmax_cross_entropy(logits, labels, losses, gradient);
    }

    fn argmax(&self, x: MatRef<'_, f64>, index: &mut [i32]) {
        self.count().argmax(x, index);
    }
}
