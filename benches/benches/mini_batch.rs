//! An epoch of mini-batches of 50 rows in shuffled order, loss and accuracy included, on every backend that is there.

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use nn_benches::{Data, Form, backends, network, print_peak};
use nn_core::Result;
use nn_core::matrix::Rows;

/// Rows of a batch, as the exercise has it.
const BATCH: usize = 50;

fn mini_batch(c: &mut Criterion) {
    run(c).expect("the benchmarks' own arguments fit");
}

fn run(c: &mut Criterion) -> Result<()> {
    print_peak();
    let data = Data::load()?;
    // A fixed order without a pattern: 7919 is prime to the number of rows.
    let order: Vec<u32> = (0..data.rows()).map(|i| (i * 7919 % data.rows()) as u32).collect();
    let labels: Vec<i32> = order.iter().map(|&row| data.labels[row as usize]).collect();
    let mut group = c.benchmark_group("mini_batch/epoch");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for (name, backend) in backends() {
        for form in [Form::Dense, Form::Sparse] {
            if name == "naive" && form == Form::Dense {
                continue;
            }
            let mut net = network(&backend)?;
            let x = data.input(form)?;
            group.bench_function(BenchmarkId::new(&name, form.name()), |b| {
                b.iter(|| {
                    let mut right = 0.0;
                    for (rows, labels) in order.chunks(BATCH).zip(labels.chunks(BATCH)) {
                        let batch = x.select(Rows::List(rows))?;
                        let figures = net.train_on_batch(batch, labels)?;
                        right += figures.get("accuracy").unwrap_or(0.0) * rows.len() as f64;
                    }
                    Result::<f64>::Ok(right)
                });
            });
        }
    }
    group.finish();
    Ok(())
}

criterion_group!(benches, mini_batch);
criterion_main!(benches);
