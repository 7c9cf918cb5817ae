//! Checks that `tests/sql` shows every statement, operator and function of SQL three times: with a result, with a null, and failing.
//!
//! What there is it reads from the source, so nothing of SQL has to be built: statements are the variants of `Statement`, operators what the
//! physical planner adds by name. Functions are registered in too many ways for that: their names stand in a list that a test compares with the
//! registry. Records of statements and operators say what they are of in a comment above them, a line with nothing but the name; it holds until the
//! next such line. A comment `without NULL: <reason>` tells that there is nothing that could be null, `without result: <reason>` that no record can know the
//! result. Functions are found by their calls.

use super::masked::mask;
use super::{Offence, line_of};
use crate::repo;
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const RECORDS: &str = "tests/sql";
const STATEMENTS: &str = "crates/brisk-table/src/sql/statement.rs";
const OPERATORS: &str = "crates/brisk-table/src/physical";
const FUNCTIONS: &str = "tests/sql/functions.txt";

/// Calls that add an operator to a graph.
const ADDING: [&str; 3] = ["self.add(", "self.add_keyed(", "self.graph.add_node("];

/// Functions that SQL calls in another way than by their name.
const OTHERWISE: [(&str, &str); 4] = [("floor_to", "FLOOR("), ("ceil_to", "CEIL("), ("array", "ARRAY["), ("map", "MAP[")];

/// Functions that have no argument that could be null.
const WITHOUT_ARGUMENTS: [&str; 11] = [
    "current_date",
    "current_row_timestamp",
    "current_timestamp",
    "e",
    "localtimestamp",
    "now",
    "pi",
    "proctime",
    "rand",
    "row_number",
    "uuid",
];

pub(super) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut found = Vec::new();
    let mut records = Vec::new();
    for path in repo::files(&root.join(RECORDS), "slt")? {
        records.extend(records_of(&repo::relative(root, &path), &repo::read(&path)?));
    }
    let (statements, operators) = (statements(root)?, operators(root)?);
    let known: BTreeSet<&str> = statements.iter().chain(&operators).map(|item| item.name.as_str()).collect();
    for item in statements.iter().chain(&operators) {
        let shown = records.iter().filter(|record| record.subject.as_deref() == Some(&item.name));
        found.extend(missing(item, shown, &format!("under a comment `# {}`", item.name)));
    }
    for function in functions(root)? {
        let call = OTHERWISE.iter().find(|(name, _)| *name == function.name);
        let call = call.map_or_else(|| format!("{}(", function.name.to_uppercase()), |(_, call)| (*call).to_owned());
        let calling = records.iter().filter(|record| calls(&record.sql, &call));
        found.extend(missing(&function, calling, &format!("that calls {call}...)")));
    }
    let named: BTreeMap<&str, &Record> = records.iter().filter_map(|record| Some((record.subject.as_deref()?, record))).collect();
    for (subject, record) in named {
        if !known.contains(subject) && !record.file.contains("/functions/") {
            let what = format!("`# {subject}` is no statement of {STATEMENTS} and no operator of {OPERATORS}: correct it");
            found.push(Offence::new(&record.file, record.line, what));
        }
    }
    Ok(found)
}

/// Something that records have to show.
struct Item {
    name: String,
    /// Where it is registered.
    file: String,
    line: usize,
    /// Whether it can have a null.
    has_nulls: bool,
}

/// One record, as far as it matters here.
struct Record {
    file: String,
    line: usize,
    subject: Option<String>,
    sql: String,
    shows: BTreeSet<Shows>,
    /// What its subject cannot show.
    without: BTreeSet<Shows>,
}

/// What a record shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shows {
    Result,
    Null,
    Error,
}

/// An offence for each of the three that no record shows.
fn missing<'r>(item: &Item, records: impl Iterator<Item = &'r Record>, which: &str) -> Vec<Offence> {
    let mut shown: BTreeSet<Shows> = records.flat_map(|record| record.shows.union(&record.without)).copied().collect();
    if !item.has_nulls {
        shown.insert(Shows::Null);
    }
    let all = [(Shows::Result, "a result"), (Shows::Null, "a null"), (Shows::Error, "an error")];
    let missing = all.into_iter().filter(|(shows, _)| !shown.contains(shows));
    let what = |what: &str| format!("{} has no record with {what}: write one in {RECORDS}, {which}", item.name);
    missing.map(|(_, shows)| Offence::new(&item.file, item.line, what(shows))).collect()
}

/// The records of a file.
fn records_of(file: &str, text: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let (mut subject, mut without) = (None, BTreeSet::new());
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(comment) = line.strip_prefix('#').map(str::trim) {
            if comment.starts_with("without NULL: ") {
                without.insert(Shows::Null);
            } else if comment.starts_with("without result: ") {
                without.insert(Shows::Result);
            } else if is_name(comment) {
                (subject, without) = (Some(comment.to_owned()), BTreeSet::new());
            }
        }
        let Some(kind @ ("query" | "statement")) = line.split_whitespace().next() else { continue };
        let fails = line[kind.len()..].trim_start().starts_with("error");
        let rest: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| !line.is_empty()).collect();
        let (sql, results) = rest.split_at(rest.iter().position(|line| *line == "----").unwrap_or(rest.len()));
        let sql = sql.join(" ");
        let shows = if fails { [Shows::Error].into() } else { shown_by(&sql, results) };
        let (subject, sql, without) = (subject.clone(), sql.to_uppercase(), without.clone());
        records.push(Record { file: file.to_owned(), line: number + 1, subject, sql, shows, without });
    }
    records
}

/// What a statement shows that does not fail: a null if it speaks of one or has one in its results; a result if not, or if other
/// lines of the results have none.
fn shown_by(sql: &str, results: &[&str]) -> BTreeSet<Shows> {
    let (nulls, others): (Vec<&str>, Vec<_>) = results.iter().skip(1).partition(|line| line.split(' ').any(|word| word == "NULL"));
    let has_null = speaks_of_null(sql) || !nulls.is_empty();
    let mut shows = BTreeSet::new();
    if has_null {
        shows.insert(Shows::Null);
    }
    if !has_null || (!nulls.is_empty() && !others.is_empty()) {
        shows.insert(Shows::Result);
    }
    shows
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a null is among the values of a statement.
fn speaks_of_null(sql: &str) -> bool {
    let sql =
        sql.replace("IS NULL", "").replace("IS NOT NULL", "").replace("NOT NULL", "").replace("NULLS FIRST", "").replace("NULLS LAST", "");
    sql.replace("NULLIF", "").contains("NULL") || sql.contains("NULLIF(5, 5)")
}

/// Whether a statement calls a function.
fn calls(sql: &str, call: &str) -> bool {
    sql.match_indices(call).any(|(at, _)| !sql[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

/// The variants of `Statement`.
fn statements(root: &Path) -> Result<Vec<Item>> {
    let text = repo::read(&root.join(STATEMENTS))?;
    let body = text.split_once("pub enum Statement {\n").map_or("", |(_, after)| after.split("\n}").next().unwrap_or_default());
    let first = text.find(body).map_or(1, |at| line_of(&text, at));
    let variant = |(index, line): (usize, &str)| {
        let name: String = line.strip_prefix("    ")?.chars().take_while(char::is_ascii_alphanumeric).collect();
        let item = Item { name, file: STATEMENTS.to_owned(), line: first + index, has_nulls: true };
        item.name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(item)
    };
    let variants: Vec<Item> = body.lines().enumerate().filter_map(variant).collect();
    ensure!(!variants.is_empty(), "{STATEMENTS} has no `pub enum Statement` any more: correct xtask/src/tidy/records.rs");
    Ok(variants)
}

/// The operators that the physical planner adds, each once.
fn operators(root: &Path) -> Result<Vec<Item>> {
    let mut operators: BTreeMap<String, Item> = BTreeMap::new();
    for path in repo::files(&root.join(OPERATORS), "rs")? {
        let (file, text) = (repo::relative(root, &path), repo::read(&path)?);
        let masked = mask(&text);
        for call in ADDING {
            for (at, _) in masked.match_indices(call) {
                let argument = text[at + call.len()..].trim_start();
                let Some(name) = argument.strip_prefix('"').and_then(|rest| rest.split('"').next()).filter(|name| is_name(name)) else {
                    continue;
                };
                let item = Item { name: name.to_owned(), file: file.clone(), line: line_of(&text, at), has_nulls: true };
                operators.entry(name.to_owned()).or_insert(item);
            }
        }
    }
    ensure!(!operators.is_empty(), "{OPERATORS} adds no operators by name any more: correct xtask/src/tidy/records.rs");
    Ok(operators.into_values().collect())
}

/// The functions of the list.
fn functions(root: &Path) -> Result<Vec<Item>> {
    let text = repo::read(&root.join(FUNCTIONS))?;
    let item = |(index, name): (usize, &str)| Item {
        name: name.to_owned(),
        file: FUNCTIONS.to_owned(),
        line: index + 1,
        has_nulls: !WITHOUT_ARGUMENTS.contains(&name),
    };
    Ok(text.lines().enumerate().filter(|(_, name)| is_name(name)).map(item).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tree::offences;
    use super::*;

    const STATEMENT: &str = "pub enum Statement {\n    /// What.\n    Show(Show),\n    Set {\n        key: String,\n    },\n}\n";
    const PHYSICAL: &str =
        "// self.add(\"Not\")\nfn f() {\n    let node = self.add_keyed(\n        \"Join\", x);\n    self.add(name);\n}\n";
    /// All that there has to be.
    const COMPLETE: &str = "\
# Show
# without NULL: there are none

query T
SHOW TABLES
----

statement error no such thing
SHOW NULL

# Set

statement ok
SET 'a' = 'b'

query T
SET
----
a NULL

statement error
SET 'a'

# Join

query I
SELECT ABS(1), FLOOR(x TO DAY), PI() FROM a JOIN b ON TRUE

# A comment in between.

query T
SELECT ABS(x), FLOOR(NULL TO DAY) FROM a JOIN b ON x IS NULL
----
1 NULL

query error never
SELECT ABS(), FLOOR(), PI(1)
";

    fn of(functions: &str, records: &str) -> Vec<String> {
        let files = [
            (STATEMENTS, STATEMENT),
            ("crates/brisk-table/src/physical/join.rs", PHYSICAL),
            (FUNCTIONS, functions),
            ("tests/sql/a.slt", records),
        ];
        offences(check, &files)
    }

    #[test]
    fn what_is_shown_three_times_passes() {
        assert_eq!(of("abs\nfloor_to\npi\n", COMPLETE), [""; 0]);
    }

    #[test]
    fn what_is_not_shown_is_found_where_it_is_registered() {
        let found = of("abs\nlog\n", &COMPLETE.replace("# Join\n", "# Joint\n"));
        let starts = [
            "crates/brisk-table/src/physical/join.rs:3: Join has no record with a result: write one in tests/sql, under a comment `# Join`",
            "crates/brisk-table/src/physical/join.rs:3: Join has no record with a null",
            "crates/brisk-table/src/physical/join.rs:3: Join has no record with an error",
            "tests/sql/functions.txt:2: log has no record with a result: write one in tests/sql, that calls LOG(...)",
            "tests/sql/functions.txt:2: log has no record with a null",
            "tests/sql/functions.txt:2: log has no record with an error",
        ];
        for start in starts {
            assert!(found.iter().any(|line| line.starts_with(start)), "{start}\nis not in {found:#?}");
        }
        assert!(found.iter().any(|line| line.starts_with("tests/sql/a.slt:") && line.contains("`# Joint` is no statement")), "{found:#?}");
        assert_eq!(found.len(), 7, "{found:#?}");
    }

    #[test]
    fn each_of_the_three_is_asked_for() {
        let found = of("abs\n", &COMPLETE.replace("a NULL", "a b"));
        assert_eq!(
            found,
            ["crates/brisk-table/src/sql/statement.rs:4: Set has no record with a null: write one in tests/sql, under a comment `# Set`"]
        );
        let found = of("abs\n", &COMPLETE.replace("statement error no such", "statement ok no such"));
        assert_eq!(found.len(), 1, "{found:#?}");
        let found = of("abs\n", &COMPLETE.replace("# without NULL", "# with NULL").replace("statement error no", "query error no"));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains("Show has no record with a null"), "{found:#?}");
    }

    #[test]
    fn calls_are_whole_names() {
        assert!(calls("SELECT LOG(1)", "LOG("));
        assert!(!calls("SELECT MY_LOG(1)", "LOG("));
    }
}
