//! A sink that adds the digests of its records up, and keeps nothing else.

use brisk::batch::Rows;
use brisk::prelude::*;
use brisk::sink::{Sink, SinkWriter};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module. `digest` gives a record's part, `total` is what all subtasks came to.
pub(crate) struct DigestSink<T> {
    digest: fn(&T, Timestamp) -> u64,
    total: Arc<AtomicU64>,
    record: PhantomData<fn(T)>,
}

impl<T: Record> DigestSink<T> {
    pub(crate) fn new(digest: fn(&T, Timestamp) -> u64) -> (Self, Arc<AtomicU64>) {
        let total = Arc::new(AtomicU64::new(0));
        (Self { digest, total: Arc::clone(&total), record: PhantomData }, total)
    }
}

struct Writer<T> {
    digest: fn(&T, Timestamp) -> u64,
    sum: u64,
    total: Arc<AtomicU64>,
}

impl<T: Record> Sink for DigestSink<T> {
    type In = T;

    fn create_writer(&self, _cx: &RuntimeContext) -> Result<Box<dyn SinkWriter<T>>> {
        Ok(Box::new(Writer { digest: self.digest, sum: 0, total: Arc::clone(&self.total) }))
    }
}

impl<T: Record> SinkWriter<T> for Writer<T> {
    fn write(&mut self, value: T, timestamp: Timestamp) -> Result<()> {
        self.sum = self.sum.wrapping_add((self.digest)(&value, timestamp));
        Ok(())
    }

    fn write_batch(&mut self, rows: Rows<T>) -> Result<()> {
        for (row, value) in rows.values.iter().enumerate() {
            self.sum = self.sum.wrapping_add((self.digest)(value, rows.timestamp(row)));
        }
        Ok(())
    }

    fn flush(&mut self, end_of_input: bool) -> Result<()> {
        if end_of_input {
            self.total.fetch_add(std::mem::take(&mut self.sum), Ordering::Relaxed);
        }
        Ok(())
    }
}
