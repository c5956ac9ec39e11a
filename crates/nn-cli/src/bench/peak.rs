//! The peak of fused multiply-adds, measured in the process whose other figures are held against it.

use std::fs;
use std::sync::Barrier;
use std::thread;

use nn_core::backend::simd::Simd;
use nn_core::{Error, Result};
use serde::Serialize;

use crate::args::DType;

/// How often a reading measures; the best counts. Each takes some 20 ms, so that one that another process disturbs is
/// followed by one that it may not.
const ROUNDS: usize = 5;

/// How the peak of this process's processors is measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Meter {
    /// The best vectors that the processor has, whatever `NN_ISA` restricts the kernels to.
    isa: &'static str,
    /// How many threads `all_threads` is the sum of: no more than processors. Further threads would not add to what the
    /// processors can do, but only take turns, and the sum of their best moments would be no peak.
    threads: usize,
}

/// Fused multiply-adds in GFLOP/s, two operations each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Rates {
    f32: f64,
    f64: f64,
}

/// What was measured at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Reading {
    one_thread: Rates,
    /// Of all threads at once.
    all_threads: Rates,
    /// How many threads of the whole system wanted to run, on average over the last minute, where the system tells.
    load_average: Option<f64>,
}

/// The peak before and after everything else was measured.
#[derive(Debug, Serialize)]
pub(super) struct Peak {
    unit: &'static str,
    #[serde(flatten)]
    meter: Meter,
    before: Reading,
    after: Reading,
}

/// The unit of all rates.
pub(super) const UNIT: &str = "GFLOP/s";

impl Rates {
    fn of(self, dtype: DType) -> f64 {
        match dtype {
            DType::F32 => self.f32,
            DType::F64 => self.f64,
        }
    }

    fn combine(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self { f32: f(self.f32, other.f32), f64: f(self.f64, other.f64) }
    }
}

impl Meter {
    /// For what `threads` threads compute.
    pub(super) fn new(threads: usize) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self { isa: Simd::detect().isa().vectors().name(), threads: threads.clamp(1, processors) }
    }

    pub(super) fn isa(self) -> &'static str {
        self.isa
    }

    pub(super) fn threads(self) -> usize {
        self.threads
    }

    /// Measures, in some tenths of a second.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub(super) fn read(self) -> Result<Reading> {
        let load_average = load_average();
        let one_thread = best_at_once(1)?;
        let all_threads = if self.threads == 1 { one_thread } else { best_at_once(self.threads)? };
        Ok(Reading { one_thread, all_threads, load_average })
    }

    /// A reading in one or two lines.
    pub(super) fn line(self, reading: &Reading) -> String {
        let rates = |rates: Rates| format!("{:.1} {UNIT} in f32, {:.1} in f64", rates.f32, rates.f64);
        let mut parts = vec![format!("on one thread {}", rates(reading.one_thread))];
        if self.threads > 1 {
            parts.push(format!("on {} at once {}", self.threads, rates(reading.all_threads)));
        }
        parts.extend(reading.load_average.map(|load| format!("load {load:.2}")));
        format!("{}: {}", self.isa, parts.join("; "))
    }
}

impl Peak {
    pub(super) fn new(meter: Meter, before: Reading, after: Reading) -> Self {
        Self { unit: UNIT, meter, before, after }
    }

    /// What the threads that compute could do at most: the better one of the two readings.
    pub(super) fn best(&self, dtype: DType) -> f64 {
        self.before.all_threads.of(dtype).max(self.after.all_threads.of(dtype))
    }
}

/// The best of a number of rounds, in each of which so many threads measure at once.
fn best_at_once(threads: usize) -> Result<Rates> {
    let simd = Simd::detect();
    let mut best = Rates { f32: 0.0, f64: 0.0 };
    for _ in 0..ROUNDS {
        let start = Barrier::new(threads);
        let measure = || {
            start.wait();
            let peak = simd.measure_peak();
            Rates { f32: peak.f32, f64: peak.f64 }
        };
        let sum = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(measure)).collect();
            let own = measure();
            let joined = others.into_iter().map(thread::ScopedJoinHandle::join);
            joined.into_iter().try_fold(own, |sum, other| Some(sum.combine(other.ok()?, |a, b| a + b)))
        });
        let sum = sum.ok_or_else(|| Error::unavailable("peak: a thread that measured ended early"))?;
        best = best.combine(sum, f64::max);
    }
    Ok(best)
}

/// The system's load average over one minute.
fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_has_rates_for_both_types_and_no_more_threads_than_processors() -> Result<()> {
        let meter = Meter::new(usize::MAX);
        assert!(thread::available_parallelism().is_ok_and(|n| meter.threads <= n.get()));
        let reading = meter.read()?;
        for rates in [reading.one_thread, reading.all_threads] {
            assert!(rates.f32.is_finite() && rates.f32 > 0.0 && rates.f64.is_finite() && rates.f64 > 0.0);
        }
        Ok(())
    }

    #[test]
    fn the_better_reading_is_what_figures_are_held_against() {
        let reading = |f32, f64| {
            let rates = Rates { f32, f64 };
            Reading { one_thread: rates, all_threads: rates, load_average: None }
        };
        let peak = Peak::new(Meter::new(1), reading(200.0, 90.0), reading(180.0, 100.0));
        assert_eq!((peak.best(DType::F32), peak.best(DType::F64)), (200.0, 100.0));
    }
}
