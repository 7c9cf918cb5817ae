//! Aggregates with OVER.

use super::aggregate::{Arguments, call_of};
use super::expression::{column_index, named, type_of};
use super::interval::millis;
use super::{Flow, GraphBuilder, unsupported};
use crate::functions::ROW_NUMBER;
use crate::operators::group_aggregate::{Aggregate, AggregateCall};
use crate::operators::over::{Frame, Over};
use crate::operators::row::ValueType;
use crate::planner::Mark;
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use datafusion_common::ScalarValue;
use datafusion_expr::expr::{AggregateFunctionParams, WindowFunction};
use datafusion_expr::logical_plan::Window;
use datafusion_expr::{Expr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, lit};
use std::sync::Arc;

impl GraphBuilder<'_> {
    pub(super) fn over(&mut self, window: &Window) -> Result<Flow> {
        let input = self.relation(&window.input)?;
        let functions = window.window_expr.iter().map(function).collect::<Result<Vec<_>>>()?;
        let Some(first) = functions.first() else { return Err(Error::bug("a window without functions")) };
        let [order] = &*first.params.order_by else {
            return Err(Error::user("OVER needs an ORDER BY of one time attribute: a stream is ordered by time alone"));
        };
        let time = column_index(&order.expr, &input.schema).filter(|_| order.asc);
        let marked = |mark: Mark| time.filter(|column| mark.is_on(input.schema.field(*column)));
        let (event_time, by_clock) = (marked(Mark::EventTime), marked(Mark::ProcessingTime).is_some());
        if event_time.is_none() && !by_clock {
            return Err(Error::user(format!(
                "OVER has to be ordered by an ascending time attribute (WATERMARK FOR, or PROCTIME()), but it is {order}; for the first rows \
                 of each key, put ROW_NUMBER() into a subquery and ask for <= N around it"
            )));
        }
        if input.changes {
            return Err(unsupported("OVER over rows that are updated"));
        }
        let frame = frame_of(first)?;
        for other in &functions {
            let same = other.params.partition_by == first.params.partition_by && other.params.order_by == first.params.order_by;
            if !same || frame_of(other)? != frame {
                return Err(unsupported("OVER with different partitions, orders or frames in one SELECT"));
            }
        }
        let partition = if first.params.partition_by.is_empty() { vec![lit(0_i64)] } else { first.params.partition_by.clone() };
        let mut arguments = Arguments::new(&input.schema);
        let calls = functions.iter().map(|function| over_call(function, &mut arguments, frame)).collect::<Result<Vec<_>>>()?;
        let arguments = arguments.expressions;
        // Arguments become columns behind those of the input; calls are told of their indexes.
        let (flow, columns) = self.with_key(&input, &arguments)?;
        let calls: Vec<AggregateCall> = calls.into_iter().map(|call| call.with_columns(|column| columns[column as usize] as u32)).collect();
        let (flow, key) = self.with_key(&flow, &partition)?;
        let types = flow.schema.fields().iter().map(|field| ValueType::of(field.data_type())).collect::<Result<_>>()?;
        let over = Over { key: key.clone(), time: event_time, frame, types, aggregates: calls, state_ttl: self.state_ttl };
        let node = self.add_keyed("OverAggregate", &[(&flow, key)], over);
        if frame.is_unbounded() && !first.params.partition_by.is_empty() {
            self.grows(node, "the aggregates of each key");
        }
        let shown: Vec<_> = window.window_expr.iter().map(ToString::to_string).collect();
        self.graph.node_mut(node).description = Some(format!("OverAggregate({})", shown.join(", ")));
        let width = input.schema.fields().len();
        let results = window.schema.iter().skip(width).map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
        let fields = flow.schema.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).chain(results);
        let given = Flow { node, schema: named(fields.collect())?, changes: false, upsert_keys: flow.upsert_keys };
        let columns: Vec<Expr> = window.schema.columns().into_iter().map(Expr::Column).collect();
        self.calc(&given, None, &columns, &window.schema)
    }
}

fn function(expr: &Expr) -> Result<&WindowFunction> {
    match expr {
        Expr::Alias(alias) => function(&alias.expr),
        Expr::WindowFunction(function) => Ok(function),
        other => Err(Error::bug(format!("{other} is no window function"))),
    }
}

/// The frame of a function.
fn frame_of(function: &WindowFunction) -> Result<Frame> {
    if is_row_number(function) {
        return Ok(Frame::Rows(None));
    }
    let WindowFrame { units, start_bound, end_bound, .. } = &function.params.window_frame;
    if !matches!(end_bound, WindowFrameBound::CurrentRow) {
        return Err(unsupported("OVER with a frame that does not end with CURRENT ROW"));
    }
    let wrong = || Error::user(format!("OVER cannot have the frame {}", function.params.window_frame));
    Ok(match (units, start_bound) {
        (WindowFrameUnits::Rows, WindowFrameBound::CurrentRow) => Frame::Rows(Some(0)),
        (WindowFrameUnits::Range, WindowFrameBound::CurrentRow) => Frame::Range(Some(0)),
        (WindowFrameUnits::Rows, WindowFrameBound::Preceding(rows)) if rows.is_null() => Frame::Rows(None),
        (WindowFrameUnits::Range, WindowFrameBound::Preceding(span)) if span.is_null() => Frame::Range(None),
        (WindowFrameUnits::Rows, WindowFrameBound::Preceding(rows)) => match rows.cast_to(&DataType::UInt64) {
            Ok(ScalarValue::UInt64(Some(rows))) => Frame::Rows(Some(rows)),
            _ => return Err(wrong()),
        },
        (WindowFrameUnits::Range, WindowFrameBound::Preceding(span)) => Frame::Range(Some(millis(&lit(span.clone())).ok_or_else(wrong)?)),
        _ => return Err(wrong()),
    })
}

fn is_row_number(function: &WindowFunction) -> bool {
    matches!(&function.fun, WindowFunctionDefinition::WindowUDF(udf) if udf.name() == ROW_NUMBER)
}

fn over_call(function: &WindowFunction, arguments: &mut Arguments<'_>, frame: Frame) -> Result<AggregateCall> {
    // Rows that leave the frame are taken back.
    let retract = !frame.is_unbounded();
    match &function.fun {
        _ if is_row_number(function) => Ok(AggregateCall { retract, ..AggregateCall::from(Aggregate::CountAll) }),
        WindowFunctionDefinition::AggregateUDF(udf) => {
            let params = &function.params;
            #[expect(deprecated, reason = "this is how the planner tells of COUNT(*)")]
            let counts_rows = matches!(&*params.args, [Expr::Wildcard { .. }]);
            let params = AggregateFunctionParams {
                args: if counts_rows { vec![lit(1_i64)] } else { params.args.clone() },
                distinct: params.distinct,
                filter: params.filter.clone(),
                order_by: Vec::new(),
                null_treatment: params.null_treatment,
            };
            let result = type_of(&Expr::from(function.clone()), arguments.schema())?;
            call_of(udf.name(), &params, &result, arguments, retract)
        }
        WindowFunctionDefinition::WindowUDF(udf) => Err(unsupported(&format!("the window function {}", udf.name()))),
    }
}
