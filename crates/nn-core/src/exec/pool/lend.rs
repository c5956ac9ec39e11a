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
//! The same holds for what is done meanwhile ([`Team::meanwhile`]), with a share and a count of reports of its own: the caller gets no
//! further than its end before all of its numbers are taken and reported, whatever forks there are in between.
//!
//! **Sleeping.** A thread says that it sleeps, then looks at its share once more; the caller fills the share, then looks
//! whether the thread sleeps. All four are sequentially consistent, so at least one of the two sees what the other wrote,
//! and no wake-up is lost. The caller's own sleep, until the last report, follows the same pattern. Nobody is woken for what is
//! done meanwhile: it is for those who are awake.
#![allow(unsafe_code)] // Each block refers to the promise above.

use std::any::Any;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use core_affinity::CoreId;

use super::apart::Apart;
use super::done::{Done, locked};
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
    /// Whether something is done meanwhile. What another caller, or a body, wants done meanwhile comes after its own work then.
    has_spare: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    /// One for each thread, of which the caller's is the first.
    slots: Box<[Slot]>,
    done: Done,
    spare: Spare,
    patience: Patience,
    apart: Apart,
    /// What the first body that panicked said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// What one thread waits for, on cache lines of its own: two, because processors fetch them in pairs (x86-64) or have
/// lines of 128 bytes (some aarch64).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    offer: Offer,
    /// Whether the owner sleeps, or is about to.
    asleep: AtomicBool,
}

/// Numbers to be taken.
#[derive(Debug)]
struct Offer {
    share: Share,
    /// What to call with the numbers of this share. Here, because the line comes along with the share anyway.
    job: UnsafeCell<Job>,
}

/// What threads do while they would wait.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Spare {
    offer: Offer,
    /// What was done of it, by whomever.
    done: Done,
}

/// A closure whose type and lifetime were forgotten: `call(what, thread, item number)`.
#[derive(Debug, Clone, Copy)]
struct Job {
    what: *const (),
    call: unsafe fn(*const (), usize, usize),
}

// SAFETY: the share is Sync. The job is written by the one caller that `busy` admits, while no number is held,
// and read only with a number held. Taking a number comes after the write (release of `publish`, acquire of `take`);
// the next write comes after the number was reported (release of `report`, acquire of `wait`). What a job points to
// may be used from other threads: `for_each` and `meanwhile` demand it of their items and bodies. Of what is done meanwhile, all
// this holds with `has_spare`.
unsafe impl Sync for Offer {}
// SAFETY: as above; an offer is never taken apart, and dropping one drops no job.
unsafe impl Send for Offer {}

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
        let shared = Arc::new(Shared::new(slots, patience, apart));
        // Whoever leaves this function by an error drops the team, which ends the threads that were started.
        let mut team = Self::of(shared, Vec::with_capacity(threads - 1));
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

    fn of(shared: Arc<Shared>, threads: Vec<JoinHandle<()>>) -> Self {
        Self { shared, threads, busy: AtomicBool::new(false), has_spare: AtomicBool::new(false) }
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
        // Nobody has anything to report now, so this stands still.
        let before = shared.done.so_far();
        shared.apart.caller_is_here();
        let active = shared.slots.len().min(items.len());
        let bound = |t: usize| (u64::from(count) * t as u64 / active as u64) as u32;
        // The caller's own share comes last: whoever finds something in it can find its own before.
        for t in (0..active).rev() {
            let slot = &shared.slots[t];
            // SAFETY: all numbers of earlier forks are taken and reported; `busy` keeps other callers out, until all of this one are.
            unsafe { slot.offer.publish(work.job(), bound(t)..bound(t + 1)) };
            if t > 0 && slot.asleep.load(Ordering::SeqCst) {
                self.threads[t - 1].thread().unpark();
            }
        }
        let own = shared.work_as_caller();
        let all = before.wrapping_add(items.len() - own);
        while !shared.done.is(all) && shared.work_off_spare(0) {}
        shared.done.wait(all, shared.patience);
        let panic = locked(&shared.panic).take();
        self.busy.store(false, Ordering::Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls `work`, and returns what it does when `body(thread, item)` was called on each item as well: by threads that would else have
    /// waited, for a fork of `work` or for its join, and when `work` has ended by all. An item should be short: a fork may have to
    /// wait for one. The caller begins with the last item, the others begin with the first, so that most items are done by the same thread each time.
    /// Allocates nothing.
    ///
    /// With one thread, from within a body or an item, or while another caller does likewise, items come after `work`, on the caller's thread.
    ///
    /// # Panics
    /// If `work` or a body does, with what it said, when no thread works for this call any more. If `work` does, the items that nobody has begun are
    /// left out.
    pub fn meanwhile<I: Send, R>(
        &self,
        items: &mut [I],
        body: &(impl Fn(usize, &mut I) + Sync),
        work: impl FnOnce() -> R,
    ) -> R {
        let spread = match u32::try_from(items.len()) {
            Ok(count) if count > 0 && self.threads() > 1 => Some(count),
            _ => None,
        };
        match spread {
            Some(count) if !self.has_spare.swap(true, Ordering::Acquire) => {
                self.work_meanwhile(items, count, body, work)
            }
            _ => {
                let result = work();
                items.iter_mut().for_each(|item| body(0, item));
                result
            }
        }
    }

    /// Between the publication of the items and the last wait, nothing unwinds: `work` and the bodies are caught.
    fn work_meanwhile<I: Send, F: Fn(usize, &mut I) + Sync, R>(
        &self,
        items: &mut [I],
        count: u32,
        body: &F,
        work: impl FnOnce() -> R,
    ) -> R {
        let shared = &*self.shared;
        let Spare { offer, done } = &shared.spare;
        let spare = Work { items: items.as_mut_ptr(), body };
        let before = done.so_far();
        // SAFETY: all numbers of what was done meanwhile before are taken and reported; `has_spare` keeps other callers out, until all of
        // these are.
        unsafe { offer.publish(spare.job(), 0..count) };
        let result = catch_unwind(AssertUnwindSafe(work));
        if result.is_ok() {
            while shared.work_off_spare(0) {}
        } else {
            while offer.share.take_back().is_some() {
                done.report(1);
            }
        }
        done.wait(before.wrapping_add(items.len()), shared.patience);
        let panic = locked(&shared.panic).take();
        self.has_spare.store(false, Ordering::Release);
        match (result, panic) {
            (Ok(result), None) => result,
            (Err(panic), _) | (Ok(_), Some(panic)) => resume_unwind(panic),
        }
    }
}

impl<I: Send, F: Fn(usize, &mut I) + Sync> Work<'_, I, F> {
    /// Points to this, which has to live until the last number is reported.
    fn job(&self) -> Job {
        Job { what: std::ptr::from_ref(self).cast(), call: call::<I, F> }
    }
}

impl Offer {
    /// Offers numbers, to be called with the job.
    ///
    /// # Safety
    /// All numbers of earlier offers are taken and reported, and nobody else publishes one. What the job points to lives until all of these are,
    /// and they are items of it.
    unsafe fn publish(&self, job: Job, numbers: Range<u32>) {
        // SAFETY: nobody holds a number, so no thread reads the job now. `publish` makes it visible to whoever takes one.
        unsafe { *self.job.get() = job };
        self.share.publish(numbers.start, numbers.end);
    }
}

#[cfg(test)]
impl Team {
    /// A team of two whose other thread takes no notice of anything.
    pub(super) fn with_a_thread_that_never_comes() -> Self {
        let slots = [Slot::default(), Slot::default()].into();
        let shared = Shared::new(slots, Patience::new(2, 2), Apart::new(false));
        Self::of(Arc::new(shared), vec![thread::spawn(|| ())])
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for (slot, thread) in self.shared.slots[1..].iter().zip(self.threads.drain(..)) {
            slot.offer.share.close();
            thread.thread().unpark();
            // An error would be a panic outside of a body, which there is none of, and nothing is left to be done about it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn new(slots: Box<[Slot]>, patience: Patience, apart: Apart) -> Self {
        let (done, spare, panic) = (Done::default(), Spare::default(), Mutex::default());
        Self { slots, done, spare, patience, apart, panic }
    }

    /// The life of a thread that was started.
    fn serve(&self, thread: usize) {
        let slot = &self.slots[thread];
        loop {
            self.apart.keep_away();
            slot.wait(self.patience, &self.spare);
            if slot.offer.share.is_closed() {
                return;
            }
            loop {
                let own = self.work_off_own(thread);
                if own > 0 {
                    self.done.report(own);
                }
                if self.work_off_another(thread) {
                    self.done.report(1);
                } else if own == 0 && !self.work_off_spare(thread) {
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
        while let Some(number) = slot.offer.share.take_front() {
            self.call(&slot.offer, thread, number);
            count += 1;
        }
        count
    }

    /// Does the last item of the first share that has one, seen from the thread on.
    fn work_off_another(&self, thread: usize) -> bool {
        let (before, rest) = self.slots.split_at(thread);
        for slot in rest[1..].iter().chain(before) {
            if let Some(number) = slot.offer.share.take_back() {
                self.call(&slot.offer, thread, number);
                return true;
            }
        }
        false
    }

    /// Does an item of those that are to be done meanwhile, if there is one.
    fn work_off_spare(&self, thread: usize) -> bool {
        let Spare { offer, done } = &self.spare;
        let number = if thread == 0 { offer.share.take_back() } else { offer.share.take_front() };
        if let Some(number) = number {
            self.call(offer, thread, number);
            done.report(1);
        }
        number.is_some()
    }

    /// Does an item whose number was taken from the offer's share. What its body panics with is kept for the caller.
    fn call(&self, offer: &Offer, thread: usize, number: usize) {
        // SAFETY: the number is held, so no job is written. It is copied out because the call may last.
        let job = unsafe { *offer.job.get() };
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
}

impl Default for Offer {
    fn default() -> Self {
        fn nothing(_: *const (), _: usize, _: usize) {}
        let job = Job { what: std::ptr::null(), call: nothing };
        Self { share: Share::default(), job: UnsafeCell::new(job) }
    }
}

impl Slot {
    /// Waits until the offer has a number or is closed, or there is something to do meanwhile.
    fn wait(&self, patience: Patience, spare: &Spare) {
        let due = || self.offer.share.is_due() || spare.offer.share.is_due();
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
