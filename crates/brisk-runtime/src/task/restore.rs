//! How a task begins again from a checkpoint: its operators' state, the standing of its channels, and the elements that were under way.
//!
//! At the same parallelism elements under way go back into the channels they were in. At another one, the new task replays what each old one whose
//! key groups it has now had in front of it ([`replay`]).
//!
//! Invariant: elements under way come before anything new, those of one old channel in their order.

mod replay;

use super::chain::Chain;
use super::inputs::Inputs;
use crate::barrier::{ChannelKey, InFlightElements, Stored};
use brisk_base::ids::{OperatorId, VertexId};
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::batch::{AnyBatch, Scattered};
use brisk_core::element::Element;
use brisk_core::job_graph::{JobGraph, KeyHasher, Partitioner};
use brisk_core::operator::TaskInfo;
use brisk_core::state::OperatorRestore;
use brisk_core::types::{KeyGroupRange, key_group};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a checkpoint left for one task.
#[derive(Default)]
pub struct TaskRestore {
    /// By operator.
    pub operators: BTreeMap<OperatorId, Arc<OperatorRestore>>,
    /// What was under way in the old subtasks of this task's vertex and of those it reads from.
    pub in_flight: Vec<OldTask>,
    /// Keeps local copies of the checkpoint's files; dropped when the operators are open.
    pub local: Option<Box<dyn Send>>,
}

/// What was under way in an old subtask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OldTask {
    /// Its vertex.
    pub vertex: VertexId,
    /// Its index.
    pub subtask: u32,
    /// How many there were.
    pub parallelism: u32,
    /// What was under way.
    pub elements: InFlightElements,
}

/// Reads what a checkpoint left for a task. Called in the task's first poll; may block.
pub type RestoreTask = Box<dyn FnOnce() -> Result<TaskRestore> + Send>;

/// Puts the pieces back.
pub(super) struct Restorer<'a> {
    pub(super) graph: &'a JobGraph,
    /// Index of the task's vertex.
    pub(super) vertex: usize,
    pub(super) info: &'a TaskInfo,
    pub(super) restore: TaskRestore,
}

impl Restorer<'_> {
    /// Tells the operators their watermarks, lets the channels stand where they stood, and puts elements under way back.
    pub(super) fn run(self, chain: &mut Chain, inputs: Option<&mut Inputs>) -> Result<()> {
        for (operator, restored) in &self.restore.operators {
            if let Some(at) = chain.position(*operator) {
                chain.restore(at, restored.watermark, restored.finished);
            }
        }
        let Some(inputs) = inputs else { return self.restore_chain(chain) };
        if !self.is_same() {
            self.restore_chain(chain)?;
            return self.replay(chain, inputs);
        }
        let combined = self.restore_standings(inputs);
        self.restore_head(chain)?;
        if combined > Timestamp::MIN {
            chain.wiring.push(0, 0, Element::Watermark(combined));
        }
        self.restore_chain(chain)?;
        self.restore_channels(chain, inputs)
    }

    fn own(&self) -> impl Iterator<Item = &OldTask> {
        let vertex = self.graph.vertices[self.vertex].id;
        self.restore.in_flight.iter().filter(move |old| old.vertex == vertex)
    }

    /// Whether all old subtasks of this task's vertex and its producers have successors of the same numbers.
    fn is_same(&self) -> bool {
        self.restore.in_flight.iter().all(|old| {
            let vertex = self.graph.vertices.iter().find(|vertex| vertex.id == old.vertex);
            vertex.is_some_and(|vertex| vertex.parallelism == old.parallelism)
        })
    }

    /// The channels begin where the old ones stood; gives the combined watermark.
    fn restore_standings(&self, inputs: &mut Inputs) -> Timestamp {
        let old: Vec<_> = self.own().flat_map(|old| &old.elements.standings).collect();
        for (at, channel) in inputs.channels().to_vec().into_iter().enumerate() {
            if let Some(standing) = old.iter().find(|standing| standing.channel == channel.key) {
                inputs.restore_standing(at, standing.watermark, standing.idle);
            }
        }
        inputs.watermark()
    }

    /// Batches that the head operator had given back, and the watermarks between them.
    fn restore_head(&self, chain: &mut Chain) -> Result<()> {
        for (input, stored) in self.own().filter(|old| old.subtask == self.info.subtask).flat_map(|old| &old.elements.head) {
            // A task that is told its watermark may have another checkpoint before it has heard it.
            let element = match stored {
                Stored::Watermark(watermark) => Some(Element::Watermark(*watermark)),
                _ => self.batch(chain, 0, *input as usize, stored)?.map(Element::Batch),
            };
            element.into_iter().for_each(|element| chain.wiring.push(0, *input as usize, element));
        }
        Ok(())
    }

    /// Elements in front of the other operators of the chain. At another parallelism those of several old subtasks come together, and the watermarks
    /// between them are left out: a lower one follows from the head.
    fn restore_chain(&self, chain: &mut Chain) -> Result<()> {
        let same = self.is_same();
        let vertex = self.graph.vertices[self.vertex].id;
        for old in self.restore.in_flight.iter().filter(|old| self.takes_over(old)) {
            // A vertex has the id of its head. One that is chained now, or that was chained then, has its elements here, too.
            let head = old.elements.head.iter().filter(|_| old.vertex != vertex).map(|(_, stored)| (OperatorId(old.vertex.0), stored));
            let in_chain = old.elements.chain.iter().map(|(operator, stored)| (*operator, stored));
            for (operator, stored) in in_chain.chain(head) {
                let Some(at) = chain.position(operator) else { continue };
                let element = match stored {
                    Stored::Batch(_) => self.batch(chain, at, 0, stored)?.map(|mut batch| {
                        if !same {
                            batch.marks_mut().clear();
                        }
                        Element::Batch(batch)
                    }),
                    Stored::Watermark(watermark) => same.then_some(Element::Watermark(*watermark)),
                    // The operator before it comes to its end again, or says again that it is idle.
                    Stored::Status(_) | Stored::EndOfInput => None,
                };
                element.into_iter().for_each(|element| chain.wiring.push(at, 0, element));
            }
        }
        Ok(())
    }

    /// The elements of each channel: first those that the old consumer had received, then those that the producer had not sent.
    fn channels(&self) -> impl Iterator<Item = &(ChannelKey, Vec<Stored>)> {
        let vertex = self.graph.vertices[self.vertex].id;
        let received = self.own().flat_map(|old| &old.elements.received);
        let sent = self.restore.in_flight.iter().flat_map(|old| &old.elements.sent).filter(move |(channel, _)| channel.to == vertex);
        received.chain(sent)
    }

    /// Elements that the channels held.
    fn restore_channels(&self, chain: &Chain, inputs: &mut Inputs) -> Result<()> {
        let channels = inputs.channels().to_vec();
        for (key, elements) in self.channels() {
            let Some(at) = channels.iter().position(|channel| channel.key == *key) else { continue };
            for stored in elements {
                let element = self.element(chain, channels[at].input.into(), stored)?;
                element.into_iter().for_each(|element| inputs.restore_element(at, element));
            }
        }
        Ok(())
    }

    /// Whether this task goes on with what had no key.
    fn takes_over(&self, old: &OldTask) -> bool {
        old.subtask % self.info.parallelism == self.info.subtask
    }

    fn element(&self, chain: &Chain, input: usize, stored: &Stored) -> Result<Option<Element>> {
        Ok(match stored {
            Stored::Batch(_) => self.batch(chain, 0, input, stored)?.map(Element::Batch),
            Stored::Watermark(watermark) => Some(Element::Watermark(*watermark)),
            Stored::Status(status) => Some(Element::Status(*status)),
            // The producer comes to its end again.
            Stored::EndOfInput => None,
        })
    }

    fn batch(&self, chain: &Chain, at: usize, input: usize, stored: &Stored) -> Result<Option<Box<dyn AnyBatch>>> {
        if !matches!(stored, Stored::Batch(_)) {
            return Ok(None);
        }
        let batch_type = chain.input_type(at, input).ok_or_else(|| {
            let place = chain.place(at);
            Error::bug(format!("{place} does not say how its input is read, but records for it were under way at the checkpoint"))
        })?;
        stored.batch(batch_type.as_ref()).context(|| "records under way")
    }

    fn hasher_of_input(&self, input: usize) -> Option<Arc<dyn KeyHasher>> {
        let gates = self.graph.vertices[self.vertex].incoming.iter();
        gates.filter(|edge| self.graph.edges[**edge].input as usize == input).find_map(|edge| hasher(&self.graph.edges[*edge].partitioner))
    }

    /// The rows of a batch whose key groups belong to this subtask, without marks.
    fn mine(&self, mut batch: Box<dyn AnyBatch>, hasher: &dyn KeyHasher) -> Result<Option<Box<dyn AnyBatch>>> {
        let TaskInfo { max_parallelism, parallelism, subtask, .. } = *self.info;
        let range = KeyGroupRange::of_subtask(max_parallelism, parallelism, subtask)?;
        batch.marks_mut().clear();
        let mut hashes = Vec::new();
        hasher.hash(batch.as_ref(), &mut hashes)?;
        let targets: Vec<u32> = hashes.iter().map(|hash| u32::from(!range.contains(key_group(*hash, max_parallelism)))).collect();
        batch.set_hashes(hashes);
        if targets.iter().all(|target| *target == 0) {
            return Ok(Some(batch));
        }
        let mut scatter = batch.new_scatter(2);
        scatter.scatter(batch, &targets)?;
        Ok(match scatter.take(0) {
            Scattered::Batch(batch) => Some(batch),
            Scattered::Watermark(_) | Scattered::Nothing => None,
        })
    }
}

fn hasher(partitioner: &Partitioner) -> Option<Arc<dyn KeyHasher>> {
    match partitioner {
        Partitioner::Hash(hasher) => Some(Arc::clone(hasher)),
        _ => None,
    }
}
