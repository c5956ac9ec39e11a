//! How near the `simd` backend's products come to the peak of the FMA units, measured in the same process.
//!
//!     cargo run --release -p nn-core --example gemm_peak [f64]
//!
//! Single-threaded; each figure is the best of many runs. `NN_ISA` restricts the instruction set.

use std::hint::black_box;
use std::time::Instant;

use nn_core::backend::Backend;
use nn_core::backend::simd::Simd;
use nn_core::matrix::{MatMut, MatRef, Scratch};
use nn_core::ops::{Gemm, Trans};
use nn_core::{Result, Scalar};

/// What the network's layers ask for: a shard of 256 rows, 784 → 512 → 10.
const SHAPES: [(&str, usize, usize, usize, Trans, Trans); 8] = [
    ("X·W1        NN", 256, 512, 784, Trans::No, Trans::No),
    ("Xᵀ·δ1       TN", 784, 512, 256, Trans::Yes, Trans::No),
    ("Y1·W2       NN", 256, 10, 512, Trans::No, Trans::No),
    ("Y1ᵀ·δ2      TN", 512, 10, 256, Trans::Yes, Trans::No),
    ("δ2·W2ᵀ      NT", 256, 512, 10, Trans::No, Trans::Yes),
    ("one row     NN", 1, 512, 784, Trans::No, Trans::No),
    ("square      NN", 1000, 1000, 1000, Trans::No, Trans::No),
    ("square      TT", 1000, 1000, 1000, Trans::Yes, Trans::Yes),
];

fn main() -> Result<()> {
    let simd = Simd::from_env()?;
    let peak = simd.measure_peak();
    if std::env::args().any(|arg| arg == "f64") {
        shapes::<f64>(simd, peak.f64)
    } else {
        shapes::<f32>(simd, peak.f32)
    }
}

fn shapes<T: Scalar>(simd: Simd, peak: f64) -> Result<()>
where
    Simd: Backend<T>,
{
    println!("{}, {}; peak of fused multiply-adds {peak:.1} GFLOP/s", Backend::<T>::describe(&simd), T::NAME);
    let mut scratch = Scratch::default();
    for (name, m, n, k, ta, tb) in SHAPES {
        let ((ar, ac), (br, bc)) = (ta.apply(m, k), tb.apply(k, n));
        let a = vec![T::of(0.5); m * k];
        let b = vec![T::of(0.25); k * n];
        let mut c = vec![T::zero(); m * n];
        let flops = 2.0 * (m * n * k) as f64;
        let runs = (2e9 / flops).clamp(20.0, 20_000.0) as usize;
        let mut best = f64::INFINITY;
        for _ in 0..runs {
            let start = Instant::now();
            let (a, b) = (MatRef::new(&a, ar, ac)?, MatRef::new(&b, br, bc)?);
            let c = MatMut::new(&mut c, m, n)?;
            let beta = if ta == Trans::Yes { T::one() } else { T::zero() };
            simd.gemm(Gemm::new(T::one(), a, ta, b, tb, beta, c)?, &mut scratch);
            best = best.min(start.elapsed().as_secs_f64());
        }
        black_box(&c);
        let rate = flops / best / 1e9;
        println!("{name}  {m:4}×{n:4}×{k:4}  {rate:7.1} GFLOP/s  {:5.1} % of peak", 100.0 * rate / peak);
    }
    Ok(())
}
