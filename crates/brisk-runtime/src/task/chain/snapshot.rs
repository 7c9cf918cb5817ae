//! Checkpoints of a chain: what its operators hand over, what they are told afterwards, and how they begin again.

use super::{Chain, Taking};
use crate::barrier::{ChannelElements, ChannelKey, InFlight};
use brisk_base::ids::{CheckpointId, OperatorId};
use brisk_base::{Result, ResultExt, Timestamp};
use brisk_core::batch::BatchType;
use brisk_core::checkpoint::{Barrier, SnapshotKind};
use brisk_core::element::Element;
use brisk_core::operator::SnapshotContext;
use brisk_core::state::OperatorSnapshot;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// What all operators of a chain have handed over.
pub struct ChainSnapshot {
    /// The barrier, as it went.
    pub barrier: Barrier,
    /// By operator, in the order of the chain.
    pub operators: Vec<(OperatorId, OperatorSnapshot)>,
    /// What the barrier has overtaken inside the task and behind it.
    pub in_flight: InFlight,
    /// What it took the task.
    pub sync: Duration,
}

impl Chain {
    /// The snapshot of one operator.
    pub(super) fn hand_over(&mut self, at: usize, barrier: Barrier, waker: &Waker) -> Result<()> {
        let checkpoint = barrier.checkpoint;
        let began = self.slots[at].runtime.world.mono();
        let slots = self.slots.len();
        let taking =
            || Taking { barrier, snapshots: (0..slots).map(|_| None).collect(), in_flight: InFlight::default(), sync: Duration::ZERO };
        self.taking.entry(checkpoint).or_insert_with(taking);
        self.call(at, waker, |operator, cx| operator.prepare_snapshot(checkpoint, cx))?;
        let slot = &mut self.slots[at];
        // A job that was drained for a savepoint goes on from it as if its input had not ended.
        let drained = matches!(barrier.kind, SnapshotKind::StopWithSavepoint { .. });
        let mut snapshot = OperatorSnapshot {
            finished: (slot.finished || slot.was_finished) && !drained,
            watermark: if drained { Timestamp::MIN } else { slot.passed },
            ..OperatorSnapshot::default()
        };
        slot.operator.snapshot(&mut snapshot, &mut SnapshotContext { barrier, runtime: &slot.runtime }).context(|| slot.runtime.place())?;
        if let Some(restored) = &slot.runtime.state.restored {
            let unknown = restored.unknown_states(&snapshot.operator, slot.runtime.task.subtask);
            snapshot.operator.extend(unknown);
        }
        if let Some(taking) = self.taking.get_mut(&checkpoint) {
            taking.snapshots[at] = Some(snapshot);
            taking.sync += slot.runtime.world.mono().since(began);
        }
        Ok(())
    }

    /// A barrier begins at this task. A source hands over its snapshot at once, so that splits that come behind the barrier are not in it.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn begin_barrier(&mut self, barrier: Barrier, waker: &Waker) -> Result<()> {
        if !self.wiring.from_source {
            self.wiring.push(0, 0, Element::Barrier(barrier));
            return Ok(());
        }
        self.hand_over(0, barrier, waker)?;
        self.wiring.emit_to_all_ports(0, &Element::Barrier(barrier));
        Ok(())
    }

    /// A barrier overtakes: every operator that it has not come to hands over its snapshot now, and what waits in front of it is copied.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn overtake(&mut self, barrier: Barrier, keys: &[(ChannelKey, usize)], waker: &Waker) -> Result<()> {
        let is_it = |element: &Element| matches!(element, Element::Barrier(other) if other.checkpoint == barrier.checkpoint);
        for at in 0..self.slots.len() {
            if self.taking.get(&barrier.checkpoint).is_some_and(|taking| taking.snapshots[at].is_some()) {
                continue;
            }
            self.hand_over(at, barrier, waker)?;
            let end = self.wiring.queues[at].iter().position(|(_, element)| is_it(element));
            let waiting = self.wiring.queues[at].iter().take(end.unwrap_or(usize::MAX));
            let copies: Vec<_> = waiting.map(|(input, element)| (*input, element.duplicate())).collect();
            if let Some(end) = end {
                self.wiring.queues[at].remove(end);
            }
            let operator = self.slots[at].runtime.operator_id;
            let Some(taking) = self.taking.get_mut(&barrier.checkpoint) else { continue };
            match at {
                0 => taking.in_flight.head.extend(copies.into_iter().map(|(input, element)| (input as u32, element))),
                _ => taking.in_flight.chain.extend(copies.into_iter().map(|(_, element)| (operator, element))),
            }
        }
        let now = self.wiring.now;
        for at in 0..self.wiring.writers.len() {
            if !self.wiring.writers[at].is_overtakable() {
                if !self.wiring.writers[at].has_written(barrier.checkpoint) {
                    self.wiring.writers[at].write(Element::Barrier(barrier.unaligned()), now)?;
                }
                continue;
            }
            let overtaken = self.wiring.writers[at].overtake(barrier);
            if let Some(taking) = self.taking.get_mut(&barrier.checkpoint) {
                add_sent(&mut taking.in_flight, at, overtaken, keys);
            }
        }
        Ok(())
    }

    /// The next snapshot that all operators have handed over.
    pub fn take_snapshot(&mut self) -> Option<ChainSnapshot> {
        let whole = self.taking.iter().find(|(_, taking)| taking.snapshots.iter().all(Option::is_some)).map(|(id, _)| *id)?;
        let taking = self.taking.remove(&whole)?;
        let ids = self.slots.iter().map(|slot| slot.runtime.operator_id);
        let operators = ids.zip(taking.snapshots.into_iter().flatten()).collect();
        Some(ChainSnapshot { barrier: taking.barrier, operators, in_flight: taking.in_flight, sync: taking.sync })
    }

    /// Tells all operators that a checkpoint is complete.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn checkpoint_complete(&mut self, checkpoint: CheckpointId, waker: &Waker) -> Result<()> {
        (0..self.slots.len()).rev().try_for_each(|at| self.call(at, waker, |operator, cx| operator.checkpoint_complete(checkpoint, cx)))
    }

    /// Tells all operators that a checkpoint will not be complete.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, waker: &Waker) -> Result<()> {
        self.taking.remove(&checkpoint);
        (0..self.slots.len()).rev().try_for_each(|at| self.call(at, waker, |operator, cx| operator.checkpoint_aborted(checkpoint, cx)))
    }

    /// How the batches of an operator's input are read.
    pub fn input_type(&self, at: usize, input: usize) -> Option<Arc<dyn BatchType>> {
        self.slots.get(at)?.operator.input_type(input)
    }

    /// Lets an operator go on as a checkpoint says: it is told its watermark, and has finished or not.
    pub fn restore(&mut self, at: usize, watermark: Timestamp, finished: bool) {
        self.slots[at].was_finished = finished;
        if watermark > Timestamp::MIN && !(at == 0 && self.wiring.from_source) {
            self.wiring.push(at, 0, Element::Watermark(watermark));
        }
    }

    /// The position of an operator.
    pub fn position(&self, operator: OperatorId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.runtime.operator_id == operator)
    }
}

/// Adds what a writer's barrier has overtaken. `keys` gives for each writer the name of its exchange and the channels' consumers.
pub(in crate::task) fn add_sent(
    in_flight: &mut InFlight,
    writer: usize,
    overtaken: crate::writer::Overtaken,
    keys: &[(ChannelKey, usize)],
) {
    let Some((key, first)) = keys.get(writer) else { return };
    for (channel, element) in overtaken {
        let channel = ChannelKey { consumer: channel + *first as u32, ..*key };
        match in_flight.sent.iter_mut().find(|sent| sent.channel == channel) {
            Some(sent) => sent.elements.push(element),
            None => in_flight.sent.push(ChannelElements { channel, elements: vec![element] }),
        }
    }
}
