//! Makes a [`ScalarFunction`] known to the planner.

use super::temporal::PROCTIME;
use super::{Argument, ScalarFunction};
use crate::planner::Mark;
use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// See the module. Two functions are equal if their names are.
#[derive(Debug)]
struct Adapter {
    function: Arc<dyn ScalarFunction>,
    signature: Signature,
}

pub(super) fn adapt(function: Arc<dyn ScalarFunction>) -> Arc<ScalarUDF> {
    let volatility = if function.is_deterministic() { Volatility::Immutable } else { Volatility::Volatile };
    Arc::new(ScalarUDF::new_from_impl(Adapter { function, signature: Signature::user_defined(volatility) }))
}

impl PartialEq for Adapter {
    fn eq(&self, other: &Self) -> bool {
        self.function.name() == other.function.name()
    }
}

impl Eq for Adapter {}

impl Hash for Adapter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name().hash(state);
    }
}

impl ScalarUDFImpl for Adapter {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let types = self.function.argument_types(given).map_err(|error| DataFusionError::Plan(error.to_string()))?;
        if types.len() != given.len() {
            let text = format!("{} takes {} arguments, but {} are given", self.name().to_uppercase(), types.len(), given.len());
            return Err(DataFusionError::Plan(text));
        }
        Ok(types)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(self.function.return_type(arguments))
    }

    /// PROCTIME() makes a time attribute.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let arguments: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let field = Field::new(self.name(), self.function.return_type(&arguments), true);
        Ok(Arc::new(if self.name() == PROCTIME { Mark::ProcessingTime.on(field) } else { field }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_))) && self.function.is_deterministic();
        let rows = if constant { 1 } else { args.number_rows };
        let argument = |value: &ColumnarValue| match value {
            ColumnarValue::Array(values) => Ok(Argument::new(Arc::clone(values), false)),
            ColumnarValue::Scalar(value) => value.to_array().map(|values| Argument::new(values, true)),
        };
        let arguments = args.args.iter().map(argument).collect::<Result<Vec<_>>>()?;
        let results = self.function.evaluate(&arguments, rows).map_err(|error| DataFusionError::Execution(error.to_string()))?;
        if constant {
            return datafusion_common::ScalarValue::try_from_array(&results, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(results))
    }
}
