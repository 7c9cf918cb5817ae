//! ORDER BY and LIMIT.
//!
//! A stream can be sorted by event time, as the watermark advances; by anything else only its first rows can be given.

use super::expression::column_index;
use super::rank::{MAX_LIMIT, Ranking};
use super::{Flow, GraphBuilder, unsupported};
use crate::operators::rank::Order;
use crate::operators::row::ValueType;
use crate::operators::temporal_sort::TemporalSort;
use crate::planner::Mark;
use arrow_schema::{DataType, Field};
use brisk_base::{Error, Result};
use datafusion_expr::logical_plan::{FetchType, Limit, SkipType, Sort};
use datafusion_expr::{Expr, LogicalPlan, SortExpr, col, lit};
use std::sync::Arc;

/// Name of the column with the place of a row.
const PLACE: &str = "$place";

/// Which rows of an order are given.
#[derive(Clone, Copy)]
struct Span {
    skip: usize,
    fetch: usize,
}

impl GraphBuilder<'_> {
    /// `LIMIT`, together with what it limits.
    pub(super) fn limit(&mut self, limit: &Limit) -> Result<Flow> {
        let error = |error: datafusion_common::DataFusionError| Error::user(error.strip_backtrace());
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type().map_err(error)?, limit.get_fetch_type().map_err(error)?)
        else {
            return Err(unsupported("LIMIT and OFFSET other than a number"));
        };
        let Some(fetch) = fetch else { return Err(unsupported("OFFSET without LIMIT")) };
        if skip.saturating_add(fetch) > MAX_LIMIT as usize {
            return Err(Error::user(format!(
                "LIMIT and OFFSET are {fetch} and {skip}, but no more than {MAX_LIMIT} rows are kept: lower them"
            )));
        }
        self.limited(&limit.input, Span { skip, fetch })
    }

    fn limited(&mut self, plan: &LogicalPlan, span: Span) -> Result<Flow> {
        match plan {
            LogicalPlan::Projection(projection) if is_sorted(&projection.input) => {
                let input = self.limited(&projection.input, span)?;
                self.calc(&input, None, &projection.expr, &projection.schema)
            }
            LogicalPlan::Sort(sort) => {
                let fetch = sort.fetch.map_or(span.fetch, |fetch| fetch.saturating_sub(span.skip).min(span.fetch));
                self.first_rows(&sort.input, &sort.expr, Span { fetch, ..span })
            }
            other => self.first_rows(other, &[], span),
        }
    }

    /// The first rows of all, in an order.
    fn first_rows(&mut self, plan: &LogicalPlan, order_by: &[SortExpr], span: Span) -> Result<Flow> {
        let input = self.relation(plan)?;
        let shown: Vec<_> = order_by.iter().map(ToString::to_string).collect();
        let ranking = Ranking {
            partition: &[],
            order_by,
            limit: span.skip + span.fetch,
            with_place: span.skip > 0,
            place: (None, Arc::new(Field::new(PLACE, DataType::Int64, true))),
            shown: format!("orderBy=[{}], offset=[{}]", shown.join(", "), span.skip),
        };
        let ranked = self.rank(&input, ranking)?;
        let filter = (span.skip > 0).then(|| col(PLACE).gt(lit(span.skip as i64)));
        let columns: Vec<Expr> = input.schema.columns().into_iter().map(Expr::Column).collect();
        self.calc(&ranked, filter.as_ref(), &columns, &input.schema)
    }

    /// `ORDER BY` of an event-time attribute.
    pub(super) fn sort(&mut self, sort: &Sort) -> Result<Flow> {
        if let Some(fetch) = sort.fetch {
            return self.first_rows(&sort.input, &sort.expr, Span { skip: 0, fetch });
        }
        let input = self.relation(&sort.input)?;
        let time = sort.expr.first().filter(|first| first.asc).and_then(|first| column_index(&first.expr, &input.schema));
        let is_time = |column: usize| Mark::EventTime.is_on(input.schema.field(column));
        let Some(time) = time.filter(|column| is_time(*column)) else {
            return Err(Error::user(
                "ORDER BY without LIMIT has to begin with an ascending event-time attribute (WATERMARK FOR): a stream has no end to wait \
                 for. Add LIMIT, or order by time",
            ));
        };
        if input.changes {
            return Err(unsupported("ORDER BY without LIMIT over rows that are updated"));
        }
        let order: Vec<Expr> = sort.expr.iter().map(|sort| sort.expr.clone()).collect();
        let (flow, columns) = self.with_key(&input, &order)?;
        let order = columns.iter().zip(&sort.expr).skip(1);
        let order = order.map(|(column, sort)| Order { column: *column, descending: !sort.asc, nulls_first: sort.nulls_first }).collect();
        // There is one order of all rows: they have one key.
        let (flow, key) = self.with_key(&flow, &[lit(0_i64)])?;
        let types = flow.schema.fields().iter().map(|field| ValueType::of(field.data_type())).collect::<Result<_>>()?;
        let node = self.add_keyed("TemporalSort", &[(&flow, key)], TemporalSort { time, order, types });
        let shown: Vec<_> = sort.expr.iter().map(ToString::to_string).collect();
        self.graph.node_mut(node).description = Some(format!("TemporalSort(orderBy=[{}])", shown.join(", ")));
        let sorted = Flow { node, schema: Arc::clone(&flow.schema), changes: false, upsert_keys: flow.upsert_keys.clone() };
        let columns: Vec<Expr> = input.schema.columns().into_iter().map(Expr::Column).collect();
        self.calc(&sorted, None, &columns, &input.schema)
    }
}

/// Whether rows come in an order that a limit can use.
fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_sorted(&projection.input),
        other => matches!(other, LogicalPlan::Sort(_)),
    }
}
