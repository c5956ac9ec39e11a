//! The entries of rows or columns taken in pairs, in lists: the form in which products with rows of bytes run through them.

use std::ops::Range;

use smallvec::SmallVec;

/// Most places that the lists of a panel can name and count in bytes.
pub(crate) const MAX_PANEL: usize = u8::MAX as usize;

/// What to add up: for *lines* taken in pairs, the entries that lie in each *panel* of the other axis. By row, a line is a row
/// of X and a panel is some of its columns; by column it is the other way round.
///
/// For each panel and pair there are three lists, of the places (counted from where the panel begins) where both lines have an
/// entry, only the first, only the second. In `stream` they stand one after the other, entry by entry: of the first list the byte of the
/// first line, the place and the byte of the second line; of the others the byte and the place. So an entry is read by one load.
/// Where a pair has so few entries that a panel of its own for some of them would not pay, they may be listed with those of the panel
/// before.
#[derive(Debug, Default, Clone)]
pub(crate) struct PairLists {
    of: Listing,
    /// For each panel, how many of its heads have lists, and where in `stream` those begin. Where there are few panels, here: a thread that
    /// reads what another one made waits for every cache line more.
    starts: SmallVec<[(u32, u32); 4]>,
    /// For each panel, the heads of those pairs that have lists in it, then those of the others.
    heads: Vec<Head>,
    /// The lists of each panel, and a byte that may be read along with the last entry.
    stream: Vec<u8>,
}

/// Which lists there are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Listing {
    lines: u32,
    places: u32,
    /// Places in a panel; the last may have fewer, or as many more as are within its reach.
    panel: u32,
    /// How many places the lists of a panel may name, from where it begins: its own, and maybe those of the next one.
    reach: u32,
    /// The panels and the pairs that these lists are of: all there are, or a part of them.
    panels: Range<u32>,
    pairs: Range<u32>,
}

/// Lists while they are made.
#[derive(Debug, Default)]
pub(crate) struct Lister {
    pub(crate) lists: PairLists,
    /// The lines in the order in which they are paired, where it is not that of their numbers.
    order: Vec<u16>,
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
    /// Nothing. Without it, this byte would be one that the compiler may leave unwritten, and heads are copied in vectors of bytes.
    pub(crate) zero: u8,
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

impl Lister {
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
        let most = NO_LINE as usize;
        assert!(lines <= most && places <= most, "{lines} lines of {places} places");
        let range = |range: &Range<usize>| range.start as u32..range.end as u32;
        let lists = &mut self.lists;
        lists.of = Listing {
            lines: lines as u32,
            places: places as u32,
            panel: panel as u32,
            reach: reach as u32,
            panels: range(&panels),
            pairs: range(&pairs),
        };
        self.order.clear();
        lists.heads.clear();
        lists.starts.clear();
        lists.stream.clear();
        lists.heads.reserve(panels.len() * pairs.len());
        lists.starts.reserve(panels.len());
    }

    /// Pairs lines in the order that is put down, in which every line comes once.
    pub(crate) fn set_order(&mut self, put_down: impl FnOnce(&mut Vec<u16>)) {
        put_down(&mut self.order);
        let lines = self.lists.lines();
        assert_eq!(self.order.len(), lines, "every line once");
        assert!(self.order.iter().all(|&line| (line as usize) < lines), "lines that there are");
    }

    /// Lists the next panel: `write` appends the lists of all pairs in their order.
    pub(crate) fn list_panel(&mut self, write: impl FnOnce(Pairing<'_>, Writer<'_>)) {
        let Self { lists, order, empty } = self;
        let (before, begin) = (lists.heads.len(), lists.stream.len());
        empty.clear();
        let pairing = Pairing { lines: lists.lines(), order };
        write(pairing, Writer { stream: &mut lists.stream, heads: &mut lists.heads, empty });
        assert!(begin <= u32::MAX as usize, "lists of {begin} bytes");
        lists.starts.push(((lists.heads.len() - before) as u32, begin as u32));
        lists.heads.extend_from_slice(empty);
        assert_eq!(lists.heads.len(), lists.starts.len() * lists.of.pairs.len(), "a head for each pair");
        lists.stream.push(0);
    }
}

impl PairLists {
    pub(crate) fn lines(&self) -> usize {
        self.of.lines as usize
    }

    pub(crate) fn panel(&self) -> usize {
        self.of.panel as usize
    }

    /// How many places there are within reach of panel `p`: whatever is listed of it is below that.
    #[inline(always)]
    pub(crate) fn height(&self, p: usize) -> usize {
        (self.of.reach as usize).min(self.of.places as usize - p * self.panel())
    }

    pub(crate) fn panels(&self) -> Range<usize> {
        self.of.panels.start as usize..self.of.panels.end as usize
    }

    /// The lists of panel `p`.
    #[inline(always)]
    pub(crate) fn of_panel(&self, p: usize) -> Listed<'_> {
        let (p, pairs) = (p - self.of.panels.start as usize, self.of.pairs.len());
        let (full, begin) = self.starts[p];
        Listed {
            heads: &self.heads[p * pairs..][..pairs],
            full: full as usize,
            stream: &self.stream[begin as usize..],
        }
    }

    /// Copies these lists to where other threads read them, by `copy_heads` and `copy_stream`, which empty what they copy to before.
    /// There is as much room as here.
    ///
    /// A cache line that other threads have read is in their caches, and the first number that is written to it waits until it is out of
    /// them; and so does every other number that is written afterwards. So lists are made where nobody else reads, and copied in one go;
    /// and nothing is written where there is nothing new.
    /// (Measured with 50 rows: without it a step takes up to 1 % less while two cores share a cache, but some 10 % more at times when it
    /// takes longer to bring lines from beyond a core's caches.)
    pub(crate) fn hand_out(
        &self,
        to: &mut Self,
        copy_heads: impl Fn(&[Head], &mut Vec<Head>),
        copy_stream: impl Fn(&[u8], &mut Vec<u8>),
    ) {
        if self.of == to.of && self.heads.is_empty() && self.starts == to.starts {
            return;
        }
        to.of.clone_from(&self.of);
        to.starts.clone_from(&self.starts);
        // As much as there may be another time.
        to.heads.reserve(self.heads.capacity().saturating_sub(to.heads.len()));
        to.stream.reserve(self.stream.capacity().saturating_sub(to.stream.len()));
        copy_heads(&self.heads, &mut to.heads);
        copy_stream(&self.stream, &mut to.stream);
    }
}

/// Which lines are paired.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pairing<'a> {
    lines: usize,
    /// As in [`Lister`].
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

/// What a backend makes of rows before products with them, or a part of it.
#[derive(Debug, Default)]
#[repr(align(128))] // One thread's is not in the cache lines of the next one's.
pub struct Prepared {
    pub(crate) by_row: PairLists,
    pub(crate) by_column: PairLists,
}

/// The memory in which lists are made, kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct Maker {
    pub(crate) by_row: Lister,
    pub(crate) by_column: Lister,
    /// A transposed copy of bytes.
    pub(crate) transposed: Vec<u8>,
    /// A bit for each byte of each row.
    pub(crate) masks: Vec<u64>,
}
