//! Gathers the records of a stream exactly once, also when the job is restarted: with checkpoints on, records are published when the
//! checkpoint that holds them is complete.

use crate::planted::Planted;
use brisk_base::Result;
use brisk_base::ids::CheckpointId;
use brisk_base::options::checkpoint_options::CHECKPOINT_INTERVAL;
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{OperatorSnapshot, Redistribution};
use brisk_core::types::Record;
use brisk_stream::DataStream;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the records of a stream gather. Clones share them.
pub struct Gathered<T>(Arc<Mutex<Published<T>>>);

struct Published<T> {
    records: Vec<T>,
    /// Transactions that have been published.
    transactions: BTreeSet<String>,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Published { records: Vec::new(), transactions: BTreeSet::new() })))
    }
}

impl<T> Clone for Gathered<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Record> Gathered<T> {
    /// Adds a sink behind a stream.
    pub(crate) fn behind(&self, stream: &DataStream<T>) {
        let into = self.clone();
        let make = move |cx: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(Gather::new(into.clone(), cx)?)) };
        let _: DataStream<()> = stream.transform("gather", make);
    }

    /// Takes what has been published.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).records)
    }

    /// Publishes a transaction, unless it was published before.
    fn publish(&self, transaction: &str, records: Vec<T>) {
        let mut published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if published.transactions.insert(transaction.to_owned()) || Planted::DoubleCommit.is_in() {
            published.records.extend(records);
        }
    }

    fn add(&self, records: Vec<T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).records.extend(records);
    }
}

/// Records of one checkpoint that is not known to be complete: the transaction, the checkpoint, the records.
type Pending<T> = (String, u64, Vec<T>);

struct Gather<T> {
    into: Gathered<T>,
    /// Whether there are checkpoints.
    checkpointing: bool,
    /// Records since the last barrier.
    current: Vec<T>,
    pending: Vec<Pending<T>>,
}

impl<T: Record> Gather<T> {
    fn new(into: Gathered<T>, cx: &RuntimeContext) -> Result<Self> {
        let checkpointing = cx.config.get(&CHECKPOINT_INTERVAL)?.is_some_and(|interval| !interval.is_zero());
        // The checkpoint that they are restored from was complete.
        let restored: Vec<Pending<T>> = cx.state.operator_state("pending")?;
        restored.into_iter().for_each(|(transaction, _, records)| into.publish(&transaction, records));
        Ok(Self { into, checkpointing, current: Vec::new(), pending: Vec::new() })
    }
}

impl<T: Record> Operator for Gather<T> {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let rows = Rows::<T>::from_any(batch)?;
        if self.checkpointing {
            self.current.extend(rows.values);
        } else {
            self.into.add(rows.values);
        }
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, _watermark: brisk_base::Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        Ok(Progress::Done)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<T>::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        let checkpoint = cx.barrier.checkpoint;
        if !self.current.is_empty() {
            let task = &cx.runtime.task;
            let transaction = format!("{}-{}-{}-{checkpoint}", task.job_id, cx.runtime.operator_id, task.attempt);
            self.pending.push((transaction, checkpoint.0, std::mem::take(&mut self.current)));
        }
        snapshot.add_operator_state("pending", Redistribution::Split, &self.pending);
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        let (complete, open) = std::mem::take(&mut self.pending).into_iter().partition(|(_, id, _)| *id <= checkpoint.0);
        self.pending = open;
        let complete: Vec<Pending<T>> = complete;
        complete.into_iter().for_each(|(transaction, _, records)| self.into.publish(&transaction, records));
        Ok(())
    }
}
