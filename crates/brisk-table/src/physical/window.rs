//! Window functions in FROM.

use super::expression::column_index;
use super::{Flow, GraphBuilder};
use crate::operators::window_table::WindowTableOperator;
use crate::planner::WindowTable;
use brisk_base::{Error, Result};
use datafusion_expr::logical_plan::Extension;
use std::sync::Arc;

/// The node of a window function, if it is one.
pub(super) fn as_window_table(extension: &Extension) -> Option<&WindowTable> {
    extension.node.as_any().downcast_ref()
}

impl GraphBuilder<'_> {
    pub(super) fn window_table(&mut self, extension: &Extension) -> Result<Flow> {
        let Some(window) = as_window_table(extension) else {
            return Err(super::unsupported(extension.node.name()));
        };
        let input = self.relation(&window.input)?;
        let time = column_index(&window.time, &input.schema).ok_or_else(|| Error::bug("the time of a window is no column"))?;
        let node = self.add("WindowTableFunction", &input, WindowTableOperator { time, kind: window.kind });
        self.graph.node_mut(node).description = Some(format!("WindowTableFunction({})", window.kind));
        let schema = Arc::clone(datafusion_expr::UserDefinedLogicalNodeCore::schema(window));
        Ok(Flow { node, schema, changes: input.changes })
    }
}
