//! Top-N: `ROW_NUMBER() OVER (PARTITION BY ... ORDER BY ...)` with a condition `<= N` on it.

use super::expression::named;
use super::{Flow, GraphBuilder, unsupported};
use crate::functions::ROW_NUMBER;
use crate::operators::rank::{Order, Rank};
use crate::operators::row::ValueType;
use arrow_schema::{DataType, Field};
use brisk_base::{Error, Result};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, ScalarValue, TableReference};
use datafusion_expr::logical_plan::{Filter, Projection, Window};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{BinaryExpr, Expr, LogicalPlan, Operator, SortExpr, WindowFunctionDefinition, lit};
use std::sync::Arc;

/// Most rows of a key that are kept.
pub(super) const MAX_LIMIT: i64 = 1_000_000;

/// A Top-N that was found in a plan.
pub(super) struct TopN<'p> {
    window: &'p Window,
    /// What lies between the window and the filter.
    projection: Option<&'p Projection>,
    limit: usize,
    /// What else the filter asks for.
    rest: Option<Expr>,
}

/// The column with the place.
fn place_of(window: &Window) -> Column {
    let (qualifier, field) = window.schema.qualified_field(window.schema.fields().len() - 1);
    Column::new(qualifier.cloned(), field.name())
}

/// Finds a Top-N in a filter.
pub(super) fn top_n(filter: &Filter) -> Option<TopN<'_>> {
    let (window, projection) = match &*filter.input {
        LogicalPlan::Window(window) => (window, None),
        LogicalPlan::Projection(projection) => match &*projection.input {
            LogicalPlan::Window(window) => (window, Some(projection)),
            _ => return None,
        },
        _ => return None,
    };
    let place = place_of(window);
    let predicate = match projection {
        Some(projection) => below(&filter.predicate, projection)?,
        None => filter.predicate.clone(),
    };
    let mut limit = None;
    let mut rest = Vec::new();
    for condition in split_conjunction_owned(predicate) {
        match bound(&condition, &place) {
            Some(bound) => limit = Some(limit.map_or(bound, |limit: i64| limit.min(bound))),
            None => rest.push(condition),
        }
    }
    let limit = usize::try_from(limit?.min(MAX_LIMIT)).ok()?;
    Some(TopN { window, projection, limit, rest: conjunction(rest) })
}

/// A condition over the columns of a projection, as one over those of its input.
fn below(condition: &Expr, projection: &Projection) -> Option<Expr> {
    let replaced = condition.clone().transform(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        match projection.schema.maybe_index_of_column(column) {
            Some(index) => Ok(Transformed::yes(projection.expr[index].clone().unalias())),
            None => Ok(Transformed::no(expr)),
        }
    });
    replaced.ok().map(|replaced| replaced.data)
}

/// The greatest place that a condition allows.
fn bound(condition: &Expr, place: &Column) -> Option<i64> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let is_place = |expr: &Expr| match expr {
        Expr::Column(column) => column == place,
        Expr::Cast(cast) => matches!(&*cast.expr, Expr::Column(column) if column == place),
        _ => false,
    };
    let number = |expr: &Expr| match expr {
        Expr::Literal(value, _) => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(number)) => number,
            _ => None,
        },
        _ => None,
    };
    let (op, number) = if is_place(left) {
        (*op, number(right)?)
    } else if is_place(right) {
        (op.swap()?, number(left)?)
    } else {
        return None;
    };
    match op {
        Operator::LtEq => Some(number),
        Operator::Lt => Some(number.saturating_sub(1)),
        Operator::Eq if number == 1 => Some(1),
        _ => None,
    }
}

/// What is ranked, and how.
pub(super) struct Ranking<'p> {
    /// What rows are ranked within.
    pub(super) partition: &'p [Expr],
    /// What they are ordered by.
    pub(super) order_by: &'p [SortExpr],
    /// How many are kept.
    pub(super) limit: usize,
    /// Whether somebody reads the place.
    pub(super) with_place: bool,
    /// The column of the place.
    pub(super) place: (Option<TableReference>, Arc<Field>),
    /// For people.
    pub(super) shown: String,
}

impl GraphBuilder<'_> {
    /// A Top-N; `is_read` tells whether somebody above reads a column.
    pub(super) fn top_n(&mut self, top: &TopN<'_>, is_read: impl Fn(&Column) -> bool) -> Result<Flow> {
        let input = self.relation(&top.window.input)?;
        let [function] = &*top.window.window_expr else { return Err(unsupported("more than one window function at a time")) };
        let shown = function.to_string();
        let function = match function {
            Expr::Alias(alias) => &alias.expr,
            other => other,
        };
        let Expr::WindowFunction(function) = function else { return Err(unsupported(&function.to_string())) };
        match &function.fun {
            WindowFunctionDefinition::WindowUDF(udf) if udf.name() == ROW_NUMBER => {}
            other => return Err(unsupported(&format!("the window function {other}"))),
        }
        if function.params.order_by.is_empty() {
            return Err(Error::user("ROW_NUMBER() needs an ORDER BY in its OVER clause"));
        }
        let place = place_of(top.window);
        let rest_reads = top.rest.as_ref().is_some_and(|rest| rest.column_refs().contains(&place));
        let with_place = rest_reads
            || match top.projection {
                // Whether somebody reads what the projection makes of it is not looked into.
                Some(projection) => projection.expr.iter().any(|expr| expr.column_refs().contains(&place)),
                None => is_read(&place),
            };
        let (qualifier, field) = top.window.schema.qualified_field(top.window.schema.fields().len() - 1);
        let ranking = Ranking {
            partition: &function.params.partition_by,
            order_by: &function.params.order_by,
            limit: top.limit,
            with_place,
            place: (qualifier.cloned(), Arc::clone(field)),
            shown,
        };
        let ranked = self.rank(&input, ranking)?;
        let columns: Vec<Expr> = top.window.schema.columns().into_iter().map(Expr::Column).collect();
        match top.projection {
            Some(projection) => self.calc(&ranked, top.rest.as_ref(), &projection.expr, &projection.schema),
            None => self.calc(&ranked, top.rest.as_ref(), &columns, &top.window.schema),
        }
    }

    /// The first rows of each partition: the columns of the input, some more, and the place.
    pub(super) fn rank(&mut self, input: &Flow, ranking: Ranking<'_>) -> Result<Flow> {
        let partition = if ranking.partition.is_empty() { vec![lit(0_i64)] } else { ranking.partition.to_vec() };
        let order: Vec<Expr> = ranking.order_by.iter().map(|sort| sort.expr.clone()).collect();
        let (flow, key) = self.with_key(input, &partition)?;
        let (flow, columns) = self.with_key(&flow, &order)?;
        let order = columns.iter().zip(ranking.order_by);
        let order = order.map(|(column, sort)| Order { column: *column, descending: !sort.asc, nulls_first: sort.nulls_first }).collect();
        let types = flow.schema.fields().iter().map(|field| ValueType::of(field.data_type())).collect::<Result<_>>()?;
        let Ranking { limit, with_place, place, shown, .. } = ranking;
        let operator = Rank {
            key: key.clone(),
            order,
            types,
            limit,
            with_place,
            retract: flow.changes,
            row_exact: self.row_exact,
            state_ttl: self.state_ttl,
        };
        let node = self.add_keyed("Rank", &[(&flow, key.clone())], operator);
        self.graph.node_mut(node).description = Some(format!("Rank({shown}, limit=[{limit}])"));
        let mut fields: Vec<_> = flow.schema.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        fields.push(place);
        if flow.changes {
            self.grows(node, "all rows");
        } else if !ranking.partition.is_empty() {
            self.grows(node, "the first rows of each key");
        }
        let mut ranked: Vec<usize> = if ranking.partition.is_empty() { Vec::new() } else { key };
        if limit > 1 && with_place {
            ranked.push(flow.schema.fields().len());
        }
        let upsert_keys = if limit <= 1 || with_place { flow.upsert_keys.and(ranked) } else { flow.upsert_keys };
        Ok(Flow { node, schema: named(fields)?, changes: true, upsert_keys })
    }
}
