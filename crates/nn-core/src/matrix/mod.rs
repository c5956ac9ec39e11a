//! Borrowed matrix views, inputs in the forms that data sets come in, and the scratch memory of kernels.
//!
//! A view is a slice with a number of rows, a number of columns and where they lie; constructing one checks that the
//! slice is long enough, so that kernels need not.

mod buffer;
mod csr;
mod input;
mod pair_lists;
mod sparse;

pub use buffer::{AlignedBuf, Scratch};
pub use csr::{Csr, CsrRef};
pub use input::{Bytes, DenseRows, InputRef, Rows};
pub use pair_lists::Prepared;
pub(crate) use pair_lists::{Head, Listed, MAX_PANEL, Maker, NO_LINE, PairLists, Writer};
pub(crate) use sparse::{GROUP_ROWS, KINDS, Picked, RowsId};
pub use sparse::{SparseBytes, SparseRows};

use crate::{Error, Result};

/// A read-only view. Plain, it is row-major: element (i, j) is `data[i * stride + j]`.
///
/// In *blocks of columns*, which a backend may ask its executor for ([`Backend::block_columns`]), each block of
/// `block_cols` neighbouring columns is a row-major matrix of its own, one after the other: rows of a block follow each other
/// without gaps, so that a panel of them is one piece of memory and falls evenly on the sets of a cache.
///
/// ```
/// use nn_core::matrix::MatRef;
/// let m = MatRef::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3)?;
/// assert_eq!(m.row(1), [4.0, 5.0, 6.0]);
/// # Ok::<(), nn_core::Error>(())
/// ```
///
/// [`Backend::block_columns`]: crate::backend::Backend::block_columns
#[derive(Debug, Clone, Copy)]
pub struct MatRef<'a, T> {
    data: &'a [T],
    shape: Shape,
}

/// A writable view, laid out as a [`MatRef`] may be.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    data: &'a mut [T],
    shape: Shape,
}

/// Where the elements of a view are: element (i, j) is at `j / block_cols * block_stride + i * stride + j % block_cols`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    rows: usize,
    cols: usize,
    stride: usize,
    /// Columns of a block: all of them, if the view is plain.
    block_cols: usize,
    block_stride: usize,
}

/// Elements that a matrix of `rows` × `cols` takes in blocks of columns. Every block has room for one row more than there
/// are: kernels that take rows in pairs may write it, and neighbouring blocks don't start on the same sets of a cache.
pub fn blocked_len(rows: usize, cols: usize) -> usize {
    (rows + 1) * cols
}

impl Shape {
    fn plain(rows: usize, cols: usize, stride: usize) -> Self {
        Self { rows, cols, stride, block_cols: cols, block_stride: 0 }
    }

    fn blocked(rows: usize, cols: usize, block_cols: usize) -> Self {
        Self { rows, cols, stride: block_cols, block_cols, block_stride: blocked_len(rows, block_cols) }
    }

    /// The number of elements from the first to the last; nothing if rows overlap or the number has no representation.
    fn span(&self) -> Option<usize> {
        let Self { rows, cols, stride, block_cols, block_stride } = *self;
        if rows == 0 || cols == 0 {
            return Some(0);
        }
        if block_cols == 0 || !cols.is_multiple_of(block_cols) || stride < block_cols && rows > 1 {
            return None;
        }
        let blocks = (cols / block_cols - 1).checked_mul(block_stride)?;
        (rows - 1).checked_mul(stride)?.checked_add(block_cols)?.checked_add(blocks)
    }

    fn check(&self, len: usize) -> Result<()> {
        if self.span().is_some_and(|need| need <= len) {
            return Ok(());
        }
        let Self { rows, cols, stride, block_cols, .. } = *self;
        let blocks = if block_cols == cols { String::new() } else { format!(" in blocks of {block_cols}") };
        Err(Error::shape(format_args!(
            "matrix view: {rows} rows of {cols}{blocks} with a stride of {stride} do not fit in {len} elements"
        )))
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.block_cols == self.cols
    }

    /// Where row `i` of a plain view begins. Panics if there is none.
    #[inline(always)]
    fn row_start(&self, i: usize) -> usize {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        assert!(self.is_plain(), "a row of a matrix in blocks of columns");
        i * self.stride
    }

    /// Where element (i, j) is. Panics if it is none.
    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> usize {
        assert!(i < self.rows && j < self.cols, "element ({i}, {j}) of [{}, {}]", self.rows, self.cols);
        j / self.block_cols * self.block_stride + i * self.stride + j % self.block_cols
    }

    /// Where the columns `j .. j + len` begin, which must be within a block, and their shape.
    #[inline(always)]
    fn strip(&self, j: usize, len: usize) -> (usize, Self) {
        assert!(len > 0 && j + len <= self.cols, "columns {j}..{} of {}", j + len, self.cols);
        assert!(j % self.block_cols + len <= self.block_cols, "columns {j}..{} of two blocks", j + len);
        let start = j / self.block_cols * self.block_stride + j % self.block_cols;
        (start, Self::plain(self.rows, len, self.stride))
    }

    /// Where the columns `j .. j + len` begin, which must be whole blocks or belong to a plain view, and their shape.
    fn columns(&self, j: usize, len: usize) -> (usize, Self) {
        assert!(j + len <= self.cols, "columns {j}..{} of {}", j + len, self.cols);
        if self.is_plain() || len == 0 {
            let start = if len == 0 { 0 } else { j };
            return (start, Self::plain(self.rows, len, self.stride));
        }
        let whole = j.is_multiple_of(self.block_cols) && len.is_multiple_of(self.block_cols);
        assert!(whole, "columns {j}..{} are not whole blocks of {}", j + len, self.block_cols);
        let start = j / self.block_cols * self.block_stride;
        // A single block is a plain matrix.
        let shape = Self { cols: len, ..*self };
        (start, if len == self.block_cols { Self::plain(self.rows, len, self.stride) } else { shape })
    }
}

macro_rules! common {
    () => {
        /// Number of rows.
        #[inline(always)]
        pub fn rows(&self) -> usize {
            self.shape.rows
        }

        /// Number of columns.
        #[inline(always)]
        pub fn cols(&self) -> usize {
            self.shape.cols
        }

        /// Elements from the start of one row to the start of the next (BLAS: the leading dimension), within a block.
        #[inline(always)]
        pub fn stride(&self) -> usize {
            self.shape.stride
        }

        /// Columns of a block: all of them, if the view is plain.
        #[inline(always)]
        pub fn block_cols(&self) -> usize {
            self.shape.block_cols
        }

        /// Elements from the start of one block to the start of the next; 0 if the view is plain.
        #[inline(always)]
        pub(crate) fn block_stride(&self) -> usize {
            self.shape.block_stride
        }

        /// Whether the view is row-major, not in blocks.
        #[inline(always)]
        pub fn is_plain(&self) -> bool {
            self.shape.is_plain()
        }
    };
}

impl<'a, T> MatRef<'a, T> {
    common!();

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
        let shape = Shape::plain(rows, cols, stride);
        shape.check(data.len())?;
        Ok(Self { data, shape })
    }

    /// A view of [`blocked_len`] elements in blocks of `block_cols` columns.
    ///
    /// # Errors
    /// If `data` is too short, or if `cols` is not a number of whole blocks.
    pub fn blocked(data: &'a [T], rows: usize, cols: usize, block_cols: usize) -> Result<Self> {
        let shape = Shape::blocked(rows, cols, block_cols);
        shape.check(data.len())?;
        Ok(Self { data, shape })
    }

    /// Row `i` of a plain view. Panics if there is none.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [T] {
        let start = self.shape.row_start(i);
        if self.shape.cols == 0 { &[] } else { &self.data[start..][..self.shape.cols] }
    }

    /// The elements of row `i` from column `j` to the end of its block. Panics if there is no such element.
    #[inline(always)]
    pub fn run(&self, i: usize, j: usize) -> &'a [T] {
        &self.data[self.shape.at(i, j)..][..self.shape.block_cols - j % self.shape.block_cols]
    }

    /// All rows of a plain view, in order.
    pub fn iter_rows(&self) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
        let this = Self { ..*self };
        (0..self.rows()).map(move |i| this.row(i))
    }

    /// Rows `start .. start + rows`. Panics if they are not all there.
    #[inline(always)]
    pub fn row_range(&self, start: usize, rows: usize) -> Self {
        assert!(start + rows <= self.rows(), "rows {start}..{} of {}", start + rows, self.rows());
        let empty = rows == 0 || self.cols() == 0;
        let data = if empty { &[][..] } else { &self.data[start * self.shape.stride..] };
        Self { data, shape: Shape { rows, ..self.shape } }
    }

    /// The columns `j .. j + len`, which must be within one block, as a plain view.
    #[inline(always)]
    pub fn strip(&self, j: usize, len: usize) -> Self {
        let (start, shape) = self.shape.strip(j, len);
        Self { data: if shape.rows == 0 { &[] } else { &self.data[start..] }, shape }
    }

    /// The columns `j .. j + len`: whole blocks, or any of a plain view.
    pub fn columns(&self, j: usize, len: usize) -> Self {
        let (start, shape) = self.shape.columns(j, len);
        Self { data: if shape.rows == 0 { &[] } else { &self.data[start..] }, shape }
    }

    /// The elements from the first on, gaps and all.
    #[inline(always)]
    pub fn as_slice(&self) -> &'a [T] {
        self.data
    }

    /// The elements as one slice, if rows follow each other without gaps.
    pub fn contiguous(&self) -> Option<&'a [T]> {
        let without_gaps = self.is_plain() && (self.stride() == self.cols() || self.rows() <= 1);
        without_gaps.then(|| &self.data[..self.rows() * self.cols()])
    }
}

impl<'a, T> MatMut<'a, T> {
    common!();

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
        let shape = Shape::plain(rows, cols, stride);
        shape.check(data.len())?;
        Ok(Self { data, shape })
    }

    /// A view of [`blocked_len`] elements in blocks of `block_cols` columns.
    ///
    /// # Errors
    /// If `data` is too short, or if `cols` is not a number of whole blocks.
    pub fn blocked(data: &'a mut [T], rows: usize, cols: usize, block_cols: usize) -> Result<Self> {
        let shape = Shape::blocked(rows, cols, block_cols);
        shape.check(data.len())?;
        Ok(Self { data, shape })
    }

    /// Row `i` of a plain view. Panics if there is none.
    #[inline(always)]
    pub fn row(&mut self, i: usize) -> &mut [T] {
        let start = self.shape.row_start(i);
        if self.shape.cols == 0 { &mut [] } else { &mut self.data[start..][..self.shape.cols] }
    }

    /// The elements of row `i` from column `j` to the end of its block. Panics if there is no such element.
    #[inline(always)]
    pub fn run(&mut self, i: usize, j: usize) -> &mut [T] {
        &mut self.data[self.shape.at(i, j)..][..self.shape.block_cols - j % self.shape.block_cols]
    }

    /// The columns `j .. j + len`, which must be within one block, as a plain view.
    #[inline(always)]
    pub fn strip(&mut self, j: usize, len: usize) -> MatMut<'_, T> {
        let (start, shape) = self.shape.strip(j, len);
        MatMut { data: if shape.rows == 0 { &mut [] } else { &mut self.data[start..] }, shape }
    }

    /// The columns `j .. j + len`: whole blocks, or any of a plain view.
    pub fn columns(&mut self, j: usize, len: usize) -> MatMut<'_, T> {
        let (start, shape) = self.shape.columns(j, len);
        MatMut { data: if shape.rows == 0 { &mut [] } else { &mut self.data[start..] }, shape }
    }

    /// Cuts the columns into those before `j`, a boundary of blocks, and those from there on.
    pub fn split_at_column(self, j: usize) -> Option<(Self, Self)> {
        let (_, left) = self.shape.columns(0, j);
        let (start, right) = self.shape.columns(j, self.shape.cols - j);
        let separate = !self.is_plain() && 0 < j && j < self.shape.cols;
        separate.then(|| {
            let (a, b) = self.data.split_at_mut(start);
            (MatMut { data: a, shape: left }, MatMut { data: b, shape: right })
        })
    }

    /// Cuts the rows of a plain view into those before `i` and those from there on.
    pub fn split_at_row(self, i: usize) -> (Self, Self) {
        assert!(self.is_plain() && i <= self.rows(), "row {i} of {}", self.rows());
        let at = (i * self.shape.stride).min(self.data.len());
        let (a, b) = self.data.split_at_mut(at);
        let (above, below) =
            (Shape { rows: i, ..self.shape }, Shape { rows: self.shape.rows - i, ..self.shape });
        (MatMut { data: a, shape: above }, MatMut { data: b, shape: below })
    }

    /// The same view, read-only.
    #[inline(always)]
    pub fn as_ref(&self) -> MatRef<'_, T> {
        MatRef { data: self.data, shape: self.shape }
    }

    /// Every element ← `value`.
    pub fn fill(&mut self, value: T)
    where
        T: Copy,
    {
        let (cols, block) = (self.shape.cols, self.shape.block_cols);
        for j in (0..cols).step_by(block.max(1)) {
            let mut strip = self.strip(j, block.min(cols - j));
            (0..strip.rows()).for_each(|i| strip.row(i).fill(value));
        }
    }

    /// The same view for a shorter time, so that it can be passed on and used again.
    #[inline(always)]
    pub fn reborrow(&mut self) -> MatMut<'_, T> {
        MatMut { data: self.data, shape: self.shape }
    }

    /// The elements from the first on, gaps and all.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.data
    }

    /// The elements as one slice, if rows follow each other without gaps.
    pub fn contiguous(&mut self) -> Option<&mut [T]> {
        let without_gaps = self.is_plain() && (self.stride() == self.cols() || self.rows() <= 1);
        let len = self.rows() * self.cols();
        without_gaps.then(|| &mut self.data[..len])
    }
}

impl<T: Copy> MatMut<'_, T> {
    /// Copies all elements of `from`, which has the same shape, however either is laid out.
    pub fn copy_from(&mut self, from: MatRef<'_, T>) {
        assert!(
            self.rows() == from.rows() && self.cols() == from.cols(),
            "copy of [{}, {}] to [{}, {}]",
            from.rows(),
            from.cols(),
            self.rows(),
            self.cols()
        );
        if self.rows() == 0 {
            return;
        }
        let mut j = 0;
        while j < self.cols() {
            let left = |block: usize| block - j % block;
            let len = left(self.block_cols()).min(left(from.block_cols()));
            let (mut to, from) = (self.strip(j, len), from.strip(j, len));
            for i in 0..from.rows() {
                to.row(i).copy_from_slice(from.row(i));
            }
            j += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_matrix_in_blocks_holds_the_same_elements(rows in 0usize..9, blocks in 1usize..5, width in 1usize..6) {
            let cols = blocks * width;
            let plain: Vec<usize> = (0..rows * cols).collect();
            let mut data = vec![usize::MAX; blocked_len(rows, cols)];
            let view = MatRef::new(&plain, rows, cols)?;
            MatMut::blocked(&mut data, rows, cols, width)?.copy_from(view);
            let blocked = MatRef::blocked(&data, rows, cols, width)?;
            for i in 0..rows {
                for j in 0..cols {
                    prop_assert_eq!(blocked.run(i, j)[0], view.row(i)[j]);
                    prop_assert_eq!(blocked.strip(j, 1).row(i)[0], view.row(i)[j]);
                    prop_assert_eq!(blocked.run(i, j).len(), width - j % width);
                }
            }
            let mut back = vec![0; rows * cols];
            MatMut::new(&mut back, rows, cols)?.copy_from(blocked);
            prop_assert_eq!(&back, &plain);
            let half = blocks / 2 * width;
            if rows > 0 && half > 0 {
                let mut part = vec![0; rows * half];
                MatMut::new(&mut part, rows, half)?.copy_from(blocked.columns(cols - half, half));
                let expected: Vec<usize> = view.iter_rows().flat_map(|row| row[cols - half..].to_vec()).collect();
                prop_assert_eq!(part, expected);
                if let Some((mut a, mut b)) = MatMut::blocked(&mut data, rows, cols, width)?.split_at_column(half) {
                    prop_assert_eq!(a.run(rows - 1, half - 1)[0], view.row(rows - 1)[half - 1]);
                    prop_assert_eq!(b.run(rows - 1, 0)[0], view.row(rows - 1)[half]);
                }
            }
        }
    }

    #[test]
    fn blocks_that_do_not_fill_the_columns_are_refused() {
        assert!(MatRef::blocked(&[0; 100], 3, 7, 4).is_err());
        assert!(MatRef::blocked(&[0; 27], 3, 8, 4).is_err());
        assert!(MatRef::blocked(&[0; 28], 3, 8, 4).is_ok());
    }
}
