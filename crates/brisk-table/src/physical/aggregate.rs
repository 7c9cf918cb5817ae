//! Aggregations: of groups, and of groups within windows.

use super::expression::{column_index, named, type_of};
use super::upsert_keys::UpsertKeys;
use super::window::{looks_at_windows, unseen_windows};
use super::{Flow, GraphBuilder, unsupported};
use crate::functions::AggregateKind;
use crate::operators::group_aggregate::{Aggregate, AggregateCall, GroupAggregate, GroupAggregateConfig, GroupKey};
use crate::operators::row::ValueType;
use crate::operators::window_aggregate::{WindowAggregate, WindowAggregateConfig};
use crate::operators::window_table::WindowKind;
use crate::planner::Mark;
use arrow_schema::{DataType, Field};
use brisk_base::{Error, Result};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{AggregateFunctionParams, NullTreatment};
use datafusion_expr::{Expr, LogicalPlan, cast, lit};
use std::sync::Arc;

/// Expressions that are computed in front of an aggregation; equal ones once.
pub(super) struct Arguments<'s> {
    schema: &'s DFSchema,
    pub(super) expressions: Vec<Expr>,
}

impl<'s> Arguments<'s> {
    pub(super) const fn new(schema: &'s DFSchema) -> Self {
        Self { schema, expressions: Vec::new() }
    }

    pub(super) const fn schema(&self) -> &'s DFSchema {
        self.schema
    }

    fn add(&mut self, expression: Expr) -> u32 {
        let known = self.expressions.iter().position(|known| *known == expression);
        known.unwrap_or_else(|| {
            self.expressions.push(expression);
            self.expressions.len() - 1
        }) as u32
    }

    /// An argument as one of the types that accumulators take.
    fn widened(&mut self, argument: &Expr) -> Result<(u32, DataType)> {
        let data_type = type_of(argument, self.schema)?;
        let wide = match &data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int64,
            DataType::Float32 => DataType::Float64,
            other => other.clone(),
        };
        let argument = if wide == data_type { argument.clone() } else { cast(argument.clone(), wide.clone()) };
        Ok((self.add(argument), wide))
    }
}

impl GraphBuilder<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &datafusion_expr::logical_plan::Aggregate) -> Result<Flow> {
        let clock = clock_windows(aggregate);
        let slices = sliced_windows(aggregate).filter(|_| clock.is_none());
        self.windows_by_aggregation = clock.is_some() || slices.is_some();
        let input = self.relation(&aggregate.input)?;
        if let [Expr::GroupingSet(sets)] = &*aggregate.group_expr {
            return self.grouping_sets(aggregate, sets, &input);
        }
        let window = match clock {
            Some((columns, _)) => Some(columns),
            None => window_columns(aggregate, &input.schema, [Mark::WindowStart, Mark::WindowEnd]),
        };
        let clock = clock.map(|(_, kind)| kind);
        let group: Vec<Expr> = aggregate.group_expr.clone();
        let mut arguments = Arguments { schema: &input.schema, expressions: group.clone() };
        let calls = aggregate.aggr_expr.iter().map(|expr| call(expr, &mut arguments, input.changes)).collect::<Result<Vec<_>>>()?;
        let mut keys: Vec<u32> = (0..group.len() as u32).collect();
        if let Some((start, end)) = window {
            keys.retain(|key| *key as usize != start && *key as usize != end);
        }
        if keys.is_empty() {
            // All rows are one group: that of a constant.
            keys.push(arguments.add(lit(0_i64)));
        }
        let expressions = arguments.expressions;
        let mut fields = Vec::new();
        for (index, expression) in expressions.iter().enumerate() {
            fields.push((None, Arc::new(Field::new(format!("${index}"), type_of(expression, &input.schema)?, true))));
        }
        let schema = named(fields)?;
        let prepared = self.calc(&input, None, &expressions, &schema)?;
        match window {
            Some((start, end)) => {
                self.window_aggregate(aggregate, &prepared, &keys, Windows { columns: (start, end), clock, slices }, calls)
            }
            None => self.group_aggregate(aggregate, &prepared, &keys, calls),
        }
    }

    pub(super) fn group_aggregate(
        &mut self,
        aggregate: &datafusion_expr::logical_plan::Aggregate,
        input: &Flow,
        keys: &[u32],
        calls: Vec<AggregateCall>,
    ) -> Result<Flow> {
        let key = match keys {
            [column] if is_number(input.schema.field(*column as usize).data_type()) => GroupKey::Number { column: *column },
            columns => GroupKey::Row { columns: columns.to_vec() },
        };
        let results: Vec<_> = calls.iter().map(|call| call.result.clone()).collect();
        let keeps_values = calls.iter().any(AggregateCall::keeps_values);
        let config = GroupAggregateConfig { key, aggregates: calls, row_exact: self.row_exact, state_ttl: self.state_ttl };
        let columns: Vec<usize> = keys.iter().map(|key| *key as usize).collect();
        let node = self.add_keyed("GroupAggregate", &[(input, columns.clone())], GroupAggregate::new(config)?);
        self.graph.node_mut(node).description = Some(format!("Group{}", LogicalPlan::Aggregate(aggregate.clone()).display()));
        let given = given_fields(&input.schema, &columns, &results);
        if !aggregate.group_expr.is_empty() {
            self.grows(node, "the results of each group");
        } else if keeps_values {
            self.grows(node, "all values of DISTINCT, MIN or MAX");
        }
        let upsert_keys = UpsertKeys::of(if aggregate.group_expr.is_empty() { 0..0 } else { 0..columns.len() });
        let output = Flow { node, schema: named(given)?, changes: true, upsert_keys };
        let skipped = usize::from(aggregate.group_expr.is_empty());
        self.in_order(&output, (skipped..output.schema.fields().len()).collect(), aggregate)
    }

    fn window_aggregate(
        &mut self,
        aggregate: &datafusion_expr::logical_plan::Aggregate,
        input: &Flow,
        keys: &[u32],
        Windows { columns: (start, end), clock, slices }: Windows,
        calls: Vec<AggregateCall>,
    ) -> Result<Flow> {
        if input.changes {
            return Err(unsupported("a window over rows that are updated"));
        }
        let columns: Vec<usize> = keys.iter().map(|key| *key as usize).collect();
        let key_types = columns.iter().map(|column| ValueType::of(input.schema.field(*column).data_type())).collect::<Result<_>>()?;
        let merge = match clock {
            Some(kind) => matches!(kind, WindowKind::Session { .. }),
            None => session_below(&aggregate.input),
        };
        if merge && calls.iter().any(AggregateCall::keeps_values) {
            return Err(unsupported("DISTINCT in a session window"));
        }
        let mut results: Vec<_> = vec![ValueType::Timestamp { utc: false }; 2];
        results.extend(calls.iter().map(|call| call.result.clone()));
        let (start_column, end_column) = (start as u32, end as u32);
        let config = WindowAggregateConfig {
            key_columns: keys.to_vec(),
            key_types,
            start: start_column,
            end: end_column,
            clock,
            slices,
            merge,
            aggregates: calls,
        };
        let node = self.add_keyed("WindowAggregate", &[(input, columns.clone())], WindowAggregate::new(config));
        self.graph.node_mut(node).description = Some(format!("Window{}", LogicalPlan::Aggregate(aggregate.clone()).display()));
        // The constant key of all rows of a window tells nothing apart.
        let first = usize::from(aggregate.group_expr.len() == 2);
        let upsert_keys = UpsertKeys::of(first..columns.len() + 2);
        let output = Flow { node, schema: named(given_fields(&input.schema, &columns, &results))?, changes: false, upsert_keys };
        // Keys, start, end, results: as the plan has them.
        let width = columns.len();
        let place = |column: usize| match columns.iter().position(|key| *key == column) {
            _ if column == start => width,
            _ if column == end => width + 1,
            Some(at) => at,
            None => width,
        };
        let groups = (0..aggregate.group_expr.len()).map(place);
        let results = (0..aggregate.aggr_expr.len()).map(|result| width + 2 + result);
        self.in_order(&output, groups.chain(results).collect(), aggregate)
    }

    /// The columns of an operator as the plan has them.
    fn in_order(&mut self, output: &Flow, order: Vec<usize>, aggregate: &datafusion_expr::logical_plan::Aggregate) -> Result<Flow> {
        let columns = output.schema.columns();
        let columns: Vec<Expr> = order.into_iter().map(|at| Expr::Column(columns[at].clone())).collect();
        self.calc(output, None, &columns, &aggregate.schema)
    }
}

/// The windows that rows are aggregated in.
struct Windows {
    /// The columns with start and end.
    columns: (usize, usize),
    /// The windows, where the clock says which ones a row lies in.
    clock: Option<WindowKind>,
    /// The windows, where rows come with the slices that windows are made of.
    slices: Option<WindowKind>,
}

/// The windows that the clock makes of an aggregation's rows, and which groups are their start and end.
fn clock_windows(aggregate: &datafusion_expr::logical_plan::Aggregate) -> Option<((usize, usize), WindowKind)> {
    let kind = unseen_windows(&aggregate.input, true)?;
    let columns = window_columns(aggregate, aggregate.input.schema(), [Mark::ClockWindowStart, Mark::ClockWindowEnd])?;
    looks_at_windows_by_columns(aggregate, columns).then_some((columns, kind))
}

/// The windows of an aggregation that can be put together of slices: each row then counts once, in however many windows it lies.
///
/// Sums of floating point numbers and what depends on the order of rows are left as they are: they would come out otherwise.
fn sliced_windows(aggregate: &datafusion_expr::logical_plan::Aggregate) -> Option<WindowKind> {
    let kind = unseen_windows(&aggregate.input, false).filter(|kind| kind.slices().is_some())?;
    let schema = aggregate.input.schema();
    let columns = window_columns(aggregate, schema, [Mark::WindowStart, Mark::WindowEnd])?;
    let merges = aggregate.aggr_expr.iter().all(|expr| can_be_merged(expr, schema));
    (merges && looks_at_windows_by_columns(aggregate, columns)).then_some(kind)
}

/// Whether an aggregation looks at its windows by these of its groups alone.
fn looks_at_windows_by_columns(aggregate: &datafusion_expr::logical_plan::Aggregate, (start, end): (usize, usize)) -> bool {
    let groups = aggregate.group_expr.iter().enumerate().filter(|(index, _)| *index != start && *index != end);
    let mut others = groups.map(|(_, expr)| expr).chain(&aggregate.aggr_expr);
    others.all(|expr| !looks_at_windows(expr, aggregate.input.schema()))
}

/// Whether results over parts of the rows make up the result over all, to the last bit.
fn can_be_merged(expr: &Expr, schema: &DFSchema) -> bool {
    let function = match expr {
        Expr::Alias(alias) => return can_be_merged(&alias.expr, schema),
        Expr::AggregateFunction(function) if !function.params.distinct => function,
        _ => return false,
    };
    let is_exact = |arg: &Expr| type_of(arg, schema).is_ok_and(|data_type| !data_type.is_floating());
    match AggregateKind::named(function.func.name()) {
        Some(AggregateKind::Count | AggregateKind::Min | AggregateKind::Max) => true,
        Some(AggregateKind::Sum | AggregateKind::Avg) => function.params.args.iter().all(is_exact),
        _ => false,
    }
}

/// Which of the groups are start and end of a window, if both are there.
fn window_columns(aggregate: &datafusion_expr::logical_plan::Aggregate, input: &DFSchema, marks: [Mark; 2]) -> Option<(usize, usize)> {
    let marked = |mark: Mark| {
        // What stands on the side of an outer join that may be missing is no window.
        let is_window = |column: usize| mark.is_on(input.field(column)) && !input.field(column).is_nullable();
        aggregate.group_expr.iter().position(|expr| column_index(expr, input).is_some_and(is_window))
    };
    Some((marked(marks[0])?, marked(marks[1])?))
}

/// Columns that an operator gives: keys, then results.
fn given_fields(input: &DFSchema, keys: &[usize], results: &[ValueType]) -> Vec<(Option<datafusion_common::TableReference>, Arc<Field>)> {
    let keys = keys.iter().map(|key| input.field(*key).data_type().clone());
    let types = keys.chain(results.iter().map(|result| result.data_type()));
    types.enumerate().map(|(index, data_type)| (None, Arc::new(Field::new(format!("${index}"), data_type, true)))).collect()
}

/// Whether rows come from sessions, which merge.
pub(super) fn session_below(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Extension(extension) => {
            super::window::as_window_table(extension).is_some_and(|window| matches!(window.kind, WindowKind::Session { .. }))
        }
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().iter().any(|input| session_below(input))
        }
        _ => false,
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Boolean | DataType::Date32 | DataType::Timestamp(..))
}

/// A call of an aggregate function.
pub(super) fn call(expr: &Expr, arguments: &mut Arguments<'_>, retract: bool) -> Result<AggregateCall> {
    let function = match expr {
        Expr::Alias(alias) => return call(&alias.expr, arguments, retract),
        Expr::AggregateFunction(function) => function,
        other => return Err(Error::bug(format!("{other} is no aggregate function"))),
    };
    let result = type_of(expr, arguments.schema)?;
    call_of(function.func.name(), &function.params, &result, arguments, retract)
}

/// A call of the function of this name.
pub(super) fn call_of(
    name: &str,
    params: &AggregateFunctionParams,
    result: &DataType,
    arguments: &mut Arguments<'_>,
    retract: bool,
) -> Result<AggregateCall> {
    let shown = name.to_uppercase();
    let Some(kind) = AggregateKind::named(name) else { return Err(unsupported(&format!("the aggregate function {shown}"))) };
    let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = params;
    if !order_by.is_empty() {
        return Err(unsupported("ORDER BY in an aggregate function"));
    }
    let (argument, separator) = match &**args {
        [argument] => (argument, None),
        [argument, separator] if kind == AggregateKind::ListAgg => (argument, Some(separator)),
        _ => return Err(Error::bug(format!("{shown} has {} arguments", args.len()))),
    };
    let filter = filter.as_ref().map(|filter| arguments.add((**filter).clone()));
    let aggregate = match kind {
        AggregateKind::ListAgg => list(argument, separator, arguments)?,
        AggregateKind::ArrayAgg => {
            let nulls = *null_treatment != Some(NullTreatment::IgnoreNulls);
            Aggregate::ArrayAgg { column: arguments.add(argument.clone()), nulls }
        }
        AggregateKind::FirstValue if retract => Aggregate::FirstRemaining { column: arguments.add(argument.clone()) },
        AggregateKind::LastValue if retract => Aggregate::LastRemaining { column: arguments.add(argument.clone()) },
        _ => aggregate(kind, argument, arguments, result)?,
    };
    Ok(AggregateCall { aggregate, filter, distinct: *distinct, retract, result: ValueType::of(result)? })
}

fn aggregate(kind: AggregateKind, argument: &Expr, arguments: &mut Arguments<'_>, result: &DataType) -> Result<Aggregate> {
    if let (AggregateKind::Count, Expr::Literal(value, _)) = (kind, argument)
        && !value.is_null()
    {
        return Ok(Aggregate::CountAll);
    }
    let of_any: Option<fn(u32) -> Aggregate> = match kind {
        AggregateKind::Count => Some(|column| Aggregate::Count { column }),
        AggregateKind::Min => Some(|column| Aggregate::Min { column }),
        AggregateKind::Max => Some(|column| Aggregate::Max { column }),
        AggregateKind::FirstValue => Some(|column| Aggregate::FirstValue { column }),
        AggregateKind::LastValue => Some(|column| Aggregate::LastValue { column }),
        _ => None,
    };
    if let Some(of_any) = of_any {
        return Ok(of_any(arguments.add(argument.clone())));
    }
    if let (Some(moment), DataType::Decimal128(..)) = (kind.moment(), type_of(argument, arguments.schema)?) {
        let column = arguments.add(cast(argument.clone(), DataType::Float64));
        return Ok(Aggregate::MomentDouble { column, moment });
    }
    let (column, wide) = arguments.widened(argument)?;
    match (kind.moment(), &wide) {
        (Some(moment), DataType::Int64) => return Ok(Aggregate::MomentBigint { column, moment }),
        (Some(moment), DataType::Float64) => return Ok(Aggregate::MomentDouble { column, moment }),
        _ => {}
    }
    Ok(match (kind, &wide, result) {
        (AggregateKind::Sum, DataType::Int64, _) => Aggregate::SumBigint { column },
        (AggregateKind::Sum, DataType::Float64, _) => Aggregate::SumDouble { column },
        (AggregateKind::Sum, DataType::Decimal128(..), _) => Aggregate::SumDecimal { column },
        (_, DataType::Int64, _) => Aggregate::AvgBigint { column },
        (_, DataType::Float64, _) => Aggregate::AvgDouble { column },
        (_, DataType::Decimal128(_, scale), DataType::Decimal128(_, wanted)) => {
            Aggregate::AvgDecimal { column, shift: (wanted - scale).max(0) as u8 }
        }
        _ => return Err(unsupported(&format!("an aggregate function over {}", crate::sql::sql_type(&wide)))),
    })
}

/// `LISTAGG(column [, separator])`.
fn list(argument: &Expr, separator: Option<&Expr>, arguments: &mut Arguments<'_>) -> Result<Aggregate> {
    let separator = match separator {
        None => ",".to_owned(),
        Some(Expr::Literal(ScalarValue::Utf8(Some(text)), _)) => text.clone(),
        Some(other) => return Err(Error::user(format!("the separator of LISTAGG has to be a text, but it is {other}"))),
    };
    Ok(Aggregate::ListAgg { column: arguments.add(argument.clone()), separator })
}
