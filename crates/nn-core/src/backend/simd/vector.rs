//! What the algorithms of this folder are written over: a vector of numbers, and what computes with such.

use std::ops::{Deref, DerefMut, IndexMut};

use num_traits::{Float as _, One as _, Zero as _};

use super::math::Constants;
pub(super) use super::on::On;
use crate::Scalar;

/// Lanes of the widest vector there is (AVX-512 with `f32`).
pub(super) const MAX_LANES: usize = 16;

/// Room for as many vectors as any of them has lanes, none of them in two cache lines.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Square<T>([T; MAX_LANES * MAX_LANES]);

impl<T: Element> Square<T> {
    /// Zeros.
    #[inline(always)]
    pub(super) fn zeroed() -> Self {
        Self([T::zero(); MAX_LANES * MAX_LANES])
    }
}

impl<T> Deref for Square<T> {
    type Target = [T; MAX_LANES * MAX_LANES];

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for Square<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// `splat`, `load` and `store` of a [`Vector`] by one instruction each.
macro_rules! memory {
    ($t:ty, $splat:ident, $load:ident, $store:ident) => {
        #[inline(always)]
        unsafe fn splat(x: $t) -> Self {
            // SAFETY: the caller promises the instructions.
            Self(unsafe { $splat(x) })
        }

        #[inline(always)]
        unsafe fn load(p: *const $t) -> Self {
            // SAFETY: the caller promises the instructions and that many readable numbers.
            Self(unsafe { $load(p) })
        }

        #[inline(always)]
        unsafe fn store(self, p: *mut $t) {
            // SAFETY: `self` exists, so the CPU has the instructions; the caller promises the room.
            unsafe { $store(p, self.0) }
        }
    };
}

/// `load_first` and `store_first` by masks of AVX-512.
#[cfg(target_arch = "x86_64")]
macro_rules! masked {
    ($t:ty, $mask:ty, $load:ident, $store:ident) => {
        #[inline(always)]
        unsafe fn load_first(p: *const $t, len: usize, fill: Self) -> Self {
            debug_assert!(len <= Self::LANES);
            // SAFETY: lanes that the mask leaves out are not read; the caller promises the others, and the instructions.
            Self(unsafe { $load(fill.0, ((1u32 << len) - 1) as $mask, p) })
        }

        #[inline(always)]
        unsafe fn store_first(self, p: *mut $t, len: usize) {
            debug_assert!(len <= Self::LANES);
            // SAFETY: lanes that the mask leaves out are not written; the caller promises the others.
            unsafe { $store(p, ((1u32 << len) - 1) as $mask, self.0) }
        }
    };
}

/// Methods of a [`Vector`] by one instruction each, whose operands are in the same order.
macro_rules! lanewise {
    ($($name:ident($($operand:ident),*) = $instruction:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, $($operand: Self),*) -> Self {
            // SAFETY: `self` exists, so the CPU has the instructions.
            Self(unsafe { $instruction(self.0, $($operand.0),*) })
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
pub(super) use masked;
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(unused_imports))]
pub(super) use {lanewise, memory};

/// A register full of numbers.
///
/// A value of such a type exists only where its instructions do, because the ways to make one (`splat`, `load`) are
/// unsafe and demand it. That is why the arithmetic is safe: to hold an operand is to have the proof.
pub(super) trait Vector: Copy + Send + Sync + 'static {
    /// The type of one lane.
    type T: Element;

    /// The accumulators of gemm's register tile, rows by vectors: as many as the registers hold beside the operands.
    type Tile: Grid<Self>;

    /// The accumulators of [`strip`] neighbouring columns of one row, which the sparse kernels keep in registers.
    type Strip: Grid<Self>;

    /// The accumulators of two rows at once, a strip or half a one of each, for the pairs of sparse rows.
    type Pair: Grid<Self>;

    /// The same over two blocks of columns, where there are registers for it; else over fewer.
    type WidePair: Grid<Self>;

    /// Numbers in a vector; at most [`MAX_LANES`].
    const LANES: usize;

    /// Whether there are 32 registers, not 16.
    const MANY_REGISTERS: bool;

    /// `x` in every lane.
    ///
    /// # Safety
    /// The CPU must have this vector's instructions.
    unsafe fn splat(x: Self::T) -> Self;

    /// The numbers from `p` on; no alignment is asked for.
    ///
    /// # Safety
    /// The CPU must have this vector's instructions, and `LANES` numbers must be readable at `p`.
    unsafe fn load(p: *const Self::T) -> Self;

    /// Writes the lanes from `p` on; no alignment is asked for.
    ///
    /// # Safety
    /// `LANES` numbers must be writable at `p`.
    unsafe fn store(self, p: *mut Self::T);

    /// The first `len` numbers from `p` on, and those of `fill` in the other lanes.
    ///
    /// # Safety
    /// The CPU must have this vector's instructions, and `len` numbers must be readable at `p`, at most `LANES`.
    #[inline(always)]
    unsafe fn load_first(p: *const Self::T, len: usize, fill: Self) -> Self {
        let mut lanes = [Self::T::default(); MAX_LANES];
        // SAFETY: `fill` exists, so the CPU has the instructions; there is room for the lanes, and the caller promises the rest.
        unsafe {
            fill.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), len);
            Self::load(lanes.as_ptr())
        }
    }

    /// Writes the first `len` lanes from `p` on.
    ///
    /// # Safety
    /// `len` numbers must be writable at `p`, at most `LANES`.
    #[inline(always)]
    unsafe fn store_first(self, p: *mut Self::T, len: usize) {
        let mut lanes = [Self::T::default(); MAX_LANES];
        // SAFETY: there is room for the lanes; the caller promises the rest.
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, len);
        }
    }

    /// Writes the first `LANES` numbers of as many rows, which begin `from_stride` apart, as columns: rows of `to`, `to_stride` apart.
    ///
    /// # Safety
    /// The CPU must have this vector's instructions; the rows must be readable, and the rows of `to` writable.
    unsafe fn transpose(from: *const Self::T, from_stride: usize, to: *mut Self::T, to_stride: usize);

    /// Σ of the lanes: the upper half is added to the lower one, and so on, always in this order.
    #[inline(always)]
    fn sum(self) -> Self::T {
        let mut lanes = [Self::T::default(); MAX_LANES];
        // SAFETY: there is room for the lanes.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut width = Self::LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0]
    }

    /// Lane i: Σ of the lanes of vector i, of the first `LANES` vectors.
    ///
    /// # Safety
    /// The CPU must have this vector's instructions.
    #[inline(always)]
    unsafe fn sums(vectors: &[Self; MAX_LANES]) -> Self {
        let mut sums = [Self::T::default(); MAX_LANES];
        sums.iter_mut().zip(vectors).take(Self::LANES).for_each(|(sum, v)| *sum = v.sum());
        // SAFETY: the caller promises the instructions; there is room for the lanes.
        unsafe { Self::load(sums.as_ptr()) }
    }

    /// self + other
    fn add(self, other: Self) -> Self;
    /// self − other
    fn sub(self, other: Self) -> Self;
    /// self · other
    fn mul(self, other: Self) -> Self;
    /// self / other
    fn div(self, other: Self) -> Self;
    /// self · factor + addend, rounded once where the CPU can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// addend − self · factor, rounded once where the CPU can.
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger one; `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller one; `other` where either is NaN.
    fn min(self, other: Self) -> Self;
    /// √self
    fn sqrt(self) -> Self;
    /// √self, to the same bits, by multiply-adds: for kernels that wait for the CPU's divider while other units have time left.
    #[inline(always)]
    fn sqrt_by_products(self) -> Self {
        self.sqrt()
    }
    /// Whether some roots by products, beside others by the divider, take less time than all of them by the divider.
    #[inline(always)]
    fn divider_is_slow() -> bool {
        false
    }
    /// |self|
    fn abs(self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// `yes` in the lanes where self < other, elsewhere (NaN too) `no`.
    fn select_lt(self, other: Self, yes: Self, no: Self) -> Self;
    /// Whether self < other in every lane: not where either is NaN.
    #[inline(always)]
    fn all_lt(self, other: Self) -> bool {
        // SAFETY: `self` exists, so the CPU has the instructions.
        let (zero, one) = unsafe { (Self::splat(Self::T::zero()), Self::splat(Self::T::one())) };
        self.select_lt(other, zero, one).sum() == Self::T::zero()
    }
    /// self, but what is near 0 is rounded to a multiple of eight times the least normal number: nothing is left that is subnormal, or becomes
    /// so if it is halved three times. From 2⁻⁷⁴ on (f64: 2⁻⁹¹²) nothing changes, and below it one such multiple or the last bit.
    ///
    /// By two additions, which leave the units alone that multiply and divide: c is so large that its last bit stands for such a multiple.
    /// (Comparing and clearing take these units, and 2 % of a step of Adam on Zen 4.)
    #[inline(always)]
    fn without_subnormals(self) -> Self {
        let c = Self::T::of(12.0) * (Self::T::min_positive_value() / Self::T::epsilon());
        // SAFETY: `self` exists, so the CPU has the instructions.
        let c = unsafe { Self::splat(c) };
        self.add(c).sub(c)
    }
    /// The bits of each lane, shifted up by the width of the mantissa: what was its low end becomes the exponent.
    fn shift_into_exponent(self) -> Self;
}

/// Columns that the sparse kernels take at a time. On AVX2, AVX-512 and NEON that is 256 bytes, four whole cache lines:
/// as wide as the sixteen registers of AVX2 allow.
pub(super) fn strip<V: Vector>() -> usize {
    V::Strip::COLS * V::LANES
}

/// The numbers that vector `c` of some is made of: as many as it has lanes, or what is left of them.
///
/// To go over vectors in registers by their numbers, which the compiler knows, and over chunks of a slice beside them, whose number it does
/// not know, keeps the vectors in memory, too, where each is written whenever it changes.
#[inline(always)]
pub(super) fn part<V: Vector>(numbers: &[V::T], c: usize) -> &[V::T] {
    &numbers[c * V::LANES..numbers.len().min((c + 1) * V::LANES)]
}

/// The same to be written.
#[inline(always)]
pub(super) fn part_mut<V: Vector>(numbers: &mut [V::T], c: usize) -> &mut [V::T] {
    let end = numbers.len().min((c + 1) * V::LANES);
    &mut numbers[c * V::LANES..end]
}

/// A two-dimensional array of vectors: `[[V; COLS]; ROWS]`, as a type that a [`Vector`] can name.
pub(super) trait Grid<V>: Copy + IndexMut<usize, Output = Self::Row> {
    /// One row of it.
    type Row: Copy + IndexMut<usize, Output = V>;
    /// Number of rows.
    const ROWS: usize;
    /// Vectors in a row.
    const COLS: usize;
    /// `v` everywhere.
    fn filled(v: V) -> Self;
    /// `v` in every place of a row.
    fn filled_row(v: V) -> Self::Row;
}

impl<V: Copy, const M: usize, const N: usize> Grid<V> for [[V; N]; M] {
    type Row = [V; N];
    const ROWS: usize = M;
    const COLS: usize = N;

    #[inline(always)]
    fn filled(v: V) -> Self {
        [[v; N]; M]
    }

    #[inline(always)]
    fn filled_row(v: V) -> [V; N] {
        [v; N]
    }
}

/// Bytes of a cache line, on all CPUs that have vectors here.
pub(super) const LINE: usize = 64;

/// Asks for the cache lines of some neighbouring numbers, which will be needed soon: into the L2 cache, so that they drive
/// nothing out of the L1 cache before.
#[inline(always)]
pub(super) fn ask_for<T>(numbers: &[T]) {
    for line in numbers.chunks((LINE / size_of::<T>()).max(1)) {
        ask_for_line_in_l2(line.as_ptr());
    }
}

/// Asks for the cache line at `p`, which need not exist, into the L2 cache.
#[inline(always)]
pub(super) fn ask_for_line_in_l2<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: SSE, which every x86-64 CPU has; a hint, which reads nothing and may be given any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Asks for the cache line at `p`, which need not exist, into the L1 cache.
#[inline(always)]
pub(super) fn ask_for_line<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE, which every x86-64 CPU has; a hint, which reads nothing and may be given any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// An element type, with its vector on each instruction set.
pub(super) trait Element: Scalar + Constants {
    /// In plain Rust, for any CPU.
    type Portable: Vector<T = Self>;
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<T = Self>;
    /// AVX-512F.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<T = Self>;
    /// Advanced SIMD.
    #[cfg(target_arch = "aarch64")]
    type Neon: Vector<T = Self>;
}

impl Element for f32 {
    type Portable = super::portable::Lanes<f32, 4, 4, 2, 8>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = super::avx2::F32x8;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = super::avx512::F32x16;
    #[cfg(target_arch = "aarch64")]
    type Neon = super::neon::F32x4;
}

impl Element for f64 {
    type Portable = super::portable::Lanes<f64, 2, 4, 2, 8>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = super::avx2::F64x4;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = super::avx512::F64x8;
    #[cfg(target_arch = "aarch64")]
    type Neon = super::neon::F64x2;
}

/// What runs kernels: an instruction set, or in tests any vector.
pub(super) trait Runner<T> {
    /// Runs a kernel.
    fn run<K: Kernel<T>>(&self, kernel: K) -> K::Output;
}

/// A computation that is written once, for every vector. `run` and all that it calls with vectors in hand must be
/// `#[inline(always)]`, so that it is compiled inside the shell that has the instructions switched on.
///
/// Tests instantiate every kernel for a dozen vectors. What many kernels share, or each calls in many places (a function of a
/// vector, the ends of rows), is a function of its own there (`inline(never)`): it gives the same numbers, and half of what
/// the tests' compilation took was the same code over and over. Its instructions are calls then, which no test minds.
pub(super) trait Kernel<T> {
    /// What comes out of it.
    type Output;

    /// Carries it out.
    fn run<V: Vector<T = T>>(self, on: On<V>) -> Self::Output;
}
