use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Pool, Team};

/// Forks of a stress test: enough for rare orders of events, few enough for one core.
const FORKS: usize = 2000;

fn team(threads: usize) -> Team {
    Team::new(threads).expect("threads can be started")
}

fn pool(threads: usize) -> Pool<f32> {
    Pool::new(threads).expect("threads can be started")
}

/// The text of a panic.
fn said(panic: Box<dyn std::any::Any + Send>) -> String {
    panic.downcast::<String>().map_or_else(|_| "no text".to_owned(), |text| *text)
}

#[test]
fn every_item_is_done_once_whatever_the_numbers_of_items_and_threads() {
    for threads in [1, 2, 3, 8] {
        let team = team(threads);
        for count in 0..40 {
            let mut items = vec![0; count];
            for _ in 0..20 {
                team.for_each(&mut items, &|thread, item| {
                    assert!(thread < threads);
                    *item += 1;
                });
            }
            assert!(items.iter().all(|&n| n == 20), "{threads} threads: {items:?}");
        }
    }
}

#[test]
fn what_threads_write_is_seen_by_the_caller_and_the_next_fork() {
    let team = team(4);
    // Not atomic, and boxed, so that a lost or torn hand-over shows, to ThreadSanitizer at the latest.
    let mut items: Vec<Box<usize>> = (0..7).map(Box::new).collect();
    let start: usize = (0..7).sum();
    for fork in 1..=FORKS {
        team.for_each(&mut items, &|_, item| **item += fork);
        let sum: usize = items.iter().map(|item| **item).sum();
        assert_eq!(sum, start + 7 * fork * (fork + 1) / 2);
    }
}

#[test]
fn a_thread_begins_with_its_own_share_from_the_front() {
    let team = team(2);
    let order: [Mutex<Vec<usize>>; 2] = Default::default();
    let mut items: Vec<usize> = (0..10).collect();
    // No first item ends before both threads have one: so neither thread is late.
    let begun = AtomicUsize::new(0);
    team.for_each(&mut items, &|thread, &mut item| {
        order[thread].lock().unwrap_or_else(|e| e.into_inner()).push(item);
        begun.fetch_add(1, Ordering::SeqCst);
        while begun.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
        }
    });
    let [first, second] = order.map(|order| order.into_inner().unwrap_or_default());
    assert_eq!((first[0], second[0]), (0, 5));
    // Its own upwards, then the other's downwards.
    for (taken, own) in [(&first, 0..5usize), (&second, 5..10)] {
        let (mine, others): (Vec<usize>, Vec<usize>) =
            taken.iter().copied().partition(|item| own.contains(item));
        assert!(mine.is_sorted() && others.iter().rev().is_sorted(), "{taken:?}");
        assert_eq!([mine, others].concat(), **taken, "others' items come after its own");
    }
}

#[test]
fn the_caller_does_what_a_thread_that_is_held_up_leaves_and_waits_for_what_it_holds() {
    let team = team(2);
    let (started, over) = (AtomicBool::new(false), AtomicBool::new(false));
    // The other thread is held up in its item until the caller has done all of the rest.
    let mut items: Vec<usize> = (0..8).collect();
    let done = AtomicUsize::new(0);
    team.for_each(&mut items, &|thread, _| {
        if thread == 1 {
            started.store(true, Ordering::SeqCst);
            while done.load(Ordering::SeqCst) < 7 {
                thread::yield_now();
            }
            over.store(true, Ordering::SeqCst);
        } else {
            while !started.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            done.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert!(over.into_inner(), "the join came before the last item was done");
    assert_eq!(done.into_inner(), 7);
}

#[test]
fn nobody_waits_for_a_thread_that_has_not_begun() {
    let team = Team::with_a_thread_that_never_comes();
    let mut items = [0; 6];
    for _ in 0..3 {
        team.for_each(&mut items, &|thread, item| {
            assert_eq!(thread, 0);
            *item += 1;
        });
    }
    assert_eq!(items, [3; 6]);
}

#[test]
fn threads_that_fell_asleep_are_woken_and_a_caller_that_fell_asleep_is_too() {
    let team = team(3);
    for _ in 0..3 {
        // Longer than any patience.
        thread::sleep(Duration::from_millis(20));
        let met = AtomicUsize::new(0);
        let mut items = [0; 3];
        team.for_each(&mut items, &|thread, item| {
            met.fetch_add(1, Ordering::SeqCst);
            while met.load(Ordering::SeqCst) < 3 {
                thread::yield_now();
            }
            if thread > 0 {
                thread::sleep(Duration::from_millis(20));
            }
            *item += 1;
        });
        assert_eq!(items, [1; 3]);
    }
}

#[test]
fn a_panic_reaches_the_caller_after_all_items_and_the_team_goes_on() {
    let team = team(4);
    for fork in 0..FORKS / 10 {
        let done = AtomicUsize::new(0);
        let mut items: Vec<usize> = (0..12).collect();
        let bad = fork % 12;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            team.for_each(&mut items, &|_, &mut item| {
                assert!(item != bad, "item {item}");
                done.fetch_add(1, Ordering::SeqCst);
            });
        }));
        assert_eq!(outcome.map_err(said), Err(format!("item {bad}")));
        assert_eq!(done.into_inner(), 11, "the others are done");
        team.for_each(&mut items, &|_, item| *item += 1);
        assert!(items.iter().copied().eq(1..13));
    }
}

#[test]
fn if_all_items_panic_the_caller_hears_one() {
    let team = team(3);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        team.for_each(&mut [0, 1, 2, 3], &|_, &mut item| panic!("item {item}"));
    }));
    let text = outcome.map_err(said).expect_err("it panics");
    assert!(text.starts_with("item "), "{text}");
}

#[test]
fn what_is_done_meanwhile_is_done_once_whatever_forks_there_are() {
    for threads in [1, 2, 3, 8] {
        let team = team(threads);
        for count in [0, 1, 2, 7] {
            let (mut items, mut forked) = (vec![0; count], vec![0; 5]);
            for _ in 0..FORKS / 40 {
                let body = |thread: usize, item: &mut i32| {
                    assert!(thread < threads);
                    *item += 1;
                };
                let result = team.meanwhile(&mut items, &body, || {
                    (0..3).for_each(|_| team.for_each(&mut forked, &body));
                    "done"
                });
                assert_eq!(result, "done");
            }
            assert!(items.iter().all(|&n| n == FORKS as i32 / 40), "{threads} threads: {items:?}");
            assert!(forked.iter().all(|&n| n == 3 * FORKS as i32 / 40), "{threads} threads: {forked:?}");
        }
    }
}

#[test]
fn threads_that_wait_do_what_is_to_be_done_meanwhile_others_from_the_front() {
    let team = team(2);
    let order: [Mutex<Vec<usize>>; 2] = Default::default();
    let (mut items, done) = ((0..6).collect::<Vec<usize>>(), AtomicUsize::new(0));
    let body = |thread: usize, &mut item: &mut usize| {
        order[thread].lock().unwrap_or_else(|e| e.into_inner()).push(item);
        done.fetch_add(1, Ordering::SeqCst);
    };
    // The other thread is awake after a fork that it took part in.
    let met = AtomicUsize::new(0);
    let meet = |_: usize, (): &mut ()| {
        met.fetch_add(1, Ordering::SeqCst);
        while met.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
        }
    };
    team.for_each(&mut [(); 2], &meet);
    team.meanwhile(&mut items, &body, || {
        // The caller works, and there is nothing else for the other thread; which sleeps if it is late, until there is.
        team.for_each(&mut [(); 2], &|_, ()| ());
        while done.load(Ordering::SeqCst) < 4 {
            thread::yield_now();
            team.for_each(&mut [(); 2], &|_, ()| ());
        }
    });
    let [caller, other] = order.map(|order| order.into_inner().unwrap_or_default());
    assert!(caller.iter().rev().is_sorted() && other.is_sorted(), "{caller:?} {other:?}");
    let mut all = [caller, other].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn if_the_work_panics_what_nobody_has_begun_is_left_out_and_the_team_goes_on() {
    let team = team(3);
    for turn in 0..FORKS / 10 {
        let (mut items, mut forked) = ([0; 8], [0; 3]);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            team.meanwhile(&mut items, &|_, item| *item += 1, || {
                team.for_each(&mut forked, &|_, item| *item += 1);
                assert!(turn > FORKS, "turn {turn}");
            });
        }));
        assert_eq!(outcome.map_err(said), Err(format!("turn {turn}")));
        assert!(items.iter().all(|&n| n <= 1), "{items:?}");
        assert_eq!(forked, [1; 3]);
        team.meanwhile(&mut items, &|_, item| *item = 5, || ());
        assert_eq!(items, [5; 8]);
    }
}

#[test]
fn a_panic_in_what_is_done_meanwhile_reaches_the_caller_after_all_items() {
    let team = team(3);
    for turn in 0..FORKS / 10 {
        let mut items: Vec<usize> = (0..8).collect();
        let done = AtomicUsize::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let body = |_: usize, &mut item: &mut usize| {
                done.fetch_add(1, Ordering::SeqCst);
                assert!(item != turn % 8, "item {item}");
            };
            // Nothing is forked, which would hear of it as well.
            team.meanwhile(&mut items, &body, || ());
        }));
        assert_eq!(outcome.map_err(said), Err(format!("item {}", turn % 8)));
        assert_eq!(done.into_inner(), 8);
    }
}

#[test]
fn within_a_body_or_beside_another_caller_items_come_after_the_work() {
    let pool = pool(2);
    let inner = |item: &mut usize| {
        let here = thread::current().id();
        let (mut worked, mut items) = (0, [0; 3]);
        pool.meanwhile(
            &mut items,
            &|item, _| {
                assert_eq!(thread::current().id(), here);
                *item += 1;
            },
            || worked += 1,
        );
        assert_eq!((worked, items), (1, [1; 3]));
        *item += 1;
    };
    let (mut outer, mut forked) = ([0; 5], [0; 5]);
    for _ in 0..FORKS / 10 {
        pool.meanwhile(&mut outer, &|item, _| inner(item), || {
            pool.for_each(&mut forked, &|item, _| inner(item));
        });
    }
    assert_eq!((outer, forked), ([FORKS / 10; 5], [FORKS / 10; 5]));
}

#[test]
fn a_fork_within_a_body_runs_on_its_thread_with_a_worker_of_its_own() {
    let pool = pool(3);
    let sum = AtomicUsize::new(0);
    for _ in 0..FORKS / 10 {
        pool.for_each(&mut [1usize; 9], &|_, outer| {
            outer.reserve([4].into_iter(), [].into_iter());
            let here = thread::current().id();
            pool.for_each(&mut [1usize; 5], &|&mut n, inner| {
                assert_eq!(thread::current().id(), here);
                assert!(!std::ptr::eq(outer, inner));
                sum.fetch_add(n, Ordering::Relaxed);
            });
            pool.with_worker(|inner| assert!(!std::ptr::eq(outer, inner)));
        });
    }
    assert_eq!(sum.into_inner(), FORKS / 10 * 45);
}

#[test]
fn callers_on_several_threads_do_not_get_in_each_others_way() {
    let pool = pool(2);
    thread::scope(|scope| {
        let mut callers = Vec::new();
        for caller in 0..3usize {
            let pool = &pool;
            callers.push(scope.spawn(move || {
                let mut items = [caller; 6];
                for _ in 0..FORKS / 10 {
                    pool.for_each(&mut items, &|item, _| *item += 1);
                }
                assert_eq!(items, [caller + FORKS / 10; 6]);
            }));
        }
        // Not left to the scope's end, which ThreadSanitizer does not see as one.
        callers.into_iter().for_each(|caller| caller.join().expect("no panic"));
    });
}

#[test]
fn one_item_and_one_thread_stay_on_the_callers_thread() {
    let here = thread::current().id();
    for (threads, count) in [(1, 5), (4, 1)] {
        pool(threads).for_each(&mut vec![(); count], &|(), _| assert_eq!(thread::current().id(), here));
    }
}

#[test]
fn threads_keep_their_workers() {
    let pool = pool(3);
    let workers = Mutex::new(HashSet::new());
    for _ in 0..100 {
        pool.for_each(&mut [(); 6], &|(), worker| {
            workers.lock().unwrap_or_else(|e| e.into_inner()).insert(std::ptr::from_ref(worker) as usize);
        });
    }
    assert!(
        workers.into_inner().is_ok_and(|workers| workers.len() <= 3),
        "a worker for each thread, no more"
    );
}

#[test]
fn dropping_a_team_ends_its_threads_asleep_or_not() {
    /// Counts the threads that live, by what they keep.
    struct Alive<'a>(&'a AtomicUsize);
    impl Drop for Alive<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static ALIVE: Alive<'static> = { COUNT.fetch_add(1, Ordering::SeqCst); Alive(&COUNT) };
    }
    for pause in [Duration::ZERO, Duration::from_millis(20)] {
        let team = team(4);
        let met = AtomicUsize::new(0);
        team.for_each(&mut [(); 4], &|thread, ()| {
            if thread > 0 {
                ALIVE.with(|_| ());
            }
            met.fetch_add(1, Ordering::SeqCst);
            while met.load(Ordering::SeqCst) < 4 {
                thread::yield_now();
            }
        });
        assert_eq!(COUNT.load(Ordering::SeqCst), 3);
        thread::sleep(pause);
        drop(team);
        assert_eq!(COUNT.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn teams_that_are_never_used_end_too() {
    for threads in 1..20 {
        drop(team(threads));
    }
}

#[test]
fn no_thread_is_an_error() {
    assert_eq!(Team::new(0).expect_err("none").to_string(), "threads: expected 1 or more, found 0");
}

/// How long some items take that only compute: the least of some rounds, against what else runs on this machine.
fn seconds(team: &Team) -> f64 {
    let mut items = [0u64; 64];
    let rounds = (0..10).map(|_| {
        let begin = Instant::now();
        for _ in 0..5 {
            team.for_each(&mut items, &|_, item| {
                for i in 0..20_000u64 {
                    *item = std::hint::black_box(*item ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                }
            });
        }
        begin.elapsed().as_secs_f64()
    });
    rounds.fold(f64::INFINITY, f64::min)
}

#[test]
fn many_threads_on_one_core_are_not_many_times_slower_than_one() {
    // On a thread of its own, which can be held on a core without a consequence for other tests.
    let [one, eight] = thread::spawn(|| {
        if let Some(&core) = core_affinity::get_core_ids().iter().flatten().last() {
            core_affinity::set_for_current(core);
        }
        [1, 8].map(|threads| seconds(&team(threads)))
    })
    .join()
    .expect("no panic");
    // The work is the same; what is added are switches between threads, some microseconds each, to milliseconds of work.
    assert!(eight < 4.0 * one, "1 thread: {one} s, 8 threads: {eight} s");
}

#[test]
fn pinned_threads_are_each_on_their_core_and_the_next_session_finds_the_same_cores() {
    let tried = thread::spawn(|| {
        let Some(allowed) = core_affinity::get_core_ids() else { return };
        for _ in 0..2 {
            let team = Team::pinned(allowed.len()).expect("as many threads as cores");
            let met = AtomicUsize::new(0);
            team.for_each(&mut allowed.clone(), &|thread, _| {
                met.fetch_add(1, Ordering::SeqCst);
                while met.load(Ordering::SeqCst) < allowed.len() {
                    thread::yield_now();
                }
                if cfg!(target_os = "linux") {
                    assert_eq!(core_affinity::get_core_ids(), Some(vec![allowed[thread]]));
                }
            });
        }
        let error = Pool::<f32>::pinned(allowed.len() + 1).expect_err("a core is missing").to_string();
        let expected = format!("found {} threads", allowed.len() + 1);
        assert!(error.starts_with("pin:") && error.contains(&expected), "{error}");
    });
    tried.join().expect("no panic");
}
