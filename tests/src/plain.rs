//! Matrices as anyone would write them, to check engines against.

/// A matrix in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    /// Its elements.
    pub data: Vec<f64>,
}

impl Matrix {
    /// A matrix of `rows` rows. Panics if the elements don't fill them.
    pub fn new(rows: usize, data: Vec<f64>) -> Self {
        assert!(rows > 0 && data.len().is_multiple_of(rows));
        Self { rows, cols: data.len() / rows, data }
    }

    /// Element (i, j).
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.cols + j]
    }

    fn from_fn(rows: usize, cols: usize, f: impl Fn(usize, usize) -> f64) -> Self {
        let data = (0..rows * cols).map(|at| f(at / cols, at % cols)).collect();
        Self { rows, cols, data }
    }

    /// f(i, j, element) for each element.
    #[must_use]
    pub fn map(&self, f: impl Fn(usize, usize, f64) -> f64) -> Self {
        Self::from_fn(self.rows, self.cols, |i, j| f(i, j, self.at(i, j)))
    }

    /// The transpose.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self::from_fn(self.cols, self.rows, |i, j| self.at(j, i))
    }

    /// The product. Panics if the inner dimensions differ.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        assert_eq!(self.cols, other.rows);
        Self::from_fn(self.rows, other.cols, |i, j| {
            (0..self.cols).map(|k| self.at(i, k) * other.at(k, j)).sum()
        })
    }
}

/// The mean of each column.
pub fn column_means(m: &Matrix) -> Vec<f64> {
    (0..m.cols).map(|j| (0..m.rows).map(|i| m.at(i, j)).sum::<f64>() / m.rows as f64).collect()
}
