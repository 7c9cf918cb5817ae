//! Functions of numbers.

use super::string::expect_count;
use super::{Argument, ScalarFunction};
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use std::sync::Arc;

/// `MOD(number, divisor)` of whole numbers: with the sign of the number; division by zero is an error, as in Flink.
#[derive(Debug)]
pub(super) struct Modulo;

impl ScalarFunction for Modulo {
    fn name(&self) -> &str {
        "mod"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "MOD(number, divisor)", 2..=2)?;
        match given.iter().find(|given| !given.is_integer() && !given.is_null()) {
            None => Ok(vec![DataType::Int64, DataType::Int64]),
            Some(other) => Err(Error::user(format!("MOD takes whole numbers, not {}", crate::sql::sql_type(other)))),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Int64
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let remainder = |row: usize| match (arguments[0].bigint(row), arguments[1].bigint(row)) {
            (Some(_), Some(0)) => Err(Error::user("MOD: division by zero")),
            (Some(number), Some(divisor)) => Ok(Some(number.wrapping_rem(divisor))),
            _ => Ok(None),
        };
        Ok(Arc::new((0..rows).map(remainder).collect::<Result<Int64Array>>()?))
    }
}
