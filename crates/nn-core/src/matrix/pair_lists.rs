//! The entries of rows or columns taken in pairs, in lists: the form in which products with rows of bytes run through them.

use std::ops::Range;

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
#[derive(Debug, Default)]
pub(crate) struct PairLists {
    lines: usize,
    places: usize,
    /// Places in a panel; the last may have fewer, or as many more as are within its reach.
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

    /// Pairs lines in the order that is put down, in which every line comes once.
    pub(crate) fn set_order(&mut self, put_down: impl FnOnce(&mut Vec<u16>)) {
        put_down(&mut self.order);
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
#[repr(align(128))] // One thread's is not in the cache lines of the next one's.
pub struct Prepared {
    pub(crate) by_row: PairLists,
    pub(crate) by_column: PairLists,
    /// Copies of both, which other threads read: see [`hand_out`](Self::hand_out).
    pub(crate) handed_out: [PairLists; 2],
    /// A transposed copy of bytes.
    pub(crate) transposed: Vec<u8>,
    /// A bit for each byte of each row.
    pub(crate) masks: Vec<u64>,
}

impl Prepared {
    /// Copies the lists, those by column only if wanted, to where other threads read them, by `copy_heads` and `copy_stream`, which empty
    /// what they copy to before. It has room.
    ///
    /// A cache line that other threads have read is in their caches, and the first number that is written to it waits until it is out of
    /// them; and so does every other number that is written afterwards. So lists are made where nobody else reads, and copied in one go.
    /// (Measured with 50 rows: 1 % of a step, and 10 % at times when it takes longer to bring lines from beyond a core's caches.)
    pub(crate) fn hand_out(
        &mut self,
        by_columns: bool,
        copy_heads: impl Fn(&[Head], &mut Vec<Head>),
        copy_stream: impl Fn(&[u8], &mut Vec<u8>),
    ) {
        let Self { by_row, by_column, handed_out, .. } = self;
        for (to, from) in handed_out.iter_mut().zip([by_row, by_column]).take(1 + usize::from(by_columns)) {
            (to.lines, to.places, to.panel, to.reach) = (from.lines, from.places, from.panel, from.reach);
            (to.panels, to.pairs) = (from.panels.clone(), from.pairs.clone());
            to.starts.clone_from(&from.starts);
            // As much as there may be another time.
            to.heads.reserve(from.heads.capacity().saturating_sub(to.heads.len()));
            to.stream.reserve(from.stream.capacity().saturating_sub(to.stream.len()));
            copy_heads(&from.heads, &mut to.heads);
            copy_stream(&from.stream, &mut to.stream);
        }
    }
}
