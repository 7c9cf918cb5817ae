//! What users implement: functions as traits, with `open`, `close` and their runtime context, and the contexts they are given.
//!
//! A function is cloned once per subtask; its fields are its own there. Errors are values: returning one fails the job with the
//! operator's name and the subtask.

mod flat_map;
mod filter;
mod map;
mod process;

pub use filter::FilterFunction;
pub use flat_map::FlatMapFunction;
pub use map::MapFunction;
pub use process::{ProcessContext, ProcessFunction};

pub(crate) use filter::{FilterFn, TryFilterFn};
pub(crate) use flat_map::{FlatMapFn, TryFlatMapFn};
pub(crate) use map::{MapFn, TryMapFn};
