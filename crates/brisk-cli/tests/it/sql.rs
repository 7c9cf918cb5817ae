//! `brisk sql`.

use std::process::{Command, Output};

fn brisk(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brisk")).args(arguments).output().expect("the command can be started")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

const TABLE: &str = "CREATE TABLE bid (auction BIGINT, price BIGINT) WITH ('connector' = 'nexmark', 'events' = '1000');";

#[test]
fn results_are_csv_and_figures_are_json() {
    let query = format!("{TABLE} SELECT COUNT(*) AS bids, MAX(price) > 1 FROM bid");
    let done = brisk(&["sql", "-o", "csv", "--stats", "json", "-D", "parallelism.default=2", "-e", &query]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "bids,EXPR$1\n920,true\n");
    let stats: serde_json::Value = serde_json::from_str(text(&done.stderr)).expect("one object");
    assert_eq!(stats["records"], 920);
    assert!(stats["peak_rss_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
}

#[test]
fn changes_have_their_kind() {
    let query = format!("{TABLE} SELECT price FROM bid WHERE auction < 0 OR price = 0; SELECT COUNT(*) FROM bid");
    let done = brisk(&["sql", "-o", "changelog", "-D", "table.exec.row-exact=true", "-e", &query]);
    let lines: Vec<_> = text(&done.stdout).lines().collect();
    assert_eq!(&lines[..5], ["op,price", "op,EXPR$0", "+I,1", "-U,1", "+U,2"]);
    assert_eq!(lines.len(), 2 + 1 + 2 * 919);
}

#[test]
fn printed_rows_stand_among_results() {
    let print = "CREATE TABLE seen (x BIGINT) WITH ('connector' = 'print', 'print-identifier' = 'seen')";
    let done = brisk(&[
        "sql",
        "-D",
        "parallelism.default=1",
        "-e",
        &format!("SELECT 1 AS one; {print}; INSERT INTO seen VALUES (7); SELECT 2 AS two"),
    ]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "one\n1\nseen> +I[7]\ntwo\n2\n");
}

#[test]
fn the_first_error_ends_the_run_with_status_1() {
    let done = brisk(&["sql", "-e", "SELECT\n nothing FROM bid; SELECT 1"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stdout.is_empty());
    let error = text(&done.stderr);
    assert!(error.starts_with("error: -e: ") && error.contains("bid"), "{error}");
}
