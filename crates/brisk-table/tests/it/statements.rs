//! Statements of random words are executed or refused, and never panic.

use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_core::job::NoExecutor;
use brisk_core::table::TableConnectors;
use brisk_table::{Script, TableSession};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const WORDS: [&str; 68] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "ORDER",
    "HAVING",
    "JOIN",
    "ON",
    "AS",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "IN",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "CREATE",
    "TABLE",
    "VIEW",
    "INSERT",
    "INTO",
    "DROP",
    "EXPLAIN",
    "SET",
    "WITH",
    "WATERMARK",
    "FOR",
    "INTERVAL",
    "'1'",
    "SECOND",
    "t",
    "a",
    "b",
    "ts",
    "`t`",
    "*",
    "(",
    ")",
    ",",
    ";",
    "=",
    "<=",
    "-",
    "+",
    "/",
    "1",
    "0",
    "1.5",
    "'x'",
    "COUNT",
    "SUM",
    "MAX",
    "DISTINCT",
    "TUMBLE",
    "SESSION",
    "DESCRIPTOR",
    "ROW_NUMBER",
    "OVER",
    "PARTITION",
    "INT",
    "TIMESTAMP",
    "DATE_FORMAT",
    "PROCTIME",
    ".",
];

/// Queries that are nearly right, to be damaged.
const QUERIES: [&str; 14] = [
    "SELECT a, COUNT(*) FROM t WHERE b > 1 GROUP BY a",
    "SELECT window_start, SUM(a) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
    "SELECT * FROM (SELECT a, ROW_NUMBER() OVER (PARTITION BY b ORDER BY a DESC) AS r FROM t) WHERE r <= 3",
    "SELECT x.a, y.b FROM t x JOIN t y ON x.a = y.a AND x.b < y.b",
    "SELECT CASE a WHEN 1 THEN DATE_FORMAT(ts, 'yyyy') ELSE 'x' END FROM t WHERE a IN (1, 2) OR b BETWEEN 0 AND 9",
    "SELECT SUBSTRING(UPPER('abc') FROM a FOR 2), LPAD('x', a, 'y'), REPEAT('z', a), ROUND(b / 7.0, a), GREATEST(a, b) FROM t",
    "SELECT TIMESTAMPDIFF(DAY, ts, TIMESTAMPADD(MONTH, a, ts)), FLOOR(ts TO HOUR), TO_TIMESTAMP('2020', 'yyyy'), IF(a > b, 1, 2) FROM t",
    "SELECT ARRAY[a, b][1], MAP['a', b]['a'], CAST(ROW(a, 'x') AS ROW<n INT, s ARRAY<STRING>>).n, ARRAY_SORT(ARRAY[a], TRUE) FROM t",
    "SELECT u.x, ARRAY_AGG(b) FROM t CROSS JOIN UNNEST(ARRAY[ROW(a, b)]) WITH ORDINALITY AS u (x, y, n) GROUP BY u.x",
    "CREATE TABLE n (a ARRAY<MAP<STRING, ROW<b INT NOT NULL, c ARRAY<BYTES>>>>, d AS a[1]['x']) WITH ('connector' = 'none')",
    "SELECT JSON_VALUE('{}', '$.a'), REGEXP_REPLACE('a', '(b)', '$1'), SHA2('a', 256), CAST('x' AS DECIMAL(5, 2)) FROM t",
    "SELECT a FROM t UNION ALL SELECT a FROM t EXCEPT SELECT 1 ORDER BY a LIMIT 3 OFFSET 1",
    "SELECT a, SUM(b) OVER (PARTITION BY a ORDER BY ts RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW) FROM t",
    "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM t AS u WHERE u.a = t.a) AND b NOT IN (SELECT b FROM t GROUP BY CUBE (a, b))",
];

/// How long a statement may take.
const AT_MOST: Duration = Duration::from_secs(5);

fn execute(text: &str) {
    let mut session = TableSession::new(Arc::new(NoExecutor), TableConnectors::default(), Configuration::new());
    let tables = "CREATE TABLE t (a INT, b BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'none')";
    for text in [tables, text] {
        let Ok(script) = Script::new(text) else { continue };
        for statement in 0..script.len() {
            let world = World::real();
            let begin = world.mono();
            if let Err(error) = session.execute(&script, statement) {
                assert!(!error.to_string().is_empty());
            }
            let took = world.mono().since(begin);
            assert!(took < AT_MOST, "{took:?} for {text}");
        }
    }
}

proptest! {
    #[test]
    fn random_words_never_panic(words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..25), query in any::<bool>()) {
        execute(&format!("{}{}", if query { "EXPLAIN SELECT a FROM t " } else { "" }, words.join(" ")));
    }

    #[test]
    fn damaged_queries_never_panic(
        query in proptest::sample::select(&QUERIES[..]),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), proptest::sample::select(&WORDS[..])), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut words: Vec<&str> = query.split_inclusive([' ', '(', ')', ',']).collect();
        for (at, word) in damages {
            let at = at.index(words.len());
            words[at] = word;
        }
        words.remove(cut.index(words.len()));
        execute(&format!("EXPLAIN {}", words.join(" ")));
    }

    #[test]
    fn damaged_bytes_never_panic(
        query in proptest::sample::select(&QUERIES[..]),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = query.as_bytes().to_vec();
        for (at, byte, how) in damages {
            let at = at.index(bytes.len());
            match how {
                0 => bytes.insert(at, byte),
                1 => bytes[at] = byte,
                _ => drop(bytes.remove(at)),
            }
        }
        execute(&format!("EXPLAIN {}", String::from_utf8_lossy(&bytes)));
    }
}
