//! AVX2 and FMA: sixteen registers of 256 bits.

use std::arch::x86_64::*;

use super::vector::Vector;

/// Eight `f32`.
#[derive(Debug, Clone, Copy)]
pub(super) struct F32x8(__m256);

/// Four `f64`.
#[derive(Debug, Clone, Copy)]
pub(super) struct F64x4(__m256d);

impl Vector for F32x8 {
    type T = f32;
    // 12 accumulators, 2 vectors of B and 1 element of A: 15 of 16 registers.
    type Tile = [[Self; 2]; 6];
    type Strip = [[Self; 8]; 1];
    type Pair = [[Self; 4]; 2];
    type WidePair = [[Self; 4]; 2];
    const LANES: usize = 8;
    const MANY_REGISTERS: bool = false;

    super::vector::memory!(f32, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps);
    super::vector::lanewise! {
        add(other) = _mm256_add_ps;
        sub(other) = _mm256_sub_ps;
        mul(other) = _mm256_mul_ps;
        div(other) = _mm256_div_ps;
        max(other) = _mm256_max_ps;
        min(other) = _mm256_min_ps;
        mul_add(factor, addend) = _mm256_fmadd_ps;
        neg_mul_add(factor, addend) = _mm256_fnmadd_ps;
        sqrt() = _mm256_sqrt_ps;
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller promises the instructions, eight rows of eight numbers, and as much room.
        unsafe {
            // Four rows at a time, in each half of the registers: columns 4h … 4h + 3 of rows r … r + 3.
            let mut rows = [_mm256_setzero_ps(); 8];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm256_loadu_ps(from.add(i * from_stride));
            }
            for r in [0, 4] {
                let (a, b, c, d) = (rows[r], rows[r + 1], rows[r + 2], rows[r + 3]);
                let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                rows[r] = _mm256_shuffle_ps::<0x44>(ab_low, cd_low);
                rows[r + 1] = _mm256_shuffle_ps::<0xee>(ab_low, cd_low);
                rows[r + 2] = _mm256_shuffle_ps::<0x44>(ab_high, cd_high);
                rows[r + 3] = _mm256_shuffle_ps::<0xee>(ab_high, cd_high);
            }
            for c in 0..4 {
                let (above, below) = (rows[c], rows[4 + c]);
                _mm256_storeu_ps(to.add(c * to_stride), _mm256_permute2f128_ps::<0x20>(above, below));
                _mm256_storeu_ps(to.add((4 + c) * to_stride), _mm256_permute2f128_ps::<0x31>(above, below));
            }
        }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0) })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { super::avx512::sum_of_8(self.0) }
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe {
            let bit = _mm256_set1_ps(-0.0);
            _mm256_or_ps(_mm256_andnot_ps(bit, self.0), _mm256_and_ps(bit, sign.0))
        })
    }

    #[inline(always)]
    fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0)) })
    }

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(self.0))) })
    }
}

impl Vector for F64x4 {
    type T = f64;
    type Tile = [[Self; 2]; 6];
    type Strip = [[Self; 8]; 1];
    type Pair = [[Self; 4]; 2];
    type WidePair = [[Self; 4]; 2];
    const LANES: usize = 4;
    const MANY_REGISTERS: bool = false;

    super::vector::memory!(f64, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd);
    super::vector::lanewise! {
        add(other) = _mm256_add_pd;
        sub(other) = _mm256_sub_pd;
        mul(other) = _mm256_mul_pd;
        div(other) = _mm256_div_pd;
        max(other) = _mm256_max_pd;
        min(other) = _mm256_min_pd;
        mul_add(factor, addend) = _mm256_fmadd_pd;
        neg_mul_add(factor, addend) = _mm256_fnmadd_pd;
        sqrt() = _mm256_sqrt_pd;
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f64, from_stride: usize, to: *mut f64, to_stride: usize) {
        // SAFETY: the caller promises the instructions, four rows of four numbers, and as much room.
        unsafe {
            let (a, b) = (_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(from_stride)));
            let (c, d) =
                (_mm256_loadu_pd(from.add(2 * from_stride)), _mm256_loadu_pd(from.add(3 * from_stride)));
            // Half h of the first of each pair is column 2h, of the second column 2h + 1.
            let above = [_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)];
            let below = [_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d)];
            for c in 0..2 {
                let (above, below) = (above[c], below[c]);
                _mm256_storeu_pd(to.add(c * to_stride), _mm256_permute2f128_pd::<0x20>(above, below));
                _mm256_storeu_pd(to.add((2 + c) * to_stride), _mm256_permute2f128_pd::<0x31>(above, below));
            }
        }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm256_andnot_pd(_mm256_set1_pd(-0.0), self.0) })
    }

    #[inline(always)]
    fn sum(self) -> f64 {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { super::avx512::sum_of_4(self.0) }
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe {
            let bit = _mm256_set1_pd(-0.0);
            _mm256_or_pd(_mm256_andnot_pd(bit, self.0), _mm256_and_pd(bit, sign.0))
        })
    }

    #[inline(always)]
    fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm256_blendv_pd(no.0, yes.0, _mm256_cmp_pd::<_CMP_LT_OQ>(self.0, other.0)) })
    }

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(self.0))) })
    }
}
