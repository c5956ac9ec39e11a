//! The executor's threads: started once, owned by the session.
//!
//! ```text
//! Pool ──→ lend::Team ──→ share: who takes which item       one atomic operation for each item
//!    └ a Worker for       wait: spin, yield, sleep          no system call while the threads are awake
//!      each thread        pin: threads to cores             on request
//!                         apart: off the caller's core      else
//!                         done: how many items are          nobody but the caller waits
//! ```
//!
//! A mini-batch step is some fork-joins long and takes a tenth of a millisecond. So threads that wait for work look at
//! a counter in their own cache before they sleep, and nobody waits for a thread that has not begun; and what will be needed later
//! can be offered to those who wait (`meanwhile`).

mod apart;
mod done;
mod lend;
mod pin;
mod share;
#[cfg(test)]
mod tests;
mod wait;

use std::sync::{Mutex, TryLockError};

pub use self::lend::Team;
use crate::matrix::{AlignedBuf, Scratch};
use crate::{Result, Scalar};

/// What one thread works with: the buffers of the shard at hand, and scratch memory for kernels.
#[derive(Debug)]
pub(super) struct Worker<T> {
    pub(super) floats: Vec<AlignedBuf<T>>,
    pub(super) ints: Vec<AlignedBuf<i32>>,
    pub(super) scratch: Scratch<T>,
}

impl<T> Default for Worker<T> {
    fn default() -> Self {
        Self { floats: Vec::new(), ints: Vec::new(), scratch: Scratch::default() }
    }
}

impl<T: Scalar> Worker<T> {
    /// Makes the buffers at least as long as said. Allocates only the first time.
    pub(super) fn reserve(&mut self, floats: impl Iterator<Item = usize>, ints: impl Iterator<Item = usize>) {
        fn grow<U: Copy + Default>(bufs: &mut Vec<AlignedBuf<U>>, sizes: impl Iterator<Item = usize>) {
            for (i, len) in sizes.enumerate() {
                if i == bufs.len() {
                    bufs.push(AlignedBuf::zeroed(len));
                } else if bufs[i].len() < len {
                    bufs[i].resize(len);
                }
            }
        }
        grow(&mut self.floats, floats);
        grow(&mut self.ints, ints);
    }
}

/// A fixed number of threads, each with its [`Worker`]. The caller's is one of them; with one thread, it is the only one.
#[derive(Debug)]
pub(super) struct Pool<T> {
    team: Team,
    /// One for each thread, of which the caller's is the first.
    workers: Vec<Mutex<Worker<T>>>,
}

impl<T: Scalar> Pool<T> {
    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// If there is none, or one can't be started.
    pub(super) fn new(threads: usize) -> Result<Self> {
        Ok(Self::of(Team::new(threads)?))
    }

    /// The same, with thread `i` held on the `i`-th core that the calling thread may use. The calling thread is the
    /// first of them, and stays there.
    ///
    /// # Errors
    /// Those of [`Pool::new`], if there are fewer cores than threads, and if the system does not hold a thread on a core.
    pub(super) fn pinned(threads: usize) -> Result<Self> {
        Ok(Self::of(Team::pinned(threads)?))
    }

    fn of(team: Team) -> Self {
        Self { workers: (0..team.threads()).map(|_| Mutex::default()).collect(), team }
    }

    /// How many threads compute.
    pub(super) fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Calls `body` on each item, spread over the threads when there is more than one item. Returns when all are done.
    /// An item of the same index among as many goes to the same thread each time, unless that thread comes late.
    ///
    /// From within a `body`, everything runs on the current thread.
    ///
    /// # Panics
    /// If a `body` does, with what the first one said, when no thread works for this call any more.
    pub(super) fn for_each<I: Send>(&self, items: &mut [I], body: &(impl Fn(&mut I, &mut Worker<T>) + Sync)) {
        self.team.for_each(items, &|thread, item| self.with(thread, |worker| body(item, worker)));
    }

    /// Calls `work`, and returns what it does when `body` was called on each item as well, by threads that would have waited meanwhile.
    /// An item should be short, and most go to the same thread each time.
    ///
    /// # Panics
    /// If `work` or a `body` does, when no thread works for this call any more.
    pub(super) fn meanwhile<I: Send, R>(
        &self,
        items: &mut [I],
        body: &(impl Fn(&mut I, &mut Worker<T>) + Sync),
        work: impl FnOnce() -> R,
    ) -> R {
        self.team.meanwhile(items, &|thread, item| self.with(thread, |worker| body(item, worker)), work)
    }

    /// Calls `body` with the worker of the caller's thread.
    pub(super) fn with_worker<R>(&self, body: impl FnOnce(&mut Worker<T>) -> R) -> R {
        self.with(0, body)
    }

    /// Calls `body` with a worker: the thread's own, whose lock nobody contends for, except within another `body`. That
    /// one gets a new worker, because the thread's own is lent already.
    fn with<R>(&self, thread: usize, body: impl FnOnce(&mut Worker<T>) -> R) -> R {
        match self.workers[thread].try_lock() {
            Ok(mut worker) => body(&mut worker),
            // Poisoned only means that a kernel panicked before; a worker's buffers hold nothing that outlives a shard.
            Err(TryLockError::Poisoned(worker)) => body(&mut worker.into_inner()),
            Err(TryLockError::WouldBlock) => body(&mut Worker::default()),
        }
    }
}
