//! Stopping from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nn_core::Scalar;

use crate::{BatchEnd, Callback, EpochEnd, Flow, Result, Trainable};

/// Stops after the current batch once a flag is set: by a signal handler, another thread, a button.
///
/// The updates made until then stay in the network, and `fit` returns as usual: its
/// [`ending`](crate::Fitted::ending) says that it was stopped, and where. Of an epoch that was not finished the history has
/// nothing. Measuring after an epoch is gone through with.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use nn_train::callbacks::Interrupt;
/// let flag = Arc::new(AtomicBool::new(false));
/// let interrupt = Interrupt::new(Arc::clone(&flag));
/// // Later, from anywhere:
/// flag.store(true, Ordering::Relaxed);
/// assert!(interrupt.is_set());
/// ```
#[derive(Debug, Clone)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
}

impl Interrupt {
    /// Stops once this is `true`.
    pub fn new(flag: Arc<AtomicBool>) -> Self {
        Self { flag }
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }
}

impl<T: Scalar> Callback<T> for Interrupt {
    fn on_batch_end(&mut self, _: &BatchEnd<'_>, _: &mut dyn Trainable<T>) -> Result<Flow> {
        Ok(Flow::stop_if(self.is_set()))
    }

    fn on_epoch_end(&mut self, _: &mut EpochEnd<'_>, _: &mut dyn Trainable<T>) -> Result<Flow> {
        Ok(Flow::stop_if(self.is_set()))
    }
}
