//! What has a syntax of its own in SQL becomes calls of functions: `SUBSTRING(a FROM 2)`, `FLOOR(ts TO HOUR)`, `TIMESTAMPDIFF(DAY, a, b)`. Literals
//! of timestamps get their precision.
//!
//! The planner knows some of these forms, and means DataFusion's functions by them; others it refuses.

use crate::functions::ARRAY;
use crate::sql::call;
use datafusion_sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion_sql::sqlparser::ast::{
    CaseWhen, CeilFloorKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query,
    SelectItem, SetExpr, TrimWhereField, TypedString, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion_sql::sqlparser::tokenizer::Span;
use std::ops::ControlFlow;

/// Rewrites all expressions of a query, or an expression.
pub(super) fn rewrite_syntax(tree: &mut impl VisitMut) {
    let _ = VisitMut::visit(tree, &mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        name_apart(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(rewritten) = rewritten(expr) {
            *expr = rewritten;
        }
        ControlFlow::Continue(())
    }
}

/// Names columns of a SELECT that are written like one in front of them, as Flink does: `SELECT x, x, COUNT(*), COUNT(*)` has the columns `x`, `x0`,
/// `EXPR$2` and `EXPR$3`. The planner wants names that differ.
fn name_apart(body: &mut SetExpr) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, right, .. } => {
            name_apart(left);
            return name_apart(right);
        }
        _ => return,
    };
    let written: Vec<String> = select.projection.iter().map(ToString::to_string).collect();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let before = written[..index].iter().filter(|other| **other == written[index]).count();
        if before == 0 {
            continue;
        }
        let name = match &*expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        let name = name.map_or_else(|| format!("EXPR${index}"), |name| format!("{}{}", name.value, before - 1));
        let expr = std::mem::replace(expr, Expr::value(Value::Null));
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', name) };
    }
}

fn rewritten(expr: &mut Expr) -> Option<Expr> {
    let take = |expr: &mut Box<Expr>| std::mem::replace(&mut **expr, Expr::value(Value::Null));
    Some(match expr {
        Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
            let length = substring_for.as_mut().map(take);
            call("substring", [take(expr), take(from)].into_iter().chain(length).collect())
        }
        Expr::Position { expr, r#in } => call("position", vec![take(expr), take(r#in)]),
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let length = overlay_for.as_mut().map(take);
            call("overlay", [take(expr), take(overlay_what), take(overlay_from)].into_iter().chain(length).collect())
        }
        Expr::Trim { expr, trim_where, trim_what, trim_characters: None } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                Some(TrimWhereField::Both) | None => "trim",
            };
            let characters = trim_what.as_mut().map(take);
            call(name, [take(expr)].into_iter().chain(characters).collect())
        }
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(unit) } if *unit != DateTimeField::NoDateTime => {
            call("floor_to", vec![take(expr), text(unit.to_string())])
        }
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(unit) } if *unit != DateTimeField::NoDateTime => {
            call("ceil_to", vec![take(expr), text(unit.to_string())])
        }
        // The planner forgets what stands around the elements of an array.
        Expr::Array(array) => call(ARRAY, std::mem::take(&mut array.elem)),
        Expr::Function(function) => return rewritten_call(function),
        Expr::TypedString(TypedString { data_type: DataType::Timestamp(precision @ None, _), value, .. }) => {
            *precision = Some(digits(value));
            return None;
        }
        _ => return None,
    })
}

/// How precise `TIMESTAMP '2020-01-01 00:00:00.123'` is: as it is written, but milliseconds at least.
fn digits(literal: &ValueWithSpan) -> u64 {
    let Value::SingleQuotedString(text) = &literal.value else { return 3 };
    text.rsplit_once('.').map_or(3, |(_, digits)| digits.len().max(3) as u64)
}

fn rewritten_call(function: &mut Function) -> Option<Expr> {
    let name = function.name.to_string().to_uppercase();
    let FunctionArguments::List(list) = &mut function.args else { return None };
    match (&*name, &mut *list.args) {
        ("TIMESTAMPDIFF" | "TIMESTAMPADD", [FunctionArg::Unnamed(FunctionArgExpr::Expr(unit)), _, _]) => {
            if let Expr::Identifier(name) = unit {
                *unit = text(name.value.clone());
            }
            None
        }
        (
            "IF",
            [
                FunctionArg::Unnamed(FunctionArgExpr::Expr(condition)),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(then)),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(otherwise)),
            ],
        ) => Some(Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen { condition: condition.clone(), result: then.clone() }],
            else_result: Some(Box::new(otherwise.clone())),
        }),
        ("IFNULL", [FunctionArg::Unnamed(FunctionArgExpr::Expr(value)), FunctionArg::Unnamed(FunctionArgExpr::Expr(other))]) => {
            Some(call("coalesce", vec![value.clone(), other.clone()]))
        }
        _ => None,
    }
}

fn text(value: String) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(value), span: Span::empty() })
}
