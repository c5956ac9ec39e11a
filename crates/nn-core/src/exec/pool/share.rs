//! The items of one thread that nobody has taken yet.

use std::sync::atomic::{AtomicU64, Ordering};

/// A run of item numbers, `front..back`, in one word: the owner takes from its front, others from its back. A number
/// is taken by exactly one successful compare-and-swap, so by one thread.
///
/// The word carries no count of forks. A thread that read it, slept through the end of a fork and then takes a number by
/// the word of the next, which happens to be the same, holds a number of the next fork, as good as any; what it must not
/// do is to use anything that it read before it took the number.
#[derive(Debug, Default)]
pub(super) struct Share(AtomicU64);

/// A share that will never be filled again: empty, and unlike any that [`Share::publish`] leaves behind.
const CLOSED: u64 = u64::MAX;

const BACK_SHIFT: u32 = 32;

impl Share {
    /// Makes `front..back` available, after everything that the caller wrote before. One total order with
    /// [`Share::is_due`] and the flag of a thread that is about to sleep: see [`super::lend`].
    pub(super) fn publish(&self, front: u32, back: u32) {
        self.0.store(word(front, back), Ordering::SeqCst);
    }

    /// Says that there will be no more.
    pub(super) fn close(&self) {
        self.0.store(CLOSED, Ordering::SeqCst);
    }

    /// Whether the owner has something to do: to take a number, or to end.
    pub(super) fn is_due(&self) -> bool {
        let word = self.0.load(Ordering::SeqCst);
        word == CLOSED || range(word).is_some()
    }

    /// Whether [`Share::close`] was called.
    pub(super) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire) == CLOSED
    }

    /// Takes the first number. What the publisher wrote before is visible afterwards.
    pub(super) fn take_front(&self) -> Option<usize> {
        self.take(|front, back| (front, word(front + 1, back)))
    }

    /// Takes the last number, likewise.
    pub(super) fn take_back(&self) -> Option<usize> {
        self.take(|front, back| (back - 1, word(front, back - 1)))
    }

    fn take(&self, choose: impl Fn(u32, u32) -> (u32, u64)) -> Option<usize> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (front, back) = range(seen)?;
            let (taken, left) = choose(front, back);
            // Acquire: pairs with `publish`. Swaps by others in between belong to the same release sequence.
            match self.0.compare_exchange_weak(seen, left, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(taken as usize),
                Err(now) => seen = now,
            }
        }
    }
}

fn word(front: u32, back: u32) -> u64 {
    u64::from(back) << BACK_SHIFT | u64::from(front)
}

/// What is in a word, if anything is.
fn range(word: u64) -> Option<(u32, u32)> {
    let (front, back) = (word as u32, (word >> BACK_SHIFT) as u32);
    (front < back).then_some((front, back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_takes_from_the_front_and_others_from_the_back_until_they_meet() {
        let share = Share::default();
        assert_eq!((share.take_front(), share.take_back(), share.is_due()), (None, None, false));
        share.publish(3, 6);
        assert!(share.is_due());
        assert_eq!((share.take_front(), share.take_back(), share.take_back()), (Some(3), Some(5), Some(4)));
        assert_eq!((share.take_front(), share.take_back(), share.is_due()), (None, None, false));
    }

    #[test]
    fn the_largest_numbers_are_not_taken_for_the_end() {
        let share = Share::default();
        share.publish(u32::MAX - 1, u32::MAX);
        assert!(!share.is_closed());
        assert_eq!(share.take_front(), Some(u32::MAX as usize - 1));
        share.close();
        assert!(
            share.is_due()
                && share.is_closed()
                && share.take_front().is_none()
                && share.take_back().is_none()
        );
    }
}
