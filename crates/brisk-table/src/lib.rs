//! SQL and columnar operators: changelogs over Arrow columns.
//!
//! * [`TableSession`] executes statements: [`Script`] reads them, `catalog` holds tables and views, `planner` makes logical plans of queries,
//!   `physical` makes graphs of operators of these.
//! * [`operators`]: sources, aggregations, joins and sinks that graphs are made of; some by name, with their configurations as bytes
//!   ([`operators::register_all`]).
//! * [`functions`]: what expressions call, and the interface of user functions.
//! * [`columnar_sum_job`]: a graph of operators, for tests, the simulator and examples.
//! * [`fold_changelog`] and [`Cell`]: results as people and tests read them.
//!
//! It runs nothing by itself, knows no connector but by the registry in `brisk-core`, and never boxes a value per row on the way of the data.

mod catalog;
mod cell;
mod changelog;
mod columnar_sum;
pub mod functions;
pub mod operators;
pub mod options;
mod physical;
mod planner;
mod session;
mod sql;

pub use cell::{Cell, cells};
pub use changelog::{Table, fold_changelog};
pub use columnar_sum::{ColumnarSum, columnar_sum_job, expected_sums};
pub use session::{QueryJob, StatementResult, TableSession};
pub use sql::{Script, SqlText};
