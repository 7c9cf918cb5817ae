//! Tests of the columnar operators: alone under a driver, and as a whole job.

mod clock_windows;
mod collect;
mod driver;
mod generator;
mod group_aggregate;
mod incremental;
mod job;
mod join;
mod rank;
mod statements;
mod streams;
mod window_aggregate;
