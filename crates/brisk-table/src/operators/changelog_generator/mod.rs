//! A source of made-up orders that are placed, changed and taken back: the same changelog for the same configuration, whatever the
//! parallelism and the size of batches.
//!
//! Columns: `key` (a number or a text), `quantity` (a number, sometimes null), `price` (a multiple of 0.25, so that sums are exact) and
//! `placed` (when the order was placed). Each row's timestamp is the time of the change. Changes of one order come in order and in one
//! split, so that the changelog is valid in itself.

mod enumerator;
mod orders;
mod reader;

pub use enumerator::GeneratorSplit;
pub use orders::{Order, OrderChange, OrderChanges};

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use brisk_base::{Error, Millis, Result};
use brisk_core::batch::Columns;
use brisk_core::operator::{Operator, OperatorFactory, RuntimeContext};
use brisk_core::source::{EnumeratorCoordinator, SourceCoordinator, decode_enumerator_state};
use brisk_core::types::Record;
use enumerator::SplitAssigner;
use reader::ChangelogReader;
use std::sync::Arc;

/// Its name in the registry.
pub const NAME: &str = "changelog-generator";

/// Configuration of the source.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct ChangelogGeneratorConfig {
    /// Rows of all splits together, give or take one per split: an update, which has two rows, is never cut off.
    pub rows: u64,
    /// Parts that may be read in parallel.
    pub splits: u32,
    /// Number of different keys.
    pub keys: u64,
    /// Whether keys are texts (`key-7`) instead of numbers.
    pub text_keys: bool,
    /// Whether orders are changed and taken back; else all rows are inserts.
    pub changes: bool,
    /// How far a row's timestamp may lie behind those of rows before it.
    pub out_of_orderness: Millis,
    /// Chooses among the changelogs.
    pub seed: u64,
    /// Rows of a batch; at most [`Columns::MAX_ROWS`].
    pub batch_rows: u32,
}

impl Default for ChangelogGeneratorConfig {
    /// 100,000 rows in 4 splits, 1,000 numbers as keys, with changes, in full batches.
    fn default() -> Self {
        Self {
            rows: 100_000,
            splits: 4,
            keys: 1000,
            text_keys: false,
            changes: true,
            out_of_orderness: Millis(5),
            seed: 1,
            batch_rows: Columns::MAX_ROWS as u32,
        }
    }
}

impl ChangelogGeneratorConfig {
    /// Names and types of the columns.
    pub fn schema(&self) -> SchemaRef {
        let key = if self.text_keys { DataType::Utf8 } else { DataType::Int64 };
        Arc::new(Schema::new(vec![
            Field::new("key", key, false),
            Field::new("quantity", DataType::Int64, true),
            Field::new("price", DataType::Float64, false),
            Field::new("placed", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        ]))
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::user(format!("{NAME}: {what}")));
        if self.splits == 0 {
            return wrong("'splits' is 0; set it to 1 or more");
        }
        if self.keys == 0 {
            return wrong("'keys' is 0; set it to 1 or more");
        }
        if !(1..=Columns::MAX_ROWS as u32).contains(&self.batch_rows) {
            return wrong(&format!("'batch_rows' is {}; set it between 1 and {}", self.batch_rows, Columns::MAX_ROWS));
        }
        if self.out_of_orderness < Millis::ZERO {
            return wrong("'out_of_orderness' is negative");
        }
        Ok(())
    }
}

/// Makes the source.
#[derive(Debug)]
pub struct ChangelogGenerator(ChangelogGeneratorConfig);

impl ChangelogGenerator {
    /// A source with this configuration.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: ChangelogGeneratorConfig) -> Result<Self> {
        config.check()?;
        Ok(Self(config))
    }
}

impl OperatorFactory for ChangelogGenerator {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(ChangelogReader::new(self.0.clone())))
    }

    fn coordinator(&self, parallelism: u32, restored: Option<&[u8]>) -> Result<Option<Box<dyn SourceCoordinator>>> {
        let assigner = match restored {
            Some(bytes) => SplitAssigner::from(decode_enumerator_state::<Vec<GeneratorSplit>>(bytes)?),
            None => SplitAssigner::new(self.0.splits),
        };
        Ok(Some(Box::new(EnumeratorCoordinator::new(Box::new(assigner), parallelism, None))))
    }
}
