//! Contracts and plain data of Brisk.
//!
//! What third parties implement (records, functions, operators, sources, sinks, state backends) and what every floor above exchanges
//! (batches, elements, the job graph). It does no I/O, runs nothing, and knows neither tokio nor SQL.

// Derived code names this crate so, also inside of it.
extern crate self as brisk_core;

pub mod accumulator;
pub mod batch;
pub mod checkpoint;
pub mod checkpoint_statistics;
pub mod element;
pub mod function;
pub mod job;
pub mod job_graph;
pub mod operator;
pub mod registry;
pub mod sink;
pub mod source;
pub mod state;
pub mod table;
pub mod types;
