//! Snapshots of tasks: how frozen state gets into the checkpoint storage, and back.
//!
//! * [`write_task`]: stores everything that the operators of one subtask handed over.
//! * [`TaskStateHandle`]: what then stands for it, in messages and metadata.
//! * [`assign`]: spreads the handles of the old subtasks over those of a restored job.
//! * [`read_operator`]: what an operator of a restored job begins with.
//!
//! The bytes are described in `docs/formats/state-file.md`. Invariants: neither writing nor reading holds more than some blocks of a state
//! in memory; each block is verified when it is read.

mod assign;
mod blob;
mod block;
mod fetch;
mod handle;
mod items;
mod native;
mod reader;
mod writer;

pub use assign::{NewParallelism, assign};
pub use blob::{load_blob, store_blob};
pub use fetch::read_operator;
pub use handle::{
    CanonicalHandle, GroupPart, ItemBlock, KeyedHandle, NativeHandle, OperatorStateHandle, OperatorSubtaskState, StateData, StatePart,
    TaskStateHandle,
};
pub use reader::CanonicalReader;
pub use writer::{CheckpointLocation, SnapshotSizes, TaskSnapshotWriter, write_task};

#[cfg(test)]
mod tests;
