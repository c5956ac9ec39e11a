//! AVX-512F: thirty-two registers of 512 bits.

use std::arch::x86_64::*;
use std::sync::LazyLock;

use super::vector::Vector;

/// Whether this is one of Intel's processors. On these, roots by products pay: the divider takes 11 cycles for sixteen roots and 9 for as many
/// quotients, in which two units do forty multiply-adds (measured on Emerald Rapids). And all of them start from the same
/// approximations, whose bits Intel publishes. Zen 4 has one such unit, so that there is nothing to gain beside other products.
static IS_INTEL: LazyLock<bool> = LazyLock::new(|| {
    let vendor = __cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
});

/// Sixteen `f32`.
#[derive(Debug, Clone, Copy)]
pub(super) struct F32x16(__m512);

/// Eight `f64`.
#[derive(Debug, Clone, Copy)]
pub(super) struct F64x8(__m512d);

impl Vector for F32x16 {
    type T = f32;
    // 28 accumulators, 2 vectors of B and 1 element of A: 31 of 32 registers.
    type Tile = [[Self; 2]; 14];
    type Strip = [[Self; 4]; 1];
    type Pair = [[Self; 4]; 2];
    type WidePair = [[Self; 8]; 2];
    const LANES: usize = 16;
    const MANY_REGISTERS: bool = true;

    super::vector::memory!(f32, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps);
    super::vector::masked!(f32, __mmask16, _mm512_mask_loadu_ps, _mm512_mask_storeu_ps);
    super::vector::lanewise! {
        add(other) = _mm512_add_ps;
        sub(other) = _mm512_sub_ps;
        mul(other) = _mm512_mul_ps;
        div(other) = _mm512_div_ps;
        max(other) = _mm512_max_ps;
        min(other) = _mm512_min_ps;
        mul_add(factor, addend) = _mm512_fmadd_ps;
        neg_mul_add(factor, addend) = _mm512_fnmadd_ps;
        sqrt() = _mm512_sqrt_ps;
        abs() = _mm512_abs_ps;
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller promises the instructions, sixteen rows of sixteen numbers, and as much room.
        unsafe {
            // Four rows at a time, in each quarter of the registers: columns 4q … 4q + 3 of rows r … r + 3.
            // (Loaded without `from_fn`, which is not compiled for these instructions and would call a function for each row.)
            let mut rows = [_mm512_setzero_ps(); 16];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(from.add(i * from_stride));
            }
            for r in (0..16).step_by(4) {
                let (a, b, c, d) = (rows[r], rows[r + 1], rows[r + 2], rows[r + 3]);
                let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                rows[r] = _mm512_shuffle_ps::<0x44>(ab_low, cd_low);
                rows[r + 1] = _mm512_shuffle_ps::<0xee>(ab_low, cd_low);
                rows[r + 2] = _mm512_shuffle_ps::<0x44>(ab_high, cd_high);
                rows[r + 3] = _mm512_shuffle_ps::<0xee>(ab_high, cd_high);
            }
            // Quarter q of rows[4s + c] is column 4q + c of rows 4s … 4s + 3: the quarters are transposed in their turn.
            for c in 0..4 {
                let (a, b, e, f) = (rows[c], rows[4 + c], rows[8 + c], rows[12 + c]);
                let (low, high) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(e, f));
                _mm512_storeu_ps(to.add(c * to_stride), _mm512_shuffle_f32x4::<0x88>(low, high));
                _mm512_storeu_ps(to.add((4 + c) * to_stride), _mm512_shuffle_f32x4::<0xdd>(low, high));
                let (low, high) = (_mm512_shuffle_f32x4::<0xee>(a, b), _mm512_shuffle_f32x4::<0xee>(e, f));
                _mm512_storeu_ps(to.add((8 + c) * to_stride), _mm512_shuffle_f32x4::<0x88>(low, high));
                _mm512_storeu_ps(to.add((12 + c) * to_stride), _mm512_shuffle_f32x4::<0xdd>(low, high));
            }
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe {
            let halves = _mm512_castps_pd(self.0);
            let (low, high) = (_mm512_castpd512_pd256(halves), _mm512_extractf64x4_pd::<1>(halves));
            sum_of_8(_mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high)))
        }
    }

    #[inline(always)]
    unsafe fn sums(vectors: &[Self; 16]) -> Self {
        let v = vectors;
        // SAFETY: the caller promises the instructions.
        unsafe {
            // Quarters first: what begins with halves, as `ymm` registers, must lie in the first sixteen without AVX-512VL.
            let (a, b) = (four(v[0].0, v[1].0, v[2].0, v[3].0), four(v[4].0, v[5].0, v[6].0, v[7].0));
            let (c, d) = (four(v[8].0, v[9].0, v[10].0, v[11].0), four(v[12].0, v[13].0, v[14].0, v[15].0));
            // As in `four`, with quarters in place of lanes.
            let (kept, moved) = (_mm512_mask_blend_ps(0xff00, a, c), _mm512_shuffle_f32x4::<0x4e>(a, c));
            let ac = _mm512_add_ps(kept, moved);
            let (kept, moved) = (_mm512_mask_blend_ps(0xff00, b, d), _mm512_shuffle_f32x4::<0x4e>(b, d));
            let bd = _mm512_add_ps(kept, moved);
            let (kept, others) = (_mm512_mask_blend_ps(0xf0f0, ac, bd), _mm512_mask_blend_ps(0xf0f0, bd, ac));
            Self(_mm512_add_ps(kept, _mm512_shuffle_f32x4::<0xb1>(others, others)))
        }
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions. (The bitwise operations on `ps` are AVX-512DQ.)
        Self(unsafe {
            let bit = _mm512_set1_epi32(i32::MIN);
            let (magnitude, sign) = (_mm512_castps_si512(self.0), _mm512_castps_si512(sign.0));
            _mm512_castsi512_ps(_mm512_or_si512(
                _mm512_andnot_si512(bit, magnitude),
                _mm512_and_si512(bit, sign),
            ))
        })
    }

    /// Two steps of Newton's method from 14 bits, the second with the remainder x − g², which is exact; g is then rounded as √x is. (That it
    /// is so was seen for every positive x there is: see the test `roots_by_products_are_roots`.)
    ///
    /// Roots below 2⁻⁵⁰, of numbers whose remainder may be subnormal, are left to the divider, and so is what comes out as NaN: roots of ∞ and of
    /// what has none. Not that of 0, which is frequent (units whose slope is 0 have no gradient): 1 / √x begins with no more than 2⁵⁰.
    #[inline(always)]
    fn sqrt_by_products(self) -> Self {
        const LEAST: f32 = 1.0 / (1u64 << 50) as f32;
        let x = self.0;
        // SAFETY: `self` exists, so the CPU has the instructions.
        let (root, rest) = unsafe {
            let half = _mm512_set1_ps(0.5);
            let y = _mm512_rsqrt14_ps(_mm512_max_ps(x, _mm512_set1_ps(LEAST * LEAST)));
            // √x and 1 / 2√x, each of them times 1 + e; and −e.
            let (g, h) = (_mm512_mul_ps(x, y), _mm512_mul_ps(half, y));
            let less = _mm512_fnmadd_ps(g, h, half);
            let (g, h) = (_mm512_fmadd_ps(g, less, g), _mm512_fmadd_ps(h, less, h));
            let root = _mm512_fmadd_ps(_mm512_fnmadd_ps(g, g, x), h, g);
            let mut rest = _mm512_cmp_ps_mask::<_CMP_NGE_UQ>(root, _mm512_set1_ps(LEAST));
            if rest != 0 {
                rest &= _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(x, _mm512_setzero_ps());
            }
            (root, rest)
        };
        if rest == 0 { Self(root) } else { self.sqrt() }
    }

    #[inline(always)]
    fn divider_is_slow() -> bool {
        *IS_INTEL
    }

    #[inline(always)]
    fn all_lt(self, other: Self) -> bool {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0) == u16::MAX }
    }

    #[inline(always)]
    fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0), no.0, yes.0) })
    }

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(self.0))) })
    }
}

/// Each quarter: the sums of that quarter of the four vectors.
///
/// To add each two lanes of two vectors, one of them keeps its lower and the other its upper ones, which takes no shuffle; those that move
/// change places in one. For shuffles there are fewer units than for anything else here.
///
/// # Safety
/// The CPU must have AVX-512F.
#[inline(always)]
unsafe fn four(a: __m512, b: __m512, c: __m512, d: __m512) -> __m512 {
    // SAFETY: the caller promises the instructions.
    unsafe {
        let (kept, moved) = (_mm512_mask_blend_ps(0xcccc, a, c), _mm512_shuffle_ps::<0x4e>(a, c));
        let ac = _mm512_add_ps(kept, moved);
        let (kept, moved) = (_mm512_mask_blend_ps(0xcccc, b, d), _mm512_shuffle_ps::<0x4e>(b, d));
        let bd = _mm512_add_ps(kept, moved);
        let (kept, others) = (_mm512_mask_blend_ps(0xaaaa, ac, bd), _mm512_mask_blend_ps(0xaaaa, bd, ac));
        _mm512_add_ps(kept, _mm512_permute_ps::<0xb1>(others))
    }
}

/// Σ of eight lanes, the upper half to the lower one each time.
///
/// # Safety
/// The CPU must have AVX.
#[inline(always)]
pub(super) unsafe fn sum_of_8(v: __m256) -> f32 {
    // SAFETY: the caller promises the instructions.
    unsafe {
        let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
    }
}

/// Σ of four lanes, likewise.
///
/// # Safety
/// The CPU must have AVX.
#[inline(always)]
pub(super) unsafe fn sum_of_4(v: __m256d) -> f64 {
    // SAFETY: the caller promises the instructions.
    unsafe {
        let v = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd::<1>(v));
        _mm_cvtsd_f64(_mm_add_sd(v, _mm_unpackhi_pd(v, v)))
    }
}

impl Vector for F64x8 {
    type T = f64;
    type Tile = [[Self; 2]; 14];
    type Strip = [[Self; 4]; 1];
    type Pair = [[Self; 4]; 2];
    type WidePair = [[Self; 8]; 2];
    const LANES: usize = 8;
    const MANY_REGISTERS: bool = true;

    super::vector::memory!(f64, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd);
    super::vector::masked!(f64, __mmask8, _mm512_mask_loadu_pd, _mm512_mask_storeu_pd);
    super::vector::lanewise! {
        add(other) = _mm512_add_pd;
        sub(other) = _mm512_sub_pd;
        mul(other) = _mm512_mul_pd;
        div(other) = _mm512_div_pd;
        max(other) = _mm512_max_pd;
        min(other) = _mm512_min_pd;
        mul_add(factor, addend) = _mm512_fmadd_pd;
        neg_mul_add(factor, addend) = _mm512_fnmadd_pd;
        sqrt() = _mm512_sqrt_pd;
        abs() = _mm512_abs_pd;
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f64, from_stride: usize, to: *mut f64, to_stride: usize) {
        // SAFETY: the caller promises the instructions, eight rows of eight numbers, and as much room.
        unsafe {
            // Quarter q of pairs[odd][p] is column 2q + odd of rows 2p and 2p + 1: the quarters are transposed in their turn.
            let mut pairs = [[_mm512_setzero_pd(); 4]; 2];
            let [even, odd] = &mut pairs;
            for (p, (even, odd)) in even.iter_mut().zip(odd).enumerate() {
                let a = _mm512_loadu_pd(from.add(2 * p * from_stride));
                let b = _mm512_loadu_pd(from.add((2 * p + 1) * from_stride));
                (*even, *odd) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
            }
            for (odd, [a, b, c, d]) in pairs.into_iter().enumerate() {
                let (low, high) = (_mm512_shuffle_f64x2::<0x44>(a, b), _mm512_shuffle_f64x2::<0x44>(c, d));
                _mm512_storeu_pd(to.add(odd * to_stride), _mm512_shuffle_f64x2::<0x88>(low, high));
                _mm512_storeu_pd(to.add((2 + odd) * to_stride), _mm512_shuffle_f64x2::<0xdd>(low, high));
                let (low, high) = (_mm512_shuffle_f64x2::<0xee>(a, b), _mm512_shuffle_f64x2::<0xee>(c, d));
                _mm512_storeu_pd(to.add((4 + odd) * to_stride), _mm512_shuffle_f64x2::<0x88>(low, high));
                _mm512_storeu_pd(to.add((6 + odd) * to_stride), _mm512_shuffle_f64x2::<0xdd>(low, high));
            }
        }
    }

    #[inline(always)]
    fn sum(self) -> f64 {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe {
            let (low, high) = (_mm512_castpd512_pd256(self.0), _mm512_extractf64x4_pd::<1>(self.0));
            sum_of_4(_mm256_add_pd(low, high))
        }
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions. (The bitwise operations on `pd` are AVX-512DQ.)
        Self(unsafe {
            let bit = _mm512_set1_epi64(i64::MIN);
            let (magnitude, sign) = (_mm512_castpd_si512(self.0), _mm512_castpd_si512(sign.0));
            _mm512_castsi512_pd(_mm512_or_si512(
                _mm512_andnot_si512(bit, magnitude),
                _mm512_and_si512(bit, sign),
            ))
        })
    }

    #[inline(always)]
    fn all_lt(self, other: Self) -> bool {
        // SAFETY: `self` exists, so the CPU has the instructions.
        unsafe { _mm512_cmp_pd_mask::<_CMP_LT_OQ>(self.0, other.0) == u8::MAX }
    }

    #[inline(always)]
    fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LT_OQ>(self.0, other.0), no.0, yes.0) })
    }

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        // SAFETY: `self` exists, so the CPU has the instructions.
        Self(unsafe { _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_castpd_si512(self.0))) })
    }
}
