//! Keys: the ordered encoding sorts as the values do and comes back.

use super::*;
use brisk_base::{ErrorKind, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A key of one field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]
struct Id(u8);

fn ordered(key: &impl Key) -> Vec<u8> {
    let mut out = Vec::new();
    key.encode_ordered(&mut out);
    out
}

fn sorts<K: Key>(a: &K, b: &K) {
    let (left, right) = (ordered(a), ordered(b));
    assert_eq!(left.cmp(&right), a.cmp(b), "{a:?} {b:?}: {left:?} {right:?}");
    if a != b {
        assert!(!right.starts_with(&left), "{a:?} begins {b:?}");
    }
    assert_eq!(a == b, a.key_hash() == b.key_hash(), "{a:?} {b:?}");
    let followed: Vec<u8> = left.iter().copied().chain([0, 1, 0xFF]).collect();
    let mut input = Decoder::new(&followed);
    assert_eq!(K::decode_ordered(&mut input).expect("own bytes"), *a);
    assert_eq!(input.remaining(), 3);
    let mut input = Decoder::new(&followed);
    K::schema().skip_ordered(&mut input).expect("own bytes");
    assert_eq!(input.remaining(), 3, "the schema alone says where {a:?} ends");
}

fn takes_anything<K: Key>(bytes: &[u8]) {
    let mut input = Decoder::new(bytes);
    match K::decode_ordered(&mut input) {
        Ok(key) => assert_eq!(K::decode_ordered(&mut Decoder::new(&ordered(&key))).expect("own bytes"), key),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
    }
}

macro_rules! keys {
    ($($name:ident: $type:ty = $strategy:expr;)*) => {
        proptest! {
            $(#[test]
            fn $name(a in $strategy, b in $strategy) {
                let (a, b): ($type, $type) = (a, b);
                sorts(&a, &b);
                sorts(&a, &a.clone());
            })*
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(2000))]
            #[test]
            fn any_bytes_are_a_key_or_corrupt(
                bytes in proptest::collection::vec(prop_oneof![3 => 0u8..4, 1 => Just(255u8), 1 => any::<u8>()], 0..40)
            ) {
                $(takes_anything::<$type>(&bytes);)*
            }
        }
    };
}

/// Text of few characters, so that beginnings are shared and zeros occur.
fn text() -> impl Strategy<Value = String> {
    "[\0\u{1}aé\u{ff}]{0,4}"
}

keys! {
    unsigned: (u8, u16, u32) = any::<(u8, u16, u32)>();
    unsigned_large: (u64, u128, usize) = any::<(u64, u128, usize)>();
    signed: i64 = prop_oneof![any::<i64>(), -3i64..4];
    signed_small: (i8, i16, i32) = any::<(i8, i16, i32)>();
    signed_large: (i128, isize) = any::<(i128, isize)>();
    strings: String = text();
    shared_strings: (Arc<str>, Box<str>) = (text(), text()).prop_map(|(a, b)| (a.into(), b.into()));
    byte_strings: Vec<u8> = proptest::collection::vec(prop_oneof![Just(0u8), Just(255u8), any::<u8>()], 0..4);
    flags_and_characters: (bool, char) = any::<(bool, char)>();
    options: Option<Option<i8>> = proptest::option::of(proptest::option::of(-2i8..3)).prop_filter("hashes agree for all nulls", |key| *key != Some(None));
    tuples: (String, i16, String) = (text(), -2i16..2, text());
    lists: Vec<i8> = proptest::collection::vec(-2i8..2, 0..4);
    lists_of_lists: Vec<Vec<String>> = proptest::collection::vec(proptest::collection::vec(text(), 0..3), 0..3);
    arrays: [u8; 3] = any::<[u8; 3]>();
    sets: BTreeSet<u8> = proptest::collection::btree_set(0u8..4, 0..4);
    maps: BTreeMap<u8, String> = proptest::collection::btree_map(0u8..4, text(), 0..3);
    times: (Timestamp, Duration) = (any::<i64>(), any::<Duration>()).prop_map(|(t, d)| (Timestamp(t), d));
    derived_enums: Kind = kind();
    derived_structs: Event = event();
    derived_generics: Pair<u8, 2> = any::<(u8, [u8; 2])>().prop_map(|(first, rest)| Pair { first, rest });
}

#[test]
fn ordered_bytes_are_as_documented() {
    assert_eq!(ordered(&-1i16), [0x7F, 0xFF]);
    assert_eq!(ordered(&258u32), [0, 0, 1, 2]);
    assert_eq!(ordered(&"a\0b".to_owned()), [b'a', 0, 255, b'b', 0, 0]);
    assert_eq!(ordered(&vec![7u16]), [1, 0, 7, 0]);
    assert_eq!(ordered(&Some(3u8)), [1, 3]);
    assert_eq!(ordered(&Kind::Start), [0]);
    let mut out = Vec::new();
    for tag in [254, 255, 70_000] {
        put_ordered_tag(&mut out, tag);
    }
    assert_eq!(out, [254, 255, 0, 0, 0, 255, 255, 0, 1, 17, 112]);
    let mut input = Decoder::new(&out);
    for tag in [254, 255, 70_000] {
        assert_eq!(input.ordered_tag().expect("own bytes"), tag);
    }
}

#[test]
fn derived_hashes_are_those_of_the_logical_value() {
    assert_eq!(Pair { first: 1u16, rest: [2] }.key_hash(), (1i64, 2i64).key_hash());
    assert_eq!(Id(9).key_hash(), 9i64.key_hash());
    assert_eq!(Point(3, -4).key_hash(), (3i32, -4i64).key_hash());
    assert_eq!(Kind::Start.key_hash(), "Start".to_owned().key_hash());
    assert_eq!(Kind::Stop(1, "x".into()).key_hash(), ("Stop".to_owned(), 1u8, "x".to_owned()).key_hash());
    assert_eq!(Marker.key_hash(), ().key_hash());
}
