//! A record of one of two streams, and the key of either.

use crate::key_selector::KeySelector;
use brisk_core::types::{Key, Record};
use std::borrow::Cow;

/// A record of the first or of the second stream, as triggers, evictors and late data of a join see it (Flink's `TaggedUnion`).
#[derive(Clone, PartialEq, Debug, Record)]
pub enum TaggedUnion<A, B> {
    /// Of the first stream.
    First(A),
    /// Of the second stream.
    Second(B),
}

impl<A, B> TaggedUnion<A, B> {
    /// The records of either stream, in order.
    pub(crate) fn split(records: Vec<Self>) -> (Vec<A>, Vec<B>) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for record in records {
            match record {
                Self::First(record) => first.push(record),
                Self::Second(record) => second.push(record),
            }
        }
        (first, second)
    }
}

/// The keys of both streams.
#[derive(Clone, Debug)]
pub(crate) struct EitherKey<F, G> {
    /// Finds the key of a record of the first stream.
    pub(crate) first: F,
    /// Finds the key of a record of the second stream.
    pub(crate) second: G,
}

impl<A, B, K, F, G> KeySelector<TaggedUnion<A, B>> for EitherKey<F, G>
where
    K: Key,
    F: Fn(&A) -> K + Clone + Send + Sync + 'static,
    G: Fn(&B) -> K + Clone + Send + Sync + 'static,
{
    type Key = K;

    fn key<'a>(&self, record: &'a TaggedUnion<A, B>) -> Cow<'a, K> {
        Cow::Owned(match record {
            TaggedUnion::First(record) => (self.first)(record),
            TaggedUnion::Second(record) => (self.second)(record),
        })
    }
}
