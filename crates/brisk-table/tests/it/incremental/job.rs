//! Runs the graph of a query by hand, without threads: an element goes through the whole graph before the next one comes.

use crate::driver::{Driver, Hand, merged, runtime};
use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::{Columns, Mark, Segment, take_rows};
use brisk_core::element::Element;
use brisk_core::job_graph::{NodeKind, Partitioner, StreamGraph, StreamNode};
use brisk_core::operator::OperatorSpec;
use brisk_core::state::{KeyGroups, OperatorRestore, StateBackend};
use brisk_core::types::KeyGroup;
use brisk_core::types::hash::key_group;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where elements come from: edge, and subtask of the node before it.
type Channel = (usize, usize);

struct Subtask {
    driver: Option<Driver>,
    /// Watermark of each channel.
    channels: BTreeMap<Channel, Timestamp>,
    watermark: Timestamp,
}

/// A graph that runs.
pub(crate) struct Job<'g> {
    graph: &'g StreamGraph,
    parallelism: u32,
    /// Subtasks of each node; none of sinks.
    nodes: Vec<Vec<Subtask>>,
    /// What has come to the sink.
    pub(crate) output: Vec<Columns>,
}

/// Where a graph runs.
pub(crate) struct Place {
    pub(crate) backend: Arc<dyn StateBackend>,
    pub(crate) clock: Arc<Hand>,
}

/// What a checkpoint leaves.
pub(crate) struct Left {
    pub(crate) parallelism: u32,
    operators: Vec<Option<Arc<OperatorRestore>>>,
    /// The lowest watermark of each edge.
    edges: Vec<Timestamp>,
}

/// The table that a node reads, if it is a source.
pub(crate) fn table_of(node: &StreamNode) -> Option<String> {
    match (&node.spec, node.kind) {
        (OperatorSpec::Registered { name, .. }, NodeKind::Source { .. }) => Some(name.clone()),
        _ => None,
    }
}

/// Key groups of a job.
const GROUPS: u32 = 128;

impl<'g> Job<'g> {
    pub(crate) fn start(graph: &'g StreamGraph, place: &Place, parallelism: u32) -> Self {
        Self::run(graph, place, parallelism, None)
    }

    pub(crate) fn restore(graph: &'g StreamGraph, place: &Place, parallelism: u32, left: &Left) -> Self {
        Self::run(graph, place, parallelism, Some(left))
    }

    fn run(graph: &'g StreamGraph, place: &Place, parallelism: u32, left: Option<&Left>) -> Self {
        let mut widths: Vec<usize> = Vec::new();
        for node in &graph.nodes {
            let before = graph.inputs(node.id).map(|edge| widths[edge.from.0 as usize]).max().unwrap_or(1);
            widths.push(if node.keyed { parallelism as usize } else { before });
        }
        let mut nodes = Vec::new();
        for (node, width) in graph.nodes.iter().zip(&widths) {
            let mut subtasks = Vec::new();
            for subtask in 0..*width {
                let mut channels = BTreeMap::new();
                for (number, edge) in graph.edges.iter().enumerate().filter(|(_, edge)| edge.to == node.id) {
                    let watermark = left.map_or(Timestamp::MIN, |left| left.edges[number]);
                    let is_target = |from: &usize| targets(edge.partitioner.as_ref(), *from, *width).contains(&subtask);
                    (0..widths[edge.from.0 as usize]).filter(is_target).for_each(|from| {
                        channels.insert((number, from), watermark);
                    });
                }
                let driver = match (&node.spec, node.kind) {
                    (_, NodeKind::Sink) => None,
                    (OperatorSpec::Factory(factory), _) => {
                        let mut runtime = runtime();
                        runtime.operator_name = node.name.as_str().into();
                        (runtime.task.subtask, runtime.task.parallelism) = (subtask as u32, *width as u32);
                        runtime.world = place.clock.world();
                        runtime.state.backend = Some(Arc::clone(&place.backend));
                        runtime.state.restored = left.and_then(|left| left.operators[node.id.0 as usize].clone());
                        Some(Driver::in_runtime(runtime, &**factory))
                    }
                    _ => None,
                };
                let watermark = channels.values().min().copied().unwrap_or(Timestamp::MIN);
                subtasks.push(Subtask { driver, channels, watermark });
            }
            nodes.push(subtasks);
        }
        let mut job = Self { graph, parallelism, nodes, output: Vec::new() };
        job.tell_watermarks();
        job
    }

    /// Restored operators are told of their watermarks again.
    fn tell_watermarks(&mut self) {
        for node in 0..self.nodes.len() {
            for subtask in 0..self.nodes[node].len() {
                let Subtask { driver: Some(driver), watermark, .. } = &mut self.nodes[node][subtask] else { continue };
                let watermark = *watermark;
                if watermark > Timestamp::MIN {
                    driver.call(|operator, cx| operator.process_watermark(watermark, cx)).expect("no failure");
                    let elements = driver.elements();
                    self.send_all(node, subtask, elements);
                }
            }
        }
    }

    pub(crate) fn output(&self) -> &[Columns] {
        &self.output
    }

    /// Rows of a table.
    pub(crate) fn feed(&mut self, table: &str, batch: Columns) {
        let node = self.graph.nodes.iter().position(|node| table_of(node).as_deref() == Some(table)).expect("is read");
        self.send(node, 0, Element::Batch(Box::new(batch)));
    }

    /// The end of all inputs; what that gives.
    pub(crate) fn end(mut self) -> Vec<Columns> {
        for (index, node) in self.graph.nodes.iter().enumerate() {
            if let Some(Subtask { driver: Some(driver), .. }) = self.nodes[index].first_mut().filter(|_| node.inputs == 0) {
                while driver.call(|operator, cx| operator.poll_source(cx)).expect("polls") == brisk_core::operator::SourcePoll::More {}
                let elements = driver.elements();
                self.send_all(index, 0, elements);
            }
            if node.inputs == 0 {
                self.send(index, 0, Element::Watermark(Timestamp::MAX));
            }
        }
        for node in 0..self.nodes.len() {
            for subtask in 0..self.nodes[node].len() {
                let Some(driver) = &mut self.nodes[node][subtask].driver else { continue };
                for input in 0..self.graph.nodes[node].inputs as usize {
                    driver.call(|operator, cx| operator.end_input(input, cx)).expect("ends");
                }
                driver.call(|operator, cx| operator.finish(cx)).expect("finishes");
                let elements = driver.elements();
                self.send_all(node, subtask, elements);
            }
        }
        self.output
    }

    pub(crate) fn snapshot(&mut self, checkpoint: u64) -> Left {
        let mut operators = Vec::new();
        for subtasks in &mut self.nodes {
            let drivers = subtasks.iter_mut().filter_map(|subtask| subtask.driver.as_mut());
            let parts: Vec<_> = drivers.map(|driver| driver.snapshot(CheckpointId(checkpoint))).collect();
            operators.push((!parts.is_empty()).then(|| Arc::new(merged(parts))));
        }
        let mut edges = vec![Timestamp::MAX; self.graph.edges.len()];
        for subtask in self.nodes.iter().flatten() {
            subtask.channels.iter().for_each(|((edge, _), watermark)| edges[*edge] = edges[*edge].min(*watermark));
        }
        Left { parallelism: self.parallelism, operators, edges }
    }

    fn send_all(&mut self, node: usize, subtask: usize, elements: Vec<Element>) {
        elements.into_iter().for_each(|element| self.send(node, subtask, element));
    }

    /// Sends an element over all edges of a node.
    fn send(&mut self, node: usize, subtask: usize, element: Element) {
        let graph = self.graph;
        for (number, edge) in graph.edges.iter().enumerate().filter(|(_, edge)| edge.from.0 as usize == node) {
            let to = edge.to.0 as usize;
            let width = self.nodes[to].len();
            let channel = (number, subtask);
            match &element {
                Element::Watermark(watermark) => {
                    targets(edge.partitioner.as_ref(), subtask, width).for_each(|target| self.watermark(to, target, channel, *watermark));
                }
                Element::Batch(batch) => {
                    let batch = Columns::from_any_ref(&**batch).expect("columns").clone();
                    for (target, part) in spread(&batch, edge.partitioner.as_ref(), subtask, width) {
                        self.batch(to, target, edge.input as usize, channel, part);
                    }
                }
                other => panic!("{other:?} is not expected"),
            }
        }
    }

    fn watermark(&mut self, node: usize, subtask: usize, channel: Channel, watermark: Timestamp) {
        let task = &mut self.nodes[node][subtask];
        let of_channel = task.channels.get_mut(&channel).expect("known");
        *of_channel = watermark.max(*of_channel);
        let combined = task.channels.values().min().copied().expect("at least this one");
        if combined <= task.watermark {
            return;
        }
        task.watermark = combined;
        let Some(driver) = &mut task.driver else { return };
        driver.call(|operator, cx| operator.process_watermark(combined, cx)).expect("no failure");
        let elements = driver.elements();
        self.send_all(node, subtask, elements);
    }

    fn batch(&mut self, node: usize, subtask: usize, input: usize, channel: Channel, batch: Columns) {
        if self.nodes[node][subtask].driver.is_none() {
            self.output.push(batch);
            return;
        }
        if self.nodes[node][subtask].channels.len() == 1 {
            let last = batch.marks.last().map(|mark| mark.watermark);
            let task = &mut self.nodes[node][subtask];
            if let Some(last) = last {
                task.channels.insert(channel, last);
                task.watermark = last;
            }
            self.rows(node, subtask, input, batch);
            return;
        }
        let segments: Vec<_> = batch.segments().collect();
        for segment in segments {
            match segment {
                Segment::Watermark(watermark) => self.watermark(node, subtask, channel, watermark),
                Segment::Rows(rows) => {
                    let part = Columns { marks: Vec::new(), ..batch.slice(rows) };
                    self.rows(node, subtask, input, part);
                }
            }
        }
    }

    fn rows(&mut self, node: usize, subtask: usize, input: usize, batch: Columns) {
        let driver = self.nodes[node][subtask].driver.as_mut().expect("no sink");
        driver.batch_to(input, batch).expect("no failure");
        let elements = driver.elements();
        self.send_all(node, subtask, elements);
    }
}

/// The subtasks that one of the node before may send to: all by a hash, else the one at its place.
fn targets(partitioner: Option<&Partitioner>, from: usize, width: usize) -> std::ops::Range<usize> {
    match partitioner {
        Some(Partitioner::Hash(_)) => 0..width,
        _ => from.min(width - 1)..from.min(width - 1) + 1,
    }
}

/// The rows for each target, with the marks between them.
fn spread(batch: &Columns, partitioner: Option<&Partitioner>, from: usize, width: usize) -> Vec<(usize, Columns)> {
    let Some(Partitioner::Hash(hasher)) = partitioner else { return vec![(from.min(width - 1), batch.clone())] };
    let mut hashes = Vec::new();
    hasher.hash(batch, &mut hashes).expect("can be hashed");
    let owners: Vec<_> = (0..width as u32).map(|subtask| KeyGroups::of_subtask(GROUPS, width as u32, subtask).expect("fits")).collect();
    let owner = |hash: &u64| {
        let group: KeyGroup = key_group(*hash, GROUPS);
        owners.iter().position(|groups| groups.range.contains(group)).expect("all groups have an owner")
    };
    let targets: Vec<_> = hashes.iter().map(owner).collect();
    let part = |target: usize| {
        let rows: Vec<u32> = (0..batch.rows as u32).filter(|row| targets[*row as usize] == target).collect();
        let columns = batch.columns.iter().map(|column| take_rows(column, &rows)).collect::<Result<Vec<_>, _>>().expect("takes");
        let kinds = if batch.kinds.is_empty() { Vec::new() } else { rows.iter().map(|row| batch.kinds[*row as usize]).collect() };
        let mut part = Columns { columns, rows: rows.len(), kinds, ..Columns::default() };
        for mark in &batch.marks {
            let row = rows.iter().filter(|row| **row < mark.row).count() as u32;
            match part.marks.last_mut() {
                Some(last) if last.row == row => last.watermark = mark.watermark,
                _ => part.marks.push(Mark { row, watermark: mark.watermark }),
            }
        }
        (target, part)
    };
    (0..width).map(part).collect()
}
