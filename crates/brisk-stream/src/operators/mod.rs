//! The operators behind the API, one per file.
//!
//! Each loops over whole batches, counts rows against the budget of its task, and keeps no output back between calls.

mod async_queue;
mod async_wait;
mod broadcast_process;
mod co_process;
mod collect;
mod filter;
mod flat_map;
mod global_commit;
mod keyed;
mod keyed_process;
mod map;
mod partial;
mod process;
mod rolling;
mod sink;
mod timestamps;
mod with_state;

pub(crate) use async_wait::AsyncWaitOperator;
pub(crate) use broadcast_process::{BroadcastProcessOperator, KeyedBroadcastProcess};
pub(crate) use co_process::CoProcessOperator;
#[cfg(test)]
pub(crate) use collect::CollectOperator;
pub(crate) use collect::{CollectFactory, Handoff};
pub(crate) use filter::FilterOperator;
pub(crate) use flat_map::FlatMapOperator;
pub(crate) use global_commit::GlobalCommitOperator;
pub(crate) use keyed::{KeyedOperator, replace_key};
pub(crate) use keyed_process::{KeyedCoProcess, KeyedProcess};
pub(crate) use map::MapOperator;
pub(crate) use partial::{each_row, emit_rows, rest_of};
pub(crate) use process::ProcessOperator;
pub(crate) use rolling::{ByReduce, InPlace, RollingOperator};
pub(crate) use sink::SinkOperator;
pub(crate) use timestamps::TimestampsOperator;
pub(crate) use with_state::FlatMapWithState;

#[cfg(test)]
pub(crate) mod driver;
#[cfg(test)]
pub(crate) mod kept;
#[cfg(test)]
mod tests;
