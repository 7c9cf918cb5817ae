//! The order in which the results of asynchronous requests leave.
//!
//! Invariants: no result passes a watermark in either direction; in ordered mode no result passes another one.

use crate::function::AsyncOrder;
use brisk_base::Timestamp;
use std::collections::VecDeque;

/// Results of one record.
pub(super) struct Completed<T, U> {
    /// Number of the request.
    pub(super) number: u64,
    /// The record they belong to.
    pub(super) input: T,
    /// Its timestamp.
    pub(super) timestamp: Timestamp,
    pub(super) values: Vec<U>,
}

/// What may leave next.
pub(super) enum Leaving<T, U> {
    Results(Completed<T, U>),
    Watermark(Timestamp),
}

/// Records that may leave in any order among themselves, and the watermark that follows them.
struct Segment<T, U> {
    /// Records under way.
    open: usize,
    /// Results that wait for this segment to become the first.
    done: VecDeque<Completed<T, U>>,
    /// Comes when all records of the segment have left.
    watermark: Option<Timestamp>,
}

impl<T, U> Segment<T, U> {
    const fn new() -> Self {
        Self { open: 0, done: VecDeque::new(), watermark: None }
    }
}

/// See the module. In ordered mode each record is a segment of its own.
pub(super) struct AsyncQueue<T, U> {
    order: AsyncOrder,
    segments: VecDeque<Segment<T, U>>,
    /// Number of the first segment.
    first: u64,
    /// Records that have not left: under way, or done and waiting.
    pub(super) records: usize,
}

impl<T, U> AsyncQueue<T, U> {
    pub(super) const fn new(order: AsyncOrder) -> Self {
        Self { order, segments: VecDeque::new(), first: 0, records: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// A record comes in; gives the number of its segment.
    pub(super) fn push(&mut self) -> u64 {
        let joins = self.order == AsyncOrder::Unordered && self.segments.back().is_some_and(|last| last.watermark.is_none());
        if !joins {
            self.segments.push_back(Segment::new());
        }
        let last = self.segments.len() - 1;
        self.segments[last].open += 1;
        self.records += 1;
        self.first + last as u64
    }

    /// A watermark comes in.
    pub(super) fn push_watermark(&mut self, watermark: Timestamp) {
        if self.segments.is_empty() {
            self.segments.push_back(Segment::new());
        }
        let last = self.segments.len() - 1;
        self.segments[last].watermark = Some(watermark);
    }

    /// A record of this segment is done.
    pub(super) fn complete(&mut self, segment: u64, completed: Completed<T, U>) {
        let segment = &mut self.segments[(segment - self.first) as usize];
        segment.open -= 1;
        segment.done.push_back(completed);
    }

    /// Results that have not left.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Completed<T, U>> {
        self.segments.iter().flat_map(|segment| &segment.done)
    }

    /// What may leave now.
    pub(super) fn pop(&mut self) -> Option<Leaving<T, U>> {
        loop {
            let front = self.segments.front_mut()?;
            if let Some(completed) = front.done.pop_front() {
                self.records -= 1;
                return Some(Leaving::Results(completed));
            }
            if front.open > 0 {
                return None;
            }
            let watermark = front.watermark;
            self.segments.pop_front();
            self.first += 1;
            if let Some(watermark) = watermark {
                return Some(Leaving::Watermark(watermark));
            }
        }
    }
}
