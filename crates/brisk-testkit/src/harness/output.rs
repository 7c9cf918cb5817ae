//! What comes out of a harness.

use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Rows, Step};
use brisk_core::element::StreamStatus;
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext};
use brisk_core::types::Record;
use brisk_stream::DataStream;
use std::sync::{Arc, Mutex, PoisonError};

/// One element of an output.
#[derive(Clone, PartialEq, Debug)]
pub enum Event<T> {
    /// A record with its timestamp ([`Timestamp::MIN`] for none).
    Record(T, Timestamp),
    /// A watermark.
    Watermark(Timestamp),
    /// The stream became idle or active.
    Status(StreamStatus),
}

/// Collects an output.
pub(crate) struct Collected<T>(Arc<Mutex<Vec<Event<T>>>>);

impl<T> Clone for Collected<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Record> Collected<T> {
    /// Adds an operator behind `stream` that collects it.
    pub(crate) fn behind(stream: &DataStream<T>) -> Self {
        let collected = Self(Arc::default());
        let into = collected.clone();
        let make =
            move |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(Collect { into: into.clone(), told: Timestamp::MIN })) };
        let _: DataStream<()> = stream.transform("harness output", make);
        collected
    }

    pub(crate) fn take(&self) -> Vec<Event<T>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the records and leaves the rest.
    pub(crate) fn take_records(&self) -> Vec<(T, Timestamp)> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, rest) = std::mem::take(&mut *events).into_iter().partition(|event| matches!(event, Event::Record(..)));
        *events = rest;
        let record = |event| match event {
            Event::Record(value, timestamp) => Some((value, timestamp)),
            _ => None,
        };
        Vec::into_iter(records).filter_map(record).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|event| matches!(event, Event::Record(..)))
    }

    fn add(&self, event: Event<T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

struct Collect<T> {
    into: Collected<T>,
    /// The last watermark; a restored operator is told it several times.
    told: Timestamp,
}

impl<T: Record> Operator for Collect<T> {
    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<T>::batch_type())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        for step in Rows::<T>::from_any(batch)?.into_cursor() {
            self.into.add(match step {
                Step::Row(value, timestamp, _) => Event::Record(value, timestamp),
                Step::Watermark(watermark) => Event::Watermark(watermark),
            });
        }
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, watermark: Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        if std::mem::replace(&mut self.told, watermark) != watermark {
            self.into.add(Event::Watermark(watermark));
        }
        Ok(Progress::Done)
    }

    fn process_status(&mut self, status: StreamStatus, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.into.add(Event::Status(status));
        Ok(())
    }
}
