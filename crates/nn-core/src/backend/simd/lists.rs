//! Making [`PairLists`] of bytes: which entries two lines share, and which only one of them has.
//!
//! The work is done on masks of 64 places, a bit where a byte is not 0. What a mask picks is then written without gaps: by one
//! instruction where the CPU has it (AVX-512 VBMI2), else bit by bit. Lines that are columns of X are rows of a small transposed
//! copy, made in tiles of 16 × 16 bytes.

mod kinds;
pub(super) mod partners;
mod parts;
mod transpose;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use self::parts::Part;
use self::transpose::{TILE, transpose};
use super::vector::LINE;
use crate::Scalar;
use crate::matrix::{Head, MAX_PANEL, Maker, NO_LINE, PairLists, Prepared, Rows, SparseRows, Writer};

/// Most columns of X in a panel. Of 256 bytes of W each, 196 of the 784 of MNIST are 49 KiB, of which some are never met: more than the L1
/// cache holds. But fewer panels mean longer lists, and sums that are loaded and stored less often. (Measured: 128 take 3 % longer.)
const COLUMNS: usize = MAX_PANEL;

/// Most rows of X in a panel: of 256 bytes of δ each, 32 KiB, as much as the L1 cache holds. (Twice as many take 6 % longer.)
pub(super) const ROWS: usize = 128;

/// Most entries of two columns that all go into the lists of one panel, where there would be two.
/// (Measured on MNIST: 1 % less time than with 0; 16 to 48 are alike.)
pub(super) const FEW_ENTRIES: u32 = 24;

/// Places in a panel, if there are to be as few panels as possible, of at most so many places, and all alike.
fn panel_of(places: usize, most: usize) -> usize {
    places.div_ceil(places.div_ceil(most).max(1)).max(1)
}

/// How many panels there are of so many columns, the columns of each, and those of the last. They are as few as possible, and all but the last
/// take whole words of a mask, if the others then fit into that one. (784 columns are 3 · 192 + 208, with 13 words, and not
/// 4 · 196, with 16: a word of a few columns takes as long as any other.)
fn panels_of_columns(columns: usize) -> (usize, usize, usize) {
    let panel = panel_of(columns, COLUMNS);
    let count = columns.div_ceil(panel);
    let last = |panel: usize| columns - count.saturating_sub(1) * panel;
    let words = panel / WORD * WORD;
    if count > 1 && words > 0 && last(words) <= COLUMNS {
        (count, words, last(words))
    } else {
        (count, panel, last(panel))
    }
}

/// Lists of a batch: whole, or in parts.
pub(super) enum Lists<'a> {
    Whole(&'a PairLists),
    ByRow(&'a [Prepared]),
    ByColumn(&'a [Prepared]),
}

impl<'a> Lists<'a> {
    /// How many parts there are.
    #[inline(always)]
    pub(super) fn parts(&self) -> usize {
        match self {
            Lists::Whole(_) => 1,
            Lists::ByRow(parts) | Lists::ByColumn(parts) => parts.len(),
        }
    }

    /// A part. Parts of the same panels follow each other in the order of the lines, others in that of the panels.
    #[inline(always)]
    pub(super) fn part(&self, i: usize) -> &'a PairLists {
        match self {
            Lists::Whole(lists) => lists,
            Lists::ByRow(parts) => &parts[i].by_row,
            Lists::ByColumn(parts) => &parts[i].by_column,
        }
    }
}

impl Maker {
    /// The lists whose lines are rows of X: those that were prepared, those that are kept for these rows, or fresh ones.
    pub(super) fn lists_by_row<'l, T: Scalar>(&'l mut self, x: &SparseRows<'l, T>) -> Lists<'l> {
        if !x.prepared().is_empty() {
            return Lists::ByRow(x.prepared());
        }
        Lists::Whole(match x.group() {
            Some(group) => group.by_row.get_or_init(|| {
                self.make_by_row(x, &Part::whole(x.data().cols()), true);
                self.by_row.lists.clone()
            }),
            None => {
                self.make_by_row(x, &Part::whole(x.data().cols()), false);
                &self.by_row.lists
            }
        })
    }

    /// The same with lines that are columns of X.
    pub(super) fn lists_by_column<'l, T: Scalar>(&'l mut self, x: &SparseRows<'l, T>) -> Lists<'l> {
        if !x.prepared().is_empty() {
            return Lists::ByColumn(x.prepared());
        }
        Lists::Whole(match x.group() {
            Some(group) => group.by_column.get_or_init(|| {
                self.make_by_column(x, &Part::whole(x.data().cols()), true);
                self.by_column.lists.clone()
            }),
            None => {
                self.make_by_column(x, &Part::whole(x.data().cols()), false);
                &self.by_column.lists
            }
        })
    }

    /// Lists of all pairs in the part's panels. If they are to be kept, they may take longer to make: rows are then matched. Rows
    /// picked by a list, which mostly are picked again among others, are put in the order of their kinds. (It must not depend on who asks,
    /// or how many threads there are: which rows are paired decides how sums are rounded.)
    fn make_by_row<T: Scalar>(&mut self, x: &SparseRows<'_, T>, part: &Part, kept: bool) {
        let (rows, columns) = (x.rows.len(), x.data().cols());
        let (count, panel, last) = panels_of_columns(columns);
        let panels = part.panels.clone();
        self.by_row.begin((rows, columns), (panel, panel.max(last)), panels.clone(), 0..rows.div_ceil(2));
        if panels.is_empty() {
            return;
        }
        if !kept {
            fetch_rows(x, part.columns(columns));
        }
        match x.rows {
            _ if kept => self.match_rows(x),
            Rows::List(_) if rows <= kinds::MAX_ROWS => self.by_row.set_order(|order| kinds::order(x, order)),
            _ => (),
        }
        for p in panels {
            let (first, len) = (p * panel, if p + 1 == count { last } else { panel });
            let part = |row: u32| &x.padded_row(row as usize)[first..][..whole_words(len)];
            self.by_row.list_panel(|pairing, to| {
                let pairs = (0..rows.div_ceil(2)).map(|q| {
                    let [a, b] = pairing.pair(q);
                    ([a, b], part(a), if b == NO_LINE { &ZEROS[..] } else { part(b) })
                });
                write(pairs, len, to);
            });
        }
    }

    /// Lists of the part's pairs in all panels. If they are to be kept, few entries go into one panel.
    fn make_by_column<T: Scalar>(&mut self, x: &SparseRows<'_, T>, part: &Part, kept: bool) {
        let (rows, columns) = (x.rows.len(), x.data().cols());
        // Whole tiles of columns, but for the last.
        let tiles = part.tiles.clone();
        let pairs = (tiles.start * TILE / 2)..(tiles.end * TILE / 2).min(columns.div_ceil(2));
        let panel = panel_of(rows, ROWS);
        let reach = if kept && rows > panel { 2 * panel } else { panel };
        self.by_column.begin((columns, rows), (panel, reach), 0..rows.div_ceil(panel), pairs.clone());
        for first in (0..rows).step_by(reach) {
            let len = reach.min(rows - first);
            // One line for the columns of the last pair that are not there is written, too: tiles are even.
            let line = whole_words(len);
            self.transposed.resize(tiles.len() * TILE * line, 0);
            transpose(x, first, len, tiles.clone(), &mut self.transposed, line);
            let own = panel.min(len);
            let next = take_beyond(&mut self.transposed, line, own..len);
            for (lines, line, len) in
                [(&self.transposed, line, len), (&next, whole_words(len - own), len - own)]
            {
                if len == 0 {
                    continue;
                }
                self.by_column.list_panel(|pairing, to| {
                    let lines = lines.chunks_exact(2 * line).zip(pairs.clone());
                    let pairs = lines.map(|(both, q)| (pairing.pair(q), &both[..line], &both[line..]));
                    write(pairs, len, to);
                });
            }
        }
    }

    /// Pairs rows that differ in few places: each with the nearest of those that are left, then pairs swap partners as long as
    /// it makes two of them nearer. (On MNIST, 75 % of the entries are in both rows of a pair after the first step, and 77 % in the end;
    /// 47 % are if rows are paired as they come.)
    fn match_rows<T: Scalar>(&mut self, x: &SparseRows<'_, T>) {
        let (rows, columns) = (x.rows.len(), x.data().cols());
        let words = columns.div_ceil(WORD);
        self.masks.clear();
        for row in 0..rows {
            let row = x.padded_row(row);
            self.masks.extend((0..words).map(|w| mask(&row[w * WORD..])));
        }
        let own = |row: usize| &self.masks[row * words..][..words];
        let mut apart = vec![0; rows * rows];
        for a in 0..rows {
            for b in 0..a {
                let differs = own(a).iter().zip(own(b)).map(|(a, b)| (a ^ b).count_ones()).sum();
                (apart[a * rows + b], apart[b * rows + a]) = (differs, differs);
            }
        }
        let apart = |a: u16, b: u16| apart[a as usize * rows + b as usize];
        self.by_row.set_order(|order| order.extend(partners::order(rows, apart)));
    }
}

/// Reads a byte of each cache line of some columns of all rows. Picked rows lie anywhere in memory, and even if they were asked for while
/// the batch before was at hand, they may not be near any more. So all lines are on their way at the same time, where lists would wait for
/// those of each pair alone. (Measured with 50 rows: in the one half of processes 4 % of a step, in the other nothing.)
fn fetch_rows<T: Scalar>(x: &SparseRows<'_, T>, columns: Range<usize>) {
    let lines = |row: usize| x.padded_row(row)[columns.clone()].iter().step_by(LINE);
    let any = (0..x.rows.len()).flat_map(lines).fold(0, |any, byte| any | byte);
    std::hint::black_box(any);
}

/// Takes the places in `beyond` out of pairs of lines that have more than few entries in all, and gives lines of these places alone; those
/// of the other pairs stay, and are 0 there. (What follows the end of `beyond` in a line counts for nothing.)
fn take_beyond(lines: &mut [u8], line: usize, beyond: Range<usize>) -> Vec<u8> {
    let short = whole_words(beyond.len());
    let mut taken = vec![0; lines.len() / line * short];
    if beyond.is_empty() {
        return taken;
    }
    for (pair, taken) in lines.chunks_exact_mut(2 * line).zip(taken.chunks_exact_mut(2 * short)) {
        let (a, b) = pair.split_at(line);
        let entries = a[..beyond.end].iter().zip(b).map(|(a, b)| u32::from(a | b != 0)).sum::<u32>();
        if entries > FEW_ENTRIES {
            for (line, taken) in pair.chunks_exact_mut(line).zip(taken.chunks_exact_mut(short)) {
                taken[..beyond.len()].copy_from_slice(&line[beyond.clone()]);
                line[beyond.clone()].fill(0);
            }
        }
    }
    taken
}

/// Bytes that a mask has bits for.
const WORD: usize = u64::BITS as usize;

/// Masks for the places of a panel.
const MAX_WORDS: usize = MAX_PANEL.div_ceil(WORD);

/// A line without entries.
static ZEROS: [u8; MAX_WORDS * WORD] = [0; MAX_WORDS * WORD];

/// The bytes that are read for `len` of them.
pub(super) fn whole_words(len: usize) -> usize {
    len.next_multiple_of(WORD)
}

/// A bit for each of the first 64 bytes that is not 0.
#[inline(always)]
fn mask(bytes: &[u8]) -> u64 {
    let bytes: &[u8] = &bytes[..64];
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_setzero_si128};
        let mut mask = 0;
        for i in 0..4 {
            // SAFETY: SSE2 is part of x86-64; 16 bytes are read of the 64 that there are.
            let zeros = unsafe {
                let part = _mm_loadu_si128(bytes.as_ptr().add(16 * i).cast());
                _mm_movemask_epi8(_mm_cmpeq_epi8(part, _mm_setzero_si128()))
            };
            mask |= u64::from(!zeros as u16) << (16 * i);
        }
        mask
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        bytes.iter().enumerate().fold(0, |mask, (i, &b)| mask | u64::from(b != 0) << i)
    }
}

/// Two lines to be listed: which ones, and the bytes of either.
pub(super) type Pair<'a> = ([u32; 2], &'a [u8], &'a [u8]);

/// Appends the lists of pairs of lines in one panel, of which the first `len` bytes count; more may be read, to a whole mask.
#[inline(always)]
pub(super) fn write<'a>(pairs: impl ExactSizeIterator<Item = Pair<'a>>, len: usize, mut to: Writer<'_>) {
    #[cfg(target_arch = "x86_64")]
    if x86::has_compress() {
        // SAFETY: the features were just found.
        unsafe {
            match len.div_ceil(WORD) {
                0 | 1 => x86::write::<1>(pairs, len, to),
                2 => x86::write::<2>(pairs, len, to),
                3 => x86::write::<3>(pairs, len, to),
                _ => x86::write::<MAX_WORDS>(pairs, len, to),
            }
        };
        return;
    }
    pairs.for_each(|pair| write_portable(pair, len, &mut to));
}

/// Bytes that [`list`] reads, and numbers that it writes, beyond those that count: a vector of the widest kind.
pub(super) const BEYOND: usize = 64;

/// Lists the first `len` bytes that are not 0, with their places, and returns how many there are.
#[inline(always)]
pub(super) fn list(row: &[u8], len: usize, places: &mut [u16], bytes: &mut [u8]) -> usize {
    let most = places.len().min(bytes.len()).min(row.len());
    assert!(len + BEYOND <= most && len <= 1 << u16::BITS, "room for a list of {len} bytes");
    #[cfg(target_arch = "x86_64")]
    if x86::has_compress() {
        // SAFETY: the features were just found, and the slices measured.
        return unsafe { x86::list(row, len, places, bytes) };
    }
    list_portable(&row[..len], places, bytes)
}

/// [`list`] byte by byte, on any CPU; zeros are skipped eight at a time.
#[inline(always)]
pub(super) fn list_portable(row: &[u8], places: &mut [u16], bytes: &mut [u8]) -> usize {
    let mut count = 0;
    let mut push = |place: usize, byte: u8| {
        (places[count], bytes[count]) = (place as u16, byte);
        count += 1;
    };
    let (words, rest) = row.as_chunks::<8>();
    for (word, first) in words.iter().zip((0..).step_by(8)) {
        let mut word = u64::from_le_bytes(*word);
        let mut place = first;
        while word != 0 {
            let skipped = word.trailing_zeros() as usize / 8;
            place += skipped;
            word >>= 8 * skipped;
            push(place, word as u8);
            word &= !0xff;
        }
    }
    for (&byte, place) in rest.iter().zip(8 * words.len()..) {
        if byte != 0 {
            push(place, byte);
        }
    }
    count
}

/// A bit for each of the first `len` places of a panel.
#[inline(always)]
fn counted<const WORDS: usize>(len: usize) -> [u64; WORDS] {
    assert!(len <= MAX_PANEL && len <= WORDS * WORD, "{len} places of a panel");
    let mut counted = [0; WORDS];
    for (w, bits) in counted.iter_mut().enumerate() {
        let here = len.saturating_sub(w * WORD).min(WORD);
        *bits = if here == 0 { 0 } else { u64::MAX >> (WORD - here) };
    }
    counted
}

/// [`write`] for one pair bit by bit, on any CPU.
#[inline(always)]
pub(super) fn write_portable((lines, a, b): Pair<'_>, len: usize, to: &mut Writer<'_>) {
    let counted = counted::<MAX_WORDS>(len);
    let masks = |x: &[u8]| {
        let mut masks = [0; MAX_WORDS];
        for (w, bits) in masks.iter_mut().enumerate().take(len.div_ceil(WORD)) {
            *bits = mask(&x[w * WORD..]) & counted[w];
        }
        masks
    };
    let (ma, mb) = (masks(a), masks(b));
    let picked = |f: fn(u64, u64) -> u64| -> [u64; MAX_WORDS] { std::array::from_fn(|w| f(ma[w], mb[w])) };
    let (both, first, second) = (picked(|a, b| a & b), picked(|a, b| a & !b), picked(|a, b| b & !a));
    let count = |masks: [u64; MAX_WORDS]| masks.map(u64::count_ones).iter().sum::<u32>() as u8;
    let head = Head { both: count(both), first: count(first), second: count(second), zero: 0, lines };
    to.push(head);
    // An entry of three bytes is written as four, the last of which the next one overwrites.
    let begin = to.stream.len();
    let end = begin + 3 * usize::from(head.both) + 2 * (usize::from(head.first) + usize::from(head.second));
    to.stream.resize(end + 1, 0);
    let (lists, mut at) = (&mut to.stream[begin..], 0);
    for_each_place(both, |place| {
        lists[at..at + 4].copy_from_slice(&[a[place], place as u8, b[place], 0]);
        at += 3;
    });
    for (line, alone) in [(a, first), (b, second)] {
        for_each_place(alone, |place| {
            lists[at..at + 2].copy_from_slice(&[line[place], place as u8]);
            at += 2;
        });
    }
    to.stream.truncate(end);
}

/// Calls `f` with the places of the bits that are set, ascending.
#[inline(always)]
fn for_each_place(masks: [u64; MAX_WORDS], mut f: impl FnMut(usize)) {
    for (w, mut bits) in masks.into_iter().enumerate() {
        while bits != 0 {
            f(w * WORD + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    }
}
