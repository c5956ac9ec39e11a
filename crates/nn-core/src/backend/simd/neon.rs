//! NEON (Advanced SIMD of AArch64): thirty-two registers of 128 bits.

use std::arch::aarch64::*;

use super::vector::Vector;

/// Four `f32`.
#[derive(Debug, Clone, Copy)]
pub(super) struct F32x4(float32x4_t);

/// Two `f64`.
#[derive(Debug, Clone, Copy)]
pub(super) struct F64x2(float64x2_t);

impl Vector for F32x4 {
    type T = f32;
    // 24 accumulators, 3 vectors of B and up to 5 elements of A: 32 registers.
    type Tile = [[Self; 3]; 8];
    type Strip = [[Self; 16]; 1];
    type Pair = [[Self; 8]; 2];
    type WidePair = [[Self; 8]; 2];
    const LANES: usize = 4;
    const MANY_REGISTERS: bool = true;

    super::vector::memory!(f32, vdupq_n_f32, vld1q_f32, vst1q_f32);
    super::vector::lanewise! {
        add(other) = vaddq_f32;
        sub(other) = vsubq_f32;
        mul(other) = vmulq_f32;
        div(other) = vdivq_f32;
        sqrt() = vsqrtq_f32;
        abs() = vabsq_f32;
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller promises the instructions, four rows of four numbers, and as much room.
        unsafe {
            let (a, b) = (vld1q_f32(from), vld1q_f32(from.add(from_stride)));
            let (c, d) = (vld1q_f32(from.add(2 * from_stride)), vld1q_f32(from.add(3 * from_stride)));
            // Half h of the first of each pair is column 2h, of the second column 2h + 1.
            let above = [vtrn1q_f32(a, b), vtrn2q_f32(a, b)];
            let below = [vtrn1q_f32(c, d), vtrn2q_f32(c, d)];
            for c in 0..2 {
                let (above, below) = (vreinterpretq_f64_f32(above[c]), vreinterpretq_f64_f32(below[c]));
                let (left, right) = (vtrn1q_f64(above, below), vtrn2q_f64(above, below));
                vst1q_f32(to.add(c * to_stride), vreinterpretq_f32_f64(left));
                vst1q_f32(to.add((2 + c) * to_stride), vreinterpretq_f32_f64(right));
            }
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions. (The addend comes first here.)
        Self(unsafe { vfmaq_f32(addend.0, self.0, factor.0) })
    }

    #[inline(always)]
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions. (The addend comes first here.)
        Self(unsafe { vfmsq_f32(addend.0, self.0, factor.0) })
    }

    // NEON's own maximum is NaN where either is, which is not what the trait asks for.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        other.select_lt(self, self, other)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.select_lt(other, self, other)
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { vbslq_f32(vdupq_n_u32(1 << 31), sign.0, self.0) })
    }

    #[inline(always)]
    fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { vbslq_f32(vcltq_f32(self.0, other.0), yes.0, no.0) })
    }

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(self.0))) })
    }
}

impl Vector for F64x2 {
    type T = f64;
    type Tile = [[Self; 3]; 8];
    type Strip = [[Self; 16]; 1];
    type Pair = [[Self; 8]; 2];
    type WidePair = [[Self; 8]; 2];
    const LANES: usize = 2;
    const MANY_REGISTERS: bool = true;

    super::vector::memory!(f64, vdupq_n_f64, vld1q_f64, vst1q_f64);
    super::vector::lanewise! {
        add(other) = vaddq_f64;
        sub(other) = vsubq_f64;
        mul(other) = vmulq_f64;
        div(other) = vdivq_f64;
        sqrt() = vsqrtq_f64;
        abs() = vabsq_f64;
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f64, from_stride: usize, to: *mut f64, to_stride: usize) {
        // SAFETY: the caller promises the instructions, two rows of two numbers, and as much room.
        unsafe {
            let (a, b) = (vld1q_f64(from), vld1q_f64(from.add(from_stride)));
            vst1q_f64(to, vtrn1q_f64(a, b));
            vst1q_f64(to.add(to_stride), vtrn2q_f64(a, b));
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions. (The addend comes first here.)
        Self(unsafe { vfmaq_f64(addend.0, self.0, factor.0) })
    }

    #[inline(always)]
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions. (The addend comes first here.)
        Self(unsafe { vfmsq_f64(addend.0, self.0, factor.0) })
    }

    // NEON's own maximum is NaN where either is, which is not what the trait asks for.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        other.select_lt(self, self, other)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.select_lt(other, self, other)
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { vbslq_f64(vdupq_n_u64(1 << 63), sign.0, self.0) })
    }

    #[inline(always)]
    fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { vbslq_f64(vcltq_f64(self.0, other.0), yes.0, no.0) })
    }

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { vreinterpretq_f64_u64(vshlq_n_u64::<52>(vreinterpretq_u64_f64(self.0))) })
    }
}
