//! What a task reads: the channels of all its exchanges, their watermarks combined.
//!
//! Channels of one logical input are combined by a valve, the inputs of a two-input operator by [`CombinedWatermark`], as in Flink.
//!
//! Invariants: each row comes under the combination of the watermarks that its channel and the others had when it was received; the final
//! watermark of a channel counts also when the channel was idle.

mod combined;

use self::combined::CombinedWatermark;
use crate::exchange::{GateQueue, Perturb, Received};
use crate::valve::{Change, WatermarkValve};
use brisk_base::Timestamp;
use brisk_core::batch::{AnyBatch, Mark};
use brisk_core::element::{Element, StreamStatus};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// See the module.
pub(super) struct Inputs {
    /// Where the elements come from.
    queue: Arc<GateQueue>,
    /// Combines the watermarks and statuses of the channels of each input.
    valves: Vec<WatermarkValve>,
    /// Combines those of the inputs.
    combined: CombinedWatermark,
    /// The logical input of each channel, and its number among the channels of that input.
    input_of: Vec<(u8, u32)>,
    /// Channels of each input that have not ended.
    open: Vec<usize>,
    /// Elements that the last received one turned into.
    pending: VecDeque<(usize, Element)>,
    /// Cuts batches, in the simulator.
    perturb: Option<Arc<dyn Perturb>>,
    /// Rows received.
    pub(super) rows: u64,
}

/// What a task finds to read.
pub(super) enum Next {
    /// An element for a logical input of the head operator.
    Element(usize, Element),
    /// Nothing; the waker will be woken.
    Nothing,
    /// The simulator holds something back.
    HeldBack,
}

impl Inputs {
    pub(super) fn new(queue: Arc<GateQueue>, input_of: Vec<u8>, perturb: Option<Arc<dyn Perturb>>) -> Self {
        let inputs = input_of.iter().max().map_or(0, |input| usize::from(*input) + 1);
        let mut open = vec![0; inputs];
        let place = |input: u8| {
            open[usize::from(input)] += 1;
            (input, open[usize::from(input)] as u32 - 1)
        };
        let input_of = input_of.into_iter().map(place).collect();
        let valves = open.iter().map(|channels| WatermarkValve::new(*channels)).collect();
        Self { valves, combined: CombinedWatermark::new(inputs), queue, input_of, open, pending: VecDeque::new(), perturb, rows: 0 }
    }

    pub(super) fn watermark(&self) -> Timestamp {
        self.combined.watermark()
    }

    pub(super) fn next(&mut self, waker: &Waker) -> Next {
        loop {
            if let Some((input, element)) = self.pending.pop_front() {
                return Next::Element(input, element);
            }
            match self.queue.receive(waker) {
                Received::Element(channel, element) => self.take(channel as usize, element),
                Received::Nothing => return Next::Nothing,
                Received::HeldBack => return Next::HeldBack,
            }
        }
    }

    /// Turns a channel's element into what it means for the task.
    fn take(&mut self, channel: usize, element: Element) {
        let (input, channel) = self.input_of[channel];
        let (input, channel) = (usize::from(input), channel as usize);
        match element {
            Element::Batch(batch) => self.take_batch(channel, input, batch),
            Element::Watermark(watermark) => {
                self.wake_for_the_end(channel, input, watermark);
                let watermark = self.valves[input].watermark(channel, watermark);
                if let Some(watermark) = watermark.and_then(|watermark| self.combined.advance(input, watermark)) {
                    self.pending.push_back((input, Element::Watermark(watermark)));
                }
            }
            Element::Status(status) => {
                let change = self.valves[input].status(channel, status);
                self.apply(input, change);
            }
            Element::LatencyMarker(_) => self.pending.push_back((input, element)),
            Element::Barrier(_) | Element::EndOfChannel => {}
            Element::EndOfInput => {
                self.open[input] -= 1;
                if self.open[input] == 0 {
                    self.pending.push_back((input, Element::EndOfInput));
                }
            }
        }
    }

    /// A channel that ends while it is idle becomes active for its final watermark, which would be lost otherwise.
    fn wake_for_the_end(&mut self, channel: usize, input: usize, watermark: Timestamp) {
        if watermark == Timestamp::MAX && self.valves[input].is_idle(channel) {
            let change = self.valves[input].status(channel, StreamStatus::Active);
            self.apply(input, change);
        }
    }

    fn apply(&mut self, input: usize, change: Change) {
        let change = self.combined.apply(input, change);
        if change.active {
            self.pending.push_back((input, Element::Status(StreamStatus::Active)));
        }
        if let Some(watermark) = change.watermark {
            self.pending.push_back((input, Element::Watermark(watermark)));
        }
        if change.idle {
            self.pending.push_back((input, Element::Status(StreamStatus::Idle)));
        }
    }

    /// The channel's marks become marks of the combined watermark.
    fn take_batch(&mut self, channel: usize, input: usize, mut batch: Box<dyn AnyBatch>) {
        self.rows += batch.len() as u64;
        if let Some(last) = batch.marks().last() {
            self.wake_for_the_end(channel, input, last.watermark);
        }
        let (valve, combined) = (&mut self.valves[input], &mut self.combined);
        batch.marks_mut().retain_mut(|mark| {
            let watermark = valve.watermark(channel, mark.watermark).and_then(|watermark| combined.advance(input, watermark));
            watermark.inspect(|watermark| *mark = Mark { watermark: *watermark, ..*mark }).is_some()
        });
        if let Some(rows) = self.perturb.as_ref().and_then(|perturb| perturb.cut(batch.len())) {
            let front = batch.split_front(rows);
            self.pending.push_back((input, Element::Batch(front)));
        }
        self.pending.push_back((input, Element::Batch(batch)));
    }
}

#[cfg(test)]
mod tests;
