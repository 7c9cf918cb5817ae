//! The records of `tests/sql`: statements with their results, in the format of [sqllogictest](https://sqlite.org/sqllogictest).

use brisk::options::Configuration;
use brisk::table::functions::Functions;
use brisk::table::{Cell, Script, StatementResult, TableSession, fold_changelog};
use sqllogictest::{DB, DBOutput, DefaultColumnType, QueryExpect, Record, Runner, StatementExpect};
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
                Record::Query { sql, expected: QueryExpect::Results { results, .. }, .. } => {
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

/// Where the names of all functions stand, one a line.
const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/sql/functions.txt");

/// `cargo xtask tidy` reads the list, and asks for a result, a null and an error of each of them.
#[test]
fn the_list_of_functions_is_that_of_the_registry() {
    let names = Functions::default().names().join("\n") + "\n";
    if std::env::var_os("BRISK_BLESS").is_some() {
        std::fs::write(FUNCTIONS, &names).unwrap();
    }
    let written = std::fs::read_to_string(FUNCTIONS).unwrap_or_default();
    assert!(written == names, "{FUNCTIONS} is not up to date: run this test with BRISK_BLESS=1");
}

/// The plans of statements that a file of records runs without an error, each with the operator that the comment above it names.
fn plans_of_operators(file: &Path) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::new().unwrap();
    let mut plans = Vec::new();
    let mut operator = None;
    for record in sqllogictest::parse_file::<DefaultColumnType>(file).unwrap() {
        let sql = match record {
            Record::Comment(lines) => {
                let named = lines.first().map(|line| line.trim().to_owned()).filter(|line| line.chars().all(char::is_alphanumeric));
                operator = named.or(operator);
                continue;
            }
            Record::Query { sql, expected: QueryExpect::Results { .. }, .. } => sql,
            Record::Statement { sql, expected: StatementExpect::Ok, .. } => sql,
            _ => continue,
        };
        let sql = sql.replace("$__TEST_DIR__", folder.path().to_str().unwrap());
        if let (Some(operator), false) = (&operator, sql.starts_with("CREATE") || sql.starts_with("SET")) {
            let DBOutput::Rows { rows, .. } = session.execute(&format!("EXPLAIN {sql}")).unwrap() else { panic!("{sql} has no plan") };
            plans.push((operator.clone(), rows.concat().concat()));
        } else {
            session.execute(&sql).unwrap();
        }
    }
    plans
}

#[test]
fn records_of_operators_use_them() {
    let files = files();
    let files = files.iter().filter(|file| file.parent().is_some_and(|folder| folder.ends_with("operators")));
    let plans: Vec<_> = files.flat_map(|file| plans_of_operators(file)).collect();
    let uses = |operator: &str, plan: &str| {
        plan.lines().filter_map(|line| line.split_once(": ")).any(|(number, shown)| {
            let rest = shown.strip_prefix(operator);
            number.parse::<u32>().is_ok() && rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        })
    };
    let operators: BTreeSet<&str> = plans.iter().map(|(operator, _)| operator.as_str()).collect();
    assert!(operators.len() > 15, "{operators:?}");
    for operator in operators {
        let used = plans.iter().filter(|(of, plan)| of == operator && uses(operator, plan)).count();
        assert!(used > 1, "{used} of the records under `# {operator}` in tests/sql/operators use it");
    }
}
