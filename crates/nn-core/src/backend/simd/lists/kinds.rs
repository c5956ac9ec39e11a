//! Which rows of a data set are alike: an order for the rows of any batch in which neighbours share more of their entries than in
//! the order in which they were picked.
//!
//! Finding the best partners in a batch takes longer than a small batch gains by it. So each row is compared once, when it is first met,
//! with one example of each of some [`KINDS`], rows of the same data set; batches are put in the order of the kinds, which are
//! numbered so that kinds whose numbers are near are alike, too. Like everything about a data set that never changes, a row's
//! kind is always the same, and so are the sums whose rounding depends on which rows are paired.

use smallvec::SmallVec;

use super::{WORD, mask};
use crate::Scalar;
use crate::matrix::{KINDS, SparseRows};

/// Most rows that can be put in order at once: many more than a shard has.
pub(super) const MAX_ROWS: usize = u16::MAX as usize;

/// Rows whose kinds are put down without allocating memory: as many as a shard has, at most.
const FEW_ROWS: usize = 512;

/// The selected rows in the order of their kinds; those of a kind as they come.
pub(super) fn order<T: Scalar>(x: &SparseRows<'_, T>, order: &mut Vec<u16>) {
    let rows = x.rows.len();
    assert!(rows <= MAX_ROWS, "{rows} rows");
    let kinds: SmallVec<[u8; FEW_ROWS]> = (0..rows).map(|row| kind(x, x.rows.get(row)) as u8).collect();
    let mut begins = [0_u16; KINDS + 1];
    kinds.iter().for_each(|&kind| begins[kind as usize + 1] += 1);
    for k in 1..KINDS {
        begins[k] += begins[k - 1];
    }
    order.clear();
    order.resize(rows, 0);
    for (row, &kind) in kinds.iter().enumerate() {
        let at = &mut begins[kind as usize];
        order[*at as usize] = row as u16;
        *at += 1;
    }
}

/// The kind of a row of the data.
#[inline]
fn kind<T: Scalar>(x: &SparseRows<'_, T>, row: usize) -> usize {
    let kinds = &x.data().kinds;
    kinds.of(row, || nearest(kinds.examples.get_or_init(|| examples(x)), masks(x, row)))
}

/// A bit for each byte of a row of the data, set where it is not 0.
fn masks<T: Scalar>(x: &SparseRows<'_, T>, row: usize) -> impl Iterator<Item = u64> {
    // Rows end in zeros, with which the last word is filled.
    let words = x.data().cols().div_ceil(WORD);
    let row = x.any_padded_row(row);
    (0..words).map(|w| mask(&row[w * WORD..]))
}

/// Examples from all over the data, each followed by the one that is nearest to it of those that are left. Word by word: first words of all
/// of them, second words, and so on.
fn examples<T: Scalar>(x: &SparseRows<'_, T>) -> Vec<[u64; KINDS]> {
    let rows = x.data().rows();
    let mut left: Vec<Vec<u64>> = (0..KINDS).map(|k| masks(x, k * rows / KINDS).collect()).collect();
    let mut examples = vec![[0; KINDS]; x.data().cols().div_ceil(WORD)];
    let mut next = 0;
    for k in 0..KINDS {
        let example = left.swap_remove(next);
        examples.iter_mut().zip(&example).for_each(|(words, &word)| words[k] = word);
        let apart = |other: &Vec<u64>| differences(example.iter().copied(), other.iter().copied());
        next = (0..left.len()).min_by_key(|&at| apart(&left[at])).unwrap_or(0);
    }
    examples
}

fn differences(a: impl Iterator<Item = u64>, b: impl Iterator<Item = u64>) -> u32 {
    a.zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// The number of the example that differs least, the first of several.
fn nearest(examples: &[[u64; KINDS]], masks: impl Iterator<Item = u64>) -> usize {
    #[cfg(target_arch = "x86_64")]
    if super::x86::has_compress() && is_x86_feature_detected!("avx512vpopcntdq") {
        // SAFETY: the features were just found.
        return unsafe { super::x86::nearest(examples, masks) };
    }
    nearest_portable(examples, masks)
}

/// [`nearest`] on any CPU; eight at a time with AVX-512, for which the compiler makes vectors of it.
#[inline(always)]
pub(super) fn nearest_portable(examples: &[[u64; KINDS]], masks: impl Iterator<Item = u64>) -> usize {
    let mut apart = [0; KINDS];
    for (words, mask) in examples.iter().zip(masks) {
        for (apart, word) in apart.iter_mut().zip(words) {
            *apart += u64::from((word ^ mask).count_ones());
        }
    }
    let mut best = 0;
    for k in 1..KINDS {
        if apart[k] < apart[best] {
            best = k;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::reference::fits;
    use crate::matrix::{InputRef, Rows, SparseBytes};

    /// Rows of four sorts, by turns; sort s has its entries in columns s · 20 to s · 20 + 19, but for one that each row lacks.
    fn four_sorts(rows: usize) -> SparseBytes<f64> {
        let byte = |row: usize, col: usize| u8::from(col / 20 == row % 4 && col % 20 != row / 4 % 20);
        let bytes: Vec<u8> = (0..rows * 80).map(|at| byte(at / 80, at % 80)).collect();
        fits(SparseBytes::new(&bytes, rows, 80, 1.0))
    }

    fn ordered(set: &SparseBytes<f64>, rows: &[u32]) -> Vec<u32> {
        let InputRef::SparseBytes(x) = fits(InputRef::sparse_bytes(set).select(Rows::List(rows))) else {
            panic!("sparse bytes");
        };
        let mut order = Vec::new();
        super::order(&x, &mut order);
        order.into_iter().map(|at| rows[at as usize]).collect()
    }

    #[test]
    fn rows_that_are_alike_follow_each_other_whichever_rows_are_met_first() {
        let picked: Vec<u32> = (0..50).map(|i| i * 37 % 301).collect();
        let (fresh, used) = (four_sorts(301), four_sorts(301));
        let found = ordered(&fresh, &picked);
        let changes = found.windows(2).filter(|two| two[0] % 4 != two[1] % 4).count();
        assert_eq!(changes, 3, "four runs of rows of a sort: {found:?}");
        let mut sorted = [found.clone(), picked.clone()];
        sorted.iter_mut().for_each(|rows| rows.sort_unstable());
        assert_eq!(sorted[0], sorted[1], "all rows, each once");
        ordered(&used, &(100..301).collect::<Vec<_>>());
        assert_eq!(ordered(&used, &picked), found);
    }

    #[test]
    fn few_rows_all_alike_and_rows_without_entries_stay_as_they_come() {
        let alike = fits(SparseBytes::new(&[[0, 3, 0], [0, 4, 0], [0, 5, 0]].concat(), 3, 3, 1.0));
        assert_eq!(ordered(&alike, &[2, 0, 1, 2]), [2, 0, 1, 2]);
        let empty = fits(SparseBytes::new(&[0; 12], 4, 3, 1.0));
        assert_eq!(ordered(&empty, &[3, 1, 2]), [3, 1, 2]);
    }

    #[test]
    fn the_nearest_example_is_the_one_with_fewest_differences() {
        let mut noise = 1_u64;
        let mut next = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            noise ^ noise >> 29
        };
        for words in [1, 2, 13] {
            let examples: Vec<[u64; KINDS]> = (0..words).map(|_| std::array::from_fn(|_| next())).collect();
            for _ in 0..50 {
                let row: Vec<u64> = (0..words).map(|_| next()).collect();
                let apart =
                    |k: usize| differences(examples.iter().map(|words| words[k]), row.iter().copied());
                let expected = (0..KINDS).min_by_key(|&k| apart(k));
                assert_eq!(Some(nearest(&examples, row.iter().copied())), expected);
                assert_eq!(Some(nearest_portable(&examples, row.iter().copied())), expected);
            }
        }
    }
}
