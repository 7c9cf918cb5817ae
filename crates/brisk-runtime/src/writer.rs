//! Spreads the output of a chain over the channels of one exchange.
//!
//! Rows gather in one lane per target until a batch is full or the input has drained (natural flushing), so low load gets low latency and
//! high load full batches. A watermark does not cut a gathering batch; it becomes a mark in it. Elements that a channel refuses wait,
//! those of one channel in order, and the task stops until they are gone.
//!
//! A barrier stays in its place among the elements of each channel, unless it [overtakes](RecordWriter::overtake) them.

use crate::exchange::{ChannelSender, Sent};
use brisk_base::ids::CheckpointId;
use brisk_base::world::{MonoTime, Rng, World};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Scatter, Scattered};
use brisk_core::checkpoint::{Alignment, Barrier};
use brisk_core::element::Element;
use brisk_core::job_graph::{KeyHasher, Partitioner, RowSelector};
use brisk_core::types::{KeyGroup, key_group};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// How rows find their lane.
enum Spread {
    /// One lane to one channel.
    One,
    /// One lane to all channels.
    All,
    /// All rows to the first of several channels.
    First,
    /// By key group.
    Hash { hasher: Arc<dyn KeyHasher>, targets: TargetsOfHashes },
    /// In turn.
    RoundRobin { next: u32 },
    /// At random.
    Random { rng: Rng },
    /// By the user's choice.
    Custom { selector: Arc<dyn RowSelector> },
}

/// Watermarks without rows go to many targets at most this often per target.
const IDLE_WATERMARK_PER_TARGET: Duration = Duration::from_micros(10);
/// Up to this many targets, watermarks without rows go at once.
const FEW_TARGETS: usize = 16;
/// From this many targets on, there are probably as many writers, all of which have watermarks to send: the pause grows with the square.
const MANY_TARGETS: u32 = 64;
/// Channels that may refuse before the others are left for the next time.
const MOST_REFUSALS: usize = 16;

/// See the module.
pub struct RecordWriter {
    channels: Vec<ChannelSender>,
    spread: Spread,
    /// Gathers rows; made when the first batch tells the type.
    scatter: Option<Box<dyn Scatter>>,
    /// A watermark that came before the first batch.
    early: Option<Timestamp>,
    /// Elements on their way to a channel, those of one channel in order.
    ready: VecDeque<(u32, Element)>,
    /// Elements that were refused in the present [`pump`](Self::pump); empty in between.
    refused: VecDeque<(u32, Element)>,
    /// Bytes handed to channels.
    bytes: u64,
    /// The target of each row of the batch at hand.
    targets: Vec<u32>,
    /// Lanes that became full.
    full: Vec<u32>,
    /// Since when something has been gathering.
    gathering_since: Option<MonoTime>,
    /// How long something may gather while the input does not drain.
    timeout: Option<Duration>,
    /// When watermarks without rows were sent last.
    watermarks_sent: MonoTime,
    /// Least time between sending watermarks without rows, if there are many targets.
    quiet: Duration,
    /// Target of the next latency marker.
    next_marker: u32,
    /// The last checkpoint whose barrier was written.
    last_barrier: CheckpointId,
    /// The target of the same number as this subtask, which tends to be polled by the same worker; for exchanges by key.
    home: Option<usize>,
    /// Why a consumer cannot be reached.
    failure: Option<Error>,
}

/// Elements that a barrier has overtaken, with their channels.
pub type Overtaken = Vec<(u32, Element)>;

impl RecordWriter {
    /// A writer of one subtask to `channels`.
    pub fn new(
        partitioner: &Partitioner,
        channels: Vec<ChannelSender>,
        max_parallelism: u32,
        subtask: u32,
        timeout: Option<Duration>,
        world: &World,
    ) -> Self {
        let count = channels.len() as u32;
        let spread = match partitioner {
            Partitioner::Broadcast => Spread::All,
            Partitioner::Hash(hasher) => Spread::Hash { hasher: Arc::clone(hasher), targets: TargetsOfHashes::new(max_parallelism, count) },
            Partitioner::Global if count > 1 => Spread::First,
            Partitioner::Rebalance | Partitioner::Rescale if count > 1 => Spread::RoundRobin { next: subtask % count },
            Partitioner::Shuffle if count > 1 => Spread::Random { rng: world.rng() },
            Partitioner::Custom(selector) => Spread::Custom { selector: Arc::clone(selector) },
            _ => Spread::One,
        };
        let home = (matches!(spread, Spread::Hash { .. }) && count > 1 && subtask < count).then_some(subtask as usize);
        Self {
            channels,
            spread,
            scatter: None,
            early: None,
            ready: VecDeque::new(),
            refused: VecDeque::new(),
            bytes: 0,
            targets: Vec::new(),
            full: Vec::new(),
            gathering_since: None,
            timeout,
            watermarks_sent: MonoTime(0),
            quiet: IDLE_WATERMARK_PER_TARGET * count * (count / MANY_TARGETS).max(1),
            next_marker: 0,
            last_barrier: CheckpointId(0),
            home,
            failure: None,
        }
    }

    /// Whether barriers may overtake the elements of this exchange: where rows find their channel by their key group, they find it again at
    /// any parallelism.
    pub const fn is_overtakable(&self) -> bool {
        matches!(self.spread, Spread::Hash { .. })
    }

    fn lanes(&self) -> usize {
        match self.spread {
            Spread::One | Spread::All => 1,
            _ => self.channels.len(),
        }
    }

    /// Takes an element of the chain's output.
    ///
    /// # Errors
    /// When a user's key selector or partitioner fails.
    pub fn write(&mut self, element: Element, now: MonoTime) -> Result<()> {
        match element {
            Element::Batch(batch) => self.write_batch(batch, now),
            Element::Watermark(watermark) => {
                self.write_watermark(watermark, now);
                Ok(())
            }
            marker @ Element::LatencyMarker(_) => {
                self.send_marker(marker);
                Ok(())
            }
            control => {
                if let Element::Barrier(barrier) = &control {
                    self.last_barrier = self.last_barrier.max(barrier.checkpoint);
                }
                self.flush_all();
                self.broadcast(control);
                Ok(())
            }
        }
    }

    fn write_batch(&mut self, mut batch: Box<dyn AnyBatch>, now: MonoTime) -> Result<()> {
        if let Spread::Hash { hasher, .. } = &self.spread {
            let mut hashes = Vec::with_capacity(batch.len());
            hasher.hash(batch.as_ref(), &mut hashes)?;
            batch.set_hashes(hashes);
        } else if !batch.hashes().is_empty() {
            // Those of another key, and not all batches of this stream may have them.
            batch.set_hashes(Vec::new());
        }
        let lanes = self.lanes();
        let (early, home) = (&mut self.early, self.home);
        let scatter = self.scatter.get_or_insert_with(|| {
            let mut scatter = batch.new_scatter(lanes);
            home.into_iter().for_each(|home| scatter.set_home(home));
            early.take().into_iter().for_each(|watermark| scatter.advance(watermark));
            scatter
        });
        if lanes == 1 && scatter.is_empty() && scatter.is_worth_sending(batch.as_ref()) {
            self.send_to_lane(0, Element::Batch(batch));
            return Ok(());
        }
        self.select(batch.as_ref())?;
        if let Some(scatter) = &mut self.scatter {
            scatter.scatter(batch, &self.targets)?;
            scatter.drain_full(&mut self.full);
        }
        let mut full = std::mem::take(&mut self.full);
        full.drain(..).for_each(|lane| self.take_lane(lane as usize));
        self.full = full;
        self.gathering_since.get_or_insert(now);
        Ok(())
    }

    /// Finds the target of each row.
    fn select(&mut self, batch: &dyn AnyBatch) -> Result<()> {
        let (rows, count) = (batch.len(), self.channels.len() as u32);
        self.targets.clear();
        match &mut self.spread {
            Spread::One | Spread::All | Spread::First => self.targets.resize(rows, 0),
            Spread::Hash { .. } if count == 1 => self.targets.resize(rows, 0),
            Spread::Hash { targets, .. } => targets.select(batch.hashes(), &mut self.targets),
            Spread::RoundRobin { next } => self.targets.extend((0..rows).map(|_| {
                let target = *next;
                *next = if target + 1 == count { 0 } else { target + 1 };
                target
            })),
            Spread::Random { rng } => self.targets.extend((0..rows).map(|_| rng.below(u64::from(count)) as u32)),
            Spread::Custom { selector } => {
                selector.select(batch, count, &mut self.targets)?;
                check_targets(&self.targets, rows, count)?;
            }
        }
        Ok(())
    }

    fn write_watermark(&mut self, watermark: Timestamp, now: MonoTime) {
        match &mut self.scatter {
            Some(scatter) => scatter.advance(watermark),
            None => self.early = self.early.max(Some(watermark)),
        }
        self.gathering_since.get_or_insert(now);
    }

    /// A latency marker takes one way of many, behind the rows that go there.
    fn send_marker(&mut self, marker: Element) {
        let channel = self.next_marker;
        self.next_marker = (channel + 1) % self.channels.len() as u32;
        self.take_lane(if self.lanes() == 1 { 0 } else { channel as usize });
        self.ready.push_back((channel, marker));
    }

    fn broadcast(&mut self, element: Element) {
        let last = self.channels.len() as u32 - 1;
        (0..last).for_each(|channel| self.ready.push_back((channel, element.duplicate())));
        self.ready.push_back((last, element));
    }

    fn send_to_lane(&mut self, lane: usize, element: Element) {
        if matches!(self.spread, Spread::All) {
            self.broadcast(element);
        } else {
            self.ready.push_back((lane as u32, element));
        }
    }

    fn take_lane(&mut self, lane: usize) {
        match self.scatter.as_mut().map_or(Scattered::Nothing, |scatter| scatter.take(lane)) {
            Scattered::Batch(batch) => self.send_to_lane(lane, Element::Batch(batch)),
            Scattered::Watermark(watermark) => self.send_to_lane(lane, Element::Watermark(watermark)),
            Scattered::Nothing => {}
        }
    }

    fn flush_all(&mut self) {
        if self.gathering_since.take().is_none() {
            return;
        }
        match self.early.take() {
            Some(watermark) => self.broadcast(Element::Watermark(watermark)),
            None => (0..self.lanes()).for_each(|lane| self.take_lane(lane)),
        }
    }

    /// Sends what gathers, because the input has drained.
    pub fn flush(&mut self, now: MonoTime) {
        if self.gathering_since.is_none() {
            return;
        }
        if self.channels.len() <= FEW_TARGETS || now >= self.watermarks_sent.after(self.quiet) {
            self.watermarks_sent = now;
            self.flush_all();
            return;
        }
        // Many targets: rows go now, watermarks alone wait for the next time.
        let mut waiting = self.early.is_some();
        for lane in 0..self.lanes() {
            let Some(scatter) = &mut self.scatter else { break };
            if scatter.rows(lane) > 0 {
                self.take_lane(lane);
            } else {
                waiting |= scatter.is_behind(lane);
            }
        }
        if !waiting {
            self.gathering_since = None;
        }
    }

    /// When something that gathers must be sent at the latest, also if the input does not drain.
    pub fn flush_deadline(&self) -> Option<MonoTime> {
        let timeout = self.timeout?.max(self.quiet);
        self.gathering_since.map(|since| since.after(timeout))
    }

    /// Whether something still gathers after a [`flush`](Self::flush), and when to flush again.
    pub fn pending_flush(&self) -> Option<MonoTime> {
        self.gathering_since.map(|_| self.watermarks_sent.after(self.quiet))
    }

    /// Hands ready elements to their channels; true when all are gone. A channel that refuses holds up only its own elements.
    pub fn pump(&mut self, waker: &Waker) -> bool {
        let mut refusals = 0;
        while refusals < MOST_REFUSALS
            && let Some((channel, element)) = self.ready.pop_front()
        {
            if self.refused.iter().any(|(refused, _)| *refused == channel) {
                self.refused.push_back((channel, element));
            } else {
                match self.channels[channel as usize].send(element, waker) {
                    Sent::Accepted(bytes) => self.bytes += bytes as u64,
                    Sent::Closed => {}
                    Sent::Refused(element) => {
                        self.refused.push_back((channel, element));
                        refusals += 1;
                    }
                    Sent::Failed(error) => {
                        self.failure.get_or_insert(error);
                    }
                }
            }
        }
        if !self.refused.is_empty() {
            self.refused.append(&mut self.ready);
            std::mem::swap(&mut self.refused, &mut self.ready);
        }
        self.ready.is_empty()
    }

    /// Bytes handed to channels.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Why a consumer cannot be reached, if one cannot.
    pub fn take_failure(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Sends a barrier ahead of everything that gathers or waits, and returns copies of that. A barrier of the same checkpoint that waits
    /// already is moved to the front; one that was sent is let be.
    pub fn overtake(&mut self, barrier: Barrier) -> Overtaken {
        let written = barrier.checkpoint <= self.last_barrier;
        if !written {
            self.last_barrier = barrier.checkpoint;
            self.flush_all();
        }
        let is_it = |element: &Element| matches!(element, Element::Barrier(other) if other.checkpoint == barrier.checkpoint);
        let mut waits: Vec<bool> = vec![!written; self.channels.len()];
        if written {
            self.ready.iter().filter(|(_, element)| is_it(element)).for_each(|(channel, _)| waits[*channel as usize] = true);
        }
        let mut overtaken = Vec::new();
        let mut open = waits.clone();
        self.ready.retain(|(channel, element)| {
            let open = &mut open[*channel as usize];
            if *open && is_it(element) {
                *open = false;
                return false;
            }
            if *open {
                overtaken.push((*channel, element.duplicate()));
            }
            true
        });
        for channel in (0..self.channels.len()).rev().filter(|channel| waits[*channel]) {
            self.ready.push_front((channel as u32, Element::Barrier(barrier.unaligned())));
        }
        overtaken
    }

    /// Whether the barrier of a checkpoint, or of a later one, has been written.
    pub fn has_written(&self, checkpoint: CheckpointId) -> bool {
        checkpoint <= self.last_barrier
    }

    /// A barrier that waits and may overtake from this time on.
    pub fn waiting_barrier(&self) -> Option<Barrier> {
        self.ready.iter().find_map(|(_, element)| match element {
            Element::Barrier(barrier) if matches!(barrier.alignment, Alignment::AlignedTimeout(_)) => Some(*barrier),
            _ => None,
        })
    }

    /// Whether elements wait for their channels.
    pub fn is_blocked(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Sends what gathers without regard to fullness or input (the simulator's doing).
    pub fn flush_now(&mut self) {
        self.flush_all();
    }
}

/// Which target has the key group of a hash.
enum TargetsOfHashes {
    /// The lowest hash of each target but the first: key groups are ranges of hashes, and targets ranges of key groups. For few targets,
    /// because this compares each hash with all of them.
    From(Vec<u64>),
    /// The target of each key group.
    OfGroups(Vec<u32>),
}

impl TargetsOfHashes {
    /// Most targets that are found by comparing.
    const COMPARED: u32 = 8;

    fn new(max_parallelism: u32, targets: u32) -> Self {
        let of_groups: Vec<_> = (0..max_parallelism).map(|group| KeyGroup(group as u16).subtask(max_parallelism, targets)).collect();
        if targets > Self::COMPARED.min(max_parallelism) {
            return Self::OfGroups(of_groups);
        }
        let lowest = |target| lowest_hash(of_groups.partition_point(|of_group| *of_group < target) as u64, max_parallelism);
        Self::From((1..targets).map(lowest).collect())
    }

    /// Replaces `targets` by those of the hashes.
    fn select(&self, hashes: &[u64], targets: &mut Vec<u32>) {
        targets.clear();
        match self {
            Self::From(lowest) => {
                targets.resize(hashes.len(), 0);
                for lowest in lowest {
                    targets.iter_mut().zip(hashes).for_each(|(target, hash)| *target += u32::from(hash >= lowest));
                }
            }
            Self::OfGroups(of_groups) => {
                let max_parallelism = of_groups.len() as u32;
                targets.extend(hashes.iter().map(|hash| of_groups[key_group(*hash, max_parallelism).0 as usize]));
            }
        }
    }
}

/// The lowest hash whose key group is `group`: see [`key_group`].
fn lowest_hash(group: u64, max_parallelism: u32) -> u64 {
    (group << 24).div_ceil(u64::from(max_parallelism)) << 40
}

/// A user's choice must be one target for each row, each one that exists.
fn check_targets(targets: &[u32], rows: usize, count: u32) -> Result<()> {
    if targets.len() != rows {
        return Err(Error::user(format!("the partitioner chose {} targets for {rows} records", targets.len())));
    }
    match targets.iter().find(|target| **target >= count) {
        Some(target) => Err(Error::user(format!("the partitioner chose target {target}, but there are only {count} (0 to {})", count - 1))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
