//! Making [`PairLists`] of bytes: which entries two lines share, and which only one of them has.
//!
//! The work is done on masks of 64 places, a bit where a byte is not 0. What a mask picks is then written without gaps: by one
//! instruction where the CPU has it (AVX-512 VBMI2), else bit by bit. Lines that are columns of X are rows of a small transposed
//! copy, made in tiles of 16 × 16 bytes.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use crate::Scalar;
use crate::matrix::{GROUP_ROWS, Head, MAX_PANEL, PairLists, Prepared, SparseRows};

/// Columns of X in a panel: of 256 bytes of W each 32 KiB, as much as the L1 cache holds, but some columns are never met.
/// (Measured on MNIST: 72, 87, 98 and 112 columns take 6, 4, 3 and 2 % longer.)
const COLUMNS: usize = 128;

/// Rows of X in a panel, a group in two halves: of 256 bytes of δ each, 31.5 KiB of the L1 cache.
pub(super) const ROWS: usize = GROUP_ROWS / 2;

/// Bytes of a line of the transposed copy.
const LINE: usize = MAX_PANEL;

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

/// One of `parts` nearly equal parts of `0 .. n`.
fn share(n: usize, (part, parts): (usize, usize)) -> Range<usize> {
    n * part / parts..n * (part + 1) / parts
}

/// All there is.
const WHOLE: (usize, usize) = (0, 1);

impl Prepared {
    /// The lists whose lines are rows of X: those that were prepared, those that are kept for these rows, or fresh ones.
    pub(super) fn lists_by_row<'l, T: Scalar>(&'l mut self, x: &SparseRows<'l, T>) -> Lists<'l> {
        if !x.prepared().is_empty() {
            return Lists::ByRow(x.prepared());
        }
        Lists::Whole(match x.group() {
            Some(group) => group.by_row.get_or_init(|| {
                self.make_by_row(x, WHOLE, true);
                self.by_row.compact()
            }),
            None => {
                self.make_by_row(x, WHOLE, false);
                &self.by_row
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
                self.make_by_column(x, WHOLE);
                self.by_column.compact()
            }),
            None => {
                self.make_by_column(x, WHOLE);
                &self.by_column
            }
        })
    }

    /// Lists of all pairs in a share of the panels.
    pub(super) fn make_by_row<T: Scalar>(
        &mut self,
        x: &SparseRows<'_, T>,
        part: (usize, usize),
        matched: bool,
    ) {
        let (rows, columns) = (x.rows.len(), x.data().cols());
        let panels = share(columns.div_ceil(COLUMNS), part);
        self.by_row.begin((rows, columns), COLUMNS, panels.clone(), 0..rows.div_ceil(2));
        if matched {
            self.match_rows(x);
        } else {
            // Picked rows lie anywhere in memory: all are asked for before the first is waited for.
            let columns = panels.start * COLUMNS..(panels.end * COLUMNS).min(columns);
            (0..rows).for_each(|row| ask_for(&x.padded_row(row)[columns.clone()]));
        }
        for first in panels.map(|p| p * COLUMNS) {
            self.by_row.begin_panel();
            let part = |row: usize| &x.padded_row(row)[first..][..MAX_PANEL];
            let (pairing, stream, heads) = self.by_row.writer();
            let lines = (0..rows.div_ceil(2)).map(|q| {
                let (a, b) = pairing.pair(q);
                (part(a), b.map_or(&[0; MAX_PANEL][..], part))
            });
            write(lines, COLUMNS.min(columns - first), stream, heads);
        }
    }

    /// Lists of a share of the pairs in all panels.
    pub(super) fn make_by_column<T: Scalar>(&mut self, x: &SparseRows<'_, T>, part: (usize, usize)) {
        let (rows, columns) = (x.rows.len(), x.data().cols());
        // Whole tiles of columns, but for the last.
        let tiles = share(columns.div_ceil(TILE), part);
        let pairs = (tiles.start * TILE / 2)..(tiles.end * TILE / 2).min(columns.div_ceil(2));
        self.by_column.begin((columns, rows), ROWS, 0..rows.div_ceil(ROWS), pairs.clone());
        // One more line of zeros for the partner that an odd number lacks.
        self.transposed.resize((tiles.len() * TILE + 1) * LINE, 0);
        for first in (0..rows).step_by(ROWS) {
            let len = ROWS.min(rows - first);
            transpose(x, first, len, tiles.clone(), &mut self.transposed);
            self.by_column.begin_panel();
            let (_, stream, heads) = self.by_column.writer();
            let lines =
                self.transposed.chunks_exact(2 * LINE).take(pairs.len()).map(|both| both.split_at(LINE));
            write(lines, len, stream, heads);
        }
    }

    /// Pairs each row with the nearest of those that are left: the one that differs in the fewest places.
    fn match_rows<T: Scalar>(&mut self, x: &SparseRows<'_, T>) {
        let (rows, columns) = (x.rows.len(), x.data().cols());
        let words = columns.div_ceil(64);
        self.masks.clear();
        for row in 0..rows {
            let row = x.padded_row(row);
            self.masks.extend((0..words).map(|w| mask(&row[w * 64..])));
        }
        let mut left: Vec<u16> = (0..rows as u16).collect();
        let mut order = Vec::with_capacity(rows);
        while !left.is_empty() {
            let a = left.remove(0);
            order.push(a);
            let own = &self.masks[a as usize * words..][..words];
            let apart = |b: u16| -> u32 {
                let other = &self.masks[b as usize * words..][..words];
                own.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum()
            };
            if let Some((at, _)) = left.iter().enumerate().min_by_key(|(_, b)| apart(**b)) {
                order.push(left.remove(at));
            }
        }
        self.by_row.set_order(order.into_iter());
    }
}

/// Bytes of a cache line.
#[cfg(target_arch = "x86_64")]
const LINE_BYTES: usize = 64;

/// Lets the CPU fetch these bytes into its cache, without waiting for them.
#[inline(always)]
fn ask_for(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE_BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch has no effect that a program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
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

/// Appends the lists of pairs of lines in one panel, of which the first `len` bytes of `MAX_PANEL` count.
#[inline(always)]
pub(super) fn write<'a>(
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    len: usize,
    stream: &mut Vec<u8>,
    heads: &mut Vec<Head>,
) {
    #[cfg(target_arch = "x86_64")]
    if x86::has_compress() {
        // SAFETY: the features were just found.
        unsafe { x86::write(pairs, counted(len), stream, heads) };
        return;
    }
    pairs.for_each(|(a, b)| write_portable(a, b, len, stream, heads));
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
fn counted(len: usize) -> [u64; 2] {
    assert!(len <= MAX_PANEL, "{len} places of a panel");
    let counted = if len == 0 { 0 } else { u128::MAX >> (MAX_PANEL - len) };
    [counted as u64, (counted >> 64) as u64]
}

/// [`write`] for one pair bit by bit, on any CPU.
#[inline(always)]
pub(super) fn write_portable(a: &[u8], b: &[u8], len: usize, stream: &mut Vec<u8>, heads: &mut Vec<Head>) {
    let counted = counted(len);
    let masks = |x: &[u8]| [mask(x) & counted[0], mask(&x[64..]) & counted[1]];
    let (ma, mb) = (masks(a), masks(b));
    let picked = |f: fn(u64, u64) -> u64| Places([f(ma[0], mb[0]), f(ma[1], mb[1])]);
    let (both, first, second) = (picked(|a, b| a & b), picked(|a, b| a & !b), picked(|a, b| b & !a));
    heads.push(Head { both: both.len(), first: first.len(), second: second.len() });
    stream.extend(both);
    stream.extend(both.map(|place| a[place as usize]));
    stream.extend(both.map(|place| b[place as usize]));
    stream.extend(first);
    stream.extend(first.map(|place| a[place as usize]));
    stream.extend(second);
    stream.extend(second.map(|place| b[place as usize]));
}

/// The places of the bits that are set, ascending.
#[derive(Debug, Clone, Copy)]
struct Places([u64; 2]);

impl Places {
    fn len(self) -> u8 {
        (self.0[0].count_ones() + self.0[1].count_ones()) as u8
    }
}

impl Iterator for Places {
    type Item = u8;

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let word = usize::from(self.0[0] == 0);
        let bits = &mut self.0[word];
        let place = (*bits != 0).then(|| (64 * word) as u8 + bits.trailing_zeros() as u8);
        *bits &= bits.wrapping_sub(1);
        place
    }
}

/// Rows and columns of a tile that is transposed in registers.
const TILE: usize = 16;

/// transposed ← the bytes of rows `first .. first + len` in some tiles of columns, a line of `LINE` bytes for each column, of which
/// the first `len` count.
fn transpose<T: Scalar>(
    x: &SparseRows<'_, T>,
    first: usize,
    len: usize,
    tiles: Range<usize>,
    transposed: &mut [u8],
) {
    assert!(len > 0 && transposed.len() >= tiles.len() * TILE * LINE, "room for {tiles:?}");
    for i in (0..len).step_by(TILE) {
        // Past the last row any other does: nobody counts those places.
        let rows: [&[u8]; TILE] = std::array::from_fn(|r| x.padded_row(first + (i + r).min(len - 1)));
        for (at, tile) in tiles.clone().enumerate() {
            tile_transposed(&rows, tile * TILE, &mut transposed[at * TILE * LINE + i..]);
        }
    }
}

/// to\[c · LINE + r\] ← rows\[r\]\[first + c\] for 16 rows and columns.
#[inline(always)]
fn tile_transposed(rows: &[&[u8]; TILE], first: usize, to: &mut [u8]) {
    let there = rows.iter().all(|row| row.len() >= first + TILE);
    assert!(there && to.len() >= (TILE - 1) * LINE + TILE, "a tile");
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8};
        // SAFETY: SSE2 is part of x86-64; the lengths were just checked.
        unsafe {
            let mut v: [_; TILE] =
                std::array::from_fn(|r| _mm_loadu_si128(rows[r].as_ptr().add(first).cast()));
            // Each round interleaves register i with i + 8, which rotates the eight bits of (row, column) by one; four make the
            // columns rows.
            for _ in 0..4 {
                let mut next = v;
                for i in 0..TILE / 2 {
                    next[2 * i] = _mm_unpacklo_epi8(v[i], v[i + TILE / 2]);
                    next[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + TILE / 2]);
                }
                v = next;
            }
            for (c, v) in v.into_iter().enumerate() {
                _mm_storeu_si128(to.as_mut_ptr().add(c * LINE).cast(), v);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for c in 0..TILE {
        for r in 0..TILE {
            to[c * LINE + r] = rows[r][first + c];
        }
    }
}
