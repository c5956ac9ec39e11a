//! Rows with what they belong to.

use nn_core::Scalar;
use nn_core::matrix::{InputRef, Rows};
use nn_core::models::{Batch, Target};
use smallvec::SmallVec;

use crate::{Error, Result};

/// Examples: rows for each input of a network, in any of their forms, a target for each of its outputs, and, where rows
/// don't count alike, a weight for each. It borrows; a clone copies no row.
///
/// ```
/// use nn_core::matrix::InputRef;
/// use nn_train::Dataset;
/// let x = InputRef::bytes(&[0, 255, 51, 0], 2, 2, 255.0f32)?;
/// let data = Dataset::new(x, &[7, 2])?;
/// assert_eq!(data.rows(), 2);
/// assert!(Dataset::new(x, &[7]).is_err());
/// let mostly_the_first = data.weighted(&[1.0, 0.25])?;
/// # Ok::<(), nn_train::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dataset<'a, T> {
    /// All rows of the data, of which this takes `rows` from `first` on.
    inputs: Vec<InputRef<'a, T>>,
    targets: Vec<Target<'a, T>>,
    /// Of the rows that this takes.
    weights: Option<&'a [T]>,
    first: usize,
    rows: usize,
}

impl<'a, T: Scalar> Dataset<'a, T> {
    /// All rows of `x`, with their classes: for one input and one output.
    ///
    /// # Errors
    /// As those of [`of`](Self::of).
    pub fn new(x: InputRef<'a, T>, classes: &'a [i32]) -> Result<Self> {
        Self::of(&[x], &[Target::Classes(classes)])
    }

    /// Rows for each input, in the network's order, and a target for each output, in the network's order.
    ///
    /// ```
    /// use nn_core::matrix::{InputRef, MatRef};
    /// use nn_core::models::Target;
    /// use nn_train::Dataset;
    /// let pixels = InputRef::bytes(&[0, 255, 51, 0], 2, 2, 255.0f32)?;
    /// let ages = InputRef::dense(MatRef::new(&[30.0, 61.0], 2, 1)?);
    /// let wages = InputRef::dense(MatRef::new(&[2.5, 3.25], 2, 1)?);
    /// let data = Dataset::of(&[pixels, ages], &[Target::Classes(&[7, 2]), Target::Values(wages)])?;
    /// assert_eq!((data.inputs().len(), data.targets().len()), (2, 2));
    /// # Ok::<(), nn_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no input or no target, if their numbers of rows differ, if one is a selection of some rows of its
    /// data, or if there are more than 2³² rows.
    pub fn of(inputs: &[InputRef<'a, T>], targets: &[Target<'a, T>]) -> Result<Self> {
        let Some(first) = inputs.first().filter(|_| !targets.is_empty()) else {
            return Err(Error::invalid(format_args!(
                "data set: expected at least one input and one target, found {} and {}",
                inputs.len(),
                targets.len()
            )));
        };
        let rows = first.rows();
        let kinds = [("input", inputs.len()), ("target", targets.len())];
        let sizes = inputs.iter().map(InputRef::rows).chain(targets.iter().map(Target::rows));
        let names = kinds.into_iter().flat_map(|(kind, n)| (0..n).map(move |i| (kind, i)));
        for ((kind, i), found) in names.zip(sizes) {
            if found != rows {
                return Err(Error::invalid(format_args!(
                    "data set: expected as many rows everywhere, found {rows} in input 0 and {found} in {kind} {i}"
                )));
            }
        }
        if u32::try_from(rows).is_err() {
            return Err(Error::invalid(format_args!("data set: {rows} rows are more than 2³²")));
        }
        let values = targets.iter().filter_map(|target| match target {
            Target::Values(values) => Some(values),
            _ => None,
        });
        if !inputs.iter().chain(values).all(is_whole) {
            return Err(Error::invalid(
                "data set: expected all rows of the data in their order, found a selection of them; batches select \
                 rows by their number in the data",
            ));
        }
        Ok(Self { inputs: inputs.into(), targets: targets.into(), weights: None, first: 0, rows })
    }

    /// With a weight for each row: how much its loss counts, where it counts 1 otherwise.
    ///
    /// # Errors
    /// If there is not one weight per row, or one is negative or not finite.
    pub fn weighted(self, weights: &'a [T]) -> Result<Self> {
        if weights.len() != self.rows {
            return Err(Error::invalid(format_args!(
                "data set: expected one weight per row, found {} rows and {} weights",
                self.rows,
                weights.len()
            )));
        }
        let usable = |w: &T| w.is_finite() && *w >= T::zero();
        if let Some(row) = weights.iter().position(|w| !usable(w)) {
            return Err(Error::invalid(format_args!(
                "data set: expected weights that are finite and not negative, found {} for row {row}",
                weights[row]
            )));
        }
        Ok(Self { weights: Some(weights), ..self })
    }

    /// How many examples there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows for each input.
    pub fn inputs(&self) -> Vec<InputRef<'a, T>> {
        self.inputs.iter().map(|x| x.slice(self.first, self.rows)).collect()
    }

    /// The target of each output.
    pub fn targets(&self) -> Vec<Target<'a, T>> {
        self.targets.iter().map(|y| y.slice(self.first, self.rows)).collect()
    }

    /// The weight of each row; 1 for all if there are none.
    pub fn weights(&self) -> Option<&'a [T]> {
        self.weights
    }

    /// The rows of the first input: all there are, for most networks.
    pub fn x(&self) -> InputRef<'a, T> {
        self.inputs[0].slice(self.first, self.rows)
    }

    /// The class of each row, if there is one target and it is of classes.
    pub fn labels(&self) -> Option<&'a [i32]> {
        match self.targets[..] {
            [Target::Classes(classes)] => Some(&classes[self.first..self.first + self.rows]),
            _ => None,
        }
    }

    /// The examples before and from the last `fraction` of them on, as Keras' `validation_split` takes them: the first
    /// part has ⌊rows · (1 − fraction)⌋.
    ///
    /// # Errors
    /// If the fraction is not in (0, 1), or leaves either part empty.
    ///
    /// ```
    /// # use nn_core::matrix::InputRef;
    /// # use nn_train::Dataset;
    /// # let bytes = [0; 10];
    /// # let data = Dataset::new(InputRef::bytes(&bytes, 10, 1, 255.0f32)?, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
    /// let (train, validation) = data.split_last(0.25)?;
    /// assert_eq!((train.rows(), validation.labels()), (7, Some(&[7, 8, 9][..])));
    /// # Ok::<(), nn_train::Error>(())
    /// ```
    pub fn split_last(&self, fraction: f64) -> Result<(Self, Self)> {
        let rows = self.rows;
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::invalid(format_args!(
                "validation split: expected a fraction in (0, 1), found {fraction}"
            )));
        }
        let first = (rows as f64 * (1.0 - fraction)).floor() as usize;
        if first == 0 || first == rows {
            return Err(Error::invalid(format_args!(
                "validation split: {fraction} of {rows} rows leaves {first} for training and {} for validation; both \
                 need at least one",
                rows - first
            )));
        }
        Ok((self.part(0, first), self.part(first, rows - first)))
    }

    /// `len` examples from `start` on. Panics if they are not all there.
    fn part(&self, start: usize, len: usize) -> Self {
        assert!(start + len <= self.rows, "rows {start}..{} of {}", start + len, self.rows);
        Self {
            weights: self.weights.map(|w| &w[start..start + len]),
            first: self.first + start,
            rows: len,
            ..self.clone()
        }
    }

    /// All of it as one batch.
    pub(crate) fn whole(&self) -> Batch<'a, T> {
        self.batch(0, self.rows)
    }

    /// `len` examples from `start` on. Panics if they are not all there.
    pub(crate) fn batch(&self, start: usize, len: usize) -> Batch<'a, T> {
        let first = self.first + start;
        Batch {
            inputs: self.inputs.iter().map(|x| x.slice(first, len)).collect(),
            targets: self.targets.iter().map(|y| y.slice(first, len)).collect(),
            weights: self.weights.map(|w| &w[start..start + len]),
        }
    }

    /// The `len` examples with the first of these numbers, in this order; those that follow are likely to be the next ones. Inputs are not
    /// copied.
    pub(crate) fn select<'b>(&self, order: &[u32], len: usize, room: &'b mut Room<T>) -> Result<Batch<'b, T>>
    where
        'a: 'b,
    {
        let Room { rows, classes, weights } = room;
        rows.clear();
        // While this batch is learnt from, the next one may be multiplied already and the one after it prepared, which asks for the third.
        rows.extend(order.iter().take(4 * len).map(|&row| row + self.first as u32));
        let (picked, rows, list) = (&order[..len], &rows[..len], Rows::List(rows));
        classes.resize_with(self.targets.len(), Vec::new);
        let mut batch = Batch { inputs: SmallVec::new(), targets: SmallVec::new(), weights: None };
        for &x in &self.inputs {
            let x: InputRef<'b, T> = x;
            // Sliced, and not selected alone, so that the next rows are known.
            batch.inputs.push(x.select(list)?.slice(0, len));
        }
        for (target, buffer) in self.targets.iter().zip(classes) {
            batch.targets.push(target.select(rows, buffer)?);
        }
        if let Some(all) = self.weights {
            weights.clear();
            weights.extend(picked.iter().map(|&row| all[row as usize]));
            batch.weights = Some(weights);
        }
        Ok(batch)
    }
}

/// What selected rows are copied into, batch after batch.
#[derive(Debug, Default)]
pub(crate) struct Room<T> {
    rows: Vec<u32>,
    classes: Vec<Vec<i32>>,
    weights: Vec<T>,
}

/// Whether these are all rows of the data, in their order.
fn is_whole<T: Scalar>(x: &InputRef<'_, T>) -> bool {
    let rows = x.rows();
    let in_order = matches!(x.selection(), Rows::Range { start: 0, .. });
    in_order && x.select(Rows::Range { start: rows, len: 1 }).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn_core::matrix::MatRef;

    #[test]
    fn the_split_is_keras_own_and_never_leaves_a_part_empty() -> Result<()> {
        let (bytes, labels) = (vec![0u8; 60_000], vec![0; 60_000]);
        let data = Dataset::new(InputRef::bytes(&bytes, 60_000, 1, 255.0f64)?, &labels)?;
        // int(math.floor(60000 * (1.0 - split))), evaluated by Python.
        for (split, first) in [(0.05, 57_000), (0.1, 54_000), (0.2, 48_000), (0.3, 42_000), (0.99999, 0)] {
            match data.split_last(split) {
                Ok((train, validation)) => {
                    assert_eq!((train.rows(), validation.rows()), (first, 60_000 - first), "{split}");
                }
                Err(_) => assert_eq!(first, 0, "{split}"),
            }
        }
        for split in [0.0, 1.0, -0.1, f64::NAN, 1e-300] {
            assert!(data.split_last(split).is_err(), "{split}");
        }
        Ok(())
    }

    #[test]
    fn a_selection_of_rows_is_refused_because_batches_would_take_others() -> Result<()> {
        let x = InputRef::bytes(&[1, 2, 3, 4], 4, 1, 255.0f32)?;
        assert!(Dataset::new(x.slice(1, 2), &[0, 0]).is_err());
        assert!(Dataset::new(x.select(Rows::List(&[3, 2, 1, 0]))?, &[0; 4]).is_err());
        assert!(Dataset::of(&[x], &[Target::Values(x.select(Rows::List(&[3, 2, 1, 0]))?)]).is_err());
        assert!(Dataset::new(x, &[0; 4]).is_ok());
        Ok(())
    }

    #[test]
    fn parts_that_do_not_belong_together_are_named() -> Result<()> {
        let (two, three) = ([1u8, 2], [1u8, 2, 3]);
        let (x, other) = (InputRef::bytes(&two, 2, 1, 1.0f32)?, InputRef::bytes(&three, 3, 1, 1.0f32)?);
        let message = |data: Result<Dataset<'_, f32>>| data.err().map(|e| e.to_string()).unwrap_or_default();
        for (data, complaint) in [
            (Dataset::of(&[], &[Target::Classes(&[1])]), "found 0 and 1"),
            (Dataset::of(&[x], &[]), "found 1 and 0"),
            (Dataset::of(&[x, other], &[Target::Classes(&[1, 1])]), "found 2 in input 0 and 3 in input 1"),
            (Dataset::of(&[x], &[Target::Classes(&[1, 1]), Target::Values(other)]), "and 3 in target 1"),
            (Dataset::new(x, &[1]), "and 1 in target 0"),
            (Dataset::new(x, &[1, 1])?.weighted(&[1.0]), "2 rows and 1 weights"),
            (Dataset::new(x, &[1, 1])?.weighted(&[1.0, -0.5]), "found -0.5 for row 1"),
            (Dataset::new(x, &[1, 1])?.weighted(&[f32::NAN, 1.0]), "found NaN for row 0"),
        ] {
            let message = message(data);
            assert!(message.contains(complaint), "{message:?} for {complaint:?}");
        }
        Ok(())
    }

    /// Rows, classes, values and weights of a batch.
    fn contents(batch: &Batch<'_, f32>) -> Vec<(f32, i32, f32, f32)> {
        let [Target::Classes(classes), Target::Values(values)] = batch.targets[..] else { return Vec::new() };
        let cell = |x: &InputRef<'_, f32>, i| {
            let mut row = [0.0];
            x.write_row(i, &mut row);
            row[0]
        };
        let weight = |i: usize| batch.weights.map_or(1.0, |w| w[i]);
        (0..batch.rows())
            .map(|i| (cell(&batch.inputs[0], i), classes[i], cell(&values, i), weight(i)))
            .collect()
    }

    #[test]
    fn a_part_selects_its_own_rows_with_their_targets_and_weights() -> Result<()> {
        let numbers: Vec<f32> = (0..8u8).map(f32::from).collect();
        let classes: Vec<i32> = (0..8).collect();
        let x = InputRef::dense(MatRef::new(&numbers, 8, 1)?);
        let data = Dataset::of(&[x], &[Target::Classes(&classes), Target::Values(x)])?.weighted(&numbers)?;
        let (_, last) = data.split_last(0.5)?;
        let expected = |rows: &[u8]| -> Vec<_> {
            rows.iter().map(|&r| (f32::from(r), i32::from(r), f32::from(r), f32::from(r))).collect()
        };
        let mut room = Room::default();
        assert_eq!(contents(&last.select(&[3, 0, 0, 2], 3, &mut room)?), expected(&[7, 4, 4]));
        assert_eq!(contents(&last.select(&[1], 1, &mut room)?), expected(&[5]));
        assert_eq!(contents(&last.batch(1, 2)), expected(&[5, 6]));
        let (again, _) = last.split_last(0.25)?;
        assert_eq!(contents(&again.whole()), expected(&[4, 5, 6]));
        assert_eq!((data.labels(), last.weights()), (None, Some(&numbers[4..])));
        Ok(())
    }
}
