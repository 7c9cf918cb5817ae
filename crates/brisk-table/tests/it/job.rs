//! The whole columnar job on an embedded cluster.

use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_cluster::MiniCluster;
use brisk_core::job::JobExecutor;
use brisk_core::operator::OperatorSpec;
use brisk_core::registry::OperatorRegistry;
use brisk_runtime::executor::{CoreWorkers, CoreWorkersOptions};
use brisk_table::operators::changelog_generator::ChangelogGeneratorConfig;
use brisk_table::operators::collect::Collected;
use brisk_table::operators::register_all;
use brisk_table::{ColumnarSum, columnar_sum_job, expected_sums, fold_changelog};
use std::sync::Arc;
use std::time::Duration;

/// Runs the job and compares its result with the plain sums.
fn check(source: ChangelogGeneratorConfig, row_exact: bool, source_parallelism: u32, parallelism: u32) {
    let (world, collected) = (World::real(), Collected::default());
    let mut registry = OperatorRegistry::default();
    register_all(&mut registry);
    collected.register(&mut registry, "results");
    let workers = CoreWorkers::start(world.clone(), CoreWorkersOptions::default()).expect("threads");
    let cluster = MiniCluster::start(&Configuration::new(), &world, Arc::new(workers), registry).expect("starts");
    let expected = expected_sums(&source);
    let graph = columnar_sum_job(&ColumnarSum {
        source,
        row_exact,
        source_parallelism: Some(source_parallelism),
        parallelism: Some(parallelism),
        sink: Collected::spec("results"),
    });
    assert!(graph.nodes.iter().all(|node| matches!(node.spec, OperatorSpec::Registered { .. })));
    let client = cluster.submit(graph, &Configuration::new()).expect("a good graph");
    client.wait_for(Duration::from_secs(60)).expect("ends").expect("finishes");
    let batches = collected.batches();
    let table = fold_changelog(&batches).expect("a valid changelog");
    assert!(!expected.is_empty());
    assert!(table == expected, "{} rows found, {} expected", table.len(), expected.len());
    let rows: usize = batches.iter().map(|batch| batch.rows).sum();
    if row_exact {
        assert!(rows > 5 * expected.len(), "intermediate results are given, too");
    }
}

fn source(rows: u64) -> ChangelogGeneratorConfig {
    ChangelogGeneratorConfig { rows, keys: 300, ..ChangelogGeneratorConfig::default() }
}

#[test]
fn sums_are_right_at_any_parallelism() {
    for (from, to) in [(1, 1), (1, 3), (4, 2), (3, 7)] {
        check(source(40_000), false, from, to);
    }
}

#[test]
fn sums_are_right_row_by_row_and_for_text_keys() {
    check(source(20_000), true, 2, 2);
    check(ChangelogGeneratorConfig { text_keys: true, batch_rows: 333, ..source(20_000) }, false, 2, 3);
    check(ChangelogGeneratorConfig { text_keys: true, changes: false, ..source(20_000) }, true, 3, 2);
}
