//! A function that passes records on and sees to it that its copies are opened, closed and dropped as they should be.

use brisk_base::{Error, Result};
use brisk_core::function::Collector;
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use brisk_stream::function::{ProcessContext, ProcessFunction};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What happened to all copies.
#[derive(Default)]
struct Counters {
    /// Copies that exist.
    alive: AtomicI64,
    /// Copies that were opened.
    opened: AtomicU64,
    /// Copies that were closed after having been opened.
    closed: AtomicU64,
    /// Copies that were closed twice.
    closed_twice: AtomicU64,
    /// Records that came before open or after close.
    untimely: AtomicU64,
}

/// See the module. The first one, which makes the copies, belongs to the checker.
pub(super) struct Watch<T> {
    counters: Arc<Counters>,
    open: bool,
    closed: bool,
    record: PhantomData<fn(T)>,
}

impl<T> Watch<T> {
    pub(super) fn new() -> Self {
        Self::copy(Arc::default())
    }

    fn copy(counters: Arc<Counters>) -> Self {
        counters.alive.fetch_add(1, Ordering::Relaxed);
        Self { counters, open: false, closed: false, record: PhantomData }
    }

    /// Called on the first one when the job and all that belongs to it are gone.
    pub(super) fn check(&self) -> Result<()> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (opened, closed) = (read(&self.counters.opened), read(&self.counters.closed));
        let (twice, untimely) = (read(&self.counters.closed_twice), read(&self.counters.untimely));
        let alive = self.counters.alive.load(Ordering::Relaxed) - 1;
        if opened == closed && twice == 0 && untimely == 0 && alive == 0 {
            return Ok(());
        }
        let life = format!("{opened} functions opened, {closed} closed, {twice} closed twice, {alive} not dropped");
        Err(Error::bug(format!("{life}, {untimely} records before open or after close")))
    }
}

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self::copy(Arc::clone(&self.counters))
    }
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.counters.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: Record> ProcessFunction for Watch<T> {
    type In = T;
    type Out = T;

    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        self.open = true;
        self.counters.opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn process_element(&mut self, value: T, _ctx: &mut ProcessContext<'_>, out: &mut Collector<T>) -> Result<()> {
        self.counters.untimely.fetch_add(u64::from(!self.open || self.closed), Ordering::Relaxed);
        out.collect(value);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.counters.closed_twice.fetch_add(u64::from(self.closed), Ordering::Relaxed);
        self.counters.closed.fetch_add(u64::from(self.open && !self.closed), Ordering::Relaxed);
        self.closed = true;
        Ok(())
    }
}
