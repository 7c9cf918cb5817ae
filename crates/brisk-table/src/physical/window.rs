//! Window functions in FROM.

use super::expression::column_index;
use super::{Flow, GraphBuilder};
use crate::operators::window_table::{Times, WindowKind, WindowTableOperator};
use crate::planner::{Mark, WindowTable};
use brisk_base::{Error, Result};
use datafusion_common::DFSchema;
use datafusion_expr::logical_plan::Extension;
use datafusion_expr::{Expr, LogicalPlan};
use std::sync::Arc;

/// The node of a window function, if it is one.
pub(super) fn as_window_table(extension: &Extension) -> Option<&WindowTable> {
    extension.node.as_any().downcast_ref()
}

/// The windows that an aggregation of this input can find by itself: nothing in between looks at them. By the clock, or of event time.
pub(super) fn unseen_windows(plan: &LogicalPlan, by_clock: bool) -> Option<WindowKind> {
    match plan {
        LogicalPlan::Extension(extension) => {
            as_window_table(extension).filter(|window| window.by_clock == by_clock).map(|window| window.kind)
        }
        LogicalPlan::SubqueryAlias(alias) => unseen_windows(&alias.input, by_clock),
        LogicalPlan::Projection(projection) => {
            let schema = projection.input.schema();
            let plain = |expr: &Expr| column_index(expr, schema).is_some() || !looks_at_windows(expr, schema);
            unseen_windows(&projection.input, by_clock).filter(|_| projection.expr.iter().all(plain))
        }
        LogicalPlan::Filter(filter) => {
            unseen_windows(&filter.input, by_clock).filter(|_| !looks_at_windows(&filter.predicate, filter.input.schema()))
        }
        _ => None,
    }
}

/// Whether an expression may read a column that a window function has made.
pub(super) fn looks_at_windows(expr: &Expr, schema: &DFSchema) -> bool {
    let marks = [Mark::ClockWindowStart, Mark::ClockWindowEnd, Mark::ProcessingTime, Mark::WindowStart, Mark::WindowEnd, Mark::EventTime];
    let made = |index: usize| marks.iter().any(|mark| mark.is_on(schema.field(index)));
    expr.column_refs().into_iter().any(|column| schema.maybe_index_of_column(column).is_none_or(made))
}

impl GraphBuilder<'_> {
    pub(super) fn window_table(&mut self, extension: &Extension) -> Result<Flow> {
        let Some(window) = as_window_table(extension) else {
            return Err(super::unsupported(extension.node.name()));
        };
        let left = std::mem::take(&mut self.windows_by_aggregation);
        let input = self.relation(&window.input)?;
        let time = column_index(&window.time, &input.schema).ok_or_else(|| Error::bug("the time of a window is no column"))?;
        let (times, slices) = match window.by_clock {
            true if left => (Times::Later, None),
            true => (Times::Clock, None),
            false => (Times::Column(time), window.kind.slices().filter(|_| left)),
        };
        let node = self.add("WindowTableFunction", &input, WindowTableOperator { times, kind: slices.unwrap_or(window.kind) });
        let sliced = if slices.is_some() { ", in slices" } else { "" };
        self.graph.node_mut(node).description = Some(format!("WindowTableFunction({}{sliced})", window.kind));
        let schema = Arc::clone(datafusion_expr::UserDefinedLogicalNodeCore::schema(window));
        let width = input.schema.fields().len();
        let upsert_keys = match window.kind {
            WindowKind::Hop { .. } | WindowKind::Cumulate { .. } => input.upsert_keys.extended(&[width, width + 1]),
            WindowKind::Tumble { .. } | WindowKind::Session { .. } => input.upsert_keys,
        };
        Ok(Flow { node, schema, changes: input.changes, upsert_keys })
    }
}
