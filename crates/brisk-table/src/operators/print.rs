//! A sink that shows each row on standard output, as Flink's `print` connector does.

use crate::cell::{Cell, Entry, cells, list};
use brisk_base::Result;
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, OperatorSpec, Rest, RuntimeContext};
use brisk_core::table::{TableConnector, TableDeclaration, TableSinkOperator};
use brisk_core::types::Record;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;

/// Its name in the registry.
pub const NAME: &str = "print";

/// Configuration of the sink.
#[derive(Clone, PartialEq, Eq, Debug, Default, Record)]
pub struct PrintConfig {
    /// Comes before each line, if it is not empty.
    pub identifier: String,
}

/// Makes the sink.
pub struct Print(PrintConfig);

impl Print {
    /// A sink with this configuration.
    pub const fn new(config: PrintConfig) -> Self {
        Self(config)
    }
}

/// Serves tables with `'connector' = 'print'`.
pub(crate) struct PrintTable;

impl TableConnector for PrintTable {
    fn sink(&self, table: &TableDeclaration) -> Result<TableSinkOperator> {
        let options = table.options();
        let identifier = options.get("print-identifier", "a text")?.unwrap_or_default();
        options.finish()?;
        let operator = OperatorSpec::Factory(Arc::new(Print::new(PrintConfig { identifier })));
        Ok(TableSinkOperator { operator, takes_changes: true, parallelism: None })
    }
}

impl OperatorFactory for Print {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let subtask = (cx.task.parallelism > 1).then(|| (cx.task.subtask + 1).to_string());
        let identifier = Some(self.0.identifier.clone()).filter(|text| !text.is_empty());
        let prefix: Vec<_> = identifier.into_iter().chain(subtask).collect();
        let prefix = if prefix.is_empty() { String::new() } else { format!("{}> ", prefix.join(":")) };
        Ok(Box::new(PrintOperator { prefix }))
    }
}

struct PrintOperator {
    /// `identifier:subtask> `, as far as there is something to tell.
    prefix: String,
}

impl Operator for PrintOperator {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let text = lines(&Columns::from_any(batch)?, &self.prefix)?;
        std::io::stdout().lock().write_all(text.as_bytes())?;
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }
}

/// One line per row: `+I[EWR, 5, null]`.
fn lines(batch: &Columns, prefix: &str) -> Result<String> {
    let columns = batch.columns.iter().map(cells).collect::<Result<Vec<_>>>()?;
    let mut text = String::new();
    for row in 0..batch.rows {
        let _ = write!(text, "{prefix}{}[", batch.kind(row).short());
        for (index, column) in columns.iter().enumerate() {
            let _ = write!(text, "{}{}", if index == 0 { "" } else { ", " }, Printed(&column[row]));
        }
        text.push_str("]\n");
    }
    Ok(text)
}

/// A value as `print` has it: parts that are null are `null`, and rows look like rows.
struct Printed<'a>(&'a Cell);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cell::Array(cells) => list(f, ["[", "]"], cells.iter().map(Printed)),
            Cell::Row(cells) => list(f, ["+I[", "]"], cells.iter().map(Printed)),
            Cell::Map(entries) => list(f, ["{", "}"], entries.iter().map(|(key, value)| Entry(Printed(key), Printed(value)))),
            cell => cell.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray};
    use brisk_core::batch::RowKind;

    #[test]
    fn rows_look_as_flink_prints_them() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["EWR", "JFK"])),
            Arc::new(Float64Array::from(vec![Some(2.0), None])),
            Arc::new(TimestampMillisecondArray::from(vec![0, 1500])),
        ];
        let batch = Columns::new(columns).expect("fits").with_kinds(vec![RowKind::Insert, RowKind::Delete]).expect("two");
        let expected = "a:2> +I[EWR, 2.0, 1970-01-01 00:00:00]\na:2> -D[JFK, null, 1970-01-01 00:00:01.500]\n";
        assert_eq!(lines(&batch, "a:2> ").expect("all can be shown"), expected);
    }
}
