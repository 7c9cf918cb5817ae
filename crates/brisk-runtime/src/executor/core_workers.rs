//! The default executor: as many threads as the process was given cores, whatever the number of tasks.

use super::cell::{Schedule, TaskCell};
use super::pool::Pool;
use super::{Executor, PollTask, SpawnOptions, TaskHandle, dedicated, watchdog};
use brisk_base::world::World;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long dropping a [`CoreWorkers`] waits for tasks that are inside a poll.
const DROP_GRACE: Duration = Duration::from_millis(500);

/// Number and names of the threads.
#[derive(Clone, Debug)]
pub struct CoreWorkersOptions {
    /// Worker threads; 0 for as many as the process may use cores.
    pub workers: usize,
    /// How the names of all its threads begin. The operating system shows 15 bytes of a name.
    pub name: String,
}

impl Default for CoreWorkersOptions {
    fn default() -> Self {
        Self { workers: 0, name: "brisk".to_owned() }
    }
}

/// What a shutdown could not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Tasks inside a call that has not returned. Each still has its thread, which drops the task and ends if the call ever returns.
    pub given_up: Vec<String>,
}

/// Worker threads with their watchdog. Dropping it is a [`shutdown`](Self::shutdown).
pub struct CoreWorkers {
    pool: Arc<Pool>,
}

impl CoreWorkers {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system's, when it has no threads to give. Those started before are gone again then.
    pub fn start(world: World, options: CoreWorkersOptions) -> io::Result<Self> {
        #[cfg(feature = "mimalloc")]
        brisk_base::allocator::settle();
        let workers = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let executor = Self { pool: Pool::new(world, options.name, workers) };
        for slot in 0..workers {
            let pool = Arc::clone(&executor.pool);
            let seat = pool.slots[slot].seat();
            executor.start_thread(&slot.to_string(), Box::new(move || pool.work(&seat)))?;
        }
        let pool = Arc::clone(&executor.pool);
        executor.start_thread("watch", Box::new(move || watchdog::run(pool)))?;
        Ok(executor)
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.pool.slots.len()
    }

    /// Tasks that have been spawned and not yet dropped.
    pub fn live_tasks(&self) -> usize {
        self.pool.tasks.len()
    }

    /// Drops all tasks, and ends and joins all threads but those that are still inside a task's call after `grace`. Those are left to
    /// themselves and named. Later calls find nothing to do, but report anew.
    pub fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.pool.tasks.close();
        for cell in self.pool.tasks.live() {
            cell.abandon();
        }
        self.pool.close();
        self.pool.threads.close(&self.pool.world, grace);
        self.pool.drain();
        ShutdownReport { given_up: self.pool.tasks.live().iter().map(|cell| cell.name.clone()).collect() }
    }

    fn start_thread(&self, role: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.pool.threads.start(&self.pool.world, &format!("{}-{role}", self.pool.name), body)
    }

    /// Starts the task's own thread. Without one it is a task like others, for the watchdog to deal with.
    fn start_dedicated(&self, cell: &Arc<TaskCell>) {
        let (pool, own) = (Arc::clone(&self.pool), Arc::clone(cell));
        let started = self.start_thread("own", Box::new(move || dedicated::drive(&pool.world, &own)));
        if let Err(error) = started {
            tracing::error!(task = %cell.name, %error, "no dedicated thread for the task; a core worker runs it");
            self.pool.schedule(Arc::clone(cell));
        }
    }
}

impl Executor for CoreWorkers {
    fn spawn(&self, task: Box<dyn PollTask>, options: SpawnOptions) -> TaskHandle {
        let scheduler: Arc<dyn Schedule> = Arc::clone(&self.pool) as _;
        let (cell, open) = self.pool.tasks.add(|id| TaskCell::scheduled(id, task, scheduler, options.observer));
        self.pool.assign_home(&cell);
        if !open {
            cell.abandon();
        } else if options.dedicated {
            self.start_dedicated(&cell);
        } else {
            self.pool.schedule(Arc::clone(&cell));
        }
        TaskHandle { cell }
    }

    fn world(&self) -> &World {
        &self.pool.world
    }
}

impl Drop for CoreWorkers {
    fn drop(&mut self) {
        for task in self.shutdown(DROP_GRACE).given_up {
            tracing::warn!(task, "task is inside a call that does not return; its thread is given up");
        }
    }
}

#[cfg(test)]
mod tests;
