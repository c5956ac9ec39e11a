//! The kernels of a dense layer, over inputs in all forms, with and without a list of rows, and with matrices in blocks of
//! columns where a backend wants them.

use nn_core::Scalar;
use nn_core::backend::Backend;
use nn_core::matrix::{Csr, InputRef, MatRef, Rows, Scratch, SparseBytes};
use nn_core::ops::{Activation, Sum};

use super::data::{Rng, Stored, assert_close};

/// Every activation.
pub(super) const ACTIVATIONS: [Activation; 4] =
    [Activation::Linear, Activation::Tanh, Activation::Relu, Activation::Sigmoid];

/// Rounding errors that an activation or its derivative may add, in ε: those of a good mathematical library, doubled.
const FUNCTION: f64 = 8.0;

/// Shapes (rows of the data set, inputs, units).
const SHAPES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (2, 3, 10),
    (7, 17, 8),
    (33, 16, 65),
    (64, 100, 10),
    (257, 31, 33),
    (70, 784, 100),
    (1, 130, 128),
    (253, 128, 128),
];

/// The data set of one shape in its four forms, with its numbers in f64.
struct Data<T> {
    bytes: Vec<u8>,
    dense: Stored<T>,
    csr: Csr<T>,
    sparse_bytes: SparseBytes<T>,
    rows: usize,
    cols: usize,
}

/// What the bytes are divided by.
const DIVISOR: f64 = 255.0;

impl<T: Scalar> Data<T> {
    fn new(rng: &mut Rng, rows: usize, cols: usize) -> Self {
        // Three zeros in four, as in images; the first row all zeros, the last without any.
        let byte = |e: usize, r: u64| match e / cols {
            0 if rows > 1 => 0,
            row if row + 1 == rows => (r % 255 + 1) as u8,
            _ if r.is_multiple_of(4) => (r >> 8) as u8,
            _ => 0,
        };
        let bytes: Vec<u8> = (0..rows * cols).map(|e| byte(e, rng.next())).collect();
        let dense = Stored::from_fn(rows, cols, 2, |i, j| T::of_byte(bytes[i * cols + j]) / T::of(DIVISOR));
        let csr = Csr::from_bytes(&bytes, rows, cols, T::of(DIVISOR)).expect("as many bytes as announced");
        let sparse_bytes = SparseBytes::new(&bytes, rows, cols, T::of(DIVISOR)).expect("likewise");
        Self { bytes, dense, csr, sparse_bytes, rows, cols }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        f64::from(self.bytes[i * self.cols + j]) / DIVISOR
    }

    /// The selected rows in each form.
    fn forms<'a>(&'a self, rows: Rows<'a>) -> [(&'static str, InputRef<'a, T>); 4] {
        let bytes = InputRef::bytes(&self.bytes, self.rows, self.cols, T::of(DIVISOR));
        [
            ("dense", InputRef::dense(self.dense.view())),
            ("bytes", bytes.expect("as many bytes as announced")),
            ("sparse", InputRef::sparse(&self.csr)),
            ("sparse bytes", InputRef::sparse_bytes(&self.sparse_bytes)),
        ]
        .map(|(name, x)| (name, x.select(rows).expect("the rows are there")))
    }
}

/// Panics unless the four kernels of a dense layer are right.
pub(super) fn check<T: Scalar>(backend: &dyn Backend<T>, scratch: &mut Scratch<T>) {
    let mut rng = Rng(3);
    for (rows, inputs, units) in SHAPES {
        let data = Data::<T>::new(&mut rng, rows, inputs);
        let list: Vec<u32> = (0..rows + 2).map(|_| (rng.next() % rows as u64) as u32).collect();
        let selections = [
            Rows::Range { start: 0, len: rows },
            Rows::Range { start: rows / 3, len: rows / 2 },
            Rows::List(&list),
        ];
        for block in layouts(backend) {
            for selection in selections {
                check_affine(backend, scratch, &mut rng, &data, selection, units, block);
                check_accumulate_weights(backend, scratch, &mut rng, &data, selection, units, block);
            }
            check_backpropagate(backend, scratch, &mut rng, (rows, inputs, units), block);
            check_accumulate_bias(backend, &mut rng, rows, units, block);
        }
    }
}

/// Plain, and in blocks if the backend wants them. (A shape without several whole blocks is plain again.)
fn layouts<T: Scalar>(backend: &dyn Backend<T>) -> Vec<usize> {
    [usize::MAX].into_iter().chain(backend.block_columns()).collect()
}

/// Σₚ term(p) and Σₚ |term(p)|.
fn sums(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    terms.fold((0.0, 0.0), |(sum, size), t| (sum + t, size + t.abs()))
}

fn check_affine<T: Scalar>(
    backend: &dyn Backend<T>,
    scratch: &mut Scratch<T>,
    rng: &mut Rng,
    data: &Data<T>,
    selection: Rows<'_>,
    units: usize,
    block: usize,
) {
    let (m, k) = (selection.len(), data.cols);
    let weights = rng.values::<T>(k * units, 1.0);
    let w = Stored::from_fn(k, units, 4, |p, j| weights[p * units + j]).in_blocks(block);
    let bias = rng.values::<T>(units, 2.0);
    let products: Vec<(f64, f64)> = (0..m * units)
        .map(|e| sums((0..k).map(|p| data.at(selection.get(e / units), p) * w.at(p, e % units).wide())))
        .collect();
    for (form, x) in data.forms(selection) {
        for f in ACTIVATIONS {
            for bias in [None, Some(&bias[..])] {
                let context =
                    format!("affine {form} {selection:?}x{k}x{units} {f:?} bias {}", bias.is_some());
                let mut y = Stored::guarded(m, units, 5, |_, _| T::nan()).in_blocks(block);
                backend.affine(x, w.view(), bias, f, y.view_mut(), scratch);
                let b = |j: usize| bias.map_or(0.0, |b| b[j].wide());
                let expected = |i: usize, j: usize| f.eval(products[i * units + j].0 + b(j));
                // The slope of every activation is at most 1, so the error of its argument is at most passed on.
                y.assert_close(&context, expected, |i, j| {
                    let argument = (k + 3) as f64 * (products[i * units + j].1 + b(j).abs());
                    T::EPSILON.wide() * (argument + FUNCTION * expected(i, j).abs())
                });
            }
        }
    }
}

fn check_accumulate_weights<T: Scalar>(
    backend: &dyn Backend<T>,
    scratch: &mut Scratch<T>,
    rng: &mut Rng,
    data: &Data<T>,
    selection: Rows<'_>,
    units: usize,
    block: usize,
) {
    let (m, k) = (selection.len(), data.cols);
    let (values, before) = (rng.values::<T>(m * units, 1.0), rng.values::<T>(k * units, 1.0));
    let delta = Stored::from_fn(m, units, 1, |i, j| values[i * units + j]).in_blocks(block);
    let products: Vec<(f64, f64)> = (0..k * units)
        .map(|e| sums((0..m).map(|i| data.at(selection.get(i), e / units) * delta.at(i, e % units).wide())))
        .collect();
    for (form, x) in data.forms(selection) {
        for alpha in [1.0, -0.3] {
            for sum in [Sum::Begin, Sum::Continue] {
                // A sum that begins doesn't read what was there.
                let begins = sum == Sum::Begin;
                let old = |p: usize, j: usize| if begins { T::nan() } else { before[p * units + j] };
                let mut dw = Stored::guarded(k, units, 3, old).in_blocks(block);
                backend.accumulate_weights(T::of(alpha), x, delta.view(), sum, dw.view_mut(), scratch);
                let before = |p: usize, j: usize| if begins { 0.0 } else { before[p * units + j].wide() };
                let context =
                    format!("accumulate_weights {form} {selection:?}x{k}x{units} alpha {alpha} {sum:?}");
                // α is −0.3 as the element type has it.
                let alpha = T::of(alpha).wide();
                dw.assert_close(
                    &context,
                    |p, j| alpha * products[p * units + j].0 + before(p, j),
                    |p, j| {
                        let size = alpha.abs() * products[p * units + j].1 + before(p, j).abs();
                        (m + 4) as f64 * T::EPSILON.wide() * size
                    },
                );
            }
        }
    }
}

fn check_backpropagate<T: Scalar>(
    backend: &dyn Backend<T>,
    scratch: &mut Scratch<T>,
    rng: &mut Rng,
    (m, k, n): (usize, usize, usize),
    block: usize,
) {
    let (dy, w) = (rng.values::<T>(m * n, 1.0), rng.values::<T>(k * n, 1.0));
    let (dy, w) =
        (Stored::from_fn(m, n, 2, |i, j| dy[i * n + j]), Stored::from_fn(k, n, 0, |p, j| w[p * n + j]));
    let (dy, w) = (dy.in_blocks(block), w.in_blocks(block));
    let output = rng.values::<T>(m * k, 1.0);
    // Relu's zeros among them.
    let output =
        Stored::from_fn(m, k, 6, |i, p| if (i + p) % 3 == 0 { T::zero() } else { output[i * k + p] });
    let output = output.in_blocks(block);
    let products: Vec<(f64, f64)> =
        (0..m * k).map(|e| sums((0..n).map(|j| dy.at(e / k, j).wide() * w.at(e % k, j).wide()))).collect();
    for f in ACTIVATIONS {
        let mut delta = Stored::guarded(m, k, 4, |_, _| T::nan()).in_blocks(block);
        backend.backpropagate(dy.view(), w.view(), f, output.view(), delta.view_mut(), scratch);
        let slope = |i, p| f.slope(output.at(i, p).wide());
        delta.assert_close(
            &format!("backpropagate {m}x{k}x{n} {f:?}"),
            |i, p| products[i * k + p].0 * slope(i, p),
            // The slope is at most 2 in size here (an output of −1 under sigmoid) and wrong by 4 ε at most.
            |i, p| (2 * n + 8) as f64 * T::EPSILON.wide() * products[i * k + p].1,
        );
    }
}

fn check_accumulate_bias<T: Scalar>(
    backend: &dyn Backend<T>,
    rng: &mut Rng,
    m: usize,
    n: usize,
    block: usize,
) {
    let (delta, before) = (rng.values::<T>(m * n, 1.0), rng.values::<T>(n, 1.0));
    let delta = Stored::from_fn(m, n, 3, |i, j| delta[i * n + j]).in_blocks(block);
    let mut db = before.clone();
    backend.accumulate_bias(delta.view(), &mut db);
    for j in 0..n {
        let (sum, size) = sums((0..m).map(|i| delta.at(i, j).wide()).chain([before[j].wide()]));
        let context = || format!("accumulate_bias {m}x{n}: element {j}");
        assert_close(context, db[j].wide(), sum, (m + 1) as f64 * T::EPSILON.wide() * size);
    }
}

/// Panics if the rows of an empty batch are not left alone.
pub(super) fn check_empty_batch<T: Scalar>(backend: &dyn Backend<T>, scratch: &mut Scratch<T>) {
    let none = MatRef::new(&[], 0, 3).expect("no rows need no elements");
    let w = Stored::from_fn(3, 2, 0, |_, _| T::one());
    let mut y = Stored::guarded(0, 2, 0, |_, _| T::nan());
    backend.affine(InputRef::dense(none), w.view(), None, Activation::Tanh, y.view_mut(), scratch);
    y.assert_guards("affine of no rows");
    let delta = MatRef::new(&[], 0, 2).expect("no rows need no elements");
    for (sum, want) in [(Sum::Continue, 1.0), (Sum::Begin, 0.0)] {
        let mut dw = Stored::guarded(3, 2, 1, |_, _| T::one());
        backend.accumulate_weights(T::one(), InputRef::dense(none), delta, sum, dw.view_mut(), scratch);
        dw.assert_close("accumulate_weights of no rows", |_, _| want, |_, _| 0.0);
    }
}
