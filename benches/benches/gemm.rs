//! The products of a training step on one thread of each backend: 6000 rows, a tenth of the training set.

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use nn_benches::{CLASSES, HIDDEN, PIXELS, backends, measuring, print_peak};
use nn_core::Result;
use nn_core::matrix::{MatMut, MatRef, Scratch};
use nn_core::ops::{Gemm, Trans};

/// A product: its name, which operand is transposed, and its m, n, k for a number of rows.
type Product = (&'static str, Trans, Trans, fn(usize) -> (usize, usize, usize));

const PRODUCTS: [Product; 4] = [
    ("X·W1", Trans::No, Trans::No, |rows| (rows, HIDDEN, PIXELS)),
    ("Xᵀ·δ", Trans::Yes, Trans::No, |rows| (PIXELS, HIDDEN, rows)),
    ("H·W2", Trans::No, Trans::No, |rows| (rows, CLASSES, HIDDEN)),
    ("dY·W2ᵀ", Trans::No, Trans::Yes, |rows| (rows, HIDDEN, CLASSES)),
];

fn gemm(c: &mut Criterion) {
    run(c).expect("the benchmarks' own arguments fit");
}

fn run(c: &mut Criterion) -> Result<()> {
    print_peak();
    let backends = backends();
    for (product, ta, tb, sizes) in PRODUCTS {
        let (m, n, k) = sizes(if measuring() { 6000 } else { 60 });
        let mut group = c.benchmark_group(format!("gemm/{product}/{m}x{n}x{k}"));
        // One element is one floating-point operation, so criterion's Gelem/s are GFLOP/s.
        group.throughput(Throughput::Elements(2 * (m * n * k) as u64));
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        let ((ar, ac), (br, bc)) = (ta.apply(m, k), tb.apply(k, n));
        let (a, b, mut out) = (ramp(ar * ac), ramp(br * bc), vec![0.0f32; m * n]);
        let (a, b) = (MatRef::new(&a, ar, ac)?, MatRef::new(&b, br, bc)?);
        for (name, backend) in &backends {
            let mut scratch = Scratch::default();
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| {
                    let c = MatMut::new(&mut out, m, n)?;
                    backend.gemm(Gemm::new(1.0, a, ta, b, tb, 0.0, c)?, &mut scratch);
                    Result::<()>::Ok(())
                });
            });
        }
        group.finish();
    }
    Ok(())
}

/// Numbers between −½ and ½ without a pattern that a cache could like.
fn ramp(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect()
}

criterion_group!(benches, gemm);
criterion_main!(benches);
