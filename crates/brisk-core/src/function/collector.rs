//! Gathers what a user function emits into one output batch.

use crate::batch::Rows;
use brisk_base::Timestamp;

/// Takes the records that a user function emits (Flink's `Collector`). Cost per record: one push.
pub struct Collector<T> {
    rows: Rows<T>,
    timestamp: Timestamp,
    /// Rows of the last batch, and whether they had timestamps: a guess at the next.
    last: (usize, bool),
}

impl<T> Default for Collector<T> {
    fn default() -> Self {
        Self { rows: Rows::default(), timestamp: Timestamp::MIN, last: (0, false) }
    }
}

impl<T> Collector<T> {
    /// Emits a record with the timestamp of the record or timer that is being processed.
    #[inline]
    pub fn collect(&mut self, value: T) {
        self.rows.push(value, self.timestamp);
    }

    /// Emits a record with a timestamp of its own.
    #[inline]
    pub fn collect_with_timestamp(&mut self, value: T, timestamp: Timestamp) {
        self.rows.push(value, timestamp);
    }

    /// Sets the timestamp of the records to come; [`Timestamp::MIN`] for none. For operators.
    #[inline]
    pub fn set_timestamp(&mut self, timestamp: Timestamp) {
        self.timestamp = timestamp;
    }

    /// The timestamp that [`collect`](Self::collect) gives.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Records gathered so far.
    pub fn len(&self) -> usize {
        self.rows.values.len()
    }

    /// Whether no record has been gathered.
    pub fn is_empty(&self) -> bool {
        self.rows.values.is_empty()
    }

    /// Whether a full batch has been gathered: time to emit it.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.rows.values.len() >= Rows::<T>::FULL
    }

    /// Notes that the watermark advances after what has been gathered.
    pub fn mark(&mut self, watermark: Timestamp) {
        self.rows.mark(watermark);
    }

    /// Takes what has been gathered.
    pub fn take(&mut self) -> Rows<T> {
        self.last = (self.rows.values.len(), !self.rows.timestamps.is_empty());
        std::mem::take(&mut self.rows)
    }

    /// Makes room for a batch like the last one.
    #[inline]
    pub fn reserve(&mut self) {
        let (rows, timestamps) = self.last;
        if rows > 0 && self.rows.values.capacity() == 0 {
            let rows = rows + rows / 8;
            self.rows.values.reserve_exact(rows);
            if timestamps {
                self.rows.timestamps.reserve_exact(rows);
            }
        }
    }

    /// The batch being gathered, for operators that fill it in bulk.
    pub fn rows_mut(&mut self) -> &mut Rows<T> {
        &mut self.rows
    }
}
