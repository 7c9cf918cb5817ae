//! The operator of a source that gives columns, and the contract of its readers.

use super::enumerator::Dealer;
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::batch::{AnyBatch, Columns};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext, SnapshotContext, SourcePoll};
use brisk_core::source::{EnumeratorCoordinator, SourceCoordinator, SourceEvent, SourceSplit, decode_enumerator_state};
use brisk_core::state::{OperatorSnapshot, Redistribution};
use brisk_core::types::Decoder;
use std::sync::Arc;
use std::time::Duration;

/// Name of the operator state with the splits.
const SPLITS: &str = "$splits";

/// What a reader has.
pub(crate) enum Read {
    /// Rows.
    Batch(Columns),
    /// Nothing before this time is over.
    Later(Duration),
    /// Nothing: all splits are read.
    End,
}

/// Reads the splits of one subtask.
pub(crate) trait ColumnReader: Send + 'static {
    /// What it reads.
    type Split: SourceSplit;

    /// Takes over a split.
    fn add_split(&mut self, split: Self::Split) -> Result<()>;

    /// About one batch.
    fn read(&mut self, cx: &RuntimeContext) -> Result<Read>;

    /// Splits that are not read to their end, with how far they have been read.
    fn splits(&self) -> Vec<Self::Split>;
}

type ListSplits<S> = dyn Fn() -> Result<Vec<S>> + Send + Sync;
type MakeReader<R> = dyn Fn(&RuntimeContext) -> Result<R> + Send + Sync;

/// Makes the source.
pub(crate) struct ColumnSource<R: ColumnReader> {
    list: Box<ListSplits<R::Split>>,
    reader: Box<MakeReader<R>>,
}

impl<R: ColumnReader> ColumnSource<R> {
    /// A source whose splits `list` finds, read by what `reader` makes.
    pub(crate) fn factory(
        list: impl Fn() -> Result<Vec<R::Split>> + Send + Sync + 'static,
        reader: impl Fn(&RuntimeContext) -> Result<R> + Send + Sync + 'static,
    ) -> Arc<dyn OperatorFactory> {
        Arc::new(Self { list: Box::new(list), reader: Box::new(reader) })
    }
}

impl<R: ColumnReader> OperatorFactory for ColumnSource<R> {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(ColumnSourceOperator { reader: (self.reader)(cx)?, no_more_splits: false }))
    }

    fn coordinator(&self, parallelism: u32, restored: Option<&[u8]>) -> Result<Option<Box<dyn SourceCoordinator>>> {
        let dealer = match restored {
            Some(bytes) => Dealer::restored(decode_enumerator_state(bytes)?),
            None => Dealer::new((self.list)()?),
        };
        Ok(Some(Box::new(EnumeratorCoordinator::new(Box::new(dealer), parallelism, None))))
    }
}

struct ColumnSourceOperator<R> {
    reader: R,
    /// No further splits will come.
    no_more_splits: bool,
}

impl<R: ColumnReader> Operator for ColumnSourceOperator<R> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let splits: Vec<R::Split> = cx.runtime.state.operator_state(SPLITS)?;
        splits.into_iter().try_for_each(|split| self.reader.add_split(split))
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, _cx: &mut SnapshotContext<'_>) -> Result<()> {
        snapshot.add_operator_state(SPLITS, Redistribution::Split, self.reader.splits().iter());
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, _batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        Err(Error::bug("a source has no input"))
    }

    fn poll_source(&mut self, cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        match self.reader.read(cx.runtime)? {
            Read::Batch(batch) => {
                cx.emit(MAIN_PORT, Box::new(batch));
                Ok(SourcePoll::More)
            }
            Read::Later(span) => {
                cx.wake_after(span);
                Ok(SourcePoll::Waiting)
            }
            Read::End if self.no_more_splits => {
                cx.emit_watermark(Timestamp::MAX);
                Ok(SourcePoll::Finished)
            }
            Read::End => Ok(SourcePoll::Waiting),
        }
    }

    fn handle_event(&mut self, event: SourceEvent, _cx: &mut OperatorContext<'_>) -> Result<()> {
        match event {
            SourceEvent::AddSplits(splits) => splits.iter().try_for_each(|bytes| {
                let split = brisk_core::types::Record::decode(&mut Decoder::new(bytes)).context(|| "source split")?;
                self.reader.add_split(split)
            }),
            SourceEvent::NoMoreSplits => {
                self.no_more_splits = true;
                Ok(())
            }
            other => Err(Error::bug(format!("a coordinator sent {other:?}, which this source does not know"))),
        }
    }
}
