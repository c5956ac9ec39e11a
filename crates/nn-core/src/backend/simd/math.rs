//! eˣ, tanh and the logistic function of a whole vector, and some of ln x.
//!
//! The first three stand on e^r − 1 for |r| ≤ ln 2 / 2, by Taylor's series, after x = n ln 2 + r. Measured over the whole
//! range, the error is at most 2 units in the last place for eˣ and 3 for the others; the tests hold them to that. The exception
//! is tanh of `f32`, which a step needs once for each hidden unit of each row: a quotient of polynomials takes two thirds of
//! the time, and errs by up to 6 units, 4 · 10⁻⁷ of the result.

use super::vector::{On, Vector};
use crate::Scalar;
use crate::ops::{Activation, Binary};

/// What the functions need to know about the format of an element type.
pub(super) trait Constants: Scalar {
    /// The highest power in the series for e^r: the first one left out is below 1/20 unit in the last place of r.
    const DEGREE: usize;
    /// Terms in the series for the logarithm after the first: the next one is below 1/20 unit in the last place of the sum.
    const LN_TERMS: usize;
    /// 1.5 · 2^mantissa: adding and subtracting it rounds a number of moderate size to an integer.
    const ROUND: Self;
    /// [`ROUND`](Self::ROUND) plus the bias of the exponent: the sum with an integer n has n + bias in its low bits.
    const BIASED_ROUND: Self;
    /// The leading bits of ln 2, so few that n · `LN2_HIGH` is exact.
    const LN2_HIGH: Self;
    /// ln 2 − [`LN2_HIGH`](Self::LN2_HIGH)
    const LN2_LOW: Self;
    /// eˣ is 0 from here down.
    const EXP_LOWEST: Self;
    /// eˣ is infinite from here up.
    const EXP_HIGHEST: Self;
    /// tanh is 1 from here up.
    const TANH_HIGHEST: Self;
    /// tanh as a quotient, where few coefficients are enough for the precision of the type.
    const TANH: Option<Quotient<Self>>;

    /// The bits, shifted up by the width of the mantissa.
    fn shift_into_exponent(self) -> Self;
}

/// x · P(x²) / Q(x²), for polynomials P and Q of the fourth degree, the leading coefficient of Q being 1.
pub(super) struct Quotient<T> {
    /// From the highest power down.
    p: [T; 5],
    /// From the highest power but one down.
    q: [T; 4],
}

impl Constants for f32 {
    const DEGREE: usize = 7;
    const LN_TERMS: usize = 4;
    const ROUND: Self = 12_582_912.0;
    const BIASED_ROUND: Self = Self::ROUND + 127.0;
    const LN2_HIGH: Self = 355.0 / 512.0;
    const LN2_LOW: Self = (std::f64::consts::LN_2 - 355.0 / 512.0) as f32;
    const EXP_LOWEST: Self = -104.0;
    const EXP_HIGHEST: Self = 89.0;
    const TANH_HIGHEST: Self = 9.03;
    // The quotient whose relative error up to 9.02 is the least, 2.1 · 10⁻⁸, found by least squares that were weighted again until all
    // its peaks were alike. Near 0 it is x, since P and Q end alike; at 9.03 it rounds to 1, with and without fused operations.
    const TANH: Option<Quotient<Self>> = Some(Quotient {
        p: [0.017_159_286, 26.518_204, 4_501.450_7, 172_374.2, 1_288_324.6],
        q: [422.968_92, 33_330.34, 601_815.5, 1_288_324.6],
    });

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        Self::from_bits(self.to_bits() << 23)
    }
}

impl Constants for f64 {
    const DEGREE: usize = 13;
    const LN_TERMS: usize = 10;
    const ROUND: Self = 6_755_399_441_055_744.0;
    const BIASED_ROUND: Self = Self::ROUND + 1023.0;
    const LN2_HIGH: Self = f64::from_bits(std::f64::consts::LN_2.to_bits() & !0x1f_ffff);
    // ln 2 to twice the precision, less those leading ones.
    const LN2_LOW: Self = 1.908_214_929_270_587_7e-10;
    const EXP_LOWEST: Self = -746.0;
    const EXP_HIGHEST: Self = 710.0;
    const TANH_HIGHEST: Self = 20.0;
    const TANH: Option<Quotient<Self>> = None;

    #[inline(always)]
    fn shift_into_exponent(self) -> Self {
        Self::from_bits(self.to_bits() << 52)
    }
}

/// 1/k! for k = 0 …
const INVERSE_FACTORIALS: [f64; 14] = {
    let mut table = [1.0; 14];
    let (mut k, mut factorial) = (1, 1.0);
    while k < table.len() {
        factorial *= k as f64;
        table[k] = 1.0 / factorial;
        k += 1;
    }
    table
};

/// 1 / (2k + 1) for k = 0 …
const INVERSE_ODDS: [f64; 11] = {
    let mut table = [1.0; 11];
    let mut k = 1;
    while k < table.len() {
        table[k] = 1.0 / (2 * k + 1) as f64;
        k += 1;
    }
    table
};

impl<V: Vector> On<V> {
    /// `x` in every lane, rounded to the element type.
    #[inline(always)]
    fn constant(self, x: f64) -> V {
        self.splat(V::T::of(x))
    }

    /// The nearest integer.
    #[inline(always)]
    fn round(self, x: V) -> V {
        let round = self.splat(V::T::ROUND);
        x.add(round).sub(round)
    }

    /// 2ⁿ for an integer n, such that the result is a normal number.
    #[inline(always)]
    fn exp2(self, n: V) -> V {
        n.add(self.splat(V::T::BIASED_ROUND)).shift_into_exponent()
    }

    /// (n, e^r − 1) with x = n ln 2 + r and |r| ≤ ln 2 / 2.
    #[inline(always)]
    fn reduced_exp_m1(self, x: V) -> (V, V) {
        let n = self.round(x.mul(self.constant(std::f64::consts::LOG2_E)));
        let r = n.mul_add(self.splat(-V::T::LN2_HIGH), x);
        let r = n.mul_add(self.splat(-V::T::LN2_LOW), r);
        let mut sum = self.constant(INVERSE_FACTORIALS[V::T::DEGREE]);
        for k in (2..V::T::DEGREE).rev() {
            sum = sum.mul_add(r, self.constant(INVERSE_FACTORIALS[k]));
        }
        (n, r.mul(r).mul_add(sum, r))
    }

    /// eˣ
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn exp(self, x: V) -> V {
        // A NaN passes through both bounds, since it is their second operand.
        let x = self.splat(V::T::EXP_HIGHEST).min(self.splat(V::T::EXP_LOWEST).max(x));
        let (n, q) = self.reduced_exp_m1(x);
        // 2ⁿ in two factors: at the ends of the range it is not a number of its own, but the product may be.
        let half = self.round(n.mul(self.constant(0.5)));
        let one_and_q = q.add(self.constant(1.0));
        one_and_q.mul(self.exp2(half)).mul(self.exp2(n.sub(half)))
    }

    /// ln x for 1 ≤ x ≤ 16, which a sum of up to sixteen exponentials is, the largest of them e⁰; NaN for NaN.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn ln_to_16(self, x: V) -> V {
        // x = 2ⁿ t with t between √½ and √2, in steps of 2ⁿ = 4, 4, 2.
        let (mut n, mut t) = (self.zero(), x);
        for power in [2, 2, 1] {
            let scale = f64::from(1 << power);
            let bound = self.constant(scale * std::f64::consts::FRAC_1_SQRT_2);
            let (more, less) = (n.add(self.constant(f64::from(power))), t.mul(self.constant(1.0 / scale)));
            n = bound.select_lt(t, more, n);
            t = bound.select_lt(t, less, t);
        }
        // ln t = 2 artanh s = 2 (s + s³ / 3 + s⁵ / 5 …) with s = (t − 1) / (t + 1)
        let one = self.constant(1.0);
        let s = t.sub(one).div(t.add(one));
        let (twice, square) = (s.add(s), s.mul(s));
        let mut sum = self.constant(INVERSE_ODDS[V::T::LN_TERMS]);
        for k in (1..V::T::LN_TERMS).rev() {
            sum = sum.mul_add(square, self.constant(INVERSE_ODDS[k]));
        }
        let ln_t = twice.mul(square).mul_add(sum, twice);
        n.mul_add(self.splat(V::T::LN2_HIGH), n.mul_add(self.splat(V::T::LN2_LOW), ln_t))
    }

    /// tanh x, from that of |x|
    #[inline(always)]
    fn tanh(self, x: V) -> V {
        let magnitude = self.splat(V::T::TANH_HIGHEST).min(x.abs());
        let tanh = match V::T::TANH {
            Some(quotient) => self.tanh_by(quotient, magnitude),
            None => self.tanh_by_exp(magnitude),
        };
        tanh.copysign(x)
    }

    /// tanh x = x · P(x²) / Q(x²), which rounding does not lift above 1.
    #[inline(always)]
    fn tanh_by(self, Quotient { p, q }: Quotient<V::T>, x: V) -> V {
        let square = x.mul(x);
        let mut numerator = self.splat(p[0]);
        for &coefficient in &p[1..] {
            numerator = numerator.mul_add(square, self.splat(coefficient));
        }
        let mut denominator = square.add(self.splat(q[0]));
        for &coefficient in &q[1..] {
            denominator = denominator.mul_add(square, self.splat(coefficient));
        }
        // A NaN passes, since it is the second operand.
        self.constant(1.0).min(numerator.mul(x).div(denominator))
    }

    /// tanh x = (e^2x − 1) / (e^2x + 1) for x ≥ 0
    #[inline(always)]
    fn tanh_by_exp(self, x: V) -> V {
        let (n, q) = self.reduced_exp_m1(x.add(x));
        let scale = self.exp2(n);
        // e^2x − 1 without cancellation: near 0 it is q itself.
        let exp_m1 = scale.mul_add(q, scale.sub(self.constant(1.0)));
        exp_m1.div(exp_m1.add(self.constant(2.0)))
    }

    /// f(x)
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn activation(self, f: Activation, x: V) -> V {
        match f {
            Activation::Linear => x,
            Activation::Tanh => self.tanh(x),
            Activation::Relu => x.select_lt(self.zero(), self.zero(), x),
            Activation::Sigmoid => {
                let one = self.constant(1.0);
                one.div(one.add(self.exp(self.zero().sub(x))))
            }
        }
    }

    /// dy · f′, with f′ told from the output y
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn slope(self, f: Activation, dy: V, y: V) -> V {
        let one = self.constant(1.0);
        match f {
            Activation::Linear => dy,
            Activation::Tanh => dy.mul(one.sub(y.mul(y))),
            Activation::Relu => dy.mul(self.zero().select_lt(y, one, self.zero())),
            Activation::Sigmoid => dy.mul(y.mul(one.sub(y))),
        }
    }

    /// Σ of the lanes, always in the same order.
    #[inline(always)]
    pub(super) fn sum(self, v: V) -> V::T {
        v.sum()
    }

    /// The largest lane, where none is NaN.
    #[inline(always)]
    pub(super) fn largest(self, v: V) -> V::T {
        self.fold(v, |a, b| Binary::Maximum.eval(a, b))
    }

    #[inline(always)]
    fn fold(self, v: V, f: impl Fn(V::T, V::T) -> V::T) -> V::T {
        let mut lanes = self.lanes(v);
        let mut width = V::LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] = f(lanes[i], lanes[i + width]);
            }
        }
        lanes[0]
    }
}
