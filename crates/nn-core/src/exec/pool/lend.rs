//! Fork and join: a borrowed closure, lent to threads that outlive it.
//!
//! One of the three places where `unsafe` is allowed. Threads that live from fork to fork are `'static`; what they are to call
//! lives on the caller's stack. Only a promise that the compiler can't check makes that sound, so it is made here, once:
//!
//! **A thread reads the job and calls it only while it holds an item number that it took from a [`Share`] and has not
//! reported as done. The caller gets no further before all numbers are taken and reported.** So
//! - while a number is held, the caller is inside [`Team::for_each`]: the closure and the items that the job points to
//!   live, and no job is written;
//! - a number is taken once, so no two threads have the same item;
//! - a thread that comes too late finds no number, and nobody waits for it: a thread that sleeps, or lost its core to
//!   another process, holds up nothing that it has not begun.
//!
//! **Sleeping.** A thread says that it sleeps, then looks at its share once more; the caller fills the share, then looks
//! whether the thread sleeps. All four are sequentially consistent, so at least one of the two sees what the other wrote,
//! and no wake-up is lost. The caller's own sleep, until the last report, follows the same pattern.
#![allow(unsafe_code)] // Each block refers to the promise above.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use core_affinity::CoreId;

use super::apart::Apart;
use super::pin;
use super::share::Share;
use super::wait::Patience;
use crate::{Error, Result};

/// Threads that share the items of a slice among them, again and again.
///
/// Not part of the interface of this crate: public for the benchmark `fork_join`.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    /// All but the caller's.
    threads: Vec<JoinHandle<()>>,
    /// Whether a fork is under way. A second one, from within a body or another caller, runs where it was called.
    busy: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    /// One for each thread, of which the caller's is the first.
    slots: Box<[Slot]>,
    done: Done,
    patience: Patience,
    apart: Apart,
    /// What the first body that panicked said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// What one thread waits for, on cache lines of its own: two, because processors fetch them in pairs (x86-64) or have
/// lines of 128 bytes (some aarch64).
#[derive(Debug)]
#[repr(align(128))]
struct Slot {
    share: Share,
    /// Whether the owner sleeps, or is about to.
    asleep: AtomicBool,
    /// What to call with the numbers of this share. Here, because the line comes along with the share anyway.
    job: UnsafeCell<Job>,
}

/// The items that were done by others than the caller, since ever.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Done {
    items: AtomicUsize,
    /// Whether the caller sleeps until there are more.
    awaited: AtomicBool,
    lock: Mutex<()>,
    more: Condvar,
}

/// A closure whose type and lifetime were forgotten: `call(what, thread, item number)`.
#[derive(Debug, Clone, Copy)]
struct Job {
    what: *const (),
    call: unsafe fn(*const (), usize, usize),
}

// SAFETY: all fields but `job` are Sync. The job is written by the one caller that `busy` admits, while no number is held,
// and read only with a number held. Taking a number comes after the write (release of `publish`, acquire of `take`);
// the next write comes after the number was reported (release of `report`, acquire of `join`). What a job points to
// may be used from other threads: `for_each` demands it of its items and its body.
unsafe impl Sync for Slot {}
// SAFETY: as above; a slot is never taken apart, and dropping one drops no job.
unsafe impl Send for Slot {}

/// What a job points to.
struct Work<'a, I, F> {
    items: *mut I,
    body: &'a F,
}

/// Calls the body of a [`Work`] on one of its items.
///
/// # Safety
/// `work` points to a live `Work<I, F>`, the number is one of its items', and nobody else uses that item during the call.
unsafe fn call<I: Send, F: Fn(usize, &mut I) + Sync>(work: *const (), thread: usize, number: usize) {
    // SAFETY: the caller's promise.
    let work = unsafe { &*work.cast::<Work<'_, I, F>>() };
    // SAFETY: the number lies in the slice that `items` points to the beginning of, and is this call's alone.
    let item = unsafe { &mut *work.items.add(number) };
    (work.body)(thread, item);
}

impl Team {
    /// A team of `threads`, of which the caller is one.
    ///
    /// # Errors
    /// If there is none, or one can't be started.
    pub fn new(threads: usize) -> Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::start(threads, Patience::new(threads, cores), &[])
    }

    /// A team with thread `i` held on the `i`-th core that the caller may use.
    ///
    /// # Errors
    /// Those of [`Team::new`], if there are fewer cores than threads, and if the system does not hold a thread on a core.
    pub fn pinned(threads: usize) -> Result<Self> {
        let cores = pin::cores(threads)?;
        let team = Self::start(threads, Patience::new(threads, cores.len()), &cores)?;
        // Last, so that a caller whose team could not be made is as it was.
        pin::hold(0, cores[0])?;
        Ok(team)
    }

    fn start(threads: usize, patience: Patience, cores: &[CoreId]) -> Result<Self> {
        if threads == 0 {
            return Err(Error::invalid("threads: expected 1 or more, found 0"));
        }
        let slots = (0..threads).map(|_| Slot::default()).collect();
        let apart = Apart::new(cores.is_empty() && !patience.is_crowded());
        let shared =
            Arc::new(Shared { slots, done: Done::default(), patience, apart, panic: Mutex::default() });
        // Whoever leaves this function by an error drops the team, which ends the threads that were started.
        let mut team =
            Self { shared, threads: Vec::with_capacity(threads - 1), busy: AtomicBool::new(false) };
        for number in 1..threads {
            let (said, heard) = mpsc::channel();
            let (shared, core) = (Arc::clone(&team.shared), cores.get(number).copied());
            let run = move || {
                if let Some(core) = core {
                    // Whoever asked for the team waits for the answer; an error ends the team, and so this thread.
                    let _ = said.send(pin::hold(number, core));
                }
                shared.serve(number);
            };
            let started = thread::Builder::new().name(format!("nn-{number}")).spawn(run).map_err(|e| {
                Error::unavailable(format_args!(
                    "threads: number {number} of {threads} could not be started: {e}"
                ))
            })?;
            team.threads.push(started);
            if core.is_some() {
                heard.recv().unwrap_or_else(|_| {
                    Err(Error::unavailable(format_args!(
                        "threads: number {number} of {threads} ended at once"
                    )))
                })?;
            }
        }
        Ok(team)
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.shared.slots.len()
    }

    /// Calls `body(thread, item)` on each item and returns when all are done. Allocates nothing.
    ///
    /// Of n items, thread t first takes its own share of n/threads neighbours, front to back, so that an item of the same
    /// index is in the cache of the thread that had it the last time; then it takes from the back of the others'. With
    /// one thread or one item, from within a body, or while another caller forks, all runs on the caller's thread.
    ///
    /// # Panics
    /// If a body does, with what the first one said, when no thread works for this call any more. Where several threads
    /// work, all other items are done before.
    pub fn for_each<I: Send>(&self, items: &mut [I], body: &(impl Fn(usize, &mut I) + Sync)) {
        let spread = match u32::try_from(items.len()) {
            Ok(count) if count > 1 && self.threads() > 1 => Some(count),
            _ => None,
        };
        match spread {
            Some(count) if !self.busy.swap(true, Ordering::Acquire) => self.fork(items, count, body),
            _ => items.iter_mut().for_each(|item| body(0, item)),
        }
    }

    /// Publishes the items, takes part, waits for the rest. Between the first share that is published and the end of
    /// `join`, nothing unwinds: bodies are caught, and neither waking nor waiting panics.
    fn fork<I: Send, F: Fn(usize, &mut I) + Sync>(&self, items: &mut [I], count: u32, body: &F) {
        let shared = &*self.shared;
        let work = Work { items: items.as_mut_ptr(), body };
        let job = Job { what: (&raw const work).cast(), call: call::<I, F> };
        // Nobody has anything to report now, so this stands still.
        let before = shared.done.items.load(Ordering::Relaxed);
        shared.apart.caller_is_here();
        let active = shared.slots.len().min(items.len());
        let bound = |t: usize| (u64::from(count) * t as u64 / active as u64) as u32;
        // The caller's own share comes last: whoever finds something in it can find its own before.
        for t in (0..active).rev() {
            let slot = &shared.slots[t];
            // SAFETY: all numbers of earlier forks are taken and reported, so no thread reads a job now; `busy` keeps
            // other callers out. `publish` makes this visible to whoever takes a number.
            unsafe { *slot.job.get() = job };
            slot.share.publish(bound(t), bound(t + 1));
            if t > 0 && slot.asleep.load(Ordering::SeqCst) {
                self.threads[t - 1].thread().unpark();
            }
        }
        let own = shared.work_as_caller();
        shared.join(before.wrapping_add(items.len() - own));
        let panic = locked(&shared.panic).take();
        self.busy.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

#[cfg(test)]
impl Team {
    /// A team of two whose other thread takes no notice of anything.
    pub(super) fn with_a_thread_that_never_comes() -> Self {
        let slots = [Slot::default(), Slot::default()].into();
        let (done, patience, panic) = (Done::default(), Patience::new(2, 2), Mutex::default());
        let shared = Arc::new(Shared { slots, done, patience, apart: Apart::new(false), panic });
        Self { shared, threads: vec![thread::spawn(|| ())], busy: AtomicBool::new(false) }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for (slot, thread) in self.shared.slots[1..].iter().zip(self.threads.drain(..)) {
            slot.share.close();
            thread.thread().unpark();
            // An error would be a panic outside of a body, which there is none of, and nothing is left to be done about it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The life of a thread that was started.
    fn serve(&self, thread: usize) {
        let slot = &self.slots[thread];
        loop {
            self.apart.keep_away();
            slot.wait(self.patience);
            if slot.share.is_closed() {
                return;
            }
            loop {
                let own = self.work_off_own(thread);
                if own > 0 {
                    self.report(own);
                }
                if self.work_off_another(thread) {
                    self.report(1);
                } else if own == 0 {
                    break;
                }
            }
        }
    }

    /// The caller's part. Returns how many items it did; all are taken then, by it or by others.
    fn work_as_caller(&self) -> usize {
        let mut count = self.work_off_own(0);
        while self.work_off_another(0) {
            count += 1;
        }
        count
    }

    /// Does the items of the thread's own share, and says how many.
    fn work_off_own(&self, thread: usize) -> usize {
        let slot = &self.slots[thread];
        let mut count = 0;
        while let Some(number) = slot.share.take_front() {
            self.call(slot, thread, number);
            count += 1;
        }
        count
    }

    /// Does the last item of the first share that has one, seen from the thread on.
    fn work_off_another(&self, thread: usize) -> bool {
        let (before, rest) = self.slots.split_at(thread);
        for slot in rest[1..].iter().chain(before) {
            if let Some(number) = slot.share.take_back() {
                self.call(slot, thread, number);
                return true;
            }
        }
        false
    }

    /// Does an item whose number was taken from the slot's share. What its body panics with is kept for the caller.
    fn call(&self, slot: &Slot, thread: usize, number: usize) {
        // SAFETY: the number is held, so no job is written. It is copied out because the call may last.
        let job = unsafe { *slot.job.get() };
        // SAFETY: the number is held, so the job's work lives until it is reported; it was taken once, so its item is
        // nobody else's; and it is a number of this job, because both were published together.
        let called = catch_unwind(AssertUnwindSafe(|| unsafe { (job.call)(job.what, thread, number) }));
        if let Err(panic) = called {
            let mut kept = locked(&self.panic);
            if kept.is_none() {
                *kept = Some(panic);
            } else {
                // Dropping it might panic, which here would leave the caller waiting for ever.
                std::mem::forget(panic);
            }
        }
    }

    /// Says that so many items more are done. From here on, the thread holds none.
    fn report(&self, items: usize) {
        // Release: what the bodies wrote is visible to the caller when it has seen the sum.
        self.done.items.fetch_add(items, Ordering::SeqCst);
        if self.done.awaited.load(Ordering::SeqCst) {
            // With the lock: the caller is past its last look, then, and waits.
            let _guard = locked(&self.done.lock);
            self.done.more.notify_one();
        }
    }

    /// Waits until others have done so many items since ever.
    fn join(&self, items: usize) {
        let done = || self.done.items.load(Ordering::SeqCst) == items;
        if self.patience.until(done) {
            return;
        }
        let mut guard = locked(&self.done.lock);
        self.done.awaited.store(true, Ordering::SeqCst);
        while !done() {
            guard = self.done.more.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.done.awaited.store(false, Ordering::SeqCst);
    }
}

impl Default for Slot {
    fn default() -> Self {
        fn nothing(_: *const (), _: usize, _: usize) {}
        let job = Job { what: std::ptr::null(), call: nothing };
        Self { share: Share::default(), asleep: AtomicBool::new(false), job: UnsafeCell::new(job) }
    }
}

impl Slot {
    /// Waits until the share has a number or is closed.
    fn wait(&self, patience: Patience) {
        let due = || self.share.is_due();
        if patience.until(due) {
            return;
        }
        loop {
            self.asleep.store(true, Ordering::SeqCst);
            if due() {
                break;
            }
            // Returns without a reason at times, and at once when the caller came in between.
            thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
