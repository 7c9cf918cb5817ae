//! Accumulators: values that each subtask adds to and the job merges (Flink's `Accumulator`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The value of an accumulator: what it is decides how two are merged.
#[derive(Clone, PartialEq, Debug)]
pub enum AccumulatorValue {
    /// A sum of integers (`IntCounter`, `LongCounter`).
    Count(i64),
    /// A sum of floating-point numbers (`DoubleCounter`).
    Sum(f64),
    /// The smallest value (`DoubleMinimum`, `LongMinimum`).
    Min(f64),
    /// The largest value (`DoubleMaximum`, `LongMaximum`).
    Max(f64),
    /// Sum and number of values (`AverageAccumulator`).
    Average {
        /// Sum of the values.
        sum: f64,
        /// How many.
        count: u64,
    },
    /// How often each integer came (`Histogram`).
    Histogram(BTreeMap<i64, u64>),
}

impl AccumulatorValue {
    /// Adds another subtask's value; a value of another kind is refused and left out.
    pub fn merge(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Count(a), Self::Count(b)) => *a = a.wrapping_add(*b),
            (Self::Sum(a), Self::Sum(b)) => *a += b,
            (Self::Min(a), Self::Min(b)) => *a = a.min(*b),
            (Self::Max(a), Self::Max(b)) => *a = a.max(*b),
            (Self::Average { sum, count }, Self::Average { sum: other_sum, count: other_count }) => {
                *sum += other_sum;
                *count += other_count;
            }
            (Self::Histogram(a), Self::Histogram(b)) => b.iter().for_each(|(value, times)| *a.entry(*value).or_default() += times),
            _ => return false,
        }
        true
    }
}

impl fmt::Display for AccumulatorValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(value) => write!(f, "{value}"),
            Self::Sum(value) | Self::Min(value) | Self::Max(value) => write!(f, "{value}"),
            Self::Average { sum, count } => write!(f, "{}", sum / *count as f64),
            Self::Histogram(map) => write!(f, "{map:?}"),
        }
    }
}

/// The accumulators of one subtask, or, merged, of a job.
#[derive(Clone, Default)]
pub struct Accumulators(Arc<Mutex<BTreeMap<String, AccumulatorValue>>>);

impl Accumulators {
    /// Merges `value` into the accumulator of this name. Meant for once per batch or rarer; count in a field in between.
    pub fn add(&self, name: &str, value: &AccumulatorValue) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(name) {
            Some(present) => {
                present.merge(value);
            }
            None => {
                all.insert(name.to_owned(), value.clone());
            }
        }
    }

    /// Adds to a counter.
    pub fn count(&self, name: &str, by: i64) {
        self.add(name, &AccumulatorValue::Count(by));
    }

    /// All values by name.
    pub fn snapshot(&self) -> BTreeMap<String, AccumulatorValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Merges another set into this one.
    pub fn merge(&self, other: &BTreeMap<String, AccumulatorValue>) {
        other.iter().for_each(|(name, value)| self.add(name, value));
    }
}

impl fmt::Debug for Accumulators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.snapshot()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtasks_merge_by_kind() {
        let job = Accumulators::default();
        job.count("rows", 2);
        let subtask = BTreeMap::from([("rows".to_owned(), AccumulatorValue::Count(3)), ("max".to_owned(), AccumulatorValue::Max(1.5))]);
        job.merge(&subtask);
        job.merge(&subtask);
        assert_eq!(job.snapshot()["rows"], AccumulatorValue::Count(8));
        assert_eq!(job.snapshot()["max"], AccumulatorValue::Max(1.5));
        assert!(!AccumulatorValue::Count(1).merge(&AccumulatorValue::Sum(1.0)));
    }
}
