//! A job whose streams part and meet again, under small batches: numbers reach the end by three ways of different length.

use crate::jobs::{BySeventh, Numbers, factory, operator, vertex};
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Rows, Step};
use brisk_core::job_graph::{JobEdge, JobGraph, JobVertex, OutputRoute, Partitioner, RouteTarget};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, Progress, Rest};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How often each number arrived.
type Arrived = Arc<Mutex<BTreeMap<i64, u32>>>;

/// Passes everything on.
struct Pass;

impl Operator for Pass {
    fn process_batch(&mut self, _: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        cx.emit(MAIN_PORT, batch);
        Ok(Rest::Consumed)
    }
}

/// Counts what comes, and fails on a row that the watermark has passed.
struct Meet {
    watermark: Timestamp,
    arrived: Arrived,
    /// Inputs that have ended.
    ended: usize,
}

impl Operator for Meet {
    fn process_batch(&mut self, _: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut cursor = Rows::<i64>::from_any(batch)?.into_cursor();
        for step in cursor.by_ref() {
            match step {
                Step::Watermark(watermark) => self.watermark = watermark,
                Step::Row(value, timestamp, _) => {
                    assert!(timestamp > self.watermark, "{value} is late: {}", self.watermark.0);
                    *self.arrived.lock().unwrap().entry(value).or_default() += 1;
                }
            }
            if cx.budget.row() {
                break;
            }
        }
        Ok(cursor.into_rest().map_or(Rest::Consumed, |rest| Rest::More(Box::new(rest))))
    }

    fn process_watermark(&mut self, watermark: Timestamp, _: &mut OperatorContext<'_>) -> Result<Progress> {
        assert!(watermark > self.watermark);
        self.watermark = watermark;
        Ok(Progress::Done)
    }

    fn end_input(&mut self, _: usize, _: &mut OperatorContext<'_>) -> Result<Progress> {
        self.ended += 1;
        Ok(Progress::Done)
    }

    fn finish(&mut self, _: &mut OperatorContext<'_>) -> Result<Progress> {
        assert_eq!((self.ended, self.watermark), (2, Timestamp::MAX));
        Ok(Progress::Done)
    }
}

/// See the module.
pub(crate) struct Diamond {
    pub(crate) numbers: i64,
    pub(crate) arrived: Arrived,
}

impl Diamond {
    pub(crate) fn new(numbers: i64) -> Self {
        Self { numbers, arrived: Arrived::default() }
    }

    /// `numbers` goes by `first` and directly to input 0 of `meet`, and by `second` to its input 1.
    pub(crate) fn graph(&self) -> JobGraph {
        let last = self.numbers;
        let numbers = factory(move |cx| {
            let (next, step) = (i64::from(cx.task.subtask), i64::from(cx.task.parallelism));
            Box::new(Numbers { next, last, step, fail_at: None })
        });
        let arrived = Arc::clone(&self.arrived);
        let meet = factory(move |_| Box::new(Meet { watermark: Timestamp::MIN, arrived: Arc::clone(&arrived), ended: 0 }));
        let mut source = operator(1, "numbers", numbers, None);
        source.outputs = vec![OutputRoute { tag: None, targets: (0..3).map(RouteTarget::Exchange).collect() }];
        let pass = |id, name| operator(id, name, factory(|_| Box::new(Pass)), Some(RouteTarget::Exchange(0)));
        let mut graph = JobGraph {
            name: "diamond".to_owned(),
            vertices: vec![
                vertex(1, vec![source], 2, 0),
                vertex(2, vec![pass(2, "first")], 3, 1),
                vertex(3, vec![pass(3, "second")], 4, 1),
                vertex(4, vec![operator(4, "meet", meet, None)], 2, 2),
            ],
            ..JobGraph::default()
        };
        let clear = |vertex: &mut JobVertex| {
            vertex.incoming.clear();
            vertex.outgoing.clear();
        };
        graph.vertices.iter_mut().for_each(clear);
        connect(&mut graph, 0, 1, 0, Partitioner::Rebalance);
        connect(&mut graph, 0, 2, 0, Partitioner::Rescale);
        connect(&mut graph, 0, 3, 0, Partitioner::Shuffle);
        connect(&mut graph, 1, 3, 0, Partitioner::Hash(Arc::new(BySeventh)));
        connect(&mut graph, 2, 3, 1, Partitioner::Rescale);
        graph
    }

    /// Each number came by each way.
    pub(crate) fn check(&self) {
        let arrived = self.arrived.lock().unwrap();
        assert_eq!(arrived.len() as i64, self.numbers);
        assert!(arrived.values().all(|times| *times == 3));
    }
}

fn connect(graph: &mut JobGraph, from: usize, to: usize, input: u32, partitioner: Partitioner) {
    let (from_output, to_gate) = (graph.vertices[from].outgoing.len(), graph.vertices[to].incoming.len());
    graph.vertices[from].outgoing.push(graph.edges.len());
    graph.vertices[to].incoming.push(graph.edges.len());
    graph.edges.push(JobEdge { from, from_output, to, input, to_gate, partitioner, buffer_timeout: Some(Millis(1)) });
}
