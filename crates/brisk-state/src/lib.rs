//! Keyed state: the tables behind the contract of `brisk_core::state`, and timers.
//!
//! * [`KeyedStateStore`]: all keyed state of one operator of one subtask.
//! * [`heap`]: tables of typed objects. [`bytes`]: tables over a byte store. [`HashMapStateBackend`]: the backend `hashmap`.
//! * [`timers`]: when a key wants to be called.
//! * [`mock`]: byte stores that make the assumptions of an operator visible.
//!
//! It never touches files or the network, and starts no thread.

mod backend;
pub mod bytes;
mod entry;
pub mod heap;
pub mod mock;
mod schema;
mod store;
pub mod timers;

pub use backend::HashMapStateBackend;
pub use store::KeyedStateStore;
