//! The order in which the bundle keeps pixels: sorted by what their neighbours look like, so that
//! bytes of one distribution stand together and a general-purpose codec does well on them.
//!
//! First comes the *mask*, one bit per pixel: lit or not. Its context is made of ten neighbours that
//! are already known, `p` being the pixel in question and the digits the bits of the context:
//!
//! ```text
//!         5 6 7
//!       0 1 2 3 4
//!       8 9 p
//! ```
//!
//! Then the *values* of the lit pixels. Their context: which of the four neighbours to come are lit
//! (four bits), and the classes of the values to the left and above (four bits each).
//!
//! Everything is walked in scan order with one cursor per context, each starting where that context's
//! group starts. A cursor that ends anywhere but at its group's end gives a damaged bundle away.

use crate::error::{Error, Result};

/// Rows and columns of an image.
pub(super) const SIDE: usize = 28;

const PIXELS: usize = SIDE * SIDE;
const TRAIN: usize = 60_000;
const TEST: usize = 10_000;
const MASK_CONTEXTS: usize = 1 << 10;
const VALUE_CONTEXTS: usize = 1 << 12;
/// The first value of classes 1 to 12; class 0 is unlit. As in the maker.
const CLASS_BOUNDS: [u8; 12] = [1, 32, 64, 96, 128, 160, 192, 224, 250, 253, 254, 255];

/// Labels, and the sizes of all groups.
pub(super) struct Index {
    bytes: Vec<u8>,
    mask_bits: Vec<usize>,
    value_counts: Vec<usize>,
}

impl Index {
    pub(super) const BYTES: usize = TRAIN + TEST + 4 * (MASK_CONTEXTS + VALUE_CONTEXTS);

    pub(super) fn parse(bytes: Vec<u8>) -> Result<Index> {
        let counts: Vec<usize> = bytes[TRAIN + TEST..]
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)
            .collect();
        let (mask_bits, value_counts) = counts.split_at(MASK_CONTEXTS);
        let pixels: usize = mask_bits.iter().sum();
        if pixels != (TRAIN + TEST) * PIXELS || value_counts.iter().sum::<usize>() > pixels {
            return Err(damaged("group sizes", pixels));
        }
        Ok(Index { mask_bits: mask_bits.to_vec(), value_counts: value_counts.to_vec(), bytes })
    }

    /// Training and test labels.
    pub(super) fn labels(&self) -> (&[u8], &[u8]) {
        self.bytes[..TRAIN + TEST].split_at(TRAIN)
    }

    /// Bytes of the mask stream: every group is filled up to whole bytes.
    pub(super) fn mask_bytes(&self) -> usize {
        self.mask_bits.iter().map(|n| n.div_ceil(8)).sum()
    }

    /// Bytes of the value stream.
    pub(super) fn value_bytes(&self) -> usize {
        self.value_counts.iter().sum()
    }
}

/// Images that are handed on at a time: their mask, some 100 KB, is still in the cache when another thread takes it up, and one
/// hand-over comes with more than a millisecond's work.
const CHUNK: usize = 1000;

/// Bytes that a system gives out at a time, at least.
const PAGE: usize = 4096;

/// All images, none of their pixels lit: training and test.
pub(super) fn blank() -> (Vec<u8>, Vec<u8>) {
    (vec![0; TRAIN * PIXELS], vec![0; TEST * PIXELS])
}

/// Some blank images, and which pixels of them are lit: 28 words per image, pixel `x` of the row at bit `x`.
pub(super) struct Chunk<'a> {
    images: &'a mut [u8],
    mask: Vec<u32>,
}

/// Decodes which pixels of the [`blank`] images are lit, and hands them on in chunks.
pub(super) fn decode_mask<'a>(
    stream: &[u8],
    index: &Index,
    (train, test): (&'a mut [u8], &'a mut [u8]),
    mut next: impl FnMut(Chunk<'a>),
) -> Result<()> {
    let sizes = || index.mask_bits.iter().copied();
    let mut groups = Groups::new(stream, sizes());
    for images in train.chunks_mut(CHUNK * PIXELS).chain(test.chunks_mut(CHUNK * PIXELS)) {
        // The system gives out memory when it is first written to, and takes its time for that, which here is to spare.
        images.iter_mut().step_by(PAGE).for_each(|byte| *byte = 0);
        let mut rows = vec![0u32; images.len() / PIXELS * SIDE];
        for image in rows.chunks_exact_mut(SIDE) {
            let (mut above, mut above2) = (0, 0);
            for row in image {
                *row = decode_row(&mut groups, above, above2);
                (above2, above) = (above, *row);
            }
        }
        next(Chunk { images, mask: rows });
    }
    groups.check(sizes(), "mask")
}

/// One row of the mask from the two above it.
fn decode_row(groups: &mut Groups<'_>, above: u32, above2: u32) -> u32 {
    // Bit x: pixel x has a lit neighbour in the rows above, so its context is not 0.
    let near = above << 2 | above << 1 | above | above >> 1 | above >> 2;
    let near = near | above2 << 1 | above2 | above2 >> 1;
    let (template, template2) = (above << 2, above2 << 1);
    let mut row = 0u32; // two bits to the left, so that x − 2 exists
    let mut x = 0;
    while x < SIDE {
        let context = template >> x & 31 | (template2 >> x & 7) << 5 | (row >> x & 3) << 8;
        if context == 0 {
            // Most of an image is paper far from ink: a run of zeros is taken at once.
            let paper = ((near >> x).trailing_zeros() as usize).min(SIDE - x);
            let zeros = groups.take_zeros(0, paper);
            if zeros > 0 {
                x += zeros;
                continue;
            }
        }
        row |= (groups.take::<1>(context as usize) as u32) << (x + 2);
        x += 1;
    }
    row >> 2
}

/// Puts the values at the lit pixels. `chunks`: what [`decode_mask`] hands on, all of it.
pub(super) fn place<'a>(chunks: impl Iterator<Item = Chunk<'a>>, values: &[u8], index: &Index) -> Result<()> {
    let classes: [u16; 256] = std::array::from_fn(|value| {
        CLASS_BOUNDS.partition_point(|&bound| usize::from(bound) <= value) as u16
    });
    let mut next = Box::new([0; VALUE_CONTEXTS]);
    let starts = starts(index.value_counts.iter().map(|count| 8 * count));
    next.iter_mut().zip(starts).for_each(|(next, start)| *next = start as u32);
    let mut take = |context: u16| {
        // Where the values end early, whatever is read is found out below.
        let next = &mut next[usize::from(context) % VALUE_CONTEXTS];
        let value = values.get(*next as usize).copied().unwrap_or(0);
        *next = next.wrapping_add(1);
        value
    };
    for Chunk { images, mask } in chunks {
        for (image, rows) in images.chunks_exact_mut(PIXELS).zip(mask.chunks_exact(SIDE)) {
            place_image(image, rows, &classes, &mut take);
        }
    }
    let ends = index.value_counts.iter().scan(0, |end, count| {
        *end += count;
        Some(*end)
    });
    if ends.eq(next.iter().map(|&next| next as usize)) {
        Ok(())
    } else {
        Err(damaged("values", "groups of other sizes"))
    }
}

/// The values of one image, given the rows of its mask. `take`: the next value of a context.
#[inline(always)]
fn place_image(image: &mut [u8], rows: &[u32], classes: &[u16; 256], take: &mut impl FnMut(u16) -> u8) {
    let mut above = [0u16; SIDE + 4]; // classes of the row above; 32, so that a pixel's number needs no check
    for (y, line) in image.chunks_exact_mut(SIDE).enumerate() {
        let row = rows[y];
        let below = rows.get(y + 1).copied().unwrap_or(0) << 1;
        let mut here = [0u16; SIDE + 4];
        let mut left = 0; // class of the pixel to the left
        let mut end = 0; // one past the last lit pixel
        let mut rest = row;
        while rest != 0 {
            let x = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if x != end {
                left = 0;
            }
            let lit = (below >> x & 7 | (row >> x >> 1 & 1) << 3) as u16;
            let value = take(lit << 8 | left << 4 | above[x]);
            line[x] = value;
            left = classes[usize::from(value)];
            here[x] = left;
            end = x + 1;
        }
        above = here;
    }
}

/// A stream of groups, each a run of bits (lowest first) that starts at a whole byte, with a cursor in each.
struct Groups<'a> {
    stream: &'a [u8],
    cursors: Vec<Cursor>,
}

/// How far a group has been read. `word` holds the bits that come next and above them a one, which
/// marks their end, so that "none left" is `word == 1`. What is behind it starts at byte `next`.
struct Cursor {
    word: u64,
    next: usize,
}

impl<'a> Groups<'a> {
    /// Groups of `sizes` bits.
    fn new(stream: &'a [u8], sizes: impl Iterator<Item = usize>) -> Self {
        let cursors = starts(sizes).map(|next| Cursor { word: 1, next }).collect();
        Groups { stream, cursors }
    }

    /// The next `BITS` bits of a group; `BITS` is the same in all calls, and divides a refill.
    fn take<const BITS: usize>(&mut self, group: usize) -> u64 {
        let cursor = &mut self.cursors[group];
        if cursor.word == 1 {
            cursor.refill(self.stream);
        }
        let bits = cursor.word & ((1 << BITS) - 1);
        cursor.word >>= BITS;
        bits
    }

    /// Skips zeros, at most `limit` of them and perhaps fewer than there are; says how many. None means
    /// that a one comes next.
    fn take_zeros(&mut self, group: usize, limit: usize) -> usize {
        let cursor = &mut self.cursors[group];
        if cursor.word == 1 {
            cursor.refill(self.stream);
        }
        let zeros = (cursor.word.trailing_zeros() as usize).min(limit);
        cursor.word >>= zeros;
        zeros
    }

    /// That each group has been read to its end and no further.
    fn check(&self, sizes: impl Iterator<Item = usize> + Clone, what: &str) -> Result<()> {
        let ends = starts(sizes.clone()).zip(sizes).map(|(start, size)| 8 * start + size);
        if ends.eq(self.cursors.iter().map(Cursor::position)) {
            Ok(())
        } else {
            Err(damaged(what, "groups of other sizes"))
        }
    }
}

impl Cursor {
    /// Bytes read at a time: as many as a word holds beside the end mark.
    const REFILL: usize = 7;

    fn refill(&mut self, stream: &[u8]) {
        let rest = stream.get(self.next..).unwrap_or_default();
        let mut bytes = [0; 8];
        match rest.first_chunk() {
            Some(chunk) => bytes = *chunk,
            None => bytes[..rest.len()].copy_from_slice(rest),
        }
        bytes[Self::REFILL] = 1;
        self.word = u64::from_le_bytes(bytes);
        self.next += Self::REFILL;
    }

    /// In bits from the start of the stream.
    fn position(&self) -> usize {
        8 * self.next - self.word.ilog2() as usize
    }
}

/// The byte at which each of the groups starts, given their sizes in bits.
fn starts(sizes: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
    sizes.scan(0, |next, size| Some(std::mem::replace(next, *next + size.div_ceil(8))))
}

fn damaged(what: &str, found: impl std::fmt::Display) -> Error {
    Error::Bundle { expected: format!("intact {what}"), found: found.to_string() }
}
