//! Tables with `'connector' = 'nexmark'`.

use super::event::Stream;
use super::reader::{BLOCK, Config, NexmarkReader, NexmarkSplit, SPLITS};
use super::rows::{ColumnType, Kind, columns_of};
use crate::columns::ColumnSource;
use arrow_schema::{DataType, TimeUnit};
use brisk_base::Result;
use brisk_core::operator::OperatorSpec;
use brisk_core::table::{TableConnector, TableDeclaration, TableSourceOperator};

/// Serves tables of persons, auctions or bids. Options:
///
/// | option | meaning | default |
/// |---|---|---|
/// | `table` | `person`, `auction` or `bid` | the table's name |
/// | `events` | number of events of all kinds | without end |
/// | `event-rate` | events per second of event time | 1000 |
/// | `rows-per-second` | events per second of wall time | as fast as possible |
/// | `first-event` | number of the first event | 0 |
/// | `bid-bytes` | about how long a bid is | 100 |
/// | `seed` | chooses among the streams | 0 |
/// | `all-kinds` | makes all events with all of their columns, and drops what nobody reads: what a source of all events costs, for comparisons | false |
#[derive(Clone, Copy, Debug, Default)]
pub struct NexmarkTable;

impl TableConnector for NexmarkTable {
    fn source(&self, table: &TableDeclaration) -> Result<TableSourceOperator> {
        let config = config(table)?;
        let bounded = config.end < u64::MAX;
        let (first, end) = (config.first, config.end);
        let splits = move || Ok(splits(first, end));
        let source = ColumnSource::factory(splits, move |_| Ok(NexmarkReader::new(config.clone())));
        Ok(TableSourceOperator { operator: OperatorSpec::Factory(source), bounded, gives_changes: false, parallelism: None })
    }
}

fn splits(first: u64, end: u64) -> Vec<NexmarkSplit> {
    let split = |index: u64| NexmarkSplit { index: index as u32, next: first + index * BLOCK };
    (0..SPLITS).map(split).filter(|split| split.next < end).collect()
}

fn config(table: &TableDeclaration) -> Result<Config> {
    let options = table.options();
    let positive = |key: &str, default: u64| {
        let value = options.get::<std::num::NonZeroU64>(key, "a number above 0")?.map_or(default, std::num::NonZeroU64::get);
        if value > 1_000_000_000 {
            Err(table.error(format!("option '{key}' is {value}; at most 1000000000 is possible")))
        } else {
            Ok(value)
        }
    };
    let stream = Stream {
        rate: positive("event-rate", 1000)?,
        bid_bytes: positive("bid-bytes", 100)?.min(100_000),
        seed: options.get("seed", "a number")?.unwrap_or(0),
    };
    let first = options.get::<u64>("first-event", "a number")?.unwrap_or(0);
    let events = options.get::<u64>("events", "a number")?;
    let kinds = ["person", "auction", "bid"];
    let kind = match options.one_of("table", &kinds)?.or_else(|| kinds.into_iter().find(|kind| *kind == table.name)) {
        Some("person") => Kind::Person,
        Some("auction") => Kind::Auction,
        Some(_) => Kind::Bid,
        None => return Err(table.error("option 'table' is missing; expected one of: person, auction, bid")),
    };
    let rows_per_second = options.get::<std::num::NonZeroU64>("rows-per-second", "a number above 0")?.map(std::num::NonZeroU64::get);
    let all_kinds = options.get("all-kinds", "true or false")?.unwrap_or(false);
    options.finish()?;
    let end = events.map_or(u64::MAX, |events| first.saturating_add(events));
    Ok(Config { kind, stream, first, end, rows_per_second, all_kinds, columns: wanted(table, kind)? })
}

/// Finds the table's columns among those of the kind.
fn wanted(table: &TableDeclaration, kind: Kind) -> Result<Vec<usize>> {
    let all = columns_of(kind);
    let find = |field: &std::sync::Arc<arrow_schema::Field>| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        let Some(index) = names.iter().position(|name| name == field.name()) else {
            return Err(table.error(format!("there is no column '{}'; its connector gives: {}", field.name(), names.join(", "))));
        };
        let (expected, sql) = match all[index].1 {
            ColumnType::Number => (DataType::Int64, "BIGINT"),
            ColumnType::Text => (DataType::Utf8, "STRING"),
            ColumnType::Time => (DataType::Timestamp(TimeUnit::Millisecond, None), "TIMESTAMP(3)"),
        };
        if *field.data_type() == expected {
            return Ok(index);
        }
        Err(table.error(format!("column '{}' has another type than its connector gives: declare it as {sql}", field.name())))
    };
    table.schema.fields().iter().map(find).collect()
}
