//! The proof that the CPU has a vector's instructions, and what is done with vectors by means of it.

use std::marker::PhantomData;

use num_traits::{One, Zero};

use super::vector::{MAX_LANES, Vector};

/// The proof that this CPU has the instructions of `V`, and thereby the safe way to make vectors.
#[derive(Debug)]
pub(super) struct On<V>(PhantomData<V>);

impl<V> Clone for On<V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for On<V> {}

impl<V: Vector> On<V> {
    /// # Safety
    /// The CPU must have the instructions of `V`.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(PhantomData)
    }

    /// `x` in every lane.
    #[inline(always)]
    pub(super) fn splat(self, x: V::T) -> V {
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { V::splat(x) }
    }

    /// 0 in every lane.
    #[inline(always)]
    pub(super) fn zero(self) -> V {
        self.splat(V::T::zero())
    }

    /// 1 in every lane.
    #[inline(always)]
    pub(super) fn one(self) -> V {
        self.splat(V::T::one())
    }

    /// The first `LANES` numbers of a slice that is at least so long.
    #[inline(always)]
    pub(super) fn load(self, x: &[V::T]) -> V {
        assert!(x.len() >= V::LANES, "a vector from {} numbers", x.len());
        // SAFETY: `self` proves that the CPU has the instructions; the slice was just measured.
        unsafe { V::load(x.as_ptr()) }
    }

    /// Writes the first `LANES` numbers of a slice that is at least so long.
    #[inline(always)]
    pub(super) fn store(self, v: V, x: &mut [V::T]) {
        assert!(x.len() >= V::LANES, "a vector into {} numbers", x.len());
        // SAFETY: the slice was just measured.
        unsafe { v.store(x.as_mut_ptr()) }
    }

    /// A slice of at most `LANES` numbers, and `fill` in the lanes beyond it.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn load_part(self, x: &[V::T], fill: V::T) -> V {
        if x.len() >= V::LANES {
            return self.load(x);
        }
        // SAFETY: `self` proves that the CPU has the instructions; the slice was just measured.
        unsafe { V::load_first(x.as_ptr(), x.len(), self.splat(fill)) }
    }

    /// Writes as many lanes as the slice is long, at most `LANES`.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn store_part(self, v: V, x: &mut [V::T]) {
        if x.len() >= V::LANES {
            return self.store(v, x);
        }
        // SAFETY: the slice was just measured.
        unsafe { v.store_first(x.as_mut_ptr(), x.len()) }
    }

    /// to ← fromᵀ for `LANES` rows of as many numbers; rows of either begin a stride apart.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn transpose(self, from: &[V::T], from_stride: usize, to: &mut [V::T], to_stride: usize) {
        let end = |stride: usize| (V::LANES - 1) * stride + V::LANES;
        assert!(end(from_stride) <= from.len() && end(to_stride) <= to.len(), "rows to transpose");
        // SAFETY: `self` proves that the CPU has the instructions; the slices were just measured.
        unsafe { V::transpose(from.as_ptr(), from_stride, to.as_mut_ptr(), to_stride) }
    }

    /// Lane i: Σ of the lanes of vector i, of the first `LANES` vectors.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn sums(self, vectors: &[V; MAX_LANES]) -> V {
        // SAFETY: `self` proves that the CPU has the instructions.
        unsafe { V::sums(vectors) }
    }

    /// The lanes as an array, of which the first `LANES` count.
    #[inline(always)]
    pub(super) fn lanes(self, v: V) -> [V::T; MAX_LANES] {
        let mut lanes = [V::T::zero(); MAX_LANES];
        self.store(v, &mut lanes);
        lanes
    }
}
