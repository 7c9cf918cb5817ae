//! The step executor: the same seed, the same run.

use super::*;
use crate::executor::{TaskOutcome, poll_fn};
use brisk_base::Timestamp;
use brisk_base::world::{Clock, Spawner};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A clock that the test moves.
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp((self.0.load(Ordering::Relaxed) / 1_000_000) as i64)
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.0.load(Ordering::Relaxed))
    }
}

/// Refuses threads: the stepper needs none.
struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, _: &str, _: Box<dyn FnOnce() + Send>) -> std::io::Result<std::thread::JoinHandle<()>> {
        Err(std::io::Error::other("no threads in a simulation"))
    }
}

fn stepper() -> (StepExecutor, Arc<Hand>) {
    let clock = Arc::new(Hand(AtomicU64::new(0)));
    (StepExecutor::new(World::new(Arc::clone(&clock) as _, Arc::new(NoThreads), 1)), clock)
}

/// The order in which three tasks of five polls each are polled.
fn order(seed: u64) -> Vec<String> {
    let (executor, _) = stepper();
    for name in ["a", "b", "c"] {
        let mut left = 5;
        let task = poll_fn(name, move |_| {
            left -= 1;
            if left == 0 { TaskPoll::Done } else { TaskPoll::Yield }
        });
        executor.spawn(task, SpawnOptions::dedicated());
    }
    let mut rng = Rng::seeded(seed);
    std::iter::from_fn(|| executor.run_one(&mut rng, 1)).map(|step| step.task).collect()
}

#[test]
fn a_seed_decides_the_order() {
    assert_eq!(order(1).len(), 15);
    assert_eq!(order(1), order(1));
    assert!((2..10).any(|seed| order(seed) != order(1)));
}

#[test]
fn checks_bound_the_work_of_a_poll() {
    let (executor, _) = stepper();
    let done = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&done);
    executor.spawn(
        poll_fn("worker", move |cx| {
            while !cx.out_of_time() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            TaskPoll::Yield
        }),
        SpawnOptions::default(),
    );
    let mut rng = Rng::seeded(3);
    executor.run_one(&mut rng, 4);
    assert_eq!(done.load(Ordering::Relaxed), 4);
    executor.run_one(&mut rng, 0);
    assert_eq!(done.load(Ordering::Relaxed), 4);
}

#[test]
fn deadlines_follow_the_clock_and_the_last_poll() {
    let (executor, clock) = stepper();
    let wishes = Arc::new(Mutex::new(vec![MonoTime(30), MonoTime(40), MonoTime(20), MonoTime::NEVER]));
    let next = Arc::clone(&wishes);
    let handle = executor.spawn(
        poll_fn("sleeper", move |cx| {
            cx.wake_at(locked(&next).remove(0));
            TaskPoll::Pending
        }),
        SpawnOptions::default(),
    );
    let mut rng = Rng::seeded(1);
    let mut go = |at: u64, woken: bool| {
        clock.0.store(at, Ordering::Relaxed);
        assert_eq!(executor.fire_due(), woken, "at {at}");
        executor.run_one(&mut rng, 1).is_some()
    };
    assert!(go(0, false), "first poll, asks for 30");
    assert!(!go(29, false));
    handle.wake();
    assert!(go(29, false), "asks for 40 instead");
    assert!(!go(35, false), "30 was replaced");
    assert!(go(40, true), "asks for 20, which is over");
    assert!(go(41, true), "asks for nothing");
    assert!(!go(1_000, false));
    assert_eq!(executor.next_deadline(), MonoTime::NEVER);
}

#[test]
fn deadlines_come_in_order_of_time() {
    let (executor, clock) = stepper();
    let log = Arc::new(Mutex::new(Vec::new()));
    for (i, at) in [50, 10, 30, 20, 40].into_iter().enumerate() {
        let log = Arc::clone(&log);
        let mut first = true;
        executor.spawn(
            poll_fn(&i.to_string(), move |cx| {
                if std::mem::take(&mut first) {
                    cx.wake_at(MonoTime(at));
                    return TaskPoll::Pending;
                }
                locked(&log).push(at);
                TaskPoll::Done
            }),
            SpawnOptions::default(),
        );
    }
    let mut rng = Rng::seeded(5);
    loop {
        while executor.run_one(&mut rng, 1).is_some() {}
        if executor.next_deadline() == MonoTime::NEVER {
            break;
        }
        clock.0.store(executor.next_deadline().0, Ordering::Relaxed);
        assert!(executor.fire_due());
    }
    assert_eq!(*locked(&log), [10, 20, 30, 40, 50]);
    assert_eq!(executor.live_tasks(), 0);
}

#[test]
fn a_panic_ends_its_task_only() {
    let (executor, _) = stepper();
    let bad = executor.spawn(poll_fn("bad", |_| panic!("boom")), SpawnOptions::default());
    let good = executor.spawn(poll_fn("good", |_| TaskPoll::Done), SpawnOptions::default());
    let mut rng = Rng::seeded(1);
    while executor.run_one(&mut rng, 1).is_some() {}
    let Some(TaskOutcome::Panicked(report)) = bad.outcome() else { panic!("{:?}", bad.outcome()) };
    assert_eq!(report.message, "boom");
    assert_eq!(good.outcome(), Some(TaskOutcome::Finished));
}

#[test]
fn dropping_the_executor_drops_tasks_that_hold_each_other() {
    let (executor, _) = stepper();
    let alive = Arc::new(());
    let handles: Vec<TaskHandle> = (0..3)
        .map(|i| {
            let token = Arc::clone(&alive);
            let mut kept = Vec::new();
            executor.spawn(
                poll_fn(&i.to_string(), move |cx| {
                    kept.push((cx.waker().clone(), Arc::clone(&token)));
                    cx.wake_at(cx.now().after(Duration::from_secs(1)));
                    TaskPoll::Pending
                }),
                SpawnOptions::default(),
            )
        })
        .collect();
    let mut rng = Rng::seeded(1);
    while executor.run_one(&mut rng, 1).is_some() {}
    assert!(handles[0].abandon());
    assert_eq!(executor.live_tasks(), 2);
    drop(executor);
    assert_eq!(Arc::strong_count(&alive), 1);
    handles.iter().for_each(TaskHandle::wake);
    assert!(handles.iter().all(|h| h.outcome() == Some(TaskOutcome::Dropped)));
}
