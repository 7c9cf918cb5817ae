//! Runs the coordinators of a job's sources, and takes what its tasks have for the program: where the code of the job is.
//!
//! That is the JobMaster's own process when the job was submitted there, else the process of the program. The JobMaster only knows the
//! address.

use super::JobMasterMessage;
use super::coordinator::{CoordinatorActor, CoordinatorMessage, CoordinatorRun};
use crate::job::CollectedResult;
use crate::transport::plane::guarded;
use crate::transport::{Actor, ActorContext, Address};
use crate::wire::Bytes;
use brisk_base::ids::OperatorId;
use brisk_base::{Error, Result};
use brisk_core::job_graph::{ChainedOperator, JobGraph};
use brisk_core::operator::Receipt;
use brisk_core::registry::OperatorRegistry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the actor understands.
#[derive(Debug)]
pub enum CoordinatorsMessage {
    /// Start the coordinator of a source.
    Start {
        /// Names its life.
        run: CoordinatorRun,
        /// The source.
        operator: OperatorId,
        /// How many readers it has.
        parallelism: u32,
        /// What a checkpoint left of it.
        restored: Option<Bytes>,
        /// Whom it reports to.
        job_master: Address<JobMasterMessage>,
    },
    /// Tell one something.
    Tell {
        /// Which.
        run: CoordinatorRun,
        /// What.
        message: CoordinatorMessage,
    },
    /// A task has a result for the program.
    Result {
        /// The operator that gives it.
        operator: OperatorId,
        /// Its subtask.
        subtask: u32,
        /// The result, as the operator encodes it.
        bytes: Bytes,
        /// Who hears if the program does not take it.
        job_master: Address<JobMasterMessage>,
    },
    /// The job is over.
    Close,
}

/// What a program has collected from a job.
#[derive(Debug, Default)]
pub struct Kept {
    results: Vec<CollectedResult>,
    bytes: usize,
}

impl Kept {
    /// Bytes that are kept; more is not, so that it can still be sent.
    const MOST: usize = 32 << 20;

    fn add(&mut self, result: CollectedResult) {
        self.bytes += result.bytes.0.len();
        if self.bytes <= Self::MOST {
            self.results.push(result);
        } else {
            self.results.clear();
        }
    }

    /// All of it; `None` if that is too much.
    pub fn all(&self) -> Option<Vec<CollectedResult>> {
        (self.bytes <= Self::MOST).then(|| self.results.clone())
    }
}

/// See the module.
pub struct Coordinators {
    /// The job, with its code.
    graph: Arc<JobGraph>,
    registry: OperatorRegistry,
    /// Keeps what the program collects, for its other processes.
    kept: Option<Arc<Mutex<Kept>>>,
    /// Those that run, by source and life.
    running: BTreeMap<(usize, u64), Address<CoordinatorMessage>>,
}

impl Coordinators {
    /// None run yet.
    pub const fn new(graph: Arc<JobGraph>, registry: OperatorRegistry) -> Self {
        Self { graph, registry, kept: None, running: BTreeMap::new() }
    }

    /// The same, keeping what the program collects.
    #[must_use]
    pub fn keeping(mut self, kept: Arc<Mutex<Kept>>) -> Self {
        self.kept = Some(kept);
        self
    }

    fn operator(&self, id: OperatorId) -> Option<&ChainedOperator> {
        self.graph.vertices.iter().flat_map(|vertex| &vertex.operators).find(|operator| operator.id == id)
    }

    fn start(
        &mut self,
        run: CoordinatorRun,
        id: OperatorId,
        with: (u32, Option<Vec<u8>>),
        to: Address<JobMasterMessage>,
        cx: &mut ActorContext<'_>,
    ) {
        let Some(operator) = self.operator(id) else {
            let error = Error::bug(format!("the job has no operator {id} whose coordinator could be started"));
            return cx.send(&to, JobMasterMessage::CoordinatorFailed { from: run, error });
        };
        let what = (operator.name.clone(), operator.spec.clone());
        let name = format!("coordinator of {}", operator.name);
        let address = cx.spawn_isolated(name, CoordinatorActor::new(run, what, self.registry.clone(), with, to));
        cx.send(&address, CoordinatorMessage::Start);
        self.running.insert((run.source, run.run), address);
    }

    fn result(&self, id: OperatorId, subtask: u32, bytes: &[u8], receipt: Receipt) -> Result<()> {
        let operator = self.operator(id).ok_or_else(|| Error::bug(format!("the job has no operator {id}")))?;
        let taken = guarded(|| self.registry.resolve(&operator.spec)?.take_result(subtask, bytes, receipt));
        taken.unwrap_or_else(|panic| Err(Error::user(format!("user code panicked: {panic}"))))
    }
}

impl Actor for Coordinators {
    type Message = CoordinatorsMessage;

    fn handle(&mut self, message: CoordinatorsMessage, cx: &mut ActorContext<'_>) {
        match message {
            CoordinatorsMessage::Start { run, operator, parallelism, restored, job_master } => {
                self.start(run, operator, (parallelism, restored.map(|bytes| bytes.0)), job_master, cx);
            }
            CoordinatorsMessage::Tell { run, message } => {
                let key = (run.source, run.run);
                let stops = matches!(message, CoordinatorMessage::Stop);
                if let Some(address) = self.running.get(&key) {
                    cx.send(address, message);
                }
                if stops {
                    self.running.remove(&key);
                }
            }
            CoordinatorsMessage::Result { operator, subtask, bytes, job_master } => {
                let (length, to) = (bytes.0.len() as u64, job_master.clone());
                let receipt = Receipt::new(move || to.send(JobMasterMessage::ResultRead { operator, subtask, bytes: length }));
                match self.result(operator, subtask, &bytes.0, receipt) {
                    Ok(()) => {
                        let result = CollectedResult { operator, subtask, bytes };
                        self.kept.iter().for_each(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).add(result.clone()));
                    }
                    Err(error) => cx.send(&job_master, JobMasterMessage::ResultRefused(error.context("results for the program"))),
                }
            }
            CoordinatorsMessage::Close => {
                self.running.values().for_each(|address| cx.send(address, CoordinatorMessage::Stop));
                cx.stop();
            }
        }
    }
}
