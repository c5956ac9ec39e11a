//! The forms in which the rows of a data set reach the first layer: dense numbers, bytes with a divisor, sparse rows;
//! each with a selection of rows, so that a shuffled batch is a list of row numbers and not a copy.

use super::csr::{Csr, CsrRef};
use super::{MatRef, RowsId, SparseBytes, SparseRows};
use crate::{Error, Result, Scalar};

/// Which rows of a data set take part, in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows<'a> {
    /// `len` rows from `start` on.
    Range {
        /// The first row.
        start: usize,
        /// How many.
        len: usize,
    },
    /// The rows with these numbers.
    List(&'a [u32]),
}

impl<'a> Rows<'a> {
    /// How many rows are selected.
    pub fn len(&self) -> usize {
        match *self {
            Rows::Range { len, .. } => len,
            Rows::List(list) => list.len(),
        }
    }

    /// Whether no row is selected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number, in the data set, of the `i`-th selected row.
    #[inline(always)]
    pub fn get(&self, i: usize) -> usize {
        match *self {
            Rows::Range { start, len } => {
                assert!(i < len, "row {i} of {len}");
                start + i
            }
            Rows::List(list) => list[i] as usize,
        }
    }

    /// The selected rows `start .. start + len` of this selection. Panics if they are not all there.
    pub fn slice(&self, start: usize, len: usize) -> Self {
        match *self {
            Rows::Range { start: first, len: all } => {
                assert!(start + len <= all, "rows {start}..{} of {all}", start + len);
                Rows::Range { start: first + start, len }
            }
            Rows::List(list) => Rows::List(&list[start..start + len]),
        }
    }

    /// That data of so many rows have them all.
    pub(crate) fn check(&self, rows: usize) -> Result<()> {
        let last = match *self {
            Rows::Range { start, len } => (len > 0).then(|| start.saturating_add(len - 1)),
            Rows::List(list) => list.iter().max().map(|&r| r as usize),
        };
        match last {
            Some(last) if last >= rows => Err(Error::shape(format_args!(
                "row selection: row {last} was asked for, the data has {rows}"
            ))),
            _ => Ok(()),
        }
    }
}

/// Selected rows of a dense matrix.
#[derive(Debug, Clone, Copy)]
pub struct DenseRows<'a, T> {
    data: MatRef<'a, T>,
    rows: Rows<'a>,
}

impl<'a, T: Scalar> DenseRows<'a, T> {
    /// The `i`-th selected row.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [T] {
        self.data.row(self.rows.get(i))
    }

    /// The rows as a view, when they follow each other in the data.
    pub fn view(&self) -> Option<MatRef<'a, T>> {
        match self.rows {
            Rows::Range { start, len } => Some(self.data.row_range(start, len)),
            Rows::List(_) => None,
        }
    }

    /// As many rows of the data, or as many as there are, as follow these, when these follow each other: those of the next shard.
    pub(crate) fn following(&self) -> Option<MatRef<'a, T>> {
        match self.rows {
            Rows::Range { start, len } => {
                let end = start + len;
                Some(self.data.row_range(end, len.min(self.data.rows() - end)))
            }
            Rows::List(_) => None,
        }
    }
}

/// Selected rows of a matrix of bytes, each element standing for `byte / divisor` (what image files hold: pixels, 255).
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a, T> {
    data: MatRef<'a, u8>,
    divisor: T,
    rows: Rows<'a>,
}

impl<'a, T: Scalar> Bytes<'a, T> {
    /// Number of selected rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.data.cols()
    }

    /// The bytes of the `i`-th selected row.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [u8] {
        self.data.row(self.rows.get(i))
    }

    /// What the bytes are divided by.
    pub fn divisor(&self) -> T {
        self.divisor
    }
}

/// `rows` × `cols` elements, and no others.
pub(super) fn exact<U>(data: &[U], rows: usize, cols: usize) -> Result<MatRef<'_, U>> {
    if rows.checked_mul(cols) != Some(data.len()) {
        return Err(Error::shape(format_args!(
            "input: {rows} rows of {cols} were announced, {} elements found",
            data.len()
        )));
    }
    MatRef::new(data, rows, cols)
}

/// Selected rows of a data set, in one of its forms.
///
/// ```
/// use nn_core::matrix::{InputRef, Rows};
/// let x = InputRef::bytes(&[0, 255, 51, 0], 2, 2, 255.0f64)?.select(Rows::List(&[1, 0, 1]))?;
/// let mut row = [0.0; 2];
/// x.write_row(0, &mut row);
/// assert_eq!((x.rows(), row), (3, [0.2, 0.0]));
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum InputRef<'a, T> {
    /// Numbers, row-major.
    Dense(DenseRows<'a, T>),
    /// Bytes with a divisor.
    Bytes(Bytes<'a, T>),
    /// Sparse rows.
    Sparse(CsrRef<'a, T>),
    /// Bytes with a divisor, most of which are 0.
    SparseBytes(SparseRows<'a, T>),
}

impl<'a, T: Scalar> InputRef<'a, T> {
    /// All rows of a dense matrix.
    pub fn dense(data: MatRef<'a, T>) -> Self {
        Self::Dense(DenseRows { data, rows: Rows::Range { start: 0, len: data.rows() } })
    }

    /// All rows of `rows` × `cols` bytes, each standing for `byte / divisor`.
    ///
    /// # Errors
    /// If `data` is not `rows * cols` long.
    pub fn bytes(data: &'a [u8], rows: usize, cols: usize, divisor: T) -> Result<Self> {
        Ok(Self::Bytes(Bytes {
            data: exact(data, rows, cols)?,
            divisor,
            rows: Rows::Range { start: 0, len: rows },
        }))
    }

    /// All rows of a sparse matrix.
    pub fn sparse(csr: &'a Csr<T>) -> Self {
        Self::Sparse(CsrRef { csr, rows: Rows::Range { start: 0, len: csr.rows() } })
    }

    /// All rows of bytes most of which are 0.
    pub fn sparse_bytes(data: &'a SparseBytes<T>) -> Self {
        Self::SparseBytes(SparseRows::all(data))
    }

    /// The same data with another selection of rows; `rows` counts in the data set, not in this selection.
    ///
    /// # Errors
    /// If a row is not there.
    pub fn select(&self, rows: Rows<'a>) -> Result<Self> {
        rows.check(match self {
            Self::Dense(x) => x.data.rows(),
            Self::Bytes(x) => x.data.rows(),
            Self::Sparse(x) => x.csr.rows(),
            Self::SparseBytes(x) => x.data().rows(),
        })?;
        Ok(self.with_rows(rows))
    }

    /// Selected rows `start .. start + len` of this selection. Panics if they are not all there.
    ///
    /// If they were picked by a list, those that follow them there may be fetched from memory and prepared early, because who takes a
    /// batch from a longer list mostly takes the next one after it.
    pub fn slice(&self, start: usize, len: usize) -> Self {
        let part = self.with_rows(self.selection().slice(start, len));
        match (self, part) {
            (Self::SparseBytes(x), Self::SparseBytes(part)) => {
                Self::SparseBytes(part.sliced_from(x, start + len))
            }
            _ => part,
        }
    }

    fn with_rows(&self, rows: Rows<'a>) -> Self {
        match *self {
            Self::Dense(x) => Self::Dense(DenseRows { rows, ..x }),
            Self::Bytes(x) => Self::Bytes(Bytes { rows, ..x }),
            Self::Sparse(x) => Self::Sparse(CsrRef { rows, ..x }),
            Self::SparseBytes(x) => Self::SparseBytes(SparseRows { rows, prepared: &[], next: &[], ..x }),
        }
    }

    /// Which rows of the data set are selected.
    pub fn selection(&self) -> Rows<'a> {
        match self {
            Self::Dense(x) => x.rows,
            Self::Bytes(x) => x.rows,
            Self::Sparse(x) => x.rows,
            Self::SparseBytes(x) => x.rows,
        }
    }

    /// Which rows these are, if that can be known for certain: what a caller lends may be other rows the next time that it is
    /// seen at the same place.
    pub(crate) fn id(&self) -> Option<RowsId> {
        match self {
            Self::SparseBytes(x) => x.id(),
            Self::Dense(_) | Self::Bytes(_) | Self::Sparse(_) => None,
        }
    }

    /// Number of selected rows.
    pub fn rows(&self) -> usize {
        self.selection().len()
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        match self {
            Self::Dense(x) => x.data.cols(),
            Self::Bytes(x) => x.data.cols(),
            Self::Sparse(x) => x.csr.cols(),
            Self::SparseBytes(x) => x.cols(),
        }
    }

    /// Writes the `i`-th selected row as numbers. Panics if `out` is not `cols` long.
    ///
    /// Inlined, so that a kernel compiled for wider vectors makes its numbers with them.
    #[inline(always)]
    pub fn write_row(&self, i: usize, out: &mut [T]) {
        assert_eq!(out.len(), self.cols(), "length of the output row");
        match self {
            Self::Dense(x) => out.copy_from_slice(x.row(i)),
            Self::Bytes(x) => {
                for (o, &b) in out.iter_mut().zip(x.row(i)) {
                    *o = T::of_byte(b) / x.divisor;
                }
            }
            Self::SparseBytes(x) => {
                for (o, &b) in out.iter_mut().zip(x.row(i)) {
                    *o = T::of_byte(b) / x.divisor();
                }
            }
            Self::Sparse(x) => {
                out.fill(T::zero());
                let (columns, values) = x.row(i);
                for (&c, &v) in columns.iter().zip(values) {
                    out[c as usize] = v;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 8] = [0, 255, 51, 0, 0, 0, 0, 17];

    #[test]
    fn the_three_forms_of_the_same_rows_are_the_same_numbers() -> Result<()> {
        let dense: Vec<f32> = BYTES.iter().map(|&b| f32::from(b) / 255.0).collect();
        let csr = Csr::from_bytes(&BYTES, 2, 4, 255.0)?;
        assert_eq!(csr, Csr::from_dense(&dense, 2, 4)?);
        let forms = [
            InputRef::dense(MatRef::new(&dense, 2, 4)?),
            InputRef::bytes(&BYTES, 2, 4, 255.0)?,
            InputRef::sparse(&csr),
        ];
        for form in forms {
            let picked = form.select(Rows::List(&[1, 0, 1, 1]))?.slice(1, 2);
            for (i, r) in [0, 1].into_iter().enumerate() {
                let mut row = [f32::NAN; 4];
                picked.write_row(i, &mut row);
                assert_eq!(row, dense[r * 4..][..4]);
            }
        }
        Ok(())
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error_and_so_is_a_wrong_length() -> Result<()> {
        let x = InputRef::bytes(&BYTES, 2, 4, 255.0f32)?;
        assert!(x.select(Rows::List(&[0, 2])).is_err());
        assert!(x.select(Rows::Range { start: 1, len: 2 }).is_err());
        assert!(x.select(Rows::Range { start: 1, len: 1 }).is_ok());
        assert!(InputRef::bytes(&BYTES, 3, 4, 255.0f32).is_err());
        Ok(())
    }

    #[test]
    fn a_part_of_picked_rows_knows_which_rows_follow() -> Result<()> {
        let data = SparseBytes::new(&[1; 8], 8, 1, 1.0)?;
        let next = |x: InputRef<'_, f64>| match x {
            InputRef::SparseBytes(x) => x.next().to_vec(),
            other => panic!("sparse bytes stay sparse bytes, these are {other:?}"),
        };
        let all = InputRef::sparse_bytes(&data);
        let picked = all.select(Rows::List(&[7, 5, 3, 1, 6]))?;
        assert_eq!(next(picked.slice(0, 2)), [3, 1], "as many as there are now");
        assert_eq!(next(picked.slice(2, 2)), [6], "as many as are left");
        assert_eq!(next(picked.slice(0, 2).slice(0, 1)), [5], "those of the smaller part");
        assert_eq!(next(picked.slice(0, 2).slice(0, 2)), [3, 1], "a part that is all of a part");
        assert!(
            next(picked).is_empty()
                && next(picked.slice(3, 2)).is_empty()
                && next(all.slice(0, 2)).is_empty()
        );
        Ok(())
    }
}
