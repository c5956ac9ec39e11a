//! How near the `simd` backend's kernels come to the peak of the FMA units, measured in the same process.
//!
//!     cargo run --release -p nn-core --example gemm_peak [f64]
//!
//! Single-threaded; each figure is the best of many runs. `NN_ISA` restricts the instruction set.

use std::hint::black_box;
use std::time::Instant;

use nn_core::backend::Backend;
use nn_core::backend::simd::Simd;
use nn_core::matrix::{Csr, InputRef, MatMut, MatRef, Scratch};
use nn_core::ops::{Activation, Gemm, Labels, Sum, Trans};
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
        measure::<f64>(simd, peak.f64)
    } else {
        measure::<f32>(simd, peak.f32)
    }
}

/// The best of many runs, in seconds.
fn best(flops: f64, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let runs = (1e10 / flops).clamp(20.0, 10_000.0) as usize;
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn report(name: &str, shape: (usize, usize, usize), flops: f64, seconds: f64, peak: f64) {
    let (m, n, k) = shape;
    let (rate, micros) = (flops / seconds / 1e9, seconds * 1e6);
    let share = 100.0 * rate / peak;
    println!("{name:<28}{m:4}×{n:4}×{k:4} {micros:9.1} µs {rate:7.1} GFLOP/s {share:6.1} % of peak");
}

fn measure<T: Scalar>(simd: Simd, peak: f64) -> Result<()>
where
    Simd: Backend<T>,
{
    println!("{}, {}; peak of fused multiply-adds {peak:.1} GFLOP/s", Backend::<T>::describe(&simd), T::NAME);
    products::<T>(simd, peak)?;
    layers::<T>(simd, peak)
}

fn products<T: Scalar>(simd: Simd, peak: f64) -> Result<()>
where
    Simd: Backend<T>,
{
    let mut scratch = Scratch::default();
    for (name, m, n, k, ta, tb) in SHAPES {
        let ((ar, ac), (br, bc)) = (ta.apply(m, k), tb.apply(k, n));
        let a = vec![T::of(0.5); m * k];
        let b = vec![T::of(0.25); k * n];
        let mut c = vec![T::zero(); m * n];
        let flops = 2.0 * (m * n * k) as f64;
        let beta = if ta == Trans::Yes { T::one() } else { T::zero() };
        let seconds = best(flops, || {
            let (a, b) = (MatRef::new(&a, ar, ac)?, MatRef::new(&b, br, bc)?);
            let c = MatMut::new(&mut c, m, n)?;
            simd.gemm(Gemm::new(T::one(), a, ta, b, tb, beta, c)?, &mut scratch);
            Ok(())
        })?;
        black_box(&c);
        report(name, (m, n, k), flops, seconds, peak);
    }
    Ok(())
}

/// The first layer's products with bytes and with sparse rows, and what is done element by element.
fn layers<T: Scalar>(simd: Simd, peak: f64) -> Result<()>
where
    Simd: Backend<T>,
{
    const ROWS: usize = 256;
    const PIXELS: usize = 784;
    const UNITS: usize = 512;
    const CLASSES: usize = 10;
    let mut scratch = Scratch::default();
    let w = vec![T::of(0.01); PIXELS * UNITS];
    let bias = vec![T::of(0.1); UNITS];
    let delta = vec![T::of(0.01); ROWS * UNITS];
    let (mut y, mut dw) = (vec![T::zero(); ROWS * UNITS], vec![T::zero(); PIXELS * UNITS]);
    for density in [100, 60, 50, 40, 30, 19] {
        // Pixels lit in runs of 8, as in images of digits, at places that differ from row to row.
        let lit = |at: usize| (at / 8).wrapping_mul(2_654_435_761) % 1000 < density * 10;
        let bytes: Vec<u8> = (0..ROWS * PIXELS).map(|at| if lit(at) { 128 } else { 0 }).collect();
        let csr = Csr::from_bytes(&bytes, ROWS, PIXELS, T::of(255.0))?;
        let mut forms = vec![("sparse", InputRef::sparse(&csr), csr.entries())];
        if density == 100 {
            let bytes = InputRef::bytes(&bytes, ROWS, PIXELS, T::of(255.0))?;
            forms.insert(0, ("bytes", bytes, ROWS * PIXELS));
        }
        for (form, x, entries) in forms {
            let flops = 2.0 * (entries * UNITS) as f64;
            let percent = 100 * entries / (ROWS * PIXELS);
            let seconds = best(flops, || {
                let (w, y) = (MatRef::new(&w, PIXELS, UNITS)?, MatMut::new(&mut y, ROWS, UNITS)?);
                simd.affine(x, w, Some(&bias), Activation::Tanh, y, &mut scratch);
                Ok(())
            })?;
            report(
                &format!("tanh(X·W1 + b) {form} {percent} %"),
                (ROWS, UNITS, PIXELS),
                flops,
                seconds,
                peak,
            );
            let seconds = best(flops, || {
                let delta = MatRef::new(&delta, ROWS, UNITS)?;
                simd.accumulate_weights(
                    T::one(),
                    x,
                    delta,
                    Sum::Continue,
                    MatMut::new(&mut dw, PIXELS, UNITS)?,
                    &mut scratch,
                );
                Ok(())
            })?;
            report(&format!("dW1 += Xᵀ·δ {form} {percent} %"), (ROWS, UNITS, PIXELS), flops, seconds, peak);
        }
    }
    let elements = (ROWS * UNITS) as f64;
    for f in [Activation::Tanh, Activation::Sigmoid, Activation::Relu] {
        let seconds = best(elements, || {
            simd.activate(f, black_box(&mut y));
            Ok(())
        })?;
        println!("{:<28}{:9.3} ns per element", f.name(), seconds * 1e9 / elements);
    }
    let logits: Vec<T> = (0..ROWS * CLASSES).map(|i| T::of((i % 7) as f64 - 3.0)).collect();
    let (classes, mut dx, mut losses) = ([3; ROWS], vec![T::zero(); ROWS * CLASSES], [T::zero(); ROWS]);
    let seconds = best(elements, || {
        let logits = MatRef::new(&logits, ROWS, CLASSES)?;
        let gradient = Some((T::one(), MatMut::new(&mut dx, ROWS, CLASSES)?));
        simd.softmax_cross_entropy(logits, Labels::Classes(&classes), Some(&mut losses), gradient);
        Ok(())
    })?;
    println!("{:<28}{:9.1} ns per row of {CLASSES}", "softmax cross-entropy", seconds * 1e9 / ROWS as f64);
    let mut db = vec![T::zero(); UNITS];
    let seconds = best(elements, || {
        simd.accumulate_bias(MatRef::new(&delta, ROWS, UNITS)?, &mut db);
        Ok(())
    })?;
    println!("{:<28}{:9.3} ns per element", "db += Σ δ", seconds * 1e9 / elements);
    Ok(())
}
