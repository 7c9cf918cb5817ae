//! From logical plans to graphs of columnar operators.
//!
//! Each relation becomes a [`Flow`]: the node that gives it, its columns, whether it has updates and deletes, and which
//! columns tell its rows apart. Nodes have uids made of
//! their place in the plan, so that the same statement finds its state again.

mod aggregate;
mod correlate;
mod explain;
mod expression;
mod grouping_sets;
mod interval;
mod join;
mod over;
mod rank;
mod relation;
mod scan;
mod shifted_time;
mod sort;
mod temporal_join;
mod upsert_keys;
mod values;
mod window;
mod window_join;

pub(crate) use expression::type_in;

use crate::catalog::Table;
use crate::operators::row::ValueType;
use crate::operators::sink_materialize::SinkMaterialize;
use crate::options::{REUSE_SUB_PLAN, ROW_EXACT, STATE_TTL, UPSERT_MATERIALIZE, UpsertMaterialize};
use crate::planner::Planner;
use brisk_base::options::Configuration;
use brisk_base::{Error, Result};
use brisk_core::batch::ColumnKeyHasher;
use brisk_core::job_graph::{NodeId, NodeKind, Partitioner, StreamEdge, StreamGraph};
use brisk_core::operator::{OperatorFactory, OperatorSpec};
use brisk_core::table::TableConnectors;
use datafusion_common::DFSchemaRef;
use datafusion_expr::LogicalPlan;
use explain::Notes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use upsert_keys::UpsertKeys;

/// A relation of the plan that is being built.
#[derive(Clone)]
pub(crate) struct Flow {
    /// The node that gives its rows.
    pub(crate) node: NodeId,
    /// Its columns.
    pub(crate) schema: DFSchemaRef,
    /// Whether rows are updated and deleted, or inserted alone.
    pub(crate) changes: bool,
    /// Columns that tell rows apart.
    pub(crate) upsert_keys: UpsertKeys,
}

/// Builds the graph of one job.
pub(crate) struct GraphBuilder<'a> {
    pub(crate) planner: &'a Planner<'a>,
    pub(crate) connectors: &'a TableConnectors,
    /// Whether aggregations give a change per row.
    row_exact: bool,
    /// How long state is kept that nobody uses.
    state_ttl: Duration,
    /// When rows are brought together by the primary key of a sink.
    upsert_materialize: UpsertMaterialize,
    pub(crate) graph: StreamGraph,
    /// Tables that are read already: all of their columns.
    scans: BTreeMap<String, Flow>,
    /// Relations that are built already and may be read again; `None` if each is to be built anew.
    built: Option<Vec<(LogicalPlan, Flow)>>,
    /// Whether all sources end.
    pub(crate) bounded: bool,
    /// What is shown of the graph.
    notes: Notes,
    /// Whether the next window function leaves it to the aggregation behind it to find windows by the clock.
    windows_by_aggregation: bool,
}

impl<'a> GraphBuilder<'a> {
    /// With the options of a session.
    ///
    /// # Errors
    /// When one of them has no value of its type.
    pub(crate) fn new(name: String, planner: &'a Planner<'a>, connectors: &'a TableConnectors, config: &Configuration) -> Result<Self> {
        Ok(Self {
            planner,
            connectors,
            row_exact: config.get(&ROW_EXACT)?,
            state_ttl: config.get(&STATE_TTL)?,
            upsert_materialize: config.get(&UPSERT_MATERIALIZE)?,
            graph: StreamGraph { name, ..StreamGraph::default() },
            scans: BTreeMap::new(),
            built: config.get(&REUSE_SUB_PLAN)?.then(Vec::new),
            bounded: true,
            notes: Notes::default(),
            windows_by_aggregation: false,
        })
    }

    /// Ends a relation in the sink of a table, whose columns it has.
    pub(crate) fn write(&mut self, flow: &Flow, table: &Table) -> Result<()> {
        let connector = self.connectors.find(&table.declaration)?;
        if !table.declaration.partitions.is_empty() && !connector.takes_partitions() {
            return Err(table.declaration.error("it is PARTITIONED BY columns, which its connector does not do"));
        }
        let sink = connector.sink(&table.declaration)?;
        let flow = &self.materialized(flow, table)?;
        if flow.changes && !sink.takes_changes {
            return Err(table.declaration.error("the query updates rows, but the table takes inserts alone"));
        }
        let node = self.add_sink(flow, &format!("Sink({})", table.declaration.name), sink.operator);
        self.graph.node_mut(node).parallelism = sink.parallelism;
        Ok(())
    }

    /// The rows of a relation with one for each primary key of the table that they are written to.
    fn materialized(&mut self, flow: &Flow, table: &Table) -> Result<Flow> {
        let column = |name: &String| {
            let found = table.declaration.schema.index_of(name);
            found.map_err(|_| table.declaration.error(format!("the primary key names the computed column '{name}', which is not written")))
        };
        let key = table.primary_key.iter().map(column).collect::<Result<Vec<_>>>()?;
        let is_wanted = match self.upsert_materialize {
            UpsertMaterialize::None => false,
            UpsertMaterialize::Auto => flow.changes && !flow.upsert_keys.are_in(&key),
            UpsertMaterialize::Force => true,
        };
        if key.is_empty() || !is_wanted {
            return Ok(flow.clone());
        }
        let types = flow.schema.fields().iter().map(|field| ValueType::of(field.data_type())).collect::<Result<_>>()?;
        let operator = SinkMaterialize { key: key.clone(), types, state_ttl: self.state_ttl };
        let node = self.add_keyed("SinkMaterializer", &[(flow, key.clone())], operator);
        let shown = format!("SinkMaterializer(primaryKey=[{}])", table.primary_key.join(", "));
        self.graph.node_mut(node).description = Some(shown);
        self.grows(node, "all rows, by primary key");
        Ok(Flow { node, schema: Arc::clone(&flow.schema), changes: true, upsert_keys: UpsertKeys::of(key) })
    }

    /// Ends a relation in a sink.
    pub(crate) fn add_sink(&mut self, flow: &Flow, name: &str, sink: OperatorSpec) -> NodeId {
        let node = self.graph.add_node(name, NodeKind::Sink, 1, sink);
        self.name_uid(node);
        self.connect(flow, node, 0, None);
        node
    }

    /// Adds an operator with one input.
    pub(crate) fn add(&mut self, name: &str, input: &Flow, operator: impl OperatorFactory + 'static) -> NodeId {
        let node = self.graph.add_node(name, NodeKind::Operator, 1, OperatorSpec::Factory(Arc::new(operator)));
        self.name_uid(node);
        self.connect(input, node, 0, None);
        node
    }

    /// Adds a keyed operator; each input is partitioned by the columns given with it.
    pub(crate) fn add_keyed(&mut self, name: &str, inputs: &[(&Flow, Vec<usize>)], operator: impl OperatorFactory + 'static) -> NodeId {
        let node = self.graph.add_node(name, NodeKind::Operator, inputs.len() as u32, OperatorSpec::Factory(Arc::new(operator)));
        self.name_uid(node);
        self.graph.node_mut(node).keyed = true;
        for (input, (flow, columns)) in (0..).zip(inputs) {
            let hasher = ColumnKeyHasher { columns: columns.clone() };
            self.connect(flow, node, input, Some(Partitioner::Hash(Arc::new(hasher))));
        }
        node
    }

    pub(crate) fn connect(&mut self, flow: &Flow, to: NodeId, input: u32, partitioner: Option<Partitioner>) {
        self.notes.note(flow);
        self.graph.add_edge(StreamEdge { from: flow.node, tag: None, to, input, partitioner });
    }

    /// The uid is the number and the name of the operator: the same statement gives the same.
    pub(crate) fn name_uid(&mut self, node: NodeId) {
        let node = self.graph.node_mut(node);
        node.uid = Some(format!("{}_{}", node.id.0, node.name));
    }
}

/// What a plan has that no operator can do yet.
pub(crate) fn unsupported(what: &str) -> Error {
    Error::user(format!("{what} is not supported in streaming queries yet"))
}

/// The name of a kind of node, for errors.
pub(crate) fn plan_name(plan: &LogicalPlan) -> String {
    plan.display().to_string()
}
