//! Tables that are looked up (`JOIN t FOR SYSTEM_TIME AS OF a.proctime`), and tables with versions (`AS OF` an event time).

use super::marks::Mark;
use arrow_schema::Field;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion_expr::planner::{PlannedRelation, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, TableFactor, TableVersion};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The rows of its input, as they are when they are looked up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct LookupTableNode {
    pub(crate) input: LogicalPlan,
    /// Name of the time attribute that says when.
    pub(crate) time: String,
}

impl PartialOrd for LookupTableNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for LookupTableNode {
    fn name(&self) -> &str {
        "LookupTable"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupTable: as of {}", self.time)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) => Ok(Self { input, time: self.time.clone() }),
            None => Err(DataFusionError::Internal("a table that is looked up is an input".to_owned())),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

/// Plans a table with `FOR SYSTEM_TIME AS OF`.
pub(super) fn plan_lookup(relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
    let mut plain = relation;
    let TableFactor::Table { version, alias, .. } = &mut plain else { return Ok(RelationPlanning::Original(Box::new(plain))) };
    let (version, alias) = (version.take(), alias.take());
    let time = match version {
        Some(TableVersion::ForSystemTimeAsOf(SqlExpr::Identifier(time))) => time.value,
        Some(TableVersion::ForSystemTimeAsOf(SqlExpr::CompoundIdentifier(parts))) => {
            parts.last().map(|part| part.value.clone()).unwrap_or_default()
        }
        _ => return Err(DataFusionError::Plan("FOR SYSTEM_TIME AS OF takes a time attribute of the other table".to_owned())),
    };
    let node = LookupTableNode { input: context.plan(plain)?, time };
    let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
    Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
}

/// The node, if a relation is a table that is looked up, perhaps under another name and with conditions that rules have moved there.
pub(crate) fn looked_up(plan: &LogicalPlan) -> Option<&LookupTableNode> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => looked_up(&alias.input),
        LogicalPlan::Filter(filter) => looked_up(&filter.input),
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
        _ => None,
    }
}

/// The conditions above the node, over the columns that the relation has.
pub(crate) fn conditions_on(plan: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut conditions = Vec::new();
    let mut below = plan;
    loop {
        below = match below {
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Filter(filter) => {
                let (inner, outer) = (filter.input.schema(), plan.schema());
                let renamed = filter.predicate.clone().transform(|expr| {
                    let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
                    let (qualifier, field) = outer.qualified_field(inner.index_of_column(column)?);
                    Ok(Transformed::yes(Expr::Column(Column::new(qualifier.cloned(), field.name()))))
                });
                conditions.push(renamed?.data);
                &filter.input
            }
            _ => return Ok(conditions),
        };
    }
}

/// Checks that tables are looked up by a time attribute, and in joins alone.
pub(super) fn check_lookups(plan: &LogicalPlan) -> Result<()> {
    let mut found = Ok(());
    plan.apply(|node| {
        for (index, input) in node.inputs().into_iter().enumerate() {
            let Some(lookup) = looked_up(input).filter(|_| !matches!(node, LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_))) else {
                continue;
            };
            let time = match node {
                LogicalPlan::Join(join) if index == 1 => join.left.schema().qualified_fields_with_unqualified_name(&lookup.time),
                _ => Vec::new(),
            };
            if !time.iter().any(|(_, field)| Mark::ProcessingTime.is_on(field) || Mark::EventTime.is_on(field)) {
                let text = format!("FOR SYSTEM_TIME AS OF needs a time attribute of the left table; '{}' is none", lookup.time);
                found = Err(DataFusionError::Plan(text));
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    found
}

/// Tells joins with versions that a version is not younger than the row that it is joined with. That is so anyway, but rules keep the columns
/// that a join speaks of.
pub(super) fn with_version_times(plan: LogicalPlan) -> Result<LogicalPlan> {
    let told = plan.transform_up_with_subqueries(|plan| {
        let LogicalPlan::Join(mut join) = plan else { return Ok(Transformed::no(plan)) };
        let Some(lookup) = looked_up(&join.right) else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
        let time = |schema: &DFSchema, name: Option<&str>| {
            let is_it = |field: &Field| Mark::EventTime.is_on(field) && name.is_none_or(|name| field.name() == name);
            schema
                .iter()
                .find(|(_, field)| is_it(field))
                .map(|(qualifier, field)| Expr::Column(Column::new(qualifier.cloned(), field.name())))
        };
        let times = (time(join.left.schema(), Some(&lookup.time)), time(join.right.schema(), None));
        let (Some(row), Some(version)) = times else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
        let condition = version.lt_eq(row);
        join.filter = Some(match join.filter.take() {
            Some(filter) => filter.and(condition),
            None => condition,
        });
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    })?;
    Ok(told.data)
}
