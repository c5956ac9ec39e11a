//! Borrowed row-major matrix views, inputs in the forms that data sets come in, and the scratch memory of kernels.
//!
//! A view is a slice with a number of rows, a number of columns and a row stride; constructing one checks that the
//! slice is long enough, so that kernels need not.

mod buffer;
mod input;

pub use buffer::{AlignedBuf, Scratch};
pub use input::{Bytes, Csr, CsrRef, DenseRows, InputRef, Rows};

use crate::{Error, Result};

/// A read-only row-major view: element (i, j) is `data[i * stride + j]`.
///
/// ```
/// use nn_core::matrix::MatRef;
/// let m = MatRef::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3)?;
/// assert_eq!(m.row(1), [4.0, 5.0, 6.0]);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MatRef<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// A writable row-major view: element (i, j) is `data[i * stride + j]`.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// The number of elements that a view spans, from its first to its last.
fn span(rows: usize, cols: usize, stride: usize) -> Option<usize> {
    if rows == 0 || cols == 0 {
        return Some(0);
    }
    (rows - 1).checked_mul(stride)?.checked_add(cols)
}

fn check(len: usize, rows: usize, cols: usize, stride: usize) -> Result<()> {
    let fits = span(rows, cols, stride).is_some_and(|need| need <= len) && (stride >= cols || rows <= 1);
    if fits {
        return Ok(());
    }
    Err(Error::shape(format_args!(
        "matrix view: {rows} rows of {cols} with a stride of {stride} do not fit in {len} elements"
    )))
}

impl<'a, T> MatRef<'a, T> {
    /// A view of `rows` × `cols` contiguous elements.
    ///
    /// # Errors
    /// If `data` is shorter than `rows * cols`.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Result<Self> {
        Self::with_stride(data, rows, cols, cols)
    }

    /// A view whose rows begin `stride` elements apart.
    ///
    /// # Errors
    /// If `data` is too short, or if rows overlap.
    pub fn with_stride(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Result<Self> {
        check(data.len(), rows, cols, stride)?;
        Ok(Self { data, rows, cols, stride })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from the start of one row to the start of the next (BLAS: the leading dimension).
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Row `i`. Panics if there is none.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [T] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        if self.cols == 0 { &[] } else { &self.data[i * self.stride..][..self.cols] }
    }

    /// All rows, in order.
    pub fn iter_rows(&self) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
        let this = Self { ..*self };
        (0..self.rows).map(move |i| this.row(i))
    }

    /// Rows `start .. start + rows`. Panics if they are not all there.
    pub fn row_range(&self, start: usize, rows: usize) -> Self {
        assert!(start + rows <= self.rows, "rows {start}..{} of {}", start + rows, self.rows);
        let data = if rows == 0 || self.cols == 0 { &[][..] } else { &self.data[start * self.stride..] };
        Self { data, rows, ..*self }
    }

    /// The elements from the first on, row stride and all.
    pub fn as_slice(&self) -> &'a [T] {
        self.data
    }

    /// The elements as one slice, if rows follow each other without gaps.
    pub fn contiguous(&self) -> Option<&'a [T]> {
        (self.stride == self.cols || self.rows <= 1).then(|| &self.data[..self.rows * self.cols])
    }
}

impl<'a, T> MatMut<'a, T> {
    /// A view of `rows` × `cols` contiguous elements.
    ///
    /// # Errors
    /// If `data` is shorter than `rows * cols`.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Result<Self> {
        Self::with_stride(data, rows, cols, cols)
    }

    /// A view whose rows begin `stride` elements apart.
    ///
    /// # Errors
    /// If `data` is too short, or if rows overlap.
    pub fn with_stride(data: &'a mut [T], rows: usize, cols: usize, stride: usize) -> Result<Self> {
        check(data.len(), rows, cols, stride)?;
        Ok(Self { data, rows, cols, stride })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from the start of one row to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Row `i`. Panics if there is none.
    #[inline(always)]
    pub fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        if self.cols == 0 { &mut [] } else { &mut self.data[i * self.stride..][..self.cols] }
    }

    /// The same view, read-only.
    pub fn as_ref(&self) -> MatRef<'_, T> {
        MatRef { data: self.data, rows: self.rows, cols: self.cols, stride: self.stride }
    }

    /// The same view for a shorter time, so that it can be passed on and used again.
    pub fn reborrow(&mut self) -> MatMut<'_, T> {
        MatMut { data: self.data, rows: self.rows, cols: self.cols, stride: self.stride }
    }

    /// The elements from the first on, row stride and all.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.data
    }

    /// The elements as one slice, if rows follow each other without gaps.
    pub fn contiguous(&mut self) -> Option<&mut [T]> {
        (self.stride == self.cols || self.rows <= 1).then(|| &mut self.data[..self.rows * self.cols])
    }
}
