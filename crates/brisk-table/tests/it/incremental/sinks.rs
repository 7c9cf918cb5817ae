//! What a table with a primary key has in the end.

use super::{Case, Change, cells, graph_of, rows, table};
use brisk_base::options::Configuration;
use brisk_table::Table;
use proptest::prelude::*;

/// Of each key the row that came last, of those that are there.
fn last_rows(changes: &[Change]) -> Table {
    let mut live: Vec<(Option<i64>, Option<i64>)> = Vec::new();
    for change in changes {
        let row = (change.row.0, change.row.1);
        match change.kind.sign() {
            1 => live.push(row),
            _ => drop(live.remove(live.iter().position(|other| *other == row).expect("it is there"))),
        }
    }
    let last: std::collections::BTreeMap<_, _> = live.into_iter().collect();
    table(last.into_iter().map(|(key, value)| cells([key, value])))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn one_row_per_primary_key(case in Case::changing(40)) {
        case.check("INSERT INTO by_key SELECT k, v FROM a", |[changes, _]| last_rows(changes));
    }

    #[test]
    fn results_that_have_the_key_are_written_as_they_are(case in Case::changing(20)) {
        case.check("INSERT INTO by_key SELECT k, COUNT(*) FROM a GROUP BY k", |[changes, _]| {
            let mut counts = Table::new();
            rows(changes).into_iter().for_each(|row| *counts.entry(cells([row.0])).or_default() += 1);
            table(counts.into_iter().map(|(key, count)| [key, cells([Some(count)])].concat()))
        });
    }
}

#[test]
fn rows_are_brought_together_where_keys_differ() {
    let has_materializer = |query: &str, option: Option<&str>| {
        let mut config = Configuration::new();
        option.into_iter().for_each(|value| {
            config.set_text("table.exec.sink.upsert-materialize", value);
        });
        graph_of(query, &config).0.nodes.iter().any(|node| node.name == "SinkMaterializer")
    };
    let [same, other, inserts] = ["SELECT k, COUNT(*) FROM a GROUP BY k", "SELECT v, COUNT(*) FROM a GROUP BY k, v", "SELECT k, v FROM ta"]
        .map(|query| format!("INSERT INTO by_key {query}"));
    assert!(!has_materializer(&same, None), "the query has the key of the table");
    assert!(has_materializer(&other, None), "it has another");
    assert!(!has_materializer(&inserts, None), "no row is updated");
    assert!(!has_materializer(&other, Some("none")));
    assert!(has_materializer(&same, Some("FORCE")));
}
