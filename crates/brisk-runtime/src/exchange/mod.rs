//! Exchanges: move elements between the tasks of a job, within a process as pointers, between processes as bytes.
//!
//! Each consuming task has one [`GateQueue`]; its producers hold [`ChannelSender`]s into it. Channels are bounded: a producer that is
//! refused keeps its element and is woken when there is room. Within a process nothing is copied or serialized; what goes to another
//! process goes through the [`NetworkExchange`].

pub mod network;
mod queue;
mod topology;

pub use network::{Endpoint, Locations, NetworkExchange};
pub use queue::{ChannelSender, GateQueue, Received, Sent};
pub use topology::{consumers_of, producers_of};

use brisk_core::batch::BatchType;
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
    /// The way to tasks of other processes, if there are any.
    network: Option<Arc<NetworkExchange>>,
}

impl LocalExchanges {
    /// Exchanges that the simulator may disturb.
    pub fn perturbed(perturb: Arc<dyn Perturb>) -> Self {
        Self { perturb: Some(perturb), ..Self::default() }
    }

    /// Exchanges of a process that shares a job with others.
    pub fn networked(network: Arc<NetworkExchange>) -> Self {
        Self { network: Some(network), ..Self::default() }
    }

    /// The way to tasks of other processes.
    pub const fn network(&self) -> Option<&Arc<NetworkExchange>> {
        self.network.as_ref()
    }

    /// A producer's end of a channel of an attempt's gate, wherever that is.
    pub fn sender(&self, graph: &JobGraph, (vertex, subtask, attempt): (usize, u32, u32), channel: u32) -> ChannelSender {
        let remote = self.network.as_ref().and_then(|network| network.channel_to((vertex, subtask, attempt), channel));
        match remote {
            Some(remote) => ChannelSender::Remote(remote),
            None => ChannelSender::new(self.gate(graph, vertex, subtask, attempt), channel),
        }
    }

    /// Lets channels of other processes into the gate of a task that has made its operators. `types` says for each channel how its batches
    /// are read.
    pub fn open_gate(&self, graph: &JobGraph, at: (usize, u32, u32), types: Vec<Option<Arc<dyn BatchType>>>) {
        if let Some(network) = &self.network {
            network.open(at, self.gate(graph, at.0, at.1, at.2), types);
        }
    }

    /// The consumer of a gate is over: frees its producers, and drops what is under way.
    pub fn close_gate(&self, graph: &JobGraph, at: (usize, u32, u32)) {
        self.gate(graph, at.0, at.1, at.2).close();
        if let Some(network) = &self.network {
            network.close(at);
        }
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
