//! What a user says about generated data.

use super::source::{GeneratorEnumerator, GeneratorReader, GeneratorSplit};
use brisk_base::Result;
use brisk_base::world::MonoTime;
use brisk_core::operator::RuntimeContext;
use brisk_core::source::{Boundedness, Source, SourceReader, SplitEnumerator};
use brisk_core::types::Record;
use std::sync::Arc;

/// Makes the record of an index and its due time.
pub(super) type Generator<T> = Arc<dyn Fn(u64, MonoTime) -> T + Send + Sync>;

/// Records made by a function of their index (Flink's `DataGeneratorSource`).
///
/// At a rate, record `n` is due `n / rate` seconds after the reader began, whatever happened before: a source that was held up catches
/// up, so that latencies measured from the due time are honest. Subtask `s` of `p` gives the indices `s`, `s + p`, `s + 2p` and so on.
///
/// ```
/// use brisk_connectors::datagen::DataGeneratorSource;
///
/// let readings = DataGeneratorSource::new(|n| (n % 100, n as f64 / 3.0)).count(1_000_000).per_second(10_000.0);
/// ```
#[derive(Clone)]
pub struct DataGeneratorSource<T> {
    generator: Generator<T>,
    /// Number of records; `None`: without end.
    count: Option<u64>,
    /// Records per second over all subtasks; `None`: as fast as possible.
    per_second: Option<f64>,
}

impl<T: Record> DataGeneratorSource<T> {
    /// Records made from their index, which counts from 0; without end.
    pub fn new(generator: impl Fn(u64) -> T + Send + Sync + 'static) -> Self {
        Self::with_due_time(move |index, _| generator(index))
    }

    /// Records made from their index and the time they are due: of the world's monotonic clock, in the process that reads. Without a rate
    /// that is the time at which the batch is made.
    pub fn with_due_time(generator: impl Fn(u64, MonoTime) -> T + Send + Sync + 'static) -> Self {
        Self { generator: Arc::new(generator), count: None, per_second: None }
    }

    /// Ends after this many records.
    #[must_use]
    pub fn count(mut self, records: u64) -> Self {
        self.count = Some(records);
        self
    }

    /// Gives this many records a second, over all subtasks together.
    ///
    /// # Panics
    /// When the rate is not above 0.
    #[must_use]
    pub fn per_second(mut self, rate: f64) -> Self {
        assert!(rate > 0.0, "a rate of {rate} records per second gives none; leave per_second away for no limit");
        self.per_second = Some(rate);
        self
    }
}

impl<T: Record> Source for DataGeneratorSource<T> {
    type Out = T;
    type Split = GeneratorSplit;
    type EnumeratorState = Vec<GeneratorSplit>;

    fn boundedness(&self) -> Boundedness {
        if self.count.is_some() { Boundedness::Bounded } else { Boundedness::ContinuousUnbounded }
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<GeneratorSplit, Vec<GeneratorSplit>>>> {
        Ok(Box::new(GeneratorEnumerator::new(self.count.unwrap_or(u64::MAX))))
    }

    fn restore_enumerator(&self, unassigned: Vec<GeneratorSplit>) -> Result<Box<dyn SplitEnumerator<GeneratorSplit, Vec<GeneratorSplit>>>> {
        Ok(Box::new(GeneratorEnumerator::restored(unassigned)))
    }

    fn create_reader(&self, _cx: &RuntimeContext) -> Result<Box<dyn SourceReader<T, GeneratorSplit>>> {
        Ok(Box::new(GeneratorReader::new(Arc::clone(&self.generator), self.per_second)))
    }
}
