//! The records of one side of an interval join that may still find a partner, by key and timestamp, in keyed state.
//!
//! Invariant: each bucket (the records of one key and timestamp) has one timer, which removes it.

use brisk_base::{Millis, Result, Timestamp};
use brisk_core::operator::{Budget, RuntimeContext};
use brisk_core::state::{KeyGroups, KeyedMapTable, OperatorSnapshot, Slot};
use brisk_core::types::{Key, Record};
use brisk_state::timers::TimerQueue;
use std::ops::{Bound, ControlFlow};

/// A place in a buffer: a record of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    /// The bucket.
    pub(super) timestamp: Timestamp,
    /// The record within the bucket, in the order of arrival; the bucket's length is the place after it.
    pub(super) index: usize,
}

/// See the module.
pub(super) struct Buffer<K, T> {
    /// The buckets of each key, by timestamp.
    table: Box<dyn KeyedMapTable<K, (), Timestamp, Vec<T>>>,
    /// When buckets go.
    timers: TimerQueue<K, ()>,
    /// Name under which the timers lie in a snapshot.
    timers_name: &'static str,
    /// A bucket goes when the watermark has come so far behind its timestamp.
    keep: Millis,
}

impl<K: Key, T: Record> Buffer<K, T> {
    /// A buffer over its table, with the timers that a checkpoint left.
    pub(super) fn new(
        table: Box<dyn KeyedMapTable<K, (), Timestamp, Vec<T>>>,
        timers_name: &'static str,
        keep: Millis,
        key_groups: KeyGroups,
        cx: &RuntimeContext,
    ) -> Result<Self> {
        let mut timers = TimerQueue::default();
        if let Some(restored) = &cx.state.restored {
            timers.restore_from(restored, timers_name, key_groups.range)?;
        }
        Ok(Self { table, timers, timers_name, keep })
    }

    /// Adds records and timers to a snapshot.
    pub(super) fn snapshot(&mut self, key_groups: KeyGroups, snapshot: &mut OperatorSnapshot) -> Result<()> {
        snapshot.freeze(&mut *self.table)?;
        self.timers.snapshot(self.timers_name, key_groups, snapshot);
        Ok(())
    }

    /// Keeps a record for partners to come.
    pub(super) fn add(&mut self, slot: Slot<'_, K, ()>, timestamp: Timestamp, value: T) -> Result<()> {
        let (mut value, mut first) = (Some(value), false);
        self.table.update(slot, &timestamp, &mut |bucket| {
            first = bucket.is_none();
            bucket.get_or_insert_default().extend(value.take());
            Ok(())
        })?;
        if first {
            self.timers.register(timestamp + self.keep, slot.hash, slot.key, &())?;
        }
        Ok(())
    }

    /// Shows the records of a key from a place on, up to and with a timestamp, in order, until `visit` says that it is enough. Returns the
    /// place after the one at which it was.
    pub(super) fn visit(
        &mut self,
        slot: Slot<'_, K, ()>,
        from: Position,
        until: Timestamp,
        mut visit: impl FnMut(Timestamp, &T) -> Result<ControlFlow<()>>,
    ) -> Result<Option<Position>> {
        if from.timestamp > until {
            return Ok(None);
        }
        let mut stopped = None;
        self.table.range(slot, (Bound::Included(&from.timestamp), Bound::Included(&until)), &mut |timestamp, bucket| {
            let seen = if *timestamp == from.timestamp { from.index } else { 0 };
            for (index, value) in bucket.iter().enumerate().skip(seen) {
                if visit(*timestamp, value)?.is_break() {
                    stopped = Some(Position { timestamp: *timestamp, index: index + 1 });
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(stopped)
    }

    /// Removes what finds no partner any more. False when the time is used up before all of it is gone: call again.
    pub(super) fn expire(&mut self, watermark: Timestamp, budget: &mut Budget) -> Result<bool> {
        while let Some(timer) = self.timers.pop_due(watermark) {
            // Sums of times stop at the end of time; then the timer does not say which bucket it was for, but all of them are over.
            let until = if timer.timestamp == Timestamp::MAX { Timestamp::MAX } else { timer.timestamp - self.keep };
            self.table.remove_range(Slot::new(&timer.key, &()), (Bound::Unbounded, Bound::Included(&until)))?;
            if budget.row() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Buckets; over a byte store this reads all of them.
    pub(super) fn buckets(&mut self) -> Result<usize> {
        self.table.len()
    }

    /// Open timers.
    pub(super) const fn timers(&self) -> usize {
        self.timers.len()
    }
}
