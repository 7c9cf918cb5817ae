//! Tables whose rows lie in a folder for each value of some columns: `dt=2024-01-01/hm=10%3A00`. The files do not have these columns.
//!
//! Folders are named as Flink (and Hive before it) names them: what a file system may not like is escaped with a percent sign, and a null or
//! empty value has a name of its own.
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/filesystem/#partition-files>

use super::column::Column;
use super::values::{Shape, Values};
use arrow_schema::{Schema, SchemaRef};
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use std::ops::Range;
use std::path::{Component, Path};
use std::sync::Arc;

/// Characters that are escaped, besides control characters.
const ESCAPED: &[u8] = b"\"#%'*/:=?\\{[]^\x7f";

/// By which columns a table is divided; perhaps none. See the module.
#[derive(Clone, Debug)]
pub struct Partitions {
    /// All columns of the table.
    schema: SchemaRef,
    /// Places of the columns that name folders, the outermost first.
    columns: Vec<usize>,
    /// Places of the columns that are in the files.
    in_files: Vec<usize>,
    /// Name of a folder for null.
    default_name: String,
}

impl Partitions {
    /// Of a table with these columns.
    ///
    /// # Errors
    /// When a column is not there, or none is left for the files.
    pub fn new(schema: &SchemaRef, names: &[String], default_name: String) -> Result<Self> {
        let place = |name: &String| schema.index_of(name).map_err(|_| Error::user(format!("there is no column '{name}'")));
        let columns = names.iter().map(place).collect::<Result<Vec<_>>>()?;
        let in_files: Vec<_> = (0..schema.fields().len()).filter(|column| !columns.contains(column)).collect();
        if in_files.is_empty() {
            return Err(Error::user("PARTITIONED BY names all columns; files need one of their own"));
        }
        Ok(Self { schema: Arc::clone(schema), columns, in_files, default_name })
    }

    /// The columns of the files.
    pub fn file_schema(&self) -> SchemaRef {
        let fields: Vec<_> = self.in_files.iter().map(|column| Arc::clone(&self.schema.fields()[*column])).collect();
        Arc::new(Schema::new(fields))
    }

    /// A batch without the columns that name folders.
    pub fn for_files(&self, batch: &Columns) -> Columns {
        Columns { columns: self.in_files.iter().map(|column| Arc::clone(&batch.columns[*column])).collect(), ..batch.clone() }
    }

    /// The folder of each run of rows that follow one another; without partitions there is one run, in the table's own folder.
    ///
    /// # Errors
    /// When a column has no text.
    pub fn runs(&self, batch: &Columns) -> Result<Vec<(String, Range<usize>)>> {
        let values = self.columns.iter().map(|column| Values::of(&batch.columns[*column])).collect::<Result<Vec<_>>>()?;
        let mut runs: Vec<(String, Range<usize>)> = Vec::new();
        let (mut key, mut last) = (Vec::new(), Vec::new());
        for row in 0..batch.rows {
            // Whether there is a value, and its text, for each column.
            key.clear();
            for column in &values {
                let begin = key.len();
                key.push(1);
                if column.write(row, &mut key)? == Shape::Null {
                    key[begin] = 0;
                }
                key.push(b'\n');
            }
            match runs.last_mut() {
                Some((_, run)) if key == last => run.end = row + 1,
                _ => runs.push((self.folder(&values, row)?, row..row + 1)),
            }
            std::mem::swap(&mut key, &mut last);
        }
        Ok(runs)
    }

    fn folder(&self, values: &[Values<'_>], row: usize) -> Result<String> {
        let mut folder = String::new();
        for (column, values) in self.columns.iter().zip(values) {
            if !folder.is_empty() {
                folder.push('/');
            }
            escape(self.schema.field(*column).name().as_bytes(), &mut folder);
            folder.push('=');
            let mut text = Vec::new();
            values.write(row, &mut text)?;
            escape(if text.is_empty() { self.default_name.as_bytes() } else { &text }, &mut folder);
        }
        Ok(folder)
    }

    /// The values that the folders of a file stand for.
    ///
    /// # Errors
    /// When the file lies in no folder for one of the columns.
    pub fn values_of(&self, file: &Path) -> Result<Vec<Option<String>>> {
        let value = |column: &usize| {
            let name = self.schema.field(*column).name();
            let folders = file.components().rev().skip(1).filter_map(|component| match component {
                Component::Normal(folder) => folder.to_str()?.split_once('='),
                _ => None,
            });
            let found = folders.into_iter().find(|(folder, _)| unescape(folder) == *name);
            let Some((_, value)) = found else {
                return Err(Error::user(format!("'{}' lies in no folder '{name}=...', as files of this table do", file.display())));
            };
            Ok(Some(unescape(value)).filter(|value| *value != self.default_name))
        };
        self.columns.iter().map(value).collect()
    }

    /// A batch of a file together with the columns that its folders stand for.
    ///
    /// # Errors
    /// When a value is not of its column's type.
    pub fn with_values(&self, batch: Columns, values: &[Option<String>]) -> Result<Columns> {
        let mut columns: Vec<_> = batch.columns.into_iter().zip(&self.in_files).map(|(column, place)| (*place, column)).collect();
        for (place, value) in self.columns.iter().zip(values) {
            let field = self.schema.field(*place);
            let mut column = Column::new(field.data_type())?;
            for _ in 0..batch.rows {
                match value {
                    None => column.push_null(),
                    Some(text) if column.push(text.as_bytes()) => {}
                    Some(text) => {
                        let message = format!("folder '{}={text}': '{text}' is no {}", field.name(), field.data_type());
                        return Err(Error::user(message));
                    }
                }
            }
            columns.push((*place, column.finish()));
        }
        columns.sort_by_key(|(place, _)| *place);
        Ok(Columns { columns: columns.into_iter().map(|(_, column)| column).collect(), ..batch })
    }
}

fn escape(text: &[u8], out: &mut String) {
    for character in String::from_utf8_lossy(text).chars() {
        match u8::try_from(character) {
            Ok(byte) if byte < b' ' || ESCAPED.contains(&byte) => out.push_str(&format!("%{byte:02X}")),
            _ => out.push(character),
        }
    }
}

fn unescape(text: &str) -> String {
    let mut plain = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[2..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Field};

    fn schema() -> SchemaRef {
        let fields = [("hm", DataType::Utf8), ("n", DataType::Int64), ("day", DataType::Int64)];
        Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
    }

    fn batch(rows: &[(Option<&str>, i64, Option<i64>)]) -> Columns {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
        ];
        Columns { columns, rows: rows.len(), ..Columns::default() }
    }

    fn partitions(names: &[&str]) -> Result<Partitions> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Partitions::new(&schema(), &names, "__DEFAULT_PARTITION__".to_owned())
    }

    #[test]
    fn rows_go_into_the_folders_of_their_values_and_come_back() {
        let partitions = partitions(&["day", "hm"]).unwrap();
        let rows = [(Some("10:00"), 1, Some(7)), (Some("10:00"), 2, Some(7)), (None, 3, Some(7)), (Some("a/b%=\u{e9}"), 4, None)];
        let batch = batch(&rows);
        let runs = partitions.runs(&batch).unwrap();
        let folders = ["day=7/hm=10%3A00", "day=7/hm=__DEFAULT_PARTITION__", "day=__DEFAULT_PARTITION__/hm=a%2Fb%25%3D\u{e9}"];
        assert_eq!(runs, [0..2, 2..3, 3..4].into_iter().zip(folders).map(|(rows, folder)| (folder.to_owned(), rows)).collect::<Vec<_>>());
        let files = partitions.for_files(&batch);
        assert_eq!((files.columns.len(), partitions.file_schema().field(0).name().as_str()), (1, "n"));
        for (folder, rows) in runs {
            let values = partitions.values_of(&Path::new("/t").join(folder).join("part-0.csv")).unwrap();
            let slice = |columns: &Columns| columns.columns.iter().map(|column| column.slice(rows.start, rows.len())).collect();
            let part = Columns { columns: slice(&files), rows: rows.len(), ..Columns::default() };
            assert_eq!(partitions.with_values(part, &values).unwrap().columns, slice(&batch));
        }
    }

    #[test]
    fn a_table_without_partitions_is_one_run() {
        let runs = partitions(&[]).unwrap().runs(&batch(&[(None, 1, None), (Some("x"), 2, None)])).unwrap();
        assert_eq!(runs, [(String::new(), 0..2)]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let all = partitions(&["day", "hm", "n"]).unwrap_err().to_string();
        assert!(all.contains("names all columns"), "{all}");
        let partitions = partitions(&["day"]).unwrap();
        let outside = partitions.values_of(Path::new("/t/part-0.csv")).unwrap_err().to_string();
        assert!(outside.contains("lies in no folder 'day=...'"), "{outside}");
        let values = partitions.values_of(Path::new("/t/day=monday/part-0.csv")).unwrap();
        let rest = partitions.for_files(&batch(&[(None, 1, None)]));
        let wrong = partitions.with_values(rest, &values).unwrap_err().to_string();
        assert!(wrong.contains("'monday' is no Int64"), "{wrong}");
    }
}
