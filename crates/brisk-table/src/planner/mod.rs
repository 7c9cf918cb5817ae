//! From queries to optimized logical plans: DataFusion's planner over our catalog and functions, with rules chosen by hand.
//!
//! * `context` answers the planner's questions: tables, views, functions, types.
//! * `window_table` plans TUMBLE, HOP, CUMULATE and SESSION in FROM as a node of our own; `group_windows` turns the older windows of
//!   GROUP BY into them.
//! * `correlate` plans functions in FROM: UNNEST and LATERAL TABLE.
//! * `lookup` plans tables that are looked up, `FOR SYSTEM_TIME AS OF`.
//! * `casts` are those from and to arrays, maps and rows.
//! * `syntax` makes calls of functions of what has a syntax of its own.
//! * `set_operation` puts INTERSECT and EXCEPT into nodes of our own; `subqueries` refuses those whose meaning would be lost.
//! * `marks` are the properties of columns that plans carry along: time attributes, starts and ends of windows.

mod casts;
mod context;
mod correlate;
mod group_windows;
mod lookup;
mod marks;
mod set_operation;
mod subqueries;
mod syntax;
mod window_table;

pub(crate) use context::{Context, ScannedTable};
pub(crate) use correlate::Correlate;
pub(crate) use lookup::{conditions_on, looked_up};
pub(crate) use marks::Mark;
pub(crate) use set_operation::{SetOperation, SetOperationKind};
pub(crate) use window_table::WindowTable;

use crate::catalog::Catalog;
use crate::functions::Functions;
use crate::sql::SqlText;
use arrow_schema::SchemaRef;
use brisk_base::Result;
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion_optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::eliminate_filter::EliminateFilter;
use datafusion_optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion_optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{Analyzer, Optimizer, OptimizerContext, OptimizerRule};
use datafusion_sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, Query, Statement};
use std::sync::Arc;

/// Plans queries of one session.
pub(crate) struct Planner<'a> {
    context: Context<'a>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(catalog: &'a Catalog, functions: &'a Functions) -> Self {
        Self { context: Context::new(catalog, functions) }
    }

    /// The optimized plan of a query.
    pub(crate) fn query(&self, query: &Query, text: &SqlText) -> Result<LogicalPlan> {
        let plan = self.written(query, text)?;
        self.optimize(plan).map_err(|error| text.planning_error(&error))
    }

    /// The plan of a query as it was written.
    pub(crate) fn written(&self, query: &Query, text: &SqlText) -> Result<LogicalPlan> {
        self.context.plan(query).map_err(|error| text.planning_error(&error))
    }

    /// The plan of a query with types coerced, before it is optimized.
    pub(crate) fn analyzed(&self, query: &Query, text: &SqlText) -> Result<LogicalPlan> {
        let plan = self.written(query, text)?;
        self.analyze(plan).map_err(|error| text.planning_error(&error))
    }

    fn analyze(&self, plan: LogicalPlan) -> datafusion_common::Result<LogicalPlan> {
        let plan = Analyzer::with_rules(vec![Arc::new(TypeCoercion::new())]).execute_and_check(plan, self.context.config(), |_, _| {})?;
        casts::with_casts(plan)
    }

    /// Optimizes a plan that may have been changed after planning.
    pub(crate) fn optimize(&self, plan: LogicalPlan) -> datafusion_common::Result<LogicalPlan> {
        let plan = self.analyze(plan)?;
        let config = OptimizerContext::new_with_config_options(Arc::new(self.context.config().clone()));
        let config = config.without_query_execution_start_time().filter_null_keys(false);
        Optimizer::with_rules(rules()).optimize(plan, &config, |_, _| {})
    }

    /// An expression over the columns of a table, with types coerced.
    pub(crate) fn expression(&self, mut expression: SqlExpr, schema: &SchemaRef, text: &SqlText) -> Result<Expr> {
        syntax::rewrite_syntax(&mut expression);
        let plan = || {
            let schema = DFSchema::try_from(Arc::clone(schema))?;
            let expression = sql_to_rel(&self.context).sql_to_expr(expression, &schema, &mut PlannerContext::new())?;
            coerced(expression, &schema)
        };
        plan().map_err(|error| text.planning_error(&error))
    }
}

/// Casts the parts of an expression to what its operators and functions take.
fn coerced(expression: Expr, schema: &DFSchema) -> datafusion_common::Result<Expr> {
    use datafusion_common::tree_node::TreeNode;
    let mut rewriter = datafusion_optimizer::analyzer::type_coercion::TypeCoercionRewriter::new(schema);
    Ok(casts::cast_in(expression.rewrite(&mut rewriter)?.data, schema)?.data)
}

/// Rules that keep the meaning of a plan over changelogs. Those that move limits, empty relations or distinct aggregates are left out.
fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(EliminateOuterJoin::new()),
        Arc::new(EliminateCrossJoin::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ]
}

fn sql_to_rel<'a>(context: &'a Context<'a>) -> SqlToRel<'a, Context<'a>> {
    SqlToRel::new_with_options(
        context,
        ParserOptions {
            parse_float_as_decimal: true,
            enable_ident_normalization: false,
            support_varchar_with_length: true,
            enable_options_value_normalization: false,
            collect_spans: true,
            map_string_types_to_utf8view: false,
            // As in Flink, nulls are lower than all values.
            default_null_ordering: NullOrdering::NullsMin,
        },
    )
}

/// A query as DataFusion's planner takes it.
fn as_statement(query: &Query) -> Statement {
    Statement::Query(Box::new(query.clone()))
}
