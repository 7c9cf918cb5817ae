//! Core workers: real threads, bounded time.

use super::*;
use crate::executor::{TaskObserver, TaskOutcome, TaskPoll, poll_fn};
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::task::Waker;
use std::thread::ThreadId;

/// Longer than anything here takes; a test that waits for so long fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn start(name: &str, workers: usize) -> CoreWorkers {
    CoreWorkers::start(World::real(), CoreWorkersOptions { workers, name: name.to_owned() }).unwrap()
}

fn finish(handle: &TaskHandle) {
    assert_eq!(handle.wait(PATIENCE), Some(TaskOutcome::Finished), "{}", handle.name());
}

/// Threads of this process whose name begins with `prefix`.
fn threads(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|t| std::fs::read_to_string(t.unwrap().path().join("comm")).ok()).filter(|n| n.starts_with(prefix)).count()
}

/// Gives way to other threads until the condition holds.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let world = World::real();
    while !condition() {
        assert!(world.mono().0 < PATIENCE.as_nanos() as u64, "never: {what}");
        std::thread::yield_now();
    }
}

/// A queue of numbers into a task, like a channel between tasks.
#[derive(Default)]
struct Inbox {
    messages: Mutex<Vec<u64>>,
    waker: Mutex<Option<Waker>>,
}

impl Inbox {
    fn send(&self, message: u64) {
        self.messages.lock().unwrap().push(message);
        let waker = self.waker.lock().unwrap().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&self, waker: &Waker) -> Vec<u64> {
        *self.waker.lock().unwrap() = Some(waker.clone());
        std::mem::take(&mut *self.messages.lock().unwrap())
    }
}

#[test]
fn every_task_runs_to_its_end() {
    let executor = start("t-ends", 2);
    let polls = Arc::new(AtomicU64::new(0));
    let handles: Vec<TaskHandle> = (0..500)
        .map(|i| {
            let polls = Arc::clone(&polls);
            let mut left = i % 7;
            let task = poll_fn(&i.to_string(), move |_| {
                polls.fetch_add(1, Ordering::Relaxed);
                if left == 0 {
                    return TaskPoll::Done;
                }
                left -= 1;
                TaskPoll::Yield
            });
            executor.spawn(task, SpawnOptions { dedicated: i % 50 == 0, observer: None })
        })
        .collect();
    handles.iter().for_each(finish);
    assert_eq!(polls.load(Ordering::Relaxed), (0..500).map(|i| i % 7 + 1).sum::<u64>());
    assert_eq!(executor.live_tasks(), 0);
}

/// Messages run in rings through tasks on workers and dedicated threads, while other threads send more: none may be left lying.
#[test]
fn no_wake_up_is_lost_under_load() {
    const TASKS: usize = 8;
    const HOPS: u64 = 2_000;
    const SENDERS: u64 = 3;
    let executor = start("t-load", 3);
    let inboxes: Arc<Vec<Inbox>> = Arc::new((0..TASKS).map(|_| Inbox::default()).collect());
    let ended = Arc::new(AtomicU64::new(0));
    let expected = SENDERS * TASKS as u64;
    let handles: Vec<TaskHandle> = (0..TASKS)
        .map(|i| {
            let (inboxes, ended) = (Arc::clone(&inboxes), Arc::clone(&ended));
            let task = poll_fn(&format!("ring-{i}"), move |cx| {
                for hops in inboxes[i].take(cx.waker()) {
                    if hops > 0 {
                        inboxes[(i + 1) % TASKS].send(hops - 1);
                    } else if ended.fetch_add(1, Ordering::SeqCst) + 1 == expected {
                        inboxes.iter().for_each(|inbox| inbox.send(0));
                    }
                }
                if ended.load(Ordering::SeqCst) >= expected { TaskPoll::Done } else { TaskPoll::Pending }
            });
            executor.spawn(task, SpawnOptions { dedicated: i == 5, observer: None })
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| inboxes.iter().for_each(|inbox| inbox.send(HOPS)));
        }
    });
    handles.iter().for_each(finish);
}

#[test]
fn an_idle_worker_takes_a_task_that_always_has_work() {
    let executor = start("t-steal", 2);
    let seen: Arc<Mutex<HashSet<ThreadId>>> = Arc::default();
    let handles: Vec<TaskHandle> = (0..2)
        .map(|i| {
            let seen = Arc::clone(&seen);
            let task = poll_fn(&format!("busy-{i}"), move |cx| {
                while !cx.out_of_time() {}
                let mut seen = seen.lock().unwrap();
                seen.insert(std::thread::current().id());
                if seen.len() == 2 { TaskPoll::Done } else { TaskPoll::Yield }
            });
            // Both begin at the first worker.
            let scheduler: Arc<dyn Schedule> = Arc::clone(&executor.pool) as _;
            let (cell, _) = executor.pool.tasks.add(|id| TaskCell::scheduled(id, task, scheduler, None));
            executor.pool.schedule(Arc::clone(&cell));
            TaskHandle { cell }
        })
        .collect();
    handles.iter().for_each(finish);
}

/// The first task wakes the second and then waits for it, without ever looking at the clock.
#[test]
fn work_does_not_wait_behind_a_long_poll() {
    for workers in [1, 2] {
        let executor = start("t-behind", workers);
        let (answer, question) = mpsc::channel();
        let (ready, second_waits) = mpsc::channel();
        let mut answer = Some(answer);
        let mut polled = false;
        let second = executor.spawn(
            poll_fn("second", move |_| {
                if std::mem::replace(&mut polled, true) {
                    answer.take().unwrap().send(()).unwrap();
                    return TaskPoll::Done;
                }
                ready.send(()).unwrap();
                TaskPoll::Pending
            }),
            SpawnOptions::default(),
        );
        second_waits.recv_timeout(PATIENCE).unwrap();
        let waker = second.waker();
        let first = executor.spawn(
            poll_fn("first", move |_| {
                waker.wake_by_ref();
                question.recv_timeout(PATIENCE).unwrap();
                TaskPoll::Done
            }),
            SpawnOptions::default(),
        );
        finish(&second);
        finish(&first);
    }
}

/// Passes on what the watchdog says.
struct Report(Mutex<mpsc::Sender<String>>);

impl TaskObserver for Report {
    fn ended(&self, task: &str, outcome: &TaskOutcome) {
        self.0.lock().unwrap().send(format!("{task} ended: {outcome:?}")).unwrap();
    }

    fn blocked(&self, task: &str, so_far: Duration) {
        assert!(so_far >= Duration::from_millis(20));
        self.0.lock().unwrap().send(format!("{task} blocked")).unwrap();
    }
}

#[test]
fn a_blocking_task_loses_its_worker_and_keeps_its_thread() {
    let executor = start("t-block", 1);
    let (release, gate) = mpsc::channel::<()>();
    let (threads_seen, polled_on) = mpsc::channel::<ThreadId>();
    let (news, heard) = mpsc::channel();
    let mut polls = 0;
    let blocker = executor.spawn(
        poll_fn("blocker", move |cx| {
            threads_seen.send(std::thread::current().id()).unwrap();
            polls += 1;
            match polls {
                1 => {
                    gate.recv_timeout(PATIENCE).unwrap();
                    cx.wake_at(cx.now().after(Duration::from_millis(1)));
                    TaskPoll::Pending
                }
                2 => TaskPoll::Yield,
                3 => TaskPoll::Pending,
                _ => TaskPoll::Done,
            }
        }),
        SpawnOptions::default().observed_by(Arc::new(Report(Mutex::new(news)))),
    );
    let first = polled_on.recv_timeout(PATIENCE).unwrap();
    // The only worker is blocked; a spare thread runs this.
    let (other_thread, other_on) = mpsc::channel();
    let other = executor.spawn(
        poll_fn("other", move |_| {
            other_thread.send(std::thread::current().id()).unwrap();
            TaskPoll::Done
        }),
        SpawnOptions::default(),
    );
    finish(&other);
    assert_ne!(other_on.recv().unwrap(), first);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "blocker blocked");
    assert!(blocker.has_blocked());
    assert!(!other.has_blocked());

    release.send(()).unwrap();
    for _ in 2..=3 {
        assert_eq!(polled_on.recv_timeout(PATIENCE).unwrap(), first, "it stays on its thread");
    }
    assert!(blocker.is_dedicated());
    eventually("third poll over", || {
        blocker.wake();
        blocker.outcome().is_some()
    });
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "blocker ended: Finished");
    drop(executor);
    eventually("threads gone", || threads("t-block") == 0);
}

#[test]
fn a_panic_ends_its_task_and_nothing_else() {
    let executor = start("t-panic", 1);
    for dedicated in [false, true] {
        let options = SpawnOptions { dedicated, observer: None };
        let bad = executor.spawn(poll_fn("bad", |_| panic!("value {}", 42)), options.clone());
        let Some(TaskOutcome::Panicked(report)) = bad.wait(PATIENCE) else { panic!("{:?}", bad.outcome()) };
        assert_eq!(report.message, "value 42");
        assert!(report.location.unwrap().contains("tests.rs:"));
        bad.wake();
        finish(&executor.spawn(poll_fn("good", |_| TaskPoll::Done), options));
    }
    assert_eq!(executor.live_tasks(), 0);
}

#[test]
fn a_panic_in_drop_is_reported_too() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let executor = start("t-bomb", 1);
    let bomb = Bomb;
    let handle = executor.spawn(
        poll_fn("bomb", move |_| {
            let _held = &bomb;
            TaskPoll::Done
        }),
        SpawnOptions::default(),
    );
    let outcome = handle.wait(PATIENCE);
    assert!(matches!(&outcome, Some(TaskOutcome::Panicked(report)) if report.message == "dropped"), "{outcome:?}");
    finish(&executor.spawn(poll_fn("next", |_| TaskPoll::Done), SpawnOptions::default()));
}

#[test]
fn deadlines_wake_tasks_and_never_early() {
    let executor = start("t-timer", 2);
    let handles: Vec<TaskHandle> = (0..20)
        .map(|i| {
            let mut due = None;
            let mut left = 5;
            let task = poll_fn(&i.to_string(), move |cx| {
                if let Some(due) = due.take() {
                    assert!(cx.now() >= due, "woken early");
                    left -= 1;
                }
                if left == 0 {
                    return TaskPoll::Done;
                }
                let at = cx.now().after(Duration::from_micros(100 + 170 * i));
                due = Some(at);
                cx.wake_at(at);
                TaskPoll::Pending
            });
            executor.spawn(task, SpawnOptions { dedicated: i % 7 == 0, observer: None })
        })
        .collect();
    handles.iter().for_each(finish);
}

#[test]
fn an_idle_executor_sleeps_in_all_its_threads() {
    let executor = start("t-idle", 3);
    finish(&executor.spawn(poll_fn("one", |_| TaskPoll::Done), SpawnOptions::default()));
    eventually("all asleep", || executor.pool.slots.iter().all(crate::executor::slot::Slot::is_parked) && executor.pool.watch.is_asleep());
    finish(&executor.spawn(poll_fn("two", |_| TaskPoll::Done), SpawnOptions::default()));
}

#[test]
fn shutdown_drops_tasks_that_hold_each_other_and_joins_all_threads() {
    let executor = start("t-shut", 2);
    let alive = Arc::new(());
    let (polled, all_polled) = mpsc::channel();
    let handles: Vec<TaskHandle> = (0..10)
        .map(|i| {
            let (token, polled) = (Arc::clone(&alive), polled.clone());
            let mut kept: Vec<(Waker, Arc<()>)> = Vec::new();
            let task = poll_fn(&i.to_string(), move |cx| {
                kept.push((cx.waker().clone(), Arc::clone(&token)));
                cx.wake_at(cx.now().after(PATIENCE));
                polled.send(()).unwrap();
                TaskPoll::Pending
            });
            executor.spawn(task, SpawnOptions { dedicated: i == 3, observer: None })
        })
        .collect();
    for _ in &handles {
        all_polled.recv_timeout(PATIENCE).unwrap();
    }
    eventually("all threads have their names", || threads("t-shut") >= 4);
    assert_eq!(executor.shutdown(PATIENCE), ShutdownReport::default());
    eventually("threads gone", || threads("t-shut") == 0);
    assert_eq!(Arc::strong_count(&alive), 1);
    assert!(handles.iter().all(|h| h.outcome() == Some(TaskOutcome::Dropped)));
    let late = executor.spawn(poll_fn("late", |_| TaskPoll::Done), SpawnOptions::default());
    assert_eq!(late.outcome(), Some(TaskOutcome::Dropped));
    handles.iter().for_each(TaskHandle::wake);
}

#[test]
fn a_call_that_never_returns_is_named_and_given_up() {
    let executor = start("t-stuck", 2);
    let (inside, entered) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let dropped = Arc::new(AtomicBool::new(false));
    struct SetOnDrop(Arc<AtomicBool>);
    impl Drop for SetOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flag = SetOnDrop(Arc::clone(&dropped));
    let stuck = executor.spawn(
        poll_fn("stuck task", move |_| {
            let _held = &flag;
            inside.send(()).unwrap();
            gate.recv_timeout(PATIENCE).unwrap();
            TaskPoll::Pending
        }),
        SpawnOptions::default(),
    );
    entered.recv_timeout(PATIENCE).unwrap();
    assert!(!stuck.abandon(), "it is inside a poll");
    let report = executor.shutdown(Duration::from_millis(1));
    assert_eq!(report.given_up, ["stuck task"]);
    assert!(!dropped.load(Ordering::SeqCst));
    assert_eq!(stuck.outcome(), None);

    release.send(()).unwrap();
    assert_eq!(stuck.wait(PATIENCE), Some(TaskOutcome::Dropped));
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!(executor.shutdown(PATIENCE), ShutdownReport::default());
    eventually("threads gone", || threads("t-stuck") == 0);
}

#[test]
fn an_executor_may_be_dropped_by_its_own_task() {
    let executor = Arc::new(start("t-self", 2));
    let (give, taken) = mpsc::channel::<Arc<CoreWorkers>>();
    let handle = executor.spawn(
        poll_fn("suicide", move |_| {
            drop(taken.recv_timeout(PATIENCE).unwrap());
            TaskPoll::Pending
        }),
        SpawnOptions::default(),
    );
    give.send(executor).unwrap();
    assert_eq!(handle.wait(PATIENCE), Some(TaskOutcome::Dropped));
    eventually("threads gone", || threads("t-self") == 0);
}
