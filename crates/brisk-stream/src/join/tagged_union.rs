//! Records of two streams in one, so that one window operator can take both.

use crate::key_selector::KeySelector;
use brisk_core::types::Record;
use std::borrow::Cow;

/// A record of one of two streams, as triggers, evictors and late data of window joins see it (Flink's `TaggedUnion`).
#[derive(Clone, PartialEq, Debug, Record)]
pub enum TaggedUnion<A, B> {
    /// A record of the first stream.
    One(A),
    /// A record of the second stream.
    Two(B),
}

/// Finds the key of a record of either stream.
#[derive(Clone, Debug)]
pub struct UnionKeySelector<S1, S2> {
    /// For the first stream.
    pub(super) first: S1,
    /// For the second stream.
    pub(super) second: S2,
}

impl<A, B, S1, S2> KeySelector<TaggedUnion<A, B>> for UnionKeySelector<S1, S2>
where
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
{
    type Key = S1::Key;

    #[inline]
    fn key<'a>(&self, value: &'a TaggedUnion<A, B>) -> Cow<'a, S1::Key> {
        match value {
            TaggedUnion::One(value) => self.first.key(value),
            TaggedUnion::Two(value) => self.second.key(value),
        }
    }
}
