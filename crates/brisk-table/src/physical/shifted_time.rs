//! A time plus or minus a constant span: whole numbers, where Arrow goes through the calendar for each row.
//!
//! Spans of months stay as they are: they need the calendar. As in Flink, a sum beyond the range of times wraps around.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, FieldRef, Schema, TimeUnit};
use brisk_base::{Error, Result};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DataFusionError, Result as PlanResult, ScalarValue};
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Literal};
use std::fmt::{Display, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;
const MS_NANOS: i64 = 1_000_000;

/// A time in milliseconds, moved by so many.
#[derive(Debug, Eq)]
struct ShiftedTime {
    time: Arc<dyn PhysicalExpr>,
    by_ms: i64,
}

impl PartialEq for ShiftedTime {
    fn eq(&self, other: &Self) -> bool {
        self.by_ms == other.by_ms && self.time.eq(&other.time)
    }
}

impl Hash for ShiftedTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.time.hash(state);
        self.by_ms.hash(state);
    }
}

impl Display for ShiftedTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} + {} ms", self.time, self.by_ms)
    }
}

impl PhysicalExpr for ShiftedTime {
    fn return_field(&self, input: &Schema) -> PlanResult<FieldRef> {
        self.time.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> PlanResult<ColumnarValue> {
        Ok(match self.time.evaluate(batch)? {
            ColumnarValue::Scalar(ScalarValue::TimestampMillisecond(time, zone)) => {
                ColumnarValue::Scalar(ScalarValue::TimestampMillisecond(time.map(|time| time.wrapping_add(self.by_ms)), zone))
            }
            ColumnarValue::Array(times) => {
                let Some(times) = times.as_primitive_opt::<TimestampMillisecondType>() else { return Err(no_time()) };
                let moved = times.unary::<_, TimestampMillisecondType>(|time| time.wrapping_add(self.by_ms));
                ColumnarValue::Array(Arc::new(moved.with_data_type(times.data_type().clone())) as ArrayRef)
            }
            ColumnarValue::Scalar(_) => return Err(no_time()),
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.time]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> PlanResult<Arc<dyn PhysicalExpr>> {
        let time = children.into_iter().next().ok_or_else(no_time)?;
        Ok(Arc::new(Self { time, by_ms: self.by_ms }))
    }

    fn fmt_sql(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.time.fmt_sql(f)?;
        write!(f, " + INTERVAL '{}' MILLISECOND", self.by_ms)
    }
}

#[cold]
fn no_time() -> DataFusionError {
    DataFusionError::Internal("what is moved by a span of time is no time".to_owned())
}

/// The same expression with whole numbers wherever a time is moved by a constant span.
pub(super) fn with_shifted_times(expression: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = expression.transform_up(|node| match shifted(&node, schema)? {
        Some(shifted) => Ok(Transformed::yes(shifted)),
        None => Ok(Transformed::no(node)),
    });
    moved.map(|moved| moved.data).map_err(|error| Error::bug(error.strip_backtrace()))
}

fn shifted(node: &Arc<dyn PhysicalExpr>, schema: &Schema) -> PlanResult<Option<Arc<dyn PhysicalExpr>>> {
    let Some(sum) = node.downcast_ref::<BinaryExpr>() else { return Ok(None) };
    let (time, span, sign) = match sum.op() {
        Operator::Plus if constant_span(sum.left()).is_some() => (sum.right(), constant_span(sum.left()), 1),
        Operator::Plus => (sum.left(), constant_span(sum.right()), 1),
        Operator::Minus => (sum.left(), constant_span(sum.right()), -1),
        _ => return Ok(None),
    };
    let Some(by_ms) = span.and_then(|span| span.checked_mul(sign)) else { return Ok(None) };
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Timestamp(TimeUnit::Millisecond, _));
    let (time_type, sum_type) = (time.data_type(schema)?, node.data_type(schema)?);
    let fits = is_time(&time_type) && time_type == sum_type;
    Ok(fits.then(|| Arc::new(ShiftedTime { time: Arc::clone(time), by_ms }) as Arc<dyn PhysicalExpr>))
}

/// Milliseconds of a constant span that has no months and nothing below a millisecond.
fn constant_span(expression: &Arc<dyn PhysicalExpr>) -> Option<i64> {
    let days_and = |days: i32, ms: i64| i64::from(days).checked_mul(DAY_MS)?.checked_add(ms);
    match expression.downcast_ref::<Literal>()?.value() {
        ScalarValue::IntervalDayTime(Some(span)) => days_and(span.days, span.milliseconds.into()),
        ScalarValue::IntervalMonthDayNano(Some(span)) if span.months == 0 && span.nanoseconds % MS_NANOS == 0 => {
            days_and(span.days, span.nanoseconds / MS_NANOS)
        }
        ScalarValue::DurationMillisecond(span) => *span,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::TimestampMillisecondArray;
    use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano};
    use arrow_schema::Field;
    use datafusion_physical_expr::expressions::Column;

    fn spans() -> Vec<(ScalarValue, bool)> {
        let month_day_nano = |months, days, nanos| ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)));
        vec![
            (month_day_nano(0, 0, 4_000_000_000), true),
            (month_day_nano(0, -3, 5_000_000), true),
            (month_day_nano(1, 0, 0), false),
            (month_day_nano(0, 0, 4_000_001), false),
            (ScalarValue::IntervalDayTime(Some(IntervalDayTime::new(2, 7))), true),
            (ScalarValue::IntervalDayTime(None), false),
        ]
    }

    /// The result is Arrow's, with and without a time zone, whichever side the span stands on.
    #[test]
    fn constant_spans_are_added_as_arrow_does() {
        for zone in [None, Some(Arc::from("UTC"))] {
            let data_type = DataType::Timestamp(TimeUnit::Millisecond, zone.clone());
            let schema = Arc::new(Schema::new(vec![Field::new("t", data_type.clone(), true)]));
            let times = TimestampMillisecondArray::from(vec![Some(0), None, Some(-1), Some(1_436_918_400_123)]).with_data_type(data_type);
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(times)]).expect("one column");
            for (span, is_moved) in spans() {
                let (time, span): (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>) =
                    (Arc::new(Column::new("t", 0)), Arc::new(Literal::new(span)));
                for (left, op, right) in [(&time, Operator::Plus, &span), (&time, Operator::Minus, &span), (&span, Operator::Plus, &time)] {
                    let sum: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(Arc::clone(left), op, Arc::clone(right)));
                    // Within another expression, too.
                    let outer: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(Arc::clone(&sum), Operator::GtEq, Arc::clone(&time)));
                    for expression in [sum, outer] {
                        let moved = with_shifted_times(Arc::clone(&expression), &schema).expect("has a type");
                        assert_eq!(moved.to_string() != expression.to_string(), is_moved, "{expression}");
                        assert_eq!(moved.data_type(&schema).expect("a type"), expression.data_type(&schema).expect("a type"));
                        let of = |expression: &Arc<dyn PhysicalExpr>| {
                            expression.evaluate(&batch).and_then(|value| value.into_array(4)).expect("can be computed")
                        };
                        assert_eq!(&of(&moved), &of(&expression), "{expression}");
                    }
                }
            }
        }
    }

    #[test]
    fn sums_wrap_around() {
        let time: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::TimestampMillisecond(Some(i64::MAX), None)));
        let batch = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let moved = ShiftedTime { time, by_ms: 1 }.evaluate(&batch).expect("wraps around").into_array(1).expect("one value");
        assert_eq!(moved.as_primitive::<TimestampMillisecondType>().value(0), i64::MIN);
        assert_eq!(moved.null_count(), 0);
    }
}
