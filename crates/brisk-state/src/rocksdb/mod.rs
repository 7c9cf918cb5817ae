//! The state backend `rocksdb`: keyed state on the local disk, with checkpoints that store only what is new.
//!
//! * [`RocksDbStateBackend`]: the backend of one worker, whose stores share one budget of memory.
//! * One database for each keyed operator of a subtask; a column family for each state, found by the state's name, so that a changed program
//!   finds its states again. A key is key group, then what the table writes.
//! * Files of the database are immutable; a checkpoint refers to those that the last completed one has stored already.
//! * The newest values of states with one value per key lie in hash tables before the database (docs/adr/0011), which are written in the background.
//!
//! Invariants: the files of a checkpoint hold exactly the state at its barrier, and the task does not wait for them (docs/adr/0004):
//! while they are made, changes go to an overlay in memory, which is merged into the database in small steps afterwards. Nothing is
//! written to a log: what a failure loses is in the last checkpoint.

mod backend;
mod cursor;
mod families;
mod folder;
mod frozen;
mod instance;
mod memory;
mod merged;
mod native;
mod newest;
mod options;
mod overlay;
mod recent;
mod restore;
mod sealed;
mod store;

pub use backend::{RocksDbStateBackend, RocksDbStateBackendFactory};
pub use options::{INCREMENTAL, LOCAL_DIRECTORIES, MANAGED_MEMORY_SIZE, OPTIONS, RocksDbConfig, RocksDbPlace, WRITE_BUFFER_RATIO};

#[cfg(test)]
mod tests;
