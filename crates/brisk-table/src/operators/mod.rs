//! Columnar operators, found by name in an operator registry.
//!
//! | name | operator |
//! |---|---|
//! | `changelog-generator` | [`changelog_generator`]: a source of made-up orders that are placed, changed and taken back |
//! | `group-aggregate` | [`group_aggregate`]: sums and counts per key over a changelog |
//! | `print` | [`mod@print`]: shows each row on standard output |
//! | of the program's choice | [`collect`]: keeps rows in memory, for tests and small results |
//! | none: SQL alone makes them | [`join`], [`rank`], [`window_aggregate`]; filters, windows, watermarks, sorting, set operations, OVER, other joins |
//!
//! A configuration is a [`Record`]; its encoding is what a graph carries.

pub(crate) mod calc;
pub mod changelog_generator;
pub mod collect;
pub(crate) mod correlate;
pub mod group_aggregate;
pub(crate) mod interval_join;
pub mod join;
pub(crate) mod keyed;
pub(crate) mod lookup_join;
pub(crate) mod over;
pub mod print;
pub mod rank;
pub mod row;
pub(crate) mod row_values;
pub(crate) mod set_operation;
pub(crate) mod sink_materialize;
pub(crate) mod temporal_join;
pub(crate) mod temporal_sort;
pub(crate) mod watermark_assigner;
pub mod window_aggregate;
pub(crate) mod window_join;
pub mod window_table;

use brisk_base::Result;
use brisk_core::operator::OperatorSpec;
use brisk_core::registry::OperatorRegistry;
use brisk_core::types::{Decoder, Record};

/// Adds all operators of this crate that need nothing but their configuration.
pub fn register_all(registry: &mut OperatorRegistry) {
    registry.register(changelog_generator::NAME, |config| changelog_generator::ChangelogGenerator::new(from_bytes(config)?));
    registry.register(group_aggregate::NAME, |config| group_aggregate::GroupAggregate::new(from_bytes(config)?));
    registry.register(print::NAME, |config| Ok(print::Print::new(from_bytes(config)?)));
}

/// How a graph names an operator with its configuration.
pub fn registered(name: &str, config: &impl Record) -> OperatorSpec {
    let mut bytes = Vec::new();
    config.encode(&mut bytes);
    OperatorSpec::Registered { name: name.to_owned(), config: bytes }
}

fn from_bytes<C: Record>(bytes: &[u8]) -> Result<C> {
    let mut input = Decoder::new(bytes);
    let config = C::decode(&mut input)?;
    input.finish()?;
    Ok(config)
}
