//! The bounded queue between the thread that reads a socket and the task.
//!
//! Invariants: at most about [`ROOM`] bytes wait; after [`Link::close`] the thread ends soon, whatever it waits for.

use brisk_base::{Error, Result};
use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// Bytes that wait for the task before the thread stops reading.
const ROOM: usize = 1 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Link {
    state: Mutex<State>,
    /// Told when there is room, and when the link is closed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Records that the task has not taken.
    records: VecDeque<String>,
    /// Their bytes.
    bytes: usize,
    /// Why the thread is over.
    ended: Option<Result<()>>,
    /// Whether the task is gone.
    closed: bool,
    /// Wakes the task.
    waker: Option<Waker>,
    /// To interrupt the thread's read.
    stream: Option<TcpStream>,
}

/// What the task finds.
pub(super) enum Taken {
    /// Up to the wanted number of records.
    Records,
    /// None for now; the task will be woken.
    Nothing,
    /// None ever again.
    Ended,
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to `rows` records into `out`.
    pub(super) fn take(&self, rows: usize, out: &mut Vec<String>, waker: &Waker) -> Result<Taken> {
        let mut state = self.lock();
        if state.records.is_empty() {
            return match state.ended.take() {
                None => {
                    state.waker = Some(waker.clone());
                    Ok(Taken::Nothing)
                }
                Some(Ok(())) => {
                    state.ended = Some(Ok(()));
                    Ok(Taken::Ended)
                }
                Some(Err(error)) => Err(error),
            };
        }
        let count = rows.saturating_sub(out.len()).min(state.records.len());
        let before = out.len();
        out.extend(state.records.drain(..count));
        state.bytes -= out[before..].iter().map(String::len).sum::<usize>();
        self.changed.notify_all();
        Ok(Taken::Records)
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if let Some(stream) = state.stream.take() {
            // An error means that it is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// The thread reads this connection from now on. False when the link is closed.
    pub(super) fn connected(&self, stream: TcpStream) -> bool {
        let mut state = self.lock();
        state.stream = Some(stream);
        !state.closed
    }

    /// Waits for room and leaves records for the task. False when the link is closed.
    pub(super) fn put(&self, records: Vec<String>) -> bool {
        let mut state = self.lock();
        while state.bytes >= ROOM && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes += records.iter().map(String::len).sum::<usize>();
        state.records.extend(records);
        wake(state)
    }

    /// The thread is over.
    pub(super) fn end(&self, result: Result<(), Error>) {
        let mut state = self.lock();
        state.ended = Some(result);
        state.stream = None;
        wake(state);
    }

    /// Waits, but not after the link is closed. False when it is.
    pub(super) fn pause(&self, span: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, span, |state| !state.closed).unwrap_or_else(PoisonError::into_inner);
        !waited.0.closed
    }
}

/// Wakes the task outside of the lock; false when the link is closed.
fn wake(mut state: MutexGuard<'_, State>) -> bool {
    let (waker, closed) = (state.waker.take(), state.closed);
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
    !closed
}
