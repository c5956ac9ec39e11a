//! Taking times: all subjects in turns, so that what drifts hits them alike.

use std::time::Instant;

use serde::Serialize;

use crate::failure::Failure;

/// Rounds before those that count: the first compiles the plan, allocates its memory and fills the caches; after the second it is
/// known what is measured again and again after a step, which is then computed but once.
pub(super) const WARM_UP_ROUNDS: usize = 2;

/// Calls something once, adds the seconds that it measured, for one call or for each of many, and gives back the last
/// loss, where there is one.
pub(super) type Take<'a> = Box<dyn FnMut(&mut Vec<f64>) -> Result<Option<f64>, Failure> + 'a>;

/// What came of measuring one subject.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) seconds: Seconds,
    /// The loss that the last call reported. Backends that did the same work agree on it but for rounding.
    pub(super) loss: Option<f64>,
}

/// Measures all subjects in `repeat` rounds A B C A B C …
pub(super) fn in_turns(subjects: &mut [Take<'_>], repeat: usize) -> Result<Vec<Taken>, Failure> {
    let mut taken = vec![(Vec::new(), None); subjects.len()];
    for round in 0..WARM_UP_ROUNDS + repeat {
        for (subject, (seconds, loss)) in subjects.iter_mut().zip(&mut taken) {
            *loss = subject(seconds)?;
            if round < WARM_UP_ROUNDS {
                seconds.clear();
            }
        }
    }
    Ok(taken.into_iter().map(|(seconds, loss)| Taken { seconds: Seconds::of(seconds), loss }).collect())
}

/// The same for groups of so many subjects, one after the other. Subjects that are other things altogether belong in groups of their own:
/// by turns, each call would find another one's data in the caches, and threads asleep that the other left idle.
pub(super) fn group_by_group(
    mut subjects: &mut [Take<'_>],
    groups: impl IntoIterator<Item = usize>,
    repeat: usize,
) -> Result<Vec<Taken>, Failure> {
    let mut taken = Vec::with_capacity(subjects.len());
    for len in groups {
        let (group, rest) = subjects.split_at_mut(len);
        taken.append(&mut in_turns(group, repeat)?);
        subjects = rest;
    }
    Ok(taken)
}

/// What a call gives back, and its seconds.
pub(super) fn timed<R>(call: impl FnOnce() -> R) -> (R, f64) {
    let start = Instant::now();
    let result = call();
    let seconds = start.elapsed().as_secs_f64();
    (result, seconds)
}

/// The times of repeated calls, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Seconds {
    /// How many were taken.
    pub(super) count: usize,
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) mean: f64,
    /// What 99 of 100 calls did not exceed.
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Seconds {
    /// Of times that were taken.
    pub(super) fn of(mut taken: Vec<f64>) -> Self {
        taken.sort_by(f64::total_cmp);
        let count = taken.len();
        // The smallest time that at least this share of all times does not exceed.
        let quantile = |share: f64| {
            let rank = (share * count as f64).ceil() as usize;
            taken.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        Self {
            count,
            min: quantile(0.0),
            median: quantile(0.5),
            mean: taken.iter().sum::<f64>() / count as f64,
            p99: quantile(0.99),
            max: quantile(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_taken() {
        let hundred = Seconds::of((1..=100).rev().map(f64::from).collect());
        let expected = Seconds { count: 100, min: 1.0, median: 50.0, mean: 50.5, p99: 99.0, max: 100.0 };
        assert_eq!(hundred, expected);
        let one = Seconds::of(vec![2.0]);
        assert_eq!((one.min, one.median, one.p99, one.max), (2.0, 2.0, 2.0, 2.0));
    }

    /// A subject whose times are the places of its calls among all that are noted.
    fn subject(name: char, order: &std::cell::RefCell<String>) -> Take<'_> {
        Box::new(move |seconds| {
            order.borrow_mut().push(name);
            let place = order.borrow().len() as f64;
            seconds.push(place);
            Ok(Some(place))
        })
    }

    #[test]
    fn groups_follow_each_other_and_take_turns_within() -> Result<(), Failure> {
        let order = std::cell::RefCell::default();
        let mut subjects = ['a', 'b', 'c'].map(|name| subject(name, &order));
        let taken = group_by_group(&mut subjects, [1, 2], 1)?;
        assert_eq!(order.take(), "aaabcbcbc");
        let found: Vec<_> = taken.iter().map(|t| t.seconds.min).collect();
        assert_eq!(found, [3.0, 8.0, 9.0]);
        Ok(())
    }

    #[test]
    fn subjects_take_turns_and_the_first_two_rounds_do_not_count() -> Result<(), Failure> {
        let order = std::cell::RefCell::default();
        let taken = in_turns(&mut [subject('a', &order), subject('b', &order)], 2)?;
        assert_eq!(order.take(), "abababab");
        let found: Vec<_> = taken.iter().map(|t| (t.seconds.count, t.seconds.min, t.loss)).collect();
        assert_eq!(found, [(2, 5.0, Some(7.0)), (2, 6.0, Some(8.0))]);
        Ok(())
    }
}
