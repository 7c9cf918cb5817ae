//! What is written is read again; errors say where.

use super::*;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_schema::{Field, Schema, TimeUnit};
use brisk_core::batch::RowKind;
use std::collections::BTreeMap;
use std::sync::Arc;

fn table(options: &[(&str, &str)]) -> TableDeclaration {
    let fields = [
        ("n", DataType::Int64),
        ("s", DataType::Utf8),
        ("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("d", DataType::Decimal128(10, 2)),
        ("day", DataType::Date32),
        ("b", DataType::Boolean),
        ("f", DataType::Float64),
    ];
    let schema = Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec());
    let options: BTreeMap<_, _> = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    TableDeclaration { name: "orders".to_owned(), schema: Arc::new(schema), options, partitions: Vec::new() }
}

fn format(options: &[(&str, &str)]) -> TableFormat {
    let table = table(options);
    TableFormat::of(&table, &table.options()).expect("good options")
}

fn read(format: &TableFormat, text: &str) -> Result<Vec<Columns>> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.json");
    std::fs::write(&path, text).expect("written");
    let mut reader = format.open(&FileInput::new(path), &table(&[]).schema, None)?;
    let mut batches = Vec::new();
    while let Some(batch) = reader.read(3)? {
        batches.push(batch);
    }
    Ok(batches)
}

fn written(format: &TableFormat, batches: &[Columns]) -> String {
    let encoder = format.encoder(&table(&[]).schema).expect("fits");
    let mut bytes = Vec::new();
    batches.iter().for_each(|batch| encoder.encode(batch, &mut bytes).expect("can be written"));
    String::from_utf8(bytes).expect("UTF-8")
}

const ROWS: &str = r#"{"n":-7,"s":"a,\"b\"\n\u0001ü","t":"2015-07-15 00:00:00.004","d":-1.50,"day":"1969-12-31","b":true,"f":1e21}
{"n":null,"s":null,"t":null,"d":null,"day":null,"b":null,"f":null}
{"n":1,"s":"","t":"2015-07-15 00:00:00","d":0.05,"day":"2024-02-29","b":false,"f":0.1}
"#;

#[test]
fn rows_come_back_in_every_format() {
    let json = format(&[("format", "json")]);
    let rows = read(&json, ROWS).expect("good rows");
    assert_eq!(written(&json, &rows), ROWS);
    let iso = format(&[("format", "json"), ("json.timestamp-format.standard", "ISO-8601")]);
    let text = written(&iso, &rows);
    assert!(text.contains("\"2015-07-15T00:00:00.004\""), "{text}");
    assert_eq!(written(&json, &read(&iso, &text).expect("good rows")), ROWS);
    // Null and the empty text are told apart by the literal alone.
    let csv = format(&[("format", "csv"), ("csv.null-literal", "NULL"), ("csv.field-delimiter", ";")]);
    let text = written(&csv, &rows);
    assert_eq!(text.lines().next_back(), Some("1;;2015-07-15 00:00:00;0.05;2024-02-29;false;0.1"));
    assert_eq!(written(&json, &read(&csv, &text).expect("good rows")), ROWS);
}

#[test]
fn values_of_other_json_types_are_taken_as_flink_takes_them() {
    let text = r#" {"x":[1,{"n":2}],"n":"12","s":{"deep":[1, 2]},"d":12345678.005,"n":13} "#;
    let rows = read(&format(&[("format", "json")]), text).expect("a good row");
    assert_eq!(rows[0].columns[0].as_primitive::<Int64Type>().value(0), 13);
    assert_eq!(rows[0].columns[1].as_string::<i32>().value(0), "{\"deep\":[1, 2]}");
    assert_eq!(rows[0].columns[3].as_primitive::<Decimal128Type>().value(0), 1_234_567_801);
}

#[test]
fn changes_are_those_of_debezium() {
    let debezium = format(&[("format", "debezium-json")]);
    let text = r#"{"before":null,"after":{"n":1},"op":"r","ts_ms":5}
{"payload":{"before":{"n":1},"after":{"n":2},"op":"u"},"schema":{}}
{"before":{"n":2},"after":null,"op":"d"}
"#;
    let changes = read(&debezium, text).expect("good changes");
    let kinds: Vec<_> = changes.iter().flat_map(|batch| (0..batch.rows).map(|row| batch.kind(row))).collect();
    assert_eq!(kinds, [RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter, RowKind::Delete]);
    let again = read(&debezium, &written(&debezium, &changes)).expect("good changes");
    let kinds: Vec<_> = again.iter().flat_map(|batch| (0..batch.rows).map(|row| batch.kind(row))).collect();
    assert_eq!(kinds, [RowKind::Insert, RowKind::Delete, RowKind::Insert, RowKind::Delete]);
    let error = read(&debezium, r#"{"before":null,"after":{"n":2},"op":"u"}"#).unwrap_err().to_string();
    assert!(error.contains("line 1: the change") && error.contains("has no 'before'"), "{error}");
    let error = read(&debezium, r#"{"after":{"n":2},"op":"x"}"#).unwrap_err().to_string();
    assert!(error.contains("expected one of: c, r, u, d"), "{error}");
}

#[test]
fn errors_name_file_line_and_column() {
    let json = format(&[("format", "json")]);
    for (text, wanted) in [
        ("{}\n{\"n\":\"x\"}\n", "t.json': line 2: column 'n': \"\\\"x\\\"\" is no Int64"),
        ("{\"d\":\"\"}\n", "line 1: column 'd'"),
        ("[1]\n", "line 1: \"[1]\" is no object of JSON"),
        ("{\"n\":1} 2\n", "is no object of JSON"),
    ] {
        let error = read(&json, text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        let lenient = format(&[("format", "json"), ("json.ignore-parse-errors", "true")]);
        read(&lenient, text).expect("ignored");
    }
    let strict = format(&[("format", "json"), ("json.fail-on-missing-field", "true")]);
    let error = read(&strict, "{\"n\":1}").unwrap_err().to_string();
    assert!(error.contains("the field 's' is missing"), "{error}");
    for options in [&[("format", "avro")][..], &[], &[("format", "raw")]] {
        let table = table(options);
        let error = TableFormat::of(&table, &table.options()).unwrap_err().to_string();
        assert!(error.starts_with("table 'orders': option 'format'"), "{error}");
    }
}

#[test]
fn reading_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().expect("a folder");
    let input = FileInput::new(dir.path().join("t.json"));
    std::fs::write(input.path(), ROWS).expect("written");
    let (json, schema) = (format(&[("format", "json")]), table(&[]).schema);
    let mut reader = json.open(&input, &schema, None).expect("opens");
    let first = reader.read(2).expect("good").expect("a row");
    let rest = json.open(&input, &schema, Some(reader.position())).expect("opens").read(100).expect("good").expect("rows");
    assert_eq!((first.rows, rest.rows), (1, 2));
}

/// Rows of arrays, maps and rows come back, also within each other; what does not fit is an error, or null where errors are ignored.
#[test]
fn json_holds_values_made_of_others() {
    let list = |element: DataType| DataType::List(Arc::new(Field::new("item", element, true)));
    let row = |fields: Vec<(&str, DataType)>| {
        DataType::Struct(fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect())
    };
    let entry = DataType::Struct(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)].into());
    let map = DataType::Map(Arc::new(Field::new("entries", entry, false)), false);
    let item = row(vec![("a\"", DataType::Int64), ("t", DataType::Timestamp(TimeUnit::Millisecond, None))]);
    let fields = [("l", list(list(DataType::Int64))), ("m", map), ("r", list(item))];
    let schema = Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()));
    let read = |format: &TableFormat, text: &str| -> Result<Vec<Columns>> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.json");
        std::fs::write(&path, text).expect("written");
        let mut reader = format.open(&FileInput::new(path), &schema, None)?;
        std::iter::from_fn(|| reader.read(3).transpose()).collect()
    };
    let written = |format: &TableFormat, batches: &[Columns]| {
        let mut bytes = Vec::new();
        let encoder = format.encoder(&schema).expect("fits");
        batches.iter().for_each(|batch| encoder.encode(batch, &mut bytes).expect("can be written"));
        String::from_utf8(bytes).expect("UTF-8")
    };
    let rows = r#"{"l":[[1,null],[],null],"m":{"x":1,"é\n":null},"r":[{"a\"":1,"t":"2015-07-15 00:00:00"},null,{"a\"":null,"t":null}]}
{"l":null,"m":null,"r":null}
{"l":[],"m":{},"r":[]}
{"l":[[7]],"m":{"y":-2},"r":null}
"#;
    let json = format(&[("format", "json")]);
    assert_eq!(written(&json, &read(&json, rows).expect("good rows")), rows);
    let iso = format(&[("format", "json"), ("json.timestamp-format.standard", "ISO-8601")]);
    assert!(written(&iso, &read(&json, rows).expect("good rows")).contains("T00:00:00"));
    let wrong = r#"{"l":[[1,"x"],3],"m":[],"r":[{"a\"":true,"t":"2015-07-15 00:00:00"}]}"#;
    let error = read(&json, wrong).expect_err("an x is no number").to_string();
    assert!(error.contains("line 1: column 'l'"), "{error}");
    let lenient = format(&[("format", "json"), ("json.ignore-parse-errors", "true")]);
    let kept = written(&lenient, &read(&lenient, wrong).expect("errors are ignored"));
    assert_eq!(kept, "{\"l\":[[1,null],null],\"m\":null,\"r\":[{\"a\\\"\":null,\"t\":\"2015-07-15 00:00:00\"}]}\n");
    let csv = format(&[("format", "csv")]);
    assert!(csv.encoder(&schema).is_err() && read(&csv, "1").is_err());
}
