//! Bytes most of which are 0, as images have them: the data set's form in which products skip the zeros.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use super::{AlignedBuf, PairLists, Prepared, Rows};
use crate::{Error, Result, Scalar};

/// Rows whose lists are made together, when a whole data set passes by: as many as a shard has in the backend that uses them.
pub(crate) const GROUP_ROWS: usize = 252;

/// Bytes that may be read past the end of a row: a vector of the widest kind from anywhere in it.
const MARGIN: usize = 64;

/// Rows of bytes, each standing for `byte / divisor`, whose zeros take no time in products. Kept once per data set; what
/// a backend makes of them on the way, it keeps here for the next pass over the same rows.
///
/// ```
/// use nn_core::matrix::{InputRef, SparseBytes};
/// let data = SparseBytes::new(&[0, 51, 0, 0, 0, 255], 2, 3, 255.0f32)?;
/// assert_eq!((data.rows(), data.cols(), data.entries()), (2, 3, 2));
/// let mut row = [0.0; 3];
/// InputRef::sparse_bytes(&data).write_row(0, &mut row);
/// assert_eq!(row, [0.0, 0.2, 0.0]);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct SparseBytes<T> {
    /// No other data of this process have this number, and nothing about these ever changes: same number, same rows.
    id: u64,
    /// Rows of `stride` bytes, zeros from `cols` on.
    bytes: AlignedBuf<u8>,
    rows: usize,
    cols: usize,
    stride: usize,
    entries: usize,
    divisor: T,
    /// What each byte stands for.
    values: Box<[T]>,
    groups: Box<[Group]>,
    pub(crate) kinds: Kinds,
}

/// Of what kind each row is: rows of a kind have most of their entries in the same places. What a backend found out so far.
#[derive(Debug)]
pub(crate) struct Kinds {
    /// For each word of a row's mask (a bit for each byte, set where that is not 0), that of an example of each kind.
    pub(crate) examples: OnceLock<Vec<[u64; KINDS]>>,
    /// The number of a row's kind, plus one; 0 where nobody has asked for it.
    of_rows: Box<[AtomicU8]>,
}

/// How many kinds of rows are told apart. (In batches of 50 rows of MNIST in the order of their kinds, neighbours share 60 % of their
/// entries; with half or twice as many kinds it is 59 %, in any order 47 %.)
pub(crate) const KINDS: usize = 64;

impl Kinds {
    /// The kind of a row, from 0 on; found by `find`, which must always find the same for it, unless it is known.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize, find: impl FnOnce() -> usize) -> usize {
        let known = self.of_rows[row].load(Relaxed);
        if known > 0 {
            return known as usize - 1;
        }
        let found = find();
        assert!(found < KINDS, "kind {found}");
        self.of_rows[row].store(found as u8 + 1, Relaxed);
        found
    }
}

/// Rows of a data set that never changes, told from all other rows: if two are equal, so is every byte of what they stand
/// for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowsId {
    data: u64,
    start: usize,
    len: usize,
}

/// Rows that were picked by a list, remembered so that the same rows of the same data set can be told from all others.
#[derive(Debug, Default)]
pub(crate) struct Picked {
    data: Option<u64>,
    rows: Vec<u32>,
}

impl Picked {
    /// Remembers rows that see all columns, or none at all where they were not picked by a list.
    pub(crate) fn set<T: Scalar>(&mut self, x: &SparseRows<'_, T>) {
        self.forget();
        if let Rows::List(list) = x.rows
            && x.sees_all()
        {
            self.data = Some(x.data.id);
            self.rows.extend_from_slice(list);
        }
    }

    /// Remembers nothing.
    pub(crate) fn forget(&mut self) {
        self.data = None;
        self.rows.clear();
    }

    /// Whether these rows are the ones that are remembered.
    pub(crate) fn is<T: Scalar>(&self, x: &SparseRows<'_, T>) -> bool {
        let same = |list: &[u32]| list == self.rows;
        self.data == Some(x.data.id) && x.sees_all() && matches!(x.rows, Rows::List(list) if same(list))
    }
}

/// What was made of [`GROUP_ROWS`] rows.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) by_row: OnceLock<PairLists>,
    pub(crate) by_column: OnceLock<PairLists>,
}

impl<T: Scalar> SparseBytes<T> {
    /// From `rows` × `cols` bytes, which are copied.
    ///
    /// # Errors
    /// If there are not `rows * cols` bytes.
    pub fn new(bytes: &[u8], rows: usize, cols: usize, divisor: T) -> Result<Self> {
        if rows.checked_mul(cols) != Some(bytes.len()) {
            return Err(Error::shape(format_args!(
                "sparse bytes: {rows} rows of {cols} were announced, {} bytes found",
                bytes.len()
            )));
        }
        let stride = (cols + MARGIN).next_multiple_of(64);
        let mut padded = AlignedBuf::zeroed(rows * stride);
        let mut entries = 0;
        if cols > 0 {
            for (to, from) in padded.chunks_exact_mut(stride).zip(bytes.chunks_exact(cols)) {
                to[..cols].copy_from_slice(from);
                entries += count_lit(from);
            }
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            id: NEXT.fetch_add(1, Relaxed),
            bytes: padded,
            rows,
            cols,
            stride,
            entries,
            divisor,
            values: (0..=u8::MAX).map(|b| T::of_byte(b) / divisor).collect(),
            groups: (0..rows.div_ceil(GROUP_ROWS)).map(|_| Group::default()).collect(),
            kinds: Kinds {
                examples: OnceLock::new(),
                of_rows: (0..rows).map(|_| AtomicU8::new(0)).collect(),
            },
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// How many bytes are not 0.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes that are not 0 ÷ all bytes; 0 where there are none.
    pub fn density(&self) -> f64 {
        self.entries as f64 / (self.rows * self.cols).max(1) as f64
    }
}

/// How many bytes are not 0. Counted in bytes as far as those reach, sixteen and more at a time.
fn count_lit(bytes: &[u8]) -> usize {
    let parts = bytes.chunks(u8::MAX as usize);
    parts.map(|part| part.iter().map(|&b| u8::from(b != 0)).sum::<u8>() as usize).sum()
}

/// Selected rows of [`SparseBytes`].
#[derive(Debug)]
pub struct SparseRows<'a, T> {
    pub(super) data: &'a SparseBytes<T>,
    pub(crate) rows: Rows<'a>,
    /// The first of the columns that are seen, and how many are.
    pub(super) columns: (usize, usize),
    /// What was made of these rows before, in parts.
    pub(super) prepared: &'a [Prepared],
    /// Rows of the data that are likely to be selected next.
    pub(super) next: &'a [u32],
}

impl<T> Clone for SparseRows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SparseRows<'_, T> {}

impl<'a, T: Scalar> SparseRows<'a, T> {
    /// All rows.
    pub(super) fn all(data: &'a SparseBytes<T>) -> Self {
        let rows = Rows::Range { start: 0, len: data.rows };
        Self { data, rows, columns: (0, data.cols), prepared: &[], next: &[] }
    }

    /// The data set.
    pub fn data(&self) -> &'a SparseBytes<T> {
        self.data
    }

    /// The bytes of the `i`-th selected row.
    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [u8] {
        &self.row_and_beyond(i)[..self.columns.1]
    }

    /// The same, and after them bytes that may be read along, as many as the widest vector has.
    #[inline(always)]
    pub(crate) fn row_and_beyond(&self, i: usize) -> &'a [u8] {
        let row = &self.data.bytes[self.rows.get(i) * self.data.stride..][..self.data.stride];
        &row[self.columns.0..]
    }

    /// The bytes of the `i`-th selected row, all of whose columns are seen, and after them zeros that may be read along.
    #[inline(always)]
    pub(crate) fn padded_row(&self, i: usize) -> &'a [u8] {
        assert!(self.sees_all(), "some columns of {}", self.data.cols);
        self.row_and_beyond(i)
    }

    /// Number of columns that are seen.
    pub fn cols(&self) -> usize {
        self.columns.1
    }

    /// The same rows of the columns `first .. first + len` alone, of those that are seen. Panics if they are not all there.
    ///
    /// ```
    /// use nn_core::matrix::{InputRef, SparseBytes};
    /// let data = SparseBytes::new(&[0, 51, 0, 0, 0, 255], 2, 3, 255.0f32)?;
    /// let InputRef::SparseBytes(x) = InputRef::sparse_bytes(&data) else { panic!("sparse bytes") };
    /// let x = x.with_columns(1, 2);
    /// assert_eq!((x.cols(), x.row(0), x.row(1)), (2, &[51, 0][..], &[0, 255][..]));
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_columns(self, first: usize, len: usize) -> Self {
        let (start, all) = self.columns;
        assert!(first + len <= all, "columns {first}..{} of {all}", first + len);
        Self { columns: (start + first, len), prepared: &[], ..self }
    }

    /// The same rows, which end at row `end` of the selection `all`: those that follow there come next, or else what comes after all.
    pub(super) fn sliced_from(self, all: &Self, end: usize) -> Self {
        let next = match all.rows {
            Rows::List(list) if end < list.len() => &list[end..],
            _ => all.next,
        };
        Self { next, ..self }
    }

    /// Rows of the data that are likely to be selected next, at most so many as these are.
    pub(crate) fn next(&self) -> &'a [u32] {
        &self.next[..self.next.len().min(self.rows.len())]
    }

    /// As many rows as these are, if so many are likely to be selected next.
    pub(crate) fn that_come_next(&self) -> Option<Self> {
        let (rows, next) = self.next.split_at_checked(self.rows.len())?;
        Some(Self { rows: Rows::List(rows), prepared: &[], next, ..*self })
    }

    /// Whether all columns of the data are seen.
    fn sees_all(&self) -> bool {
        self.columns == (0, self.data.cols)
    }

    /// The bytes of row `row` of all that the data have, and after them zeros that may be read along.
    pub(crate) fn any_padded_row(&self, row: usize) -> &'a [u8] {
        &self.data.bytes[row * self.data.stride..][..self.data.stride]
    }

    /// What the bytes are divided by.
    pub fn divisor(&self) -> T {
        self.data.divisor
    }

    /// The same rows, with what [`Backend::prepare`](crate::backend::Backend::prepare) made of these very rows, all parts in
    /// their order. What was made of others gives wrong products, or a panic if their number or columns differ.
    pub fn with_prepared(self, prepared: &'a [Prepared]) -> Self {
        Self { prepared, ..self }
    }

    /// What was made of these rows before; nothing, if nothing was.
    pub(crate) fn prepared(&self) -> &'a [Prepared] {
        self.prepared
    }

    /// Whether products keep what they make of these rows, because they are all those of a group.
    pub fn is_kept(&self) -> bool {
        self.group().is_some()
    }

    /// Which rows these are; none if they don't follow each other in the data, or come with what someone else made of them.
    pub(super) fn id(&self) -> Option<RowsId> {
        match self.rows {
            Rows::Range { start, len } if self.prepared.is_empty() && self.sees_all() => {
                Some(RowsId { data: self.data.id, start, len })
            }
            _ => None,
        }
    }

    /// What each of the 256 bytes stands for.
    pub(crate) fn values(&self) -> &'a [T] {
        &self.data.values
    }

    /// What is kept of these rows, if they are exactly those of a group.
    pub(crate) fn group(&self) -> Option<&'a Group> {
        let Rows::Range { start, len } = self.rows else { return None };
        let whole = len == GROUP_ROWS.min(self.data.rows - start);
        (start.is_multiple_of(GROUP_ROWS) && whole && len > 1 && self.sees_all())
            .then(|| self.data.groups.get(start / GROUP_ROWS))
            .flatten()
    }
}
