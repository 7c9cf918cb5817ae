//! The operator at the head of a source task: drives a reader, its watermarks, idleness and alignment.
//!
//! A checkpoint holds the reader's splits, and where event time stood in each of them.
//!
//! Invariants: a status comes before the rows or the watermark that it holds for; nothing comes after the final watermark.

use super::coordinator::{decode_enumerator_state, decode_split};
use super::{EnumeratorCoordinator, ReaderContext, Source, SourceCoordinator, SourceEvent, SourceOutput, SourceReader, SourceSplit};
use crate::batch::AnyBatch;
use crate::element::StreamStatus;
use crate::function::watermark::WatermarkStrategy;
use crate::operator::{MAIN_PORT, Operator, OperatorContext, OperatorFactory, Progress, Rest, RuntimeContext, SnapshotContext, SourcePoll};
use crate::state::{EventTimeStanding, OperatorSnapshot, Redistribution};
use crate::types::Record;
use brisk_base::ids::CheckpointId;
use brisk_base::options::core_options::AUTO_WATERMARK_INTERVAL;
use brisk_base::{Error, Millis, Result, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Name of the operator state with the reader's splits.
const SPLITS: &str = "$splits";
/// Name of the operator state with the event time of splits.
const SPLIT_TIMES: &str = "$split-times";

/// Makes source operators and their coordinator from a [`Source`].
pub struct SourceOperatorFactory<S: Source> {
    source: Arc<S>,
    strategy: std::sync::Mutex<WatermarkStrategy<S::Out>>,
}

impl<S: Source> SourceOperatorFactory<S> {
    /// A source with its event time.
    pub fn new(source: S, strategy: WatermarkStrategy<S::Out>) -> Self {
        Self { source: Arc::new(source), strategy: std::sync::Mutex::new(strategy) }
    }

    fn strategy(&self) -> WatermarkStrategy<S::Out> {
        self.strategy.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl<S: Source> OperatorFactory for SourceOperatorFactory<S> {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let strategy = self.strategy();
        Ok(Box::new(SourceOperator {
            reader: self.source.create_reader(cx)?,
            report_every: strategy.alignment().map(|alignment| alignment.update_interval),
            output: SourceOutput::new(strategy),
            wake_at: None,
            report_at: None,
            periodic_every: None,
            periodic_at: None,
            limit: Timestamp::MAX,
            held_since: None,
            owes_request: false,
            announces: None,
        }))
    }

    fn coordinator(&self, parallelism: u32, restored: Option<&[u8]>) -> Result<Option<Box<dyn SourceCoordinator>>> {
        let alignment = self.strategy().alignment().cloned();
        let enumerator = match restored {
            Some(bytes) => self.source.restore_enumerator(decode_enumerator_state(bytes)?)?,
            None => self.source.create_enumerator()?,
        };
        Ok(Some(Box::new(EnumeratorCoordinator::new(enumerator, parallelism, alignment))))
    }
}

/// See the module.
struct SourceOperator<T, S> {
    reader: Box<dyn SourceReader<T, S>>,
    output: SourceOutput<T>,
    /// When the reader wants to be polled again.
    wake_at: Option<Timestamp>,
    /// How often the watermark is reported for alignment, and when next.
    report_every: Option<Millis>,
    report_at: Option<Timestamp>,
    /// How often periodic generators are asked, and when next.
    periodic_every: Option<Millis>,
    periodic_at: Option<Timestamp>,
    /// Reading pauses above this watermark.
    limit: Timestamp,
    /// Since when alignment holds the whole reader back.
    held_since: Option<Timestamp>,
    /// The reader began with splits of a checkpoint and has not asked for more.
    owes_request: bool,
    /// Where event time stood at the checkpoint, until that has been said.
    announces: Option<EventTimeStanding>,
}

impl<T: Record, S: SourceSplit> SourceOperator<T, S> {
    fn with_reader<R>(
        &mut self,
        cx: &mut OperatorContext<'_>,
        f: impl FnOnce(&mut dyn SourceReader<T, S>, &mut ReaderContext<'_>, &mut SourceOutput<T>) -> Result<R>,
    ) -> Result<R> {
        let (mut requests, mut custom, mut wake_after) = (0, Vec::new(), None);
        self.output.begin(cx.now());
        let mut reader_cx = ReaderContext {
            waker: cx.waker,
            runtime: cx.runtime,
            wake_at: &mut self.wake_at,
            requests: &mut requests,
            custom: &mut custom,
            wake_after: &mut wake_after,
            restored_splits: self.owes_request,
        };
        let result = f(self.reader.as_mut(), &mut reader_cx, &mut self.output)?;
        if let Some(span) = wake_after {
            cx.wake_after(span);
        }
        self.owes_request &= requests == 0;
        (0..requests).for_each(|_| cx.send_event(SourceEvent::RequestSplit));
        custom.into_iter().for_each(|message| cx.send_event(SourceEvent::Custom(message)));
        Ok(result)
    }

    fn emit(&mut self, cx: &mut OperatorContext<'_>) {
        if self.output.wake_up() {
            cx.emit_status(StreamStatus::Active);
        }
        let rows = self.output.take();
        if !rows.values.is_empty() {
            cx.emit(MAIN_PORT, Box::new(rows));
        } else if let Some(last) = rows.marks.last() {
            cx.emit_watermark(last.watermark);
        }
    }

    /// Goes on from what a checkpoint left.
    fn restore(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(standing) = EventTimeStanding::restored(cx.runtime)? {
            self.output.restore(standing, cx.runtime.state.operator_state(SPLIT_TIMES)?);
            self.announces = Some(standing);
        }
        let splits: Vec<S> = cx.runtime.state.operator_state(SPLITS)?;
        self.owes_request = !splits.is_empty();
        if self.owes_request { self.add_splits(splits, cx.now()) } else { Ok(()) }
    }

    /// Says where event time stood at the checkpoint: behind the records that were under way then, hence not when it is opened.
    fn announce(&mut self, cx: &mut OperatorContext<'_>) {
        let Some(standing) = self.announces.take() else { return };
        if standing.watermark.is_set() {
            cx.emit_watermark(standing.watermark);
        }
        if standing.idle {
            cx.emit_status(StreamStatus::Idle);
        }
    }

    fn add_splits(&mut self, splits: Vec<S>, now: Timestamp) -> Result<()> {
        self.output.begin(now);
        for split in &splits {
            self.output.register_split(&split.split_id());
        }
        self.reader.add_splits(splits)
    }

    /// A reader that is through with the splits of a checkpoint is taken to ask for more.
    fn request_for_reader(&mut self, poll: SourcePoll, cx: &mut OperatorContext<'_>) {
        if self.owes_request && poll == SourcePoll::Waiting && self.reader.snapshot().is_empty() {
            self.owes_request = false;
            cx.send_event(SourceEvent::RequestSplit);
        }
    }

    /// Tells the reader which splits are ahead, if that has changed.
    fn pause_splits(&mut self) {
        if let Some(paused) = self.output.pause_above(self.limit) {
            self.reader.pause_splits(&paused);
        }
    }

    /// Whether alignment holds the whole reader back: it is ahead, and not by splits that it could pause.
    fn is_held_back(&mut self, now: Timestamp) -> bool {
        if self.output.is_above(self.limit) {
            self.held_since.get_or_insert(now);
            return true;
        }
        if let Some(since) = self.held_since.take() {
            self.output.pause(Duration::from_millis(u64::try_from((now - since).0).unwrap_or(0)));
        }
        false
    }

    fn finish(&mut self, cx: &mut OperatorContext<'_>) {
        if self.report_every.is_some() {
            cx.send_event(SourceEvent::ReportWatermark(Timestamp::MAX));
        }
        if self.output.revive() {
            cx.emit_status(StreamStatus::Active);
        }
        cx.emit_watermark(Timestamp::MAX);
    }
}

impl<T: Record, S: SourceSplit> Operator for SourceOperator<T, S> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if self.output.is_periodic() {
            let every = cx.runtime.config.get(&AUTO_WATERMARK_INTERVAL)?;
            self.periodic_every = Some(Millis::from(every)).filter(|every| every.0 > 0);
            self.periodic_at = self.periodic_every.map(|every| cx.now() + every);
        }
        self.report_at = self.report_every.map(|every| cx.now() + every);
        self.restore(cx)?;
        self.with_reader(cx, |reader, reader_cx, _| reader.start(reader_cx))
    }

    fn process_batch(&mut self, _input: usize, _batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        Err(Error::bug("a source has no input"))
    }

    fn poll_source(&mut self, cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        self.announce(cx);
        if self.is_held_back(cx.now()) {
            return Ok(SourcePoll::Waiting);
        }
        self.wake_at = None;
        self.output.reserve();
        let poll = self.with_reader(cx, |reader, reader_cx, output| reader.poll_next(reader_cx, output))?;
        self.emit(cx);
        self.request_for_reader(poll, cx);
        if poll == SourcePoll::Finished {
            self.finish(cx);
        } else if self.limit < Timestamp::MAX {
            self.pause_splits();
        }
        Ok(poll)
    }

    fn handle_event(&mut self, event: SourceEvent, cx: &mut OperatorContext<'_>) -> Result<()> {
        match event {
            SourceEvent::AddSplits(splits) => {
                let splits = splits.iter().map(|bytes| decode_split(bytes)).collect::<Result<Vec<S>>>()?;
                self.add_splits(splits, cx.now())
            }
            SourceEvent::NoMoreSplits => {
                self.reader.no_more_splits();
                Ok(())
            }
            SourceEvent::WatermarkLimit(limit) => {
                self.limit = limit;
                self.pause_splits();
                Ok(())
            }
            SourceEvent::Custom(message) => self.with_reader(cx, |reader, _, _| reader.handle_custom_event(message)),
            other => Err(Error::bug(format!("a coordinator sent {other:?}, which only a reader sends"))),
        }
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        snapshot.add_operator_state(SPLITS, Redistribution::Split, &self.reader.snapshot());
        snapshot.add_operator_state(SPLIT_TIMES, Redistribution::Union, &self.output.split_times());
        self.output.standing().snapshot(cx.runtime, snapshot);
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.reader.checkpoint_complete(checkpoint)
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        let idleness = self.output.next_idleness_check().filter(|_| self.held_since.is_none());
        [self.wake_at, self.report_at, self.periodic_at, idleness].into_iter().flatten().min()
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
        }
        if self.periodic_at.is_some_and(|at| at <= now) {
            self.periodic_at = self.periodic_every.map(|every| now + every);
            self.output.periodic();
            self.emit(cx);
        }
        let idle = self.held_since.is_none() && self.output.check_idleness(now);
        self.emit(cx);
        if idle {
            cx.emit_status(StreamStatus::Idle);
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.report_at = self.report_every.map(|every| now + every);
            let report = self.output.reported_watermark();
            report.into_iter().for_each(|watermark| cx.send_event(SourceEvent::ReportWatermark(watermark)));
        }
        Ok(Progress::Done)
    }

    fn back_pressured(&mut self, span: Duration) {
        // While it is held back, its clock stands still already.
        if self.held_since.is_none() {
            self.output.pause(span);
        }
    }

    fn close(&mut self) -> Result<()> {
        self.reader.close()
    }
}
