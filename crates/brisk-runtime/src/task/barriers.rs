//! The barriers of a task's gate: blocks and frees its channels, and copies what a barrier has overtaken.
//!
//! Invariant: an element under way is copied exactly once: those that wait when the snapshot is taken then, later ones when they are read,
//! or when their channel's barrier is announced in front of which they wait.

use crate::barrier::{BarrierTracker, ChannelElements, ChannelKey, Outcome, Step};
use crate::exchange::{GateQueue, Perturb};
use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use brisk_core::checkpoint::Barrier;
use brisk_core::element::Element;
use std::collections::VecDeque;
use std::sync::Arc;

/// One channel of a gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputChannel {
    /// The logical input that it belongs to.
    pub(super) input: u8,
    /// Its name in checkpoints.
    pub(super) key: ChannelKey,
    /// Whether its barriers may overtake.
    pub(super) overtakable: bool,
}

/// What barriers mean for the task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BarrierEvent {
    /// The barrier goes through the chain, behind everything that was read.
    Pass(Barrier),
    /// The snapshot is taken now.
    Overtake(Barrier),
    /// What was under way at the overtaking snapshot is known.
    Whole(CheckpointId),
    /// No snapshot is taken for this checkpoint, or it is of no use.
    Abandoned(CheckpointId),
}

/// What is under way for a checkpoint that has overtaken.
struct Capture {
    checkpoint: CheckpointId,
    /// By channel: what was copied.
    elements: Vec<Vec<Element>>,
    /// By channel: elements that wait and have been copied already.
    ahead: Vec<usize>,
}

/// See the module.
pub(super) struct Barriers {
    queue: Arc<GateQueue>,
    tracker: BarrierTracker,
    channels: Vec<InputChannel>,
    capture: Option<Capture>,
    events: VecDeque<BarrierEvent>,
    /// When the first barrier of the checkpoint at hand was seen.
    began: Option<(CheckpointId, Timestamp)>,
    perturb: Option<Arc<dyn Perturb>>,
}

impl Barriers {
    pub(super) fn new(queue: Arc<GateQueue>, channels: Vec<InputChannel>, perturb: Option<Arc<dyn Perturb>>) -> Self {
        let tracker = BarrierTracker::new(channels.iter().map(|channel| channel.overtakable));
        Self { queue, tracker, channels, capture: None, events: VecDeque::new(), began: None, perturb }
    }

    /// What has come of the barriers since the last call.
    pub(super) fn next_event(&mut self) -> Option<BarrierEvent> {
        self.events.pop_front()
    }

    /// When this should be looked after again, in processing time.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.tracker.deadline()
    }

    pub(super) fn all_ended(&self) -> bool {
        self.tracker.all_ended()
    }

    /// How long the barriers of a checkpoint have been waited for.
    pub(super) fn waited(&self, checkpoint: CheckpointId, now: Timestamp) -> std::time::Duration {
        self.began.filter(|(id, _)| *id == checkpoint).map_or_else(Default::default, |(_, began)| (now - began).to_duration())
    }

    /// Looks at barriers that have been announced, and at the time.
    pub(super) fn look(&mut self, now: Timestamp) {
        while let Some((channel, barrier)) = self.queue.announced() {
            self.begin(barrier, now);
            let outcome = self.tracker.announce(channel as usize, barrier, now);
            self.follow(outcome, now);
        }
        if self.tracker.deadline().is_some_and(|at| at <= now) {
            let outcome = self.tracker.on_time(now);
            self.follow(outcome, now);
        }
    }

    /// A barrier has been read.
    pub(super) fn arrive(&mut self, channel: usize, barrier: Barrier, now: Timestamp) {
        self.begin(barrier, now);
        let outcome = self.tracker.arrive(channel, barrier, now);
        self.follow(outcome, now);
        if self.perturb.as_ref().is_some_and(|perturb| perturb.skips_barriers()) {
            for other in 0..self.channels.len() {
                let outcome = self.tracker.arrive(other, barrier, now);
                self.follow(outcome, now);
            }
        }
    }

    /// A channel has ended.
    pub(super) fn end(&mut self, channel: usize, now: Timestamp) {
        let outcome = self.tracker.end(channel, now);
        self.follow(outcome, now);
    }

    /// A checkpoint has been given up.
    pub(super) fn abort(&mut self, checkpoint: CheckpointId, now: Timestamp) {
        let outcome = self.tracker.abort(checkpoint);
        self.follow(outcome, now);
    }

    /// An element of a channel is read: it is copied if it is under way for a checkpoint.
    pub(super) fn read(&mut self, channel: usize, element: &Element) {
        let Some(capture) = &mut self.capture else { return };
        if capture.ahead[channel] > 0 {
            capture.ahead[channel] -= 1;
        } else if self.tracker.captures(channel) == Some(capture.checkpoint) && !matches!(element, Element::Barrier(_)) {
            capture.elements[channel].push(element.duplicate());
        }
    }

    /// What was under way at the snapshot of a checkpoint, once that is known.
    pub(super) fn take_captured(&mut self, checkpoint: CheckpointId) -> Vec<ChannelElements> {
        let Some(capture) = self.capture.take_if(|capture| capture.checkpoint == checkpoint) else { return Vec::new() };
        let channels = self.channels.iter().zip(capture.elements).filter(|(_, elements)| !elements.is_empty());
        channels.map(|(channel, elements)| ChannelElements { channel: channel.key, elements }).collect()
    }

    fn begin(&mut self, barrier: Barrier, now: Timestamp) {
        if self.began.is_none_or(|(id, _)| id < barrier.checkpoint) {
            self.began = Some((barrier.checkpoint, now));
        }
    }

    fn follow(&mut self, outcome: Outcome, now: Timestamp) {
        for step in outcome {
            match step {
                Step::Block(channel) => self.queue.block(channel as u32),
                Step::Unblock => self.queue.unblock_all(),
                Step::Pass(barrier) => self.events.push_back(BarrierEvent::Pass(barrier)),
                Step::Overtake(barrier) => {
                    self.events.push_back(BarrierEvent::Overtake(barrier));
                    self.begin_capture(barrier.checkpoint, now);
                }
                Step::EndOfInFlight(channel) => self.end_capture(channel),
                Step::Whole(checkpoint) => self.events.push_back(BarrierEvent::Whole(checkpoint)),
                Step::Abandoned(checkpoint) => {
                    self.capture.take_if(|capture| capture.checkpoint == checkpoint);
                    self.events.push_back(BarrierEvent::Abandoned(checkpoint));
                }
            }
        }
    }

    fn begin_capture(&mut self, checkpoint: CheckpointId, now: Timestamp) {
        let count = self.channels.len();
        let mut capture = Capture { checkpoint, elements: (0..count).map(|_| Vec::new()).collect(), ahead: vec![0; count] };
        let mut found = Vec::new();
        for channel in self.tracker.overtaken_channels(checkpoint) {
            let (elements, is_there) = self.queue.copy_ahead_of(channel as u32, checkpoint, 0);
            capture.ahead[channel] = elements.len();
            capture.elements[channel] = elements;
            found.extend(is_there.then_some(channel));
        }
        self.capture = Some(capture);
        let outcome = self.tracker.copied(checkpoint, &found, now);
        self.follow(outcome, now);
    }

    fn end_capture(&mut self, channel: usize) {
        let Some(capture) = &mut self.capture else { return };
        let (more, is_there) = self.queue.copy_ahead_of(channel as u32, capture.checkpoint, capture.ahead[channel]);
        if !is_there {
            // It has been read: so has everything in front of it.
            return;
        }
        capture.ahead[channel] += more.len();
        capture.elements[channel].extend(more);
    }
}
