//! The product: sizes around the edges of tiles, four transposes, strides, α, β, and memory that must not be touched.

use nn_core::Scalar;
use nn_core::backend::Backend;
use nn_core::matrix::Scratch;
use nn_core::ops::{Gemm, Trans};

use super::data::{Grid, Rng, Stored};

/// One shape with its operands and what their product is.
pub(super) struct Case<T> {
    a: Grid,
    b: Grid,
    c: Grid,
    /// op(A)·op(B)
    product: Vec<f64>,
    /// |op(A)|·|op(B)|, the measure of its rounding error
    size: Vec<f64>,
    _element: std::marker::PhantomData<T>,
}

/// Around the edges of register tiles, vectors, cache blocks and the network's own layers.
const EDGES: [usize; 23] =
    [1, 2, 5, 6, 7, 8, 10, 13, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 255, 256, 257, 784];

/// Every combination of these.
const SMALL: [usize; 6] = [1, 2, 7, 8, 13, 17];

/// Shapes (m, n, k) of the network, and larger than the blocks of any of the libraries in all three directions at once.
const LARGE: [(usize, usize, usize); 5] =
    [(256, 10, 512), (100, 100, 784), (784, 65, 100), (33, 512, 257), (257, 257, 257)];

/// α and β, with α = β = 1 and β = 0 as the engine uses them and two that are neither.
const FACTORS: [(f64, f64); 5] = [(1.0, 0.0), (1.0, 1.0), (-0.75, 0.5), (2.0, 0.0), (0.0, 0.5)];

impl<T: Scalar> Case<T> {
    /// All shapes.
    pub(super) fn all() -> Vec<Self> {
        let mut shapes = LARGE.to_vec();
        for m in SMALL {
            shapes.extend(SMALL.iter().flat_map(|&n| SMALL.map(|k| (m, n, k))));
        }
        for s in EDGES {
            shapes.extend([(s, 33, 17), (17, s, 33), (33, 17, s)]);
            shapes.extend((s <= 100).then_some((s, s, s)));
        }
        shapes.extend([(0, 3, 2), (3, 0, 2), (3, 2, 0)]);
        let mut rng = Rng(1);
        shapes.into_iter().map(|shape| Self::new(&mut rng, shape)).collect()
    }

    fn new(rng: &mut Rng, (m, n, k): (usize, usize, usize)) -> Self {
        let (a, b) = (Grid::random::<T>(rng, m, k), Grid::random::<T>(rng, k, n));
        let (product, size) = a.product::<T>(&b);
        Self { a, b, c: Grid::random::<T>(rng, m, n), product, size, _element: std::marker::PhantomData }
    }

    /// Panics if the backend computes anything but α op(A) op(B) + β C within the bound of a sum in any order, reads C
    /// where β = 0, or writes beside C.
    pub(super) fn check(&self, backend: &dyn Backend<T>, scratch: &mut Scratch<T>) {
        let (m, n, k) = (self.a.rows, self.b.cols, self.a.cols);
        for (turn, &(alpha, beta)) in FACTORS.iter().enumerate() {
            for (ta, tb) in [
                (Trans::No, Trans::No),
                (Trans::No, Trans::Yes),
                (Trans::Yes, Trans::No),
                (Trans::Yes, Trans::Yes),
            ] {
                // Gaps come and go with the other choices, differently in the three matrices.
                let gap = |size: usize, width| if (turn + m + n + k) % size == 0 { width } else { 0 };
                let a = self.a.store::<T>(ta == Trans::Yes, gap(2, 3));
                let b = self.b.store::<T>(tb == Trans::Yes, gap(3, 5));
                let before = |i, j| if beta == 0.0 { T::nan() } else { self.c.at(i, j) };
                let mut c = Stored::guarded(m, n, gap(2, 7), before);
                let gemm = Gemm::new(T::of(alpha), a.view(), ta, b.view(), tb, T::of(beta), c.view_mut());
                backend.gemm(gemm.expect("the shapes fit"), scratch);

                let context = format!("gemm {m}x{n}x{k} op(A) {ta:?} op(B) {tb:?} alpha {alpha} beta {beta}");
                let c0 = |i, j| self.c.at::<T>(i, j).wide();
                let expected = |i, j| alpha * self.product[i * n + j] + beta * c0(i, j);
                // k products and k − 1 sums in any order, α before or after, β, their sum: each within ε/2.
                let unit = (k + 3) as f64 * T::EPSILON.wide();
                let size =
                    |i: usize, j: usize| alpha.abs() * self.size[i * n + j] + beta.abs() * c0(i, j).abs();
                c.assert_close(&context, expected, |i, j| unit * size(i, j));
            }
        }
    }
}

/// Panics if a backend that promises the same bits gives others the second time, or on another thread.
pub(super) fn check_determinism<T: Scalar>(backend: &dyn Backend<T>) {
    if !backend.is_deterministic() {
        return;
    }
    let mut rng = Rng(2);
    let (m, n, k) = (65, 33, 300);
    let (a, b) = (rng.values::<T>(m * k, 1.0), rng.values::<T>(k * n, 1.0));
    let run = || {
        let a = Stored::from_fn(m, k, 0, |i, j| a[i * k + j]);
        let b = Stored::from_fn(k, n, 0, |i, j| b[i * n + j]);
        let mut c = Stored::guarded(m, n, 0, |_, _| T::nan());
        let gemm = Gemm::new(T::one(), a.view(), Trans::No, b.view(), Trans::No, T::zero(), c.view_mut());
        backend.gemm(gemm.expect("the shapes fit"), &mut Scratch::default());
        (0..m * n).map(|e| c.at(e / n, e % n)).collect::<Vec<T>>()
    };
    let first = run();
    assert!(first == run(), "gemm: the second call gave other bits");
    let others: Vec<_> =
        std::thread::scope(|s| [(); 3].map(|()| s.spawn(run)).map(|t| t.join()).into_iter().collect());
    for other in others {
        assert!(other.is_ok_and(|other| other == first), "gemm: another thread gave other bits");
    }
}
