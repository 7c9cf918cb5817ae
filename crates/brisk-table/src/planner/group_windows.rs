//! The older windows of GROUP BY: `GROUP BY k, SESSION(ts, INTERVAL '10' SECOND)` becomes a grouping over the window function in FROM.

use crate::sql::call;
use datafusion_common::{DataFusionError, Result};
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Query, Select, SetExpr, TableFactor, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

/// Rewrites all selects of a query.
pub(super) fn rewrite_group_windows(query: &mut Query) -> Result<()> {
    match VisitMut::visit(query, &mut Rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        match rewrite_body(&mut query.body) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn rewrite_body(body: &mut SetExpr) -> Result<()> {
    match body {
        SetExpr::Select(select) => rewrite(select),
        SetExpr::SetOperation { left, right, .. } => rewrite_body(left).and_then(|()| rewrite_body(right)),
        _ => Ok(()),
    }
}

/// Name and arguments of a window function in GROUP BY.
fn window(expr: &Expr) -> Option<(String, Vec<Expr>)> {
    let Expr::Function(function) = expr else { return None };
    let name = function.name.to_string().to_uppercase();
    if !["TUMBLE", "HOP", "SESSION"].contains(&name.as_str()) {
        return None;
    }
    Some((name, arguments(function)?))
}

fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(argument).collect()
}

fn rewrite(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(group_by, _) = &mut select.group_by else { return Ok(()) };
    let Some(at) = group_by.iter().position(|expr| window(expr).is_some()) else { return Ok(()) };
    let Some((name, arguments)) = window(&group_by[at]) else { return Ok(()) };
    let [time, spans @ ..] = &*arguments else {
        return Err(DataFusionError::Plan(format!("{name} in GROUP BY takes a time attribute and a span")));
    };
    let usage = || DataFusionError::Plan(format!("{name} in GROUP BY needs a single table in FROM"));
    let [from] = &mut *select.from else { return Err(usage()) };
    let TableFactor::Table { name: table, alias, args: None, .. } = &from.relation else { return Err(usage()) };
    if !from.joins.is_empty() {
        return Err(usage());
    }
    let table_name = table.0.last().and_then(|part| part.as_ident()).cloned().ok_or_else(usage)?;
    let time = match time {
        Expr::Identifier(time) => time.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().cloned().ok_or_else(usage)?,
        _ => return Err(DataFusionError::Plan(format!("the first argument of {name} has to be a time attribute"))),
    };
    let mut call = vec![Expr::Identifier(table_name), call("DESCRIPTOR", vec![Expr::Identifier(time)])];
    call.extend(spans.iter().cloned());
    from.relation = TableFactor::TableFunction { expr: crate::sql::call(&name, call), alias: alias.clone() };
    group_by.splice(at..=at, ["window_start", "window_end"].map(|column| Expr::Identifier(Ident::new(column))));
    let auxiliary = &mut Auxiliary(name);
    let _ = VisitMut::visit(&mut select.projection, auxiliary);
    let _ = VisitMut::visit(&mut select.having, auxiliary);
    Ok(())
}

/// `SESSION_START(...)` is the column `window_start`, and so on.
struct Auxiliary(String);

impl VisitorMut for Auxiliary {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Function(function) = &*expr else { return ControlFlow::Continue(()) };
        let called = function.name.to_string().to_uppercase();
        let column = match called.strip_prefix(&self.0) {
            Some("_START") => "window_start",
            Some("_END") => "window_end",
            Some("_ROWTIME") => "window_time",
            _ => return ControlFlow::Continue(()),
        };
        *expr = Expr::Identifier(Ident::new(column));
        ControlFlow::Continue(())
    }
}
