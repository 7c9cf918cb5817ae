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
}

impl<W: Write> Output<W> {
    pub(crate) fn new(format: Format, out: W) -> Self {
        Self { format, out: BufWriter::new(out) }
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
                let header: Vec<_> = columns.iter().map(|column| Cell::Text(column.clone())).collect();
                self.row(Some("op"), &header)?;
                for batch in batches {
                    let columns = batch.columns.iter().map(cells).collect::<Result<Vec<_>>>()?;
                    for row in 0..batch.rows {
                        let cells: Vec<_> = columns.iter().map(|column| column[row].clone()).collect();
                        self.row(Some(batch.kind(row).short()), &cells)?;
                    }
                }
                Ok(self.out.flush()?)
            }
        }
    }

    fn row(&mut self, op: Option<&str>, cells: &[Cell]) -> Result<()> {
        if let Some(op) = op {
            write!(self.out, "{op}")?;
        }
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 || op.is_some() {
                self.out.write_all(b",")?;
            }
            match cell {
                Cell::Null => {}
                Cell::Text(text) if text.is_empty() => self.out.write_all(b"\"\"")?,
                Cell::Text(text) if text.contains([',', '"', '\n', '\r']) => write!(self.out, "\"{}\"", text.replace('"', "\"\""))?,
                other => write!(self.out, "{other}")?,
            }
        }
        Ok(self.out.write_all(b"\n")?)
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
