//! The job: each record changes the value of one key. All keys are met once, in order, then at random.

use super::measured::Meter;
use crate::blocks::BlockSource;
use crate::digest::mix;
use crate::digest_sink::DigestSink;
use brisk::prelude::*;
use brisk::state::{StateDeclarations, ValueState};
use brisk::stream::function::{KeyedContext, KeyedProcessFunction};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much there is to do.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) records: u64,
    /// Keys, each of which is met by one of the first records.
    pub(super) keys: u64,
    /// Bytes of a value.
    pub(super) value: usize,
}

/// What the job came to.
pub(super) struct Held {
    /// Times and pauses.
    pub(super) meter: Arc<Meter>,
    digest: Arc<AtomicU64>,
}

impl Plan {
    /// As many records as never end, and can still be multiplied a little.
    pub(super) const ENDLESS: u64 = u64::MAX / 64;

    fn key(self, n: u64) -> u64 {
        if n < self.keys { n } else { mix(n) % self.keys }
    }

    /// Adds the job.
    pub(super) fn job(self, env: &StreamEnvironment) -> Held {
        let meter = Arc::new(Meter::new(self.records, self.keys));
        let (sink, digest) = DigestSink::new(|count: &u64, _| *count);
        let of_function = Arc::clone(&meter);
        env.from_source(BlockSource { count: self.records }, WatermarkStrategy::no_watermarks(), "numbers")
            .uid("numbers")
            .key_by(move |n| self.key(*n))
            .process_with(move |state| Holder { size: self.value, meter: Some(Arc::clone(&of_function)), ..Holder::declare(state) })
            .uid("state")
            .sink_to(sink)
            .uid("sink");
        Held { meter, digest }
    }
}

impl Held {
    pub(super) fn digest(&self) -> u64 {
        self.digest.load(Ordering::Relaxed)
    }

    pub(super) fn report(&self, figures: &mut Map<String, Value>) {
        self.meter.report(figures);
    }
}

/// Counts the records of each key, in a value that is otherwise noise, so that it cannot be compressed.
struct Holder {
    value: ValueState<Vec<u8>>,
    size: usize,
    meter: Option<Arc<Meter>>,
}

impl KeyedProcessFunction for Holder {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { value: state.value("value"), size: 0, meter: None }
    }

    fn process_element(&mut self, n: u64, ctx: &mut KeyedContext<'_, u64>, out: &mut Collector<u64>) -> brisk::Result<()> {
        if let Some(meter) = &self.meter {
            meter.record();
        }
        let size = self.size;
        let count = self.value.update(ctx, |value| {
            let bytes = value.get_or_insert_with(|| noise(n, size));
            let mut count = [0; 8];
            count.copy_from_slice(&bytes[..8]);
            let next = u64::from_le_bytes(count).wrapping_add(1);
            bytes[..8].copy_from_slice(&next.to_le_bytes());
            next
        })?;
        out.collect(count);
        Ok(())
    }
}

/// The first value of a key: a count of 0, then noise.
fn noise(n: u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size.max(8) + 8);
    bytes.extend(0_u64.to_le_bytes());
    let mut word = mix(n);
    while bytes.len() < size {
        word = mix(word);
        bytes.extend(word.to_le_bytes());
    }
    bytes.truncate(size.max(8));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_are_met_first() {
        let plan = Plan { records: 300, keys: 100, value: 8 };
        assert!((0..100).map(|n| plan.key(n)).eq(0..100));
        assert!((100..300).all(|n| plan.key(n) < 100));
    }

    #[test]
    fn values_have_their_size() {
        assert_eq!([8, 9, 100, 1000].map(|size| noise(7, size).len()), [8, 9, 100, 1000]);
        assert_eq!(noise(7, 100)[..8], [0; 8]);
    }
}
