//! Compares answers with those of a real Flink: the same fields, with values of the same type.

use serde_json::Value;
use std::path::Path;

/// What Flink answered to a request: status and body.
pub(crate) fn captured(name: &str) -> (u16, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flink-2.3").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let capture: Value = serde_json::from_str(&text).expect("captures are JSON");
    (capture["status"].as_u64().expect("it has a status") as u16, capture["response"].clone())
}

/// Checks an answer against Flink's.
pub(crate) fn assert_like_flink(name: &str, status: u16, body: &Value) {
    let (expected_status, expected) = captured(name);
    assert_eq!(status, expected_status, "{name}: {body}");
    let mut found = Vec::new();
    compare("", &expected, body, &mut found);
    assert!(found.is_empty(), "{name}:\n{}\nin {body}", found.join("\n"));
}

fn compare(place: &str, flink: &Value, brisk: &Value, found: &mut Vec<String>) {
    match (flink, brisk) {
        (Value::Object(flink), Value::Object(brisk)) => {
            if let (true, Some(value), Some(other)) = (flink.keys().all(|key| is_id(key)), flink.values().next(), brisk.values().next()) {
                return compare(&format!("{place}.<id>"), value, other, found);
            }
            for (key, value) in flink {
                match brisk.get(key) {
                    Some(other) => compare(&format!("{place}.{key}"), value, other, found),
                    None => found.push(format!("{place}.{key} is missing")),
                }
            }
            let extra = brisk.keys().filter(|key| !flink.contains_key(*key));
            found.extend(extra.map(|key| format!("{place}.{key} is not Flink's")));
        }
        (Value::Array(flink), Value::Array(brisk)) => {
            if let (Some(value), Some(other)) = (flink.first(), brisk.first()) {
                compare(&format!("{place}[]"), value, other, found);
            }
        }
        // What is not there in one of them says nothing of its type.
        (Value::Null, _) | (_, Value::Null) => {}
        _ if type_name(flink) == type_name(brisk) => {}
        _ => found.push(format!("{place} is {} ({brisk}), in Flink {} ({flink})", type_name(brisk), type_name(flink))),
    }
}

fn is_id(key: &str) -> bool {
    key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "a whole number",
        // Flink's way to write a decimal number that does not exist.
        Value::String(text) if text == "NaN" => "a decimal number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[test]
fn differences_are_found() {
    let flink = serde_json::json!({"a": 1, "b": [{"c": "NaN"}], "00000000000000000000000000000000": 1});
    let mut found = Vec::new();
    compare("", &flink, &serde_json::json!({"a": 1.5, "b": [{"c": 2.0, "d": 1}]}), &mut found);
    let expected = [
        ".00000000000000000000000000000000 is missing",
        ".a is a decimal number (1.5), in Flink a whole number (1)",
        ".b[].d is not Flink's",
    ];
    assert_eq!(found, expected);
}
