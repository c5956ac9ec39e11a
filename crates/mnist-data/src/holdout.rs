//! Holding back part of the training examples for validation.

use crate::error::{Error, Result};
use crate::{Labels, shuffle};

/// Which examples to train on and which to validate with: two lists of indices without a common element
/// that together hold every example.
///
/// A `fraction` is that of the validation examples, `0 ≤ fraction < 1`; of `n` examples
/// `⌊n · (1 − fraction)⌋` are for training, computed in `f64`, as Keras does for `validation_split`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdout {
    /// Indices of the training examples, rising.
    pub train: Vec<usize>,
    /// Indices of the validation examples, rising.
    pub validation: Vec<usize>,
}

impl Holdout {
    /// The last `fraction` of `count` examples validates, whatever their order is.
    ///
    /// ```
    /// use mnist_data::Holdout;
    ///
    /// let holdout = Holdout::last(10, 0.25)?;
    /// assert_eq!(holdout.train, [0, 1, 2, 3, 4, 5, 6]);
    /// assert_eq!(holdout.validation, [7, 8, 9]);
    /// # Ok::<(), mnist_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a fraction outside [0, 1).
    pub fn last(count: usize, fraction: f64) -> Result<Holdout> {
        let cut = train_count(count, fraction)?;
        Ok(Holdout { train: (0..cut).collect(), validation: (cut..count).collect() })
    }

    /// A random `fraction` of `count` examples validates; the same seed chooses the same ones.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a fraction outside [0, 1).
    pub fn shuffled(count: usize, fraction: f64, seed: u64) -> Result<Holdout> {
        let cut = train_count(count, fraction)?;
        let mut order = shuffle::permutation(count, seed, 0);
        Ok(Holdout::sorted(order.split_off(cut), order))
    }

    /// A random `fraction` of every class validates, so that both parts have the classes in the same
    /// proportions, up to one example of each. The total is that of the other ways to split: classes with the largest remainder
    /// give one example more (the lower class wins a tie).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a fraction outside [0, 1).
    pub fn stratified(labels: &Labels, fraction: f64, seed: u64) -> Result<Holdout> {
        let wanted = labels.len() - train_count(labels.len(), fraction)?;
        let mut members = vec![Vec::new(); labels.class_count()];
        for (index, &class) in labels.classes().iter().enumerate() {
            members[usize::from(class)].push(index);
        }
        let shares = shares(&members, wanted, labels.len());
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for (class, (mut indices, share)) in members.into_iter().zip(shares).enumerate() {
            shuffle::shuffle(&mut indices, seed, class as u64);
            train.extend(indices.split_off(share));
            validation.extend(indices);
        }
        Ok(Holdout::sorted(validation, train))
    }

    fn sorted(mut validation: Vec<usize>, mut train: Vec<usize>) -> Holdout {
        train.sort_unstable();
        validation.sort_unstable();
        Holdout { train, validation }
    }
}

fn train_count(count: usize, fraction: f64) -> Result<usize> {
    if !(0.0..1.0).contains(&fraction) {
        return Err(Error::argument("validation fraction", "at least 0 and below 1", fraction));
    }
    Ok((count as f64 * (1.0 - fraction)).floor() as usize)
}

/// How many of each class to hold back, `wanted` in all of `count`: the exact share rounded down, and
/// one more for the largest remainders. Integers throughout, so that no rounding decides.
fn shares(members: &[Vec<usize>], wanted: usize, count: usize) -> Vec<usize> {
    let exact = |m: &Vec<usize>| m.len() as u128 * wanted as u128;
    let whole = count.max(1) as u128;
    let mut shares: Vec<usize> = members.iter().map(|m| (exact(m) / whole) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..members.len()).collect();
    by_remainder.sort_by_key(|&c| std::cmp::Reverse(exact(&members[c]) % whole));
    let missing = wanted - shares.iter().sum::<usize>();
    for &class in by_remainder.iter().take(missing) {
        shares[class] += 1;
    }
    shares
}
