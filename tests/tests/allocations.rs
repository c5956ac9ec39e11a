//! After the first steps, nothing is allocated: neither by the caller nor by any of the session's threads.
#![allow(unsafe_code)] // A global allocator that counts; there is no other way to see every allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use nn_core::Result;
use nn_core::backend::Backend;
use nn_core::backend::simd::Simd;
use nn_core::exec::SessionOptions;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, Rows, SparseBytes};
use nn_core::metrics::Metric;
use nn_core::models::{Compile, Network, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_tests::digits::{Digits, Form};
use nn_tests::random::Rng;

/// Rows of a full batch: more than ten shards, in several lanes, so that threads share them and sums are added up. A
/// number of whole mini-batches.
const ROWS: usize = 3000;

/// Rows of a mini-batch.
const BATCH: usize = 50;

/// Units of the hidden layer: enough for the first layer's update and its sums to be spread over two threads.
const HIDDEN: usize = 128;

/// How often a repetition without an allocation is tried for. A thread allocates its buffers when it first has work of a
/// kind, which on a loaded machine may be late, but happens only a few times; what is allocated in every step, or every few,
/// leaves no repetition without.
const TRIES: usize = 20;

/// The system's allocator, and a count of what is asked of it on all threads.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether the next allocation is to leave its backtrace, which is cleared by taking it.
static WATCHED: AtomicBool = AtomicBool::new(false);

static SEEN: Mutex<Option<Backtrace>> = Mutex::new(None);

fn count() {
    COUNT.fetch_add(1, SeqCst);
    // Taking a backtrace allocates, too: only one is taken, so this does not call itself without end.
    if WATCHED.swap(false, SeqCst) {
        let trace = Backtrace::force_capture();
        *SEEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(trace);
    }
}

// SAFETY: every method passes its arguments on to the system's allocator and returns what that returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Repeats `body` until it allocates nothing, or says where it does.
fn comes_to_allocate_nothing(what: &str, mut body: impl FnMut() -> Result<()>) -> Result<()> {
    let mut counts = Vec::with_capacity(TRIES);
    for try_number in 1..=TRIES {
        WATCHED.store(try_number == TRIES, SeqCst);
        let before = COUNT.load(SeqCst);
        let done = body();
        let allocations = COUNT.load(SeqCst) - before;
        WATCHED.store(false, SeqCst);
        done?;
        if allocations == 0 {
            return Ok(());
        }
        counts.push(allocations);
    }
    let trace = SEEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    panic!("{what}: allocations in each repetition: {counts:?}; the first of the last one:\n{trace:#?}");
}

fn network(optimizer: Optimizer, options: SessionOptions<f32>) -> Result<Network<f32>> {
    let compile = Compile::new(optimizer, Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy);
    Sequential::new(784)
        .add(Dense::new(HIDDEN).activation(Activation::Tanh))
        .add(Dense::new(10).activation(Nonlinearity::Softmax))
        .compile(compile, options)
}

/// What all cases share.
struct Cases {
    digits: Digits<f32>,
    /// Row numbers in shuffled order, and the labels in that order.
    order: Vec<u32>,
    labels: Vec<i32>,
}

impl Cases {
    fn new(form: Form) -> Self {
        let digits = Digits::train(ROWS, form);
        let mut order: Vec<u32> = (0..ROWS as u32).collect();
        let mut random = Rng(1);
        for i in (1..ROWS).rev() {
            order.swap(i, random.below(i + 1));
        }
        let labels = order.iter().map(|&row| digits.labels()[row as usize]).collect();
        Self { digits, order, labels }
    }

    fn full(&self, network: &mut Network<f32>) -> Result<()> {
        network.train_on_batch(self.digits.x(), self.digits.labels()).map(drop)
    }

    fn mini(&self, network: &mut Network<f32>) -> Result<()> {
        for (rows, labels) in self.order.chunks(BATCH).zip(self.labels.chunks(BATCH)) {
            network.train_on_batch(self.digits.x().select(Rows::List(rows))?, labels)?;
        }
        Ok(())
    }

    fn predict(&self, network: &mut Network<f32>) -> Result<()> {
        network.predict_on_batch(self.digits.x())?;
        network.predict_on_batch(self.digits.x().slice(7, 1)).map(drop)
    }
}

/// A step, and what it is worth on the same rows, which shares the next step's computation.
fn step_and_test(network: &mut Network<f32>, x: InputRef<'_, f32>, labels: &[i32]) -> Result<()> {
    network.train_on_batch(x, labels)?;
    network.test_on_batch(x, labels).map(drop)
}

/// A batch of bytes in which every column is lit, after batches in which few are.
fn other_rows_need_no_more(backend: &Arc<dyn Backend<f32>>) -> Result<()> {
    let pixels: Vec<u8> =
        (0..2 * BATCH * 784).map(|at| u8::from(at >= BATCH * 784 || at % 784 < 40)).collect();
    let labels = Rng(4).classes(BATCH, 10);
    let options = SessionOptions { threads: 1, ..SessionOptions::new(Arc::clone(backend)) };
    let mut network = network(Optimizer::sgd(0.1), options)?;
    let x = InputRef::bytes(&pixels, 2 * BATCH, 784, 255.0)?;
    let mut step = |first| network.train_on_batch(x.slice(first, BATCH), &labels).map(drop);
    comes_to_allocate_nothing("bytes in a few columns", || step(0))?;
    let before = COUNT.load(SeqCst);
    step(BATCH)?;
    assert_eq!(COUNT.load(SeqCst) - before, 0, "allocations for bytes in all columns");
    Ok(())
}

/// In one test, because allocations are counted on all threads.
#[test]
fn training_and_predicting_come_to_allocate_nothing() -> Result<()> {
    let backend: Arc<dyn Backend<f32>> = Arc::new(Simd::detect());
    let pixels = Rng(2).pixels(ROWS * 784);
    let (data, labels) = (SparseBytes::new(&pixels, ROWS, 784, 255.0)?, Rng(3).classes(ROWS, 10));
    let mut sharing = network(Optimizer::adam(0.001), SessionOptions::new(Arc::clone(&backend)))?;
    comes_to_allocate_nothing("steps and tests on the same rows", || {
        step_and_test(&mut sharing, InputRef::sparse_bytes(&data), &labels)
    })?;
    other_rows_need_no_more(&backend)?;
    for form in Form::ALL {
        let cases = Cases::new(form);
        for optimizer in [Optimizer::sgd(0.1), Optimizer::adam(0.001)] {
            for threads in [1, 2] {
                let what = format!("{form:?} input, {optimizer:?}, {threads} threads");
                let options = SessionOptions { threads, ..SessionOptions::new(Arc::clone(&backend)) };
                let mut network = network(optimizer.clone(), options)?;
                comes_to_allocate_nothing(&format!("full batch, {what}"), || cases.full(&mut network))?;
                comes_to_allocate_nothing(&format!("mini-batches, {what}"), || cases.mini(&mut network))?;
                comes_to_allocate_nothing(&format!("predict, {what}"), || cases.predict(&mut network))?;
            }
        }
    }
    Ok(())
}
