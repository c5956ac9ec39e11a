//! Threads that compute together, kept on cores of their own without holding them there.
//!
//! A thread that sleeps is woken where the system thinks best, which may be the core of the thread that wakes it: on virtual machines
//! Linux takes an idle processor for one that the host has taken away, and so leaves it idle. The caller never
//! sleeps while there is work, so the other thread would be a guest on the caller's core for as long as both live. A thread that finds
//! itself there moves.

use std::sync::atomic::{AtomicUsize, Ordering};

/// No core.
const NONE: usize = usize::MAX;

/// Where the caller last was.
#[derive(Debug)]
#[repr(align(128))] // As in `lend`: written by the caller when it has moved, read by all others.
pub(super) struct Apart {
    caller: AtomicUsize,
    /// Whether there are cores enough, and threads are not held on theirs.
    moves: bool,
}

impl Apart {
    pub(super) fn new(moves: bool) -> Self {
        Self { caller: AtomicUsize::new(NONE), moves }
    }

    /// Tells the others where the calling thread is.
    #[inline]
    pub(super) fn caller_is_here(&self) {
        if self.moves {
            let core = system::core().unwrap_or(NONE);
            if self.caller.load(Ordering::Relaxed) != core {
                self.caller.store(core, Ordering::Relaxed);
            }
        }
    }

    /// Moves to another core if this is the caller's. Where there is none that this thread may use, or the system refuses, it stays.
    #[inline]
    pub(super) fn keep_away(&self) {
        if self.moves {
            let caller = self.caller.load(Ordering::Relaxed);
            if caller != NONE && system::core() == Some(caller) {
                system::leave(caller);
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

    /// The core that the calling thread is on.
    pub(super) fn core() -> Option<usize> {
        Some(sched_getcpu())
    }

    /// Moves the calling thread off a core, to which it may come back.
    #[cold]
    pub(super) fn leave(core: usize) {
        let Ok(allowed) = sched_getaffinity(None) else { return };
        let mut others = allowed;
        if core < rustix::thread::CpuSet::MAX_CPU {
            others.unset(core);
        }
        if others.count() > 0 && sched_setaffinity(None, &others).is_ok() {
            // It may use all of them again. It can only fail where they were taken away in between, and then it has the others.
            let _ = sched_setaffinity(None, &allowed);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    /// Unknown: other systems are not known to need it.
    pub(super) fn core() -> Option<usize> {
        None
    }

    pub(super) fn leave(_: usize) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_on_the_callers_core_moves_and_may_still_use_all_cores() {
        let before = core_affinity::get_core_ids();
        let there = Apart::new(true);
        // Whichever core the system has put the thread on is said to be the caller's. It may be moved back at once, but not always.
        let moved = (0..100).any(|_| {
            there.caller_is_here();
            there.keep_away();
            system::core() != Some(there.caller.load(Ordering::Relaxed))
        });
        assert_eq!(core_affinity::get_core_ids(), before);
        assert!(moved || before.is_none_or(|cores| cores.len() < 2));
    }

    #[test]
    fn a_team_that_is_held_on_cores_or_has_too_few_never_moves() {
        let there = Apart::new(false);
        there.caller_is_here();
        assert_eq!(there.caller.load(Ordering::Relaxed), NONE);
    }
}
