//! Refuses subqueries whose meaning the rules that make joins of them would change.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::expr::InSubquery;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

/// Checks all subqueries of a plan.
pub(super) fn check_subqueries(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Filter(filter) = node {
            split_conjunction(&filter.predicate).into_iter().try_for_each(check_condition)?;
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| match expr {
                Expr::ScalarSubquery(subquery) if subquery.subquery.max_rows().is_none_or(|rows| rows > 1) => {
                    let text = "a subquery that stands for a value has to give one row at most: aggregate it, or add LIMIT 1";
                    Err(DataFusionError::Plan(text.to_owned()))
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// A subquery at the top of a condition becomes a semi or an anti join, which knows nulls. Within OR it becomes a truth value that is
/// never null, so IN may be there, but nothing that turns it around.
fn check_condition(condition: &Expr) -> Result<()> {
    match condition {
        Expr::InSubquery(_) | Expr::Exists(_) => Ok(()),
        Expr::Not(inner) if matches!(&**inner, Expr::InSubquery(_) | Expr::Exists(_)) => Ok(()),
        other => check_within(other),
    }
}

fn check_within(condition: &Expr) -> Result<()> {
    match condition {
        Expr::InSubquery(InSubquery { negated: false, .. }) | Expr::Exists(_) => Ok(()),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            check_within(left)?;
            check_within(right)
        }
        other if other.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_))))? => {
            let text = "IN with a subquery may be joined with other conditions by AND and OR alone, and NOT IN by AND alone";
            Err(DataFusionError::Plan(format!("{text}; here it is in {other}")))
        }
        _ => Ok(()),
    }
}
