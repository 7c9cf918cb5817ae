//! Finds interval joins: joins whose condition bounds how far the event times of both sides are apart.

use super::Flow;
use super::expression::column_index;
use crate::operators::interval_join::Interval;
use crate::planner::Mark;
use datafusion_common::{DFSchema, JoinType, ScalarValue};
use datafusion_expr::logical_plan::Join;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Expr, Operator};

/// The interval of a join, if it has one: rows that are never taken back, and bounds on both sides.
pub(super) fn interval(join: &Join, left: &Flow, right: &Flow) -> Option<Interval> {
    let pairs = matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
    if !pairs || left.changes || right.changes {
        return None;
    }
    let mut bounds = Bounds::default();
    for (one, other) in &join.on {
        bounds.add(one, Operator::Eq, other, &left.schema, &right.schema);
    }
    for condition in join.filter.iter().flat_map(split_conjunction) {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left: one, op, right: other }) => bounds.add(one, *op, other, &left.schema, &right.schema),
            Expr::Between(between) if !between.negated => {
                bounds.add(&between.expr, Operator::GtEq, &between.low, &left.schema, &right.schema);
                bounds.add(&between.expr, Operator::LtEq, &between.high, &left.schema, &right.schema);
            }
            _ => {}
        }
    }
    let (times, lower, upper) = (bounds.times?, bounds.lower?, bounds.upper?);
    Some(Interval { times, lower, upper })
}

/// What is known so far of the time of the left side minus that of the right.
#[derive(Default)]
struct Bounds {
    times: Option<[usize; 2]>,
    lower: Option<i64>,
    upper: Option<i64>,
}

impl Bounds {
    /// Takes in a comparison, if it is one of event times of both sides.
    fn add(&mut self, one: &Expr, op: Operator, other: &Expr, left: &DFSchema, right: &DFSchema) {
        let (Some((one, first)), Some((other, second))) = (shifted(one), shifted(other)) else { return };
        let time =
            |expr: &Expr, schema: &DFSchema| column_index(expr, schema).filter(|column| Mark::EventTime.is_on(schema.field(*column)));
        let (op, times, shift) = match (time(one, left), time(other, right), time(one, right), time(other, left)) {
            (Some(one), Some(other), ..) => (op, [one, other], second.saturating_sub(first)),
            (_, _, Some(one), Some(other)) => match op.swap() {
                Some(op) => (op, [other, one], first.saturating_sub(second)),
                None => return,
            },
            _ => return,
        };
        if *self.times.get_or_insert(times) != times {
            return;
        }
        let (lower, upper) = match op {
            Operator::Eq => (Some(shift), Some(shift)),
            Operator::GtEq => (Some(shift), None),
            Operator::Gt => (Some(shift.saturating_add(1)), None),
            Operator::LtEq => (None, Some(shift)),
            Operator::Lt => (None, Some(shift.saturating_sub(1))),
            _ => return,
        };
        self.lower = self.lower.max(lower);
        self.upper = match (self.upper, upper) {
            (Some(known), Some(upper)) => Some(known.min(upper)),
            (known, upper) => known.or(upper),
        };
    }
}

/// A column, and how many milliseconds are added to it.
fn shifted(expr: &Expr) -> Option<(&Expr, i64)> {
    match expr {
        Expr::Column(_) => Some((expr, 0)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => match (shifted(left), millis(right)) {
            (Some((column, shift)), Some(more)) => Some((column, shift.saturating_add(more))),
            _ => shifted(right).zip(millis(left)).map(|((column, shift), more)| (column, shift.saturating_add(more))),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            let (column, shift) = shifted(left)?;
            Some((column, shift.saturating_sub(millis(right)?)))
        }
        _ => None,
    }
}

/// A span of time without months.
pub(super) fn millis(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(span)), _) if span.months == 0 && span.nanoseconds % 1_000_000 == 0 => {
            Some(i64::from(span.days) * 86_400_000 + span.nanoseconds / 1_000_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(span)), _) => {
            Some(i64::from(span.days) * 86_400_000 + i64::from(span.milliseconds))
        }
        _ => None,
    }
}
