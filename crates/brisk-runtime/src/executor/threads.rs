//! The threads of an executor: started, reaped and joined in one place, so that none leaks.

use super::registry::locked;
use brisk_base::world::{MonoTime, World};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// All threads an executor has started and not yet joined.
pub(super) struct Threads {
    state: Mutex<State>,
    /// Signals the end of a thread's work.
    changed: Condvar,
}

struct State {
    /// Whether threads are still started.
    open: bool,
    started: Vec<Started>,
}

struct Started {
    handle: JoinHandle<()>,
    /// Set when the thread has nothing left to do but return.
    finished: Arc<AtomicBool>,
}

/// Marks the thread as finished when its body returns or unwinds.
struct Finish {
    threads: Arc<Threads>,
    finished: Arc<AtomicBool>,
}

impl Drop for Finish {
    fn drop(&mut self) {
        let _state = locked(&self.threads.state);
        self.finished.store(true, Ordering::Release);
        self.threads.changed.notify_all();
    }
}

impl Threads {
    /// None yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { open: true, started: Vec::new() }), changed: Condvar::new() })
    }

    /// Starts a thread.
    pub(super) fn start(self: &Arc<Self>, world: &World, name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        let mut state = locked(&self.state);
        if !state.open {
            return Err(io::Error::other("the executor has been shut down"));
        }
        let (ended, running) = std::mem::take(&mut state.started).into_iter().partition(|t| t.finished.load(Ordering::Acquire));
        state.started = running;
        let finished = Arc::new(AtomicBool::new(false));
        let finish = Finish { threads: Arc::clone(self), finished: Arc::clone(&finished) };
        let handle = world.spawner.spawn(
            name,
            Box::new(move || {
                let _finish = finish;
                body();
            }),
        )?;
        state.started.push(Started { handle, finished });
        drop(state);
        join(ended);
        Ok(())
    }

    /// Starts no more threads, waits up to `grace` for those that run, and joins those that have ended. The others are let go; returns
    /// how many there were.
    pub(super) fn close(&self, world: &World, grace: Duration) -> usize {
        let me = std::thread::current().id();
        let until = world.mono().after(grace);
        let mut state = locked(&self.state);
        state.open = false;
        state.started.retain(|t| t.handle.thread().id() != me);
        loop {
            let left = until.since(world.mono());
            let running = state.started.iter().filter(|t| !t.finished.load(Ordering::Acquire)).count();
            if running == 0 || left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (ended, stuck): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.started).into_iter().partition(|t| t.finished.load(Ordering::Acquire));
        drop(state);
        join(ended);
        stuck.len()
    }
}

/// Joins threads that have finished.
fn join(ended: Vec<Started>) {
    for thread in ended {
        // A thread's body catches the panics of tasks; its own panic has been printed by the panic hook.
        drop(thread.handle.join());
    }
}

/// Parks the calling thread, until `until` at the latest.
pub(super) fn park_until(world: &World, until: MonoTime) {
    if until == MonoTime::NEVER {
        std::thread::park();
    } else {
        let left = until.since(world.mono());
        if !left.is_zero() {
            std::thread::park_timeout(left);
        }
    }
}
