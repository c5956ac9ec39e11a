//! Products of a few rows, as a small batch has: every number of the weights is used a few times only, so that they are read where
//! they are, from one end to the other, and nothing is packed.

use super::finish::Finish;
use super::gemm::{Product, put};
use super::narrow::MAX_NARROW;
use super::pack::Source;
use super::vector::{Element, Kernel, LINE, MAX_LANES, On, Vector, ask_for_line};
use crate::matrix::{MatMut, MatRef};
use crate::ops::Trans;

/// Most steps of the sum in C ← C + α Aᵀ B for which C passes by once for every [`TOGETHER`] of them. (Measured with AVX-512, 784 →
/// 512: at 8 steps it takes half as long as the register tile, at 16 as long.)
const MAX_STEPS: usize = 16;

/// Steps of the sum whose part of B is in registers while C passes by.
const TOGETHER: usize = 4;

/// Rows of C that all steps go over before the next ones come: 8 KiB of a strip of 64 `f32`, which stay in the L1 cache.
const ROWS: usize = 32;

/// Most rows of A in A · Bᵀ for which each sum is formed along the rows of B. With more, the tile's lanes are used better.
const MAX_DOT_ROWS: usize = 4;

/// Rows of B that pass by together: as many sums are under way as it takes to hide how long an addition takes.
const DOTS: usize = 8;

/// Whether [`Outer`] is for this product.
pub(super) fn is_outer<T: Element>(product: &Product<'_, T>) -> bool {
    let plain = product.ta == Trans::Yes && product.tb == Trans::No && product.beta == T::one();
    // What `narrow` does for rows that lie in one matrix, gemm does with the same bits for rows that are listed.
    let narrow = (1..=MAX_NARROW).contains(&product.c.cols()) && product.c.rows() > MAX_NARROW;
    plain && !narrow && (1..=MAX_STEPS).contains(&product.k) && matches!(product.finish, Finish::Nothing)
}

/// C ← C + α Aᵀ · B with few steps. Each element's terms are added to it one after the other.
pub(super) struct Outer<'a, T>(pub(super) Product<'a, T>);

impl<T: Element> Kernel<T> for Outer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        if V::MANY_REGISTERS { outer_in::<T, V, 4>(on, self.0) } else { outer_in::<T, V, 2>(on, self.0) }
    }
}

/// [`Outer`] in strips of `C` vectors, or one where there are fewer.
#[inline(always)]
fn outer_in<T: Element, V: Vector<T = T>, const C: usize>(on: On<V>, product: Product<'_, T>) {
    let Product { alpha, a, b, mut c, k, later, .. } = product;
    let (m, n) = (c.rows(), c.cols());
    let mut later = Later::new(later, n.div_ceil(C * V::LANES) * m.div_ceil(ROWS));
    // From the last strip to the first, and from the last row to the first: what a product before this one has read last is in the cache
    // still, and what is written last is what the next product begins with.
    let mut until = n;
    while until > 0 {
        // Strips begin at the beginning of a block, and only the last ones in it are less than whole.
        let last = until - 1;
        let begin = [c.block_cols(), b.block_cols()].map(|block| last / block * block);
        let begin = begin[0].max(begin[1]);
        let back = |width: usize| begin + (last - begin) / width * width;
        let whole = until - back(C * V::LANES) == C * V::LANES;
        let j = back(if whole { C * V::LANES } else { V::LANES });
        let len = until - j;
        let (b, mut c) = (b.strip(j, len), c.strip(j, len));
        let mut end = m;
        while end > 0 {
            let rows = end - ROWS.min(run_until(&a, end)).min(end)..end;
            let mut p = 0;
            while p < k {
                let (terms, rows) = ((alpha, p), rows.clone());
                let four = k - p >= TOGETHER;
                match (whole, four) {
                    (true, true) => add::<T, V, C, TOGETHER>(on, terms, &a, &b, &mut c, rows),
                    (true, false) => add::<T, V, C, 1>(on, terms, &a, &b, &mut c, rows),
                    (false, true) => add::<T, V, 1, TOGETHER>(on, terms, &a, &b, &mut c, rows),
                    (false, false) => add::<T, V, 1, 1>(on, terms, &a, &b, &mut c, rows),
                }
                p += if four { TOGETHER } else { 1 };
            }
            later.ask();
            end = rows.start;
        }
        until = j;
    }
}

/// What A will probably be next time, asked for piece by piece. (Measured on Zen 4, one row of 784 `f32` from memory and 16 columns: of
/// what it takes to multiply the row and to change the weights, a seventh is saved.)
struct Later<'a, T> {
    numbers: &'a [T],
    piece: usize,
}

impl<'a, T> Later<'a, T> {
    /// In so many pieces of whole cache lines.
    #[inline(always)]
    fn new(rows: Option<MatRef<'a, T>>, pieces: usize) -> Self {
        let numbers = rows.and_then(|rows| rows.contiguous()).unwrap_or(&[]);
        let line = LINE / size_of::<T>();
        Self { numbers, piece: numbers.len().div_ceil(pieces.max(1)).next_multiple_of(line) }
    }

    /// Asks for the next piece.
    #[inline(always)]
    fn ask(&mut self) {
        let (now, rest) = self.numbers.split_at(self.piece.min(self.numbers.len()));
        self.numbers = rest;
        now.iter().step_by(LINE / size_of::<T>()).for_each(|number| ask_for_line(number));
    }
}

/// How many columns of a stored A before `end` lie in one run of memory.
#[inline(always)]
fn run_until<T>(a: &Source<'_, T>, end: usize) -> usize {
    match a {
        Source::Matrix(matrix) => (end - 1) % matrix.block_cols() + 1,
        Source::Rows(_) => usize::MAX,
    }
}

/// Adds `S` steps from `p` on to some rows of a strip of C, which is `C` vectors wide or a part of one.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "column v of C and of all terms, in registers")]
fn add<T: Element, V: Vector<T = T>, const C: usize, const S: usize>(
    on: On<V>,
    (alpha, p): (T, usize),
    a: &Source<'_, T>,
    b: &MatRef<'_, T>,
    c: &mut MatMut<'_, T>,
    rows: std::ops::Range<usize>,
) {
    let alpha = on.splat(alpha);
    let mut scaled = [[on.zero(); C]; S];
    for (s, scaled) in scaled.iter_mut().enumerate() {
        for (v, part) in scaled.iter_mut().zip(b.row(p + s).chunks(V::LANES)) {
            *v = alpha.mul(on.load_part(part, T::zero()));
        }
    }
    let factors: [&[T]; S] = std::array::from_fn(|s| match a {
        Source::Matrix(matrix) => &matrix.run(p + s, rows.start)[..rows.len()],
        Source::Rows(selected) => &selected.row(p + s)[rows.clone()],
    });
    let width = c.cols();
    if width < C * V::LANES {
        // Less than a vector.
        for (at, i) in rows.enumerate() {
            let row = c.row(i);
            let mut sum = on.load_part(row, T::zero());
            for s in 0..S {
                sum = on.splat(factors[s][at]).mul_add(scaled[s][0], sum);
            }
            on.store_part(sum, row);
        }
        return;
    }
    let (stride, count) = (c.stride(), rows.len());
    let c = &mut c.as_mut_slice()[rows.start * stride..];
    assert!(count > 0 && (count - 1) * stride + C * V::LANES <= c.len(), "rows of C");
    assert!(factors.iter().all(|factors| factors.len() == count), "a factor for each row");
    let mut row = c.as_mut_ptr();
    for at in 0..count {
        // SAFETY: `on` proves the instructions; there are `count` factors and rows of so many numbers, as was just checked. The
        // pointer leaves the slice at the end, without being read, in wrapping arithmetic.
        unsafe {
            let factors: [V; S] = std::array::from_fn(|s| V::splat(*factors[s].get_unchecked(at)));
            for v in 0..C {
                let part = row.add(v * V::LANES);
                let mut sum = V::load(part);
                for s in 0..S {
                    sum = factors[s].mul_add(scaled[s][v], sum);
                }
                sum.store(part);
            }
        }
        row = row.wrapping_add(stride);
    }
}

/// Whether [`Dots`] is for this product.
pub(super) fn is_dots<T: Element>(product: &Product<'_, T>) -> bool {
    let plain = product.ta == Trans::No && product.tb == Trans::Yes;
    plain && product.c.rows() <= MAX_DOT_ROWS && product.k > 0 && matches!(product.a, Source::Matrix(_))
}

/// C ← f(α A · Bᵀ + β C) with few rows of A. A sum is formed in the lanes of one vector, and those are added up at the end.
pub(super) struct Dots<'a, T>(pub(super) Product<'a, T>);

impl<T: Element> Kernel<T> for Dots<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        dots(on, self.0);
    }
}

#[inline(always)]
fn dots<T: Element, V: Vector<T = T>>(on: On<V>, product: Product<'_, T>) {
    let Product { alpha, a: Source::Matrix(a), b, beta, mut c, finish, .. } = product else { return };
    let (m, n) = (c.rows(), c.cols());
    let mut j = 0;
    while j < n {
        let output = if let Finish::Slope(_, output) = finish { output.block_cols() } else { n };
        let left = [c.block_cols(), output].map(|block| block - j % block);
        let len = left[0].min(left[1]).min(n - j).min(DOTS);
        for i in 0..m {
            let mut sums = [T::zero(); MAX_LANES + DOTS];
            if len == DOTS {
                dots_of::<T, V, DOTS>(on, (&a, i), (&b, j), &mut sums);
            } else {
                for at in 0..len {
                    dots_of::<T, V, 1>(on, (&a, i), (&b, j + at), &mut sums[at..]);
                }
            }
            let c = &mut c.run(i, j)[..len];
            for (c, at) in c.chunks_mut(V::LANES).zip((0..).step_by(V::LANES)) {
                put(on, (alpha, beta, &finish), &sums[at..], i, j + at, c);
            }
        }
        j += len;
    }
}

/// sums ← the products of row `i` of A with `D` rows of B from `j` on.
#[inline(always)]
fn dots_of<T: Element, V: Vector<T = T>, const D: usize>(
    on: On<V>,
    (a, i): (&MatRef<'_, T>, usize),
    (b, j): (&MatRef<'_, T>, usize),
    sums: &mut [T],
) {
    let mut lanes = [on.zero(); D];
    let mut p = 0;
    while p < a.cols() {
        let a = a.run(i, p);
        let len = a.len().min(b.run(j, p).len());
        let rows: [&[T]; D] = std::array::from_fn(|d| &b.run(j + d, p)[..len]);
        let whole = len / V::LANES * V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            let x = on.load(&a[at..at + V::LANES]);
            for d in 0..D {
                lanes[d] = x.mul_add(on.load(&rows[d][at..at + V::LANES]), lanes[d]);
            }
        }
        if whole < len {
            let x = on.load_part(&a[whole..len], T::zero());
            for d in 0..D {
                lanes[d] = x.mul_add(on.load_part(&rows[d][whole..], T::zero()), lanes[d]);
            }
        }
        p += len;
    }
    for (sum, lanes) in sums.iter_mut().zip(lanes) {
        *sum = lanes.sum();
    }
}
