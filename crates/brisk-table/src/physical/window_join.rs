//! Finds window joins: joins of rows that have the same window.

use super::aggregate::session_below;
use super::expression::column_index;
use super::{Flow, unsupported};
use crate::planner::Mark;
use brisk_base::Result;
use datafusion_expr::Expr;
use datafusion_expr::logical_plan::Join;

/// The columns with start and end of the window, of both sides, if a join asks for the same window of rows that are never taken back.
pub(super) fn same_window(join: &Join, on: &[(Expr, Expr)], left: &Flow, right: &Flow) -> Result<Option<[(usize, usize); 2]>> {
    if left.changes || right.changes {
        return Ok(None);
    }
    // What stands on the side of an outer join that may be missing is no window.
    let marked = |expr: &Expr, flow: &Flow, mark: Mark| {
        column_index(expr, &flow.schema).filter(|column| {
            let field = flow.schema.field(*column);
            mark.is_on(field) && !field.is_nullable()
        })
    };
    let both = |mark: Mark| on.iter().find_map(|(one, other)| Some((marked(one, left, mark)?, marked(other, right, mark)?)));
    let (Some(starts), Some(ends)) = (both(Mark::WindowStart), both(Mark::WindowEnd)) else { return Ok(None) };
    if session_below(&join.left) || session_below(&join.right) {
        return Err(unsupported("a join of session windows without an aggregation below it: it ends a session,"));
    }
    Ok(Some([(starts.0, ends.0), (starts.1, ends.1)]))
}
