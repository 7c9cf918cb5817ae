//! The type of a column as a part of records, in the bytes that batches have for it.

use super::codec::data_type;
use crate::types::{Decoder, Record, Schema};
use arrow_schema::DataType;
use brisk_base::Result;

/// The type of a column. Metadata of its fields is no part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnType(pub DataType);

impl Record for ColumnType {
    fn encode(&self, out: &mut Vec<u8>) {
        data_type::put(&self.0, out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        data_type::read(input).map(Self)
    }

    fn schema() -> Schema {
        Schema::Opaque { name: "ColumnType".to_owned() }
    }

    fn heap_bytes(&self) -> usize {
        self.0.size() - size_of::<DataType>()
    }
}
