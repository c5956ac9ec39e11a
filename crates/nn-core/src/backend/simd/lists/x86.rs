//! Writing lists with AVX-512: what a mask picks of 64 bytes, without gaps, by one instruction.

use std::arch::x86_64::*;

use crate::matrix::{Head, MAX_PANEL};

/// Whether bytes can be compressed by one instruction here.
#[inline(always)]
pub(super) fn has_compress() -> bool {
    is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("popcnt")
}

/// 0, 1, 2, …, 127
const PLACES: [u8; MAX_PANEL] = {
    let mut places = [0; MAX_PANEL];
    let mut i = 0;
    while i < MAX_PANEL {
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

/// Writes the bytes of two vectors that the masks pick, without gaps, and returns where the next ones go.
///
/// # Safety
/// 128 bytes must be writable at `to`.
#[inline(always)]
unsafe fn put(to: *mut u8, masks: [u64; 2], v: [__m512i; 2]) -> *mut u8 {
    // SAFETY: each store writes 64 bytes, the second at most 64 further on.
    unsafe {
        _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi8(masks[0], v[0]));
        let to = to.add(masks[0].count_ones() as usize);
        _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi8(masks[1], v[1]));
        to.add(masks[1].count_ones() as usize)
    }
}

/// Appends the lists of pairs of lines, of which the places in `counted` count.
///
/// # Safety
/// The CPU must have the features.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
pub(super) unsafe fn write<'a>(
    pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
    counted: [u64; 2],
    stream: &mut Vec<u8>,
    heads: &mut Vec<Head>,
) {
    // What they take at most, and what the last vectors write beyond.
    let places = counted.map(u64::count_ones).iter().sum::<u32>() as usize;
    let room = pairs.len() * 3 * places;
    stream.reserve(room + 2 * 64);
    let (begun, mut left) = (stream.len(), pairs.len());
    // SAFETY: that is where the spare room begins.
    let mut to = unsafe { stream.as_mut_ptr().add(begun) };
    for (a, b) in pairs {
        assert!(
            a.len() >= MAX_PANEL && b.len() >= MAX_PANEL && left > 0,
            "lines of a panel, as many as announced"
        );
        left -= 1;
        // SAFETY: the lines have just been measured. For each pair that was announced there is room for 3 bytes of each place, and so
        // much is written at most, but for a vector or two beyond, for which there is room as well.
        let head = unsafe {
            if counted[1] == 0 {
                write_half(a, b, counted[0], &mut to)
            } else {
                write_whole(a, b, counted, &mut to)
            }
        };
        heads.push(head);
    }
    // SAFETY: all up to there was written.
    unsafe { stream.set_len(to.offset_from_unsigned(stream.as_ptr())) };
}

/// The lists of two lines, from `to` on, which moves to their end; no more than 64 places count, as in a small batch by columns.
///
/// # Safety
/// The CPU must have the features, the lines 64 bytes; and at `to` there must be room for 3 bytes of each place and a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
unsafe fn write_half(a: &[u8], b: &[u8], counted: u64, to: &mut *mut u8) -> Head {
    // SAFETY: as the caller promises.
    unsafe {
        let (va, vb) = (_mm512_loadu_si512(a.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().cast()));
        let (ma, mb) = (_mm512_test_epi8_mask(va, va) & counted, _mm512_test_epi8_mask(vb, vb) & counted);
        if ma | mb == 0 {
            return Head::default();
        }
        let places = _mm512_loadu_si512(PLACES.as_ptr().cast());
        let (both, first, second) = (ma & mb, ma & !mb, mb & !ma);
        let len = |m: u64| m.count_ones() as usize;
        for (mask, v) in [
            (both, places),
            (both, va),
            (both, vb),
            (first, places),
            (first, va),
            (second, places),
            (second, vb),
        ] {
            _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi8(mask, v));
            *to = to.add(len(mask));
        }
        Head { both: len(both) as u8, first: len(first) as u8, second: len(second) as u8 }
    }
}

/// The same of all places of a panel.
///
/// # Safety
/// As that of [`write_half`]; the lines must have `MAX_PANEL` bytes, and there must be room for two vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
unsafe fn write_whole(a: &[u8], b: &[u8], counted: [u64; 2], to: &mut *mut u8) -> Head {
    // SAFETY: as the caller promises.
    unsafe {
        let load =
            |x: &[u8]| [_mm512_loadu_si512(x.as_ptr().cast()), _mm512_loadu_si512(x.as_ptr().add(64).cast())];
        let (va, vb, places) = (load(a), load(b), load(&PLACES));
        let masks = |v: [__m512i; 2]| {
            [_mm512_test_epi8_mask(v[0], v[0]) & counted[0], _mm512_test_epi8_mask(v[1], v[1]) & counted[1]]
        };
        let (ma, mb) = (masks(va), masks(vb));
        let both = [ma[0] & mb[0], ma[1] & mb[1]];
        let first = [ma[0] & !mb[0], ma[1] & !mb[1]];
        let second = [mb[0] & !ma[0], mb[1] & !ma[1]];
        let len = |m: [u64; 2]| (m[0].count_ones() + m[1].count_ones()) as u8;
        let head = Head { both: len(both), first: len(first), second: len(second) };
        if head.both > 0 {
            *to = put(*to, both, places);
            *to = put(*to, both, va);
            *to = put(*to, both, vb);
        }
        if head.first > 0 {
            *to = put(*to, first, places);
            *to = put(*to, first, va);
        }
        if head.second > 0 {
            *to = put(*to, second, places);
            *to = put(*to, second, vb);
        }
        head
    }
}
