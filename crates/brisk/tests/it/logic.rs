//! The records of `tests/sql`: statements with their results, in the format of [sqllogictest](https://sqlite.org/sqllogictest).

use brisk::options::Configuration;
use brisk::table::functions::Functions;
use brisk::table::{Cell, Script, StatementResult, TableSession, fold_changelog};
use sqllogictest::{DB, DBOutput, DefaultColumnType, Record, Runner};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A session that answers records.
struct Session(TableSession);

impl Session {
    fn new() -> brisk::Result<Self> {
        brisk::sql_session(&Configuration::new()).map(Self)
    }

    fn execute(&mut self, text: &str) -> brisk::Result<DBOutput<DefaultColumnType>> {
        let script = Script::new(text)?;
        let mut output = DBOutput::StatementComplete(0);
        for statement in 0..script.len() {
            output = match self.0.execute(&script, statement)? {
                StatementResult::Done => DBOutput::StatementComplete(0),
                StatementResult::Text(text) => table(1, vec![vec![Cell::Text(text)]]),
                StatementResult::Rows { columns, rows } => table(columns.len(), rows),
                StatementResult::Insertion { client, .. } => client.wait().map(|_| DBOutput::StatementComplete(0))?,
                StatementResult::Query(query) => {
                    query.client.wait()?;
                    let rows = fold_changelog(&query.results.batches())?;
                    let rows = rows.into_iter().flat_map(|(row, count)| std::iter::repeat_n(row, usize::try_from(count).unwrap_or(0)));
                    table(query.columns.len(), rows.collect())
                }
            };
        }
        Ok(output)
    }
}

fn table(columns: usize, rows: Vec<Vec<Cell>>) -> DBOutput<DefaultColumnType> {
    let cell = |cell: Cell| match cell {
        Cell::Text(text) if text.is_empty() => "(empty)".to_owned(),
        Cell::Null => "NULL".to_owned(),
        cell => cell.to_string(),
    };
    let rows = rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
    DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows }
}

/// The error of a record.
#[derive(Debug)]
struct Refusal(brisk::Error);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl DB for Session {
    type Error = Refusal;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refusal> {
        self.execute(sql).map_err(Refusal)
    }
}

/// All files below `tests/sql`.
fn files() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                below(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "slt") {
                found.push(entry);
            }
        }
    }
    let mut found = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sql"), &mut found);
    found.sort();
    found
}

#[test]
fn records_hold() {
    let files = files();
    assert!(files.len() > 3, "{files:?}");
    let failures: Vec<_> = files
        .iter()
        .filter_map(|file| Runner::new(async || Session::new().map_err(Refusal)).run_file(file).err())
        .map(|error| error.display(false).to_string())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Writes the book's reference of functions: what the records under a comment with a function's name show.
fn reference() -> String {
    let mut text = "# Functions\n\nGenerated from the records in `tests/sql/functions`, which hold on every change. `NULL` arguments give `NULL` unless \
                    an example says otherwise.\n"
        .to_owned();
    for file in files().iter().filter(|file| file.parent().is_some_and(|folder| folder.ends_with("functions"))) {
        let mut rows = String::new();
        let mut function = None;
        for record in sqllogictest::parse_file::<DefaultColumnType>(file).unwrap() {
            match record {
                Record::Comment(lines) => {
                    let name = lines.first().map(|line| line.trim().to_owned()).unwrap_or_default();
                    function = (!name.contains(' ')).then_some(name);
                }
                Record::Query { sql, expected: sqllogictest::QueryExpect::Results { results, .. }, .. } => {
                    let Some(name) = function.as_ref().filter(|_| !sql.contains("CAST(NULL")) else { continue };
                    let code = |text: &str| text.replace('|', "\\|");
                    let shown = sql.strip_prefix("SELECT ").unwrap_or(&sql).replace('\n', " ");
                    rows += &format!("| `{name}` | `{}` | `{}` |\n", code(&shown), code(&results.join("`, `")));
                }
                _ => {}
            }
        }
        if !rows.is_empty() {
            let title = file.file_stem().unwrap_or_default().to_string_lossy().replace('_', " ");
            text += &format!("\n## {}{}\n\n| function | example | result |\n|---|---|---|\n{rows}", title[..1].to_uppercase(), &title[1..]);
        }
    }
    text
}

#[test]
fn the_books_reference_of_functions_is_that_of_the_records() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src/sql-functions.md");
    let reference = reference();
    if std::env::var_os("BRISK_BLESS").is_some() {
        std::fs::write(&path, &reference).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == reference, "{} is not up to date: run this test with BRISK_BLESS=1", path.display());
}

/// Functions that SQL calls in another way than by their name.
const OTHERWISE: [(&str, &str); 6] =
    [("floor_to", "FLOOR("), ("ceil_to", "CEIL("), ("extract", "EXTRACT("), ("mod", "MOD("), ("array", "ARRAY["), ("map", "MAP[")];
/// Functions that have no argument that could be null.
const WITHOUT_ARGUMENTS: [&str; 11] = [
    "current_date",
    "current_timestamp",
    "current_row_timestamp",
    "e",
    "localtimestamp",
    "now",
    "pi",
    "proctime",
    "rand",
    "row_number",
    "uuid",
];

/// What a record shows of the functions in it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Shows {
    Result,
    Null,
    Error,
}

#[test]
fn every_function_has_a_result_a_null_and_an_error() {
    let mut records = Vec::new();
    for file in files() {
        for record in sqllogictest::parse_file::<DefaultColumnType>(&file).unwrap() {
            match record {
                Record::Query { sql, expected, .. } => {
                    let error = matches!(expected, sqllogictest::QueryExpect::Error(_));
                    records.push((sql.to_uppercase(), error));
                }
                Record::Statement { sql, expected, .. } => {
                    records.push((sql.to_uppercase(), matches!(expected, sqllogictest::StatementExpect::Error(_))));
                }
                _ => {}
            }
        }
    }
    let mut missing = Vec::new();
    for name in Functions::default().names() {
        let call = OTHERWISE
            .iter()
            .find(|(known, _)| *known == name)
            .map_or_else(|| format!("{}(", name.to_uppercase()), |(_, call)| (*call).to_owned());
        let calls = |sql: &str| {
            sql.match_indices(&call).any(|(at, _)| !sql[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
        };
        let shown: BTreeSet<Shows> = records
            .iter()
            .filter(|(sql, _)| calls(sql))
            .map(|(sql, error)| match error {
                true => Shows::Error,
                false if sql.replace("IS NULL", "").replace("NULLIF", "").contains("NULL") || sql.contains("NULLIF(5, 5)") => Shows::Null,
                false => Shows::Result,
            })
            .collect();
        for (shows, what) in [(Shows::Result, "a result"), (Shows::Null, "a null"), (Shows::Error, "an error")] {
            let needed = what != "a null" || !WITHOUT_ARGUMENTS.contains(&&*name);
            if needed && !shown.contains(&shows) {
                missing.push(format!("{name}: {what}"));
            }
        }
    }
    assert!(missing.is_empty(), "no record in tests/sql shows of\n{}", missing.join("\n"));
}
