//! The one harness of all streaming operators: a query's result after each prefix of its input, followed by the end of event time, is what a
//! plain computation gives for that prefix.
//!
//! [`Case`] is a random changelog of each table, cut into batches at random, with a random backend, and checkpoints from which the job goes on
//! at another parallelism. The query goes through the planner; its graph is run by hand (`job`), so that each subtask is restored as a
//! cluster would.

mod aggregates;
mod expiry;
mod job;
mod joins;
mod nested;
mod order;
mod over;
mod sets;
mod sinks;
mod windows;

use arrow_array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use brisk_base::options::Configuration;
use brisk_core::batch::{Columns, RowKind};
use brisk_core::job::{JobClient, JobExecutor};
use brisk_core::job_graph::StreamGraph;
use brisk_core::operator::OperatorSpec;
use brisk_core::table::{TableConnector, TableConnectors, TableDeclaration, TableSinkOperator, TableSourceOperator};
use brisk_table::{Cell, Script, Table, TableSession, fold_changelog};
use job::{Job, Place};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

/// A row of a table: key, value and time.
pub(crate) type Row = (Option<i64>, Option<i64>, i64);

/// A change of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) kind: RowKind,
    pub(crate) row: Row,
    /// When it came, over all tables of the query.
    pub(crate) at: usize,
    /// The watermark over all tables that it found.
    pub(crate) watermark: i64,
    /// What the clock said then.
    pub(crate) now: i64,
}

impl Change {
    /// A change that has not come yet.
    pub(crate) const fn new(kind: RowKind, row: Row) -> Self {
        Self { kind, row, at: 0, watermark: i64::MIN, now: 0 }
    }

    /// Whether the watermark had passed its time when it came.
    pub(crate) const fn is_late(&self) -> bool {
        self.row.2 <= self.watermark
    }
}

/// How far a watermark lies behind the greatest time of its table.
const DELAY: i64 = 5;

/// Tables `a` and `b` change, `ta` and `tb` have inserts alone and event time, `tv` has event time and versions,
/// `tp` has inserts and processing time; `by_key` is written; `last_b` has the latest row
/// of each key of `tb`.
const TABLES: &str = "
    CREATE TABLE a (k BIGINT, v BIGINT, ts TIMESTAMP(3)) WITH ('connector' = 'changes', 'changes' = 'true');
    CREATE TABLE b (k BIGINT, v BIGINT, ts TIMESTAMP(3)) WITH ('connector' = 'changes', 'changes' = 'true');
    CREATE TABLE ta (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '0.005' SECOND) WITH ('connector' = 'changes');
    CREATE TABLE tb (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '0.005' SECOND) WITH ('connector' = 'changes');
    CREATE TABLE tp (k BIGINT, v BIGINT, ts TIMESTAMP(3), pt AS PROCTIME()) WITH ('connector' = 'changes');
    CREATE TABLE tv (k BIGINT, v BIGINT, ts TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED, WATERMARK FOR ts AS ts - INTERVAL '0.005' SECOND)
      WITH ('connector' = 'changes', 'changes' = 'true');
    CREATE VIEW last_b AS SELECT k, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS n FROM tb) WHERE n = 1;
    CREATE TABLE by_key (k BIGINT, v BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'changes');";

/// Everything about a run that is left to chance.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Changes of the first table and of the second.
    pub(crate) tables: [Vec<Change>; 2],
    /// Which table gives how many rows next, and at what parallelism the job goes on then; 0 if it just goes on. In turn.
    turns: Vec<(usize, usize, u32)>,
    /// Which backend.
    backend: usize,
}

impl Case {
    /// Of tables that change.
    pub(crate) fn changing(longest: usize) -> impl Strategy<Value = Self> {
        Self::of(changes(longest, true), changes(longest, true))
    }

    /// Of tables with inserts alone, whose times move on.
    pub(crate) fn appending(longest: usize) -> impl Strategy<Value = Self> {
        Self::of(changes(longest, false), changes(longest, false))
    }

    /// Of tables that change, or with inserts alone; and the names of these tables.
    pub(crate) fn either(longest: usize) -> impl Strategy<Value = (Self, [&'static str; 2])> {
        let names = |names: [&'static str; 2]| move |case: Self| (case, names);
        prop_oneof![Self::changing(longest).prop_map(names(["a", "b"])), Self::appending(longest).prop_map(names(["ta", "tb"]))]
    }

    /// Of tables with inserts alone, in which no row is late.
    pub(crate) fn punctual(longest: usize) -> impl Strategy<Value = Self> {
        Self::appending(longest).prop_map(|mut case| {
            for changes in &mut case.tables {
                changes.iter_mut().enumerate().for_each(|(at, change)| change.row.2 = 3 * at as i64 + change.row.2.rem_euclid(5));
            }
            case
        })
    }

    /// Of a table with inserts alone, and one with versions; no row is late.
    pub(crate) fn with_versions(longest: usize) -> impl Strategy<Value = Self> {
        Self::punctual(longest).prop_map(|mut case| {
            for (at, change) in case.tables[1].iter_mut().enumerate() {
                let jitter = change.row.2 - 3 * at as i64;
                let kinds = [RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter, RowKind::Delete, RowKind::Insert];
                change.kind = kinds[(jitter as usize + at) % kinds.len()];
            }
            case
        })
    }

    fn of(first: impl Strategy<Value = Vec<Change>>, second: impl Strategy<Value = Vec<Change>>) -> impl Strategy<Value = Self> {
        let turns = proptest::collection::vec((0usize..2, 1usize..9, prop_oneof![2 => Just(0u32), 1 => 1u32..4]), 1..6);
        (first, second, turns, 0usize..12).prop_map(|(first, second, turns, backend)| Self { tables: [first, second], turns, backend })
    }

    /// Runs a query and compares.
    pub(crate) fn check(&self, query: &str, expected: impl Fn([&[Change]; 2]) -> Table) {
        self.check_with(query, |given, changes| {
            assert_eq!(fold_changelog(given).expect("a valid changelog"), expected(changes), "{query}");
        });
    }

    /// Runs a query; `check` gets all that it has given and the changes so far.
    pub(crate) fn check_with(&self, query: &str, check: impl Fn(&[Columns], [&[Change]; 2])) {
        self.run(query, &Configuration::new(), &[], check);
    }

    /// Runs a query with options; behind each batch the clock advances, by these steps in turn.
    pub(crate) fn run(&self, query: &str, config: &Configuration, steps: &[i64], check: impl Fn(&[Columns], [&[Change]; 2])) {
        let backends = crate::streams::backends();
        let place = Place { backend: Arc::clone(&backends[self.backend % backends.len()]), clock: Arc::default() };
        let (graph, names) = graph_of(query, config);
        let (mut now, mut steps) = (0, steps.iter().cycle());
        let mut job = Job::start(&graph, &place, 1);
        let mut tables = self.tables.clone();
        let (mut read, mut greatest) = ([0usize; 2], [None::<i64>; 2]);
        let (mut number, mut number_of_rows) = (0, 0);
        for (table, size, parallelism) in self.turns.iter().cycle() {
            // A query of one table reads that one alone.
            let table = if names.len() < 2 || read[*table] == tables[*table].len() { 1 - *table } else { *table };
            let table = if names.len() < 2 { 0 } else { table };
            let to = (read[table] + size).min(tables[table].len());
            if to == read[table] {
                break;
            }
            let watermarks = &mut greatest[..names.len()];
            for change in &mut tables[table][read[table]..to] {
                let watermark = watermarks.iter().map(|greatest| greatest.map_or(i64::MIN, |time| time - DELAY)).min();
                (change.at, change.watermark, change.now) = (number_of_rows, watermark.unwrap_or(i64::MIN), now);
                number_of_rows += 1;
                watermarks[table] = watermarks[table].max(Some(change.row.2));
            }
            job.feed(&names[table], columns(&tables[table][read[table]..to]));
            read[table] = to;
            now += steps.next().copied().unwrap_or(0);
            place.clock.set(now);
            number += 1;
            let left = job.snapshot(number);
            let ended = Job::restore(&graph, &place, left.parallelism, &left);
            let mut whole = job.output().to_vec();
            whole.extend(ended.end());
            check(&whole, [&tables[0][..read[0]], &tables[1][..read[1]]]);
            if *parallelism > 0 {
                let output = job.output().to_vec();
                job = Job::restore(&graph, &place, *parallelism, &left);
                job.output.splice(0..0, output);
            }
        }
    }
}

/// Changes of one table: rows are added, and, if they may, changed and taken back.
fn changes(longest: usize, may_change: bool) -> impl Strategy<Value = Vec<Change>> {
    let row = (proptest::option::weighted(0.9, 0i64..3), proptest::option::weighted(0.9, 0i64..4), -12i64..12);
    proptest::collection::vec((0u8..5, any::<prop::sample::Index>(), row), 0..longest).prop_map(move |steps| {
        let (mut live, mut changes) = (Vec::new(), Vec::new());
        for (at, (step, index, (key, value, time))) in steps.into_iter().enumerate() {
            // Times of tables that change are few, so that rows come again.
            let new = (key, value, if may_change { time % 2 } else { 3 * at as i64 + time });
            let change = Change::new;
            if live.is_empty() || step < 3 || !may_change {
                live.push(new);
                changes.push(change(RowKind::Insert, new));
            } else if step == 3 {
                changes.push(change(RowKind::Delete, live.swap_remove(index.index(live.len()))));
            } else {
                let at = index.index(live.len());
                changes.push(change(RowKind::UpdateBefore, std::mem::replace(&mut live[at], new)));
                changes.push(change(RowKind::UpdateAfter, new));
            }
        }
        changes
    })
}

fn columns(changes: &[Change]) -> Columns {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter(changes.iter().map(|change| change.row.0)));
    let values: ArrayRef = Arc::new(Int64Array::from_iter(changes.iter().map(|change| change.row.1)));
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(changes.iter().map(|change| change.row.2)));
    let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
    let kinds = if kinds.iter().all(|kind| *kind == RowKind::Insert) { Vec::new() } else { kinds };
    Columns { kinds, ..Columns::new(vec![keys, values, times]).expect("fit") }
}

/// The rows that are there after some changes, each so often.
pub(crate) fn rows(changes: &[Change]) -> Vec<Row> {
    let mut live: Vec<Row> = Vec::new();
    for change in changes {
        match change.kind.sign() {
            1 => live.push(change.row),
            _ => drop(live.remove(live.iter().position(|row| *row == change.row).expect("it is there"))),
        }
    }
    live
}

/// The rows that were not late.
pub(crate) fn in_time(changes: &[Change]) -> Vec<Row> {
    changes.iter().filter(|change| !change.is_late()).map(|change| change.row).collect()
}

/// A table of some rows.
pub(crate) fn table(rows: impl IntoIterator<Item = Vec<Cell>>) -> Table {
    let mut table = Table::new();
    rows.into_iter().for_each(|row| *table.entry(row).or_default() += 1);
    table
}

/// Cells of numbers.
pub(crate) fn cells(numbers: impl IntoIterator<Item = Option<i64>>) -> Vec<Cell> {
    numbers.into_iter().map(Cell::from).collect()
}

/// Keeps the graph instead of running it.
#[derive(Default)]
struct Kept(Mutex<Option<StreamGraph>>);

impl JobExecutor for Kept {
    fn submit(&self, graph: StreamGraph, _config: &Configuration) -> brisk_base::Result<Arc<dyn JobClient>> {
        *self.0.lock().expect("no panic") = Some(graph);
        Err(brisk_base::Error::user("kept"))
    }
}

struct Changes;

impl TableConnector for Changes {
    fn source(&self, table: &TableDeclaration) -> brisk_base::Result<TableSourceOperator> {
        let operator = OperatorSpec::Registered { name: table.name.clone(), config: Vec::new() };
        Ok(TableSourceOperator { operator, bounded: true, gives_changes: table.options.contains_key("changes"), parallelism: Some(1) })
    }

    fn sink(&self, table: &TableDeclaration) -> brisk_base::Result<TableSinkOperator> {
        let operator = OperatorSpec::Registered { name: table.name.clone(), config: Vec::new() };
        Ok(TableSinkOperator { operator, takes_changes: true, parallelism: None })
    }
}

/// The graph of a query, and the tables that it reads, by name.
fn graph_of(query: &str, config: &Configuration) -> (StreamGraph, Vec<String>) {
    let kept = Arc::new(Kept::default());
    let mut connectors = TableConnectors::default();
    connectors.register("changes", Changes);
    let mut session = TableSession::new(Arc::clone(&kept) as Arc<dyn JobExecutor>, connectors, config.clone());
    let script = Script::new(&format!("{TABLES}\n{query}")).expect("a script");
    let mut last = None;
    for statement in 0..script.len() {
        last = session.execute(&script, statement).err();
    }
    let graph = kept.0.lock().expect("no panic").take();
    let graph = graph.unwrap_or_else(|| panic!("{query}: {}", last.map_or_else(String::new, |error| error.to_string())));
    let mut names: Vec<_> = graph.nodes.iter().filter_map(job::table_of).collect();
    names.sort();
    (graph, names)
}
