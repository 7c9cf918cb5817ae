//! Functions in FROM that are called with the columns of the tables in front of them: `CROSS JOIN UNNEST(a)`, `LATERAL TABLE(f(x))`.

use crate::functions::{Functions, TableFunction, Unnest};
use arrow_schema::Field;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError, JoinType, Result, ScalarValue, TableReference};
use datafusion_expr::logical_plan::{EmptyRelation, Filter, Join};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore, cast};
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, TableAlias, TableFactor};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A call of a function. Two are equal if name and arguments are.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: Arc<dyn TableFunction>,
    pub(crate) arguments: Vec<Expr>,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        (self.function.name(), &self.arguments) == (other.function.name(), &other.arguments)
    }
}

impl Eq for Call {}

impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.function.name(), &self.arguments).hash(state);
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments: Vec<_> = self.arguments.iter().map(ToString::to_string).collect();
        write!(f, "{}({})", self.function.name(), arguments.join(", "))
    }
}

/// A call before it is known what stands in front of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct TableCall {
    call: Call,
    schema: DFSchemaRef,
}

impl PartialOrd for TableCall {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.call.arguments.partial_cmp(&other.call.arguments)
    }
}

impl UserDefinedLogicalNodeCore for TableCall {
    fn name(&self) -> &str {
        "TableFunction"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.call.arguments.clone()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableFunction: {}", self.call)
    }

    fn with_exprs_and_inputs(&self, arguments: Vec<Expr>, _inputs: Vec<LogicalPlan>) -> Result<Self> {
        Ok(Self { call: Call { arguments, ..self.call.clone() }, schema: Arc::clone(&self.schema) })
    }
}

/// The rows of its input, each with the rows that the call gives for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Correlate {
    pub(crate) input: LogicalPlan,
    pub(crate) call: Call,
    /// Whether a row for which there are none stays, with nulls.
    pub(crate) outer: bool,
    /// The columns of the call.
    columns: Vec<(Option<TableReference>, Arc<Field>)>,
    schema: DFSchemaRef,
}

impl PartialOrd for Correlate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl Correlate {
    fn try_new(input: LogicalPlan, call: Call, outer: bool, columns: Vec<(Option<TableReference>, Arc<Field>)>) -> Result<Self> {
        let mut fields: Vec<_> = input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        fields.extend(columns.iter().cloned());
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?;
        Ok(Self { input, call, outer, columns, schema: Arc::new(schema) })
    }
}

impl UserDefinedLogicalNodeCore for Correlate {
    fn name(&self) -> &str {
        "Correlate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.call.arguments.clone()
    }

    /// Conditions on the input alone may go below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.columns.iter().map(|(_, field)| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Correlate{}: {}", if self.outer { " (left)" } else { "" }, self.call)
    }

    fn with_exprs_and_inputs(&self, arguments: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs.pop().ok_or_else(|| DataFusionError::Internal("a correlation has an input".to_owned()))?;
        Self::try_new(input, Call { arguments, ..self.call.clone() }, self.outer, self.columns.clone())
    }

    /// The columns that are asked for, and those of the arguments.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let mut needed: Vec<_> = output_columns.iter().copied().filter(|column| *column < input.fields().len()).collect();
        for argument in &self.call.arguments {
            for column in argument.column_refs() {
                needed.push(input.maybe_index_of_column(column)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Plans such functions.
#[derive(Debug)]
pub(super) struct TableFunctionPlanner(pub(super) Functions);

impl RelationPlanner for TableFunctionPlanner {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
        let (function, arguments, alias): (Arc<dyn TableFunction>, _, _) = match relation {
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, with_offset: false, .. } => {
                (Arc::new(Unnest { ordinality: with_ordinality }), array_exprs, alias)
            }
            TableFactor::Function { lateral: true, name, args, alias, .. } if name.to_string().eq_ignore_ascii_case("TABLE") => {
                let (name, arguments) = lateral_call(&args)?;
                let function = self.0.table(&name).map_err(|error| DataFusionError::Plan(error.to_string()))?;
                (Arc::clone(function), arguments, alias)
            }
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        planned(function, arguments, alias, context)
    }
}

/// Name and arguments of the call in `LATERAL TABLE(f(x))`.
fn lateral_call(args: &[FunctionArg]) -> Result<(String, Vec<SqlExpr>)> {
    let wrong = || DataFusionError::Plan("LATERAL TABLE takes a call of a function: LATERAL TABLE(f(x)) AS t(a, b)".to_owned());
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::Function(function)))] = args else { return Err(wrong()) };
    let arguments = match &function.args {
        FunctionArguments::List(list) => list.args.iter(),
        _ => return Err(wrong()),
    };
    let arguments = arguments.map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        _ => Err(wrong()),
    });
    Ok((function.name.to_string(), arguments.collect::<Result<_>>()?))
}

fn planned(
    function: Arc<dyn TableFunction>,
    arguments: Vec<SqlExpr>,
    mut alias: Option<TableAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<RelationPlanning> {
    let plan_error = |error: brisk_base::Error| DataFusionError::Plan(error.to_string());
    let empty = DFSchema::empty();
    let given = arguments.into_iter().map(|argument| context.sql_to_expr(argument, &empty)).collect::<Result<Vec<_>>>()?;
    let types = given.iter().map(|argument| argument.get_type(&empty)).collect::<Result<Vec<_>>>()?;
    let wanted = function.argument_types(&types).map_err(plan_error)?;
    if wanted.len() != given.len() {
        let (name, given) = (function.name().to_uppercase(), given.len());
        return Err(DataFusionError::Plan(format!("{name} takes {} arguments, but {given} are given", wanted.len())));
    }
    let arguments = given.into_iter().zip(types.iter().zip(&wanted));
    let arguments = arguments.map(|(argument, (given, wanted))| if given == wanted { argument } else { cast(argument, wanted.clone()) });
    let call = Call { arguments: arguments.collect(), function };
    let mut columns = call.function.columns(&wanted);
    if let Some(alias) = &mut alias
        && !alias.columns.is_empty()
    {
        if alias.columns.len() != columns.len() {
            let name = call.function.name().to_uppercase();
            let text = format!("{name} gives {} columns here, but {} names are given for them", columns.len(), alias.columns.len());
            return Err(DataFusionError::Plan(text));
        }
        for (column, named) in columns.iter_mut().zip(std::mem::take(&mut alias.columns)) {
            column.0 = named.name.value;
        }
    }
    let fields = columns.into_iter().map(|(name, data_type)| (None, Arc::new(Field::new(name, data_type, true)))).collect();
    let schema = Arc::new(DFSchema::new_with_metadata(fields, Default::default())?);
    let plan = LogicalPlan::Extension(Extension { node: Arc::new(TableCall { call, schema }) });
    Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
}

/// The call that a relation is, perhaps under another name.
fn called(plan: &LogicalPlan) -> Option<&Call> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => called(&alias.input),
        LogicalPlan::Subquery(subquery) => called(&subquery.subquery),
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<TableCall>().map(|node| &node.call),
        _ => None,
    }
}

/// Puts correlations in the place of joins with calls, and of calls that nothing stands in front of.
pub(super) fn with_correlations(plan: LogicalPlan) -> Result<LogicalPlan> {
    let joined = plan.transform_down_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => match called(&join.right).cloned() {
            Some(call) => correlate(join, call).map(Transformed::yes),
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other => match called(&other).cloned() {
            Some(call) => {
                let one_row = EmptyRelation { produce_one_row: true, schema: Arc::new(DFSchema::empty()) };
                correlation(LogicalPlan::EmptyRelation(one_row), call, other.schema(), false).map(Transformed::yes)
            }
            None => Ok(Transformed::no(other)),
        },
    })?;
    Ok(joined.data)
}

fn correlate(join: Join, call: Call) -> Result<LogicalPlan> {
    let mut conditions: Vec<Expr> = join.on.into_iter().map(|(left, right)| left.eq(right)).chain(join.filter).collect();
    conditions.retain(|condition| !matches!(condition, Expr::Literal(ScalarValue::Boolean(Some(true)), _)));
    let outer = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left if conditions.is_empty() => true,
        JoinType::Left => {
            return Err(DataFusionError::Plan(format!(
                "LEFT JOIN with {} takes no condition but ON TRUE",
                call.function.name().to_uppercase()
            )));
        }
        other => return Err(DataFusionError::Plan(format!("{} cannot be joined by {other} JOIN", call.function.name().to_uppercase()))),
    };
    let mut plan = correlation(Arc::unwrap_or_clone(join.left), call, join.right.schema(), outer)?;
    for condition in conditions {
        plan = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?);
    }
    Ok(plan)
}

fn correlation(input: LogicalPlan, call: Call, columns: &DFSchema, outer: bool) -> Result<LogicalPlan> {
    let schema = input.schema();
    let inner = |argument: Expr| {
        argument.transform(|expr| match expr {
            Expr::OuterReferenceColumn(_, column) if schema.has_column(&column) => Ok(Transformed::yes(Expr::Column(column))),
            Expr::OuterReferenceColumn(_, column) => {
                let name = call.function.name().to_uppercase();
                Err(DataFusionError::Plan(format!("{name} is called with '{column}', which is no column of the tables in front of it")))
            }
            other => Ok(Transformed::no(other)),
        })
    };
    let arguments = call.arguments.iter().cloned().map(|argument| Ok(inner(argument)?.data)).collect::<Result<_>>()?;
    let columns = columns.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
    let node = Correlate::try_new(input, Call { arguments, ..call.clone() }, outer, columns)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}
