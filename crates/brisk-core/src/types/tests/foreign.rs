//! Types that come in through serde.

use super::*;
use brisk_base::ErrorKind;

#[derive(Clone, PartialEq, Debug, ::serde::Serialize, ::serde::Deserialize)]
enum Foreign {
    Number(i64),
    Text { text: String, list: Vec<f64> },
}

#[test]
fn serde_types_are_records() {
    for value in [Foreign::Number(-7), Foreign::Text { text: "é".into(), list: vec![0.5, -1.0] }] {
        let record = (Serde(value), 9u8);
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(<(Serde<Foreign>, u8)>::decode(&mut Decoder::new(&bytes)).expect("own bytes"), record);
        for len in 0..bytes.len() {
            let error = <(Serde<Foreign>, u8)>::decode(&mut Decoder::new(&bytes[..len])).expect_err("a part");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
    assert!(Serde::<Foreign>::schema().to_string().starts_with("opaque Serde<"));
}
