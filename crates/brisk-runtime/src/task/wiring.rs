//! What connects the operators of a chain: a queue in front of each, and the writers behind them.

use super::operator_metrics::OperatorMetrics;
use crate::writer::RecordWriter;
use brisk_base::world::MonoTime;
use brisk_base::{Result, Timestamp};
use brisk_core::element::Element;
use brisk_core::job_graph::{OutputRoute, RouteTarget};
use brisk_core::operator::{Output, Port};
use brisk_core::source::SourceEvent;
use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

/// See the module.
pub struct Wiring {
    /// Elements in front of each operator, with the input they are for.
    pub(super) queues: Vec<VecDeque<(usize, Element)>>,
    /// The outputs of each operator.
    routes: Vec<Vec<OutputRoute>>,
    /// The exchanges behind the chain.
    pub(super) writers: Vec<RecordWriter>,
    /// Messages to coordinators: operator and message.
    pub(super) events: Vec<(usize, SourceEvent)>,
    /// The first error of a writer; it is reported by the step that caused it.
    failed: Option<brisk_base::Error>,
    /// When this step began.
    pub(super) now: MonoTime,
    /// When an operator wants the task to be polled again.
    pub(super) wake_at: MonoTime,
    /// Rows that left the chain.
    pub(super) rows_out: u64,
    /// Rows that the source at the head gave.
    pub(super) source_rows: u64,
    /// What each operator is seen to do.
    pub(super) metrics: Vec<OperatorMetrics>,
    /// Elements that operators have emitted.
    pub(super) emitted: u64,
    /// Whether the first operator is a source.
    pub(super) from_source: bool,
    /// The newest watermark that a source gave.
    pub(super) source_watermark: Timestamp,
    /// Highest index of an operator that may have something in its queue.
    pub(super) last_pending: usize,
}

impl Wiring {
    /// Connects operators by their routes.
    pub fn new(routes: Vec<Vec<OutputRoute>>, writers: Vec<RecordWriter>) -> Self {
        Self {
            queues: routes.iter().map(|_| VecDeque::new()).collect(),
            routes,
            writers,
            events: Vec::new(),
            failed: None,
            now: MonoTime(0),
            wake_at: MonoTime::NEVER,
            rows_out: 0,
            source_rows: 0,
            metrics: Vec::new(),
            emitted: 0,
            from_source: false,
            source_watermark: Timestamp::MIN,
            last_pending: 0,
        }
    }

    /// Adds an element for an operator.
    pub fn push(&mut self, operator: usize, input: usize, element: Element) {
        self.queues[operator].push_back((input, element));
        self.last_pending = self.last_pending.max(operator);
    }

    /// Begins a poll. A wish to be polled stands until its time has come.
    pub(super) fn begin(&mut self, now: MonoTime) {
        self.now = now;
        if self.wake_at <= now {
            self.wake_at = MonoTime::NEVER;
        }
    }

    /// Sends an element to all readers of one output.
    pub(super) fn emit(&mut self, operator: usize, port: Port, element: Element) {
        self.emitted += 1;
        if self.from_source && operator == 0 {
            self.note_source(&element);
        }
        let Some(last) = self.routes[operator].get(port).and_then(|route| route.targets.len().checked_sub(1)) else { return };
        self.note_given(operator, &element);
        for at in 0..last {
            self.deliver(self.routes[operator][port].targets[at], element.duplicate());
        }
        self.deliver(self.routes[operator][port].targets[last], element);
    }

    /// Notes what an operator gives, for its metrics.
    fn note_given(&self, operator: usize, element: &Element) {
        let metrics = &self.metrics[operator];
        match element {
            Element::Watermark(watermark) => metrics.watermark_went(*watermark),
            Element::Batch(batch) => {
                metrics.gave(batch.len());
                if let Some(mark) = batch.marks().last() {
                    metrics.watermark_went(mark.watermark);
                }
                // What a source gives is what it has read.
                if self.from_source && operator == 0 {
                    metrics.took(batch.len());
                }
            }
            _ => {}
        }
    }

    /// Notes what a source gives, for its figures.
    fn note_source(&mut self, element: &Element) {
        self.source_rows += element.rows() as u64;
        let watermark = match element {
            Element::Watermark(watermark) => Some(*watermark),
            Element::Batch(batch) => batch.marks().last().map(|mark| mark.watermark),
            _ => None,
        };
        self.source_watermark = self.source_watermark.max(watermark.unwrap_or(Timestamp::MIN));
    }

    fn deliver(&mut self, target: RouteTarget, element: Element) {
        match target {
            RouteTarget::Chained(operator) => self.push(operator, 0, element),
            RouteTarget::Exchange(writer) => {
                self.rows_out += element.rows() as u64;
                if let Err(error) = self.writers[writer].write(element, self.now) {
                    self.failed.get_or_insert(error);
                }
            }
        }
    }

    pub(super) fn emit_to_all_ports(&mut self, operator: usize, element: &Element) {
        (0..self.routes[operator].len()).for_each(|port| self.emit(operator, port, element.duplicate()));
    }

    pub(super) fn ports(&self, operator: usize) -> usize {
        self.routes[operator].len()
    }

    pub(super) fn take_error(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Hands ready elements to their channels; true when all are gone.
    pub(super) fn pump(&mut self, waker: &Waker) -> Result<bool> {
        let mut done = true;
        for writer in &mut self.writers {
            done &= writer.pump(waker);
            writer.take_failure()?;
        }
        Ok(done)
    }

    pub(super) fn flush(&mut self, now: MonoTime) {
        self.writers.iter_mut().for_each(|writer| writer.flush(now));
    }
}

/// The output of one operator of the chain.
pub(super) struct ChainOutput<'a> {
    pub(super) wiring: &'a mut Wiring,
    pub(super) operator: usize,
}

impl Output for ChainOutput<'_> {
    fn emit(&mut self, port: Port, element: Element) {
        self.wiring.emit(self.operator, port, element);
    }

    fn ports(&self) -> usize {
        self.wiring.ports(self.operator)
    }

    fn send_event(&mut self, event: SourceEvent) {
        self.wiring.events.push((self.operator, event));
    }

    fn wake_after(&mut self, span: Duration) {
        self.wiring.wake_at = self.wiring.wake_at.min(self.wiring.now.after(span));
    }
}
