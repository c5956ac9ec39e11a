//! Sparse rows of numbers.

use super::input::exact;
use super::{MatRef, Rows};
use crate::{Error, Result, Scalar};

/// Sparse rows (CSR: compressed sparse row), built once per data set.
///
/// Row `i` holds the entries `indptr[i] .. indptr[i + 1]`: the column `indices[e]` and the value `values[e]`, with
/// columns ascending within a row.
///
/// ```
/// use nn_core::matrix::Csr;
/// let csr = Csr::from_bytes(&[0, 51, 0, 0, 0, 255], 2, 3, 255.0f32)?;
/// assert_eq!((csr.rows(), csr.cols(), csr.entries()), (2, 3, 2));
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Csr<T> {
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<T>,
    cols: usize,
}

impl<T: Scalar> Csr<T> {
    /// From its three arrays.
    ///
    /// # Errors
    /// If `indptr` is empty, descends or does not end at the number of entries, if the other two differ in length, or
    /// if the columns of a row are not ascending and below `cols`.
    pub fn new(indptr: Vec<usize>, indices: Vec<u32>, values: Vec<T>, cols: usize) -> Result<Self> {
        let entries = indices.len();
        let framed = indptr.first() == Some(&0)
            && indptr.last() == Some(&entries)
            && values.len() == entries
            && indptr.windows(2).all(|w| w[0] <= w[1]);
        if !framed {
            return Err(Error::shape(format_args!(
                "csr: expected row pointers that rise from 0 to the number of entries, found {} pointers for {entries} \
                 columns and {} values",
                indptr.len(),
                values.len()
            )));
        }
        for (row, w) in indptr.windows(2).enumerate() {
            let columns = &indices[w[0]..w[1]];
            let sorted = columns.windows(2).all(|c| c[0] < c[1]);
            if !sorted || columns.last().is_some_and(|&c| c as usize >= cols) {
                return Err(Error::shape(format_args!(
                    "csr: the columns of row {row} are not strictly ascending and below {cols}"
                )));
            }
        }
        Ok(Self { indptr, indices, values, cols })
    }

    /// From `rows` × `cols` bytes, each standing for `byte / divisor`; zeros are left out.
    ///
    /// # Errors
    /// If `bytes` is not `rows * cols` long.
    pub fn from_bytes(bytes: &[u8], rows: usize, cols: usize, divisor: T) -> Result<Self> {
        let view = exact(bytes, rows, cols)?;
        let table: Vec<T> = (0..=255u8).map(|b| T::of_byte(b) / divisor).collect();
        Ok(Self::collect(view, |&b| (b != 0).then(|| table[b as usize])))
    }

    /// From `rows` × `cols` numbers; zeros are left out.
    ///
    /// # Errors
    /// If `values` is not `rows * cols` long.
    pub fn from_dense(values: &[T], rows: usize, cols: usize) -> Result<Self> {
        Ok(Self::collect(exact(values, rows, cols)?, |&v| (v != T::zero()).then_some(v)))
    }

    fn collect<U>(view: MatRef<'_, U>, value: impl Fn(&U) -> Option<T>) -> Self {
        let mut csr = Self { indptr: vec![0], indices: Vec::new(), values: Vec::new(), cols: view.cols() };
        for row in view.iter_rows() {
            for (column, element) in row.iter().enumerate() {
                if let Some(v) = value(element) {
                    csr.indices.push(column as u32);
                    csr.values.push(v);
                }
            }
            csr.indptr.push(csr.indices.len());
        }
        csr
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Number of stored entries.
    pub fn entries(&self) -> usize {
        self.indices.len()
    }

    /// Stored entries ÷ all elements; 0 for an empty matrix.
    pub fn density(&self) -> f64 {
        self.entries() as f64 / (self.rows() * self.cols).max(1) as f64
    }
}

/// Selected rows of a [`Csr`].
#[derive(Debug, Clone, Copy)]
pub struct CsrRef<'a, T> {
    pub(super) csr: &'a Csr<T>,
    pub(super) rows: Rows<'a>,
}

impl<'a, T: Scalar> CsrRef<'a, T> {
    /// The columns and values of the `i`-th selected row.
    #[inline(always)]
    pub fn row(&self, i: usize) -> (&'a [u32], &'a [T]) {
        let r = self.rows.get(i);
        let range = self.csr.indptr[r]..self.csr.indptr[r + 1];
        (&self.csr.indices[range.clone()], &self.csr.values[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csr_whose_arrays_contradict_each_other_is_refused() {
        let bad =
            |p: &[usize], i: &[u32], v: &[f32]| Csr::new(p.to_vec(), i.to_vec(), v.to_vec(), 3).is_err();
        assert!(bad(&[], &[], &[]), "no row pointers");
        assert!(bad(&[0, 2], &[0], &[1.0]), "pointers past the entries");
        assert!(bad(&[0, 1, 0, 1], &[0], &[1.0]), "descending pointers");
        assert!(bad(&[0, 1], &[3], &[1.0]), "column out of range");
        assert!(bad(&[0, 2], &[1, 1], &[1.0, 2.0]), "a column twice");
        assert!(!bad(&[0, 2], &[0, 2], &[1.0, 2.0]));
    }
}
