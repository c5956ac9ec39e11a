//! Cutting an epoch into batches.

use crate::error::{Error, Result};
use crate::shuffle;

/// How to cut `count` examples into batches, epoch after epoch.
///
/// ```
/// use mnist_data::Batches;
///
/// let batches = Batches::new(10, 4)?.shuffled(42);
/// let epoch = batches.epoch(0);
/// let sizes: Vec<usize> = epoch.iter().map(|indices| indices.len()).collect();
/// assert_eq!(sizes, [4, 4, 2]);
/// assert_eq!(epoch, batches.epoch(0));
/// assert_ne!(epoch, batches.epoch(1));
/// # Ok::<(), mnist_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batches {
    count: usize,
    size: usize,
    seed: Option<u64>,
    drop_last: bool,
}

impl Batches {
    /// Batches of `size` examples in their given order; the last has what is left over.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size of 0.
    pub fn new(count: usize, size: usize) -> Result<Batches> {
        if size == 0 {
            return Err(Error::argument("batch size", "at least 1", size));
        }
        Ok(Batches { count, size, seed: None, drop_last: false })
    }

    /// Shuffles the examples anew for each epoch: epoch `e` has the order of
    /// [`permutation(count, seed, e)`](shuffle::permutation), whichever epochs were asked for before.
    pub fn shuffled(self, seed: u64) -> Batches {
        Batches { seed: Some(seed), ..self }
    }

    /// Leaves out a last batch that is not full.
    pub fn drop_last(self, drop_last: bool) -> Batches {
        Batches { drop_last, ..self }
    }

    /// How many batches an epoch has.
    pub fn len(&self) -> usize {
        if self.drop_last { self.count / self.size } else { self.count.div_ceil(self.size) }
    }

    /// Whether an epoch has no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches of one epoch.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let mut order = match self.seed {
            Some(seed) => shuffle::permutation(self.count, seed, epoch),
            None => (0..self.count).collect(),
        };
        order.truncate(self.len().saturating_mul(self.size));
        Epoch { order, size: self.size }
    }
}

/// One epoch's batches: slices of example indices, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    order: Vec<usize>,
    size: usize,
}

impl Epoch {
    /// Batch after batch.
    pub fn iter(&self) -> std::slice::Chunks<'_, usize> {
        self.order.chunks(self.size)
    }

    /// All indices, one batch after the other.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

impl<'a> IntoIterator for &'a Epoch {
    type Item = &'a [usize];
    type IntoIter = std::slice::Chunks<'a, usize>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
