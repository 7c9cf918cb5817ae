//! Writes results as RFC 4180 CSV.

use super::Format;
use brisk::Result;
use brisk::batch::Columns;
use brisk::table::{Cell, cells, fold_changelog};
use std::io::{BufWriter, Write};

/// Where results go.
pub(crate) struct Output<W: Write> {
    format: Format,
    out: BufWriter<W>,
    /// A row before it is written.
    line: Vec<u8>,
    /// Bytes of rows so far.
    written: u64,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(format: Format, out: W) -> Self {
        Self { format, out: BufWriter::new(out), line: Vec::new(), written: 0 }
    }

    /// Bytes of rows so far.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// A text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }

    /// A header and rows.
    pub(crate) fn rows<'r>(&mut self, columns: &[String], rows: impl IntoIterator<Item = &'r [Cell]>) -> Result<()> {
        let header: Vec<_> = columns.iter().map(|column| Cell::Text(column.clone())).collect();
        self.row(None, &header)?;
        for row in rows {
            self.row(None, row)?;
        }
        Ok(self.out.flush()?)
    }

    /// The result of a query.
    pub(crate) fn query(&mut self, columns: &[String], batches: &[Columns]) -> Result<()> {
        match self.format {
            Format::Csv => {
                let table = fold_changelog(batches)?;
                let rows = table.iter().flat_map(|(row, count)| std::iter::repeat_n(row.as_slice(), usize::try_from(*count).unwrap_or(0)));
                self.rows(columns, rows)
            }
            Format::Changelog => {
                self.changes_of(columns)?;
                self.changes(batches)
            }
        }
    }

    /// The header of changes.
    pub(crate) fn changes_of(&mut self, columns: &[String]) -> Result<()> {
        let header: Vec<_> = columns.iter().map(|column| Cell::Text(column.clone())).collect();
        self.row(Some("op"), &header)?;
        Ok(self.out.flush()?)
    }

    /// Changes, in whatever format final tables are shown.
    pub(crate) fn changes(&mut self, batches: &[Columns]) -> Result<()> {
        for batch in batches {
            let columns = batch.columns.iter().map(cells).collect::<Result<Vec<_>>>()?;
            for row in 0..batch.rows {
                let cells: Vec<_> = columns.iter().map(|column| column[row].clone()).collect();
                self.row(Some(batch.kind(row).short()), &cells)?;
            }
        }
        Ok(self.out.flush()?)
    }

    fn row(&mut self, op: Option<&str>, cells: &[Cell]) -> Result<()> {
        let line = &mut self.line;
        line.clear();
        if let Some(op) = op {
            write!(line, "{op}")?;
        }
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 || op.is_some() {
                line.push(b',');
            }
            match cell {
                Cell::Null => {}
                Cell::Text(text) if text.is_empty() => line.extend(b"\"\""),
                Cell::Text(text) if text.contains([',', '"', '\n', '\r']) => write!(line, "\"{}\"", text.replace('"', "\"\""))?,
                other => write!(line, "{other}")?,
            }
        }
        line.push(b'\n');
        self.written += line.len() as u64;
        Ok(self.out.write_all(line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        let mut bytes = Vec::new();
        let columns = ["a", "b,c"].map(str::to_owned);
        let rows = [vec![Cell::Null, "x\"y".into()], vec!["".into(), 7.into()]];
        Output::new(Format::Csv, &mut bytes).rows(&columns, rows.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "a,\"b,c\"\n,\"x\"\"y\"\n\"\",7\n");
    }
}
