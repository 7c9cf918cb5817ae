//! A histogram of bounded size and bounded relative error, filled without locks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets per power of two: the relative error of a quantile is at most 1/32.
const SUB_BUCKETS: u64 = 32;

/// log2 of [`SUB_BUCKETS`].
const SUB_BITS: u32 = SUB_BUCKETS.trailing_zeros();

/// Numbers below twice [`SUB_BUCKETS`] have a bucket each; above, each power of two up to 2^63 has [`SUB_BUCKETS`].
const BUCKETS: usize = (2 * SUB_BUCKETS + (63 - SUB_BITS as u64) * SUB_BUCKETS) as usize;

/// Distribution of whole numbers from 0 on, such as latencies in microseconds, since the histogram was made.
///
/// 15 KB, whatever is put in. One thread at a time may record; any may read.
#[derive(Clone)]
pub struct Histogram(Arc<State>);

struct State {
    /// How many numbers fell into each bucket; see [`bucket_of`].
    buckets: Box<[AtomicU64]>,
    /// Sum of all numbers.
    sum: AtomicU64,
    /// The smallest; `u64::MAX` when there is none.
    min: AtomicU64,
    /// The largest.
    max: AtomicU64,
}

/// A histogram's content at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Lowest number and count of each bucket that is not empty, in order.
    buckets: Vec<(u64, u64)>,
    /// How many numbers.
    count: u64,
    /// Their sum.
    sum: u64,
    /// The smallest, 0 when there is none.
    min: u64,
    /// The largest, 0 when there is none.
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram that is listed nowhere.
    pub fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(State { buckets, sum: AtomicU64::new(0), min: AtomicU64::new(u64::MAX), max: AtomicU64::new(0) }))
    }

    /// Records one number (Flink's `update`). A few plain loads and stores.
    #[inline]
    pub fn update(&self, value: u64) {
        let state = &*self.0;
        add(&state.buckets[bucket_of(value)], 1);
        add(&state.sum, value);
        if value < state.min.load(Ordering::Relaxed) {
            state.min.store(value, Ordering::Relaxed);
        }
        if value > state.max.load(Ordering::Relaxed) {
            state.max.store(value, Ordering::Relaxed);
        }
    }

    /// What has been recorded so far. Numbers recorded while it is taken may be in it or not.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let counts = self.0.buckets.iter().enumerate().map(|(bucket, count)| (lowest_of(bucket), count.load(Ordering::Relaxed)));
        let buckets: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let [min, max, sum] = [&self.0.min, &self.0.max, &self.0.sum].map(|value| value.load(Ordering::Relaxed));
        HistogramSnapshot { buckets, count, sum, min: if count == 0 { 0 } else { min }, max }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({})", self.snapshot())
    }
}

impl HistogramSnapshot {
    /// How many numbers were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The smallest; 0 when there is none.
    pub fn min(&self) -> u64 {
        self.min
    }

    /// The largest; 0 when there is none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Their mean; 0 when there is none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// Their standard deviation, to within the width of the buckets.
    pub fn std_dev(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.buckets.iter().map(|&(value, count)| (value as f64 - mean).powi(2) * count as f64).sum();
        if self.count == 0 { 0.0 } else { (squares / self.count as f64).sqrt() }
    }

    /// The number that the share `quantile` (0.0 to 1.0) of all numbers does not exceed, at most 1/32 too low; 0 when there is none.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let rank = (quantile.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for &(value, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return if seen == self.count && rank == self.count { self.max } else { value.clamp(self.min, self.max) };
            }
        }
        self.max
    }
}

impl fmt::Display for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|quantile| self.quantile(quantile));
        write!(f, "count {}, min {}, p50 {p50}, p95 {p95}, p99 {p99}, max {}", self.count, self.min, self.max)
    }
}

impl fmt::Debug for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[inline]
fn add(cell: &AtomicU64, amount: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

/// The bucket of a number: itself when small; else its power of two and the five bits after the highest.
#[inline]
const fn bucket_of(value: u64) -> usize {
    if value < 2 * SUB_BUCKETS {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - SUB_BITS;
    (shift as u64 * SUB_BUCKETS + (value >> shift)) as usize
}

/// The smallest number of a bucket.
const fn lowest_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * SUB_BUCKETS {
        return bucket;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    (bucket % SUB_BUCKETS + SUB_BUCKETS) << shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_one_is_all_zero() {
        let empty = Histogram::new().snapshot();
        assert_eq!((empty.count(), empty.min(), empty.max(), empty.quantile(0.5)), (0, 0, 0, 0));
        assert_eq!(empty.to_string(), "count 0, min 0, p50 0, p95 0, p99 0, max 0");
    }

    #[test]
    fn buckets_cover_every_number_once() {
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(lowest_of(bucket)), bucket);
            if bucket > 0 {
                assert_eq!(bucket_of(lowest_of(bucket) - 1), bucket - 1);
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn statistics_are_near_those_of_the_numbers(
            mut values in proptest::collection::vec((0u32..44).prop_flat_map(|bits| 0u64..=1 << bits), 1..300),
            quantile in 0.0f64..=1.0,
        ) {
            let histogram = Histogram::new();
            values.iter().for_each(|&value| histogram.update(value));
            let snapshot = histogram.snapshot();
            values.sort_unstable();
            let exact = values[((quantile * values.len() as f64).ceil() as usize).max(1) - 1];
            let estimate = snapshot.quantile(quantile);
            prop_assert!(estimate <= exact && exact - estimate <= exact / 32 + 1, "{} for {}", estimate, exact);
            prop_assert_eq!(snapshot.count(), values.len() as u64);
            prop_assert_eq!(snapshot.sum(), values.iter().sum::<u64>());
            prop_assert_eq!((snapshot.min(), snapshot.max()), (values[0], values[values.len() - 1]));
            let mean = snapshot.mean();
            let exact_dev = (values.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
            let widest = values[values.len() - 1] as f64 / 32.0;
            prop_assert!((snapshot.std_dev() - exact_dev).abs() <= widest + 1e-6, "{} for {}", snapshot.std_dev(), exact_dev);
        }
    }
}
