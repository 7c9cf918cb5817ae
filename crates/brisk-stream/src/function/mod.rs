//! What users implement: functions as traits, with `open`, `close` and their runtime context, and the contexts they are given.
//!
//! A function is cloned once per subtask; its fields are its own there. Errors are values: returning one fails the job with the
//! operator's name and the subtask.

mod async_io;
mod broadcast;
mod broadcast_state;
mod co;
mod filter;
mod flat_map;
pub(crate) mod hooks;
mod keyed_context;
mod keyed_process;
mod map;
mod process;

pub use async_io::{AsyncFunction, AsyncOptions, AsyncOrder, AsyncResult, AsyncRetry};
pub use broadcast::{BroadcastContext, BroadcastProcessFunction, KeyedBroadcastProcessFunction, KeyedReadOnlyContext, ReadOnlyContext};
pub use broadcast_state::{BroadcastState, MapStateDescriptor};
pub use co::{CoFlatMapFunction, CoMapFunction, CoProcessFunction};
pub use filter::FilterFunction;
pub use flat_map::FlatMapFunction;
pub use keyed_context::{KeyedContext, TimeDomain, TimerService};
pub use keyed_process::{Context, KeyedCoProcessFunction, KeyedProcessFunction, TimerContext};
pub use map::MapFunction;
pub use process::{ProcessContext, ProcessFunction};

pub(crate) use async_io::AsyncFn;
pub(crate) use broadcast_state::{BroadcastDeclarations, BroadcastStates};
pub(crate) use co::{CoFlatMap, CoFlatMapFn, CoMap, CoMapFn};
pub(crate) use filter::{FilterFn, TryFilterFn};
pub(crate) use flat_map::{FlatMapFn, TryFlatMapFn};
pub(crate) use map::{MapFn, TryMapFn};
