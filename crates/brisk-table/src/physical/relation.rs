//! The nodes of a logical plan.

use super::rank::top_n;
use super::scan::projected;
use super::upsert_keys::UpsertKeys;
use super::{Flow, GraphBuilder, plan_name, unsupported};
use crate::operators::set_operation::SetOperator;
use crate::planner::{Correlate, ScannedTable, SetOperation, SetOperationKind};
use brisk_base::{Error, Result};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchemaRef};
use datafusion_expr::logical_plan::{Extension, Filter, Projection, TableScan, Union};
use datafusion_expr::{Expr, LogicalPlan};
use std::sync::Arc;

impl GraphBuilder<'_> {
    /// Builds a relation, unless the same one is there already.
    pub(crate) fn relation(&mut self, plan: &LogicalPlan) -> Result<Flow> {
        if self.windows_by_aggregation || self.built.is_none() || !can_be_read_twice(plan)? {
            return self.build(plan);
        }
        let known = self.built.iter().flatten().find(|(known, _)| known == plan);
        if let Some((_, flow)) = known {
            return Ok(flow.clone());
        }
        let flow = self.build(plan)?;
        self.built.iter_mut().for_each(|built| built.push((plan.clone(), flow.clone())));
        Ok(flow)
    }

    fn build(&mut self, plan: &LogicalPlan) -> Result<Flow> {
        match plan {
            LogicalPlan::TableScan(scan) => self.table_scan(scan),
            LogicalPlan::SubqueryAlias(alias) => {
                let input = self.relation(&alias.input)?;
                Ok(Flow { schema: Arc::clone(&alias.schema), ..input })
            }
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Window(window) => self.over(window),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::EmptyRelation(empty) => self.empty(empty),
            LogicalPlan::Extension(extension) => self.extension(extension),
            other => Err(unsupported(&plan_name(other))),
        }
    }

    /// A node of our own.
    fn extension(&mut self, extension: &Extension) -> Result<Flow> {
        if let Some(correlate) = extension.node.as_any().downcast_ref() {
            return self.correlate(correlate, |_| true);
        }
        match extension.node.as_any().downcast_ref() {
            Some(operation) => self.set_operation(operation),
            None => self.window_table(extension),
        }
    }

    fn set_operation(&mut self, operation: &SetOperation) -> Result<Flow> {
        let left = self.relation(&operation.left)?;
        let right = self.relation(&operation.right)?;
        let operator = SetOperator { kind: operation.kind, all: operation.all, state_ttl: self.state_ttl };
        let all: Vec<usize> = (0..left.schema.fields().len()).collect();
        let upsert_keys = if operation.all { UpsertKeys::default() } else { UpsertKeys::of(all.iter().copied()) };
        let node = self.add_keyed("SetOperation", &[(&left, all.clone()), (&right, all)], operator);
        self.graph.node_mut(node).description = Some(format!("SetOperation({operation})"));
        self.grows(node, "how often each row is on either side");
        let appends = operation.kind == SetOperationKind::Intersect && !left.changes && !right.changes;
        Ok(Flow { node, schema: Arc::clone(operation.left.schema()), changes: !appends, upsert_keys })
    }

    fn table_scan(&mut self, scan: &TableScan) -> Result<Flow> {
        let Some(ScannedTable(table)) = scan.source.downcast_ref::<ScannedTable>() else {
            return Err(Error::bug(format!("the table '{}' is not one of the catalog", scan.table_name)));
        };
        let input = self.scan(table)?;
        let names = scan.projected_schema.fields().iter().map(|field| field.name().clone());
        self.calc(&input, None, &projected(names), &scan.projected_schema)
    }

    /// A projection, together with a filter below it.
    fn projection(&mut self, projection: &Projection) -> Result<Flow> {
        match &*projection.input {
            LogicalPlan::Filter(filter) if top_n(filter).is_some() => {
                let is_read = |column: &Column| projection.expr.iter().any(|expr| expr.column_refs().contains(column));
                let top = top_n(filter).ok_or_else(|| Error::bug("a Top-N is lost"))?;
                let input = self.top_n(&top, is_read)?;
                self.calc(&input, None, &projection.expr, &projection.schema)
            }
            LogicalPlan::Filter(filter) => {
                let input = self.relation(&filter.input)?;
                self.calc(&input, Some(&filter.predicate), &projection.expr, &projection.schema)
            }
            LogicalPlan::Extension(extension) if extension.node.as_any().is::<Correlate>() => {
                let is_read = |column: &Column| projection.expr.iter().any(|expr| expr.column_refs().contains(column));
                let node = extension.node.as_any().downcast_ref().ok_or_else(|| Error::bug("a correlation is lost"))?;
                let input = self.correlate(node, is_read)?;
                self.calc(&input, None, &projection.expr, &projection.schema)
            }
            input => {
                let input = self.relation(input)?;
                self.calc(&input, None, &projection.expr, &projection.schema)
            }
        }
    }

    fn filter(&mut self, filter: &Filter) -> Result<Flow> {
        if let Some(top) = top_n(filter) {
            return self.top_n(&top, |_| true);
        }
        let input = self.relation(&filter.input)?;
        let columns: Vec<Expr> = input.schema.columns().into_iter().map(Expr::Column).collect();
        let schema = Arc::clone(&input.schema);
        self.calc(&input, Some(&filter.predicate), &columns, &schema)
    }

    fn union(&mut self, union: &Union) -> Result<Flow> {
        let inputs = union.inputs.iter().map(|input| self.relation(input)).collect::<Result<Vec<_>>>()?;
        self.united(&inputs, &union.schema)
    }

    /// `UNION ALL`: all inputs go into one operator.
    pub(super) fn united(&mut self, inputs: &[Flow], schema: &DFSchemaRef) -> Result<Flow> {
        let Some((first, others)) = inputs.split_first() else { return Err(Error::bug("a union has no inputs")) };
        let columns: Vec<Expr> = first.schema.columns().into_iter().map(Expr::Column).collect();
        let united = self.calc_always(first, None, &columns, schema)?;
        others.iter().for_each(|other| self.connect(other, united.node, 0, None));
        let upsert_keys = UpsertKeys::default();
        Ok(Flow { changes: inputs.iter().any(|input| input.changes), upsert_keys, ..united })
    }
}

/// Whether a relation gives the same rows whenever it is computed: not where an expression asks the clock or for random numbers.
fn can_be_read_twice(plan: &LogicalPlan) -> Result<bool> {
    let mut is_stable = true;
    let looked = plan.apply(|node| {
        is_stable &= !node.expressions().iter().any(Expr::is_volatile);
        Ok(if is_stable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    looked.map_err(|error| Error::bug(error.strip_backtrace()))?;
    Ok(is_stable)
}
