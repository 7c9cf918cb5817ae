//! Connectors of tables, found by name: the `'connector' = '...'` of a CREATE TABLE.
//!
//! * [`TableDeclaration`] is what a statement says of a table: name, columns, options.
//! * [`TableConnector`] turns it into the operator of a source or a sink; [`TableConnectors`] finds it.
//! * [`TableOptions`] reads options, and refuses what no one has asked for.
//!
//! Nothing here knows SQL: a declaration may as well come from a program.

mod connectors;
mod options;

pub use connectors::{LookupTable, TableConnector, TableConnectors, TableDeclaration, TableSinkOperator, TableSourceOperator};
pub use options::TableOptions;
