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

/// Which pixels are lit: 28 words per image, pixel `x` of the row at bit `x`.
pub(super) struct Mask(Vec<u32>);

impl Mask {
    pub(super) fn decode(groups: &[u8], index: &Index) -> Result<Mask> {
        let mut cursors = starts(&index.mask_bits, |bits| bits.next_multiple_of(8));
        let mut rows = vec![0u32; (TRAIN + TEST) * SIDE];
        for image in rows.chunks_exact_mut(SIDE) {
            let (mut above, mut above2) = (0, 0);
            for row in image {
                *row = decode_row(groups, &mut cursors, above, above2);
                (above2, above) = (above, *row);
            }
        }
        let ends = starts(&index.mask_bits, |bits| bits.next_multiple_of(8));
        let ends = ends.iter().zip(&index.mask_bits).map(|(s, n)| s + n);
        check_ends(&cursors, ends, "mask").map(|()| Mask(rows))
    }
}

/// One row of the mask from the two above it.
fn decode_row(groups: &[u8], cursors: &mut [usize], above: u32, above2: u32) -> u32 {
    // Bit x: pixel x has a lit neighbour in the rows above, so its context is not 0.
    let near = above << 2 | above << 1 | above | above >> 1 | above >> 2;
    let near = near | above2 << 1 | above2 | above2 >> 1;
    let (template, template2) = (above << 2, above2 << 1);
    let mut row = 0u32; // two bits to the left, so that x − 2 exists
    let mut x = 0;
    while x < SIDE {
        let context = template >> x & 31 | (template2 >> x & 7) << 5 | (row >> x & 3) << 8;
        let cursor = &mut cursors[context as usize];
        if context == 0 {
            // Most of an image is paper far from ink: take all of a run of zeros at once.
            let run = ((near >> x).trailing_zeros() as usize).min(SIDE - x);
            let zeros = (next_bits(groups, *cursor).trailing_zeros() as usize).min(run);
            x += zeros;
            *cursor += zeros;
            if zeros < run {
                row |= 4 << x;
                x += 1;
                *cursor += 1;
            }
        } else {
            let byte = groups.get(*cursor / 8).copied().unwrap_or(0);
            row |= u32::from(byte >> (*cursor % 8) & 1) << (x + 2);
            x += 1;
            *cursor += 1;
        }
    }
    row >> 2
}

/// At least 57 bits from bit position `at`, lowest first; ones beyond the end of `groups`, so that runs end.
fn next_bits(groups: &[u8], at: usize) -> u64 {
    let tail = groups.get(at / 8..).unwrap_or_default();
    let word = match tail.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => {
            let mut bytes = [0xff; 8];
            bytes[..tail.len()].copy_from_slice(tail);
            u64::from_le_bytes(bytes)
        }
    };
    word >> (at % 8)
}

/// Puts the values at the lit pixels; training and test images, flattened.
pub(super) fn place(mask: &Mask, values: &[u8], index: &Index) -> Result<(Vec<u8>, Vec<u8>)> {
    let classes: [u16; 256] = std::array::from_fn(|value| {
        CLASS_BOUNDS.partition_point(|&bound| usize::from(bound) <= value) as u16
    });
    let mut cursors = starts(&index.value_counts, |count| count);
    let mut train = vec![0; TRAIN * PIXELS];
    let mut test = vec![0; TEST * PIXELS];
    let images = train.chunks_exact_mut(PIXELS).chain(test.chunks_exact_mut(PIXELS));
    for (image, rows) in images.zip(mask.0.chunks_exact(SIDE)) {
        let mut above = [0u8; SIDE];
        for (y, line) in image.chunks_exact_mut(SIDE).enumerate() {
            let row = rows[y];
            let below = rows.get(y + 1).copied().unwrap_or(0) << 1;
            let mut left = 0;
            let mut end = 0; // one past the last lit pixel
            let mut rest = row;
            while rest != 0 {
                let x = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if x != end {
                    left = 0;
                }
                let lit = (below >> x & 7 | (row >> x >> 1 & 1) << 3) as u16;
                let context = lit << 8 | classes[usize::from(left)] << 4 | classes[usize::from(above[x])];
                let cursor = &mut cursors[usize::from(context)];
                left = values.get(*cursor).copied().unwrap_or(0);
                line[x] = left;
                *cursor += 1;
                end = x + 1;
            }
            above.copy_from_slice(line);
        }
    }
    let ends = starts(&index.value_counts, |count| count);
    let ends = ends.iter().zip(&index.value_counts).map(|(s, n)| s + n);
    check_ends(&cursors, ends, "values").map(|()| (train, test))
}

/// Where each group starts, given how much room a group of some size takes.
fn starts(sizes: &[usize], room: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut next = 0;
    let step = |&size| {
        let start = next;
        next += room(size);
        start
    };
    sizes.iter().map(step).collect()
}

fn check_ends(cursors: &[usize], mut ends: impl Iterator<Item = usize>, what: &str) -> Result<()> {
    if cursors.iter().all(|&cursor| ends.next() == Some(cursor)) {
        Ok(())
    } else {
        Err(damaged(what, "groups of other sizes"))
    }
}

fn damaged(what: &str, found: impl std::fmt::Display) -> Error {
    Error::Bundle { expected: format!("intact {what}"), found: found.to_string() }
}
