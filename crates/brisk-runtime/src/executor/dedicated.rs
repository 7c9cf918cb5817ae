//! A thread for one task: asked for when the task was spawned, or what is left of a worker whose task blocked it.
//!
//! The thread sleeps while its task waits, and ends with it. Its task's deadline needs no timer: the thread sleeps until then.

use super::cell::{Polled, TaskCell};
use super::task_state::TaskState;
use super::threads::park_until;
use super::{POLL_BUDGET, PollContext};
use brisk_base::world::{MonoTime, World};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Polls a task that is scheduled, on the thread that calls, until it is over.
pub(super) fn drive(world: &World, cell: &Arc<TaskCell>) {
    adopt(cell);
    while cell.start() {
        let waker = Waker::from(Arc::clone(cell));
        let mut cx = PollContext::new(&waker, world, POLL_BUDGET);
        let polled = cell.poll(&mut cx);
        let until = cx.wanted();
        cell.finish(polled);
        wait(world, cell, until);
    }
}

/// Goes on as [`drive`] with a task whose poll, begun by this thread as a worker, has just returned and asked to be woken at `until`.
pub(super) fn carry_on(world: &World, cell: &Arc<TaskCell>, polled: Polled, until: MonoTime) {
    adopt(cell);
    cell.finish(polled);
    wait(world, cell, until);
    drive(world, cell);
}

/// Makes the calling thread the one that the task's wakers unpark. The task is scheduled or being polled here, so none of them looks yet.
fn adopt(cell: &TaskCell) {
    cell.dedicated.get_or_init(std::thread::current);
}

/// Sleeps until the task is scheduled or over.
fn wait(world: &World, cell: &Arc<TaskCell>, until: MonoTime) {
    loop {
        match cell.state.get() {
            TaskState::Scheduled | TaskState::Over => return,
            _ if world.mono() >= until => cell.wake_by_ref(),
            _ => park_until(world, until),
        }
    }
}
