//! gemm's innermost loop: one register tile.

use super::vector::{Grid, LINE, On, Vector, ask_for_line, ask_for_line_in_l2};
use crate::matrix::{MatMut, MatRef};

/// Rows of the register tile, MR.
#[inline(always)]
pub(super) fn rows<V: Vector>() -> usize {
    V::Tile::ROWS
}

/// Columns of the register tile, NR.
#[inline(always)]
pub(super) fn columns<V: Vector>() -> usize {
    V::Tile::COLS * V::LANES
}

/// Numbers of the largest tile there is (AVX-512 with `f32`: 14 × 32), and a little more.
pub(super) const MAX_TILE: usize = 512;

/// Rows of op(A) as the tile reads them: element (i, p) is at `lane · i + step · (p mod run) + next_run · (p div run)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes<'a, T> {
    pub(super) data: &'a [T],
    pub(super) lane: usize,
    pub(super) step: usize,
    pub(super) run: usize,
    pub(super) next_run: usize,
    /// How far on in memory what is to be asked for lies, while this is read: at the beginning of each run, one line of each row; or where
    /// neighbouring rows are neighbours in memory, at each step, all of them, if they are as many as the highest tile has. 0 if there is no need.
    pub(super) ahead: usize,
}

/// Rows of op(B) as the tile reads them: element (p, j) is at `step · p + j`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps<'a, T> {
    pub(super) data: &'a [T],
    pub(super) step: usize,
    /// Rows of what other tiles will read, as wide as this one: they are asked for while it is multiplied.
    pub(super) next: Option<MatRef<'a, T>>,
}

/// How many steps of A ahead of their use are asked for, where each is in a cache line of its own, too far from the one before for the CPU to
/// foresee it. (Measured on Emerald Rapids, AVX-512: dW of 784 inputs and 252 rows takes 12 % less time; 6 and 10 steps are alike.)
pub(super) const STEPS_OF_A: usize = 8;

/// The same for steps of B, which come from the L2 cache where the sum is long, if a step of the tile is long enough for it. (There, too: 2 %
/// of the product forward; 8 steps are alike. On AVX2 it costs 1 %, when both threads of a core are busy.)
const STEPS_OF_B: usize = 16;

/// After how many bytes of each row of A, at most, something is asked for that is needed when the tile is finished, or after that: a cache line.
/// Asked for all at once, it would be in the way of what the next steps read. (Measured on Emerald Rapids, AVX-512: 3 % of the product forward,
/// for the next panel of W; 2 % of dW, for the tile of it that is added to.)
const ASK_EVERY: usize = LINE;

/// Rows as wide as the tile, which are asked for one by one. Beyond their end other rows are, which does no harm.
#[derive(Debug)]
struct Soon<T> {
    next: *const T,
    stride: usize,
}

impl<T: Copy> Soon<T> {
    /// Those of a matrix; without one, always the same of what is read anyhow.
    #[inline(always)]
    fn new(matrix: Option<MatRef<'_, T>>, otherwise: &[T]) -> Self {
        match matrix {
            Some(matrix) => Self { next: matrix.as_slice().as_ptr(), stride: matrix.stride() },
            None => Self { next: otherwise.as_ptr(), stride: 0 },
        }
    }

    /// Calls `ask` with each cache line of the next one, if it is `width` wide.
    #[inline(always)]
    fn ask(&mut self, width: usize, ask: impl Fn(*const T)) {
        (0..width).step_by(LINE / size_of::<T>()).for_each(|j| ask(self.next.wrapping_add(j)));
        self.next = self.next.wrapping_add(self.stride);
    }
}

/// Where a finished tile goes.
#[derive(Debug)]
pub(super) enum To<'a, T> {
    /// Row-major and without gaps, for more to be done to it.
    Sums(&'a mut [T; MAX_TILE]),
    /// C ← α tile + β C; with β = 0, C is not read.
    Matrix {
        /// As wide as the tile.
        c: MatMut<'a, T>,
        /// Where the tile begins; there are as many rows from there on as it has.
        first: usize,
        alpha: T,
        beta: T,
    },
}

/// The heights that a tile can have, from the lowest on.
#[inline(always)]
fn heights<V: Vector>() -> &'static [usize] {
    match rows::<V>() {
        14 => &[4, 8, 14],
        6 => &[2, 4, 6],
        8 => &[4, 8],
        _ => &[4],
    }
}

/// The height of the lowest tile that has room for `count` rows.
#[inline(always)]
pub(super) fn height<V: Vector>(count: usize) -> usize {
    heights::<V>().iter().copied().find(|&height| height >= count).unwrap_or(rows::<V>())
}

/// The height of the highest tile that `count` rows fill, if they fill any.
#[inline(always)]
pub(super) fn height_within<V: Vector>(count: usize) -> Option<usize> {
    heights::<V>().iter().copied().rev().find(|&height| height <= count)
}

/// A · B over `steps` steps, for a [`height`] of rows and either all columns of the tile or one vector of them.
///
/// Each element is one chain of fused multiply-adds in the order of the steps, so that it depends on nothing but its own row
/// and column.
#[inline(always)]
pub(super) fn product<V: Vector>(
    on: On<V>,
    (height, narrow): (usize, bool),
    a: &Lanes<'_, V::T>,
    b: &Steps<'_, V::T>,
    steps: usize,
    to: To<'_, V::T>,
) {
    // What is matched first is known to the compiler: of these, each instruction set gets its own few.
    match (rows::<V>(), V::Tile::COLS, height, narrow) {
        (14, 2, 14, false) => packed_or_not::<V, 14, 2>(on, a, b, steps, to),
        (14, 2, 8, false) => packed_or_not::<V, 8, 2>(on, a, b, steps, to),
        (14, 2, 4, false) => packed_or_not::<V, 4, 2>(on, a, b, steps, to),
        (14, 2, 14, true) => packed_or_not::<V, 14, 1>(on, a, b, steps, to),
        (14, 2, 8, true) => packed_or_not::<V, 8, 1>(on, a, b, steps, to),
        (14, 2, 4, true) => packed_or_not::<V, 4, 1>(on, a, b, steps, to),
        (6, 2, 6, false) => packed_or_not::<V, 6, 2>(on, a, b, steps, to),
        (6, 2, 4, false) => packed_or_not::<V, 4, 2>(on, a, b, steps, to),
        (6, 2, 2, false) => packed_or_not::<V, 2, 2>(on, a, b, steps, to),
        (6, 2, 6, true) => packed_or_not::<V, 6, 1>(on, a, b, steps, to),
        (6, 2, 4, true) => packed_or_not::<V, 4, 1>(on, a, b, steps, to),
        (6, 2, 2, true) => packed_or_not::<V, 2, 1>(on, a, b, steps, to),
        (8, 3, 8, false) => packed_or_not::<V, 8, 3>(on, a, b, steps, to),
        (8, 3, 4, false) => packed_or_not::<V, 4, 3>(on, a, b, steps, to),
        (8, 3, 8, true) => packed_or_not::<V, 8, 1>(on, a, b, steps, to),
        (8, 3, 4, true) => packed_or_not::<V, 4, 1>(on, a, b, steps, to),
        (4, 2, 4, false) => packed_or_not::<V, 4, 2>(on, a, b, steps, to),
        (4, 2, 4, true) => packed_or_not::<V, 4, 1>(on, a, b, steps, to),
        shape => unreachable!("no tile of the shape {shape:?}"),
    }
}

#[inline(always)]
fn packed_or_not<V: Vector, const R: usize, const C: usize>(
    on: On<V>,
    a: &Lanes<'_, V::T>,
    b: &Steps<'_, V::T>,
    steps: usize,
    to: To<'_, V::T>,
) {
    // Neighbouring rows that are neighbours in memory: their distance is a number in the instructions.
    if a.lane != 1 {
        tile_of::<V, R, C>(on, a, (a.lane, false), b, steps, to);
    } else if a.ahead > 0 && R == rows::<V>() && C == V::Tile::COLS {
        tile_of::<V, R, C>(on, a, (1, true), b, steps, to);
    } else {
        tile_of::<V, R, C>(on, a, (1, false), b, steps, to);
    }
}

#[cfg_attr(not(test), inline(always))]
#[cfg_attr(test, inline)]
#[expect(
    clippy::needless_range_loop,
    reason = "row i of the tile belongs to lane i of A, at a distance that only the index tells"
)]
fn tile_of<V: Vector, const R: usize, const C: usize>(
    on: On<V>,
    a: &Lanes<'_, V::T>,
    (lane, each_step): (usize, bool),
    b: &Steps<'_, V::T>,
    steps: usize,
    to: To<'_, V::T>,
) {
    assert!(R * C * V::LANES <= MAX_TILE && a.run > 0, "the tile");
    if steps > 0 {
        let (whole, last) = ((steps - 1) / a.run, (steps - 1) % a.run);
        let longest = if whole > 0 { a.run - 1 } else { last };
        let end = |next, p| next * a.next_run + p * a.step + (R - 1) * lane;
        assert!(end(whole, last).max(end(whole.saturating_sub(1), longest)) < a.data.len(), "rows of A");
        assert!((steps - 1) * b.step + C * V::LANES <= b.data.len(), "rows of B");
    }
    // C is read at the end, if at all; until then it has time to come.
    let c = match &to {
        To::Matrix { c, first, beta, .. } => {
            let (c, stride) = (c.as_ref(), c.stride());
            assert!((first + R - 1) * stride + C * V::LANES <= c.as_slice().len(), "rows of C");
            (*beta != V::T::default()).then(|| c.row_range(*first, R))
        }
        To::Sums(_) => None,
    };
    let mut every = ASK_EVERY / size_of::<V::T>();
    if c.is_some() || b.next.is_some() {
        let rows = b.next.map_or(R, |next| next.rows().max(R));
        every = every.min(steps / rows).max(1);
    }
    let (mut c, mut next) = (Soon::new(c, b.data), Soon::new(b.next, b.data));
    let mut sums = [[on.zero(); C]; R];
    let (mut run, mut pb) = (a.data.as_ptr(), b.data.as_ptr());
    let mut left = steps;
    while left > 0 {
        let mut pa = run;
        let mut of_run = left.min(a.run);
        left -= of_run;
        if lane != 1 && a.ahead > 0 {
            for i in 0..R {
                ask_for_line(run.wrapping_add(a.ahead + i * lane));
            }
        }
        while of_run > 0 {
            let now = of_run.min(every);
            of_run -= now;
            c.ask(C * V::LANES, ask_for_line);
            next.ask(C * V::LANES, ask_for_line_in_l2);
            for _ in 0..now {
                if lane != 1 && V::MANY_REGISTERS {
                    for j in (0..C * V::LANES).step_by(LINE / size_of::<V::T>()) {
                        ask_for_line(pb.wrapping_add(STEPS_OF_B * b.step + j));
                    }
                }
                if each_step {
                    // They may lie across two lines.
                    ask_for_line(pa.wrapping_add(a.ahead));
                    ask_for_line(pa.wrapping_add(a.ahead + R - 1));
                }
                // SAFETY: `on` proves the instructions. What is read lies before the last element of the last step (or of the
                // last whole run), which was checked to be there. The pointers leave the slices at the end by less than one
                // step, without being read, in wrapping arithmetic.
                let b_row: [V; C] = std::array::from_fn(|j| unsafe { V::load(pb.add(j * V::LANES)) });
                for i in 0..R {
                    // SAFETY: see above.
                    let a_i = on.splat(unsafe { *pa.add(i * lane) });
                    for j in 0..C {
                        sums[i][j] = a_i.mul_add(b_row[j], sums[i][j]);
                    }
                }
                pa = pa.wrapping_add(a.step);
                pb = pb.wrapping_add(b.step);
            }
        }
        run = run.wrapping_add(a.next_run);
    }
    match to {
        To::Sums(tile) => {
            for i in 0..R {
                for j in 0..C {
                    on.store(sums[i][j], &mut tile[(i * C + j) * V::LANES..]);
                }
            }
        }
        To::Matrix { mut c, first, alpha, beta } => {
            let stride = c.stride();
            let c = c.as_mut_slice()[first * stride..].as_mut_ptr();
            // Loops of constant length without branches: only so do the sums stay in registers.
            let alpha = on.splat(alpha);
            if beta == V::T::default() {
                for i in 0..R {
                    for j in 0..C {
                        // SAFETY: `on` proves the instructions, and that these rows are there was checked at the beginning.
                        unsafe { alpha.mul(sums[i][j]).store(c.add(i * stride + j * V::LANES)) };
                    }
                }
            } else {
                let beta = on.splat(beta);
                for i in 0..R {
                    for j in 0..C {
                        // SAFETY: likewise.
                        unsafe {
                            let c = c.add(i * stride + j * V::LANES);
                            beta.mul_add(V::load(c), alpha.mul(sums[i][j])).store(c);
                        }
                    }
                }
            }
        }
    }
}
