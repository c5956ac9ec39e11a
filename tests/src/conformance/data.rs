//! Numbers on a grid, so that what they sum to is known exactly, and matrices with guards around and between their rows.

use nn_core::Scalar;
use nn_core::matrix::{MatMut, MatRef, blocked_len};

/// SplitMix64: small, seeded, and nobody else's generator.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of −`limit` ..= `limit`.
    pub(super) fn int(&mut self, limit: i64) -> i64 {
        (self.next() % (2 * limit as u64 + 1)) as i64 - limit
    }

    /// `len` numbers of −`limit` .. `limit`.
    pub(super) fn values<T: Scalar>(&mut self, len: usize, limit: f64) -> Vec<T> {
        (0..len).map(|_| T::of(self.int(1 << 30) as f64 / (1u64 << 30) as f64 * limit)).collect()
    }
}

/// Bits after the binary point: few enough that each number is exact in `T`, so many that a product of two is not.
fn bits<T: Scalar>() -> i32 {
    if T::NAME == "f32" { 20 } else { 30 }
}

/// A matrix of numbers in −1 ..= 1, kept as integers.
pub(super) struct Grid {
    /// Number of rows.
    pub(super) rows: usize,
    /// Number of columns.
    pub(super) cols: usize,
    ints: Vec<i64>,
}

impl Grid {
    /// A random one.
    pub(super) fn random<T: Scalar>(rng: &mut Rng, rows: usize, cols: usize) -> Self {
        let ints = (0..rows * cols).map(|_| rng.int(1 << bits::<T>())).collect();
        Self { rows, cols, ints }
    }

    /// Element (i, j).
    pub(super) fn at<T: Scalar>(&self, i: usize, j: usize) -> T {
        T::of(self.ints[i * self.cols + j] as f64 * 0.5f64.powi(bits::<T>()))
    }

    /// A·B and |A|·|B|, summed in 128-bit integers, without any rounding before the end.
    pub(super) fn product<T: Scalar>(&self, other: &Self) -> (Vec<f64>, Vec<f64>) {
        assert_eq!(self.cols, other.rows);
        let unit = 0.25f64.powi(bits::<T>());
        let (mut sums, mut sizes) = (Vec::new(), Vec::new());
        for i in 0..self.rows {
            let mut sum = vec![(0i128, 0i128); other.cols];
            for p in 0..self.cols {
                let a = self.ints[i * self.cols + p];
                for (s, &b) in sum.iter_mut().zip(&other.ints[p * other.cols..]) {
                    let product = i128::from(a * b);
                    s.0 += product;
                    s.1 += product.abs();
                }
            }
            sums.extend(sum.iter().map(|s| s.0 as f64 * unit));
            sizes.extend(sum.iter().map(|s| s.1 as f64 * unit));
        }
        (sums, sizes)
    }

    /// The matrix in memory, transposed or not.
    pub(super) fn store<T: Scalar>(&self, transposed: bool, gap: usize) -> Stored<T> {
        let at = |i, j| if transposed { self.at(j, i) } else { self.at(i, j) };
        let (rows, cols) = if transposed { (self.cols, self.rows) } else { (self.rows, self.cols) };
        Stored::from_fn(rows, cols, gap, at)
    }
}

/// What stands around a matrix that is only read: whoever reads it, and uses it, gets it in the result.
fn poison<T: Scalar>() -> T {
    T::nan()
}

/// What stands around a matrix that is written: a number that no kernel of these tests would write.
fn canary<T: Scalar>() -> T {
    T::of(-12345.5)
}

/// A matrix in memory with something before it, behind it and between its rows.
pub(super) struct Stored<T> {
    data: Vec<T>,
    rows: usize,
    cols: usize,
    stride: usize,
    /// Columns of a block, if it is in blocks.
    block: Option<usize>,
}

/// Elements before the first: odd, so that a matrix does not begin where a vector register would like it to.
const LEAD: usize = 3;

impl<T: Scalar> Stored<T> {
    /// A matrix to be read: NaN around it.
    pub(super) fn from_fn(rows: usize, cols: usize, gap: usize, at: impl Fn(usize, usize) -> T) -> Self {
        Self::within(poison(), rows, cols, gap, at)
    }

    /// A matrix to be written: canaries around it.
    pub(super) fn guarded(rows: usize, cols: usize, gap: usize, at: impl Fn(usize, usize) -> T) -> Self {
        Self::within(canary(), rows, cols, gap, at)
    }

    fn within(guard: T, rows: usize, cols: usize, gap: usize, at: impl Fn(usize, usize) -> T) -> Self {
        let stride = cols + gap;
        let mut data = vec![guard; LEAD + rows * stride + LEAD];
        for i in 0..rows {
            for j in 0..cols {
                data[LEAD + i * stride + j] = at(i, j);
            }
        }
        Self { data, rows, cols, stride, block: None }
    }

    /// The same elements in blocks of so many columns, if there are several whole ones; otherwise as it is.
    pub(super) fn in_blocks(self, block: usize) -> Self {
        if self.cols <= block || !self.cols.is_multiple_of(block) {
            return self;
        }
        let (rows, cols) = (self.rows, self.cols);
        let data = vec![self.data[0]; LEAD + blocked_len(rows, cols) + LEAD];
        let mut blocked = Self { data, rows, cols, stride: block, block: Some(block) };
        for i in 0..rows {
            for j in 0..cols {
                let place = blocked.place(i, j);
                blocked.data[place] = self.at(i, j);
            }
        }
        blocked
    }

    /// To be read.
    pub(super) fn view(&self) -> MatRef<'_, T> {
        let (data, rows, cols) = (&self.data[LEAD..], self.rows, self.cols);
        match self.block {
            Some(block) => MatRef::blocked(data, rows, cols, block),
            None => MatRef::with_stride(data, rows, cols, self.stride),
        }
        .expect("it was built to fit")
    }

    /// To be written.
    pub(super) fn view_mut(&mut self) -> MatMut<'_, T> {
        let (data, rows, cols) = (&mut self.data[LEAD..], self.rows, self.cols);
        match self.block {
            Some(block) => MatMut::blocked(data, rows, cols, block),
            None => MatMut::with_stride(data, rows, cols, self.stride),
        }
        .expect("it was built to fit")
    }

    fn place(&self, i: usize, j: usize) -> usize {
        let block = self.block.unwrap_or(self.cols.max(1));
        LEAD + j / block * blocked_len(self.rows, block) + i * self.stride + j % block
    }

    /// Element (i, j).
    pub(super) fn at(&self, i: usize, j: usize) -> T {
        self.data[self.place(i, j)]
    }

    /// Panics if anything was written outside the matrix.
    pub(super) fn assert_guards(&self, context: &str) {
        // Of a block, the row behind the last may be written.
        let (block, rows) = (self.block.unwrap_or(self.cols), self.rows + usize::from(self.block.is_some()));
        let step = blocked_len(self.rows, block).max(1);
        for (at, &x) in self.data.iter().enumerate() {
            let inside = at.checked_sub(LEAD).is_some_and(|p| {
                let p =
                    if self.block.is_some() && p < blocked_len(self.rows, self.cols) { p % step } else { p };
                self.stride > 0 && p / self.stride < rows && p % self.stride < block
            });
            let offset = at as isize - LEAD as isize;
            assert!(inside || x == canary(), "{context}: {x:?} was written outside, at element {offset}");
        }
    }

    /// Panics unless every element is within `tolerance(i, j)` of `expected(i, j)`, and the guards are whole.
    pub(super) fn assert_close(
        &self,
        context: &str,
        expected: impl Fn(usize, usize) -> f64,
        tolerance: impl Fn(usize, usize) -> f64,
    ) {
        for i in 0..self.rows {
            for j in 0..self.cols {
                let at = || format!("{context}: element ({i}, {j})");
                assert_close(at, self.at(i, j).wide(), expected(i, j), tolerance(i, j));
            }
        }
        self.assert_guards(context);
    }
}

/// Panics unless `found` is within `tolerance` of `expected`; NaN is close to NaN and an infinity to itself.
pub(super) fn assert_close(context: impl Fn() -> String, found: f64, expected: f64, tolerance: f64) {
    let same = found == expected || (found.is_nan() && expected.is_nan());
    let close = same || (found - expected).abs() <= tolerance;
    assert!(close, "{}: found {found:e}, expected {expected:e} ± {tolerance:e}", context());
}
