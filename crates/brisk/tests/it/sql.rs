//! SQL sessions on the embedded engine: statements in, tables and errors out.

use arrow_array::{Int64Array, StringArray};
use arrow_schema::DataType;
use brisk::options::Configuration;
use brisk::table::functions::{Argument, TableFunction, TableRows};
use brisk::table::{Cell, Script, StatementResult, TableSession, fold_changelog};
use std::sync::Arc;

/// Tables of 50,000 events: 1000 persons, 3000 auctions, 46,000 bids in 50 seconds of event time.
const TABLES: &str = "
    CREATE TABLE person (id BIGINT, name STRING, state STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '4' SECOND)
      WITH ('connector' = 'nexmark', 'events' = '50000');
    CREATE TABLE auction (id BIGINT, seller BIGINT, category BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '4' SECOND)
      WITH ('connector' = 'nexmark', 'events' = '50000');
    CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, ts TIMESTAMP(3), cents AS price * 100,
      WATERMARK FOR ts AS ts - INTERVAL '4' SECOND) WITH ('connector' = 'nexmark', 'events' = '50000');";

fn session(parallelism: u32) -> TableSession {
    let config: Configuration = [("parallelism.default", parallelism.to_string())].into_iter().collect();
    let mut session = brisk::sql_session(&config).unwrap();
    run(&mut session, TABLES).unwrap();
    session
}

/// `LATERAL TABLE(words(text)) AS t(word, length)`
#[derive(Debug)]
struct Words;

impl TableFunction for Words {
    fn name(&self) -> &str {
        "words"
    }

    fn argument_types(&self, given: &[DataType]) -> brisk::Result<Vec<DataType>> {
        match given {
            [_] => Ok(vec![DataType::Utf8]),
            _ => Err(brisk::Error::user("WORDS(text)")),
        }
    }

    fn columns(&self, _arguments: &[DataType]) -> Vec<(String, DataType)> {
        vec![("word".to_owned(), DataType::Utf8), ("length".to_owned(), DataType::Int64)]
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> brisk::Result<TableRows> {
        let (mut of, mut words) = (Vec::new(), Vec::new());
        for row in 0..rows {
            for word in arguments[0].text(row).unwrap_or_default().split_whitespace() {
                of.push(row as u32);
                words.push(word);
            }
        }
        let lengths = Int64Array::from_iter_values(words.iter().map(|word| word.len() as i64));
        Ok(TableRows { of, columns: vec![Arc::new(StringArray::from(words)), Arc::new(lengths)] })
    }
}

#[test]
fn table_functions_of_a_program_are_called_with_rows_in_front() {
    let mut session = session(2);
    session.functions_mut().register_table(Words);
    let lines = "(VALUES (1, 'to be or'), (2, 'not to'), (3, '')) AS v (n, line)";
    let mut rows = |query: &str| run(&mut session, query).map_err(|error| error.to_string());
    let counted = rows(&format!("SELECT word, COUNT(*) FROM {lines}, LATERAL TABLE(words(line)) AS t GROUP BY word")).unwrap();
    let expected = [("be", 1), ("not", 1), ("or", 1), ("to", 2)].map(|(word, count)| vec![Cell::from(word), Cell::from(count)]);
    assert_eq!(counted, expected);
    let left = rows(&format!("SELECT n, w FROM {lines} LEFT JOIN LATERAL TABLE(words(line)) AS t (w, l) ON TRUE WHERE n > 1")).unwrap();
    let row = |n: i64, word: Option<&str>| vec![Cell::from(n), Cell::from(word)];
    assert_eq!(left, [row(2, Some("not")), row(2, Some("to")), row(3, None)]);
    let error = rows(&format!("SELECT * FROM {lines}, LATERAL TABLE(word(line)) AS t")).unwrap_err();
    assert!(error.contains("no table function named WORD; did you mean WORDS?"), "{error}");
    assert!(rows(&format!("SELECT * FROM {lines}, LATERAL TABLE(words(line, 1)) AS t")).unwrap_err().contains("WORDS(text)"));
}

/// Executes all statements; the rows of the last, sorted.
fn run(session: &mut TableSession, text: &str) -> brisk::Result<Vec<Vec<Cell>>> {
    let script = Script::new(text)?;
    let mut last = Vec::new();
    for statement in 0..script.len() {
        last = match session.execute(&script, statement)? {
            StatementResult::Done | StatementResult::Text(_) => Vec::new(),
            StatementResult::Rows { rows, .. } => rows,
            StatementResult::Insertion { client, .. } => client.wait().map(|_| Vec::new())?,
            StatementResult::Query(query) => {
                query.client.wait()?;
                let table = fold_changelog(&query.results.batches())?;
                table.into_iter().flat_map(|(row, count)| std::iter::repeat_n(row, count as usize)).collect()
            }
        };
    }
    Ok(last)
}

/// The rows of a query, the same at each parallelism.
fn rows(text: &str) -> Vec<Vec<Cell>> {
    let results = [1, 2, 4].map(|parallelism| run(&mut session(parallelism), text).unwrap());
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
    let [rows, ..] = results;
    rows
}

fn error(text: &str) -> String {
    run(&mut session(1), text).unwrap_err().to_string()
}

fn numbers(numbers: &[i64]) -> Vec<Cell> {
    numbers.iter().map(|number| Cell::from(*number)).collect()
}

#[test]
fn rows_are_filtered_and_computed() {
    let all = rows("SELECT auction, cents FROM bid WHERE MOD(auction, 123) = 0");
    assert!(!all.is_empty());
    assert!(all.iter().all(|row| matches!(row[0], Cell::Integer(auction) if auction % 123 == 0)));
}

#[test]
fn aggregates_of_aggregates_are_those_of_all_rows() {
    let all = rows("SELECT COUNT(*), SUM(price), MIN(price), MAX(price) FROM bid");
    let by_channel = "SELECT channel, COUNT(*) AS n, SUM(price) AS s, MIN(price) AS low, MAX(price) AS high FROM bid GROUP BY channel";
    assert_eq!(rows(&format!("SELECT SUM(n), SUM(s), MIN(low), MAX(high) FROM ({by_channel})")), all);
    assert_eq!(all[0][0], Cell::from(46_000));
}

#[test]
fn distinct_counts_are_those_of_distinct_rows() {
    let counted = rows("SELECT COUNT(DISTINCT bidder), COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000) FROM bid");
    let all = rows("SELECT COUNT(*) FROM (SELECT DISTINCT bidder FROM bid)");
    let dear = rows("SELECT COUNT(*) FROM (SELECT bidder FROM bid WHERE price >= 1000000 GROUP BY bidder)");
    assert_eq!(counted, [[all[0][0].clone(), dear[0][0].clone()]]);
}

#[test]
fn each_row_is_in_its_windows() {
    let counted = |window: &str| {
        let text = format!("SELECT SUM(n) FROM (SELECT COUNT(*) AS n FROM TABLE({window}) GROUP BY window_start, window_end)");
        rows(&text)
    };
    assert_eq!(counted("TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND)"), [numbers(&[46_000])]);
    assert_eq!(counted("HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND)"), [numbers(&[5 * 46_000])]);
    assert_eq!(counted("SESSION(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)"), [numbers(&[46_000])]);
}

#[test]
fn windows_of_group_by_are_those_of_from() {
    let old = "SELECT bidder, COUNT(*), TUMBLE_START(ts, INTERVAL '10' SECOND) FROM bid GROUP BY bidder, TUMBLE(ts, INTERVAL '10' SECOND)";
    let new = "SELECT bidder, COUNT(*), window_start FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND))
        GROUP BY bidder, window_start, window_end";
    assert_eq!(rows(old), rows(new));
}

#[test]
fn joins_find_all_pairs() {
    let joined = rows("SELECT COUNT(*) FROM auction a JOIN person p ON p.id = a.seller");
    let sellers = rows("SELECT COUNT(*) FROM auction a WHERE seller < 2000");
    assert_eq!(joined, sellers, "all sellers are persons of the stream, but for those who come later");
}

#[test]
fn rows_are_joined_or_not() {
    let outer = rows("SELECT COUNT(*), COUNT(p.id) FROM auction a LEFT JOIN person p ON p.id = a.seller AND p.state = 'OR'");
    let inner = rows("SELECT COUNT(*) FROM auction a JOIN person p ON p.id = a.seller WHERE p.state = 'OR'");
    assert_eq!(outer, [vec![3000.into(), inner[0][0].clone()]]);
    let (there, not_there) = ("SELECT COUNT(*) FROM auction WHERE seller", "(SELECT id FROM person WHERE state = 'OR')");
    assert_eq!(rows(&format!("{there} IN {not_there}")), inner);
    let others = rows(&format!("{there} NOT IN {not_there}"));
    assert_eq!(rows(&format!("SELECT x + y FROM ({there} IN {not_there}) t (x), ({there} NOT IN {not_there}) u (y)")), [numbers(&[3000])]);
    assert_ne!(others, inner);
}

#[test]
fn the_first_rows_of_all_are_its_greatest() {
    let first = rows("SELECT price FROM bid ORDER BY price DESC LIMIT 1");
    assert_eq!(first, rows("SELECT MAX(price) FROM bid"));
    assert_eq!(rows("SELECT COUNT(*) FROM (SELECT ts FROM bid ORDER BY ts)"), [numbers(&[46_000])]);
    let last = "SELECT MAX(n) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY channel ORDER BY ts) AS n FROM bid)";
    assert_eq!(rows(last), rows("SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM bid GROUP BY channel)"));
}

#[test]
fn the_first_rows_of_each_key_are_its_greatest() {
    let ranked = "SELECT auction, price, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS place FROM bid";
    let first = rows(&format!("SELECT auction, price FROM ({ranked}) WHERE place <= 1"));
    assert_eq!(first, rows("SELECT auction, MAX(price) FROM bid GROUP BY auction"));
    let places = rows(&format!("SELECT MAX(place) FROM ({ranked}) WHERE place <= 3"));
    assert_eq!(places, [numbers(&[3])]);
}

#[test]
fn errors_point_at_their_place() {
    for (text, expected) in [
        ("SELECT nothing FROM bid", "line 1, column 8: column 'nothing' not found"),
        ("SELECT 1 FROM bids", "bids"),
        ("SELECT LOWWER(channel) FROM bid", "lower"),
        ("SELECT price FROM bid ORDER BY price", "has to begin with an ascending event-time attribute"),
        ("SELECT SUM(price) OVER (ORDER BY price) FROM bid", "has to be ordered by an ascending time attribute"),
        ("SELECT (SELECT id FROM person) FROM bid", "has to give one row at most"),
        ("SELECT 1 FROM bid WHERE price = 1 OR bidder NOT IN (SELECT id FROM person)", "NOT IN by AND alone"),
        ("SELECT 1 FROM bid b JOIN person FOR SYSTEM_TIME AS OF b.ts p ON p.id = b.bidder", "needs a PRIMARY KEY"),
        ("SELECT id FROM person INTERSECT SELECT name FROM person", "is BIGINT on one side, but STRING on the other"),
        (
            "SELECT 1 FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(seller), INTERVAL '1' SECOND))",
            "needs a time attribute, but 'seller' is none",
        ),
        ("CREATE TABLE t (a INT) WITH ('connector' = 'nexmark', 'table' = 'bid'); SELECT a FROM t", "table 't': there is no column 'a'"),
        (
            "CREATE TABLE t (a INT) WITH ('connector' = 'blackhol'); INSERT INTO t SELECT 1 FROM bid",
            "table 't': option 'connector' is 'blackhol'",
        ),
        (
            "CREATE TABLE t (a INT) WITH ('connector' = 'blackhole', 'x' = '1'); INSERT INTO t SELECT 1 FROM bid",
            "table 't': option 'x' is not known",
        ),
        (
            "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = '/'); SELECT a FROM t",
            "table 't': option 'format' is missing",
        ),
        (
            "CREATE TABLE t (a INT, b INT) WITH ('connector' = 'blackhole'); INSERT INTO t SELECT 1 FROM bid",
            "takes 2 columns here, but the query has 1",
        ),
        (
            "CREATE TABLE t (a INT) WITH ('connector' = 'blackhole'); INSERT INTO t SELECT channel FROM bid",
            "column 'a' is INT, but the query gives STRING",
        ),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn insertions_run_as_one_job_and_views_stand_for_queries() {
    let mut session = session(2);
    let text = "CREATE TABLE all_bids (n BIGINT) WITH ('connector' = 'blackhole');
        CREATE TABLE dear (channel STRING) WITH ('connector' = 'blackhole');
        CREATE VIEW dear_bids (c) AS SELECT channel FROM bid WHERE price > 1000000;
        EXECUTE STATEMENT SET BEGIN
          INSERT INTO all_bids SELECT COUNT(*) FROM bid;
          INSERT INTO dear SELECT c FROM dear_bids;
        END";
    run(&mut session, text).unwrap();
    let tables = run(&mut session, "SHOW TABLES").unwrap();
    assert_eq!(tables.len(), 6);
    assert_eq!(run(&mut session, "SHOW VIEWS").unwrap(), [[Cell::from("dear_bids")]]);
    let described = run(&mut session, "DESCRIBE bid").unwrap();
    assert_eq!(described[4][1], Cell::from("TIMESTAMP(3) *ROWTIME*"));
    assert_eq!(described[5][4], Cell::from("AS price * 100"));
}

#[test]
fn options_are_set_and_reset() {
    let mut session = session(1);
    assert_eq!(run(&mut session, "SET 'table.exec.row-exact' = 'true'; SET").unwrap().len(), 2);
    assert_eq!(run(&mut session, "RESET; SET").unwrap(), [[Cell::from("parallelism.default"), Cell::from("1")]]);
    let wrong = run(&mut session, "SET 'table.exec.row-exact' = 'maybe'; SELECT COUNT(*) FROM bid").unwrap_err().to_string();
    assert!(wrong.contains("table.exec.row-exact"), "{wrong}");
}

#[test]
fn windows_of_processing_time_are_found_where_rows_are_counted() {
    let mut session = session(1);
    run(&mut session, "CREATE VIEW timed AS SELECT *, PROCTIME() AS pt FROM bid").unwrap();
    let mut plan = |query: &str| {
        let script = Script::new(&format!("EXPLAIN {query}")).unwrap();
        let Ok(StatementResult::Text(plan)) = session.execute(&script, 0) else { panic!("no plan of {query}") };
        plan
    };
    let from = "FROM TABLE(TUMBLE(TABLE timed, DESCRIPTOR(pt), INTERVAL '10' SECOND)) GROUP BY bidder, window_start, window_end";
    let shown = plan(&format!("SELECT bidder, COUNT(*), window_start, window_end {from}"));
    assert!(shown.contains("WindowAggregate") && !shown.contains("GroupAggregate"), "{shown}");
    // A look at the windows makes them columns like others.
    let shown = plan(&format!("SELECT bidder, MAX(window_end) {from}"));
    assert!(shown.contains("GroupAggregate"), "{shown}");
    let other = "CREATE TABLE t (bidder BIGINT, pt AS PROCTIME()) WITH ('connector' = 'nexmark', 'table' = 'bid', 'events' = '100')";
    let legacy = "SELECT bidder, COUNT(*), TUMBLE_END(pt, INTERVAL '1' HOUR) FROM t GROUP BY bidder, TUMBLE(pt, INTERVAL '1' HOUR)";
    // Open at the end of the input: dropped, as in Flink.
    assert!(run(&mut session, &format!("{other}; {legacy}")).unwrap().is_empty());
}

#[test]
fn tables_are_written_to_files_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str, format: &str| {
        let path = folder.path().join(name);
        format!(
            "CREATE TABLE {name} (channel STRING, bids BIGINT) WITH ('connector' = 'filesystem', 'format' = '{format}', 'path' = '{}');",
            path.display()
        )
    };
    let query = "SELECT channel, COUNT(*) FROM bid GROUP BY channel";
    for (name, format) in [("plain", "json"), ("fields", "csv")] {
        let (table, window) = (table(name, format), "SELECT channel, price FROM bid WHERE MOD(auction, 123) = 0");
        let rows = run(&mut session(2), &format!("{table} INSERT INTO {name} {window}; SELECT * FROM {name}")).unwrap();
        assert_eq!(rows, run(&mut session(1), window).unwrap());
        let error = error(&format!("{table} INSERT INTO {name} {query}"));
        assert!(error.contains(&format!("table '{name}': the query updates rows")), "{error}");
    }
    let changes = table("changes", "debezium-json");
    let mut session = session(2);
    let rows =
        run(&mut session, &format!("{changes} SET 'table.exec.row-exact' = 'true'; INSERT INTO changes {query}; SELECT * FROM changes"))
            .unwrap();
    assert_eq!(rows, run(&mut session, query).unwrap());
    let total = run(&mut session, "SELECT SUM(bids) FROM changes").unwrap();
    assert_eq!(total, [numbers(&[46_000])]);
}

#[test]
fn a_partitioned_table_has_a_folder_per_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bids");
    let columns = "channel STRING, price BIGINT, hm STRING, even BOOLEAN";
    let options = format!("WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}')", path.display());
    let table = format!("CREATE TABLE bids ({columns}) PARTITIONED BY (even, hm) {options};");
    let query =
        "SELECT channel, price, DATE_FORMAT(ts, 'HH:mm'), CASE WHEN MOD(price, 5) = 0 THEN NULL ELSE MOD(price, 2) = 0 END FROM bid";
    let rows = run(&mut session(2), &format!("{table} INSERT INTO bids {query}; SELECT * FROM bids")).unwrap();
    assert_eq!(rows, run(&mut session(1), query).unwrap());
    let mut folders: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    assert_eq!(folders, ["even=__DEFAULT_PARTITION__", "even=false", "even=true"]);
    assert!(path.join("even=true/hm=00%3A00").is_dir());
    let count = run(&mut session(2), &format!("{table} SELECT COUNT(*) FROM bids WHERE even AND hm = '00:00'")).unwrap();
    let same = run(&mut session(1), "SELECT COUNT(*) FROM bid WHERE MOD(price, 10) IN (2, 4, 6, 8)").unwrap();
    assert_eq!(count, same);
    for (text, expected) in [
        ("CREATE TABLE t (a INT) PARTITIONED BY (b) WITH ('connector' = 'blackhole')", "PARTITIONED BY names 'b', which is no column"),
        ("CREATE TABLE t (a INT, b INT) PARTITIONED BY (b, b) WITH ('connector' = 'blackhole')", "names the column 'b' twice"),
        (
            "CREATE TABLE t (a INT, b INT) PARTITIONED BY (b) WITH ('connector' = 'blackhole'); INSERT INTO t SELECT 1, 2 FROM bid",
            "table 't': it is PARTITIONED BY columns, which its connector does not do",
        ),
        (
            "CREATE TABLE t (b INT) PARTITIONED BY (b) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '/x'); SELECT b FROM t",
            "table 't': PARTITIONED BY names all columns",
        ),
    ] {
        let error = error(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_a_plan_has_twice_is_computed_once() {
    let counted = "WITH counted AS (SELECT channel, COUNT(*) AS num FROM bid GROUP BY channel)";
    let query = format!("{counted} SELECT a.channel, b.num FROM counted a JOIN counted b ON a.channel = b.channel AND a.num = b.num");
    let mut session = session(2);
    let aggregates = |session: &mut TableSession, query: &str| {
        let script = Script::new(&format!("EXPLAIN {query}")).unwrap();
        let Ok(StatementResult::Text(plan)) = session.execute(&script, 0) else { panic!("no plan of {query}") };
        plan.split("Execution Plan").last().unwrap().matches("GroupAggregate").count()
    };
    assert_eq!(aggregates(&mut session, &query), 1);
    let once = run(&mut session, &query).unwrap();
    assert_eq!(once, run(&mut session, "SELECT channel, COUNT(*) FROM bid GROUP BY channel").unwrap());
    // Two random numbers are not the same one.
    let random = "WITH r AS (SELECT channel, COUNT(RAND()) AS num FROM bid GROUP BY channel)";
    let twice = format!("{random} SELECT a.channel, b.num FROM r a JOIN r b ON a.channel = b.channel");
    assert_eq!(aggregates(&mut session, &twice), 2);
    run(&mut session, "SET 'table.optimizer.reuse-sub-plan-enabled' = 'false'").unwrap();
    assert_eq!(aggregates(&mut session, &query), 2);
    assert_eq!(once, run(&mut session, &query).unwrap());
}

#[test]
fn rows_are_looked_up_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("side.csv");
    std::fs::write(&path, "1,a\n2,b\n2,c\n").unwrap();
    let mut session = session(1);
    let side = "CREATE TABLE side (k INT, v STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'lookup.cache' = 'FULL', 'path' = ";
    run(
        &mut session,
        &format!("{side} '{}'); CREATE VIEW t AS SELECT x, PROCTIME() AS pt FROM (VALUES (1), (2), (3)) AS v (x)", path.display()),
    )
    .unwrap();
    let mut looked_up = |join: &str, condition: &str| -> Vec<String> {
        let query = format!("SELECT t.x, s.v FROM t {join} JOIN side FOR SYSTEM_TIME AS OF t.pt AS s ON t.x = s.k{condition}");
        let rows = run(&mut session, &query).unwrap();
        rows.into_iter().map(|row| format!("{} {}", row[0], row[1])).collect()
    };
    assert_eq!(looked_up("", ""), ["1 a", "2 b", "2 c"]);
    assert_eq!(looked_up("LEFT", ""), ["1 a", "2 b", "2 c", "3 null"]);
    // Conditions on the table alone, and on both.
    assert_eq!(looked_up("LEFT", " AND s.v <> 'a' AND s.v <> 'c'"), ["1 null", "2 b", "3 null"]);
    assert_eq!(looked_up("", " AND s.v > 'b'"), ["2 c"]);
    assert_eq!(looked_up("LEFT", " AND (t.x = 1 OR s.v = 'c')"), ["1 a", "2 c", "3 null"]);
    let wrong = "SELECT 1 FROM t RIGHT JOIN side FOR SYSTEM_TIME AS OF t.pt AS s ON t.x = s.k";
    assert!(run(&mut session, wrong).unwrap_err().to_string().contains("an inner or a left join"));
}
