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

    #[test]
    fn subjects_take_turns_and_the_first_two_rounds_do_not_count() -> Result<(), Failure> {
        let order = std::cell::RefCell::new(Vec::new());
        let subject = |name: char| -> Take<'_> {
            let order = &order;
            Box::new(move |seconds| {
                order.borrow_mut().push(name);
                let place = order.borrow().len() as f64;
                seconds.push(place);
                Ok(Some(place))
            })
        };
        let taken = in_turns(&mut [subject('a'), subject('b')], 2)?;
        assert_eq!(order.take().iter().collect::<String>(), "abababab");
        let found: Vec<_> = taken.iter().map(|t| (t.seconds.count, t.seconds.min, t.loss)).collect();
        assert_eq!(found, [(2, 5.0, Some(7.0)), (2, 6.0, Some(8.0))]);
        Ok(())
    }
}
