//! What a task does about checkpoints, around its chain and its inputs: begins, collects, hands over; and ends when the last one is complete.
//!
//! Invariants: a snapshot is handed over once, when all that belongs to it is known; with checkpoints on, a task that is through ends only
//! when a checkpoint that was taken after its end is complete.

use super::TaskCheckpoint;
use super::barriers::BarrierEvent;
use super::chain::{Chain, add_sent};
use super::inputs::Inputs;
use crate::barrier::ChannelKey;
use crate::exchange::Perturb;
use brisk_base::ids::CheckpointId;
use brisk_base::world::World;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::element::Element;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A snapshot that has been taken, and may not be whole.
struct Open {
    snapshot: TaskCheckpoint,
    /// Elements of the input channels are still becoming part of it.
    input_open: bool,
}

/// Something that goes to whoever coordinates the checkpoints.
pub(super) enum News {
    /// A snapshot is whole.
    Snapshot(Box<TaskCheckpoint>),
    /// The task takes no part in a checkpoint.
    Declined(CheckpointId, Error),
    /// The task has processed all its input.
    EndOfData,
}

/// See the module.
pub(super) struct Checkpoints {
    /// Whether there are checkpoints at all.
    enabled: bool,
    /// For each writer, the name of its exchange and the consumer behind its first channel.
    keys: Vec<(ChannelKey, usize)>,
    open: Option<Open>,
    /// The source gives nothing more, because the job is being stopped.
    paused: Option<CheckpointId>,
    /// The task ends when this checkpoint is complete, whatever input there is.
    stop_after: Option<CheckpointId>,
    /// That checkpoint is complete.
    stopped: bool,
    /// The first checkpoint that was taken after the end of all input.
    last: Option<CheckpointId>,
    /// The task may end.
    may_end: bool,
    /// What is to be told.
    pub(super) news: Vec<News>,
    perturb: Option<Arc<dyn Perturb>>,
}

impl Checkpoints {
    pub(super) fn new(enabled: bool, keys: Vec<(ChannelKey, usize)>, perturb: Option<Arc<dyn Perturb>>) -> Self {
        Self {
            enabled,
            keys,
            open: None,
            paused: None,
            stop_after: None,
            stopped: false,
            last: None,
            may_end: !enabled,
            news: Vec::new(),
            perturb,
        }
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether the source is to give nothing for now.
    pub(super) const fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether a task whose input has ended may end, too.
    pub(super) const fn may_end(&self) -> bool {
        self.may_end
    }

    /// Whether the task ends whatever input there is.
    pub(super) const fn stops(&self) -> bool {
        self.stopped
    }

    /// A checkpoint begins at this task. True when the source is to end for it.
    pub(super) fn trigger(
        &mut self,
        barrier: Barrier,
        chain: &mut Chain,
        inputs: Option<&mut Inputs>,
        cx: (&Waker, &World),
    ) -> Result<bool> {
        let now = cx.1.now();
        let at_source = inputs.is_none();
        if let Some(inputs) = inputs {
            if !inputs.barriers.all_ended() {
                self.decline(barrier.checkpoint, "it still has inputs, through which the barrier comes");
                return Ok(false);
            }
            inputs.barriers.abort(barrier.checkpoint, now);
        }
        let mut ended = false;
        match barrier.kind {
            SnapshotKind::StopWithSavepoint { drain: true } if at_source && !chain.is_source_finished() => {
                chain.end_source();
                ended = true;
            }
            SnapshotKind::StopWithSavepoint { drain: false } if at_source => self.paused = Some(barrier.checkpoint),
            _ => {}
        }
        if barrier.alignment == Alignment::Unaligned {
            self.overtake(barrier, chain, false, cx)?;
        } else {
            chain.begin_barrier(barrier, cx.0)?;
            self.collect(chain, None, cx.1);
            self.hand_over(chain);
        }
        Ok(ended)
    }

    fn decline(&mut self, checkpoint: CheckpointId, why: &str) {
        self.news.push(News::Declined(checkpoint, Error::transient(why)));
    }

    fn overtake(&mut self, barrier: Barrier, chain: &mut Chain, input_open: bool, (waker, world): (&Waker, &World)) -> Result<()> {
        chain.overtake(barrier, &self.keys, waker)?;
        self.collect(chain, None, world);
        if let Some(open) = &mut self.open {
            open.input_open = input_open;
        }
        Ok(())
    }

    /// Follows the barriers of the inputs.
    pub(super) fn attend(&mut self, chain: &mut Chain, inputs: &mut Inputs, (waker, world): (&Waker, &World)) -> Result<()> {
        while let Some(event) = inputs.barriers.next_event() {
            match event {
                BarrierEvent::Pass(barrier) => chain.wiring.push(0, 0, Element::Barrier(barrier)),
                BarrierEvent::Overtake(barrier) => {
                    self.overtake(barrier, chain, true, (waker, world))?;
                    if let Some(open) = &mut self.open {
                        open.snapshot.in_flight.head.extend(inputs.pending());
                    }
                    self.describe(inputs, world.now());
                }
                BarrierEvent::Whole(checkpoint) => {
                    let open = self.open.as_mut().filter(|open| open.snapshot.barrier.checkpoint == checkpoint);
                    if let Some(open) = open {
                        open.snapshot.in_flight.received = inputs.barriers.take_captured(checkpoint);
                        open.input_open = false;
                    }
                }
                BarrierEvent::Abandoned(checkpoint) => {
                    self.open.take_if(|open| open.snapshot.barrier.checkpoint == checkpoint);
                    self.decline(checkpoint, "a later checkpoint has come before all barriers of this one");
                }
            }
        }
        self.hand_over(chain);
        Ok(())
    }

    /// Takes what all operators have handed over, if they have. A snapshot that waits to be whole is not waited for: a later barrier can only
    /// have come when the checkpoint before was given up.
    pub(super) fn collect(&mut self, chain: &mut Chain, inputs: Option<&Inputs>, world: &World) {
        let Some(mut taken) = chain.take_snapshot() else { return };
        if let Some(perturb) = &self.perturb {
            taken.operators.iter_mut().for_each(|(_, snapshot)| perturb.tamper(snapshot));
        }
        let (id, now) = (taken.barrier.checkpoint, world.now());
        if chain.is_finished() {
            self.last.get_or_insert(id);
        }
        if taken.barrier.kind.stops() {
            self.stop_after = Some(id);
        }
        let snapshot = TaskCheckpoint {
            barrier: taken.barrier,
            operators: taken.operators,
            in_flight: taken.in_flight,
            alignment: Duration::ZERO,
            sync: taken.sync,
            start_delay: (now - taken.barrier.timestamp).to_duration(),
        };
        self.open = Some(Open { snapshot, input_open: false });
        inputs.into_iter().for_each(|inputs| self.describe(inputs, now));
    }

    /// Notes where the channels stand, and how long their barriers took.
    fn describe(&mut self, inputs: &Inputs, now: Timestamp) {
        let Some(Open { snapshot, .. }) = &mut self.open else { return };
        let barrier = snapshot.barrier;
        snapshot.alignment = inputs.barriers.waited(barrier.checkpoint, now);
        snapshot.start_delay = snapshot.start_delay.saturating_sub(snapshot.alignment);
        if !barrier.kind.stops() {
            snapshot.in_flight.standings = inputs.standings();
        }
    }

    /// Has barriers that have waited for too long overtake what is in front of them.
    pub(super) fn overtake_output(&mut self, chain: &mut Chain, now: Timestamp) {
        for at in 0..chain.wiring.writers.len() {
            let writer = &mut chain.wiring.writers[at];
            let Some(barrier) = writer.waiting_barrier().filter(|barrier| is_overdue(*barrier, now)) else { continue };
            if !writer.is_overtakable() {
                continue;
            }
            let overtaken = writer.overtake(barrier);
            if let Some(open) = self.open.as_mut().filter(|open| open.snapshot.barrier.checkpoint == barrier.checkpoint) {
                add_sent(&mut open.snapshot.in_flight, at, overtaken, &self.keys);
            }
        }
    }

    /// When barriers in the output begin to overtake.
    pub(super) fn output_deadline(&self, chain: &Chain) -> Option<Timestamp> {
        self.open.as_ref()?;
        let writers = chain.wiring.writers.iter().filter(|writer| writer.is_overtakable());
        writers.filter_map(|writer| writer.waiting_barrier()).filter_map(overdue_at).min()
    }

    /// Hands over the snapshot that is whole.
    pub(super) fn hand_over(&mut self, chain: &Chain) {
        let waits = |open: &mut Open| {
            let id = open.snapshot.barrier.checkpoint;
            let in_output = || {
                let barriers =
                    chain.wiring.writers.iter().filter(|writer| writer.is_overtakable()).filter_map(|writer| writer.waiting_barrier());
                barriers.into_iter().any(|barrier| barrier.checkpoint == id)
            };
            open.input_open || in_output()
        };
        if let Some(open) = self.open.take_if(|open| !waits(open)) {
            self.news.push(News::Snapshot(Box::new(open.snapshot)));
        }
    }

    /// Whether a snapshot is waiting to be whole.
    pub(super) const fn has_open(&self) -> bool {
        self.open.is_some()
    }

    /// A checkpoint is complete.
    pub(super) fn complete(&mut self, checkpoint: CheckpointId, chain: &mut Chain, waker: &Waker) -> Result<()> {
        chain.checkpoint_complete(checkpoint, waker)?;
        self.may_end |= self.last.is_some_and(|last| last <= checkpoint);
        self.stopped |= self.stop_after == Some(checkpoint);
        self.may_end |= self.stopped;
        Ok(())
    }

    /// A checkpoint has been given up.
    pub(super) fn aborted(&mut self, checkpoint: CheckpointId, chain: &mut Chain, waker: &Waker) -> Result<()> {
        self.open.take_if(|open| open.snapshot.barrier.checkpoint <= checkpoint);
        self.paused.take_if(|paused| *paused <= checkpoint);
        self.stop_after.take_if(|stop| *stop <= checkpoint);
        chain.checkpoint_aborted(checkpoint, waker)
    }
}

fn overdue_at(barrier: Barrier) -> Option<Timestamp> {
    match barrier.alignment {
        Alignment::AlignedTimeout(after) => Some(barrier.timestamp + after.into()),
        _ => None,
    }
}

fn is_overdue(barrier: Barrier, now: Timestamp) -> bool {
    overdue_at(barrier).is_some_and(|at| at <= now)
}
