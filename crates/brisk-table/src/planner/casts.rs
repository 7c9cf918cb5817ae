//! Casts from and to arrays, maps and rows, as Flink has them: DataFusion matches fields of rows by their names, and shows values otherwise.

use crate::functions::{casted, is_cast};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan};

/// Puts our casts in the place of such casts of a plan.
pub(super) fn with_casts(plan: LogicalPlan) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|plan| {
        let (schema, names) = (merge_schema(&plan.inputs()), NamePreserver::new(&plan));
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(cast_in(expr, &schema)?.update_data(|expr| name.restore(expr)))
        })?;
        if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
    })?;
    Ok(replaced.data)
}

/// The same of an expression.
pub(super) fn cast_in(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| {
        let (inner, to, is_safe) = match &expr {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type(), false),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type(), true),
            _ => return Ok(Transformed::no(expr)),
        };
        let from = inner.get_type(schema)?;
        if !is_cast(&from, to) {
            return Ok(Transformed::no(expr));
        }
        casted((**inner).clone(), &from, to, is_safe).map(Transformed::yes)
    })
}
