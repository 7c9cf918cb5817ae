//! Tables that are read: source, computed columns, watermarks.

use super::expression::{batch_schema, physical};
use super::upsert_keys::UpsertKeys;
use super::{Flow, GraphBuilder};
use crate::catalog::Table;
use crate::operators::watermark_assigner::WatermarkAssigner;
use brisk_base::{Error, Result};
use brisk_core::job_graph::NodeKind;
use datafusion_common::{DFSchema, DFSchemaRef};
use datafusion_expr::{Expr, ident};
use std::sync::Arc;

impl GraphBuilder<'_> {
    /// All columns of a table. A table that is read twice in a job has one source.
    pub(super) fn scan(&mut self, table: &Table) -> Result<Flow> {
        let name = &table.declaration.name;
        if let Some(known) = self.scans.get(name) {
            return Ok(known.clone());
        }
        let source = self.connectors.find(&table.declaration)?.source(&table.declaration)?;
        self.bounded &= source.bounded;
        let node = self.graph.add_node(format!("Source({name})"), NodeKind::Source { bounded: source.bounded }, 0, source.operator);
        self.name_uid(node);
        self.graph.node_mut(node).event_time = true;
        self.graph.node_mut(node).parallelism = source.parallelism;
        let schema = schema_of(&table.declaration.schema)?;
        let physical_columns = Flow { node, schema, changes: source.gives_changes, upsert_keys: UpsertKeys::default() };
        let computed = self.computed(table, physical_columns)?;
        let mut scanned = self.watermarks(table, computed)?;
        if !table.primary_key.is_empty() {
            let columns = table.primary_key.iter().map(|name| table.schema.index_of(name));
            let columns: Vec<usize> = columns.collect::<std::result::Result<_, _>>().map_err(|error| Error::bug(error.to_string()))?;
            scanned.upsert_keys = UpsertKeys::of(columns);
        }
        self.scans.insert(name.clone(), scanned.clone());
        Ok(scanned)
    }

    /// The columns in the order of the table, computed ones among them.
    fn computed(&mut self, table: &Table, input: Flow) -> Result<Flow> {
        if table.computed.iter().all(Option::is_none) {
            return Ok(input);
        }
        let mut columns = Vec::new();
        for (field, computed) in table.schema.fields().iter().zip(&table.computed) {
            columns.push(match computed {
                Some(expression) => self.planner.expression(expression.clone(), &table.declaration.schema, &table.text)?,
                None => ident(field.name()),
            });
        }
        let schema = schema_of(&table.schema)?;
        self.calc(&input, None, &columns, &schema)
    }

    fn watermarks(&mut self, table: &Table, input: Flow) -> Result<Flow> {
        let Some((column, expression)) = &table.watermark else { return Ok(input) };
        let watermark = self.planner.expression(expression.clone(), &table.schema, &table.text)?;
        let watermark = physical(&watermark, &input.schema)?;
        let time = table.schema.index_of(column).map_err(|error| Error::bug(error.to_string()))?;
        let assigner = WatermarkAssigner { schema: batch_schema(&input.schema), time, watermark };
        let node = self.add("WatermarkAssigner", &input, assigner);
        self.graph.node_mut(node).event_time = true;
        Ok(Flow { node, ..input })
    }
}

/// The columns of a scan, in the order asked for.
pub(super) fn projected(names: impl Iterator<Item = String>) -> Vec<Expr> {
    names.map(ident).collect()
}

fn schema_of(schema: &arrow_schema::SchemaRef) -> Result<DFSchemaRef> {
    let schema = DFSchema::try_from(Arc::clone(schema));
    schema.map(Arc::new).map_err(|error| Error::user(error.strip_backtrace()))
}
