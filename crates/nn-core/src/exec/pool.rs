//! The executor's threads: started once, owned by the session.

use std::sync::Mutex;

use crate::matrix::{AlignedBuf, Scratch};
use crate::{Error, Result, Scalar};

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

/// A fixed number of threads, each with its [`Worker`]. With one thread, everything runs on the caller's.
#[derive(Debug)]
pub(super) struct Pool<T> {
    threads: Option<rayon_core::ThreadPool>,
    /// One per thread; the last is the caller's.
    workers: Vec<Mutex<Worker<T>>>,
}

impl<T: Scalar> Pool<T> {
    /// A pool of `threads` threads.
    pub(super) fn new(threads: usize) -> Result<Self> {
        if threads == 0 {
            return Err(Error::invalid("threads: expected 1 or more, found 0"));
        }
        let pool = (threads > 1)
            .then(|| {
                rayon_core::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .thread_name(|i| format!("nn-{i}"))
                    .build()
            })
            .transpose()
            .map_err(|e| Error::unavailable(format_args!("threads: {threads} could not be started: {e}")))?;
        let workers = if threads > 1 { threads + 1 } else { 1 };
        Ok(Self { threads: pool, workers: (0..workers).map(|_| Mutex::default()).collect() })
    }

    /// How many threads compute.
    pub(super) fn threads(&self) -> usize {
        self.threads.as_ref().map_or(1, rayon_core::ThreadPool::current_num_threads)
    }

    /// Calls `body` on each item, spread over the threads when there is more than one item. Returns when all are done.
    pub(super) fn for_each<I: Send>(&self, items: &mut [I], body: &(impl Fn(&mut I, &mut Worker<T>) + Sync)) {
        match (&self.threads, items.len()) {
            (Some(threads), 2..) => threads.install(|| self.halve(items, body)),
            _ => items.iter_mut().for_each(|item| self.with_worker(|worker| body(item, worker))),
        }
    }

    fn halve<I: Send>(&self, items: &mut [I], body: &(impl Fn(&mut I, &mut Worker<T>) + Sync)) {
        match items {
            [] => {}
            [item] => self.with_worker(|worker| body(item, worker)),
            _ => {
                let (left, right) = items.split_at_mut(items.len() / 2);
                rayon_core::join(|| self.halve(left, body), || self.halve(right, body));
            }
        }
    }

    /// Calls `body` with the current thread's worker.
    pub(super) fn with_worker<R>(&self, body: impl FnOnce(&mut Worker<T>) -> R) -> R {
        let own = rayon_core::current_thread_index()
            .filter(|&i| self.threads.is_some() && i + 1 < self.workers.len());
        let worker = &self.workers[own.unwrap_or(self.workers.len() - 1)];
        // A poisoned worker only means that a kernel panicked before; its buffers hold nothing that outlives a shard.
        let mut guard = worker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        body(&mut guard)
    }
}
