//! What a backend makes of the rows of a batch before its products: made when the batch comes, or while the batch before is being worked on,
//! by threads that would have had to wait.

use std::sync::atomic::{AtomicBool, Ordering};

use smallvec::SmallVec;

use super::plan::With;
use super::pool::Worker;
use super::program::{Instr, Kernel, Place, Stage};
use super::value::Feed;
use crate::Scalar;
use crate::matrix::{InputRef, Picked, Prepared, SparseRows};

/// Rows from which on it pays to prepare them together: fewer take each thread less time than a fork and a join.
const MIN_PREPARED: usize = 8;

/// Parts for each thread: whoever ends first takes one more. More parts would be shared out better, but each costs every kernel that reads it,
/// and whoever makes it. (Measured with 50 rows and two threads: with twice as many a step takes 1 to 2 % longer.)
const PARTS: usize = 2;

/// Rows of a feed that products want something to be made of.
pub(super) struct Fed<'a, T> {
    /// The number of the feed.
    pub(super) feed: usize,
    pub(super) rows: SparseRows<'a, T>,
    /// Whether there are products with their transpose.
    backward: bool,
}

/// The rows `first .. first + len` of a feed of the stage, if it pays to prepare them.
pub(super) fn fed<'a, T: Scalar>(
    stage: &Stage,
    (first, len): (usize, usize),
    feeds: &[Feed<'a, T>],
    block_cols: usize,
) -> Option<Fed<'a, T>> {
    if len < MIN_PREPARED {
        return None;
    }
    let of = |instr: &Instr| match instr.ins.first().map(|x| x.place) {
        Some(Place::Feed(feed)) => match feeds[feed] {
            Feed::Input(input @ InputRef::SparseBytes(_)) => Some((feed, input.slice(first, len))),
            _ => None,
        },
        _ => None,
    };
    let (feed, InputRef::SparseBytes(rows)) = stage.per_shard.iter().find_map(of)? else { return None };
    // Products of layers of fewer columns than a block has take rows one by one, with nothing that could be shared.
    let reads = |instr: &&Instr| instr.ins.first().is_some_and(|x| x.place == Place::Feed(feed));
    let widest = stage.per_shard.iter().filter(reads).map(|instr| instr.outs[0].cols).max();
    if rows.is_kept() || widest.is_some_and(|cols| cols < block_cols) {
        return None;
    }
    let outer = |instr: &Instr| {
        matches!(instr.kernel, Kernel::AccumulateWeights | Kernel::Descend | Kernel::Update { .. })
    };
    let backward = stage.per_shard.iter().filter(reads).any(outer);
    Some(Fed { feed, rows, backward })
}

/// What was made of some rows, in parts.
#[derive(Debug, Default)]
pub(super) struct RowsMade {
    of: Picked,
    /// Whether it serves products with their transpose, too.
    backward: bool,
    parts: Vec<Prepared>,
    /// Whether there was anything to make.
    any: AtomicBool,
    /// The version of the variables with which the plan has multiplied these rows ahead, if it has.
    multiplied: Option<u64>,
}

/// Parts with their numbers; those of up to 16 threads without allocating memory.
type Parts<'a> = SmallVec<[(usize, &'a mut Prepared); 16 * PARTS]>;

impl RowsMade {
    /// Whether it was made of these rows, and serves what is fed.
    pub(super) fn is_of<T: Scalar>(&self, fed: &Fed<'_, T>) -> bool {
        self.of.is(&fed.rows) && (self.backward || !fed.backward)
    }

    /// Makes it of these rows, unless it was.
    pub(super) fn make<T: Scalar>(&mut self, fed: &Fed<'_, T>, with: With<'_, T>) {
        if !self.is_of(fed) {
            self.each_part(fed, with, |parts, make| with.pool.for_each(parts, &make));
            self.of.set(&fed.rows);
        }
    }

    /// What was made; nothing, where the backend makes nothing of rows.
    pub(super) fn parts(&self) -> Option<&[Prepared]> {
        self.any.load(Ordering::Relaxed).then_some(&self.parts)
    }

    /// The rows with what was made of them, if anything was.
    pub(super) fn rows<'a, T: Scalar>(&'a self, fed: &Fed<'a, T>) -> Option<SparseRows<'a, T>> {
        Some(fed.rows.with_prepared(self.parts()?))
    }

    /// Notes that the plan's buffers hold the first products of these rows with the variables of this version.
    pub(super) fn are_multiplied(&mut self, version: u64) {
        self.multiplied = Some(version);
    }

    /// Whether they do.
    pub(super) fn were_multiplied(&self, version: u64) -> bool {
        self.multiplied == Some(version)
    }

    /// Whether they did, but variables have changed since.
    pub(super) fn were_multiplied_in_vain(&self, version: u64) -> bool {
        self.multiplied.is_some_and(|multiplied| multiplied != version)
    }

    /// Runs `work` while it is made of these rows, for a later [`make`](Self::make).
    pub(super) fn make_meanwhile<T: Scalar>(
        &mut self,
        fed: &Fed<'_, T>,
        with: With<'_, T>,
        work: impl FnOnce(),
    ) {
        self.each_part(fed, with, |parts, make| with.pool.meanwhile(parts, &make, work));
        self.of.set(&fed.rows);
    }

    /// Lets `run` call what makes a part, on all parts. Whose they are is forgotten.
    fn each_part<T: Scalar>(
        &mut self,
        fed: &Fed<'_, T>,
        with: With<'_, T>,
        run: impl FnOnce(&mut Parts<'_>, &(dyn Fn(&mut (usize, &mut Prepared), &mut Worker<T>) + Sync)),
    ) {
        self.of.forget();
        self.multiplied = None;
        // One thread makes it in one part, which the kernels then read as it is.
        let threads = with.pool.threads();
        let count = if threads > 1 { PARTS * threads } else { 1 };
        self.parts.resize_with(count, Prepared::default);
        self.backward = fed.backward;
        self.any.store(false, Ordering::Relaxed);
        let mut parts: Parts<'_> = self.parts.iter_mut().enumerate().collect();
        run(&mut parts, &|(part, prepared), worker| {
            if with.backend.prepare(&fed.rows, fed.backward, (*part, count), prepared, &mut worker.scratch) {
                self.any.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Takes over the first of what is `coming` if it is of these rows; what comes after them is the first then. Returns whether it was.
    pub(super) fn take<T: Scalar>(&mut self, coming: &mut [Self; 2], rows: &SparseRows<'_, T>) -> bool {
        let came = coming[0].of.is(rows);
        if came {
            std::mem::swap(self, &mut coming[0]);
            coming.swap(0, 1);
            // What was at hand is not coming.
            coming[1].of.forget();
        }
        came
    }
}

impl<'a, T: Scalar> Fed<'a, T> {
    /// The same for what `other` is of, too, if it is the same feed.
    pub(super) fn with(self, other: &Self) -> Self {
        Self { backward: self.backward || other.feed == self.feed && other.backward, ..self }
    }

    /// As many rows of the same feed as these are, if it is likely that they come next.
    pub(super) fn next(&self) -> Option<Self> {
        Some(Self { rows: self.rows.that_come_next()?, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::*;
    use crate::backend::reference::fits;
    use crate::backend::{Backend, Description, Naive};
    use crate::exec::pool::Pool;
    use crate::matrix::{Rows, Scratch, SparseBytes};
    use crate::ops::Gemm;

    /// Puts down which rows it was asked to prepare, and whether for both ways, once for each part; and panics then, if it is to.
    #[derive(Debug, Default)]
    struct Asked(Mutex<Vec<(Vec<usize>, bool)>>, AtomicBool);

    impl Backend<f32> for Asked {
        fn describe(&self) -> Description {
            Backend::<f32>::describe(&Naive)
        }

        fn gemm(&self, gemm: Gemm<'_, f32>, scratch: &mut Scratch<f32>) {
            Naive.gemm(gemm, scratch);
        }

        fn prepare(
            &self,
            x: &SparseRows<'_, f32>,
            backward: bool,
            _part: (usize, usize),
            _prepared: &mut Prepared,
            _scratch: &mut Scratch<f32>,
        ) -> bool {
            let rows = (0..x.rows.len()).map(|i| x.rows.get(i)).collect();
            self.0.lock().unwrap_or_else(|e| e.into_inner()).push((rows, backward));
            assert!(!self.1.load(Ordering::SeqCst), "as it is to");
            true
        }
    }

    impl Asked {
        /// What was asked for since the last time, without what follows itself.
        fn since(&self) -> Vec<(Vec<usize>, bool)> {
            let mut asked = std::mem::take(&mut *self.0.lock().unwrap_or_else(|e| e.into_inner()));
            assert!(asked.len().is_multiple_of(2 * PARTS), "all parts, for two threads: {asked:?}");
            asked.dedup();
            asked
        }
    }

    fn with<'a>(backend: &'a dyn Backend<f32>, pool: &'a Pool<f32>) -> With<'a, f32> {
        With { backend, feeds: &[], pool, seed: 0, version: 0, next: None }
    }

    fn set() -> SparseBytes<f32> {
        fits(SparseBytes::new(&[1; 40 * 3], 40, 3, 255.0))
    }

    fn picked<'a>(set: &'a SparseBytes<f32>, all: &'a [u32], first: usize, backward: bool) -> Fed<'a, f32> {
        let all = fits(InputRef::sparse_bytes(set).select(Rows::List(all)));
        let InputRef::SparseBytes(rows) = all.slice(first, 2) else { panic!("sparse bytes") };
        Fed { feed: 0, rows, backward }
    }

    #[test]
    fn what_was_made_of_the_rows_that_come_next_is_taken_and_of_others_it_is_made_anew() {
        let (backend, pool) = (Asked::default(), fits(Pool::new(2)));
        let with = with(&backend, &pool);
        let (ours, theirs, list) = (set(), set(), [7, 3, 9, 1, 4, 2, 8]);
        let (mut made, mut coming) = <(RowsMade, [RowsMade; 2])>::default();
        let mut step = |fed: &Fed<'_, f32>| {
            made.take(&mut coming, &fed.rows);
            let mut run = || {
                made.make(fed, with);
                assert_eq!(made.parts().map(<[_]>::len), Some(2 * PARTS));
            };
            match fed.next() {
                Some(next) => coming[0].make_meanwhile(&next, with, run),
                None => run(),
            }
            backend.since()
        };
        let [a, b, c] = [vec![7, 3], vec![9, 1], vec![4, 2]];
        // By what the threads do first, a part of one may come before one of the other: as many of each are sure, not their order.
        let sorted = |mut asked: Vec<(Vec<usize>, bool)>| {
            asked.sort_unstable();
            asked.dedup();
            asked
        };
        let at = |set, first, backward| picked(set, &list, first, backward);
        assert_eq!(sorted(step(&at(&ours, 0, true))), [(a.clone(), true), (b.clone(), true)]);
        assert_eq!(sorted(step(&at(&ours, 2, true))), [(c.clone(), true)], "b was made");
        // No row follows but one, which is no batch.
        assert_eq!(step(&at(&ours, 4, true)), [], "c was made");
        assert_eq!(step(&at(&ours, 4, true)), [], "and serves until something else is made");
        // Another batch than the next one, the same rows of another data set, and another way.
        step(&at(&ours, 0, true));
        assert_eq!(step(&at(&ours, 4, true)), [(c.clone(), true)]);
        step(&at(&ours, 0, true));
        assert_eq!(sorted(step(&at(&theirs, 2, true))), [(c.clone(), true), (b.clone(), true)]);
        step(&at(&ours, 0, false));
        assert_eq!(sorted(step(&at(&ours, 2, true))), [(c.clone(), true), (b.clone(), true)]);
        step(&at(&ours, 0, true));
        assert_eq!(sorted(step(&at(&ours, 2, false))), [(c, false)], "what serves both ways serves one");
        assert_eq!(sorted(step(&at(&ours, 0, true))), [(a, true), (b, true)]);
    }

    #[test]
    fn what_comes_after_the_next_rows_is_next_when_they_have_come() {
        let (pool, set) = (fits(Pool::new(2)), set());
        let (backend, at) = (Asked::default(), |first| picked(&set, &[7, 3, 9, 1, 4, 2], first, true));
        let with = with(&backend, &pool);
        let (mut made, mut coming) = <(RowsMade, [RowsMade; 2])>::default();
        coming[0].make(&at(2), with);
        coming[1].make(&at(4), with);
        assert!(!made.take(&mut coming, &at(4).rows), "that is not the next one");
        assert!(made.take(&mut coming, &at(2).rows) && coming[0].is_of(&at(4)));
        assert!(made.take(&mut coming, &at(4).rows) && made.is_of(&at(4)));
    }

    #[test]
    fn products_are_those_of_one_version_until_something_else_is_made() {
        let (pool, set) = (fits(Pool::new(2)), set());
        let (backend, at) = (Asked::default(), |first| picked(&set, &[7, 3, 9, 1], first, true));
        let with = with(&backend, &pool);
        let mut made = RowsMade::default();
        made.make(&at(0), with);
        assert!(!made.were_multiplied(0));
        made.are_multiplied(5);
        made.make(&at(0), with);
        assert!(made.were_multiplied(5) && !made.were_multiplied_in_vain(5));
        assert!(!made.were_multiplied(6) && made.were_multiplied_in_vain(6));
        made.make(&at(2), with);
        assert!(!made.were_multiplied(5) && !made.were_multiplied_in_vain(6), "other rows");
    }

    #[test]
    fn what_a_panic_has_left_half_made_is_made_anew() {
        let (backend, pool, set) = (Asked::default(), fits(Pool::new(2)), set());
        let with = with(&backend, &pool);
        let at = |first| picked(&set, &[7, 3, 9, 1], first, true);
        let (mut made, mut coming) = <(RowsMade, [RowsMade; 2])>::default();
        coming[0].make_meanwhile(&at(0), with, || ());
        assert!(made.take(&mut coming, &at(0).rows));
        backend.1.store(true, Ordering::SeqCst);
        let outcome = catch_unwind(AssertUnwindSafe(|| made.make(&at(2), with)));
        assert!(outcome.is_err());
        backend.1.store(false, Ordering::SeqCst);
        backend.since();
        made.make(&at(0), with);
        assert_eq!(backend.since(), [(vec![7, 3], true)]);
    }

    #[test]
    fn a_backend_that_makes_nothing_of_rows_is_given_nothing() {
        let pool = fits(Pool::new(2));
        let with = with(&Naive, &pool);
        let set = set();
        let (mut made, fed) = (RowsMade::default(), picked(&set, &[1, 2, 3], 0, true));
        made.make(&fed, with);
        assert!(made.parts().is_none() && made.rows(&fed).is_none());
    }
}
