//! Handles of single values: counter, gauge, meter.

use super::HistogramSnapshot;
use crate::world::{Clock, MonoTime};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a metric shows at one moment.
#[derive(Clone, PartialEq, Debug)]
pub enum MetricValue {
    /// A counter.
    Counter(u64),
    /// A gauge of a whole number.
    Int(i64),
    /// A gauge of a number.
    Float(f64),
    /// A gauge of a text.
    Text(String),
    /// A meter.
    Meter {
        /// Events so far.
        count: u64,
        /// Events per second, over about the last minute.
        rate: f64,
    },
    /// A histogram.
    Histogram(Box<HistogramSnapshot>),
}

impl From<i64> for MetricValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for MetricValue {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Float(value as f64), Self::Int)
    }
}

impl From<usize> for MetricValue {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<f64> for MetricValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<String> for MetricValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter(count) => count.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Meter { count, rate } => write!(f, "{count} ({rate:.1}/s)"),
            Self::Histogram(histogram) => histogram.fmt(f),
        }
    }
}

/// Counts events. One thread at a time may count; any may read. Counting is a plain load and store, no locked instruction.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// A counter at 0 that is listed nowhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one event.
    #[inline]
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// Counts `events` events.
    #[inline]
    pub fn inc_by(&self, events: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(events), Ordering::Relaxed);
    }

    /// Events so far.
    #[inline]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A whole number that the task sets.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// A gauge at 0 that is listed nowhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number.
    #[inline]
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number.
    #[inline]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Over how long a meter's rate is taken: Flink's `MeterView`.
const RATE_SPAN: Duration = Duration::from_secs(60);

/// Samples a meter keeps at most; they lie at least `RATE_SPAN / SAMPLES` apart.
const SAMPLES: u32 = 60;

/// A counter whose rate can be read. The rate is computed by the reader, from samples that reading itself takes.
#[derive(Clone)]
pub struct Meter(Arc<MeterState>);

struct MeterState {
    /// The events.
    counter: Counter,
    /// Tells the age of samples.
    clock: Arc<dyn Clock>,
    /// Earlier readings, oldest first; never empty. At most one is older than the rate's span.
    samples: Mutex<VecDeque<(MonoTime, u64)>>,
}

impl Meter {
    /// A meter over `counter`, listed nowhere.
    pub fn new(counter: Counter, clock: Arc<dyn Clock>) -> Self {
        let first = (clock.mono(), counter.count());
        Self(Arc::new(MeterState { counter, clock, samples: Mutex::new(VecDeque::from([first])) }))
    }

    /// Counts one event.
    #[inline]
    pub fn mark_event(&self) {
        self.0.counter.inc();
    }

    /// Counts `events` events.
    #[inline]
    pub fn mark_events(&self, events: u64) {
        self.0.counter.inc_by(events);
    }

    /// Events so far.
    pub fn count(&self) -> u64 {
        self.0.counter.count()
    }

    /// Events per second over about the last minute, or since the meter began.
    pub fn rate(&self) -> f64 {
        let (now, count) = (self.0.clock.mono(), self.count());
        let mut samples = self.0.samples.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.len() > 1 && now.since(samples[1].0) >= RATE_SPAN {
            samples.pop_front();
        }
        let (oldest, old_count) = samples[0];
        let newest = samples[samples.len() - 1].0;
        if now.since(newest) >= RATE_SPAN / SAMPLES {
            samples.push_back((now, count));
        }
        let seconds = now.since(oldest).as_secs_f64();
        if seconds > 0.0 { count.wrapping_sub(old_count) as f64 / seconds } else { 0.0 }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Meter({})", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    /// A clock that stands where it was put, in seconds.
    #[derive(Default)]
    struct Seconds(AtomicU64);

    impl Clock for Seconds {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        fn mono(&self) -> MonoTime {
            MonoTime(self.0.load(Ordering::Relaxed) * 1_000_000_000)
        }
    }

    #[test]
    fn rate_is_taken_over_the_last_minute() {
        let clock = Arc::new(Seconds::default());
        let meter = Meter::new(Counter::new(), clock.clone());
        assert!(meter.rate().abs() < f64::EPSILON);
        for second in 1..=300u64 {
            clock.0.store(second, Ordering::Relaxed);
            meter.mark_events(if second <= 120 { 10 } else { 100 });
            let expected = match second {
                ..=120 => 10.0,
                180.. => 100.0,
                _ => continue,
            };
            assert!((meter.rate() - expected).abs() < 2.0, "{} at second {second}", meter.rate());
        }
        assert_eq!(meter.count(), 1200 + 18_000);
        assert!(meter.0.samples.lock().expect("no panic").len() <= SAMPLES as usize + 2);
    }

    #[test]
    fn handles_of_one_counter_count_together() {
        let counter = Counter::new();
        let other = counter.clone();
        counter.inc();
        other.inc_by(41);
        assert_eq!((counter.count(), other.count()), (42, 42));
    }
}
