//! What the barriers of a task's channels mean, checkpoint by checkpoint.
//!
//! A barrier *comes* when it is read in its place among the elements of its channel, and is *announced* when it is sent, if it may overtake.
//! Channels of edges whose barriers cannot overtake (forward, rescale, broadcast, custom) are waited for in any case.
//!
//! Invariants: a task takes the snapshot of a checkpoint at most once, and of checkpoints in ascending order; except with at-least-once,
//! nothing from behind a barrier is read before the snapshot is taken; when all open channels are through, nothing stays blocked.

use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use brisk_core::checkpoint::{Alignment, Barrier};
use std::collections::BTreeMap;

/// What the task has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Do not read this channel until told.
    Block(usize),
    /// Read all channels again.
    Unblock,
    /// All barriers have come: the barrier goes through the chain, behind everything that was read.
    Pass(Barrier),
    /// The snapshot is taken now, and the barrier overtakes everything; what is under way belongs to it, also what comes from now on until
    /// each channel's barrier has come or been announced. [`BarrierTracker::copied`] is to follow.
    Overtake(Barrier),
    /// Nothing of this channel belongs to the overtaking checkpoint from here on.
    EndOfInFlight(usize),
    /// All that is under way is known: the overtaking checkpoint's part of this task is whole.
    Whole(CheckpointId),
    /// The checkpoint will not be taken here: a later one has come, or it was given up.
    Abandoned(CheckpointId),
}

/// Steps in their order.
pub type Outcome = Vec<Step>;

/// What has been seen of one checkpoint.
struct Pending {
    barrier: Barrier,
    /// By channel: its barrier has come.
    came: Vec<bool>,
    /// By channel: its barrier waits among the elements of the channel, or has come.
    announced: Vec<bool>,
    /// The snapshot has been taken, the barriers having overtaken.
    overtaken: bool,
}

/// One channel.
#[derive(Clone, Copy)]
struct Channel {
    /// Its barriers may overtake.
    overtakable: bool,
    /// Nothing comes from it any more.
    ended: bool,
    /// It is not read.
    blocked: bool,
}

/// See the module.
pub struct BarrierTracker {
    channels: Vec<Channel>,
    /// Several only with at-least-once.
    pending: BTreeMap<CheckpointId, Pending>,
    /// Barriers of checkpoints up to this one mean nothing any more.
    done: CheckpointId,
}

impl BarrierTracker {
    /// A tracker of channels; true for those whose barriers may overtake.
    pub fn new(overtakable: impl IntoIterator<Item = bool>) -> Self {
        let channel = |overtakable| Channel { overtakable, ended: false, blocked: false };
        Self { channels: overtakable.into_iter().map(channel).collect(), pending: BTreeMap::new(), done: CheckpointId(0) }
    }

    /// Whether all channels have ended.
    pub fn all_ended(&self) -> bool {
        self.channels.iter().all(|channel| channel.ended)
    }

    /// When a checkpoint turns from aligned to unaligned, in processing time.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.pending.values().filter_map(deadline).min()
    }

    /// Whether an element of this channel that is read now is under way for a checkpoint that has overtaken it.
    pub fn captures(&self, channel: usize) -> Option<CheckpointId> {
        let overtaken = self.pending.iter().find(|(_, pending)| pending.overtaken);
        overtaken.filter(|(_, pending)| self.channels[channel].overtakable && !pending.announced[channel]).map(|(id, _)| *id)
    }

    /// Channels from which elements are under way when a checkpoint overtakes: their barrier has not come.
    pub fn overtaken_channels(&self, checkpoint: CheckpointId) -> Vec<usize> {
        let Some(pending) = self.pending.get(&checkpoint) else { return Vec::new() };
        let open = |(at, channel): &(usize, &Channel)| channel.overtakable && !channel.ended && !pending.came[*at];
        self.channels.iter().enumerate().filter(open).map(|(at, _)| at).collect()
    }

    /// A barrier that may overtake has been sent.
    pub fn announce(&mut self, channel: usize, barrier: Barrier, now: Timestamp) -> Outcome {
        let mut out = Vec::new();
        if let Some(pending) = self.pending(barrier, &mut out) {
            let first = !std::mem::replace(&mut pending.announced[channel], true);
            if first && pending.overtaken {
                out.push(Step::EndOfInFlight(channel));
            }
            self.advance(barrier.checkpoint, now, &mut out);
        }
        out
    }

    /// After [`Step::Overtake`]: what waits in the [overtaken channels](Self::overtaken_channels) has been copied. In the channels `found`
    /// the barrier was among it.
    pub fn copied(&mut self, checkpoint: CheckpointId, found: &[usize], now: Timestamp) -> Outcome {
        let mut out = Vec::new();
        if let Some(pending) = self.pending.get_mut(&checkpoint) {
            found.iter().for_each(|channel| pending.announced[*channel] = true);
            self.advance(checkpoint, now, &mut out);
        }
        out
    }

    /// A barrier has come in its place.
    pub fn arrive(&mut self, channel: usize, barrier: Barrier, now: Timestamp) -> Outcome {
        let mut out = Vec::new();
        let Some(pending) = self.pending(barrier, &mut out) else { return out };
        pending.came[channel] = true;
        let first = !std::mem::replace(&mut pending.announced[channel], true);
        if first && pending.overtaken {
            out.push(Step::EndOfInFlight(channel));
        }
        if !pending.overtaken && barrier.alignment != Alignment::AtLeastOnce {
            self.channels[channel].blocked = true;
            out.push(Step::Block(channel));
        }
        self.advance(barrier.checkpoint, now, &mut out);
        out
    }

    /// Nothing comes from a channel any more.
    pub fn end(&mut self, channel: usize, now: Timestamp) -> Outcome {
        let mut out = Vec::new();
        self.channels[channel].ended = true;
        let ids: Vec<_> = self.pending.keys().copied().collect();
        for id in ids {
            if let Some(pending) = self.pending.get_mut(&id)
                && !std::mem::replace(&mut pending.announced[channel], true)
                && pending.overtaken
            {
                out.push(Step::EndOfInFlight(channel));
            }
            self.advance(id, now, &mut out);
        }
        out
    }

    /// The time of a [`deadline`](Self::deadline) may have come.
    pub fn on_time(&mut self, now: Timestamp) -> Outcome {
        let mut out = Vec::new();
        let due = self.pending.iter().filter(|(_, pending)| deadline(pending).is_some_and(|at| at <= now)).map(|(id, _)| *id);
        for id in due.collect::<Vec<_>>() {
            self.advance(id, now, &mut out);
        }
        out
    }

    /// A checkpoint has been given up.
    pub fn abort(&mut self, checkpoint: CheckpointId) -> Outcome {
        let mut out = Vec::new();
        self.give_up_to(checkpoint, &mut out);
        self.done = self.done.max(checkpoint);
        out
    }

    /// The barrier entered the task here, not through a channel.
    pub fn triggered(&mut self, checkpoint: CheckpointId) -> Outcome {
        self.abort(checkpoint)
    }

    /// What is known of a barrier's checkpoint; nothing when it is over.
    fn pending(&mut self, barrier: Barrier, out: &mut Outcome) -> Option<&mut Pending> {
        let id = barrier.checkpoint;
        if id <= self.done {
            return None;
        }
        if !self.pending.contains_key(&id) {
            if barrier.alignment != Alignment::AtLeastOnce {
                let earlier = CheckpointId(id.0 - 1);
                self.give_up_to(earlier, out);
                self.done = self.done.max(earlier);
            }
            let count = self.channels.len();
            self.pending.insert(id, Pending { barrier, came: vec![false; count], announced: vec![false; count], overtaken: false });
        }
        let pending = self.pending.get_mut(&id)?;
        if barrier.alignment == Alignment::Unaligned {
            pending.barrier = barrier;
        }
        Some(pending)
    }

    fn give_up_to(&mut self, checkpoint: CheckpointId, out: &mut Outcome) {
        let later = self.pending.split_off(&CheckpointId(checkpoint.0 + 1));
        let given_up = std::mem::replace(&mut self.pending, later);
        out.extend(given_up.keys().map(|id| Step::Abandoned(*id)));
        if !given_up.is_empty() {
            self.unblock(out);
        }
    }

    fn unblock(&mut self, out: &mut Outcome) {
        if self.channels.iter().any(|channel| channel.blocked) {
            self.channels.iter_mut().for_each(|channel| channel.blocked = false);
            out.push(Step::Unblock);
        }
    }

    /// Sees whether the snapshot can be taken, or is whole.
    fn advance(&mut self, id: CheckpointId, now: Timestamp, out: &mut Outcome) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let channels = self.channels.iter().enumerate();
        if !pending.overtaken {
            if channels.clone().all(|(at, channel)| channel.ended || pending.came[at]) {
                let barrier = pending.barrier;
                return self.finish(id, Step::Pass(barrier), out);
            }
            let overdue = deadline(pending).is_some_and(|at| at <= now);
            if overdue {
                pending.barrier = pending.barrier.unaligned();
            }
            let waits_for = |(at, channel): (usize, &Channel)| !channel.overtakable && !channel.ended && !pending.came[at];
            if pending.barrier.alignment != Alignment::Unaligned || channels.clone().any(waits_for) {
                return;
            }
            pending.overtaken = true;
            out.push(Step::Overtake(pending.barrier));
            return self.unblock(out);
        }
        let open = |(at, channel): (usize, &Channel)| channel.overtakable && !channel.ended && !pending.announced[at];
        if channels.clone().any(open) {
            return self.unblock(out);
        }
        self.finish(id, Step::Whole(id), out);
    }

    fn finish(&mut self, id: CheckpointId, step: Step, out: &mut Outcome) {
        self.pending.remove(&id);
        // With at-least-once an earlier one may be open still; it can never be complete before this one, and is of no use after it.
        self.give_up_to(CheckpointId(id.0 - 1), out);
        self.done = id;
        out.push(step);
        self.unblock(out);
    }
}

fn deadline(pending: &Pending) -> Option<Timestamp> {
    match pending.barrier.alignment {
        Alignment::AlignedTimeout(after) if !pending.overtaken => Some(pending.barrier.timestamp + after.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
