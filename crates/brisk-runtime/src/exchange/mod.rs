//! The local exchange: moves elements between the tasks of one process, pointers only.
//!
//! Each consuming task has one [`GateQueue`]; its producers hold [`ChannelSender`]s into it. Channels are bounded: a producer that is
//! refused keeps its element and is woken when there is room. Nothing is copied or serialized.

mod queue;
mod topology;

pub use queue::{ChannelSender, GateQueue, Received, Sent};
pub use topology::{consumers_of, producers_of};

use brisk_core::job_graph::JobGraph;
use brisk_core::state::OperatorSnapshot;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the simulator does to the channels of a job. Real runs have none.
pub trait Perturb: Send + Sync {
    /// Which of `candidates` channels with something to read is read next.
    fn pick(&self, candidates: usize) -> usize;

    /// Whether the reader is told that nothing has arrived yet, although something has.
    fn hold_back(&self) -> bool;

    /// Where to cut a batch of `rows` rows in two before it is read, if at all.
    fn cut(&self, rows: usize) -> Option<usize>;

    /// Whether a writer sends its partly full batches although its input has not drained.
    fn flush_early(&self) -> bool;

    /// Whether the task fails at this poll.
    fn crash(&self) -> bool {
        false
    }

    /// Whether a poll is given no time at all, so that operators stop in the middle of their batches.
    fn tire(&self) -> bool;

    /// Plants a bug, which checkers have to find: whether a barrier that came through one channel is taken for that of all of them.
    fn skips_barriers(&self) -> bool {
        false
    }

    /// Plants a bug, which checkers have to find: does to an operator's snapshot what a fault of the engine might.
    fn tamper(&self, _snapshot: &mut OperatorSnapshot) {}
}

/// The gates of one job in this process, found by vertex, subtask and attempt in whatever order tasks come up. The tasks of a pipelined
/// region are restarted together and have one attempt number, so that a new attempt never meets what an old one left.
#[derive(Default)]
pub struct LocalExchanges {
    gates: Mutex<HashMap<(usize, u32, u32), Arc<GateQueue>>>,
    perturb: Option<Arc<dyn Perturb>>,
}

impl LocalExchanges {
    /// Exchanges that the simulator may disturb.
    pub fn perturbed(perturb: Arc<dyn Perturb>) -> Self {
        Self { gates: Mutex::default(), perturb: Some(perturb) }
    }

    /// What disturbs the channels.
    pub fn perturb(&self) -> Option<&Arc<dyn Perturb>> {
        self.perturb.as_ref()
    }

    /// The gate of an attempt of a subtask; made on first use by its consumer or one of its producers.
    pub fn gate(&self, graph: &JobGraph, vertex: usize, subtask: u32, attempt: u32) -> Arc<GateQueue> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let channels = graph.vertices[vertex].incoming.iter().map(|edge| producers_of(graph, *edge, subtask).len()).sum();
            Arc::new(GateQueue::new(channels, self.perturb.clone()))
        };
        if let Some(before) = attempt.checked_sub(1) {
            // Closed, and held by nobody but old producers.
            gates.remove(&(vertex, subtask, before));
        }
        Arc::clone(gates.entry((vertex, subtask, attempt)).or_insert_with(make))
    }

    /// Forgets a gate: its consumer is over.
    pub fn remove(&self, vertex: usize, subtask: u32, attempt: u32) {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).remove(&(vertex, subtask, attempt));
    }
}
