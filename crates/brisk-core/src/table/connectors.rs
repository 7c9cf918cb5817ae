//! Declarations of tables, and the connectors that serve them.

use super::TableOptions;
use crate::batch::Columns;
use crate::operator::OperatorSpec;
use arrow_schema::SchemaRef;
use brisk_base::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a statement says of a table.
#[derive(Clone, Debug)]
pub struct TableDeclaration {
    /// Name of the table, for messages and plans.
    pub name: String,
    /// The physical columns: what is read or written.
    pub schema: SchemaRef,
    /// The options, `connector` among them.
    pub options: BTreeMap<String, String>,
    /// Columns by whose values the rows are kept apart, the outermost first; empty if they are not.
    pub partitions: Vec<String>,
}

impl TableDeclaration {
    /// Reader of the options.
    pub fn options(&self) -> TableOptions<'_> {
        TableOptions::new(&self.name, &self.options)
    }

    /// An error about this table.
    pub fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::user(format!("table '{}': {what}", self.name))
    }
}

/// The source of a table.
#[derive(Debug)]
pub struct TableSourceOperator {
    /// What runs; it gives [`Columns`](crate::batch::Columns) of the declared schema.
    pub operator: OperatorSpec,
    /// Whether it ends by itself.
    pub bounded: bool,
    /// Whether it gives updates and deletes, or inserts alone.
    pub gives_changes: bool,
    /// Number of subtasks, where the connector has a say.
    pub parallelism: Option<u32>,
}

/// The sink of a table.
#[derive(Debug)]
pub struct TableSinkOperator {
    /// What runs; it takes [`Columns`](crate::batch::Columns) of the declared schema.
    pub operator: OperatorSpec,
    /// Whether it takes updates and deletes, or inserts alone.
    pub takes_changes: bool,
    /// Number of subtasks, where the connector has a say.
    pub parallelism: Option<u32>,
}

/// A table that is looked up: it fits into memory.
pub trait LookupTable: Send + Sync {
    /// All of its rows, as [`Columns`](crate::batch::Columns) of the declared schema.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self) -> Result<Vec<Columns>>;
}

/// A connector: serves tables as sources, sinks or both.
pub trait TableConnector: Send + Sync {
    /// The source of a table.
    ///
    /// # Errors
    /// When the connector cannot be read from, and when an option is unknown, missing or wrong: with table and option.
    fn source(&self, table: &TableDeclaration) -> Result<TableSourceOperator> {
        Err(table.error("its connector cannot be read from"))
    }

    /// The table for look-ups by key.
    ///
    /// # Errors
    /// When the connector cannot be looked up, and when an option is unknown, missing or wrong: with table and option.
    fn lookup(&self, table: &TableDeclaration) -> Result<Arc<dyn LookupTable>> {
        Err(table.error("its connector cannot be looked up"))
    }

    /// The sink of a table.
    ///
    /// # Errors
    /// When the connector cannot be written to, and when an option is unknown, missing or wrong: with table and option.
    fn sink(&self, table: &TableDeclaration) -> Result<TableSinkOperator> {
        Err(table.error("its connector cannot be written to"))
    }

    /// Whether tables that are written can be `PARTITIONED BY` columns.
    fn takes_partitions(&self) -> bool {
        false
    }
}

/// Connectors by name. Filled once at start-up; cheap to clone.
#[derive(Clone, Default)]
pub struct TableConnectors {
    connectors: BTreeMap<String, Arc<dyn TableConnector>>,
}

impl TableConnectors {
    /// Adds a connector. A name registered twice keeps the last.
    pub fn register(&mut self, name: &str, connector: impl TableConnector + 'static) {
        self.connectors.insert(name.to_owned(), Arc::new(connector));
    }

    /// The connector of a table.
    ///
    /// # Errors
    /// When the table names none, or one that is not registered.
    pub fn find(&self, table: &TableDeclaration) -> Result<&dyn TableConnector> {
        let known = || self.connectors.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let Some(name) = table.options.get("connector") else {
            return Err(table.error(format!("option 'connector' is missing; known connectors: {}", known())));
        };
        match self.connectors.get(name) {
            Some(connector) => Ok(&**connector),
            None => Err(table.error(format!("option 'connector' is '{name}', which is not known; known connectors: {}", known()))),
        }
    }
}
