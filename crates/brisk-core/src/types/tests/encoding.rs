//! The codec: round trips, the documented bytes, and refusal of damaged ones.

use super::*;
use brisk_base::{ErrorKind, Millis, Result, Timestamp};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

fn encoded(value: &impl Record) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fn decoded<T: Record>(bytes: &[u8]) -> Result<T> {
    let mut input = Decoder::new(bytes);
    let value = T::decode(&mut input)?;
    input.finish().map(|()| value)
}

/// The value survives; a prefix of its bytes never passes for it; a flipped bit is no value or another one.
fn survives<T: Record + PartialEq + Debug>(value: &T) {
    let bytes = encoded(value);
    assert_eq!(decoded::<T>(&bytes).expect("own bytes"), *value);
    for len in 0..bytes.len() {
        let error = decoded::<T>(&bytes[..len]).expect_err("a part is not the whole");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    let mut damaged = bytes;
    for bit in 0..damaged.len().min(200) * 8 {
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Err(error) = decoded::<T>(&damaged) {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Whatever the bytes, they are a value that survives or a corrupt one.
fn takes_anything<T: Record>(bytes: &[u8]) {
    let mut input = Decoder::new(bytes);
    match T::decode(&mut input) {
        Ok(value) => {
            let (again, _) = (encoded(&value), value.heap_bytes());
            assert!(decoded::<T>(&again).is_ok());
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
    }
}

macro_rules! round_trips {
    ($($name:ident: $type:ty = $strategy:expr;)*) => {
        proptest! {
            $(#[test]
            fn $name(value in $strategy) {
                let value: $type = value;
                survives(&value);
            })*
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(2000))]
            #[test]
            fn any_bytes_are_a_value_or_corrupt(
                bytes in proptest::collection::vec(prop_oneof![3 => 0u8..4, 1 => any::<u8>()], 0..48)
            ) {
                $(takes_anything::<$type>(&bytes);)*
                takes_anything::<Schema>(&bytes);
            }
        }
    };
}

round_trips! {
    small_integers: (u8, i8, u16, i16, u32, i32) = any::<(u8, i8, u16, i16, u32, i32)>();
    large_integers: (u64, i64, u128, i128, usize, isize) = any::<(u64, i64, u128, i128, usize, isize)>();
    characters_and_flags: Vec<(char, bool)> = proptest::collection::vec(any::<(char, bool)>(), 0..5);
    texts: (String, Box<str>, Arc<str>) = (".{0,9}", ".{0,9}", ".{0,9}").prop_map(|(a, b, c)| (a, b.into(), c.into()));
    bytes: Vec<u8> = proptest::collection::vec(any::<u8>(), 0..300);
    floats: Vec<(f32, f64)> = proptest::collection::vec(any::<(f32, f64)>(), 0..4);
    times: (Timestamp, Millis, Duration) = (any::<i64>(), any::<i64>(), any::<Duration>()).prop_map(|(t, m, d)| (Timestamp(t), Millis(m), d));
    options: Option<Option<Box<i32>>> = proptest::option::of(proptest::option::of(any::<i32>().prop_map(Box::new)));
    results: std::result::Result<u8, String> = prop_oneof![any::<u8>().prop_map(Ok), ".{0,3}".prop_map(Err)];
    arrays: [Option<u16>; 3] = any::<[Option<u16>; 3]>();
    nested_lists: Vec<Vec<String>> = proptest::collection::vec(proptest::collection::vec(".{0,3}", 0..3), 0..3);
    deques: VecDeque<u32> = proptest::collection::vec_deque(any::<u32>(), 0..9);
    units: (Vec<()>, Option<()>, [(); 2]) = (0usize..300, any::<Option<()>>()).prop_map(|(n, o)| (vec![(); n], o, [(); 2]));
    sets: (BTreeSet<u16>, HashSet<String>) =
        (proptest::collection::btree_set(any::<u16>(), 0..5), proptest::collection::hash_set(".{0,3}", 0..5));
    maps: (BTreeMap<i8, String>, HashMap<u64, Vec<u8>>) = (
        proptest::collection::btree_map(any::<i8>(), ".{0,3}", 0..5),
        proptest::collection::hash_map(any::<u64>(), proptest::collection::vec(any::<u8>(), 0..3), 0..5)
    );
    wide_tuples: (u8, u8, u8, u8, u8, u8, u8, String) = (any::<[u8; 7]>(), ".{0,3}").prop_map(|([a, b, c, d, e, f, g], h)| (a, b, c, d, e, f, g, h));
    derived_structs: Event = event();
    derived_enums: Kind = kind();
    derived_unit_structs: Vec<Marker> = (0usize..5).prop_map(|n| vec![Marker; n]);
    derived_generics: Pair<i64, 2> = any::<(i64, [i64; 2])>().prop_map(|(first, rest)| Pair { first, rest });
    derived_recursions: Tree = tree();
}

/// One row of the table at `Record`: a value and its bytes.
fn is(value: impl Record, bytes: &[u8]) {
    assert_eq!(encoded(&value), bytes);
}

#[test]
fn bytes_are_as_documented() {
    is(300u16, &[0xAC, 0x02]);
    is(127u64, &[0x7F]);
    is(u64::MAX, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]);
    is(-1i32, &[1]);
    is(Timestamp(64), &[0x80, 0x01]);
    is(-2i8, &[0xFE]);
    is(1u128, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    is(1.0f64, &[0, 0, 0, 0, 0, 0, 0xF0, 0x3F]);
    is('é', &[0xE9, 0x01]);
    is("é".to_owned(), &[2, 0xC3, 0xA9]);
    is(vec![1u8, 2], &[2, 1, 2]);
    is(vec![1u16, 300], &[2, 1, 0xAC, 0x02]);
    is(vec![(); 3], &[3, 0, 0, 0]);
    is((true, None::<u8>, Some(7u8)), &[1, 0, 1, 7]);
    is(BTreeMap::from([(1u8, 2u8), (3, 4)]), &[2, 1, 2, 3, 4]);
    is(Kind::Stop(-3, "x".into()), &[1, 5, 1, b'x']);
    is(Marker, &[]);
    is(Duration::from_millis(1500), &[1, 0x80, 0xCA, 0xB5, 0xEE, 0x01]);
}

fn refusal<T: Record + Debug>(bytes: &[u8]) -> String {
    decoded::<T>(bytes).expect_err("damaged").to_string()
}

#[test]
fn refusals_say_what_and_where() {
    for (message, expected) in [
        (refusal::<u32>(&[0x80]), "1 bytes expected, 0 left (at byte 1 of 1)"),
        (refusal::<u64>(&[0x80, 0x00]), "a number is not in its shortest form (at byte 2 of 2)"),
        (refusal::<u64>(&[0xFF; 10]), "a number has more than 64 bits (at byte 10 of 10)"),
        (refusal::<u16>(&[0x80, 0x80, 0x04]), "the number 65536 does not fit the field's type (at byte 3 of 3)"),
        (refusal::<bool>(&[2]), "0 or 1 expected, found 2 (at byte 1 of 1)"),
        (refusal::<String>(&[1, 0xFF]), "a string is not valid UTF-8 (at byte 2 of 2)"),
        (refusal::<char>(&[0x80, 0xB0, 0x03]), "55296 is no Unicode character (at byte 3 of 3)"),
        (refusal::<Vec<u64>>(&[9, 1]), "a length of 9 exceeds the 1 bytes that are left (at byte 1 of 2)"),
        (refusal::<Vec<()>>(&[1, 1]), "the padding of a list is not zero (at byte 2 of 2)"),
        (refusal::<HashSet<u8>>(&[2, 5, 5]), "a set or map announces 2 entries but has only 1 different ones (at byte 3 of 3)"),
        (refusal::<Kind>(&[3]), "enum EventKind has no variant 3 (at byte 1 of 1)"),
        (refusal::<u8>(&[1, 2]), "1 bytes are left after the value (at byte 1 of 2)"),
        (
            refusal::<Duration>(&[0, 0x80, 0x94, 0xEB, 0xDC, 0x03]),
            "a duration has 1000000000 nanoseconds beside its seconds (at byte 6 of 6)",
        ),
    ] {
        assert_eq!(message, format!("damaged record: {expected}"));
    }
}

#[test]
fn a_huge_count_costs_no_memory() {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, u64::MAX >> 1);
    bytes.resize(1000, 0);
    assert!(refusal::<Vec<[u64; 1000]>>(&bytes).contains("exceeds the 991 bytes"));
    assert!(refusal::<Vec<()>>(&bytes).contains("exceeds the 991 bytes"));
    assert!(refusal::<HashMap<u64, u64>>(&bytes).contains("exceeds the 991 bytes"));
}

#[test]
fn hostile_depth_is_refused_before_the_stack_ends() {
    let deep_tree = [0, 1].repeat(100_000);
    assert!(refusal::<Tree>(&deep_tree).contains("nest deeper than 200 levels"));
    let deep_kind = [2, 0, 0, 1].repeat(100_000);
    assert!(refusal::<Kind>(&deep_kind).contains("nest deeper than 200 levels"));
    assert!(refusal::<Schema>(&[10; 100_000]).contains("nest deeper than 200 levels"));
}

#[test]
fn heap_bytes_counts_what_is_outside() {
    assert_eq!(7u64.heap_bytes(), 0);
    assert_eq!((1u8, String::with_capacity(10)).heap_bytes(), 10);
    assert_eq!(vec![String::with_capacity(10), String::with_capacity(5)].heap_bytes(), 2 * size_of::<String>() + 15);
    let kind = Kind::Move { by: Point(0, 0), reason: Box::new(Some(Kind::Stop(0, String::with_capacity(9)))) };
    assert_eq!(kind.heap_bytes(), size_of::<Option<Kind>>() + 9);
}

/// A type without a codec of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Foreign(u8);

/// The codec it is given.
mod foreign {
    use super::Foreign;
    use crate::types::{Decoder, Key, Record, Schema};
    use brisk_base::Result;

    pub(super) fn encode(value: &Foreign, out: &mut Vec<u8>) {
        out.push(!value.0);
    }

    pub(super) fn decode(input: &mut Decoder<'_>) -> Result<Foreign> {
        Ok(Foreign(!input.byte()?))
    }

    pub(super) fn schema() -> Schema {
        <u8 as Record>::schema()
    }

    pub(super) fn key_hash(value: &Foreign) -> u64 {
        value.0.key_hash()
    }

    pub(super) fn encode_ordered(value: &Foreign, out: &mut Vec<u8>) {
        value.0.encode_ordered(out);
    }

    pub(super) fn decode_ordered(input: &mut Decoder<'_>) -> Result<Foreign> {
        u8::decode_ordered(input).map(Foreign)
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]
struct WithForeign {
    #[record(with = foreign)]
    own: Foreign,
    text: String,
}

#[test]
fn a_module_can_be_the_codec_of_a_field() {
    let value = WithForeign { own: Foreign(5), text: "a".into() };
    is(value.clone(), &[250, 1, b'a']);
    survives(&value);
    assert_eq!(WithForeign::schema().to_string(), "struct WithForeign { own: u8, text: string }");
    assert_eq!(value.key_hash(), (5u8, "a".to_owned()).key_hash());
}
