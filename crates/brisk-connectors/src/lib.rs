//! Connectors: sources and sinks for what lies outside of a job. One folder each.
//!
//! | connector | source | sink |
//! |---|---|---|
//! | [`files`] | files, folders and patterns, once or watched | part files, single files |
//! | [`socket`] | lines of a TCP connection | lines to a TCP connection |
//! | [`datagen`] | records made by a function, as fast as possible or at a rate | |
//!
//! Connectors own their files and sockets, take time and threads from the task's [`World`](brisk_base::world::World), and know nothing
//! of the engine but the contracts of `brisk-core`.

pub mod datagen;
pub mod files;
#[cfg(test)]
mod harness;
pub mod socket;
