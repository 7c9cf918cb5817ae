//! Joins by equal keys.

use super::expression::{batch_schema, column_index, named, physical};
use super::{Flow, GraphBuilder, unsupported};
use crate::operators::join::{Join, JoinSide};
use crate::operators::lookup_join::LookupJoin;
use crate::operators::row::ValueType;
use crate::planner::{ScannedTable, looked_up};
use brisk_base::{Error, Result};
use datafusion_common::{DFSchemaRef, JoinType, NullEquality};
use datafusion_expr::logical_plan;
use datafusion_expr::{Expr, LogicalPlan};
use std::sync::Arc;

impl GraphBuilder<'_> {
    pub(super) fn join(&mut self, join: &logical_plan::Join) -> Result<Flow> {
        if join.join_type != JoinType::Inner {
            return Err(unsupported(&format!("a {} join", join.join_type)));
        }
        if join.on.is_empty() {
            return Err(unsupported("a join without a condition of equality"));
        }
        if join.null_equality != NullEquality::NullEqualsNothing {
            return Err(unsupported("a join in which nulls are equal"));
        }
        if looked_up(&join.right).is_some() {
            return self.lookup_join(join);
        }
        let (left_keys, right_keys): (Vec<_>, Vec<_>) = join.on.iter().cloned().unzip();
        let left = self.relation(&join.left)?;
        let right = self.relation(&join.right)?;
        let (left, left_key) = self.with_key(&left, &left_keys)?;
        let (right, right_key) = self.with_key(&right, &right_keys)?;
        let sides = [(&left, &left_key), (&right, &right_key)].map(|(flow, key)| side(&flow.schema, key));
        let [left_side, right_side] = sides;
        let operator = Join { sides: [left_side?, right_side?] };
        let node = self.add_keyed("Join", &[(&left, left_key), (&right, right_key)], operator);
        let on: Vec<_> = join.on.iter().map(|(left, right)| format!("{left} = {right}")).collect();
        let filter = join.filter.as_ref().map(|filter| format!(", where=[{filter}]")).unwrap_or_default();
        self.graph.node_mut(node).description = Some(format!("Join(type=[InnerJoin], on=[{}]{filter})", on.join(", ")));
        let fields = left.schema.iter().chain(right.schema.iter()).map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
        let fields = fields.enumerate().map(|(index, (qualifier, field))| {
            // Added key columns of both sides have the same names.
            if field.name().starts_with('$') {
                (None, Arc::new(field.as_ref().clone().with_name(format!("$joined{index}"))))
            } else {
                (qualifier, field)
            }
        });
        let joined = Flow { node, schema: named(fields.collect())?, changes: left.changes || right.changes };
        let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
        self.calc(&joined, join.filter.as_ref(), &columns, &join.schema)
    }

    /// A join with a table that is looked up.
    fn lookup_join(&mut self, join: &logical_plan::Join) -> Result<Flow> {
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
            let Expr::Column(column) = right else { return Err(unsupported(&format!("a look-up by the expression {right}"))) };
            key.push(physical(left, &input.schema)?);
            table_key.push(physical_column(&column.name)?);
        }
        let lookup = self.connectors.find(&table.declaration)?.lookup(&table.declaration)?;
        let operator = LookupJoin { input: batch_schema(&input.schema), key, table: lookup, columns, table_key };
        let node = self.add("LookupJoin", &input, operator);
        let on: Vec<_> = join.on.iter().map(|(left, right)| format!("{left} = {right}")).collect();
        self.graph.node_mut(node).description = Some(format!("LookupJoin(table=[{}], on=[{}])", table.declaration.name, on.join(", ")));
        let joined = Flow { node, schema: Arc::clone(&join.schema), changes: input.changes };
        let all: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
        self.calc(&joined, join.filter.as_ref(), &all, &join.schema)
    }

    /// A side with columns for those parts of its key that are none, and the indexes of the key.
    fn with_key(&mut self, input: &Flow, key: &[Expr]) -> Result<(Flow, Vec<usize>)> {
        let computed: Vec<Expr> = key.iter().filter(|part| column_index(part, &input.schema).is_none()).cloned().collect();
        let flow = if computed.is_empty() { input.clone() } else { self.with_columns(input, &computed)? };
        let mut next = input.schema.fields().len();
        let index = |part: &Expr| {
            column_index(part, &input.schema).unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        };
        Ok((flow, key.iter().map(index).collect()))
    }
}

fn side(schema: &DFSchemaRef, key: &[usize]) -> Result<JoinSide> {
    let types = schema.fields().iter().map(|field| ValueType::of(field.data_type())).collect::<Result<_>>()?;
    Ok(JoinSide { key: key.to_vec(), types })
}
