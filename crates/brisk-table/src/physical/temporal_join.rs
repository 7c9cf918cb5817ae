//! Joins with the versions of a table: `FOR SYSTEM_TIME AS OF` an event time, or the clock.

use super::expression::{batch_schema, column_index, physical};
use super::join::{pair_schema, side};
use super::{Flow, GraphBuilder, unsupported};
use crate::operators::join::JoinCondition;
use crate::operators::temporal_join::{ClockTemporalJoin, TemporalJoin, VersionJoin};
use crate::planner::{Mark, ScannedTable, conditions_on, looked_up};
use brisk_base::{Error, Result};
use datafusion_common::{DFSchema, JoinType};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Expr, LogicalPlan, logical_plan};
use std::sync::Arc;

/// Whether the versions of a temporal join are those at an event time.
fn is_by_time(join: &logical_plan::Join) -> bool {
    let time = looked_up(&join.right).map(|lookup| join.left.schema().qualified_fields_with_unqualified_name(&lookup.time));
    time.is_some_and(|found| found.iter().any(|(_, field)| Mark::EventTime.is_on(field)))
}

impl GraphBuilder<'_> {
    /// Whether a join is one with the versions of a table: at an event time always, and by the clock where it cannot be looked up.
    pub(super) fn is_temporal(&self, join: &logical_plan::Join) -> Result<bool> {
        let Some(lookup) = looked_up(&join.right) else { return Ok(false) };
        if is_by_time(join) {
            return Ok(true);
        }
        let LogicalPlan::TableScan(scan) = &lookup.input else { return Ok(true) };
        let Some(ScannedTable(table)) = scan.source.downcast_ref::<ScannedTable>() else { return Ok(false) };
        let connector = self.connectors.find(&table.declaration)?;
        Ok(connector.lookup(&table.declaration).is_err() && connector.source(&table.declaration).is_ok())
    }

    pub(super) fn temporal_join(&mut self, join: &logical_plan::Join) -> Result<Flow> {
        let keep = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            other => return Err(Error::user(format!("FOR SYSTEM_TIME AS OF takes an inner or a left join, not a {other} join"))),
        };
        let Some(lookup) = looked_up(&join.right) else { return Err(Error::bug("a table with versions is lost")) };
        check_primary_key(&lookup.input)?;
        let left = self.relation(&join.left)?;
        let by_time = is_by_time(join);
        // At an event time each change is a version, also one that the next row of its batch ends.
        let row_exact = self.row_exact;
        self.row_exact |= by_time;
        let right = self.relation(&lookup.input);
        self.row_exact = row_exact;
        let right = right?;
        let right = Flow { schema: Arc::clone(join.right.schema()), ..right };
        if left.changes {
            return Err(unsupported("FOR SYSTEM_TIME AS OF, from rows that are updated,"));
        }
        let times = if by_time { Some(event_times(&left.schema, &right.schema, &lookup.time)?) } else { None };
        // Versions are those of a key; what else has to be equal is asked of them.
        let compared: Vec<usize> = join.on.iter().filter_map(|(_, expr)| column_index(expr, &right.schema)).collect();
        let Some(key) = right.upsert_keys.within(&compared) else {
            let keys = right.upsert_keys.shown(&right.schema);
            let missing = keys.map_or_else(
                || {
                    "it has no key: declare a PRIMARY KEY, or take the last row of each key, ROW_NUMBER() ... ORDER BY time DESC with = 1"
                        .to_owned()
                },
                |keys| format!("not all columns of its key are compared ({keys})"),
            );
            return Err(Error::user(format!(
                "FOR SYSTEM_TIME AS OF needs a condition of equality for each column of the key that it tells versions of, but {missing}"
            )));
        };
        let is_key = |expr: &Expr| column_index(expr, &right.schema).is_some_and(|column| key.contains(&column));
        let (on, others): (Vec<_>, Vec<_>) = join.on.iter().cloned().partition(|(_, right)| is_key(right));
        let (left_keys, right_keys): (Vec<_>, Vec<_>) = on.iter().cloned().unzip();
        let error = |error: datafusion_common::DataFusionError| Error::user(error.strip_backtrace());
        let moved = conditions_on(&join.right).map_err(error)?;
        let filter = conjunction(others.into_iter().map(|(left, right)| left.eq(right)).chain(join.filter.iter().cloned()).chain(moved));
        let (left, left_key) = self.with_key(&left, &left_keys)?;
        let (right, right_key) = self.with_key(&right, &right_keys)?;
        let pairs = pair_schema(&left.schema, &right.schema)?;
        let condition = filter
            .as_ref()
            .map(|filter| -> Result<_> { Ok(JoinCondition { schema: batch_schema(&pairs), condition: physical(filter, &pairs)? }) });
        let version_join =
            VersionJoin { sides: [side(&left, &left_key)?, side(&right, &right_key)?], condition: condition.transpose()?, keep };
        let inputs = [(&left, left_key), (&right, right_key)];
        let node = match times {
            Some(times) => self.add_keyed("TemporalJoin", &inputs, TemporalJoin { join: version_join, times }),
            None => {
                let operator = ClockTemporalJoin { join: version_join, state_ttl: self.state_ttl };
                let node = self.add_keyed("TemporalJoin", &inputs, operator);
                self.grows(node, "the present version of each key");
                node
            }
        };
        let on: Vec<_> = on.iter().map(|(left, right)| format!("{left} = {right}")).collect();
        let shown_filter = filter.map(|filter| format!(", where=[{filter}]")).unwrap_or_default();
        let time = &lookup.time;
        self.graph.node_mut(node).description =
            Some(format!("TemporalJoin(type=[{}Join], on=[{}], as of=[{time}]{shown_filter})", join.join_type, on.join(", ")));
        let joined = Flow { node, schema: pairs, changes: false, upsert_keys: left.upsert_keys };
        let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
        self.calc(&joined, None, &columns, &join.schema)
    }
}

/// The columns of event time of both sides.
fn event_times(left: &DFSchema, right: &DFSchema, name: &str) -> Result<[usize; 2]> {
    let event_time = |schema: &DFSchema, wanted: &dyn Fn(usize) -> bool| {
        (0..schema.fields().len()).find(|index| Mark::EventTime.is_on(schema.field(*index)) && wanted(*index))
    };
    let Some(left_time) = event_time(left, &|index| left.field(index).name() == name) else {
        return Err(Error::bug("the time of a temporal join is lost"));
    };
    let Some(right_time) = event_time(right, &|_| true) else {
        return Err(Error::user("FOR SYSTEM_TIME AS OF an event time needs a table with versions: declare WATERMARK FOR its time"));
    };
    Ok([left_time, right_time])
}

/// A table itself has to have a primary key.
fn check_primary_key(plan: &LogicalPlan) -> Result<()> {
    let LogicalPlan::TableScan(scan) = plan else { return Ok(()) };
    let Some(ScannedTable(table)) = scan.source.downcast_ref::<ScannedTable>() else {
        return Err(Error::bug(format!("the table '{}' is not one of the catalog", scan.table_name)));
    };
    match table.primary_key.is_empty() {
        true => Err(table.declaration.error("FOR SYSTEM_TIME AS OF needs a PRIMARY KEY, of which it tells versions: declare it")),
        false => Ok(()),
    }
}
