//! What the units for fused multiply-adds can do, to measure products against.

use std::hint::black_box;
use std::time::Instant;

use super::Simd;
use super::vector::{Element, Grid, Kernel, On, Vector};

/// The rate of fused multiply-adds (two operations each) out of registers alone, on one core, in GFLOP/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// With `f32`.
    pub f32: f64,
    /// With `f64`.
    pub f64: f64,
}

impl Simd {
    /// Measures the peak on the core that this runs on, in some 20 milliseconds: the most that any product on this
    /// instruction set could reach here and now.
    ///
    /// ```
    /// let peak = nn_core::backend::simd::Simd::detect().measure_peak();
    /// println!("{:.0} GFLOP/s in f32, {:.0} in f64", peak.f32, peak.f64);
    /// ```
    pub fn measure_peak(self) -> Peak {
        Peak { f32: self.rate::<f32>(), f64: self.rate::<f64>() }
    }

    /// The best of a number of bursts.
    fn rate<T: Element>(self) -> f64 {
        const BURSTS: usize = 100;
        let burst = || {
            let start = Instant::now();
            let operations = self.run(Burst::<T> { by: black_box(T::of(0.5)) });
            operations / start.elapsed().as_secs_f64() / 1e9
        };
        (0..BURSTS).map(|_| burst()).fold(0.0, f64::max)
    }
}

/// As many chains of multiply-adds as gemm's register tile has accumulators.
struct Burst<T> {
    by: T,
}

impl<T: Element> Kernel<T> for Burst<T> {
    /// Operations carried out.
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) -> f64 {
        const ROUNDS: usize = 10_000;
        let by = on.splat(self.by);
        let mut sums = V::Tile::filled(by);
        for _ in 0..ROUNDS {
            for i in 0..V::Tile::ROWS {
                for j in 0..V::Tile::COLS {
                    sums[i][j] = by.mul_add(sums[i][j], by);
                }
            }
        }
        let mut sum = on.zero();
        for i in 0..V::Tile::ROWS {
            for j in 0..V::Tile::COLS {
                sum = sum.add(sums[i][j]);
            }
        }
        black_box(on.lanes(sum));
        (2 * ROUNDS * V::Tile::ROWS * V::Tile::COLS * V::LANES) as f64
    }
}
