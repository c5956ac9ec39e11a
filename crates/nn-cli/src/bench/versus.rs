//! What `grid` and `gemm` have in common: `simd` beside a BLAS library, which may spread its work over threads in two ways.

use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nn_core::backend::blas::Threading;
use nn_core::backend::{Backend, BackendKind, Choice};
use nn_train::files::check_writable;
use serde::Serialize;

use super::peak::{Meter, Peak, Reading};
use crate::args::{DType, VersusArgs};
use crate::environment::{Engine, Machine};
use crate::failure::Failure;
use crate::screen::Screen;

/// How often it is looked whether a library's threads are asleep.
const LOOK: Duration = Duration::from_millis(10);

/// The longest wait for that, and the wait where nothing tells. Intel's OpenMP, which MKL computes with, keeps threads awake for 200 ms,
/// OpenBLAS for 2²⁸ ticks of the processor's clock, 103 ms at 2.6 GHz, and where so told for four times as many.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// Waits until the threads that a library has computed with are asleep. After a call they stay awake for the next one, on
/// processors that whoever is measured next is to have.
pub(super) fn rest() {
    let begin = Instant::now();
    while begin.elapsed() < LONGEST_REST {
        thread::sleep(LOOK);
        if others_sleep() == Some(true) {
            return;
        }
    }
}

/// Whether no thread of this process runs, or would if it had a processor, but the one that asks. Only Linux tells.
fn others_sleep() -> Option<bool> {
    // "<process>/task/<thread>"
    let own = fs::read_link("/proc/thread-self").ok()?;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        let thread = thread.ok()?.path();
        if thread.file_name() == own.file_name() {
            continue;
        }
        // One that has ended since has no such file any more.
        let Ok(stat) = fs::read_to_string(thread.join("stat")) else { continue };
        // "<thread> (<name>) <state> …", and a name may hold anything.
        if stat.rsplit_once(") ")?.1.starts_with('R') {
            return Some(false);
        }
    }
    Some(true)
}

/// A backend, and how it is spread over the threads.
#[derive(Debug, Clone)]
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) backend: Arc<dyn Backend<f32>>,
    /// Threads of the executor; a library with threads of its own gets one.
    pub(super) threads: usize,
}

/// The two sides.
pub(super) struct Versus {
    pub(super) simd: Rival,
    /// Calls of one thread each, from the executor's threads.
    pub(super) blas: Rival,
    /// One call at a time, which the library spreads over its own threads; on one thread the same as the other.
    pub(super) own_threads: Option<Rival>,
    /// How many threads either side has.
    pub(super) threads: usize,
    meter: Meter,
    before: Reading,
}

/// What every record holds.
#[derive(Debug, Serialize)]
pub(super) struct Origin {
    environment: Machine,
    pub(super) peak: Peak,
    engines: Vec<(&'static str, Engine)>,
}

impl Versus {
    /// Opens both sides and measures the peak for the first time.
    ///
    /// # Errors
    /// If there is no such library, or the record can't be written.
    pub(super) fn new(args: &VersusArgs, what: &str, screen: &mut Screen) -> Result<Self, Failure> {
        if let Some(path) = &args.json {
            check_writable(path)?;
        }
        let threads = super::threads(args.threads);
        let blas = |threading| Choice { kind: BackendKind::Blas, blas: args.blas.clone(), threading };
        let simd = Choice { kind: BackendKind::Simd, ..Choice::default() };
        let own = NonZeroUsize::new(threads).filter(|n| n.get() > 1).map(Threading::Library);
        let mut versus = Self {
            simd: Rival { name: "simd", backend: simd.open()?, threads },
            blas: Rival { name: "blas", backend: blas(Threading::OnePerCall).open()?, threads },
            own_threads: None,
            threads,
            meter: Meter::new(threads),
            before: Meter::new(threads).read()?,
        };
        if let Some(threading) = own {
            let backend = blas(threading).open()?;
            versus.own_threads = Some(Rival { name: "blas, own threads", backend, threads: 1 });
        }
        let unit = if threads == 1 { "thread computes" } else { "threads compute" };
        let mut lines = vec![what.to_owned(), format!("{}; {threads} {unit}", Machine::here().line())];
        lines.extend(versus.rivals().map(|rival| rival.backend.describe().to_string()));
        lines.push(versus.meter.line(&versus.before));
        screen.print(lines.join("\n\n") + "\n");
        Ok(versus)
    }

    fn rivals(&self) -> impl Iterator<Item = &Rival> {
        [&self.simd, &self.blas].into_iter().chain(&self.own_threads)
    }

    /// Measures the peak again.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub(super) fn origin(&self, screen: &mut Screen) -> Result<Origin, Failure> {
        let after = self.meter.read()?;
        screen.print(format!("\n{}\n", self.meter.line(&after)));
        let engine =
            |rival: &Rival| (rival.name, Engine::new(rival.backend.describe(), rival.threads, DType::F32));
        Ok(Origin {
            environment: Machine::here(),
            peak: Peak::new(self.meter, self.before, after),
            engines: self.rivals().map(engine).collect(),
        })
    }
}

/// Numbers from 0 to below 1 that look random, the same in every run: SplitMix64 (Steele, Lea and Flood 2014) of 0, 1, 2, …
pub(super) fn numbers() -> impl Iterator<Item = f32> {
    (0_u64..).map(|i| (mixed(i) >> 40) as f32 / (1 << 24) as f32)
}

/// SplitMix64's output number `i`.
pub(super) fn mixed(i: u64) -> u64 {
    let z = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// A ratio of two times; in bold where ours is the longer one.
pub(super) fn marked(ratio: f64) -> String {
    if ratio > 1.0 { format!("**{ratio:.3}**") } else { format!("{ratio:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_marked_where_ours_takes_longer() {
        assert_eq!([0.5, 1.0, 1.25].map(marked), ["0.500", "1.000", "**1.250**"]);
    }

    #[test]
    fn a_rest_lasts_until_all_other_threads_are_asleep() {
        let begin = Instant::now();
        let awake = Duration::from_millis(100);
        thread::scope(|scope| {
            scope.spawn(|| {
                while begin.elapsed() < awake {
                    thread::yield_now();
                }
            });
            rest();
            // Other tests' threads may run on.
            assert!(begin.elapsed() >= awake);
        });
    }

    #[test]
    fn numbers_fill_the_interval_and_begin_as_published() {
        // The first output of SplitMix64 from seed 0.
        assert_eq!(mixed(0), 0xe220_a839_7b1d_cdaf);
        let some: Vec<f32> = numbers().take(1000).collect();
        assert!(some.iter().all(|x| (0.0..1.0).contains(x)));
        // The mean of 1000 such numbers has a standard deviation of 0.0091.
        assert!((some.iter().sum::<f32>() / 1000.0 - 0.5).abs() < 0.05);
    }
}
