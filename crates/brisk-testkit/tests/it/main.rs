//! The harnesses themselves, and joins.

mod documented_joins;
mod harness;
mod join_reference;
mod snapshots;
