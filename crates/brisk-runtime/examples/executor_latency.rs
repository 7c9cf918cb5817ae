//! Measures the executors: what a wake-up and a poll cost, and how long a woken task waits for its poll.
//!
//! `cargo run --release -p brisk-runtime --example executor_latency`

use brisk_base::world::{MonoTime, World};
use brisk_runtime::executor::{CoreWorkers, CoreWorkersOptions, Executor, POLL_BUDGET, SpawnOptions, TaskHandle, TaskPoll, poll_fn};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::io::Result<()> {
    println!("{:44} {:>10} {:>10} {:>10}", "", "p50", "p99", "max");
    row("thread -> thread, park and unpark", &mut threads());
    row("thread -> idle worker", &mut from_outside(SpawnOptions::default())?);
    row("thread -> idle dedicated thread", &mut from_outside(SpawnOptions::dedicated())?);
    row("task -> idle task, two workers", &mut ping_pong(2, SpawnOptions::default())?);
    row("worker -> dedicated thread -> worker", &mut ping_pong(2, SpawnOptions::dedicated())?);
    row("deadline 100 us ahead, lateness", &mut deadlines()?);
    for (stall_us, load) in [(0, "idle"), (100, "100 us polls beside it"), (1_000, "1 ms polls beside it")] {
        row(&format!("10,000/s, source -> sink, {load}"), &mut pipeline(stall_us, false)?);
    }
    row("10,000/s, source -> sink, blind 1 ms polls", &mut pipeline(1_000, true)?);
    yields(1)?;
    yields(2)?;
    Ok(())
}

fn row(what: &str, nanos: &mut [u64]) {
    nanos.sort_unstable();
    let at = |q: f64| nanos[((nanos.len() - 1) as f64 * q) as usize] as f64 / 1e3;
    println!("{what:44} {:>7.1} us {:>7.1} us {:>7.1} us", at(0.5), at(0.99), at(1.0));
}

fn workers(workers: usize) -> std::io::Result<CoreWorkers> {
    CoreWorkers::start(World::real(), CoreWorkersOptions { workers, ..CoreWorkersOptions::default() })
}

/// The floor: two threads that wake each other; half of each round trip.
fn threads() -> Vec<u64> {
    const ROUNDS: u64 = if cfg!(debug_assertions) { 100 } else { 5_000 };
    let world = World::real();
    let turn = Arc::new(AtomicU64::new(0));
    let main = std::thread::current();
    let seen = Arc::clone(&turn);
    let other = world.spawner.spawn(
        "echo",
        Box::new(move || {
            for round in 0..ROUNDS {
                while seen.load(Ordering::Acquire) != 2 * round + 1 {
                    std::thread::park();
                }
                seen.store(2 * round + 2, Ordering::Release);
                main.unpark();
            }
        }),
    );
    let other = other.expect("the machine has a thread to give");
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let start = world.mono();
        turn.store(2 * round + 1, Ordering::Release);
        other.thread().unpark();
        while turn.load(Ordering::Acquire) != 2 * round + 2 {
            std::thread::park();
        }
        times.push(world.mono().since(start).as_nanos() as u64 / 2);
    }
    other.join().expect("the thread does not panic");
    times
}

/// From a wake-up by a thread outside to the start of the poll; the task answers by unparking the thread.
fn from_outside(options: SpawnOptions) -> std::io::Result<Vec<u64>> {
    let executor = workers(2)?;
    let polled_at = Arc::new(AtomicU64::new(0));
    let (at, main) = (Arc::clone(&polled_at), std::thread::current());
    let task = poll_fn("echo", move |cx| {
        at.store(cx.world().mono().0, Ordering::Release);
        main.unpark();
        TaskPoll::Pending
    });
    let handle = executor.spawn(task, options);
    let mut times = Vec::new();
    for _ in 0..5_000 {
        let wait = || loop {
            match polled_at.swap(0, Ordering::AcqRel) {
                0 => std::thread::park(),
                at => return MonoTime(at),
            }
        };
        if times.is_empty() {
            wait();
        }
        let start = executor.world().mono();
        handle.wake();
        times.push(wait().since(start).as_nanos() as u64);
    }
    Ok(times)
}

/// Two tasks that wake each other; half of each round trip.
fn ping_pong(count: usize, second: SpawnOptions) -> std::io::Result<Vec<u64>> {
    const ROUNDS: usize = if cfg!(debug_assertions) { 500 } else { 20_000 };
    let executor = workers(count)?;
    let turn = Arc::new(AtomicBool::new(false));
    let times = Arc::new(Mutex::new(Vec::new()));
    let peers: Arc<[OnceLock<TaskHandle>; 2]> = Arc::default();
    let (pong_turn, pong_peers) = (Arc::clone(&turn), Arc::clone(&peers));
    let pong = poll_fn("pong", move |_| {
        if pong_turn.swap(false, Ordering::AcqRel) {
            pong_peers[0].get().expect("set before the first ping").wake();
        }
        TaskPoll::Pending
    });
    let _ = peers[1].set(executor.spawn(pong, second));
    let (own, log) = (Arc::clone(&peers), Arc::clone(&times));
    let mut last = MonoTime(0);
    let ping = poll_fn("ping", move |cx| {
        let mut log = log.lock().expect("nobody panics");
        if turn.load(Ordering::Acquire) || own[0].get().is_none() {
            return TaskPoll::Yield;
        }
        let now = cx.world().mono();
        if last != MonoTime(0) {
            log.push(now.since(last).as_nanos() as u64 / 2);
        }
        last = now;
        if log.len() == ROUNDS {
            return TaskPoll::Done;
        }
        turn.store(true, Ordering::Release);
        own[1].get().expect("set before").wake();
        TaskPoll::Pending
    });
    let handle = executor.spawn(ping, SpawnOptions::default());
    let _ = peers[0].set(handle.clone());
    handle.wait(PATIENCE);
    drop(executor);
    let times = times.lock().expect("nobody panics");
    Ok(times.clone())
}

/// How late a deadline comes.
fn deadlines() -> std::io::Result<Vec<u64>> {
    let executor = workers(2)?;
    let times = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&times);
    let mut due = None;
    let task = poll_fn("sleeper", move |cx| {
        let mut log = log.lock().expect("nobody panics");
        if let Some(due) = due {
            log.push(cx.now().since(due).as_nanos() as u64);
        }
        if log.len() == 5_000 {
            return TaskPoll::Done;
        }
        let at = cx.now().after(Duration::from_micros(100));
        due = Some(at);
        cx.wake_at(at);
        TaskPoll::Pending
    });
    executor.spawn(task, SpawnOptions::default()).wait(PATIENCE);
    drop(executor);
    let times = times.lock().expect("nobody panics");
    Ok(times.clone())
}

/// A source with 10,000 records per second and a sink, on two workers; from each record's due time to its arrival. Beside them a task whose
/// polls last `stall_us`; a blind one does not look at the clock meanwhile.
fn pipeline(stall_us: u64, blind: bool) -> std::io::Result<Vec<u64>> {
    const RECORDS: usize = if cfg!(debug_assertions) { 1_000 } else { 20_000 };
    let executor = workers(2)?;
    let channel: Arc<Mutex<VecDeque<MonoTime>>> = Arc::default();
    let times = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    if stall_us > 0 {
        let stop = Arc::clone(&stop);
        let stall = Duration::from_micros(stall_us).min(POLL_BUDGET);
        let task = poll_fn("stall", move |cx| {
            let until = cx.now().after(stall);
            while cx.world().mono() < until {
                if !blind {
                    cx.out_of_time();
                }
            }
            if stop.load(Ordering::Relaxed) { TaskPoll::Done } else { TaskPoll::Yield }
        });
        executor.spawn(task, SpawnOptions::default());
    }
    let (input, log) = (Arc::clone(&channel), Arc::clone(&times));
    let sink = poll_fn("sink", move |cx| {
        let arrived = std::mem::take(&mut *input.lock().expect("nobody panics"));
        let now = cx.world().mono();
        let mut log = log.lock().expect("nobody panics");
        log.extend(arrived.into_iter().map(|due| now.since(due).as_nanos() as u64));
        if log.len() >= RECORDS { TaskPoll::Done } else { TaskPoll::Pending }
    });
    let sink = executor.spawn(sink, SpawnOptions::default());
    let (mut next, mut sent, reader) = (None, 0, sink.clone());
    let source = poll_fn("source", move |cx| {
        let mut due = next.unwrap_or(cx.now());
        while due <= cx.now() && sent < RECORDS {
            channel.lock().expect("nobody panics").push_back(due);
            sent += 1;
            due = due.after(Duration::from_micros(100));
        }
        next = Some(due);
        reader.wake();
        cx.wake_at(due);
        if sent == RECORDS { TaskPoll::Done } else { TaskPoll::Pending }
    });
    executor.spawn(source, SpawnOptions::default());
    sink.wait(PATIENCE);
    stop.store(true, Ordering::Relaxed);
    drop(executor);
    let times = times.lock().expect("nobody panics");
    Ok(times.clone())
}

/// Polls per second of tasks that always have work and do nothing.
fn yields(count: usize) -> std::io::Result<()> {
    const POLLS: u64 = if cfg!(debug_assertions) { 20_000 } else { 2_000_000 };
    let executor = workers(count)?;
    let start = executor.world().mono();
    let tasks: Vec<TaskHandle> = (0..4 * count)
        .map(|i| {
            let mut left = POLLS / 4;
            let task = poll_fn(&i.to_string(), move |_| {
                left -= 1;
                if left == 0 { TaskPoll::Done } else { TaskPoll::Yield }
            });
            executor.spawn(task, SpawnOptions::default())
        })
        .collect();
    for task in tasks {
        task.wait(PATIENCE);
    }
    let nanos = executor.world().mono().since(start).as_nanos() as f64;
    println!("one poll that yields, {count} worker(s): {:.0} ns", nanos / POLLS as f64);
    Ok(())
}
