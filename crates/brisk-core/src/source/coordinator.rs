//! The JobMaster's side of a source: the user's enumerator, and watermark alignment between the readers.
//!
//! A coordinator is a state machine without I/O of its own: it is called with events and leaves messages in its context.

use super::{SourceEvent, SourceSplit};
use crate::function::watermark::Alignment;
use crate::types::{Decoder, Record, Schema};
use brisk_base::{Error, Millis, Result, ResultExt, Timestamp};
use std::collections::BTreeMap;

/// What a coordinator leaves for the JobMaster to do.
#[derive(Debug, Default)]
pub struct CoordinatorContext {
    /// Processing time of the call.
    pub now: Timestamp,
    /// Messages to subtasks.
    pub to_subtasks: Vec<(u32, SourceEvent)>,
    /// When [`SourceCoordinator::on_timer`] is wanted.
    pub call_at: Option<Timestamp>,
    /// The lowest watermark of this source's active readers, to be compared with the others of its alignment group.
    pub group_watermark: Option<(String, Timestamp)>,
}

/// An enumerator with its types erased, as the JobMaster holds it.
pub trait SourceCoordinator: Send {
    /// Called once, before any reader registers.
    ///
    /// # Errors
    /// Fails the job.
    fn start(&mut self, cx: &mut CoordinatorContext) -> Result<()>;

    /// A reader has come up and may be given splits.
    ///
    /// # Errors
    /// Fails the job.
    fn add_reader(&mut self, subtask: u32, cx: &mut CoordinatorContext) -> Result<()>;

    /// A message from a reader.
    ///
    /// # Errors
    /// Fails the job.
    fn handle_event(&mut self, subtask: u32, event: SourceEvent, cx: &mut CoordinatorContext) -> Result<()>;

    /// The time asked for has come.
    ///
    /// # Errors
    /// Fails the job.
    fn on_timer(&mut self, cx: &mut CoordinatorContext) -> Result<()>;

    /// A reader is gone (its subtask finished or failed).
    fn remove_reader(&mut self, subtask: u32);

    /// What is needed to go on from a checkpoint that begins now: before any reader gets its barrier, and with nothing sent to a reader in
    /// between. Splits that have been sent to readers are theirs.
    ///
    /// # Errors
    /// Fails the checkpoint.
    fn snapshot(&mut self) -> Result<Vec<u8>>;

    /// The lowest watermark in the alignment group, over all of its sources.
    fn group_limit(&mut self, lowest: Timestamp, cx: &mut CoordinatorContext);
}

/// What an enumerator is given (Flink's `SplitEnumeratorContext`).
pub struct EnumeratorContext<'a, S> {
    /// Number of readers.
    pub parallelism: u32,
    /// Readers that have registered.
    pub readers: &'a [u32],
    /// Processing time of the call.
    pub now: Timestamp,
    assigned: Vec<(u32, S)>,
    no_more: Vec<u32>,
    call_at: Option<Timestamp>,
    custom: Vec<(u32, Vec<u8>)>,
}

impl<S> EnumeratorContext<'_, S> {
    /// Gives a split to a reader.
    pub fn assign_split(&mut self, split: S, subtask: u32) {
        self.assigned.push((subtask, split));
    }

    /// Tells a reader that no more splits will come.
    pub fn signal_no_more_splits(&mut self, subtask: u32) {
        self.no_more.push(subtask);
    }

    /// Asks for [`SplitEnumerator::on_timer`] at this processing time.
    pub fn call_at(&mut self, at: Timestamp) {
        self.call_at = Some(self.call_at.map_or(at, |other| other.min(at)));
    }

    /// Sends a reader a message of the source's own.
    pub fn send_to_reader(&mut self, subtask: u32, message: Vec<u8>) {
        self.custom.push((subtask, message));
    }
}

/// Finds splits and hands them out (Flink's `SplitEnumerator`). `C` is what it keeps in checkpoints.
pub trait SplitEnumerator<S, C>: Send {
    /// Called once, before any reader registers; of a restored enumerator, too.
    ///
    /// # Errors
    /// Fails the job.
    fn start(&mut self, _cx: &mut EnumeratorContext<'_, S>) -> Result<()> {
        Ok(())
    }

    /// A reader has registered.
    ///
    /// # Errors
    /// Fails the job.
    fn add_reader(&mut self, _subtask: u32, _cx: &mut EnumeratorContext<'_, S>) -> Result<()> {
        Ok(())
    }

    /// A reader asks for a split.
    ///
    /// # Errors
    /// Fails the job.
    fn handle_split_request(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, S>) -> Result<()>;

    /// Splits come back from a reader that failed before they were part of a checkpoint.
    fn add_splits_back(&mut self, splits: Vec<S>, subtask: u32);

    /// What is needed to go on from here, such as the splits that no reader has been given. Those that have been given to readers are part
    /// of the readers' snapshots.
    ///
    /// # Errors
    /// Fails the checkpoint.
    fn snapshot(&mut self) -> Result<C>;

    /// The time asked for by [`EnumeratorContext::call_at`] has come.
    ///
    /// # Errors
    /// Fails the job.
    fn on_timer(&mut self, _cx: &mut EnumeratorContext<'_, S>) -> Result<()> {
        Ok(())
    }

    /// A message of the source's own from a reader.
    ///
    /// # Errors
    /// Fails the job.
    fn handle_custom_event(&mut self, _subtask: u32, _message: Vec<u8>, _cx: &mut EnumeratorContext<'_, S>) -> Result<()> {
        Ok(())
    }
}

/// Runs a typed enumerator as a [`SourceCoordinator`], and the alignment of its readers.
pub struct EnumeratorCoordinator<S, C> {
    enumerator: Box<dyn SplitEnumerator<S, C>>,
    parallelism: u32,
    /// Readers that have registered, ascending.
    readers: Vec<u32>,
    alignment: Option<Alignment>,
    /// The last watermark that each reader reported.
    watermarks: BTreeMap<u32, Timestamp>,
    /// The limit that the readers were told last.
    limit: Timestamp,
    /// When the enumerator wants to be called.
    enumerator_timer: Option<Timestamp>,
    /// When watermarks are compared next.
    alignment_timer: Option<Timestamp>,
}

impl<S: SourceSplit, C: Record> EnumeratorCoordinator<S, C> {
    /// Coordinates `parallelism` readers.
    pub fn new(enumerator: Box<dyn SplitEnumerator<S, C>>, parallelism: u32, alignment: Option<Alignment>) -> Self {
        Self {
            enumerator,
            parallelism,
            readers: Vec::new(),
            alignment,
            watermarks: BTreeMap::new(),
            limit: Timestamp::MAX,
            enumerator_timer: None,
            alignment_timer: None,
        }
    }

    fn call(
        &mut self,
        cx: &mut CoordinatorContext,
        f: impl FnOnce(&mut dyn SplitEnumerator<S, C>, &mut EnumeratorContext<'_, S>) -> Result<()>,
    ) -> Result<()> {
        let mut inner = EnumeratorContext {
            parallelism: self.parallelism,
            readers: &self.readers,
            now: cx.now,
            assigned: Vec::new(),
            no_more: Vec::new(),
            call_at: self.enumerator_timer.take(),
            custom: Vec::new(),
        };
        f(self.enumerator.as_mut(), &mut inner).context(|| "split enumerator")?;
        let EnumeratorContext { assigned, no_more, call_at, custom, .. } = inner;
        for (subtask, split) in assigned {
            let mut bytes = Vec::new();
            split.encode(&mut bytes);
            match cx.to_subtasks.last_mut() {
                Some((to, SourceEvent::AddSplits(splits))) if *to == subtask => splits.push(bytes),
                _ => cx.to_subtasks.push((subtask, SourceEvent::AddSplits(vec![bytes]))),
            }
        }
        cx.to_subtasks.extend(no_more.into_iter().map(|subtask| (subtask, SourceEvent::NoMoreSplits)));
        cx.to_subtasks.extend(custom.into_iter().map(|(subtask, message)| (subtask, SourceEvent::Custom(message))));
        self.enumerator_timer = call_at;
        self.schedule(cx);
        Ok(())
    }

    fn schedule(&self, cx: &mut CoordinatorContext) {
        cx.call_at = [self.enumerator_timer, self.alignment_timer].into_iter().flatten().min();
    }

    /// Compares the readers' watermarks and asks for the next comparison.
    fn align(&mut self, cx: &mut CoordinatorContext) {
        let Some(alignment) = &self.alignment else { return };
        self.alignment_timer = Some(cx.now + alignment.update_interval);
        // As in Flink, readers that have no watermark yet hold nobody back.
        let lowest = self.watermarks.values().copied().min();
        cx.group_watermark = lowest.map(|lowest| (alignment.group.clone(), lowest));
    }
}

/// The state of an enumerator with its schema, as [`SourceCoordinator::snapshot`] gives it.
pub fn encode_enumerator_state<C: Record>(state: &C) -> Vec<u8> {
    let mut bytes = Vec::new();
    C::schema().encode(&mut bytes);
    state.encode(&mut bytes);
    bytes
}

/// What [`encode_enumerator_state`] encoded.
///
/// # Errors
/// When it was of another type, or is damaged.
pub fn decode_enumerator_state<C: Record>(bytes: &[u8]) -> Result<C> {
    let mut input = Decoder::new(bytes);
    let decode = |input: &mut Decoder<'_>| {
        let stored = Schema::decode(input)?;
        if stored != C::schema() {
            return Err(Error::user(format!(
                "the checkpoint has it as {stored}, and the program as {}: begin without the checkpoint, or give the source another uid",
                C::schema()
            )));
        }
        C::decode(input)
    };
    decode(&mut input).and_then(|state| input.finish().map(|()| state)).context(|| "state of a split enumerator")
}

/// A split back from its bytes.
pub(crate) fn decode_split<S: Record>(bytes: &[u8]) -> Result<S> {
    S::decode(&mut Decoder::new(bytes)).context(|| "source split")
}

impl<S: SourceSplit, C: Record> SourceCoordinator for EnumeratorCoordinator<S, C> {
    fn start(&mut self, cx: &mut CoordinatorContext) -> Result<()> {
        self.align(cx);
        self.call(cx, |enumerator, inner| enumerator.start(inner))
    }

    fn add_reader(&mut self, subtask: u32, cx: &mut CoordinatorContext) -> Result<()> {
        if let Err(at) = self.readers.binary_search(&subtask) {
            self.readers.insert(at, subtask);
        }
        if self.limit < Timestamp::MAX {
            cx.to_subtasks.push((subtask, SourceEvent::WatermarkLimit(self.limit)));
        }
        self.call(cx, |enumerator, inner| enumerator.add_reader(subtask, inner))
    }

    fn handle_event(&mut self, subtask: u32, event: SourceEvent, cx: &mut CoordinatorContext) -> Result<()> {
        match event {
            SourceEvent::RequestSplit => self.call(cx, |enumerator, inner| enumerator.handle_split_request(subtask, inner)),
            SourceEvent::Custom(message) => self.call(cx, |enumerator, inner| enumerator.handle_custom_event(subtask, message, inner)),
            SourceEvent::ReportWatermark(watermark) => {
                self.watermarks.insert(subtask, watermark);
                self.schedule(cx);
                Ok(())
            }
            other => Err(brisk_base::Error::bug(format!("a reader sent {other:?}, which only a coordinator sends"))),
        }
    }

    fn on_timer(&mut self, cx: &mut CoordinatorContext) -> Result<()> {
        if self.alignment_timer.is_some_and(|at| at <= cx.now) {
            self.align(cx);
        }
        if self.enumerator_timer.is_some_and(|at| at <= cx.now) {
            self.enumerator_timer = None;
            return self.call(cx, |enumerator, inner| enumerator.on_timer(inner));
        }
        self.schedule(cx);
        Ok(())
    }

    fn remove_reader(&mut self, subtask: u32) {
        self.readers.retain(|reader| *reader != subtask);
        self.watermarks.remove(&subtask);
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        self.enumerator.snapshot().map(|state| encode_enumerator_state(&state)).context(|| "split enumerator")
    }

    fn group_limit(&mut self, lowest: Timestamp, cx: &mut CoordinatorContext) {
        let limit = lowest + self.alignment.as_ref().map_or(Millis(i64::MAX), |alignment| alignment.max_drift);
        if limit != self.limit {
            self.limit = limit;
            cx.to_subtasks.extend(self.readers.iter().map(|reader| (*reader, SourceEvent::WatermarkLimit(limit))));
        }
        self.schedule(cx);
    }
}
