//! What a fork and a join cost beside the work, on two threads that are awake: a mini-batch step has several, in 100 µs.
//! With one core, the figures say how long the system takes to switch threads.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, yield_now};

use criterion::{Criterion, criterion_group, criterion_main};
use nn_core::Result;
use nn_core::exec::Team;

const THREADS: usize = 2;

fn fork_join(c: &mut Criterion) {
    run(c).expect("two threads can be started");
}

fn run(c: &mut Criterion) -> Result<()> {
    eprintln!("{THREADS} threads, {} cores", available_parallelism().map_or(1, usize::from));
    let team = Team::new(THREADS)?;
    let mut items = [0u64; THREADS];
    let mut group = c.benchmark_group("fork_join");
    // Whoever comes first may do both items.
    group.bench_function("empty", |b| {
        b.iter(|| team.for_each(&mut items, &|_, item| *item = black_box(*item) + 1));
    });
    // No item ends before all were begun, so every thread takes part: there and back between two cores.
    let begun = AtomicUsize::new(0);
    group.bench_function("met", |b| {
        b.iter(|| {
            begun.store(0, Ordering::Relaxed);
            team.for_each(&mut items, &|_, item| {
                *item += 1;
                begun.fetch_add(1, Ordering::Relaxed);
                let mut looks = 0;
                while begun.load(Ordering::Relaxed) < THREADS {
                    std::hint::spin_loop();
                    looks += 1;
                    if looks % LOOKS_PER_YIELD == 0 {
                        yield_now();
                    }
                }
            });
        });
    });
    group.finish();
    Ok(())
}

/// Looks before the core is offered to others, which matters only where both threads share one: some ten microseconds.
const LOOKS_PER_YIELD: usize = 1000;

criterion_group!(benches, fork_join);
criterion_main!(benches);
