//! Rows that the query itself brings: VALUES, and queries without FROM.

use super::expression::{physical, type_of};
use super::upsert_keys::UpsertKeys;
use super::{Flow, GraphBuilder};
use crate::operators::calc::{evaluate, record_batch};
use crate::operators::row_values::RowValues;
use arrow_array::ArrayRef;
use arrow_schema::Schema;
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use brisk_core::job_graph::NodeKind;
use brisk_core::operator::OperatorSpec;
use datafusion_common::{DFSchema, DFSchemaRef};
use datafusion_expr::cast;
use datafusion_expr::logical_plan::{EmptyRelation, Values};
use std::sync::Arc;

impl GraphBuilder<'_> {
    /// `VALUES (...), (...)`.
    pub(super) fn values(&mut self, values: &Values) -> Result<Flow> {
        let empty = DFSchema::empty();
        let one_row = record_batch(&Arc::new(Schema::empty()), Vec::new(), 1)?;
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (column, field) in values.schema.fields().iter().enumerate() {
            let mut cells = Vec::new();
            for row in &values.values {
                let value = row.get(column).ok_or_else(|| Error::bug("a row of VALUES has too few columns"))?;
                let same = type_of(value, &empty)? == *field.data_type();
                let value = if same { value.clone() } else { cast(value.clone(), field.data_type().clone()) };
                cells.push(evaluate(&physical(&value, &empty)?, &one_row)?);
            }
            let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
            let column = arrow_select::concat::concat(&cells);
            columns.push(column.map_err(|error| Error::user(format!("the rows of VALUES do not fit together: {error}")))?);
        }
        self.row_values(Columns { columns, rows: values.values.len(), ..Columns::default() }, &values.schema)
    }

    /// A query without FROM: one row without columns, or none.
    pub(super) fn empty(&mut self, empty: &EmptyRelation) -> Result<Flow> {
        let columns = empty.schema.fields().iter().map(|field| arrow_array::new_empty_array(field.data_type())).collect();
        self.row_values(Columns { columns, rows: usize::from(empty.produce_one_row), ..Columns::default() }, &empty.schema)
    }

    fn row_values(&mut self, rows: Columns, schema: &DFSchemaRef) -> Result<Flow> {
        let upsert_keys = if rows.rows <= 1 { UpsertKeys::of([]) } else { UpsertKeys::default() };
        let spec = OperatorSpec::Factory(Arc::new(RowValues { rows }));
        let node = self.graph.add_node("Values", NodeKind::Source { bounded: true }, 0, spec);
        self.name_uid(node);
        self.graph.node_mut(node).parallelism = Some(1);
        self.graph.node_mut(node).event_time = true;
        Ok(Flow { node, schema: Arc::clone(schema), changes: false, upsert_keys })
    }
}
