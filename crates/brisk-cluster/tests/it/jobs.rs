//! Small jobs: a source whose coordinator hands out splits, operators that misbehave on request, a counting sink.

use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::job_graph::{NodeId, NodeKind, Partitioner, StreamEdge, StreamGraph};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, OperatorFactory, OperatorSpec, Rest, RuntimeContext, SourcePoll};
use brisk_core::source::{CoordinatorContext, SourceCoordinator, SourceEvent};
use std::sync::Arc;

/// What a coordinator does when a reader asks for a split.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Enumerator {
    /// Gives each reader so many splits.
    Gives(u32),
    /// Fails when it starts.
    FailsAtStart,
    /// Panics at the first request.
    PanicsAtRequest,
    /// Panics when it is made.
    PanicsWhenMade,
    /// Panics when it is dropped.
    PanicsWhenDropped,
}

/// A source of splits of `rows` numbers each; without end if `rows` is `None`.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) enumerator: Enumerator,
    pub(crate) rows: Option<u64>,
}

impl OperatorFactory for Numbers {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(NumbersReader { rows: self.rows, left: 0, ended: false }))
    }

    fn coordinator(&self, parallelism: u32, _restored: Option<&[u8]>) -> Result<Option<Box<dyn SourceCoordinator>>> {
        assert!(self.enumerator != Enumerator::PanicsWhenMade, "made to panic");
        Ok(Some(Box::new(NumbersCoordinator { enumerator: self.enumerator, given: vec![0; parallelism as usize] })))
    }
}

struct NumbersCoordinator {
    enumerator: Enumerator,
    given: Vec<u32>,
}

impl SourceCoordinator for NumbersCoordinator {
    fn start(&mut self, cx: &mut CoordinatorContext) -> Result<()> {
        cx.call_at = Some(cx.now);
        match self.enumerator {
            Enumerator::FailsAtStart => Err(Error::user("no such topic")),
            _ => Ok(()),
        }
    }

    fn add_reader(&mut self, _subtask: u32, _cx: &mut CoordinatorContext) -> Result<()> {
        Ok(())
    }

    fn handle_event(&mut self, subtask: u32, event: SourceEvent, cx: &mut CoordinatorContext) -> Result<()> {
        assert!(self.enumerator != Enumerator::PanicsAtRequest, "made to panic");
        let wanted = if let Enumerator::Gives(splits) = self.enumerator { splits } else { 1 };
        let given = &mut self.given[subtask as usize];
        if event == SourceEvent::RequestSplit && *given < wanted {
            *given += 1;
            cx.to_subtasks.push((subtask, SourceEvent::AddSplits(vec![vec![1]])));
        } else {
            cx.to_subtasks.push((subtask, SourceEvent::NoMoreSplits));
        }
        Ok(())
    }

    fn on_timer(&mut self, _cx: &mut CoordinatorContext) -> Result<()> {
        Ok(())
    }

    fn remove_reader(&mut self, _subtask: u32) {}

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn group_limit(&mut self, _lowest: Timestamp, _cx: &mut CoordinatorContext) {}
}

impl Drop for NumbersCoordinator {
    fn drop(&mut self) {
        assert!(self.enumerator != Enumerator::PanicsWhenDropped, "made to panic");
    }
}

struct NumbersReader {
    rows: Option<u64>,
    left: u64,
    ended: bool,
}

impl Operator for NumbersReader {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        cx.send_event(SourceEvent::RequestSplit);
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, _batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        Err(Error::bug("a source has no input"))
    }

    fn handle_event(&mut self, event: SourceEvent, cx: &mut OperatorContext<'_>) -> Result<()> {
        match event {
            SourceEvent::AddSplits(splits) => {
                self.left += splits.len() as u64 * self.rows.unwrap_or(u64::MAX);
                if self.rows.is_some() {
                    cx.send_event(SourceEvent::RequestSplit);
                }
            }
            SourceEvent::NoMoreSplits => self.ended = true,
            _ => {}
        }
        Ok(())
    }

    fn poll_source(&mut self, cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        let count = self.left.min(1000);
        self.left -= count;
        if count > 0 {
            let mut rows = Rows::<u64>::default();
            (0..count).for_each(|value| rows.push(value, Timestamp::MIN));
            cx.emit(MAIN_PORT, Box::new(rows));
            return Ok(SourcePoll::More);
        }
        if self.ended {
            cx.emit_watermark(Timestamp::MAX);
            return Ok(SourcePoll::Finished);
        }
        Ok(SourcePoll::Waiting)
    }
}

/// Counts rows in the accumulator `rows`, after `before` has seen the batch.
struct Count<F>(F);

impl<F: FnMut(&RuntimeContext) -> Result<()> + Send> Operator for Count<F> {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        (self.0)(cx.runtime)?;
        cx.runtime.accumulators.count("rows", batch.len() as i64);
        Ok(Rest::Consumed)
    }
}

fn add(graph: &mut StreamGraph, name: &str, kind: NodeKind, parallelism: u32, spec: OperatorSpec) -> NodeId {
    let inputs = u32::from(!matches!(kind, NodeKind::Source { .. }));
    let id = graph.add_node(name, kind, inputs, spec);
    graph.node_mut(id).parallelism = Some(parallelism);
    id
}

/// `source -> sink`, exchanged by rebalance; the sink calls `before` with each batch.
pub(crate) fn source_to_sink(
    (numbers, sources): (Numbers, u32),
    sinks: u32,
    before: impl Fn(&RuntimeContext) -> Result<()> + Clone + Send + Sync + 'static,
) -> StreamGraph {
    let mut graph = StreamGraph { name: "numbers".to_owned(), ..StreamGraph::default() };
    let kind = NodeKind::Source { bounded: numbers.rows.is_some() };
    let from = add(&mut graph, "source", kind, sources, OperatorSpec::Factory(Arc::new(numbers)));
    let count = move |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(Count(before.clone()))) };
    let to = add(&mut graph, "sink", NodeKind::Sink, sinks, OperatorSpec::Factory(Arc::new(count)));
    graph.add_edge(StreamEdge { from, tag: None, to, input: 0, partitioner: Some(Partitioner::Rebalance) });
    graph
}

/// A source of this many rows per subtask.
pub(crate) const fn bounded(rows: u64) -> Numbers {
    Numbers { enumerator: Enumerator::Gives(2), rows: Some(rows / 2) }
}

/// A source without end.
pub(crate) const fn endless() -> Numbers {
    Numbers { enumerator: Enumerator::Gives(1), rows: None }
}
