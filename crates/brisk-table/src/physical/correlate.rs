//! Functions in FROM.

use super::expression::{batch_schema, physical};
use super::upsert_keys::UpsertKeys;
use super::{Flow, GraphBuilder};
use crate::operators;
use crate::planner::Correlate;
use brisk_base::Result;
use datafusion_common::Column;
use datafusion_expr::UserDefinedLogicalNodeCore;
use std::sync::Arc;

impl GraphBuilder<'_> {
    /// A correlation, of whose input those columns are wanted that are read.
    pub(super) fn correlate(&mut self, node: &Correlate, is_read: impl Fn(&Column) -> bool) -> Result<Flow> {
        let input = self.relation(&node.input)?;
        let operator = operators::correlate::Correlate {
            input: batch_schema(&input.schema),
            read: input.schema.columns().iter().map(is_read).collect(),
            function: Arc::clone(&node.call.function),
            arguments: node.call.arguments.iter().map(|argument| physical(argument, &input.schema)).collect::<Result<_>>()?,
            outer: node.outer,
        };
        let id = self.add("Correlate", &input, operator);
        let kind = if node.outer { "LEFT" } else { "INNER" };
        self.graph.node_mut(id).description = Some(format!("Correlate(invocation=[{}], joinType=[{kind}])", node.call));
        Ok(Flow { node: id, schema: Arc::clone(node.schema()), changes: input.changes, upsert_keys: UpsertKeys::default() })
    }
}
