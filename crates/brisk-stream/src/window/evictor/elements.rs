//! The elements of one window with their timestamps.
//!
//! Invariant: as many timestamps as values.

use brisk_base::{Result, Timestamp};
use brisk_core::types::{Decoder, Record, Schema, put_varint};

/// The elements of a window in the order of arrival, each with its timestamp ([`Timestamp::MIN`] for none).
#[derive(Clone, PartialEq, Debug)]
pub struct WindowElements<T> {
    values: Vec<T>,
    timestamps: Vec<Timestamp>,
}

impl<T> Default for WindowElements<T> {
    fn default() -> Self {
        Self { values: Vec::new(), timestamps: Vec::new() }
    }
}

impl<T> WindowElements<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The timestamps, one per value.
    pub fn timestamps(&self) -> &[Timestamp] {
        &self.timestamps
    }

    /// Values with timestamps.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&T, Timestamp)> + ExactSizeIterator {
        self.values.iter().zip(self.timestamps.iter().copied())
    }

    /// Removes the first `count` elements.
    pub fn remove_first(&mut self, count: usize) {
        let count = count.min(self.len());
        self.values.drain(..count);
        self.timestamps.drain(..count);
    }

    /// Keeps the elements for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&T, Timestamp) -> bool) {
        let kept: Vec<bool> = self.iter().map(|(value, timestamp)| keep(value, timestamp)).collect();
        let mut flags = kept.iter();
        self.values.retain(|_| *flags.next().expect("one flag per element"));
        let mut flags = kept.iter();
        self.timestamps.retain(|_| *flags.next().expect("one flag per element"));
    }

    /// Appends an element.
    pub(crate) fn push(&mut self, value: T, timestamp: Timestamp) {
        self.values.push(value);
        self.timestamps.push(timestamp);
    }

    /// Appends all elements of another window.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.values.append(&mut other.values);
        self.timestamps.append(&mut other.timestamps);
    }
}

impl<T: Record> Record for WindowElements<T> {
    /// Layout: the count, then value and timestamp of each element.
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        for (value, timestamp) in self.iter() {
            value.encode(out);
            timestamp.encode(out);
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        let mut elements = Self::default();
        for _ in 0..input.varint()? {
            let value = T::decode(input)?;
            elements.push(value, Timestamp::decode(input)?);
        }
        Ok(elements)
    }

    fn schema() -> Schema {
        Schema::List(Box::new(<(T, Timestamp)>::schema()))
    }

    fn heap_bytes(&self) -> usize {
        self.values.iter().map(|value| value.heap_bytes() + size_of::<T>() + size_of::<Timestamp>()).sum()
    }
}
