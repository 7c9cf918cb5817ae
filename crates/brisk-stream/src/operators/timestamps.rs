//! Assigns timestamps and makes watermarks in the middle of a stream (Flink's `TimestampsAndWatermarksOperator`).
//!
//! Watermarks and statuses from upstream are dropped, except for the watermark at the end of the stream. New watermarks are marks at the
//! rows that caused them. A restored operator goes on with the watermark that it had, and so do built-in generators.

use super::partial::Stride;
use brisk_base::options::core_options::AUTO_WATERMARK_INTERVAL;
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Mark, Rows};
use brisk_core::element::StreamStatus;
use brisk_core::function::watermark::{TimestampAssigner, WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, Progress, Rest, SnapshotContext};
use brisk_core::state::{EventTimeStanding, OperatorSnapshot};
use brisk_core::types::Record;
use std::sync::Arc;

/// See the module.
pub(crate) struct TimestampsOperator<T> {
    assigner: Option<Box<dyn TimestampAssigner<T>>>,
    generator: Box<dyn WatermarkGenerator<T>>,
    /// The watermark that was emitted last.
    watermark: Timestamp,
    /// How long without records until the stream is idle.
    idleness: Option<Millis>,
    /// Processing time of the last record; only kept when there is a timeout.
    last_active: Timestamp,
    /// Whether the stream was declared idle.
    idle: bool,
    /// How often a periodic generator is asked.
    periodic_every: Option<Millis>,
    /// When it is asked next.
    periodic_at: Option<Timestamp>,
    /// Whether it goes on from a checkpoint and has not said where event time stood.
    announces: bool,
    /// Timestamps of one stride.
    scratch: Vec<Timestamp>,
    /// Rows that are looked at at once.
    stride: Stride,
}

impl<T: Record> TimestampsOperator<T> {
    pub(crate) fn new(strategy: &WatermarkStrategy<T>) -> Self {
        Self {
            assigner: strategy.create_assigner(),
            generator: strategy.create_generator(),
            watermark: Timestamp::MIN,
            idleness: strategy.idleness(),
            last_active: Timestamp::MIN,
            idle: false,
            periodic_every: None,
            periodic_at: None,
            announces: false,
            scratch: Vec::new(),
            stride: Stride::default(),
        }
    }

    /// Assigns timestamps to the rows `from..to`. The timestamps before `from` are final.
    fn assign(&mut self, rows: &mut Rows<T>, from: usize, to: usize) {
        rows.timestamps.resize(rows.values.len(), Timestamp::MIN);
        if let Some(assigner) = &mut self.assigner {
            self.scratch.clear();
            self.scratch.extend_from_slice(&rows.timestamps[from..to]);
            assigner.assign(&rows.values[from..to], &mut self.scratch);
            rows.timestamps[from..to].copy_from_slice(&self.scratch);
        }
    }

    /// Assigns timestamps and makes watermarks, until the budget is used up. Gives the number of rows that are done.
    fn stamp(&mut self, rows: &mut Rows<T>, cx: &mut OperatorContext<'_>) -> usize {
        let len = rows.values.len();
        let mut done = 0;
        while done < len {
            let to = len.min(done + self.stride.rows());
            self.assign(rows, done, to);
            let before = rows.marks.len();
            self.generator.on_batch(&rows.values[done..to], &rows.timestamps[done..to], done as u32, &mut rows.marks);
            self.drop_stale(&mut rows.marks, before);
            done = to;
            if done < len && self.stride.is_over(cx.budget) {
                break;
            }
        }
        done
    }

    /// Drops those of the new marks that do not advance the watermark.
    fn drop_stale(&mut self, marks: &mut Vec<Mark>, from: usize) {
        let stale = marks[from..].iter().take_while(|mark| mark.watermark <= self.watermark).count();
        marks.drain(from..from + stale);
        self.watermark = marks.last().map_or(self.watermark, |last| self.watermark.max(last.watermark));
    }

    /// Says where event time stood at the checkpoint: behind the records that were under way then, hence not when it is opened.
    fn announce(&mut self, cx: &mut OperatorContext<'_>) {
        if !std::mem::take(&mut self.announces) {
            return;
        }
        if self.watermark.is_set() {
            cx.emit_watermark(self.watermark);
        }
        if self.idle {
            cx.emit_status(StreamStatus::Idle);
        }
    }

    fn mark_active(&mut self, cx: &mut OperatorContext<'_>) {
        if self.idleness.is_some() {
            self.last_active = cx.now();
            if std::mem::replace(&mut self.idle, false) {
                cx.emit_status(StreamStatus::Active);
            }
        }
    }

    /// Asks the generator, as time has passed.
    fn emit_periodic(&mut self, cx: &mut OperatorContext<'_>) {
        let mut marks = Vec::new();
        self.generator.on_periodic_emit(&mut WatermarkOutput::new(&mut marks, 0));
        if let Some(mark) = marks.last().filter(|mark| mark.watermark > self.watermark) {
            self.watermark = mark.watermark;
            if std::mem::replace(&mut self.idle, false) {
                cx.emit_status(StreamStatus::Active);
            }
            cx.emit_watermark(mark.watermark);
        }
    }
}

impl<T: Record> Operator for TimestampsOperator<T> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(standing) = EventTimeStanding::restored(cx.runtime)? {
            self.watermark = standing.watermark;
            self.idle = standing.idle;
            self.announces = true;
            standing.generator.into_iter().for_each(|remembered| self.generator.restore(remembered));
        }
        self.last_active = cx.now();
        if self.generator.is_periodic() {
            let every = Millis::from(cx.runtime.config.get(&AUTO_WATERMARK_INTERVAL)?);
            self.periodic_every = Some(every).filter(|every| every.0 > 0);
            self.periodic_at = self.periodic_every.map(|every| cx.now() + every);
        }
        Ok(())
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<T>::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        let (watermark, generator, idle) = (self.watermark, self.generator.snapshot(), self.idle);
        EventTimeStanding { watermark, generator, idle }.snapshot(cx.runtime, snapshot);
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        self.announce(cx);
        let mut rows = Rows::<T>::from_any(batch)?;
        let ended = rows.marks.last().is_some_and(|last| last.watermark == Timestamp::MAX);
        rows.marks.clear();
        if !rows.values.is_empty() {
            self.mark_active(cx);
        }
        let done = self.stamp(&mut rows, cx);
        if done < rows.values.len() {
            let front = rows.split_front(done);
            cx.emit(MAIN_PORT, front);
            if ended {
                rows.mark(Timestamp::MAX);
            }
            return Ok(Rest::More(Box::new(rows)));
        }
        if ended {
            self.watermark = Timestamp::MAX;
            rows.mark(Timestamp::MAX);
        }
        if !rows.values.is_empty() {
            cx.emit(MAIN_PORT, Box::new(rows));
        } else if ended {
            cx.emit_watermark(Timestamp::MAX);
        }
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.announce(cx);
        if watermark == Timestamp::MAX && self.watermark < Timestamp::MAX {
            self.watermark = Timestamp::MAX;
            self.mark_active(cx);
            cx.emit_watermark(Timestamp::MAX);
        }
        Ok(Progress::Done)
    }

    fn process_status(&mut self, _status: StreamStatus, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        if self.announces {
            return Some(Timestamp::MIN);
        }
        let idle_at = self.idleness.filter(|_| !self.idle && self.watermark < Timestamp::MAX).map(|timeout| self.last_active + timeout);
        [idle_at, self.periodic_at].into_iter().flatten().min()
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.announce(cx);
        if self.periodic_at.is_some_and(|at| at <= now) {
            self.periodic_at = self.periodic_every.map(|every| now + every);
            self.emit_periodic(cx);
        }
        if let Some(timeout) = self.idleness
            && !self.idle
            && now - self.last_active >= timeout
        {
            self.idle = true;
            cx.emit_status(StreamStatus::Idle);
        }
        Ok(Progress::Done)
    }

    fn back_pressured(&mut self, span: std::time::Duration) {
        self.last_active += Millis::from(span);
    }

    fn finish(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.announce(cx);
        self.emit_periodic(cx);
        Ok(Progress::Done)
    }
}
