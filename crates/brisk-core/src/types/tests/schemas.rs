//! Schemas: what they show, and their own codec.

use super::*;
use brisk_base::{Millis, Timestamp};
use std::collections::HashMap;

#[test]
fn schemas_read_like_types() {
    for (schema, expected) in [
        (<(u8, i128, usize)>::schema(), "(u8, i128, u64)"),
        (Vec::<u8>::schema(), "bytes"),
        (Vec::<Option<f32>>::schema(), "list<option<f32>>"),
        (<[bool; 3]>::schema(), "[bool; 3]"),
        (HashMap::<String, (Timestamp, Millis)>::schema(), "map<string, (timestamp, millis)>"),
        (<()>::schema(), "()"),
        (Box::<char>::schema(), "char"),
        (<Result<std::time::Duration, String>>::schema(), "enum Result { Ok { 0: duration }, Err { 0: string } }"),
        (Marker::schema(), "struct Marker"),
        (Pair::<u8, 2>::schema(), "struct Pair { first: u8, rest: [u8; 2] }"),
        (Tree::schema(), "struct Tree { value: u32, children: list<Tree>, by_name: map<string, Tree> }"),
        (
            Kind::schema(),
            "enum EventKind { Start, Stop { 0: i64, 1: string }, \
             Shift { by: struct Point { 0: i16, 1: i16 }, reason: option<EventKind> } }",
        ),
    ] {
        assert_eq!(schema.to_string(), expected);
    }
    assert!(
        Event::schema().to_string().starts_with("struct Event { id: u64, delay: i32, tag: option<string> = default, kind: enum EventKind")
    );
    assert!(Event::schema().to_string().ends_with("type: (bool, char) }"));
}

#[test]
fn schemas_survive_their_codec() {
    for schema in
        [Event::schema(), Tree::schema(), <(f64, Timestamp, Vec<u8>, ())>::schema(), Schema::schema(), <Result<u8, [i8; 4]>>::schema()]
    {
        let mut bytes = Vec::new();
        schema.encode(&mut bytes);
        let mut input = Decoder::new(&bytes);
        assert_eq!(Schema::decode(&mut input).expect("own bytes"), schema);
        input.finish().expect("all read");
    }
}

#[test]
fn a_panic_while_making_a_schema_leaves_no_trace() {
    struct Fragile;
    let broken = std::panic::catch_unwind(|| named::<Fragile>("Fragile", |_| panic!("on purpose")));
    assert!(broken.is_err());
    assert_eq!(named::<Fragile>("Fragile", |name| Schema::Opaque { name }).to_string(), "opaque Fragile");
}
