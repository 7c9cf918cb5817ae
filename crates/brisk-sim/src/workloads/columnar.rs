//! The columnar job: a changelog of orders is summed per key with retraction. The results must fold to the plain sums, and the changes of
//! each key must be a history: what is taken back is what was given last.

use super::{any_size, parameters};
use crate::executor::SimExecutor;
use brisk_base::options::Configuration;
use brisk_base::world::Rng;
use brisk_base::{Error, Millis, Result};
use brisk_core::batch::{Columns, RowKind};
use brisk_core::registry::OperatorRegistry;
use brisk_table::operators::changelog_generator::ChangelogGeneratorConfig;
use brisk_table::operators::collect::Collected;
use brisk_table::operators::register_all;
use brisk_table::{Cell, ColumnarSum, cells, columnar_sum_job, expected_sums, fold_changelog};
use std::collections::BTreeMap;

fn draw(rng: &mut Rng) -> ColumnarSum {
    let source = ChangelogGeneratorConfig {
        rows: any_size(rng, 1, 4000),
        splits: any_size(rng, 1, 8) as u32,
        keys: any_size(rng, 1, 200),
        text_keys: rng.one_in(2),
        changes: !rng.one_in(4),
        out_of_orderness: Millis(any_size(rng, 0, 100) as i64),
        seed: rng.next_u64(),
        batch_rows: any_size(rng, 1, 1000) as u32,
    };
    let mut subtasks = || Some(1 + rng.below(4) as u32);
    let (source_parallelism, parallelism) = (subtasks(), subtasks());
    ColumnarSum { source, row_exact: rng.one_in(2), source_parallelism, parallelism, sink: Collected::spec("results") }
}

pub(super) fn run(seed: u64) -> Result<u64> {
    let mut rng = parameters(seed);
    let job = draw(&mut rng);
    let cancel_after = rng.one_in(8).then(|| rng.below(500));
    let (collected, mut registry) = (Collected::default(), OperatorRegistry::default());
    register_all(&mut registry);
    collected.register(&mut registry, "results");
    let run = SimExecutor::new(seed).with_registry(registry).run(columnar_sum_job(&job), &Configuration::new(), cancel_after)?;
    run.sound(false)?;
    let batches = collected.batches();
    let changing = check_history(&batches)?;
    if run.result.is_ok() {
        if changing > 0 {
            return Err(Error::bug(format!("{changing} rows were taken back to be replaced, and no others came")));
        }
        let (expected, found) = (expected_sums(&job.source), fold_changelog(&batches)?);
        if expected != found {
            let odd = expected.iter().find(|(row, _)| !found.contains_key(*row)).map(|(row, _)| row);
            return Err(Error::bug(format!("{} rows expected, {} found; missing {odd:?}", expected.len(), found.len())));
        }
    }
    Ok(run.trace.steps())
}

/// What a key's changes have come to.
enum Key {
    /// This row.
    Is(Vec<Cell>),
    /// The row was taken back to be replaced.
    Changing,
    /// There is no row.
    Gone,
}

/// Gives the number of keys between two rows.
fn check_history(batches: &[Columns]) -> Result<usize> {
    let mut keys: BTreeMap<Cell, Key> = BTreeMap::new();
    for batch in batches {
        let columns = batch.columns.iter().map(cells).collect::<Result<Vec<_>>>()?;
        for at in 0..batch.rows {
            let row: Vec<Cell> = columns.iter().map(|column| column[at].clone()).collect();
            let (kind, key) = (batch.kind(at), keys.entry(row[0].clone()).or_insert(Key::Gone));
            *key = match (kind, &*key) {
                (RowKind::Insert, Key::Gone) | (RowKind::UpdateAfter, Key::Changing) => Key::Is(row),
                (RowKind::UpdateBefore, Key::Is(last)) if *last == row => Key::Changing,
                (RowKind::Delete, Key::Is(last)) if *last == row => Key::Gone,
                (_, Key::Is(last)) => return Err(Error::bug(format!("{kind:?} of {row:?} follows {last:?}"))),
                _ => return Err(Error::bug(format!("{kind:?} of {row:?} follows no row"))),
            };
        }
    }
    Ok(keys.values().filter(|key| matches!(key, Key::Changing)).count())
}
