//! Connectors: sources and sinks for what lies outside of a job. One folder each.
//!
//! | connector | source | sink |
//! |---|---|---|
//! | [`files`] | files, folders and patterns, once or watched | part files, single files |
//! | [`socket`] | lines of a TCP connection | lines to a TCP connection |
//! | [`datagen`] | records made by a function, as fast as possible or at a rate | |
//! | [`nexmark`] | tables of Nexmark's persons, auctions and bids | |
//! | [`blackhole`] | | drops everything |
//!
//! [`register_tables`] makes those known that serve tables.
//!
//! Connectors own their files and sockets, take time and threads from the task's [`World`](brisk_base::world::World), and know nothing
//! of the engine but the contracts of `brisk-core`.

pub mod blackhole;
mod columns;
pub mod datagen;
pub mod files;
#[cfg(test)]
mod harness;
pub mod nexmark;
pub mod socket;

/// Adds the connectors of this crate that serve tables.
pub fn register_tables(connectors: &mut brisk_core::table::TableConnectors) {
    connectors.register("blackhole", blackhole::BlackholeTable);
    connectors.register("filesystem", files::FilesTable);
    connectors.register("nexmark", nexmark::NexmarkTable);
}
