//! Window functions in FROM: `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))` and its like.

use super::lookup::plan_lookup;
use super::marks::Mark;
use crate::operators::window_table::WindowKind;
use arrow_schema::{DataType, Field, TimeUnit};
use datafusion_common::{Column, DFSchema, DFSchemaRef, DataFusionError, Result, ScalarValue};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion_sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, TableFactor,
};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Adds `window_start`, `window_end` and `window_time` to the rows of its input, a row for each window.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct WindowTable {
    pub(crate) input: LogicalPlan,
    /// The time attribute.
    pub(crate) time: Expr,
    pub(crate) kind: WindowKind,
    /// Whether the clock says when a row was, and not the row.
    pub(crate) by_clock: bool,
    schema: DFSchemaRef,
}

impl PartialOrd for WindowTable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl WindowTable {
    fn try_new(input: LogicalPlan, time: Expr, kind: WindowKind, by_clock: bool) -> Result<Self> {
        let data_type = DataType::Timestamp(TimeUnit::Millisecond, None);
        let column = |name: &str, mark: Mark| (None, Arc::new(mark.on(Field::new(name, data_type.clone(), false))));
        let mut fields: Vec<_> = input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        let [start, end, time_mark] = if by_clock {
            [Mark::ClockWindowStart, Mark::ClockWindowEnd, Mark::ProcessingTime]
        } else {
            [Mark::WindowStart, Mark::WindowEnd, Mark::EventTime]
        };
        fields.push(column("window_start", start));
        fields.push(column("window_end", end));
        fields.push(column("window_time", time_mark));
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?;
        Ok(Self { input, time, kind, by_clock, schema: Arc::new(schema) })
    }
}

impl UserDefinedLogicalNodeCore for WindowTable {
    fn name(&self) -> &str {
        "WindowTableFunction"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.time.clone()]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowTableFunction: {} on {}", self.kind, self.time)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.pop(), inputs.pop()) {
            (Some(time), Some(input)) => Self::try_new(input, time, self.kind, self.by_clock),
            _ => Err(DataFusionError::Internal("a window table function has an expression and an input".to_owned())),
        }
    }

    /// The columns that are asked for, and the time.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let Expr::Column(time) = &self.time else { return None };
        let mut needed: Vec<_> = output_columns.iter().copied().filter(|column| *column < input.fields().len()).collect();
        needed.push(input.maybe_index_of_column(time)?);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct WindowTablePlanner;

impl RelationPlanner for WindowTablePlanner {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        if let TableFactor::Table { version: Some(_), .. } = &relation {
            return plan_lookup(relation, context);
        }
        let (name, arguments, alias) = match &relation {
            TableFactor::TableFunction { expr: SqlExpr::Function(function), alias } => match &function.args {
                FunctionArguments::List(list) => (function.name.to_string(), list.args.clone(), alias.clone()),
                _ => return Ok(RelationPlanning::Original(Box::new(relation))),
            },
            TableFactor::Table { name, args: Some(args), alias, .. } => (name.to_string(), args.args.clone(), alias.clone()),
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let name = name.to_uppercase();
        if !["TUMBLE", "HOP", "CUMULATE", "SESSION"].contains(&name.as_str()) {
            return Err(DataFusionError::Plan(format!("there is no table function named {name}")));
        }
        let plan = plan_window(&name, &arguments, context)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

fn plan_window(name: &str, arguments: &[FunctionArg], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let usage = match name {
        "TUMBLE" => "TUMBLE(TABLE t, DESCRIPTOR(time), size [, offset])",
        "HOP" => "HOP(TABLE t, DESCRIPTOR(time), slide, size [, offset])",
        "CUMULATE" => "CUMULATE(TABLE t, DESCRIPTOR(time), step, size [, offset])",
        _ => "SESSION(TABLE t, DESCRIPTOR(time), gap)",
    };
    let wrong = || DataFusionError::Plan(format!("wrong arguments of a window function; it is {usage}"));
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        _ => Err(wrong()),
    };
    let arguments = arguments.iter().map(argument).collect::<Result<Vec<_>>>()?;
    let [table, descriptor, spans @ ..] = &*arguments else { return Err(wrong()) };
    let SqlExpr::Identifier(table) = table else { return Err(wrong()) };
    let input = context.plan(named_table(table))?;
    let (time, by_clock) = time_column(descriptor, &input).ok_or_else(wrong)??;
    let spans = spans.iter().map(|span| millis(span, &input, context)).collect::<Result<Vec<_>>>()?;
    let kind = match (name, &*spans) {
        ("TUMBLE", [size]) => WindowKind::Tumble { size: *size, offset: 0 },
        ("TUMBLE", [size, offset]) => WindowKind::Tumble { size: *size, offset: *offset },
        ("HOP", [slide, size]) => WindowKind::Hop { slide: *slide, size: *size, offset: 0 },
        ("HOP", [slide, size, offset]) => WindowKind::Hop { slide: *slide, size: *size, offset: *offset },
        ("CUMULATE", [step, size]) => WindowKind::Cumulate { step: *step, size: *size, offset: 0 },
        ("CUMULATE", [step, size, offset]) => WindowKind::Cumulate { step: *step, size: *size, offset: *offset },
        ("SESSION", [gap]) => WindowKind::Session { gap: *gap },
        _ => return Err(wrong()),
    };
    check(kind)?;
    let node = WindowTable::try_new(input, Expr::Column(time), kind, by_clock)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

fn check(kind: WindowKind) -> Result<()> {
    let (step, size) = match kind {
        WindowKind::Tumble { size, .. } => (size, size),
        WindowKind::Session { gap } => (gap, gap),
        WindowKind::Hop { slide, size, .. } => (slide, size),
        WindowKind::Cumulate { step, size, .. } => (step, size),
    };
    if step <= 0 || size <= 0 {
        return Err(DataFusionError::Plan(format!("the spans of {kind} have to be above 0")));
    }
    if size % step != 0 {
        return Err(DataFusionError::Plan(format!("in {kind} the size has to be a multiple of the step")));
    }
    Ok(())
}

fn named_table(name: &Ident) -> TableFactor {
    TableFactor::Table {
        name: ObjectName(vec![ObjectNamePart::Identifier(name.clone())]),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

/// The column of `DESCRIPTOR(column)`, and whether it is one of processing time; `None` when it is something else.
fn time_column(descriptor: &SqlExpr, input: &LogicalPlan) -> Option<Result<(Column, bool)>> {
    let SqlExpr::Function(function) = descriptor else { return None };
    if !function.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::Identifier(column)))] = &*list.args else { return None };
    let found = input.schema().qualified_fields_with_unqualified_name(&column.value);
    let Some((qualifier, field)) = found.first() else {
        return Some(Err(DataFusionError::Plan(format!("there is no column named '{}' for the window", column.value))));
    };
    let by_clock = Mark::ProcessingTime.is_on(field);
    if !by_clock && !Mark::EventTime.is_on(field) {
        let text = format!(
            "the window needs a time attribute, but '{}' is none: declare WATERMARK FOR it, or make it by PROCTIME()",
            column.value
        );
        return Some(Err(DataFusionError::Plan(text)));
    }
    Some(Ok((Column::new(qualifier.cloned(), field.name()), by_clock)))
}

/// An interval in milliseconds.
fn millis(span: &SqlExpr, input: &LogicalPlan, context: &mut dyn RelationPlannerContext) -> Result<i64> {
    let wrong = || DataFusionError::Plan(format!("'{span}' is no span of time of a window: write INTERVAL '10' SECOND"));
    match context.sql_to_expr(span.clone(), input.schema())? {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) if interval.months == 0 => {
            Ok(i64::from(interval.days) * 86_400_000 + interval.nanoseconds / 1_000_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => {
            Ok(i64::from(interval.days) * 86_400_000 + i64::from(interval.milliseconds))
        }
        _ => Err(wrong()),
    }
}
