//! Columnar operators: changelogs over Arrow columns.
//!
//! * [`operators`]: sources, aggregations and sinks that a graph names, with their configurations as bytes; [`operators::register_all`].
//! * [`columnar_sum_job`]: a graph of them, for tests, the simulator and examples.
//! * [`fold_changelog`] and [`Cell`]: results as people and tests read them.
//!
//! It knows no SQL yet, runs nothing by itself, and never boxes a value per row on the way of the data.

mod cell;
mod changelog;
mod columnar_sum;
pub mod operators;

pub use cell::{Cell, cells};
pub use changelog::{Table, fold_changelog};
pub use columnar_sum::{ColumnarSum, columnar_sum_job, expected_sums};
