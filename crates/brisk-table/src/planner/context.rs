//! What the planner is told: tables, views, functions, types.

use super::correlate::{TableFunctionPlanner, with_correlations};
use super::group_windows::rewrite_group_windows;
use super::lookup::{check_lookups, with_version_times};
use super::set_operation::with_set_operations;
use super::subqueries::check_subqueries;
use super::syntax::rewrite_syntax;
use super::window_table::WindowTablePlanner;
use super::{as_statement, sql_to_rel};
use crate::catalog::{Catalog, Object, Table, View};
use crate::functions::{Functions, field, item};
use crate::sql::arrow_type;
use arrow_schema::{DataType, Field, FieldRef, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Column, DFSchema, DataFusionError, Result, TableReference};
use datafusion_expr::planner::{
    ContextProvider, ExprPlanner, PlannerResult, RawAggregateExpr, RawFieldAccessExpr, RelationPlanner, TypePlanner,
};
use datafusion_expr::{
    AggregateUDF, Expr, ExprSchemable, GetFieldAccess, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF,
    lit,
};
use datafusion_sql::sqlparser::ast::{DataType as SqlType, Query};
use std::borrow::Cow;
use std::sync::Arc;

/// See the module.
pub(crate) struct Context<'a> {
    catalog: &'a Catalog,
    functions: &'a Functions,
    config: ConfigOptions,
    expressions: Vec<Arc<dyn ExprPlanner>>,
    relations: Vec<Arc<dyn RelationPlanner>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(catalog: &'a Catalog, functions: &'a Functions) -> Self {
        let mut config = ConfigOptions::default();
        // All subqueries that stand for a value become joins.
        config.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        let expressions = Expressions { extract: functions.scalar("extract").cloned() };
        let relations: Vec<Arc<dyn RelationPlanner>> =
            vec![Arc::new(TableFunctionPlanner(functions.clone())), Arc::new(WindowTablePlanner)];
        Self { catalog, functions, config, expressions: vec![Arc::new(expressions)], relations }
    }

    pub(super) const fn config(&self) -> &ConfigOptions {
        &self.config
    }

    /// The plan of a query, as it was written.
    pub(super) fn plan(&self, query: &Query) -> Result<LogicalPlan> {
        let mut query = query.clone();
        rewrite_group_windows(&mut query)?;
        rewrite_syntax(&mut query);
        let plan = with_correlations(sql_to_rel(self).sql_statement_to_plan(as_statement(&query))?)?;
        check_lookups(&plan)?;
        check_subqueries(&plan)?;
        with_set_operations(with_version_times(plan)?)
    }

    fn view(&self, view: &View) -> Result<LogicalPlan> {
        let plan = self.plan(&view.query).map_err(|error| DataFusionError::Plan(view.text.planning_error(&error).to_string()))?;
        if view.columns.is_empty() {
            return Ok(plan);
        }
        let columns = plan.schema().columns();
        if columns.len() != view.columns.len() {
            let text = format!("the view names {} columns, but its query has {}", view.columns.len(), columns.len());
            return Err(DataFusionError::Plan(text));
        }
        let renamed = columns.into_iter().zip(&view.columns).map(|(column, name)| Expr::Column(column).alias(&name.value));
        LogicalPlanBuilder::from(plan).project(renamed)?.build()
    }
}

impl ContextProvider for Context<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        match self.catalog.find(name.table()).map_err(|error| DataFusionError::Plan(error.to_string()))? {
            Object::Table(table) => Ok(Arc::new(ScannedTable(Arc::clone(table)))),
            Object::View(view) => {
                let plan = self.view(view)?;
                let schema = Arc::clone(plan.schema().inner());
                Ok(Arc::new(ViewPlan { plan, schema }))
            }
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expressions
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relations
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.config
    }

    fn udf_names(&self) -> Vec<String> {
        let [scalar, _, _] = self.functions.names_of_kinds();
        scalar
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        let [_, aggregate, _] = self.functions.names_of_kinds();
        aggregate
    }

    fn udwf_names(&self) -> Vec<String> {
        let [_, _, window] = self.functions.names_of_kinds();
        window
    }
}

/// A table that is read.
pub(crate) struct ScannedTable(pub(crate) Arc<Table>);

impl TableSource for ScannedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }
}

/// A view, which takes the place of its name.
struct ViewPlan {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for ViewPlan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// Flink's types in expressions.
#[derive(Debug)]
struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let data_type = arrow_type(sql_type).map_err(DataFusionError::Plan)?;
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

/// Flink's meaning of what has a syntax of its own.
#[derive(Debug)]
struct Expressions {
    extract: Option<Arc<ScalarUDF>>,
}

impl ExprPlanner for Expressions {
    /// `COUNT(*)` counts a constant.
    fn plan_aggregate(&self, mut expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        #[expect(deprecated, reason = "this is how the planner tells of COUNT(*)")]
        let is_star = matches!(&*expr.args, [] | [Expr::Wildcard { .. }]);
        if expr.func.name() == "count" && is_star && !expr.distinct {
            expr.args = vec![lit(1_i64)];
        }
        Ok(PlannerResult::Original(expr))
    }

    /// `a[1]`, `m['k']`, `r['f']`.
    fn plan_field_access(&self, access: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let data_type = access.expr.get_type(schema)?;
        let key = match access.field_access {
            GetFieldAccess::NamedStructField { name } => Expr::Literal(name, None),
            GetFieldAccess::ListIndex { key } => *key,
            GetFieldAccess::ListRange { .. } => {
                return Err(DataFusionError::Plan("a part of an array is ARRAY_SLICE(array, start, end)".to_owned()));
            }
        };
        item(access.expr, &data_type, key).map(PlannerResult::Planned)
    }

    /// `r.f`.
    fn plan_compound_identifier(
        &self,
        column: &Field,
        qualifier: Option<&TableReference>,
        names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let (mut expr, mut data_type) = (Expr::Column(Column::from((qualifier, column))), column.data_type().clone());
        for name in names {
            expr = field(expr, &data_type, name)?;
            let DataType::Struct(fields) = &data_type else { break };
            data_type = fields.find(name).map_or(DataType::Null, |(_, field)| field.data_type().clone());
        }
        Ok(PlannerResult::Planned(expr))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        match &self.extract {
            Some(extract) => Ok(PlannerResult::Planned(extract.call(args))),
            None => Ok(PlannerResult::Original(args)),
        }
    }
}
