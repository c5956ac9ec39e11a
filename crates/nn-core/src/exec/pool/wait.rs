//! How long a thread keeps looking before it sleeps.

use std::hint::spin_loop;
use std::thread::yield_now;
use std::time::{Duration, Instant};

/// How long a thread that has a core to itself looks without a pause. Chosen: about half of a mini-batch step of 50 rows,
/// and several times what a thread that sleeps takes to wake, so threads stay awake from fork to fork of a step.
const SPIN: Duration = Duration::from_micros(50);

/// How often it then lets others run before it sleeps. Chosen: a round is about a microsecond where nobody else wants the
/// core, so this adds some hundred microseconds, in which a caller picks its next batch.
const YIELDS: u32 = 200;

/// How often a thread that has to share its core lets others run before it sleeps. Chosen: each round may be a whole time
/// slice of another thread, and one or two are enough for a thread with a short item to end it.
const YIELDS_CROWDED: u32 = 4;

/// Looks between two looks at the clock, which costs as much as some of them.
const LOOKS_PER_TIME: u32 = 32;

/// What a thread does before it sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    spin: Duration,
    yields: u32,
}

impl Patience {
    /// For `threads` threads on so many cores.
    pub(super) fn new(threads: usize, cores: usize) -> Self {
        if threads > cores {
            Self { spin: Duration::ZERO, yields: YIELDS_CROWDED }
        } else {
            Self { spin: SPIN, yields: YIELDS }
        }
    }

    /// Whether there are more threads than cores.
    pub(super) fn is_crowded(self) -> bool {
        self.spin.is_zero()
    }

    /// Looks until `ready`, which it returns, or patience ends.
    pub(super) fn until(self, ready: impl Fn() -> bool) -> bool {
        if !self.is_crowded() && self.spin_until(&ready) {
            return true;
        }
        for _ in 0..self.yields {
            if ready() {
                return true;
            }
            yield_now();
        }
        ready()
    }

    fn spin_until(self, ready: &impl Fn() -> bool) -> bool {
        let mut begin = None;
        loop {
            for _ in 0..LOOKS_PER_TIME {
                if ready() {
                    return true;
                }
                spin_loop();
            }
            if begin.get_or_insert_with(Instant::now).elapsed() >= self.spin {
                return false;
            }
        }
    }
}
