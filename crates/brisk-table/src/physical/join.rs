//! Joins of tables, and with tables that are looked up.

use super::expression::{batch_schema, named, physical, type_of};
use super::interval::interval;
use super::upsert_keys::UpsertKeys;
use super::window_join::same_window;
use super::{Flow, GraphBuilder, unsupported};
use crate::operators::interval_join::IntervalJoin;
use crate::operators::join::{Join, JoinCondition, JoinKind, JoinSide};
use crate::operators::lookup_join::LookupJoin;
use crate::operators::row::ValueType;
use crate::operators::window_join::WindowJoin;
use crate::planner::{ScannedTable, conditions_on, looked_up};
use brisk_base::{Error, Result};
use datafusion_common::{DFSchema, DFSchemaRef, JoinType, NullEquality, ScalarValue};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Expr, LogicalPlan, lit, logical_plan};
use std::sync::Arc;
use std::time::Duration;

impl GraphBuilder<'_> {
    pub(super) fn join(&mut self, join: &logical_plan::Join) -> Result<Flow> {
        if self.is_temporal(join)? {
            return self.temporal_join(join);
        }
        if looked_up(&join.right).is_some() {
            return self.lookup_join(join);
        }
        let kind = kind_of(join.join_type)?;
        let (on, filter) = conditions(join)?;
        let (mut left_keys, mut right_keys): (Vec<_>, Vec<_>) = on.iter().cloned().unzip();
        if on.is_empty() {
            // All rows have one key: a constant.
            left_keys.push(lit(0_i64));
            right_keys.push(lit(0_i64));
        }
        let left = self.relation(&join.left)?;
        let right = self.relation(&join.right)?;
        let (left, left_key) = self.with_key(&left, &left_keys)?;
        let (right, right_key) = self.with_key(&right, &right_keys)?;
        let pairs = pair_schema(&left.schema, &right.schema)?;
        let windows = same_window(join, &on, &left, &right)?;
        let interval = interval(join, &left, &right).filter(|_| windows.is_none());
        // An inner join is filtered behind it, a batch at a time.
        let behind = filter.as_ref().filter(|_| kind == JoinKind::INNER && interval.is_none());
        let within = filter.as_ref().filter(|_| behind.is_none());
        let condition =
            within.map(|filter| -> Result<_> { Ok(JoinCondition { schema: batch_schema(&pairs), condition: physical(filter, &pairs)? }) });
        // Rows of windows and intervals expire by themselves.
        let expires = windows.is_some() || interval.is_some();
        let state_ttl = if expires { Duration::ZERO } else { self.state_ttl };
        let sides = [side(&left, &left_key)?, side(&right, &right_key)?];
        let one_row = sides.each_ref().map(|side| side.one_row);
        let operator = Join {
            sides: sides.map(|side| JoinSide { state_ttl, ..side }),
            kind,
            condition: condition.transpose()?,
            nulls_are_equal: join.null_equality == NullEquality::NullEqualsNull,
        };
        let keys = [(&left, left_key), (&right, right_key)];
        let (name, node) = match (windows, interval) {
            (Some(windows), _) => ("WindowJoin", self.add_keyed("WindowJoin", &keys, WindowJoin { join: operator, windows })),
            (_, Some(interval)) => ("IntervalJoin", self.add_keyed("IntervalJoin", &keys, IntervalJoin { join: operator, interval })),
            _ => ("Join", self.add_keyed("Join", &keys, operator)),
        };
        if !expires {
            self.grows(node, "all rows of both sides");
        }
        let on: Vec<_> = on.iter().map(|(left, right)| format!("{left} = {right}")).collect();
        let shown_filter = filter.as_ref().map(|filter| format!(", where=[{filter}]")).unwrap_or_default();
        self.graph.node_mut(node).description =
            Some(format!("{name}(type=[{}Join], on=[{}]{shown_filter})", join.join_type, on.join(", ")));
        let schema = match kind {
            JoinKind::Pairs { .. } => pairs,
            JoinKind::Semi | JoinKind::Anti => Arc::clone(&left.schema),
            JoinKind::Mark => {
                let fields = left.schema.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
                let (qualifier, mark) = join.schema.qualified_field(join.schema.fields().len() - 1);
                named(fields.chain([(qualifier.cloned(), Arc::clone(mark))]).collect())?
            }
        };
        let appends = expires || matches!(kind, JoinKind::INNER | JoinKind::Semi);
        let upsert_keys = match kind {
            JoinKind::Pairs { keep } => {
                let sides = [&left.upsert_keys, &right.upsert_keys];
                UpsertKeys::of_pairs(sides, left.schema.fields().len(), [one_row[1], one_row[0]], [keep[1], keep[0]])
            }
            JoinKind::Semi | JoinKind::Anti | JoinKind::Mark => left.upsert_keys.clone(),
        };
        let joined = Flow { node, schema, changes: !appends || left.changes || right.changes, upsert_keys };
        let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
        self.calc(&joined, behind, &columns, &join.schema)
    }

    /// A join with a table that is looked up.
    fn lookup_join(&mut self, join: &logical_plan::Join) -> Result<Flow> {
        let keep = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            other => return Err(Error::user(format!("FOR SYSTEM_TIME AS OF takes an inner or a left join, not a {other} join"))),
        };
        if join.on.is_empty() || join.null_equality != NullEquality::NullEqualsNothing {
            return Err(unsupported("a look-up without a condition of equality"));
        }
        let scan = looked_up(&join.right).map(|lookup| &lookup.input);
        let Some(LogicalPlan::TableScan(scan)) = scan else { return Err(unsupported("a look-up of something else than a table")) };
        let Some(ScannedTable(table)) = scan.source.downcast_ref::<ScannedTable>() else {
            return Err(Error::bug(format!("the table '{}' is not one of the catalog", scan.table_name)));
        };
        let physical_column = |name: &str| {
            let index = table.declaration.schema.index_of(name);
            index.map_err(|_| unsupported(&format!("a look-up of the computed column '{name}'")))
        };
        let input = self.relation(&join.left)?;
        let mut columns = Vec::new();
        for field in scan.projected_schema.fields() {
            columns.push((physical_column(field.name())?, ValueType::of(field.data_type())?));
        }
        let (mut key, mut table_key) = (Vec::new(), Vec::new());
        for (left, right) in &join.on {
            let Expr::Column(column) = unwidened(right, join.right.schema())? else {
                return Err(unsupported(&format!("a look-up by the expression {right}")));
            };
            key.push(physical(left, &input.schema)?);
            table_key.push(physical_column(&column.name)?);
        }
        let lookup = self.connectors.find(&table.declaration)?.lookup(&table.declaration)?;
        let error = |error: datafusion_common::DataFusionError| Error::user(error.strip_backtrace());
        let filter = conjunction(join.filter.iter().cloned().chain(conditions_on(&join.right).map_err(error)?));
        let pairs = pair_schema(&input.schema, join.right.schema())?;
        let condition = filter
            .as_ref()
            .map(|filter| -> Result<_> { Ok(JoinCondition { schema: batch_schema(&pairs), condition: physical(filter, &pairs)? }) });
        let operator = LookupJoin {
            input: batch_schema(&input.schema),
            key,
            table: lookup,
            columns,
            table_key,
            condition: condition.transpose()?,
            keep,
        };
        let node = self.add("LookupJoin", &input, operator);
        let on: Vec<_> = join.on.iter().map(|(left, right)| format!("{left} = {right}")).collect();
        let shown_filter = filter.map(|filter| format!(", where=[{filter}]")).unwrap_or_default();
        let (name, kind) = (&table.declaration.name, join.join_type);
        self.graph.node_mut(node).description =
            Some(format!("LookupJoin(table=[{name}], type=[{kind}Join], on=[{}]{shown_filter})", on.join(", ")));
        // Of a primary key there is one row.
        let is_compared = |key: &String| join.on.iter().any(|(_, right)| matches!(right, Expr::Column(column) if column.name == *key));
        let one_partner = !table.primary_key.is_empty() && table.primary_key.iter().all(is_compared);
        let upsert_keys = if one_partner { input.upsert_keys.clone() } else { UpsertKeys::default() };
        let joined = Flow { node, schema: Arc::clone(&join.schema), changes: input.changes, upsert_keys };
        let all: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
        self.calc(&joined, None, &all, &join.schema)
    }
}

/// An expression without a cast to a wider type of whole numbers: as keys these are equal.
fn unwidened<'e>(expr: &'e Expr, schema: &DFSchema) -> Result<&'e Expr> {
    let Expr::Cast(cast) = expr else { return Ok(expr) };
    let [from, to] = [type_of(&cast.expr, schema)?, type_of(expr, schema)?];
    let widens = from.is_signed_integer() && to.is_signed_integer() && from.primitive_width() <= to.primitive_width();
    Ok(if widens { &cast.expr } else { expr })
}

/// What a join of the plan gives.
fn kind_of(join_type: JoinType) -> Result<JoinKind> {
    Ok(match join_type {
        JoinType::Inner => JoinKind::INNER,
        JoinType::Left => JoinKind::Pairs { keep: [true, false] },
        JoinType::Right => JoinKind::Pairs { keep: [false, true] },
        JoinType::Full => JoinKind::Pairs { keep: [true; 2] },
        JoinType::LeftSemi => JoinKind::Semi,
        JoinType::LeftAnti => JoinKind::Anti,
        JoinType::LeftMark => JoinKind::Mark,
        other => return Err(unsupported(&format!("a {other} join"))),
    })
}

/// Pairs of expressions over the left side and over the right.
type EqualKeys = Vec<(Expr, Expr)>;

/// The equal keys of a join, and what else it asks for.
///
/// `x NOT IN (SELECT y ...)` has no row as soon as it is not certain that x is none of the others: so `x = y` is not allowed to be true
/// and not to be null. It is the first condition of the join that the planner makes of it.
fn conditions(join: &logical_plan::Join) -> Result<(EqualKeys, Option<Expr>)> {
    let mut on = join.on.clone();
    let mut filters: Vec<Expr> = join.filter.iter().cloned().collect();
    if join.null_aware {
        if on.is_empty() {
            return Err(unsupported("NOT IN with a value that is no column of the table in front of it"));
        }
        let (left, right) = on.remove(0);
        filters.push(left.eq(right).is_not_false());
    }
    let is_true = |filter: &Expr| matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    filters.retain(|filter| !is_true(filter));
    Ok((on, conjunction(filters)))
}

/// The columns of both sides.
pub(super) fn pair_schema(left: &DFSchema, right: &DFSchema) -> Result<DFSchemaRef> {
    let fields = left.iter().chain(right.iter()).map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
    let fields = fields.enumerate().map(|(index, (qualifier, field))| {
        // Added key columns of both sides have the same names.
        if field.name().starts_with('$') {
            (None, Arc::new(field.as_ref().clone().with_name(format!("$joined{index}"))))
        } else {
            (qualifier, field)
        }
    });
    named(fields.collect())
}

pub(super) fn side(flow: &Flow, key: &[usize]) -> Result<JoinSide> {
    let types = flow.schema.fields().iter().map(|field| ValueType::of(field.data_type())).collect::<Result<_>>()?;
    Ok(JoinSide { key: key.to_vec(), types, one_row: flow.upsert_keys.are_in(key), appends: !flow.changes, state_ttl: Duration::ZERO })
}
