//! What user functions are given to emit with: [`Collector`], [`OutputTag`]; reduce and aggregate; the watermark contracts.

mod aggregate;
mod checkpointed;
mod collector;
mod emitter;
pub mod watermark;

pub use aggregate::{AggregateFunction, ReduceFunction};
pub use checkpointed::{FunctionInitializationContext, FunctionSnapshotContext, broadcast_snapshot};
pub use collector::Collector;
pub use emitter::{Emitter, OutputTag, SideOutputs};
