//! Bytes most of which are 0, as images have them: the data set's form in which products skip the zeros.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{AlignedBuf, Rows};
use crate::{Error, Result, Scalar};

/// Rows whose lists are made together, when a whole data set passes by: as many as a shard has in the backend that uses them.
pub(crate) const GROUP_ROWS: usize = 252;

/// Most places that the lists of a panel can name and count in bytes.
pub(crate) const MAX_PANEL: usize = u8::MAX as usize;

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
}

/// Rows of a data set that never changes, told from all other rows: if two are equal, so is every byte of what they stand
/// for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowsId {
    data: u64,
    start: usize,
    len: usize,
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
        Self { data, rows: Rows::Range { start: 0, len: data.rows }, columns: (0, data.cols), prepared: &[] }
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

    /// Whether all columns of the data are seen.
    fn sees_all(&self) -> bool {
        self.columns == (0, self.data.cols)
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

/// What to add up: for *lines* taken in pairs, the entries that lie in each *panel* of the other axis. By row, a line is a row
/// of X and a panel is some of its columns; by column it is the other way round.
///
/// For each panel and pair there are three lists, of the places (counted from where the panel begins) where both lines have an
/// entry, only the first, only the second. In `stream` they stand one after the other, entry by entry: of the first list the byte of the
/// first line, the place and the byte of the second line; of the others the byte and the place. So an entry is read by one load.
/// Where a pair has so few entries that a panel of its own for some of them would not pay, they may be listed with those of the panel
/// before.
#[derive(Debug, Default)]
pub(crate) struct PairLists {
    lines: usize,
    places: usize,
    /// Places in a panel; the last may have fewer.
    panel: usize,
    /// How many places the lists of a panel may name, from where it begins: its own, and maybe those of the next one.
    reach: usize,
    /// The panels and the pairs that these lists are of: all there are, or a part of them.
    panels: Range<usize>,
    pairs: Range<usize>,
    /// The lines in the order in which they are paired, where it is not that of their numbers.
    order: Vec<u16>,
    /// For each panel, the heads of those pairs that have lists in it, then those of the others.
    heads: Vec<Head>,
    /// For each panel, how many of its heads have lists, and where in `stream` those begin.
    starts: Vec<(usize, usize)>,
    /// The lists of each panel, and a byte that may be read along with the last entry.
    stream: Vec<u8>,
    /// The heads of pairs that have no lists in a panel, while it is listed.
    empty: Vec<Head>,
}

/// The lengths of the three lists of a pair in a panel, and its lines; the second is [`NO_LINE`] in the last pair of an odd number of lines.
///
/// A pair's lines could be found from its number; but that takes time before its first entry, which is when nothing else hides it.
/// (Measured: a full batch takes 2 % longer.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    pub(crate) both: u8,
    pub(crate) first: u8,
    pub(crate) second: u8,
    pub(crate) lines: [u32; 2],
}

/// Where a line has no partner.
pub(crate) const NO_LINE: u32 = u32::MAX;

impl Head {
    /// Whether there are no entries.
    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        self.both | self.first | self.second == 0
    }
}

/// What the lists of a panel are appended to.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) stream: &'a mut Vec<u8>,
    /// The heads of pairs that have lists, in the order of these.
    heads: &'a mut Vec<Head>,
    /// Those of the other pairs.
    empty: &'a mut Vec<Head>,
}

impl Writer<'_> {
    /// Appends the head of the pair whose lists have just been appended.
    #[inline(always)]
    pub(crate) fn push(&mut self, head: Head) {
        if head.is_empty() { &mut *self.empty } else { &mut *self.heads }.push(head);
    }
}

/// The lists of a panel.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    /// The heads of all pairs. Those that have lists come first, in the order of these.
    pub(crate) heads: &'a [Head],
    /// How many of them have lists.
    pub(crate) full: usize,
    /// The lists, one after the other; one byte more may be read.
    pub(crate) stream: &'a [u8],
}

impl PairLists {
    /// Empties the lists, which are to be of so many lines and places, of these panels and pairs; what memory there is stays.
    pub(crate) fn begin(
        &mut self,
        (lines, places): (usize, usize),
        (panel, reach): (usize, usize),
        panels: Range<usize>,
        pairs: Range<usize>,
    ) {
        assert!(0 < panel && panel <= reach && reach <= MAX_PANEL, "a panel of {panel} that reaches {reach}");
        assert!(panels.end <= places.div_ceil(panel), "panels of {places} places");
        assert!(pairs.end <= lines.div_ceil(2), "pairs of {lines} lines");
        assert!(lines <= NO_LINE as usize, "{lines} lines");
        (self.lines, self.places) = (lines, places);
        (self.panel, self.reach) = (panel, reach);
        (self.panels, self.pairs) = (panels, pairs);
        self.order.clear();
        self.heads.clear();
        self.starts.clear();
        self.stream.clear();
        self.heads.reserve(self.panels.len() * self.pairs.len());
        self.starts.reserve(self.panels.len());
    }

    /// Pairs lines in this order, in which every line comes once.
    pub(crate) fn set_order(&mut self, order: impl Iterator<Item = u16>) {
        self.order.extend(order);
        assert_eq!(self.order.len(), self.lines, "every line once");
        assert!(self.order.iter().all(|&line| (line as usize) < self.lines), "lines that there are");
    }

    /// Lists the next panel: `write` appends the lists of all pairs in their order.
    pub(crate) fn list_panel(&mut self, write: impl FnOnce(Pairing<'_>, Writer<'_>)) {
        let (heads, begin) = (self.heads.len(), self.stream.len());
        self.empty.clear();
        let pairing = Pairing { lines: self.lines, order: &self.order };
        write(pairing, Writer { stream: &mut self.stream, heads: &mut self.heads, empty: &mut self.empty });
        self.starts.push((self.heads.len() - heads, begin));
        self.heads.extend_from_slice(&self.empty);
        assert_eq!(self.heads.len(), self.starts.len() * self.pairs.len(), "a head for each pair");
        self.stream.push(0);
    }

    /// The lists as they are, in no more memory than they take.
    pub(crate) fn compact(&self) -> Self {
        Self {
            order: self.order.clone(),
            heads: self.heads.clone(),
            starts: self.starts.clone(),
            stream: self.stream.clone(),
            panels: self.panels.clone(),
            pairs: self.pairs.clone(),
            empty: Vec::new(),
            ..*self
        }
    }

    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    pub(crate) fn panel(&self) -> usize {
        self.panel
    }

    /// How many places there are within reach of panel `p`: whatever is listed of it is below that.
    #[inline(always)]
    pub(crate) fn height(&self, p: usize) -> usize {
        self.reach.min(self.places - p * self.panel)
    }

    pub(crate) fn panels(&self) -> Range<usize> {
        self.panels.clone()
    }

    /// The lists of panel `p`.
    #[inline(always)]
    pub(crate) fn of_panel(&self, p: usize) -> Listed<'_> {
        let (p, pairs) = (p - self.panels.start, self.pairs.len());
        let (full, begin) = self.starts[p];
        Listed { heads: &self.heads[p * pairs..][..pairs], full, stream: &self.stream[begin..] }
    }
}

/// Which lines are paired.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pairing<'a> {
    lines: usize,
    /// As in [`PairLists`].
    order: &'a [u16],
}

impl Pairing<'_> {
    /// The lines of pair `q`, as a [`Head`] names them.
    #[inline(always)]
    pub(crate) fn pair(self, q: usize) -> [u32; 2] {
        let line = |at: usize| if self.order.is_empty() { at as u32 } else { self.order[at].into() };
        [line(2 * q), if 2 * q + 1 < self.lines { line(2 * q + 1) } else { NO_LINE }]
    }
}

/// What a backend makes of rows before products with them, or a part of it; and the memory to make it in, kept from call to call.
#[derive(Debug, Default)]
pub struct Prepared {
    pub(crate) by_row: PairLists,
    pub(crate) by_column: PairLists,
    /// A transposed copy of bytes.
    pub(crate) transposed: Vec<u8>,
    /// A bit for each byte of each row.
    pub(crate) masks: Vec<u64>,
}
