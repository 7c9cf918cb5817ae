//! Older bytes read as newer types.

use super::*;
use std::collections::BTreeMap;

fn bytes<T: Record>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// The value of a newer type that becomes of one of an older.
fn evolved<Old: Record, New: Record>(old: &Old) -> New {
    let evolution = Evolution::plan(&Old::schema(), &New::schema()).expect("it can become the new type");
    let bytes = evolution.map_or_else(|| bytes(old), |evolution| evolution.convert(&bytes(old)).expect("the bytes are good"));
    let mut input = Decoder::new(&bytes);
    let value = New::decode(&mut input).expect("the bytes are the new type's");
    input.finish().expect("all read");
    value
}

fn refused<Old: Record, New: Record>() -> String {
    Evolution::plan(&Old::schema(), &New::schema()).expect_err("it cannot become the new type")
}

mod before {
    use super::*;

    #[derive(Clone, PartialEq, Debug, Record)]
    pub(super) struct Order {
        pub(super) id: u32,
        pub(super) gone: Vec<Option<String>>,
        pub(super) price: f32,
        pub(super) items: Vec<Item>,
        pub(super) state: State,
    }

    #[derive(Clone, PartialEq, Debug, Record)]
    pub(super) struct Item {
        pub(super) name: String,
        pub(super) count: u8,
    }

    #[derive(Clone, PartialEq, Debug, Record)]
    pub(super) enum State {
        Open,
        Sent { at: i32, by: String },
    }

    #[derive(Clone, PartialEq, Debug, Record)]
    pub(super) struct Tree {
        pub(super) value: u16,
        pub(super) children: Vec<Tree>,
        pub(super) gone: Option<Box<Tree>>,
    }
}

mod after {
    use super::*;

    #[derive(Clone, PartialEq, Debug, Record)]
    pub(super) struct Purchase {
        pub(super) state: State,
        #[record(default)]
        pub(super) tags: BTreeMap<String, u64>,
        pub(super) id: i64,
        pub(super) price: Option<f64>,
        pub(super) items: Vec<Item>,
        #[record(default)]
        pub(super) note: String,
    }

    #[derive(Clone, PartialEq, Debug, Record)]
    pub(super) struct Item {
        pub(super) count: u128,
        pub(super) name: String,
    }

    #[derive(Clone, PartialEq, Debug, Record)]
    pub(super) enum State {
        Cancelled,
        Sent { by: String, at: i64 },
        Open,
    }

    #[derive(Clone, PartialEq, Debug, Record)]
    pub(super) struct Tree {
        pub(super) children: Vec<Tree>,
        pub(super) value: u64,
        #[record(default)]
        pub(super) label: String,
    }
}

#[test]
fn fields_and_variants_are_matched_by_name() {
    let item = |name: &str, count| before::Item { name: name.to_owned(), count };
    let old = before::Order {
        id: u32::MAX,
        gone: vec![None, Some("x".to_owned())],
        price: 1.5,
        items: vec![item("a", 255), item("", 0)],
        state: before::State::Sent { at: -3, by: "me".to_owned() },
    };
    let item = |name: &str, count| after::Item { name: name.to_owned(), count };
    let expected = after::Purchase {
        state: after::State::Sent { by: "me".to_owned(), at: -3 },
        tags: BTreeMap::new(),
        id: i64::from(u32::MAX),
        price: Some(1.5),
        items: vec![item("a", 255), item("", 0)],
        note: String::new(),
    };
    assert_eq!(evolved::<_, after::Purchase>(&old), expected);
    assert_eq!(evolved::<_, after::State>(&before::State::Open), after::State::Open);
}

#[test]
fn types_that_contain_themselves_are_followed() {
    let leaf = |value| before::Tree { value, children: vec![], gone: None };
    let old = before::Tree { value: 1, children: vec![leaf(2), leaf(300)], gone: Some(Box::new(leaf(9))) };
    let leaf = |value| after::Tree { value, children: vec![], label: String::new() };
    assert_eq!(evolved::<_, after::Tree>(&old), after::Tree { value: 1, children: vec![leaf(2), leaf(300)], label: String::new() });
}

#[test]
fn what_is_dropped_may_contain_the_renamed_type_itself() {
    #[derive(Clone, PartialEq, Debug, Record)]
    struct Plant {
        value: u16,
        children: Vec<Plant>,
    }
    let leaf = |value| before::Tree { value, children: vec![], gone: None };
    let old =
        before::Tree { value: 1, children: vec![leaf(2)], gone: Some(Box::new(before::Tree { gone: Some(Box::new(leaf(7))), ..leaf(9) })) };
    assert_eq!(evolved::<_, Plant>(&old), Plant { value: 1, children: vec![Plant { value: 2, children: vec![] }] });
}

proptest! {
    #[test]
    fn any_value_becomes_the_same_as_field_by_field(
        id in any::<u32>(), price in any::<f32>(), at in any::<i32>(), by in ".{0,9}",
        items in proptest::collection::vec((".{0,5}", any::<u8>()), 0..6), gone in proptest::collection::vec(any::<Option<String>>(), 0..4),
    ) {
        let old = before::Order {
            id,
            gone,
            price,
            items: items.iter().map(|(name, count)| before::Item { name: name.clone(), count: *count }).collect(),
            state: before::State::Sent { at, by: by.clone() },
        };
        let new = evolved::<_, after::Purchase>(&old);
        prop_assert_eq!(new.id, i64::from(id));
        prop_assert_eq!(new.price.map(f64::to_bits), Some(f64::from(price).to_bits()));
        prop_assert_eq!(new.state, after::State::Sent { by, at: i64::from(at) });
        let items: Vec<after::Item> = items.into_iter().map(|(name, count)| after::Item { name, count: u128::from(count) }).collect();
        prop_assert_eq!(new.items, items);
        prop_assert!(new.tags.is_empty() && new.note.is_empty());
    }

    #[test]
    fn any_bytes_are_converted_or_corrupt(bytes in proptest::collection::vec(prop_oneof![3 => 0u8..4, 1 => any::<u8>()], 0..60)) {
        for (old, new) in [(before::Order::schema(), after::Purchase::schema()), (before::Tree::schema(), after::Tree::schema())] {
            let evolution = Evolution::plan(&old, &new).expect("it can become the new type").expect("it changes");
            if let Err(error) = evolution.convert(&bytes) {
                prop_assert_eq!(error.kind(), brisk_base::ErrorKind::Corrupt);
            }
        }
    }
}

#[test]
fn equal_bytes_need_no_evolution() {
    #[derive(Clone, Record)]
    struct Renamed {
        name: String,
        count: u8,
    }
    assert!(Evolution::plan(&before::Item::schema(), &Renamed::schema()).expect("it fits").is_none());
    assert!(Evolution::plan(&Tree::schema(), &Tree::schema()).expect("it fits").is_none());
    // Only the program can read a schema.
    assert!(Evolution::plan(&Schema::schema(), &Schema::schema()).expect("it fits").is_none());
}

#[test]
fn numbers_only_become_wider() {
    assert_eq!(evolved::<u8, i16>(&255), 255);
    assert_eq!(evolved::<i8, i64>(&-128), -128);
    assert_eq!(evolved::<u64, i128>(&u64::MAX), i128::from(u64::MAX));
    assert_eq!(evolved::<i64, i128>(&i64::MIN), i128::from(i64::MIN));
    assert_eq!(evolved::<Vec<((), u16)>, Vec<((), u32)>>(&vec![((), 7)]), vec![((), 7)]);
    assert_eq!(evolved::<Vec<()>, Vec<Option<()>>>(&vec![(), ()]), vec![Some(()), Some(())]);
    assert_eq!(refused::<i64, i32>(), "it was i64 and is i32");
    assert_eq!(refused::<i32, u64>(), "it was i32 and is u64");
    assert_eq!(refused::<u64, i64>(), "it was u64 and is i64");
    assert_eq!(refused::<f64, f32>(), "it was f64 and is f32");
    assert_eq!(refused::<Option<u8>, u8>(), "it was option<u8> and is u8");
}

#[test]
fn what_cannot_be_is_named() {
    #[derive(Clone, Record)]
    struct NoDefault {
        name: String,
        count: u8,
        extra: u8,
    }
    #[derive(Clone, Record)]
    struct OtherType {
        name: u64,
    }
    #[derive(Clone, Record)]
    enum Fewer {
        Open,
    }
    assert_eq!(
        refused::<before::Item, NoDefault>(),
        "field 'extra' of struct NoDefault is new and has no default: mark it with #[record(default)]"
    );
    assert_eq!(refused::<Vec<before::Item>, Vec<OtherType>>(), "field 'name' of struct OtherType: it was string and is u64");
    assert_eq!(refused::<before::State, Fewer>(), "variant 'Sent' of enum Fewer is gone");
}
