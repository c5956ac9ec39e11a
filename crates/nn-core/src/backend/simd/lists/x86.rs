//! Writing lists with AVX-512: what a mask picks of 64 bytes, without gaps, by one instruction.

use std::arch::x86_64::*;

use super::super::vector::LINE;
use super::kinds::nearest_portable;
use super::parts::Solid;
use super::{MAX_WORDS, Pair, WORD, counted};
use crate::matrix::{Head, KINDS, Writer};

/// Whether bytes can be compressed by one instruction here.
#[inline(always)]
pub(super) fn has_compress() -> bool {
    is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("popcnt")
}

/// 0, 1, 2, …
const PLACES: [u8; MAX_WORDS * WORD] = {
    let mut places = [0; MAX_WORDS * WORD];
    let mut i = 0;
    while i < places.len() {
        places[i] = i as u8;
        i += 1;
    }
    places
};

/// Lists the first `len` bytes that are not 0, with their places, and returns how many there are.
///
/// # Safety
/// The CPU must have the features; the slices must be 64 numbers longer than `len`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) unsafe fn list(row: &[u8], len: usize, places: &mut [u16], bytes: &mut [u8]) -> usize {
    // SAFETY: what is read begins before `len`, and so does what is written, of which there is no more than what was read so far. All
    // of it is vectors of 64 bytes.
    unsafe {
        let low = _mm512_cvtepu8_epi16(_mm256_loadu_si256(PLACES.as_ptr().cast()));
        let high = _mm512_add_epi16(low, _mm512_set1_epi16(32));
        let mut count = 0;
        for first in (0..len).step_by(64) {
            let v = _mm512_loadu_si512(row.as_ptr().add(first).cast());
            let counted = u64::MAX >> (64 - (len - first).min(64));
            let mask = _mm512_test_epi8_mask(v, v) & counted;
            let begin = _mm512_set1_epi16(first as i16);
            let packed = _mm512_maskz_compress_epi8(mask, v);
            _mm512_storeu_si512(bytes.as_mut_ptr().add(count).cast(), packed);
            for (mask, places_here) in [(mask as u32, low), ((mask >> 32) as u32, high)] {
                let packed = _mm512_maskz_compress_epi16(mask, _mm512_add_epi16(places_here, begin));
                _mm512_storeu_si512(places.as_mut_ptr().add(count).cast(), packed);
                count += mask.count_ones() as usize;
            }
        }
        count
    }
}

/// The number of the example that differs least, the first of several.
///
/// # Safety
/// The CPU must have the features.
#[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq,popcnt")]
pub(super) unsafe fn nearest(examples: &[[u64; KINDS]], masks: impl Iterator<Item = u64>) -> usize {
    nearest_portable(examples, masks)
}

/// Appends to an empty `to` by stores that go past the caches. They don't wait until a line is out of other cores' caches, nor is it read
/// before it is written.
///
/// # Safety
/// [`end_copies`] must be called before another thread is told that it may read.
pub(super) unsafe fn copy_out<T: Copy + Solid>(from: &[T], to: &mut Vec<T>) {
    assert!(to.is_empty(), "room from the beginning");
    to.reserve(from.len());
    let len = size_of_val(from);
    let (begin, end) = (from.as_ptr().cast::<u8>(), to.as_mut_ptr().cast::<u8>());
    // Whole lines only: of the first and the last one, others may have the rest.
    let lead = end.align_offset(LINE).min(len);
    let lines = (len - lead) / LINE;
    // SAFETY: `len` bytes, all of them written, are read, and as many written, for which there is room; the two don't overlap, because
    // one of them is borrowed mutably. Streamed stores begin at multiples of 64 from the first one. SSE2 is part of x86-64.
    unsafe {
        std::ptr::copy_nonoverlapping(begin, end, lead);
        for at in (lead..lead + lines * LINE).step_by(size_of::<__m128i>()) {
            _mm_stream_si128(end.add(at).cast(), _mm_loadu_si128(begin.add(at).cast()));
        }
        let rest = lead + lines * LINE;
        std::ptr::copy_nonoverlapping(begin.add(rest), end.add(rest), len - rest);
        to.set_len(from.len());
    }
}

/// Makes what was copied visible before anything that is written later.
pub(super) fn end_copies() {
    // SAFETY: SSE is part of x86-64.
    unsafe { _mm_sfence() }
}

/// Entries of three bytes that a vector holds whole.
const TRIPLES: usize = WORD / 3;

/// Where in two vectors, one after the other, the bytes of pairs come from: one of the first, one of the second, and so on.
const PAIRED: [u8; WORD] = {
    let mut from = [0; WORD];
    let mut i = 0;
    while i < WORD {
        from[i] = (i / 2 + WORD * (i % 2)) as u8;
        i += 1;
    }
    from
};

/// Where in three vectors, the first two one after the other, the bytes of triples come from, and whether they are of the third.
const TRIPLED: ([u8; WORD], u64) = {
    let (mut from, mut third) = ([0; WORD], 0);
    let mut i = 0;
    while i < WORD {
        from[i] = (i / 3 + if i % 3 == 1 { WORD } else { 0 }) as u8;
        if i % 3 == 2 {
            third |= 1 << i;
        }
        i += 1;
    }
    (from, third)
};

/// Writes the first `count` bytes of a vector, and maybe some of the others.
///
/// # Safety
/// The CPU must have the features; and at `to` there must be room for a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
unsafe fn put(to: *mut u8, v: __m512i, count: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        // A whole vector from anywhere lies in two cache lines; half a one seldom does. (Measured: a step of 50 takes 1 % longer with
        // whole vectors only.)
        if count <= WORD / 2 {
            _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(v));
        } else {
            _mm512_storeu_si512(to.cast(), v);
        }
    }
}

/// Writes the list of entries of both lines: what the masks pick of (a, place, b). Returns where the next list goes.
///
/// # Safety
/// The CPU must have the features; and at `to` there must be room for what is picked, and a vector more.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
unsafe fn put_both<const WORDS: usize>(
    mut to: *mut u8,
    masks: [u64; WORDS],
    [a, places, b]: [[__m512i; WORDS]; 3],
) -> *mut u8 {
    // SAFETY: so many bytes are read of each; and each store writes at most 64 bytes from where those that were picked so far end.
    unsafe {
        let (from, third) = (_mm512_loadu_si512(TRIPLED.0.as_ptr().cast()), TRIPLED.1);
        for w in 0..WORDS {
            let [a, places, b] = [a[w], places[w], b[w]].map(|v| _mm512_maskz_compress_epi8(masks[w], v));
            let (mut left, mut from) = (masks[w].count_ones() as usize, from);
            loop {
                let entries = _mm512_permutex2var_epi8(a, from, places);
                put(to, _mm512_mask_permutexvar_epi8(entries, third, from, b), 3 * left);
                if left <= TRIPLES {
                    break;
                }
                to = to.add(3 * TRIPLES);
                left -= TRIPLES;
                from = _mm512_add_epi8(from, _mm512_set1_epi8(TRIPLES as i8));
            }
            to = to.add(3 * left);
        }
        to
    }
}

/// Writes the list of entries of one line alone: what the masks pick of (line, place). Returns where the next list goes.
///
/// # Safety
/// The CPU must have the features; and at `to` there must be room for what is picked, and a vector more.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
unsafe fn put_alone<const WORDS: usize>(
    mut to: *mut u8,
    masks: [u64; WORDS],
    [line, places]: [[__m512i; WORDS]; 2],
) -> *mut u8 {
    // SAFETY: so many bytes are read of each; and each store writes at most 64 bytes from where those that were picked so far end.
    unsafe {
        let from = _mm512_loadu_si512(PAIRED.as_ptr().cast());
        for w in 0..WORDS {
            let [line, places] = [line[w], places[w]].map(|v| _mm512_maskz_compress_epi8(masks[w], v));
            let count = masks[w].count_ones() as usize;
            put(to, _mm512_permutex2var_epi8(line, from, places), 2 * count);
            if count > WORD / 2 {
                let from = _mm512_add_epi8(from, _mm512_set1_epi8(WORD as i8 / 2));
                _mm512_storeu_si512(to.add(WORD).cast(), _mm512_permutex2var_epi8(line, from, places));
            }
            to = to.add(2 * count);
        }
        to
    }
}

/// Appends the lists of pairs of lines, of which the first `len` places count, in so many masks.
///
/// # Safety
/// The CPU must have the features.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
pub(super) unsafe fn write<'a, const WORDS: usize>(
    pairs: impl ExactSizeIterator<Item = Pair<'a>>,
    len: usize,
    mut lists: Writer<'_>,
) {
    let counted = counted::<WORDS>(len);
    // What they take at most, and what the last vector writes beyond.
    let (begun, mut left) = (lists.stream.len(), pairs.len());
    lists.stream.reserve(left * 3 * len + WORD);
    // SAFETY: that is where the spare room begins.
    let mut to = unsafe { lists.stream.as_mut_ptr().add(begun) };
    for (lines, a, b) in pairs {
        assert!(
            a.len() >= WORDS * WORD && b.len() >= WORDS * WORD && left > 0,
            "lines of a panel, as many as announced"
        );
        left -= 1;
        // SAFETY: the lines have just been measured. For each pair that was announced there is room for 3 bytes of each place, and so
        // much is written at most, but for a vector beyond, for which there is room as well.
        lists.push(unsafe { write_pair(lines, a, b, counted, &mut to) });
    }
    // SAFETY: all up to there was written.
    unsafe { lists.stream.set_len(to.offset_from_unsigned(lists.stream.as_ptr())) };
}

/// The lists of two lines, from `to` on, which moves to their end.
///
/// # Safety
/// The CPU must have the features, the lines 64 bytes for each mask; and at `to` there must be room for 3 bytes of each place and a
/// vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
unsafe fn write_pair<const WORDS: usize>(
    lines: [u32; 2],
    a: &[u8],
    b: &[u8],
    counted: [u64; WORDS],
    to: &mut *mut u8,
) -> Head {
    let (mut va, mut vb, mut places) =
        ([_mm512_setzero_si512(); WORDS], [_mm512_setzero_si512(); WORDS], [_mm512_setzero_si512(); WORDS]);
    let (mut both, mut first, mut second) = ([0; WORDS], [0; WORDS], [0; WORDS]);
    for w in 0..WORDS {
        // SAFETY: there are 64 bytes for each mask.
        unsafe {
            va[w] = _mm512_loadu_si512(a.as_ptr().add(w * WORD).cast());
            vb[w] = _mm512_loadu_si512(b.as_ptr().add(w * WORD).cast());
            places[w] = _mm512_loadu_si512(PLACES.as_ptr().add(w * WORD).cast());
        }
        let ma = _mm512_test_epi8_mask(va[w], va[w]) & counted[w];
        let mb = _mm512_test_epi8_mask(vb[w], vb[w]) & counted[w];
        (both[w], first[w], second[w]) = (ma & mb, ma & !mb, mb & !ma);
    }
    let len = |masks: [u64; WORDS]| masks.iter().map(|mask| mask.count_ones()).sum::<u32>() as u8;
    let head = Head { both: len(both), first: len(first), second: len(second), zero: 0, lines };
    if head.is_empty() {
        return head;
    }
    // SAFETY: as the caller promises: what is written are three bytes of each place at most, and a vector beyond.
    unsafe {
        let end = put_both(*to, both, [va, places, vb]);
        let end = put_alone(end, first, [va, places]);
        *to = put_alone(end, second, [vb, places]);
    }
    head
}
