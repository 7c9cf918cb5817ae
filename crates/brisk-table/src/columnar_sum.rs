//! The columnar job of tests, the simulator and examples: source -> hash exchange -> keyed sum with retraction -> sink.

use crate::Table;
use crate::cell::Cell;
use crate::operators::changelog_generator::{self, ChangelogGeneratorConfig, OrderChanges};
use crate::operators::group_aggregate::{self, Aggregate, GroupAggregateConfig, GroupKey};
use crate::operators::registered;
use brisk_core::batch::ColumnKeyHasher;
use brisk_core::job_graph::{NodeId, NodeKind, Partitioner, StreamEdge, StreamGraph};
use brisk_core::operator::OperatorSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the job does.
#[derive(Clone, Debug)]
pub struct ColumnarSum {
    /// The changelog that is summed.
    pub source: ChangelogGeneratorConfig,
    /// Whether the sum gives changes per row instead of the net change per batch.
    pub row_exact: bool,
    /// Subtasks of the source; `None` takes the job's default.
    pub source_parallelism: Option<u32>,
    /// Subtasks of sum and sink; `None` takes the job's default.
    pub parallelism: Option<u32>,
    /// Where results go; their columns are key, sum of quantities, sum of prices, number of orders.
    pub sink: OperatorSpec,
}

/// The graph of the job. Its operators are found by name: see [`register_all`](crate::operators::register_all).
pub fn columnar_sum_job(job: &ColumnarSum) -> StreamGraph {
    let mut graph = StreamGraph { name: "columnar sum".to_owned(), ..StreamGraph::default() };
    let source = registered(changelog_generator::NAME, &job.source);
    let source = graph.add_node("orders", NodeKind::Source { bounded: true }, 0, source);
    let sum = graph.add_node("sum per key", NodeKind::Operator, 1, registered(group_aggregate::NAME, &aggregation(job)));
    let sink = graph.add_node("results", NodeKind::Sink, 1, job.sink.clone());
    for (node, uid, parallelism) in
        [(source, "orders", job.source_parallelism), (sum, "sum", job.parallelism), (sink, "results", job.parallelism)]
    {
        let node = graph.node_mut(node);
        node.uid = Some(uid.to_owned());
        node.parallelism = parallelism;
    }
    graph.node_mut(source).event_time = true;
    graph.node_mut(sum).keyed = true;
    let edge = |from: NodeId, to: NodeId, partitioner| StreamEdge { from, tag: None, to, input: 0, partitioner };
    graph.add_edge(edge(source, sum, Some(Partitioner::Hash(Arc::new(ColumnKeyHasher { columns: vec![0] })))));
    graph.add_edge(edge(sum, sink, None));
    graph
}

fn aggregation(job: &ColumnarSum) -> GroupAggregateConfig {
    let key = if job.source.text_keys { GroupKey::Row { columns: vec![0] } } else { GroupKey::Number { column: 0 } };
    let aggregates = vec![Aggregate::SumBigint { column: 1 }, Aggregate::SumDouble { column: 2 }, Aggregate::CountAll];
    let aggregates = aggregates.into_iter().map(Into::into).collect();
    GroupAggregateConfig { key, aggregates, row_exact: job.row_exact, state_ttl: std::time::Duration::ZERO }
}

/// The table that the results of the job fold to, computed row by row without the engine.
pub fn expected_sums(source: &ChangelogGeneratorConfig) -> Table {
    #[derive(Default)]
    struct Sums {
        quantity: i64,
        quantities: i64,
        price: f64,
        orders: i64,
    }
    let mut sums: BTreeMap<u64, Sums> = BTreeMap::new();
    for change in (0..source.splits).flat_map(|index| OrderChanges::new(source, index)) {
        let (sign, sum) = (change.kind.sign(), sums.entry(change.order.key).or_default());
        sum.quantity += sign * change.order.quantity.unwrap_or(0);
        sum.quantities += sign * i64::from(change.order.quantity.is_some());
        sum.price += sign as f64 * change.order.price;
        sum.orders += sign;
    }
    let row = |(key, sum): (u64, Sums)| {
        let key = if source.text_keys { Cell::Text(format!("key-{key}")) } else { Cell::Integer(key.into()) };
        let quantity = (sum.quantities > 0).then_some(sum.quantity);
        (vec![key, quantity.into(), sum.price.into(), sum.orders.into()], 1)
    };
    sums.into_iter().filter(|(_, sum)| sum.orders > 0).map(row).collect()
}
