//! The fused kernels of a layer against the provided methods of the trait on top of the three loops.

use super::super::Simd;
use super::super::finish::Finish;
use super::super::pairs::block_columns;
use super::super::sparse::{SparseOuter, SparseProduct};
use super::super::tiled::Tiled;
use super::super::vector::Element;
use super::stored::Stored;
use super::{Check, Runner, checked, everywhere, numbers};
use crate::Scalar;
use crate::backend::reference::{self, fits};
use crate::backend::{Backend, Naive};
use crate::matrix::{Csr, InputRef, MatMut, MatRef, Rows, Scratch};
use crate::ops::{Activation, Sum};

const CANARY: f64 = 12345.0;

/// About one byte in five is not 0.
fn bytes(rows: usize, cols: usize) -> Vec<u8> {
    let lit = numbers::<f64>(11, rows * cols);
    lit.iter().map(|&x| if x > 0.6 { (x * 255.0) as u8 } else { 0 }).collect()
}

/// Each of the `terms` products and sums errs by at most ε/2 of numbers below `terms`.
fn close<T: Scalar>(got: &[T], want: &[T], terms: usize, what: &str) {
    let bound = T::EPSILON.wide() * ((terms + 8) * (terms + 1)) as f64;
    for (at, (&got, &want)) in got.iter().zip(want).enumerate() {
        assert!((got.wide() - want.wide()).abs() <= bound, "{what}: element {at} is {got:e}, not {want:e}");
    }
}

/// Sparse products around the edges of panels, strips and groups of rows, on every vector.
struct Sparse;

impl Check for Sparse {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let mut scratch = Scratch::default();
        for (m, k, n) in [
            (1, 5, 64),
            (1, 300, 70),
            (7, 113, 130),
            (8, 112, 64),
            (9, 225, 10),
            (257, 30, 65),
            (3, 0, 64),
            (0, 4, 64),
            (9, 4, 0),
        ] {
            let what = format!("{name}: {m}×{k}·{k}×{n}");
            let csr = fits(Csr::from_bytes(&bytes(m, k), m, k, T::of(255.0)));
            let list: Vec<u32> = (0..m as u32).rev().collect();
            let x = fits(InputRef::sparse(&csr).select(Rows::List(&list)));
            let InputRef::Sparse(rows) = x else { panic!("sparse rows stay sparse") };

            let stride = n + 3;
            let mut w = numbers::<T>(5, k * stride);
            w.chunks_exact_mut(stride).for_each(|row| row[n..].fill(T::nan()));
            let w = fits(MatRef::with_stride(&w, k, n, stride));
            let mut y = vec![T::of(CANARY); m * stride];
            on.run(SparseProduct {
                x: rows,
                w,
                finish: Finish::Nothing,
                y: fits(MatMut::with_stride(&mut y, m, n, stride)),
                scratch: &mut scratch,
            });
            let mut want = vec![T::of(CANARY); m * stride];
            reference::sparse_product(&rows, w, fits(MatMut::with_stride(&mut want, m, n, stride)));
            close(&y, &want, k, &format!("{what}: product"));

            let delta = fits(MatRef::with_stride(&want, m, n, stride));
            let start: Vec<T> = numbers(6, k * stride);
            let (mut dw, mut want_dw) = (start.clone(), start);
            let alpha = T::of(-0.75);
            on.run(SparseOuter {
                alpha,
                x: rows,
                delta,
                dw: fits(MatMut::with_stride(&mut dw, k, n, stride)),
                scratch: &mut scratch,
            });
            reference::sparse_outer(
                alpha,
                &rows,
                delta,
                Sum::Continue,
                fits(MatMut::with_stride(&mut want_dw, k, n, stride)),
            );
            // δ is up to k / 5 large here.
            close(&dw, &want_dw, m.max(k), &format!("{what}: outer product"));
            let gaps =
                |dw: &[T]| dw.chunks_exact(stride).flat_map(|row| row[n..].to_vec()).collect::<Vec<T>>();
            assert_eq!(gaps(&dw), gaps(&want_dw), "{what}: wrote between the rows");
        }
    }
}

#[test]
fn sparse_products_around_the_edges_of_panels_are_right_and_write_nothing_else() {
    everywhere(&Sparse);
}

/// The same products with W, Y, δ and dW in blocks of columns, as the executor keeps them, have the same bits.
struct SparseInBlocks;

impl Check for SparseInBlocks {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, _: (usize, usize)) {
        let width = block_columns::<T>();
        let n = 3 * width;
        // As few rows as read W where it is, and more.
        for (m, k) in [(1, 200), (7, 113), (130, 225)] {
            let csr = fits(Csr::from_bytes(&bytes(m, k), m, k, T::of(255.0)));
            let InputRef::Sparse(x) = InputRef::sparse(&csr) else { panic!("sparse rows stay sparse") };
            let (w, delta, bias) = (numbers::<T>(5, k * n), numbers::<T>(6, m * n), numbers::<T>(7, n));
            let products = |blocks: [Option<usize>; 2]| {
                let mut scratch = Scratch::default();
                let w = Stored::new(k, n, blocks[0], |p, j| w[p * n + j]);
                let mut y = Stored::guarded(m, n, blocks[1], |_, _| T::nan());
                let finish = Finish::Activate(Activation::Tanh, Some(&bias));
                on.run(SparseProduct { x, w: w.view(), finish, y: y.view_mut(), scratch: &mut scratch });
                let stored = Stored::new(m, n, blocks[0], |i, j| delta[i * n + j]);
                let mut dw = Stored::guarded(k, n, blocks[1], |_, _| T::one());
                let (delta, to, alpha) = (stored.view(), dw.view_mut(), T::of(-0.75));
                on.run(SparseOuter { alpha, x, delta, dw: to, scratch: &mut scratch });
                [y.elements(), dw.elements()]
            };
            let plain = products([None, None]);
            for blocks in [[Some(width), None], [None, Some(width)], [Some(width), Some(width)]] {
                let same = products(blocks) == plain;
                assert!(same, "{name}: {m}×{k}·{k}×{n}: other numbers with blocks {blocks:?}");
            }
        }
    }
}

#[test]
fn sparse_products_are_the_same_whichever_of_their_matrices_are_in_blocks() {
    everywhere(&SparseInBlocks);
}

fn every_isa(check: impl Fn(Simd)) {
    checked().into_iter().for_each(check);
}

fn affine<T: Scalar>(
    on: &impl Backend<T>,
    x: InputRef<'_, T>,
    w: &[T],
    bias: Option<&[T]>,
    f: Activation,
) -> Vec<T> {
    let n = w.len() / x.cols();
    let mut y = vec![T::nan(); x.rows() * n];
    let (w, out) = (fits(MatRef::new(w, x.cols(), n)), fits(MatMut::new(&mut y, x.rows(), n)));
    on.affine(x, w, bias, f, out, &mut Scratch::default());
    y
}

fn weights<T: Scalar>(on: &impl Backend<T>, x: InputRef<'_, T>, delta: &[T], start: &[T]) -> Vec<T> {
    let n = delta.len() / x.rows();
    let mut dw = start.to_vec();
    let delta = fits(MatRef::new(delta, x.rows(), n));
    on.accumulate_weights(
        T::one(),
        x,
        delta,
        Sum::Continue,
        fits(MatMut::new(&mut dw, x.cols(), n)),
        &mut Scratch::default(),
    );
    dw
}

fn layer_of<T: Tiled>(simd: Simd)
where
    Simd: Backend<T>,
{
    let (all, k, n) = (40, 130, 75);
    let data = bytes(all, k);
    let divisor = T::of(255.0);
    let dense: Vec<T> = data.iter().map(|&b| T::of_byte(b) / divisor).collect();
    let csr = fits(Csr::from_bytes(&data, all, k, divisor));
    let list = [3, 39, 0, 3, 17, 8, 9, 10, 11, 12, 30];
    let (w, bias, start) = (numbers::<T>(1, k * n), numbers::<T>(2, n), numbers::<T>(3, k * n));
    for rows in [Rows::List(&list), Rows::Range { start: 2, len: 19 }, Rows::Range { start: 5, len: 1 }] {
        let select = |x: InputRef<'_, T>| fits(x.select(rows)).rows();
        let forms = [
            fits(InputRef::dense(fits(MatRef::new(&dense, all, k))).select(rows)),
            fits(fits(InputRef::bytes(&data, all, k, divisor)).select(rows)),
            fits(InputRef::sparse(&csr).select(rows)),
        ];
        let m = select(forms[0]);
        // In tiles, bytes are not made numbers first.
        let as_numbers = !T::are_tiled(simd, &forms[1], n);
        let delta = numbers::<T>(4, m * n);
        for f in [Activation::Linear, Activation::Tanh, Activation::Relu, Activation::Sigmoid] {
            for bias in [None, Some(&bias[..])] {
                let what = format!("{simd:?} {} {rows:?} {f:?} bias {}", T::NAME, bias.is_some());
                let want = affine(&Naive, forms[0], &w, bias, f);
                let got = forms.map(|x| affine(&simd, x, &w, bias, f));
                assert!(
                    !as_numbers || got[0] == got[1],
                    "{what}: bytes have the bits of the numbers they stand for"
                );
                close(&got[0], &want, k, &what);
                close(&got[1], &want, k, &format!("{what}, bytes"));
                close(&got[2], &want, k, &format!("{what}, sparse"));
            }
        }
        let want = weights(&Naive, forms[0], &delta, &start);
        let got = forms.map(|x| weights(&simd, x, &delta, &start));
        assert!(
            !as_numbers || got[0] == got[1],
            "{simd:?} {rows:?}: bytes have the bits of the numbers they stand for"
        );
        close(&got[0], &want, m, &format!("{simd:?} {rows:?} dW"));
        close(&got[1], &want, m, &format!("{simd:?} {rows:?} dW, bytes"));
        close(&got[2], &want, m, &format!("{simd:?} {rows:?} dW, sparse"));
    }
}

#[test]
fn a_layer_forward_and_its_weight_gradient_agree_with_the_three_loops_in_every_form_of_input() {
    every_isa(|simd| {
        layer_of::<f32>(simd);
        layer_of::<f64>(simd);
    });
}

fn backpropagation_of<T: Element>(simd: Simd)
where
    Simd: Backend<T>,
{
    let mut scratch = Scratch::default();
    for (m, n, k) in [(1, 10, 512), (20, 10, 77), (33, 1, 5), (7, 40, 1)] {
        let (dy, w, output) = (numbers::<T>(1, m * n), numbers::<T>(2, k * n), numbers::<T>(3, m * k));
        let (dy, w) = (fits(MatRef::new(&dy, m, n)), fits(MatRef::new(&w, k, n)));
        let output = fits(MatRef::new(&output, m, k));
        for f in [Activation::Linear, Activation::Tanh, Activation::Relu, Activation::Sigmoid] {
            let (mut got, mut want) = (vec![T::nan(); m * k], vec![T::nan(); m * k]);
            simd.backpropagate(dy, w, f, output, fits(MatMut::new(&mut got, m, k)), &mut scratch);
            Naive.backpropagate(dy, w, f, output, fits(MatMut::new(&mut want, m, k)), &mut scratch);
            close(&got, &want, n, &format!("{simd:?} {} δ {m}×{k} over {n}, {f:?}", T::NAME));
        }
    }
}

#[test]
fn backpropagation_through_an_activation_agrees_with_the_three_loops() {
    every_isa(|simd| {
        backpropagation_of::<f32>(simd);
        backpropagation_of::<f64>(simd);
    });
}
