//! Joins: two streams, record by record, where keys are the same and times fit.
//!
//! * [`IntervalJoin`]: pairs whose timestamps lie within bounds of each other, as soon as both are there.
//! * [`JoinedStreams`]: pairs within one window, when it fires. [`CoGroupedStreams`]: the same windows, each side as a whole.
//!
//! All are inner joins but the last, which leaves it to its function. Source for names and semantics: Flink, "Joining".

mod buffer;
mod function;
mod group_operator;
mod interval_join;
mod interval_operator;
mod tagged_union;
#[cfg(test)]
mod tests;
mod window_function;
mod window_join;

pub use function::{JoinContext, ProcessJoinFunction};
pub use interval_join::{IntervalJoin, IntervalJoined};
pub use tagged_union::{TaggedUnion, UnionKeySelector};
pub use window_function::{CoGroupFunction, FlatJoinFunction, JoinFunction};
pub use window_join::{CoGroup, CoGroupedStreams, EqualTo, Join, JoinedStreams, Where, Windowless, WithWindow};
