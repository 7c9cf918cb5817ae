//! The contract of a source: splits, an enumerator on the JobMaster, a reader per subtask (Flink's FLIP-27).
//!
//! Enumerator and readers talk only by [`SourceEvent`]s, in which splits travel encoded, so that they may live in different processes.

mod coordinator;
mod operator;
mod output;
#[cfg(test)]
mod tests;

pub use coordinator::{
    CoordinatorContext, EnumeratorContext, EnumeratorCoordinator, SourceCoordinator, SplitEnumerator, decode_enumerator_state,
    encode_enumerator_state,
};
pub use operator::SourceOperatorFactory;
pub use output::SourceOutput;

use crate::operator::{RuntimeContext, SourcePoll};
use crate::types::Record;
use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use std::task::Waker;
use std::time::Duration;

/// Whether a source ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boundedness {
    /// It ends.
    Bounded,
    /// It goes on until it is stopped.
    ContinuousUnbounded,
}

/// A part of a source that one reader reads.
pub trait SourceSplit: Record + std::fmt::Debug {
    /// Unique among the splits of the source.
    fn split_id(&self) -> String;
}

/// What enumerator and readers tell each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceEvent {
    /// Reader: is there a split for me?
    RequestSplit,
    /// Reader: this is my combined watermark (for alignment).
    ReportWatermark(Timestamp),
    /// Enumerator: read these, too.
    AddSplits(Vec<Vec<u8>>),
    /// Enumerator: there will be no more splits for you.
    NoMoreSplits,
    /// Coordinator: do not read past this watermark (alignment).
    WatermarkLimit(Timestamp),
    /// Of the source's own, in either direction.
    Custom(Vec<u8>),
}

/// A source of records (Flink's `Source`).
pub trait Source: Send + Sync + 'static {
    /// The records that it gives.
    type Out: Record;
    /// Its splits.
    type Split: SourceSplit;
    /// What its enumerator keeps in checkpoints: the splits that no reader has been given, say.
    type EnumeratorState: Record;

    /// Whether it ends by itself.
    fn boundedness(&self) -> Boundedness;

    /// The enumerator, one per job.
    ///
    /// # Errors
    /// When the source cannot be reached or its settings are wrong.
    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<Self::Split, Self::EnumeratorState>>>;

    /// The enumerator of a job that goes on from a checkpoint. Splits that readers had been given then are theirs again, and must not be
    /// handed out a second time.
    ///
    /// # Errors
    /// As [`create_enumerator`](Self::create_enumerator).
    fn restore_enumerator(&self, state: Self::EnumeratorState) -> Result<Box<dyn SplitEnumerator<Self::Split, Self::EnumeratorState>>>;

    /// The reader of one subtask.
    ///
    /// # Errors
    /// When the source cannot be reached or its settings are wrong.
    fn create_reader(&self, cx: &RuntimeContext) -> Result<Box<dyn SourceReader<Self::Out, Self::Split>>>;
}

/// What a reader sees of its task.
pub struct ReaderContext<'a> {
    /// Wakes the task when there is something to read.
    pub waker: &'a Waker,
    /// The subtask.
    pub runtime: &'a RuntimeContext,
    pub(crate) wake_at: &'a mut Option<Timestamp>,
    pub(crate) requests: &'a mut u32,
    pub(crate) custom: &'a mut Vec<Vec<u8>>,
    pub(crate) wake_after: &'a mut Option<Duration>,
    pub(crate) restored_splits: bool,
}

impl ReaderContext<'_> {
    /// Asks the enumerator for a split.
    pub fn request_split(&mut self) {
        *self.requests += 1;
    }

    /// Whether the reader has got splits from a checkpoint before it was started.
    pub const fn has_restored_splits(&self) -> bool {
        self.restored_splits
    }

    /// Sends the enumerator a message of the source's own.
    pub fn send_to_enumerator(&mut self, message: Vec<u8>) {
        self.custom.push(message);
    }

    /// Asks to be polled again at this processing time at the latest, after [`SourcePoll::Waiting`].
    pub fn wake_at(&mut self, at: Timestamp) {
        *self.wake_at = Some(self.wake_at.map_or(at, |other| other.min(at)));
    }

    /// Asks to be polled again after this time at the latest; finer than [`wake_at`](Self::wake_at).
    pub fn wake_after(&mut self, span: Duration) {
        *self.wake_after = Some(self.wake_after.map_or(span, |other| other.min(span)));
    }

    /// Processing time.
    pub fn now(&self) -> Timestamp {
        self.runtime.world.now()
    }
}

/// Reads the splits of one subtask (Flink's `SourceReader`). It never blocks: it says [`SourcePoll::Waiting`] and wakes its task.
pub trait SourceReader<T, S>: Send {
    /// Called once, after the splits of a checkpoint have been added. By default a reader that got none asks for its first. One that is
    /// through with those of a checkpoint, and has not asked for more by then, is taken to ask.
    ///
    /// # Errors
    /// Fails the task.
    fn start(&mut self, cx: &mut ReaderContext<'_>) -> Result<()> {
        if !cx.has_restored_splits() {
            cx.request_split();
        }
        Ok(())
    }

    /// Gives about one batch of records to `out`.
    ///
    /// # Errors
    /// Fails the task.
    fn poll_next(&mut self, cx: &mut ReaderContext<'_>, out: &mut SourceOutput<T>) -> Result<SourcePoll>;

    /// Takes over splits.
    ///
    /// # Errors
    /// Fails the task.
    fn add_splits(&mut self, splits: Vec<S>) -> Result<()>;

    /// There will be no more splits: [`SourcePoll::Finished`] follows when the present ones are read.
    fn no_more_splits(&mut self);

    /// The splits that are not read to their end, with how far they have been read, to go on from there.
    fn snapshot(&self) -> Vec<S>;

    /// A checkpoint is complete: what came before it will not be asked for again. May be left out for a checkpoint when a later one is
    /// complete.
    ///
    /// # Errors
    /// Fails the task.
    fn checkpoint_complete(&mut self, _checkpoint: CheckpointId) -> Result<()> {
        Ok(())
    }

    /// Splits that must not be read on for now, because they are ahead of the others (alignment). A reader of one split at a time may
    /// leave this: the whole reader waits then.
    fn pause_splits(&mut self, _paused: &[String]) {}

    /// A message of the source's own from the enumerator.
    ///
    /// # Errors
    /// Fails the task.
    fn handle_custom_event(&mut self, _message: Vec<u8>) -> Result<()> {
        Ok(())
    }

    /// Releases what the reader holds; called in any case.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
