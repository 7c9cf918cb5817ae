//! Commits for all writers of a sink, once per checkpoint.
//!
//! Writers emit what they have prepared in front of a barrier, so that what has come when the barrier comes belongs to its checkpoint.

use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, SnapshotContext};
use brisk_core::sink::{AnyCommitter, Commits, Committable};
use brisk_core::state::OperatorSnapshot;
use std::sync::Arc;

/// See the module.
pub(crate) struct GlobalCommitOperator {
    /// Until the operator is opened.
    committer: Option<AnyCommitter>,
    /// From then on.
    commits: Option<Commits>,
    /// What has come behind the last barrier.
    open: Vec<Committable>,
    /// Whether the input has ended, and the committer has not been told.
    ended: bool,
}

impl GlobalCommitOperator {
    pub(crate) const fn new(committer: Option<AnyCommitter>) -> Self {
        Self { committer, commits: None, open: Vec::new(), ended: false }
    }

    fn commits(&mut self) -> Result<&mut Commits> {
        self.commits.as_mut().ok_or_else(|| Error::bug("the sink says that it has a global committer, but has none"))
    }

    /// Tells the committer that all is committed, if it is.
    fn end(&mut self) -> Result<()> {
        if self.ended && self.open.is_empty() && self.commits()?.is_empty() {
            self.ended = false;
            return self.commits()?.end_of_input();
        }
        Ok(())
    }
}

impl Operator for GlobalCommitOperator {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(committer) = self.committer.take() {
            self.commits = Some(Commits::restored(committer, cx.runtime)?);
        }
        // It may have failed between the end of the last checkpoint and the news of it.
        self.ended = cx.runtime.state.restored.as_ref().is_some_and(|restored| restored.finished);
        self.end()
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let rows = Rows::<Vec<u8>>::from_any(batch)?;
        self.open.extend(rows.values.into_iter().map(Committable::from_bytes));
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<Vec<u8>>::batch_type())
    }

    fn finish(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.ended = true;
        if !cx.runtime.state.checkpointing {
            let open = std::mem::take(&mut self.open);
            self.commits()?.commit(&open)?;
            self.end()?;
        }
        Ok(Progress::Done)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        let open = std::mem::take(&mut self.open);
        let commits = self.commits()?;
        commits.add(cx.barrier.checkpoint, open);
        commits.snapshot(snapshot);
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.commits()?.complete(checkpoint)?;
        self.end()
    }
}
