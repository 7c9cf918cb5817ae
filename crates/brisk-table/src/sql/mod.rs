//! The SQL front: Flink's dialect as statements. It plans nothing and knows no catalog.
//!
//! * [`Script`] cuts a text into statements; [`Script::parse`] reads one of them.
//! * [`Statement`] is what was read; queries are `sqlparser`'s.
//! * Errors point at line and column of the text, with the line itself ([`SqlText::error_at`]).

mod dialect;
mod parser;
mod script;
mod statement;
mod text;
mod type_parser;
mod types;

pub(crate) use dialect::call;
pub(crate) use parser::nearest;
pub use script::Script;
pub(crate) use statement::{ColumnKind, CreateTable, CreateView, ExplainDetail, Insert, ObjectKind, Show, Statement};
pub use text::SqlText;
pub(crate) use types::{array_type, arrow_type, map_type, row_type, sql_type};
