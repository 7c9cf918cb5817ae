//! What a task reads: the channels of all its exchanges, their watermarks combined.
//!
//! Channels of one logical input are combined by a valve, the inputs of a two-input operator by [`CombinedWatermark`], as in Flink.
//!
//! Invariants: each row comes under the combination of the watermarks that its channel and the others had when it was received; the final
//! watermark of a channel counts also when the channel was idle.

mod combined;

use self::combined::CombinedWatermark;
use super::barriers::{Barriers, InputChannel};
use crate::barrier::ChannelStanding;
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
    /// What the barriers of the channels mean.
    pub(super) barriers: Barriers,
    /// The channels.
    channels: Vec<InputChannel>,
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
    /// A barrier, or the end of a channel: there may be events.
    Barrier,
    /// Nothing; the waker will be woken.
    Nothing,
    /// The simulator holds something back.
    HeldBack,
    /// A channel has failed.
    Failed(brisk_base::Error),
}

impl Inputs {
    pub(super) fn new(queue: Arc<GateQueue>, channels: Vec<InputChannel>, perturb: Option<Arc<dyn Perturb>>) -> Self {
        let inputs = channels.iter().map(|channel| usize::from(channel.input) + 1).max().unwrap_or(0);
        let mut open = vec![0; inputs];
        let mut place = |input: u8| {
            open[usize::from(input)] += 1;
            (input, open[usize::from(input)] as u32 - 1)
        };
        let input_of = channels.iter().map(|channel| place(channel.input)).collect();
        let valves = open.iter().map(|channels| WatermarkValve::new(*channels)).collect();
        let barriers = Barriers::new(Arc::clone(&queue), channels.clone(), perturb.clone());
        let (combined, pending) = (CombinedWatermark::new(inputs), VecDeque::new());
        Self { valves, combined, queue, barriers, channels, input_of, open, pending, perturb, rows: 0 }
    }

    /// The channels of an old subtask, through which only [`restore_element`](Self::restore_element) gives anything.
    pub(super) fn of_channels(channels: Vec<InputChannel>) -> Self {
        Self::new(Arc::new(GateQueue::new(channels.len(), None)), channels, None)
    }

    pub(super) fn watermark(&self) -> Timestamp {
        self.combined.watermark()
    }

    /// The next element, or nothing; barriers become events of [`barriers`](Self::barriers), which are to be looked at first.
    pub(super) fn next(&mut self, waker: &Waker, now: impl Fn() -> Timestamp) -> Next {
        loop {
            if let Some((input, element)) = self.pending.pop_front() {
                return Next::Element(input, element);
            }
            match self.queue.receive(waker) {
                Received::Element(channel, element) => {
                    let channel = channel as usize;
                    self.barriers.read(channel, &element);
                    match element {
                        Element::Barrier(barrier) => {
                            self.barriers.arrive(channel, barrier, now());
                            return Next::Barrier;
                        }
                        Element::EndOfChannel => {
                            self.barriers.end(channel, now());
                            return Next::Barrier;
                        }
                        element => self.take(channel, element),
                    }
                }
                Received::Nothing => return Next::Nothing,
                Received::HeldBack => return Next::HeldBack,
                Received::Failed(error) => return Next::Failed(error),
            }
        }
    }

    /// Bytes received.
    pub(super) fn bytes(&self) -> u64 {
        self.queue.taken_bytes()
    }

    /// Has the waker woken when a barrier is announced; false when one has been already.
    pub(super) fn watch(&self, waker: &Waker) -> bool {
        self.queue.watch(waker)
    }

    /// Copies of what has been received and not been given to the chain, by input.
    pub(super) fn pending(&self) -> impl Iterator<Item = (u32, Element)> {
        self.pending.iter().map(|(input, element)| (*input as u32, element.duplicate()))
    }

    /// Where the channels stand.
    pub(super) fn standings(&self) -> Vec<ChannelStanding> {
        let standing = |(channel, (input, place)): (&InputChannel, &(u8, u32))| {
            let (watermark, idle) = self.valves[usize::from(*input)].standing(*place as usize);
            ChannelStanding { channel: channel.key, watermark, idle }
        };
        self.channels.iter().zip(&self.input_of).map(standing).collect()
    }

    /// The channels, in their order.
    pub(super) fn channels(&self) -> &[InputChannel] {
        &self.channels
    }

    /// Lets a channel stand where it stood in a checkpoint; the operators have been told already.
    pub(super) fn restore_standing(&mut self, channel: usize, watermark: Timestamp, idle: bool) {
        let (input, place) = self.input_of[channel];
        let (input, place) = (usize::from(input), place as usize);
        if watermark > Timestamp::MIN
            && let Some(watermark) = self.valves[input].watermark(place, watermark)
        {
            self.combined.advance(input, watermark);
        }
        if idle {
            let change = self.valves[input].status(place, StreamStatus::Idle);
            self.combined.apply(input, change);
        }
    }

    /// Takes an element that was under way on a channel.
    pub(super) fn restore_element(&mut self, channel: usize, element: Element) {
        self.take(channel, element);
    }

    /// Takes an element that a restored task has for an input.
    pub(super) fn restore_pending(&mut self, input: usize, element: Element) {
        self.rows += element.rows() as u64;
        self.pending.push_back((input, element));
    }

    /// The combined watermark of a restored task, which never goes back.
    pub(super) fn restore_watermark(&mut self, watermark: Timestamp) {
        self.combined.begin_at(watermark);
    }

    /// What the elements so far have turned into.
    pub(super) fn take_pending(&mut self) -> VecDeque<(usize, Element)> {
        std::mem::take(&mut self.pending)
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
