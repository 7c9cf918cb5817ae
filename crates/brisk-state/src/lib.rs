//! Keyed state: the tables behind the contract of `brisk_core::state`, and timers.
//!
//! * [`KeyedStateStore`]: all keyed state of one operator of one subtask.
//! * [`heap`]: tables of typed objects. [`bytes`]: tables over a byte store. [`HashMapStateBackend`]: the backend `hashmap`.
//! * `rocksdb` (feature `rocksdb`): the backend of that name.
//! * [`timers`]: when a key wants to be called.
//! * [`snapshot`]: how frozen state gets into the checkpoint storage and back, and how it is spread over the subtasks of a restored job.
//! * [`checkpoint_storage`]: where checkpoints are stored. [`savepoint_format`]: the `_metadata` file of checkpoints and savepoints.
//! * [`mock`]: byte stores that make the assumptions of an operator visible.
//!
//! It starts no thread, and touches no files but those of a checkpoint storage, whose calls block and are for background threads.

mod backend;
pub mod bytes;
pub mod checkpoint_storage;
mod entry;
pub mod heap;
pub mod mock;
#[cfg(feature = "rocksdb")]
pub mod rocksdb;
pub mod savepoint_format;
mod schema;
pub mod snapshot;
mod store;
pub mod timers;
mod ttl;
mod wire;

pub use backend::HashMapStateBackend;
pub use store::KeyedStateStore;
