//! A sink that keeps rows in memory: for tests and small results, or until the program has taken them. With checkpoints, rows come into the
//! collection when the checkpoint behind them is complete, so that each is there once, whatever fails in between.

use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{
    Operator, OperatorContext, OperatorFactory, OperatorSpec, Progress, Receipt, Rest, RuntimeContext, SnapshotContext, Unread,
};
use brisk_core::registry::OperatorRegistry;
use brisk_core::sink::{GivenOut, HeldBack, Sealed};
use brisk_core::source::SourceEvent;
use brisk_core::state::{OperatorSnapshot, Redistribution};
use brisk_core::types::{Decoder, Record};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// Rows that a sink may keep unless it is told otherwise.
const MAX_ROWS: usize = 10_000_000;
/// Bytes of memory that they may take.
const MAX_BYTES: usize = 2 << 30;
/// Rows that may wait for a program that takes them as they come.
const MOST_WAITING: usize = 10_000;
/// Name of the operator state with rows that wait for a checkpoint.
const RESULTS: &str = "$results";

/// Rows that one subtask holds back, by checkpoint, as encoded batches: one item, so that they stay in their order wherever it goes.
type Stored = (u32, Vec<(u64, Vec<Vec<u8>>)>);

/// What the sinks of one job have collected. Clones are the same collection.
#[derive(Clone)]
pub struct Collected {
    kept: Arc<Mutex<Kept>>,
    /// Tells whoever takes batches that there is one.
    arrived: Arc<Condvar>,
    max_rows: usize,
    /// Whether the program takes the rows as they come: then tasks wait for it.
    is_taken: bool,
}

/// What all sinks of the job share.
#[derive(Default)]
struct Kept {
    batches: Vec<Columns>,
    /// Rows in all batches.
    rows: usize,
    /// Bytes of memory of all batches.
    bytes: usize,
    /// What tells operators of other processes that the program has taken the batches.
    receipts: Vec<Receipt>,
    /// Tasks that wait until the program has taken them.
    blocked: Vec<Waker>,
    /// Rows of which checkpoints are there.
    given: GivenOut,
}

impl Default for Collected {
    fn default() -> Self {
        Self { kept: Arc::default(), arrived: Arc::default(), max_rows: MAX_ROWS, is_taken: false }
    }
}

impl Collected {
    /// A collection that refuses more rows than these.
    pub fn with_limit(max_rows: usize) -> Self {
        Self { max_rows, ..Self::default() }
    }

    /// A collection from which the program takes the rows as they come: where it is slow, the job waits.
    pub fn taken() -> Self {
        Self { is_taken: true, ..Self::default() }
    }

    /// Takes the batches that are there; waits for one at most so long.
    pub fn take(&self, patience: Duration) -> Vec<Columns> {
        let mut kept = self.lock();
        if kept.batches.is_empty() {
            kept = self.arrived.wait_timeout(kept, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        (kept.rows, kept.bytes) = (0, 0);
        let (batches, wakers) = (std::mem::take(&mut kept.batches), std::mem::take(&mut kept.blocked));
        let receipts = std::mem::take(&mut kept.receipts);
        drop(kept);
        drop(receipts);
        wakers.into_iter().for_each(Waker::wake);
        batches
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

    fn add(&self, batches: Vec<Columns>, receipt: Receipt) -> Result<()> {
        let mut kept = self.lock();
        kept.rows += batches.iter().map(|batch| batch.rows).sum::<usize>();
        kept.bytes += batches.iter().map(AnyBatch::bytes_held).sum::<usize>();
        let limit = match () {
            () if kept.rows > self.max_rows => format!("{} rows", self.max_rows),
            () if kept.bytes > MAX_BYTES => format!("{MAX_BYTES} bytes"),
            () => String::new(),
        };
        if !limit.is_empty() {
            return Err(Error::user(format!("more than {limit} to collect in memory: write large results to a real sink")));
        }
        kept.batches.extend(batches);
        if self.is_taken {
            kept.receipts.push(receipt);
        }
        drop(kept);
        self.arrived.notify_all();
        Ok(())
    }

    /// Whether there is room for a batch; if not, the task is woken when there is.
    fn has_room(&self, waker: &Waker) -> bool {
        let mut kept = self.lock();
        if !self.is_taken || kept.rows < MOST_WAITING {
            return true;
        }
        if !kept.blocked.iter().any(|other| other.will_wake(waker)) {
            kept.blocked.push(waker.clone());
        }
        false
    }

    /// Adds the rows of a complete checkpoint, if they are not there.
    fn give_out(&self, sealed: Sealed<Columns>, receipt: Receipt) -> Result<()> {
        let is_new = self.lock().given.is_new(&sealed);
        if is_new { self.add(sealed.results, receipt) } else { Ok(()) }
    }
}

impl OperatorFactory for Collected {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let held = cx.state.checkpointing.then(|| HeldBack::new(cx.task.subtask, self.max_rows));
        let elsewhere = cx.program_elsewhere.then(Unread::default);
        Ok(Box::new(CollectOperator { collected: self.clone(), held, elsewhere, blocked: false }))
    }

    fn is_collected(&self) -> bool {
        true
    }

    /// In the program's process: what an operator of another one has sent.
    fn take_result(&self, subtask: u32, bytes: &[u8], receipt: Receipt) -> Result<()> {
        let (checkpoint, batches): Sent = Record::decode(&mut Decoder::new(bytes))?;
        let results = batches.iter().map(|bytes| decoded(bytes)).collect::<Result<Vec<_>>>()?;
        match checkpoint {
            Some(checkpoint) => self.give_out(Sealed { subtask, checkpoint: CheckpointId(checkpoint), results }, receipt),
            None => self.add(results, receipt),
        }
    }
}

/// What goes to the program's process: the checkpoint behind it, if there are checkpoints, and encoded batches.
type Sent = (Option<u64>, Vec<Vec<u8>>);

struct CollectOperator {
    collected: Collected,
    /// Rows that wait for a checkpoint; `None` where there are no checkpoints.
    held: Option<HeldBack<Columns>>,
    /// What is under way to the program, if it is in another process.
    elsewhere: Option<Unread>,
    /// Whether a batch was given back because there was no room.
    blocked: bool,
}

impl CollectOperator {
    /// Rows of a complete checkpoint.
    fn give_out(&mut self, sealed: Sealed<Columns>, cx: &mut OperatorContext<'_>) -> Result<()> {
        match &mut self.elsewhere {
            Some(unread) => unread.send(sent(Some(sealed.checkpoint.0), &sealed.results), cx),
            None => self.collected.give_out(sealed, Receipt::default())?,
        }
        Ok(())
    }

    /// Whether there is room for a batch. What is held back has room, unless the program takes rows as they come.
    fn has_room(&self, waker: &Waker) -> bool {
        match &self.elsewhere {
            _ if self.held.is_some() && !self.collected.is_taken => true,
            Some(unread) => unread.has_room(),
            None => self.collected.has_room(waker),
        }
    }
}

fn sent(checkpoint: Option<u64>, batches: &[Columns]) -> Vec<u8> {
    let sent: Sent = (checkpoint, batches.iter().map(encoded).collect());
    let mut bytes = Vec::new();
    sent.encode(&mut bytes);
    bytes
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
        if !self.has_room(cx.waker) {
            self.blocked = true;
            return Ok(Rest::Blocked(batch));
        }
        let batch = Columns::from_any(batch)?;
        match (&mut self.held, &mut self.elsewhere) {
            (Some(held), _) => {
                let rows = batch.rows;
                held.push(batch, rows)?;
            }
            (None, Some(unread)) => unread.send(sent(None, &[batch]), cx),
            (None, None) => self.collected.add(vec![batch], Receipt::default())?,
        }
        Ok(Rest::Consumed)
    }

    fn has_pending(&self) -> bool {
        self.blocked
    }

    fn poll_pending(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.blocked = !self.has_room(cx.waker);
        Ok(if self.blocked { Progress::Waiting } else { Progress::Done })
    }

    /// The program has read something.
    fn handle_event(&mut self, event: SourceEvent, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.elsewhere.as_mut().map_or(Ok(()), |unread| unread.read(&event))
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
