//! The contract between the runtime and an operator.
//!
//! An operator is a synchronous state machine over whole batches. All of its methods are called by the thread that polls its task. It may
//! give back unread input when its time is used up or its output is full, and it keeps no output back between calls.

mod budget;
mod context;
mod receipt;
mod runtime_context;

pub use budget::Budget;
pub use context::{MAIN_PORT, OperatorContext, Output, Port};
pub use receipt::{Receipt, Unread};
pub use runtime_context::{RuntimeContext, SideOutputPort, TaskInfo};

use crate::batch::{AnyBatch, BatchType};
use crate::checkpoint::Barrier;
use crate::element::StreamStatus;
use crate::source::SourceEvent;
use crate::state::OperatorSnapshot;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, Timestamp};
use std::sync::Arc;

/// What is left of a batch after [`Operator::process_batch`].
#[derive(Debug)]
pub enum Rest {
    /// Nothing: the batch is consumed.
    Consumed,
    /// These rows; call again once the output has drained.
    More(Box<dyn AnyBatch>),
    /// These rows; call again when the operator has been woken and [`Operator::poll_pending`] has run.
    Blocked(Box<dyn AnyBatch>),
}

/// Whether a step of an operator is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It is over.
    Done,
    /// Call again once the output has drained.
    More,
    /// Call again when woken.
    Waiting,
}

/// What a source says when polled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourcePoll {
    /// There may be more at once.
    More,
    /// Nothing for now; the source wakes its task.
    Waiting,
    /// The bounded source has given everything, the final watermark included.
    Finished,
}

/// What an operator is told with [`Operator::snapshot`].
pub struct SnapshotContext<'a> {
    /// The barrier.
    pub barrier: Barrier,
    /// Who and where the operator is.
    pub runtime: &'a RuntimeContext,
}

/// One operator of a chain. See the module.
pub trait Operator: Send {
    /// Called once before anything else.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Processes rows of one input. Operators whose result depends on the watermark split at the batch's marks; others pass them on.
    ///
    /// # Errors
    /// Fails the task.
    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest>;

    /// The combined watermark of all inputs has advanced. Passes it on by default; call order within a step is fire, then pass on.
    ///
    /// # Errors
    /// Fails the task.
    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        cx.emit_watermark(watermark);
        Ok(Progress::Done)
    }

    /// The combined status of all inputs has changed.
    ///
    /// # Errors
    /// Fails the task.
    fn process_status(&mut self, status: StreamStatus, cx: &mut OperatorContext<'_>) -> Result<()> {
        cx.emit_status(status);
        Ok(())
    }

    /// The next processing time at which [`on_processing_time`](Self::on_processing_time) is wanted.
    fn next_processing_time(&self) -> Option<Timestamp> {
        None
    }

    /// Processing time has reached [`next_processing_time`](Self::next_processing_time).
    ///
    /// # Errors
    /// Fails the task.
    fn on_processing_time(&mut self, _now: Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        Ok(Progress::Done)
    }

    /// Whether [`poll_pending`](Self::poll_pending) is to be called at each poll of the task.
    fn has_pending(&self) -> bool {
        false
    }

    /// Looks after asynchronous work, registering the context's waker with it.
    ///
    /// # Errors
    /// Fails the task.
    fn poll_pending(&mut self, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        Ok(Progress::Done)
    }

    /// The task could not run for this long, because its output was full. Time-outs for missing input should leave that time out.
    fn back_pressured(&mut self, _span: std::time::Duration) {}

    /// One input has ended; its rows and final watermark came before.
    ///
    /// # Errors
    /// Fails the task.
    fn end_input(&mut self, _input: usize, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        Ok(Progress::Done)
    }

    /// All inputs have ended: emit what is left. Processing-time timers that have not fired are dropped, as in Flink.
    ///
    /// # Errors
    /// Fails the task.
    fn finish(&mut self, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        Ok(Progress::Done)
    }

    /// How the batches of one input are read from bytes: for records under way that are part of a checkpoint, and for the network. `None`
    /// for an operator that takes any batch, which must then not be behind an exchange whose barriers overtake.
    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        None
    }

    /// A barrier has come: the last chance to emit in front of it (Flink's `prepareSnapshotPreBarrier`). [`snapshot`](Self::snapshot)
    /// follows.
    ///
    /// # Errors
    /// Fails the task.
    fn prepare_snapshot(&mut self, _checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Hands over frozen views of the operator's state. The cost must not grow with the state: what is large is frozen here, and encoded
    /// in the background.
    ///
    /// # Errors
    /// Fails the checkpoint, and the task.
    fn snapshot(&mut self, _snapshot: &mut OperatorSnapshot, _cx: &mut SnapshotContext<'_>) -> Result<()> {
        Ok(())
    }

    /// A checkpoint is complete: all subtasks of the job have stored their part of it. Comes at most once per checkpoint, may be left out
    /// when a later one is complete, and may come again for the last one after a restart.
    ///
    /// # Errors
    /// Fails the task.
    fn checkpoint_complete(&mut self, _checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// A checkpoint that the operator has taken part in will never be complete.
    ///
    /// # Errors
    /// Fails the task.
    fn checkpoint_aborted(&mut self, _checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Entries of keyed state and registered timers that the operator holds now; a figure for tests and metrics.
    fn state_entries(&self) -> usize {
        0
    }

    /// Called once at the end in any case: also after a failure or a cancellation, and if [`open`](Self::open) was not reached.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }

    /// Sources only: gives about one batch through the context.
    ///
    /// # Errors
    /// Fails the task.
    fn poll_source(&mut self, _cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        Err(Error::bug("polled as a source, but it is none"))
    }

    /// A message from this operator's coordinator on the JobMaster.
    ///
    /// # Errors
    /// Fails the task.
    fn handle_event(&mut self, event: SourceEvent, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Err(Error::bug(format!("got a coordinator's event, but has no coordinator: {event:?}")))
    }
}

/// Makes the operator of one subtask.
pub trait OperatorFactory: Send + Sync {
    /// A fresh operator; it is opened afterwards.
    ///
    /// # Errors
    /// When the configuration or the user's factory refuses.
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>>;

    /// The coordinator that runs on the JobMaster, for sources. `restored` is what [`snapshot`] gave at the checkpoint that the job goes on
    /// from.
    ///
    /// # Errors
    /// When the user's enumerator cannot be made, or the bytes are none of its.
    ///
    /// [`snapshot`]: crate::source::SourceCoordinator::snapshot
    fn coordinator(&self, _parallelism: u32, _restored: Option<&[u8]>) -> Result<Option<Box<dyn crate::source::SourceCoordinator>>> {
        Ok(None)
    }

    /// Whether the program reads results of this operator: see [`take_result`](Self::take_result).
    fn is_collected(&self) -> bool {
        false
    }

    /// Takes, in the process of the program, what an operator of this factory has sent there as
    /// [`SourceEvent::Custom`]: for sinks whose results the program reads. Must not block. When the receipt is dropped, the operator is
    /// told that the program has read so many bytes, also as `Custom`: see [`Unread`].
    ///
    /// # Errors
    /// When the bytes are none of the operator's.
    fn take_result(&self, _subtask: u32, _bytes: &[u8], _receipt: Receipt) -> Result<()> {
        Err(Error::bug("an operator has a result for the program, which does not expect any"))
    }
}

impl<F> OperatorFactory for F
where
    F: Fn(&RuntimeContext) -> Result<Box<dyn Operator>> + Send + Sync,
{
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        self(cx)
    }
}

/// Where an operator comes from.
#[derive(Clone)]
pub enum OperatorSpec {
    /// Closures and types of this program.
    Factory(Arc<dyn OperatorFactory>),
    /// An entry of the [registry](crate::registry) with its serialized configuration.
    Registered {
        /// Name in the registry.
        name: String,
        /// What the entry's constructor reads.
        config: Vec<u8>,
    },
}

impl std::fmt::Debug for OperatorSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Factory(_) => f.write_str("Factory"),
            Self::Registered { name, config } => write!(f, "Registered({name}, {} bytes)", config.len()),
        }
    }
}

/// A user's function that is cloned once per subtask. The lock makes it shareable without asking the user for `Sync`.
pub struct PerSubtask<F>(std::sync::Mutex<F>);

impl<F: Clone> PerSubtask<F> {
    /// Wraps the prototype.
    pub const fn new(function: F) -> Self {
        Self(std::sync::Mutex::new(function))
    }

    /// A copy for one subtask.
    pub fn instance(&self) -> F {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
