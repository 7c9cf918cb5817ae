//! Joins of two streams: in windows ([`join`](crate::DataStream::join), [`co_group`](crate::DataStream::co_group)), and by intervals of
//! time around each record ([`interval_join`](crate::KeyedStream::interval_join)).
//!
//! Source for names and semantics: Flink, "Joining".

mod co_grouped_streams;
mod interval_join;
mod interval_operator;
mod joined_streams;
mod tagged_union;

pub use co_grouped_streams::{CoGroupedStreams, CoGroupedWhere, CoGroupedWindows, CoGroupedWithKeys};
pub use interval_join::{IntervalJoin, IntervalJoined};
pub use interval_operator::{JoinContext, ProcessJoinFunction};
pub use joined_streams::{JoinedStreams, JoinedWhere, JoinedWindows, JoinedWithKeys};
pub use tagged_union::TaggedUnion;
