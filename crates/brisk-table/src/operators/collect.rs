//! A sink that keeps rows in memory, for tests and small results. With checkpoints, rows come into the collection when the checkpoint behind
//! them is complete, so that each is there once, whatever fails in between.

use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, OperatorSpec, Rest, RuntimeContext, SnapshotContext};
use brisk_core::registry::OperatorRegistry;
use brisk_core::sink::{GivenOut, HeldBack, Sealed};
use brisk_core::source::SourceEvent;
use brisk_core::state::{OperatorSnapshot, Redistribution};
use brisk_core::types::{Decoder, Record};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows that a sink may keep unless it is told otherwise.
const MAX_ROWS: usize = 10_000_000;
/// Name of the operator state with rows that wait for a checkpoint.
const RESULTS: &str = "$results";

/// Rows that one subtask holds back, by checkpoint, as encoded batches: one item, so that they stay in their order wherever it goes.
type Stored = (u32, Vec<(u64, Vec<Vec<u8>>)>);

/// What the sinks of one job have collected. Clones are the same collection.
#[derive(Clone)]
pub struct Collected {
    kept: Arc<Mutex<Kept>>,
    max_rows: usize,
}

/// What all sinks of the job share.
#[derive(Default)]
struct Kept {
    batches: Vec<Columns>,
    /// Rows in all batches.
    rows: usize,
    /// Rows of which checkpoints are there.
    given: GivenOut,
}

impl Default for Collected {
    fn default() -> Self {
        Self { kept: Arc::default(), max_rows: MAX_ROWS }
    }
}

impl Collected {
    /// A collection that refuses more rows than these.
    pub fn with_limit(max_rows: usize) -> Self {
        Self { max_rows, ..Self::default() }
    }

    /// Makes the sink known under a name of the program's choice.
    pub fn register(&self, registry: &mut OperatorRegistry, name: &str) {
        let collected = self.clone();
        registry.register(name, move |_| Ok(collected.clone()));
    }

    /// How a graph names the sink.
    pub fn spec(name: &str) -> OperatorSpec {
        OperatorSpec::Registered { name: name.to_owned(), config: Vec::new() }
    }

    /// The batches so far; those of one subtask in their order.
    pub fn batches(&self) -> Vec<Columns> {
        self.lock().batches.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, batches: Vec<Columns>) -> Result<()> {
        let mut kept = self.lock();
        kept.rows += batches.iter().map(|batch| batch.rows).sum::<usize>();
        if kept.rows > self.max_rows {
            return Err(Error::user(format!("more than {} rows to collect in memory: write large results to a real sink", self.max_rows)));
        }
        kept.batches.extend(batches);
        Ok(())
    }

    /// Adds the rows of a complete checkpoint, if they are not there.
    fn give_out(&self, sealed: Sealed<Columns>) -> Result<()> {
        let is_new = self.lock().given.is_new(&sealed);
        if is_new { self.add(sealed.results) } else { Ok(()) }
    }
}

impl OperatorFactory for Collected {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let held = cx.state.checkpointing.then(|| HeldBack::new(cx.task.subtask, self.max_rows));
        Ok(Box::new(CollectOperator { collected: self.clone(), held, elsewhere: cx.program_elsewhere }))
    }

    fn is_collected(&self) -> bool {
        true
    }

    /// In the program's process: what an operator of another one has sent.
    fn take_result(&self, subtask: u32, bytes: &[u8]) -> Result<()> {
        let (checkpoint, batches): Sent = Record::decode(&mut Decoder::new(bytes))?;
        let results = batches.iter().map(|bytes| decoded(bytes)).collect::<Result<Vec<_>>>()?;
        match checkpoint {
            Some(checkpoint) => self.give_out(Sealed { subtask, checkpoint: CheckpointId(checkpoint), results }),
            None => self.add(results),
        }
    }
}

/// What goes to the program's process: the checkpoint behind it, if there are checkpoints, and encoded batches.
type Sent = (Option<u64>, Vec<Vec<u8>>);

struct CollectOperator {
    collected: Collected,
    /// Rows that wait for a checkpoint; `None` where there are no checkpoints.
    held: Option<HeldBack<Columns>>,
    /// Whether the program is in another process.
    elsewhere: bool,
}

impl CollectOperator {
    /// Rows of a complete checkpoint.
    fn give_out(&self, sealed: Sealed<Columns>, cx: &mut OperatorContext<'_>) -> Result<()> {
        if self.elsewhere {
            send(Some(sealed.checkpoint.0), &sealed.results, cx);
            return Ok(());
        }
        self.collected.give_out(sealed)
    }
}

fn send(checkpoint: Option<u64>, batches: &[Columns], cx: &mut OperatorContext<'_>) {
    let sent: Sent = (checkpoint, batches.iter().map(encoded).collect());
    let mut bytes = Vec::new();
    sent.encode(&mut bytes);
    cx.send_event(SourceEvent::Custom(bytes));
}

fn decoded(bytes: &[u8]) -> Result<Columns> {
    Columns::batch_type().decode(bytes).and_then(Columns::from_any)
}

fn encoded(batch: &Columns) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch.encode(&mut bytes);
    bytes
}

impl Operator for CollectOperator {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        match &mut self.held {
            Some(held) => {
                let rows = batch.rows;
                held.push(batch, rows)?;
            }
            None if self.elsewhere => send(None, &[batch], cx),
            None => self.collected.add(vec![batch])?,
        }
        Ok(Rest::Consumed)
    }

    /// Rows that a checkpoint left are those of a checkpoint that is complete.
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let restored: Vec<Stored> = cx.runtime.state.operator_state(RESULTS)?;
        for (subtask, sealed) in restored {
            for (checkpoint, batches) in sealed {
                let results = batches.iter().map(|bytes| decoded(bytes)).collect::<Result<Vec<_>>>()?;
                self.give_out(Sealed { subtask, checkpoint: CheckpointId(checkpoint), results }, cx)?;
            }
        }
        Ok(())
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        let Some(held) = &mut self.held else { return Ok(()) };
        held.seal(cx.barrier.checkpoint);
        let stored = |sealed: &Sealed<Columns>| (sealed.checkpoint.0, sealed.results.iter().map(encoded).collect::<Vec<_>>());
        let item: Stored = (cx.runtime.task.subtask, held.waiting().map(stored).collect());
        snapshot.add_operator_state(RESULTS, Redistribution::Split, Some(&item).filter(|item| !item.1.is_empty()));
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, cx: &mut OperatorContext<'_>) -> Result<()> {
        let due = self.held.as_mut().map(|held| held.complete(checkpoint)).unwrap_or_default();
        due.into_iter().try_for_each(|sealed| self.give_out(sealed, cx))
    }
}
