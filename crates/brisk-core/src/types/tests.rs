//! Tests of records and keys over all built-in types and over derived ones.

mod encoding;
mod evolution;
#[cfg(feature = "serde")]
mod foreign;
mod hashing;
mod ordering;
mod schemas;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A struct of most kinds of fields.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]
pub(super) struct Event {
    id: u64,
    delay: i32,
    #[record(default)]
    tag: Option<String>,
    kind: Kind,
    path: Vec<Point>,
    r#type: (bool, char),
}

/// An enum of every shape of variant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]
#[record(name = "EventKind")]
pub(super) enum Kind {
    Start,
    Stop(i64, String),
    #[record(name = "Shift")]
    Move {
        by: Point,
        reason: Box<Option<Kind>>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]
pub(super) struct Point(i16, i16);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]
pub(super) struct Marker;

/// Generic over type and number, with a bound of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]
pub(super) struct Pair<T: Copy, const N: usize>
where
    T: Ord,
{
    first: T,
    rest: [T; N],
}

/// Contains itself.
#[derive(Clone, PartialEq, Debug, Record)]
pub(super) struct Tree {
    value: u32,
    children: Vec<Tree>,
    by_name: BTreeMap<String, Tree>,
}

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![Just(Kind::Start), (any::<i64>(), ".{0,5}").prop_map(|(a, b)| Kind::Stop(a, b))];
    leaf.prop_recursive(3, 8, 1, |inner| {
        (point(), proptest::option::of(inner)).prop_map(|(by, reason)| Kind::Move { by, reason: Box::new(reason) })
    })
}

fn point() -> impl Strategy<Value = Point> {
    any::<(i16, i16)>().prop_map(|(x, y)| Point(x, y))
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let path = proptest::collection::vec(point(), 0..4);
    (any::<u64>(), any::<i32>(), proptest::option::of(".{0,5}"), kind(), path, any::<(bool, char)>())
        .prop_map(|(id, delay, tag, kind, path, r#type)| Event { id, delay, tag, kind, path, r#type })
}

pub(super) fn tree() -> impl Strategy<Value = Tree> {
    let leaf = any::<u32>().prop_map(|value| Tree { value, children: vec![], by_name: BTreeMap::new() });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let children = proptest::collection::vec(inner.clone(), 0..3);
        (any::<u32>(), children, proptest::collection::btree_map("[a-c]{0,2}", inner, 0..3)).prop_map(|(value, children, by_name)| Tree {
            value,
            children,
            by_name,
        })
    })
}
