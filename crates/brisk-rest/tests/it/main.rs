//! The REST server of a real cluster: what it answers, compared with what Flink answers.

mod client;
mod faults;
mod operations;
mod shape;
mod views;
