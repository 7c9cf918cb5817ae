//! Aggregate functions: their types, as Flink has them. Operators compute them; they are never called here.

use arrow_schema::DataType;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Which function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum AggregateKind {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

impl AggregateKind {
    pub(super) const ALL: [Self; 5] = [Self::Count, Self::Sum, Self::Avg, Self::Min, Self::Max];

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    pub(super) fn function(self) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Aggregate { kind: self, signature: Signature::user_defined(Volatility::Immutable) }))
    }

    /// `SUM(INT)` is INT, and `AVG(INT)`, too; sums of decimals have 38 digits.
    fn return_type(self, argument: &DataType) -> DataType {
        match (self, argument) {
            (Self::Count, _) => DataType::Int64,
            (Self::Sum, DataType::Decimal128(_, scale)) => DataType::Decimal128(38, *scale),
            (Self::Avg, DataType::Decimal128(_, scale)) => DataType::Decimal128(38, (*scale).max(6)),
            (_, other) => other.clone(),
        }
    }
}

/// See the module.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Aggregate {
    kind: AggregateKind,
    signature: Signature,
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name().to_uppercase();
        let [argument] = given else {
            return Err(DataFusionError::Plan(format!("{name} takes one argument, but {} are given", given.len())));
        };
        let numeric = argument.is_numeric() || argument.is_null();
        if matches!(self.kind, AggregateKind::Sum | AggregateKind::Avg) && !numeric {
            return Err(DataFusionError::Plan(format!("{name} takes numbers, not {}", crate::sql::sql_type(argument))));
        }
        Ok(given.to_vec())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(self.kind.return_type(given.first().unwrap_or(&DataType::Int64)))
    }

    fn is_nullable(&self) -> bool {
        self.kind != AggregateKind::Count
    }

    /// The result over no rows.
    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        match self.kind {
            AggregateKind::Count => Ok(ScalarValue::Int64(Some(0))),
            _ => ScalarValue::try_from(data_type),
        }
    }

    fn accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Err(DataFusionError::Internal("aggregates are computed by Brisk's own operators".to_owned()))
    }
}
