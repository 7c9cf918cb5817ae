//! Plans as `EXPLAIN` shows them: of Nexmark's queries, and one for each rule of the planner. `BRISK_BLESS=1` writes them anew.

use brisk::options::Configuration;
use brisk::table::{Script, StatementResult, TableSession};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

/// A session with Nexmark's tables, which have no end.
fn session() -> TableSession {
    let mut session = brisk::sql_session(&Configuration::new()).unwrap();
    let tables = Script::new(&fs::read_to_string(folder().join("tables.sql")).unwrap()).unwrap();
    (0..tables.len()).for_each(|table| drop(session.execute(&tables, table).unwrap()));
    session
}

/// What the last statement shows.
fn explain(session: &mut TableSession, statements: &str) -> String {
    let script = Script::new(statements).unwrap();
    let mut shown = None;
    for statement in 0..script.len() {
        shown = match session.execute(&script, statement) {
            Ok(StatementResult::Text(text)) => Some(text),
            Ok(_) => None,
            Err(error) => panic!("{statements}: {error}"),
        };
    }
    shown.unwrap_or_else(|| panic!("{statements} gives no text"))
}

/// The files with statements of a folder.
fn statements_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "sql") && file.file_stem().is_none_or(|name| name != "tables"));
    files.sort();
    files
}

/// Compares what the files' statements show, behind these words, with what lies beside them.
fn check(files: &[PathBuf], words: &str) {
    let mut changed = Vec::new();
    for file in files {
        let plan = explain(&mut session(), &format!("{words} {}", fs::read_to_string(file).unwrap())) + "\n";
        let expected = file.with_extension("plan");
        if std::env::var_os("BRISK_BLESS").is_some() {
            fs::write(&expected, plan).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != plan {
            changed.push(format!("{}:\n{plan}", expected.display()));
        }
    }
    assert!(changed.is_empty(), "plans have changed (BRISK_BLESS=1 accepts them):\n{}", changed.join("\n"));
}

#[test]
fn plans_of_nexmark() {
    let files = statements_of(&folder());
    assert_eq!(files.len(), 21, "q0 to q22 without q6 and q12");
    check(&files, "EXPLAIN CHANGELOG_MODE");
}

/// Each file has a query that shows one rule: what it is as written, and what the rule makes of it.
#[test]
fn plans_of_rules() {
    let files = statements_of(&folder().join("rules"));
    let named = |name: &str| files.iter().any(|file| file.file_stem().is_some_and(|stem| stem == name));
    let planner = include_str!("../../../brisk-table/src/planner/mod.rs");
    let rules = planner.split("Arc::new(").filter_map(|text| text.split_once("::new())")).map(|(rule, _)| rule);
    let rules: Vec<String> = rules.filter(|rule| rule.chars().all(char::is_alphanumeric)).map(in_snake_case).collect();
    assert!(rules.len() > 10, "{rules:?}");
    let missing: Vec<_> = rules.iter().filter(|rule| !named(rule)).collect();
    assert!(missing.is_empty(), "write a query for {missing:?} in {}", folder().join("rules").display());
    check(&files, "");
}

/// `PushDownFilter` as `push_down_filter`.
fn in_snake_case(name: &str) -> String {
    let letter = |(index, letter): (usize, char)| {
        let divider = if index > 0 && letter.is_uppercase() { "_" } else { "" };
        format!("{divider}{}", letter.to_lowercase())
    };
    name.chars().enumerate().map(letter).collect()
}

#[test]
fn details_of_explain() {
    let mut session = session();
    let query = "SELECT channel, COUNT(*) AS bids FROM bid GROUP BY channel";
    let plain = explain(&mut session, &format!("EXPLAIN PLAN FOR {query}"));
    let titles: Vec<_> = plain.lines().filter(|line| line.starts_with("==")).collect();
    assert_eq!(
        titles,
        ["== Abstract Syntax Tree ==", "== Optimized Logical Plan ==", "== Optimized Execution Plan ==", "== Advice =="],
        "the state of a group stays for ever, which is said without being asked for"
    );
    assert!(!plain.contains("changelogMode"), "{plain}");
    let changes = explain(&mut session, &format!("EXPLAIN CHANGELOG_MODE {query}"));
    assert!(changes.contains("changelogMode=[I,UB,UA,D], upsertKey=[$0]") || changes.contains("upsertKey=[channel]"), "{changes}");
    let json = explain(&mut session, &format!("EXPLAIN JSON_EXECUTION_PLAN {query}"));
    let json: serde_json::Value = serde_json::from_str(json.split("== Physical Execution Plan ==").nth(1).unwrap()).unwrap();
    let nodes = json["nodes"].as_array().unwrap();
    let aggregate = nodes.iter().find(|node| node["type"] == "GroupAggregate").unwrap();
    assert_eq!((&aggregate["pact"], &aggregate["predecessors"][0]["ship_strategy"]), (&"Operator".into(), &"HASH".into()));
    // With a time to live, or with an end, nothing grows without bound.
    execute(&mut session, "SET 'table.exec.state.ttl' = '1 h'");
    assert!(!explain(&mut session, &format!("EXPLAIN {query}")).contains("== Advice =="));
    assert!(explain(&mut session, &format!("EXPLAIN PLAN_ADVICE, ESTIMATED_COST {query}")).ends_with("== Advice ==\nnone"));
    execute(&mut session, "RESET; CREATE TABLE few (channel STRING) WITH ('connector' = 'nexmark', 'table' = 'bid', 'events' = '100')");
    assert!(!explain(&mut session, "EXPLAIN SELECT channel, COUNT(*) FROM few GROUP BY channel").contains("== Advice =="));
    execute(&mut session, "CREATE TABLE sink (channel STRING, bids BIGINT) WITH ('connector' = 'blackhole')");
    let set = format!("EXPLAIN STATEMENT SET BEGIN INSERT INTO sink {query}; INSERT INTO sink SELECT channel, 1 FROM few; END");
    assert_eq!(explain(&mut session, &set).matches("Sink(sink)").count(), 6, "twice in each plan");
}

/// Executes statements that have nothing to show.
fn execute(session: &mut TableSession, statements: &str) {
    let script = Script::new(statements).unwrap();
    (0..script.len()).for_each(|statement| drop(session.execute(&script, statement).unwrap()));
}
