//! Expressions over the columns of a relation, and the operators that compute them.

use super::shifted_time::with_shifted_times;
use super::{Flow, GraphBuilder};
use crate::operators::calc::Calc;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use brisk_base::{Error, Result};
use datafusion_common::{DFSchema, DFSchemaRef};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, ExprSchemable};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use std::sync::Arc;

/// An expression ready to be computed.
pub(super) fn physical(expression: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let physical = create_physical_expr(expression, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default());
    let physical = physical.map_err(|error| Error::user(format!("cannot compute {expression}: {}", error.strip_backtrace())))?;
    with_shifted_times(physical, schema.as_arrow())
}

/// The columns of a relation, all of them nullable: batches are checked against it, and what a plan knows of nulls is no concern of theirs.
pub(super) fn batch_schema(schema: &DFSchema) -> SchemaRef {
    let field = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// Index of a column, if the expression is nothing else.
pub(super) fn column_index(expression: &Expr, schema: &DFSchema) -> Option<usize> {
    match expression {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        Expr::Alias(alias) => column_index(&alias.expr, schema),
        _ => None,
    }
}

impl GraphBuilder<'_> {
    /// Filters and computes; nothing is added where the result is the input.
    pub(super) fn calc(&mut self, input: &Flow, filter: Option<&Expr>, columns: &[Expr], schema: &DFSchemaRef) -> Result<Flow> {
        let indices: Option<Vec<_>> = columns.iter().map(|column| column_index(column, &input.schema)).collect();
        if filter.is_none() && indices.is_some_and(|indices| indices.into_iter().eq(0..input.schema.fields().len())) {
            return Ok(Flow { schema: Arc::clone(schema), ..input.clone() });
        }
        self.calc_always(input, filter, columns, schema)
    }

    /// Filters and computes with an operator of its own.
    pub(super) fn calc_always(&mut self, input: &Flow, filter: Option<&Expr>, columns: &[Expr], schema: &DFSchemaRef) -> Result<Flow> {
        let calc = Calc {
            input: batch_schema(&input.schema),
            filter: filter.map(|filter| physical(filter, &input.schema)).transpose()?,
            columns: columns.iter().map(|column| physical(column, &input.schema)).collect::<Result<_>>()?,
        };
        let node = self.add("Calc", input, calc);
        let shown = columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let shown_filter = filter.map(|filter| format!(", where=[{filter}]")).unwrap_or_default();
        self.graph.node_mut(node).description = Some(format!("Calc(select=[{shown}]{shown_filter})"));
        let upsert_keys = input.upsert_keys.projected(columns, &input.schema);
        Ok(Flow { node, schema: Arc::clone(schema), changes: input.changes, upsert_keys })
    }

    /// The columns of the input, and more behind them.
    pub(super) fn with_columns(&mut self, input: &Flow, more: &[Expr]) -> Result<Flow> {
        let mut columns: Vec<Expr> = input.schema.columns().into_iter().map(Expr::Column).collect();
        columns.extend(more.iter().cloned());
        let schema = self.schema_with(&input.schema, more)?;
        self.calc(input, None, &columns, &schema)
    }

    /// The input with columns for those parts of a key that are none, and the indexes of the key.
    pub(super) fn with_key(&mut self, input: &Flow, key: &[Expr]) -> Result<(Flow, Vec<usize>)> {
        let mut computed: Vec<Expr> = Vec::new();
        for part in key {
            if column_index(part, &input.schema).is_none() && !computed.contains(part) {
                computed.push(part.clone());
            }
        }
        let flow = if computed.is_empty() { input.clone() } else { self.with_columns(input, &computed)? };
        let width = input.schema.fields().len();
        let lost = || Error::bug("a computed part of a key is lost");
        let index = |part: &Expr| {
            let added = || computed.iter().position(|known| known == part).map(|at| width + at);
            column_index(part, &input.schema).or_else(added).ok_or_else(lost)
        };
        let key = key.iter().map(index).collect::<Result<_>>()?;
        Ok((flow, key))
    }

    fn schema_with(&self, schema: &DFSchemaRef, more: &[Expr]) -> Result<DFSchemaRef> {
        let mut fields: Vec<_> = schema.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        for (index, expression) in more.iter().enumerate() {
            fields
                .push((None, Arc::new(Field::new(format!("$added{}", schema.fields().len() + index), type_of(expression, schema)?, true))));
        }
        named(fields)
    }
}

/// Type of an expression.
pub(super) fn type_of(expression: &Expr, schema: &DFSchema) -> Result<DataType> {
    expression.get_type(schema).map_err(|error| Error::user(error.strip_backtrace()))
}

type QualifiedFields = Vec<(Option<datafusion_common::TableReference>, Arc<Field>)>;

/// A schema of these fields.
pub(super) fn named(fields: QualifiedFields) -> Result<DFSchemaRef> {
    let schema = DFSchema::new_with_metadata(fields, Default::default());
    schema.map(Arc::new).map_err(|error| Error::user(error.strip_backtrace()))
}

/// Type of an expression over the columns of a table.
pub(crate) fn type_in(expression: &Expr, schema: &SchemaRef) -> Result<DataType> {
    let schema = DFSchema::try_from(Arc::clone(schema)).map_err(|error| Error::user(error.strip_backtrace()))?;
    type_of(expression, &schema)
}
