//! Window functions that operators recognise. They have types, and are never called.

use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use std::sync::Arc;

/// `ROW_NUMBER() OVER (...)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowNumber(Signature);

/// Its name.
pub(crate) const ROW_NUMBER: &str = "row_number";

pub(super) fn row_number() -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(RowNumber(Signature::nullary(Volatility::Immutable))))
}

impl WindowUDFImpl for RowNumber {
    fn name(&self) -> &str {
        ROW_NUMBER
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn partition_evaluator(&self, _args: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        Err(DataFusionError::Internal("window functions are computed by Brisk's own operators".to_owned()))
    }

    fn field(&self, field_args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(field_args.name(), DataType::Int64, false)))
    }
}
