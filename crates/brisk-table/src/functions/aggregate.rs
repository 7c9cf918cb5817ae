//! Aggregate functions: their types, as Flink has them. Operators compute them; they are never called here.

use crate::operators::group_aggregate::Moment;
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
    FirstValue,
    LastValue,
    ListAgg,
    ArrayAgg,
    StddevPop,
    StddevSamp,
    /// Another name of [`StddevSamp`](Self::StddevSamp).
    Stddev,
    VarPop,
    VarSamp,
    /// Another name of [`VarSamp`](Self::VarSamp).
    Variance,
}

impl AggregateKind {
    pub(super) const ALL: [Self; 15] = [
        Self::Count,
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::FirstValue,
        Self::LastValue,
        Self::ListAgg,
        Self::ArrayAgg,
        Self::StddevPop,
        Self::StddevSamp,
        Self::Stddev,
        Self::VarPop,
        Self::VarSamp,
        Self::Variance,
    ];

    /// Which measure of how far values are apart, if it is one.
    pub(crate) const fn moment(self) -> Option<Moment> {
        let (sample, root) = match self {
            Self::StddevPop => (false, true),
            Self::StddevSamp | Self::Stddev => (true, true),
            Self::VarPop => (false, false),
            Self::VarSamp | Self::Variance => (true, false),
            _ => return None,
        };
        Some(Moment { sample, root })
    }

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
            // In capitals: with OVER, the planner looks for these two among window functions if they have their usual names.
            Self::FirstValue => "FIRST_VALUE",
            Self::LastValue => "LAST_VALUE",
            Self::ListAgg => "listagg",
            Self::ArrayAgg => "array_agg",
            Self::StddevPop => "stddev_pop",
            Self::StddevSamp => "stddev_samp",
            Self::Stddev => "stddev",
            Self::VarPop => "var_pop",
            Self::VarSamp => "var_samp",
            Self::Variance => "variance",
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
            (Self::ListAgg, _) => DataType::Utf8,
            (Self::ArrayAgg, element) => crate::sql::array_type(element.clone()),
            // Decimal numbers are measured as floating point numbers.
            (kind, DataType::Decimal128(..)) if kind.moment().is_some() => DataType::Float64,
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
        if self.kind == AggregateKind::ListAgg && matches!(given.len(), 1 | 2) {
            return Ok(vec![DataType::Utf8; given.len()]);
        }
        let [argument] = given else {
            return Err(DataFusionError::Plan(format!("{name} takes one argument, but {} are given", given.len())));
        };
        let numeric = argument.is_numeric() || argument.is_null();
        let computes = matches!(self.kind, AggregateKind::Sum | AggregateKind::Avg) || self.kind.moment().is_some();
        if computes && !numeric {
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

    /// `IGNORE NULLS`; the others never take nulls.
    fn supports_null_handling_clause(&self) -> bool {
        self.kind == AggregateKind::ArrayAgg
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
