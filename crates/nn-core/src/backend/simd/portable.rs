//! Vectors in plain Rust: an array of lanes. The compiler makes of it what the target has by default.
//!
//! The shape of the register tile is a parameter, so that tests can run the tiles of instruction sets that their
//! machine lacks.

use super::vector::{Element, Vector};

/// `L` lanes of `T`; gemm's register tile is `M` rows of `N` of them, the sparse kernels hold `S`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes<T, const L: usize, const M: usize, const N: usize, const S: usize>([T; L]);

impl<T: Copy, const L: usize, const M: usize, const N: usize, const S: usize> Lanes<T, L, M, N, S> {
    // Not inlined into tests: they run the tiles of wider instruction sets, whose hundreds of lanes take minutes to
    // compile in one piece.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    fn zip(mut self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = f(*a, b);
        }
        self
    }

    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    fn map(self, f: impl Fn(T) -> T) -> Self {
        Self(self.0.map(f))
    }
}

impl<T: Element, const L: usize, const M: usize, const N: usize, const S: usize> Vector
    for Lanes<T, L, M, N, S>
{
    type T = T;
    type Tile = [[Self; N]; M];
    type Strip = [[Self; S]; 1];
    type Pair = [[Self; 4]; 2];
    type WidePair = [[Self; 8]; 2];
    const LANES: usize = L;
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Self([x; L])
    }

    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller promises L readable numbers.
        Self(unsafe { p.cast::<[T; L]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller promises room for L numbers.
        unsafe { p.cast::<[T; L]>().write(self.0) }
    }

    // All is read before anything is written, or a compiler would have to do it number by number.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    #[expect(clippy::needless_range_loop, reason = "column j of each row")]
    unsafe fn transpose(from: *const T, from_stride: usize, to: *mut T, to_stride: usize) {
        // SAFETY: the caller promises L readable rows of L numbers, and as much room.
        unsafe {
            let rows: [[T; L]; L] =
                std::array::from_fn(|i| from.add(i * from_stride).cast::<[T; L]>().read());
            for j in 0..L {
                let column: [T; L] = std::array::from_fn(|i| rows[i][j]);
                to.add(j * to_stride).cast::<[T; L]>().write(column);
            }
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    // Two roundings: a fused one is a call into the C library where the instruction may be missing.
    // In tests one call, not two: the sums of products are half of what they take.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    fn mul_add(mut self, factor: Self, addend: Self) -> Self {
        for ((a, factor), addend) in self.0.iter_mut().zip(factor.0).zip(addend.0) {
            *a = *a * factor + addend;
        }
        self
    }

    // Likewise.
    #[inline(always)]
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
        addend.sub(self.mul(factor))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(|a| a.sqrt())
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.map(|a| a.abs())
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        self.zip(sign, |a, s| a.copysign(s))
    }

    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        let mut out = no;
        for (i, out) in out.0.iter_mut().enumerate() {
            if self.0[i] < other.0[i] {
                *out = yes.0[i];
            }
        }
        out
    }

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        self.map(T::shift_into_exponent)
    }
}
