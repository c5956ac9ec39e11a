//! An optimizer's update as the end of the product that forms the gradient: as soon as two lines of sums are complete, they go through
//! the optimizer's formula, and what is written is its results, and never the gradient.
//!
//! This hides how long roots and divisions take. The formula of one pair of sums and the products of the next don't depend on each other,
//! so that the processor works on both at once, if both are near enough in the program (see `Behind` in `pair_gather`); in a pass of its own,
//! the formula would have nothing to overlap with.

use std::marker::PhantomData;
use std::ops::Range;

use num_traits::Float as _;

use super::Simd;
use super::formulas::{Adam, Formula, Lanes, MAX_OUTPUTS, MAX_SCALARS, RmsProp, is};
use super::lists;
use super::pair_gather::gather_panel;
use super::pair_sums::{Target, panel};
use super::pairs::block_columns;
use super::vector::{Element, Grid, Kernel, On, Vector};
use crate::matrix::{MAX_PANEL, MatRef, NO_LINE, Scratch, SparseRows};
use crate::ops::Update;

/// Carries out an update whose X is rows of bytes, if there is a kernel for it; else gives back what was taken, for the caller to do it in
/// two steps. There are kernels for RMSprop and Adam only: their formulas take long, they are used much, and each kernel more is
/// compiled for every type of vector.
pub(super) fn run<'a, 'o, 's, T: Element>(
    simd: Simd,
    (x, delta): (SparseRows<'a, T>, MatRef<'a, T>),
    update: Update<'a, 'o, T>,
    scratch: &'s mut Scratch<T>,
) -> Result<(), (Update<'a, 'o, T>, &'s mut Scratch<T>)> {
    if !updates(x.rows.len(), &update) {
        return Err((update, scratch));
    }
    if is::<RmsProp>(update.pass) {
        simd.run(PairUpdate::<T, RmsProp>::new(x, delta, update, scratch));
    } else if is::<Adam>(update.pass) {
        simd.run(PairUpdate::<T, Adam>::new(x, delta, update, scratch));
    } else {
        return Err((update, scratch));
    }
    Ok(())
}

/// Whether a [`PairUpdate`] can do this update of so many rows: they fit into one panel, after which the sums are complete; the update is of
/// a whole block of columns; and the formula reads no arrays but the gradient and its own outputs.
pub(super) fn updates<T>(rows: usize, update: &Update<'_, '_, T>) -> bool {
    let (k, n) = (update.rows, update.cols);
    (1..=lists::ROWS).contains(&rows) && k > 0 && n == block_columns::<T>() && update.inputs.is_empty()
}

/// outputs ← a formula of the gradient Xᵀ · δ, which is nowhere written, the scalars and the old outputs. X: \[m, k\], δ: \[m, n\],
/// outputs: \[k, n\], where n is the columns of a block.
struct PairUpdate<'a, 'o, 's, T, F> {
    x: SparseRows<'a, T>,
    delta: MatRef<'a, T>,
    update: Update<'a, 'o, T>,
    scratch: &'s mut Scratch<T>,
    formula: PhantomData<F>,
}

impl<'a, 'o, 's, T, F> PairUpdate<'a, 'o, 's, T, F> {
    fn new(
        x: SparseRows<'a, T>,
        delta: MatRef<'a, T>,
        update: Update<'a, 'o, T>,
        scratch: &'s mut Scratch<T>,
    ) -> Self {
        Self { x, delta, update, scratch, formula: PhantomData }
    }
}

/// A formula that has nothing, or little, to do where the gradient is 0 and what it remembers is 0.
trait Resting: Formula {
    /// Which scalar is ε: a step of 0 is divided by it or more, so that it is 0 if this is positive.
    const EPSILON: usize;

    /// How many outputs, the first ones, move the weights by themselves, where they are not 0.
    const MOVING: usize;
}

impl Resting for RmsProp {
    const EPSILON: usize = 1;
    const MOVING: usize = 0;
}

impl Resting for Adam {
    const EPSILON: usize = 2;
    const MOVING: usize = 1;
}

impl<T: Element, F: Resting> Kernel<T> for PairUpdate<'_, '_, '_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { x, delta, update: Update { scalars, outputs, rows: k, cols, .. }, scratch, .. } = self;
        let width = block_columns::<T>();
        assert!(cols == width && delta.cols() == width && x.cols() == k, "an update of a block");
        let mut maker = scratch.take_lists();
        let lists = maker.lists_by_column(&x);
        let mut copy = scratch.take(MAX_PANEL * width);
        let mut target = Updated::<V, F>::new(on, scalars, outputs, k);
        let delta = delta.strip(0, width);
        let direct = (delta.stride() == width).then_some(width);
        let panel = panel(&delta, 0, lists.part(0).height(0), direct, &mut copy);
        assert!(panel.height == delta.rows(), "one panel for all rows");
        for part in 0..lists.parts() {
            gather_panel::<V, V::Pair, _>(on, lists.part(part), 0, x.values(), panel, &mut target, true);
        }
        scratch.give(copy);
        scratch.give_lists(maker);
    }
}

/// The outputs of a formula, updated by sums that one panel completes.
struct Updated<'a, V: Vector, F> {
    scalars: [V; MAX_SCALARS],
    /// Whether a gradient of 0 makes a step of 0: ε is positive, and all scalars are finite.
    rests: bool,
    /// Whether some of the roots are formed by products.
    by_products: bool,
    /// Where each output begins. Its lines lie one after the other, each as long as a block is wide.
    outputs: [*mut V::T; MAX_OUTPUTS],
    lines: usize,
    of: PhantomData<(&'a mut [V::T], F)>,
}

impl<'a, V: Vector, F: Resting> Updated<'a, V, F> {
    fn new(on: On<V>, scalars: &[V::T], outputs: &'a mut [&mut [V::T]], lines: usize) -> Self {
        assert!(scalars.len() == F::SCALARS && outputs.len() == F::OUTPUTS, "what the formula takes");
        let mut splats = [on.zero(); MAX_SCALARS];
        splats.iter_mut().zip(scalars).for_each(|(to, &scalar)| *to = on.splat(scalar));
        let mut starts = [std::ptr::null_mut(); MAX_OUTPUTS];
        for (to, output) in starts.iter_mut().zip(outputs) {
            assert!(output.len() >= lines * block_columns::<V::T>(), "lines of an output");
            *to = output.as_mut_ptr();
        }
        let rests = scalars[F::EPSILON] > V::T::default() && scalars.iter().all(|s| s.is_finite());
        Self {
            scalars: splats,
            rests,
            by_products: V::divider_is_slow(),
            outputs: starts,
            lines,
            of: PhantomData,
        }
    }

    /// Updates a part of a line, which begins at `at`, by sums: where there are products to be done as well, the divider has to do all roots,
    /// unless it is slow.
    ///
    /// # Safety
    /// There must be such a part.
    #[inline(always)]
    unsafe fn apply_to_part(&self, on: On<V>, at: usize, gradient: <V::Pair as Grid<V>>::Row) {
        // SAFETY: as the caller promises.
        unsafe {
            if self.by_products {
                self.apply_to_vectors::<true, true>(on, at, gradient);
            } else {
                self.apply_to_vectors::<false, false>(on, at, gradient);
            }
        }
    }

    /// Updates a part of a line, which begins at `at`, for a gradient of 0: there is nothing but the formula to be done, and so every other root
    /// is formed by products. (Zen 4, Adam: a tenth less time than with none.)
    ///
    /// # Safety
    /// There must be such a part.
    #[inline(always)]
    unsafe fn apply_to_resting(&self, on: On<V>, at: usize) {
        let none = V::Pair::filled_row(on.zero());
        // SAFETY: as the caller promises.
        unsafe {
            if self.by_products {
                self.apply_to_vectors::<true, true>(on, at, none);
            } else {
                self.apply_to_vectors::<true, false>(on, at, none);
            }
        }
    }

    /// Some of four roots are formed by products: the first and the third if `EVEN`, the second if `ODD`.
    ///
    /// With both, neither the products take as long as all the other work, nor the divider, which has the quotients to do as well.
    /// (Measured on Emerald Rapids in batches of 50: RMSprop takes 7 % less, and 5 % with all of the roots; Adam, which waits more for
    /// memory, 3 %.)
    ///
    /// Vector by vector: in a loop, which compilers unroll for some formulas and not for others, sums would be picked by numbers that
    /// change, and so not stay in registers.
    ///
    /// # Safety
    /// As for [`apply_to_part`](Self::apply_to_part).
    #[inline(always)]
    unsafe fn apply_to_vectors<const EVEN: bool, const ODD: bool>(
        &self,
        on: On<V>,
        at: usize,
        gradient: <V::Pair as Grid<V>>::Row,
    ) {
        const { assert!(V::Pair::COLS == 4 || V::Pair::COLS == 8, "vectors of a line") };
        // Copies, which no store to the outputs can change, as far as the compiler knows: they are loaded once, not for each vector.
        let with = (self.scalars, self.outputs);
        // SAFETY: as the caller promises.
        unsafe {
            apply::<V, F, EVEN>(on, with, at, gradient[0]);
            apply::<V, F, ODD>(on, with, at + V::LANES, gradient[1]);
            apply::<V, F, EVEN>(on, with, at + 2 * V::LANES, gradient[2]);
            apply::<V, F, false>(on, with, at + 3 * V::LANES, gradient[3]);
            if V::Pair::COLS == 8 {
                apply::<V, F, EVEN>(on, with, at + 4 * V::LANES, gradient[4]);
                apply::<V, F, ODD>(on, with, at + 5 * V::LANES, gradient[5]);
                apply::<V, F, EVEN>(on, with, at + 6 * V::LANES, gradient[6]);
                apply::<V, F, false>(on, with, at + 7 * V::LANES, gradient[7]);
            }
        }
    }

    /// Σ |x| over the first vectors of a part of a line, which begins at `at`, of some outputs: 0 in a lane if there is nothing but zeros, and
    /// NaN or ∞ if there is anything of that kind.
    ///
    /// # Safety
    /// So many numbers must follow.
    #[inline(always)]
    unsafe fn size(&self, on: On<V>, outputs: Range<usize>, at: usize, vectors: usize) -> V {
        let mut size = on.zero();
        for k in outputs {
            for s in (0..vectors * V::LANES).step_by(V::LANES) {
                // SAFETY: as the caller promises.
                size = size.add(unsafe { V::load(self.outputs[k].add(at + s)) }.abs());
            }
        }
        size
    }
}

/// Updates a vector of each output from `at` on, by the scalars and this gradient.
///
/// # Safety
/// There must be so many numbers in each output.
#[inline(always)]
unsafe fn apply<V: Vector, F: Formula, const BY_PRODUCTS: bool>(
    on: On<V>,
    (scalars, outputs): ([V; MAX_SCALARS], [*mut V::T; MAX_OUTPUTS]),
    at: usize,
    gradient: V,
) {
    // SAFETY: as the caller promises.
    unsafe {
        let mut old = [on.zero(); MAX_OUTPUTS];
        for k in 0..F::OUTPUTS {
            old[k] = V::load(outputs[k].add(at));
        }
        let new = F::apply(&mut Lanes::<V, BY_PRODUCTS>::new(), gradient, &scalars, &old);
        for k in 0..F::OUTPUTS {
            new[k].store(outputs[k].add(at));
        }
    }
}

// SAFETY: `new` has checked that each output has room for so many lines.
unsafe impl<V: Vector, F: Resting> Target<V, V::Pair> for Updated<'_, V, F> {
    /// Where the two lines are, from the wanted column on: how many elements after the beginning of each output.
    type Place = (usize, Option<usize>);

    const RESTS: bool = true;
    const LATE: bool = true;

    fn lines(&self) -> usize {
        self.lines
    }

    #[inline(always)]
    unsafe fn place(&mut self, [a, b]: [u32; 2], c: usize) -> Self::Place {
        let at = |line: u32| line as usize * block_columns::<V::T>() + c;
        (at(a), (b != NO_LINE).then(|| at(b)))
    }

    /// Zeros: one panel holds all rows, so that nothing was summed before it.
    #[inline(always)]
    unsafe fn load(&self, on: On<V>, _: Self::Place) -> V::Pair {
        V::Pair::filled(on.zero())
    }

    #[inline(always)]
    unsafe fn store(&mut self, on: On<V>, sums: V::Pair, to: Self::Place) {
        for line in [0, 1] {
            // SAFETY: as the caller promises.
            unsafe { self.store_line(on, line, sums, to) };
        }
    }

    #[inline(always)]
    unsafe fn store_line(&mut self, on: On<V>, line: usize, sums: V::Pair, (a, b): Self::Place) {
        let at = if line == 0 { Some(a) } else { b };
        if let Some(at) = at {
            // SAFETY: the caller promises that the lines of the outputs are there.
            unsafe { self.apply_to_part(on, at, sums[line]) };
        }
    }

    /// Where nothing moves the weights, they are not even read; and where nothing is remembered, as of a pixel that no image has lit so far,
    /// nothing is written.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "output k, in registers")]
    unsafe fn rest(&mut self, on: On<V>, (a, b): Self::Place) {
        let (part, none) = (V::Pair::COLS * V::LANES, on.zero());
        let (least, infinity) =
            (on.splat(V::T::epsilon() * V::T::min_positive_value()), on.splat(V::T::infinity()));
        // SAFETY: the caller promises that the lines are there.
        unsafe {
            for first in [Some(a), b].into_iter().flatten() {
                // Mostly something moves, and one vector tells.
                let still = F::MOVING == 0
                    || (self.size(on, 0..F::MOVING, first, 1).all_lt(least)
                        && self.size(on, 0..F::MOVING, first, V::Pair::COLS).all_lt(least));
                if !self.rests || !still {
                    self.apply_to_resting(on, first);
                    continue;
                }
                let remembered = self.size(on, F::MOVING..F::OUTPUTS - 1, first, V::Pair::COLS);
                if !remembered.all_lt(infinity) {
                    self.apply_to_resting(on, first);
                } else if !remembered.all_lt(least) {
                    for s in (0..part).step_by(V::LANES) {
                        let mut old = [none; MAX_OUTPUTS];
                        for k in F::MOVING..F::OUTPUTS - 1 {
                            old[k] = V::load(self.outputs[k].add(first + s));
                        }
                        // What it makes of the weights, and so all that takes long, is not asked for.
                        let new = F::apply(&mut Lanes::<V>::new(), none, &self.scalars, &old);
                        for k in F::MOVING..F::OUTPUTS - 1 {
                            new[k].store(self.outputs[k].add(first + s));
                        }
                    }
                }
            }
        }
    }
}
