//! What a model is trained and measured on, and what a measurement comes to.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::matrix::{InputRef, Rows};
use crate::{Result, Scalar};

/// What the rows of a batch belong to, for one output of a model.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Target<'a, T> {
    /// The class of each row.
    Classes(&'a [i32]),
    /// Numbers for each row: one-hot rows, probabilities, values to regress to.
    Values(InputRef<'a, T>),
}

impl<'a, T: Scalar> Target<'a, T> {
    /// How many rows there are targets for.
    pub fn rows(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Values(values) => values.rows(),
        }
    }

    /// Those of the rows `start .. start + len`. Panics if they are not all there.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(&classes[start..start + len]),
            Self::Values(values) => Self::Values(values.slice(start, len)),
        }
    }

    /// Those of the rows with these numbers, in this order; `rows` counts in the data set. Classes are copied into
    /// `buffer`, values stay where they are.
    ///
    /// # Errors
    /// If a row is not there.
    pub fn select<'b>(&self, rows: &'b [u32], buffer: &'b mut Vec<i32>) -> Result<Target<'b, T>>
    where
        'a: 'b,
    {
        match *self {
            Self::Classes(classes) => {
                Rows::List(rows).check(classes.len())?;
                buffer.clear();
                buffer.extend(rows.iter().map(|&row| classes[row as usize]));
                Ok(Target::Classes(buffer))
            }
            Self::Values(values) => {
                let values: InputRef<'b, T> = values;
                Ok(Target::Values(values.select(Rows::List(rows))?))
            }
        }
    }
}

impl<'a, T> From<&'a [i32]> for Target<'a, T> {
    fn from(classes: &'a [i32]) -> Self {
        Self::Classes(classes)
    }
}

impl<'a, T> From<InputRef<'a, T>> for Target<'a, T> {
    fn from(values: InputRef<'a, T>) -> Self {
        Self::Values(values)
    }
}

/// Rows for each input of a model, a target for each of its outputs, and, where rows don't count alike, a weight for each.
///
/// ```
/// use nn_core::matrix::{InputRef, MatRef};
/// use nn_core::models::Batch;
/// let pixels = [0.0, 1.0, 0.5, 0.25];
/// let x = InputRef::dense(MatRef::new(&pixels, 2, 2)?);
/// let batch = Batch::new(x, &[7, 2]).weighted(&[1.0, 0.5]);
/// assert_eq!(batch.rows(), 2);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batch<'a, T> {
    /// One for each input, in the model's order.
    pub inputs: SmallVec<[InputRef<'a, T>; 2]>,
    /// One for each output, in the model's order.
    pub targets: SmallVec<[Target<'a, T>; 2]>,
    /// How much each row's loss counts; 1 for all if there are none.
    pub weights: Option<&'a [T]>,
}

impl<'a, T: Scalar> Batch<'a, T> {
    /// Rows and their classes, for a classifier with one input and one output.
    pub fn new(x: InputRef<'a, T>, classes: &'a [i32]) -> Self {
        Self { inputs: smallvec![x], targets: smallvec![Target::Classes(classes)], weights: None }
    }

    /// Rows for each input, targets for each output.
    pub fn of(inputs: &[InputRef<'a, T>], targets: &[Target<'a, T>]) -> Self {
        Self { inputs: inputs.into(), targets: targets.into(), weights: None }
    }

    /// With a weight for each row.
    #[must_use]
    pub fn weighted(self, weights: &'a [T]) -> Self {
        Self { weights: Some(weights), ..self }
    }

    /// How many rows there are: those of the first input.
    pub fn rows(&self) -> usize {
        self.inputs.first().map_or(0, InputRef::rows)
    }
}

/// A figure that is the ratio of two sums over rows, so that the figures of batches can be added up to those of their rows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ratio {
    /// Σ of what is averaged: losses, hits.
    pub sum: f64,
    /// Over how many: rows, for most figures.
    pub count: f64,
}

impl Ratio {
    /// sum / count; 0 over nothing.
    pub fn value(self) -> f64 {
        if self.count == 0.0 { 0.0 } else { self.sum / self.count }
    }
}

/// What one batch, or several taken together, came to: a named figure each for the loss (the first) and every metric.
///
/// ```
/// use nn_core::models::{Figures, Ratio};
/// let names: std::sync::Arc<[String]> = ["loss".to_owned(), "accuracy".to_owned()].into();
/// let figures = |loss, hits, rows| {
///     Figures::new(&names, 1, [Ratio { sum: loss, count: rows }, Ratio { sum: hits, count: rows }])
/// };
/// let mut both = figures(0.5, 1.0, 1.0);
/// both.add(&figures(4.5, 1.0, 3.0));
/// assert_eq!((both.loss(), both.get("accuracy")), (1.25, Some(0.5)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    names: Arc<[String]>,
    rows: usize,
    ratios: SmallVec<[Ratio; 8]>,
}

impl Figures {
    /// Figures with these names, of a batch of `rows` rows.
    pub fn new(names: &Arc<[String]>, rows: usize, ratios: impl IntoIterator<Item = Ratio>) -> Self {
        Self { names: Arc::clone(names), rows, ratios: ratios.into_iter().collect() }
    }

    /// Those of no rows at all, to add others to.
    pub fn none(names: &Arc<[String]>) -> Self {
        Self::new(names, 0, names.iter().map(|_| Ratio::default()))
    }

    /// Takes the rows of `other` in. Both are figures of the same network.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        for (mine, theirs) in self.ratios.iter_mut().zip(&other.ratios) {
            mine.sum += theirs.sum;
            mine.count += theirs.count;
        }
    }

    /// How many rows were measured.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The mean loss, regularisers included.
    pub fn loss(&self) -> f64 {
        self.ratios.first().map_or(0.0, |ratio| ratio.value())
    }

    /// The figure with this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// All of them, the loss first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.names.iter().map(String::as_str).zip(self.ratios.iter().map(|ratio| ratio.value()))
    }
}
