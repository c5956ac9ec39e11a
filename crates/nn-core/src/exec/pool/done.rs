//! How many items are done, and waiting for them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::wait::Patience;

/// The items that were done, since ever; of forks, by others than the caller.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Done {
    items: AtomicUsize,
    /// Whether the caller sleeps until there are more.
    awaited: AtomicBool,
    lock: Mutex<()>,
    more: Condvar,
}

impl Done {
    /// How many there are now.
    pub(super) fn so_far(&self) -> usize {
        self.items.load(Ordering::Relaxed)
    }

    /// Says that so many items more are done. From here on, the thread holds none of them.
    pub(super) fn report(&self, items: usize) {
        // Release: what the bodies wrote is visible to the caller when it has seen the sum.
        self.items.fetch_add(items, Ordering::SeqCst);
        if self.awaited.load(Ordering::SeqCst) {
            // With the lock: the caller is past its last look, then, and waits.
            let _guard = locked(&self.lock);
            self.more.notify_one();
        }
    }

    /// Whether so many items were done since ever.
    pub(super) fn is(&self, items: usize) -> bool {
        self.items.load(Ordering::SeqCst) == items
    }

    /// Waits until so many were.
    pub(super) fn wait(&self, items: usize, patience: Patience) {
        if patience.until(|| self.is(items)) {
            return;
        }
        let mut guard = locked(&self.lock);
        self.awaited.store(true, Ordering::SeqCst);
        while !self.is(items) {
            guard = self.more.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.awaited.store(false, Ordering::SeqCst);
    }
}

/// What a mutex guards, whether a thread has panicked with it or not.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
