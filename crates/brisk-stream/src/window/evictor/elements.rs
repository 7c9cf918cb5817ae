//! The elements of one window with their timestamps.
//!
//! Invariant: as many timestamps as values.

use brisk_base::Timestamp;

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

    /// The elements, each with its timestamp.
    pub(crate) fn into_pairs(self) -> Vec<(T, Timestamp)> {
        self.values.into_iter().zip(self.timestamps).collect()
    }
}

impl<T> From<Vec<(T, Timestamp)>> for WindowElements<T> {
    fn from(pairs: Vec<(T, Timestamp)>) -> Self {
        let (values, timestamps) = pairs.into_iter().unzip();
        Self { values, timestamps }
    }
}
