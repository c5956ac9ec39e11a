//! Two ways to the same result, the quicker of which nobody can tell beforehand: it depends on how long a message takes from core to core,
//! and on what else the machine does. So both are tried, and timed, and then the quicker one is taken, until it is time to try again.

use std::time::{Duration, Instant};

/// How many calls of each way are a trial. The first ones find their data where the other way has left them, and threads asleep, which take
/// as long to wake as some ten calls of a few microseconds.
const TRIED: usize = 64;

/// How many of these are timed, the last ones: an odd number, so that one of them is in the middle.
const TIMED: usize = 15;

/// Calls from one trial to the next: so many that trials cost little (a 32nd of all calls goes the slower way), and so few that what
/// has changed shows within some milliseconds.
const PERIOD: usize = 32 * TRIED;

/// Which of two ways to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    First,
    Second,
}

/// What is known of two ways.
#[derive(Debug)]
pub(super) struct Trial {
    /// Number of the next call, counted from the beginning of the last trial on.
    call: usize,
    times: [[Duration; TIMED]; 2],
    quicker: Way,
}

impl Default for Trial {
    fn default() -> Self {
        Self { call: 0, times: [[Duration::ZERO; TIMED]; 2], quicker: Way::First }
    }
}

impl Trial {
    /// Does the work one way or the other.
    pub(super) fn run<R>(&mut self, work: impl FnOnce(Way) -> R) -> R {
        let (way, timed) = self.next();
        let Some(number) = timed else { return work(way) };
        let start = Instant::now();
        let result = work(way);
        self.took(way, number, start.elapsed());
        result
    }

    /// Which way the next call goes; and if it is timed, which of the times of this way it is.
    fn next(&mut self) -> (Way, Option<usize>) {
        let call = self.call;
        self.call = (call + 1) % PERIOD;
        let way = match call / TRIED {
            0 => Way::First,
            1 => Way::Second,
            _ => return (self.quicker, None),
        };
        (way, (call % TRIED).checked_sub(TRIED - TIMED))
    }

    /// Notes what a call took. After the last one of a trial it is decided: by the times in the middle, on which it has no influence if
    /// some calls were disturbed.
    fn took(&mut self, way: Way, number: usize, time: Duration) {
        self.times[way as usize][number] = time;
        if way == Way::Second && number == TIMED - 1 {
            let [first, second] = self.times.each_mut().map(|times| *times.select_nth_unstable(TIMED / 2).1);
            self.quicker = if second < first { Way::Second } else { Way::First };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes through a trial and what follows, with calls that take so many nanoseconds. Returns the ways of the calls after the trial.
    fn after_trial(trial: &mut Trial, nanos: impl Fn(Way, usize) -> u64) -> Vec<Way> {
        let mut ways = Vec::new();
        for call in 0..PERIOD {
            let (way, timed) = trial.next();
            if let Some(number) = timed {
                trial.took(way, number, Duration::from_nanos(nanos(way, number)));
            }
            if call < 2 * TRIED {
                assert_eq!(way, if call < TRIED { Way::First } else { Way::Second }, "call {call}");
            } else {
                assert_eq!(timed, None, "call {call}");
                ways.push(way);
            }
        }
        ways
    }

    #[test]
    fn the_quicker_way_is_taken_until_the_next_trial() {
        let mut trial = Trial::default();
        let costs = |first: u64, second: u64| move |way, _| if way == Way::First { first } else { second };
        for (first, second, expected) in
            [(5, 4, Way::Second), (5, 5, Way::First), (4, 5, Way::First), (9, 1, Way::Second)]
        {
            let ways = after_trial(&mut trial, costs(first, second));
            assert!(ways.len() == PERIOD - 2 * TRIED && ways.iter().all(|&way| way == expected), "{ways:?}");
        }
    }

    #[test]
    fn calls_that_were_disturbed_decide_nothing() {
        let nanos = |way, number: usize| match way {
            Way::First => 50,
            Way::Second if number < TIMED / 2 => 10_000,
            Way::Second => 40,
        };
        assert_eq!(after_trial(&mut Trial::default(), nanos)[0], Way::Second);
    }

    #[test]
    fn both_ways_are_gone_and_each_gives_its_result() {
        let mut trial = Trial::default();
        let ways: Vec<Way> = (0..2 * TRIED).map(|_| trial.run(|way| way)).collect();
        let expected = |call: usize| if call < TRIED { Way::First } else { Way::Second };
        assert!(ways.iter().enumerate().all(|(call, &way)| way == expected(call)), "{ways:?}");
    }
}
