//! Top-N: `ROW_NUMBER() OVER (PARTITION BY ... ORDER BY ...)` with a condition `<= N` on it.

use super::expression::column_index;
use super::{Flow, GraphBuilder, unsupported};
use crate::functions::ROW_NUMBER;
use crate::operators::rank::{Order, Rank};
use crate::operators::row::ValueType;
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, ScalarValue};
use datafusion_expr::logical_plan::{Filter, Projection, Window};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{BinaryExpr, Expr, LogicalPlan, Operator, WindowFunctionDefinition, lit};
use std::sync::Arc;

/// Most rows of a key that are kept.
const MAX_LIMIT: i64 = 1_000_000;

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

impl GraphBuilder<'_> {
    /// A Top-N; `is_read` tells whether somebody above reads a column.
    pub(super) fn rank(&mut self, top: &TopN<'_>, is_read: impl Fn(&Column) -> bool) -> Result<Flow> {
        let input = self.relation(&top.window.input)?;
        if input.changes {
            return Err(unsupported("Top-N over rows that are updated"));
        }
        if top.limit == 0 {
            return Err(Error::user("a Top-N of no rows: the place of the first row is 1"));
        }
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
        let partition: Vec<Expr> =
            if function.params.partition_by.is_empty() { vec![lit(0_i64)] } else { function.params.partition_by.clone() };
        if function.params.order_by.is_empty() {
            return Err(Error::user("ROW_NUMBER() needs an ORDER BY in its OVER clause"));
        }
        let order_by = &function.params.order_by;
        let columns = |expr: &Expr| column_index(expr, &input.schema);
        let more: Vec<Expr> =
            partition.iter().chain(order_by.iter().map(|sort| &sort.expr)).filter(|expr| columns(expr).is_none()).cloned().collect();
        let flow = if more.is_empty() { input.clone() } else { self.with_columns(&input, &more)? };
        let width = input.schema.fields().len();
        let index = |expr: &Expr| columns(expr).or_else(|| more.iter().position(|added| added == expr).map(|at| width + at));
        let lost = || Error::bug("a column of a Top-N is lost");
        let key = partition.iter().map(|expr| index(expr).ok_or_else(lost)).collect::<Result<Vec<_>>>()?;
        let mut order = Vec::new();
        for sort in order_by {
            if sort.nulls_first != sort.asc {
                return Err(unsupported("NULLS FIRST or NULLS LAST other than Flink's default (nulls are lowest)"));
            }
            order.push(Order { column: index(&sort.expr).ok_or_else(lost)?, descending: !sort.asc });
        }
        let types = flow.schema.fields().iter().map(|field| ValueType::of(field.data_type())).collect::<Result<_>>()?;
        let place = place_of(top.window);
        let rest_reads = top.rest.as_ref().is_some_and(|rest| rest.column_refs().contains(&place));
        let with_place = rest_reads
            || match top.projection {
                // Whether somebody reads what the projection makes of it is not looked into.
                Some(projection) => projection.expr.iter().any(|expr| expr.column_refs().contains(&place)),
                None => is_read(&place),
            };
        let operator = Rank { key: key.clone(), order, types, limit: top.limit, with_place };
        let node = self.add_keyed("Rank", &[(&flow, key)], operator);
        self.graph.node_mut(node).description = Some(format!("Rank({shown}, limit=[{}])", top.limit));
        let mut fields: Vec<_> = flow.schema.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        let (qualifier, field) = top.window.schema.qualified_field(top.window.schema.fields().len() - 1);
        fields.push((qualifier.cloned(), Arc::clone(field)));
        let ranked = Flow { node, schema: super::expression::named(fields)?, changes: true };
        let columns: Vec<Expr> = top.window.schema.columns().into_iter().map(Expr::Column).collect();
        match top.projection {
            Some(projection) => self.calc(&ranked, top.rest.as_ref(), &projection.expr, &projection.schema),
            None => self.calc(&ranked, top.rest.as_ref(), &columns, &top.window.schema),
        }
    }
}
