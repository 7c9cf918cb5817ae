//! Accepts jobs, starts a JobMaster for each, and passes on what clients ask.

use super::disposal::{Disposal, Dispose};
use super::job_master::Surroundings;
use super::job_master::coordinators::CoordinatorsMessage;
use super::job_store::JobStore;
use super::operations::{OperationKey, Operations};
use super::{JobMasterMessage, JobMasterShell, ResourceManagerMessage};
use crate::client::{ClientMessage, Publisher};
use crate::details::{JobDetails, OperationStatus};
use crate::gateway::SnapshotRequest;
use crate::job::{JobReport, JobSpec};
use crate::options::OPERATION_STORE_DURATION;
use crate::services::Services;
use crate::transport::{Actor, ActorContext, Address, Reply};
use brisk_base::ids::JobId;
use brisk_base::options::Configuration;
use brisk_base::{Error, Result};
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::job::JobOverview;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// What the dispatcher understands.
pub enum DispatcherMessage {
    /// Run a job.
    Submit {
        /// The job.
        job: JobSpec,
        /// Tells its clients.
        publisher: Publisher,
        /// Runs the coordinators of its sources; `None`: this process.
        coordinators: Option<Address<CoordinatorsMessage>>,
    },
    /// The code of a job cannot be reached any more: why.
    CoordinatorsLost {
        /// The job.
        job: JobId,
        /// Why.
        error: Error,
    },
    /// The code of a job can be reached again, in another process.
    Reattach {
        /// The job.
        job: JobId,
        /// Runs its coordinators.
        coordinators: Address<CoordinatorsMessage>,
        /// Hears how it stands.
        listener: Address<ClientMessage>,
    },
    /// Cancel a job; nothing happens if it is over.
    Cancel(JobId),
    /// A client wants to know how a job stands. Not answered when it is over: its view tells.
    Report {
        /// The job.
        job: JobId,
        /// Takes the answer.
        reply: Reply<JobReport>,
    },
    /// A client wants a savepoint of a job.
    Savepoint {
        /// The job.
        job: JobId,
        /// The folder to make it in; `None`: the configured one.
        folder: Option<String>,
        /// What happens behind the barrier.
        kind: SnapshotKind,
        /// Takes the savepoint's folder.
        reply: Reply<Result<String>>,
    },
    /// Which jobs are there, and were there?
    Jobs(Reply<Vec<JobId>>),
    /// How does a job stand, or how did it end?
    Details {
        /// The job.
        job: JobId,
        /// Takes the answer.
        reply: Reply<Option<Arc<JobDetails>>>,
        /// Its JobMaster has been asked already, and did not answer: it has ended in the meantime.
        again: bool,
    },
    /// A job in a line; `None` if it is not known.
    Overview {
        /// The job.
        job: JobId,
        /// Takes the answer.
        reply: Reply<Option<JobOverview>>,
    },
    /// Somebody wants a savepoint or checkpoint, and will come back for the answer.
    Trigger {
        /// What is wanted.
        request: SnapshotRequest,
        /// Hears whether it has begun.
        reply: Reply<Result<()>>,
    },
    /// Somebody wants a savepoint to be deleted, and will come back for the answer.
    Dispose {
        /// Names the request.
        trigger: u128,
        /// The savepoint's folder.
        path: String,
        /// Hears whether it has begun.
        reply: Reply<Result<()>>,
    },
    /// Something that was asked for is over.
    OperationEnded {
        /// What.
        key: OperationKey,
        /// What became of it.
        result: Result<String>,
        /// A job that is to be cancelled if it went well.
        then_cancel: Option<JobId>,
    },
    /// How does something stand that was asked for?
    OperationStatus {
        /// What.
        key: OperationKey,
        /// Takes the answer.
        reply: Reply<Option<OperationStatus>>,
    },
    /// A JobMaster is done, and so are all tasks of its job: how it ended.
    Ended(Arc<JobDetails>),
    /// Take no more jobs, cancel those that run, and answer when they are over.
    Shutdown(SyncSender<()>),
}

/// See the module.
pub struct Dispatcher {
    resource_manager: Address<ResourceManagerMessage>,
    /// What JobMasters need besides.
    services: Services,
    /// Jobs that are not over.
    jobs: BTreeMap<JobId, Address<JobMasterMessage>>,
    /// Jobs that are over.
    store: JobStore,
    /// What was asked for by those who come back for the answer.
    operations: Operations,
    /// Who waits for all jobs to end; once there is one, no job is taken.
    shutdown: Vec<SyncSender<()>>,
}

impl Dispatcher {
    /// A dispatcher without jobs.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn new(resource_manager: Address<ResourceManagerMessage>, services: Services, config: &Configuration) -> Result<Self> {
        let operations = Operations::new(config.get(&OPERATION_STORE_DURATION)?.into());
        Ok(Self { resource_manager, services, jobs: BTreeMap::new(), store: JobStore::new(config)?, operations, shutdown: Vec::new() })
    }

    fn submit(
        &mut self,
        job: JobSpec,
        publisher: Publisher,
        coordinators: Option<Address<CoordinatorsMessage>>,
        cx: &mut ActorContext<'_>,
    ) {
        if !self.shutdown.is_empty() {
            return publisher.refuse(Error::transient("the cluster is shutting down and takes no jobs").context(job.place()));
        }
        let id = job.id;
        tracing::info!(job = %id, name = job.graph.name, "job submitted");
        let surroundings = Surroundings {
            resource_manager: self.resource_manager.clone(),
            dispatcher: cx.address(),
            services: self.services.clone(),
            coordinators,
        };
        let Some(shell) = JobMasterShell::new(job, publisher, surroundings, cx.world().now()) else { return };
        let job_master = cx.spawn(shell);
        cx.send(&job_master, JobMasterMessage::Start);
        self.jobs.insert(id, job_master);
    }

    fn trigger(&mut self, request: SnapshotRequest, cx: &mut ActorContext<'_>) -> Result<()> {
        let SnapshotRequest { job, trigger, folder, kind, then_cancel } = request;
        let Some(job_master) = self.jobs.get(&job) else { return Err(not_running(job)) };
        let key = OperationKey { job: Some(job), trigger };
        if self.operations.begin(key, cx.world().now())? {
            let reply = operation_reply(key, then_cancel.then_some(job), cx);
            cx.send(job_master, JobMasterMessage::Savepoint { folder, kind, reply });
        }
        Ok(())
    }

    fn dispose(&mut self, trigger: u128, path: String, cx: &mut ActorContext<'_>) -> Result<()> {
        let key = OperationKey { job: None, trigger };
        if self.operations.begin(key, cx.world().now())? {
            let reply = operation_reply(key, None, cx);
            let disposal = cx.spawn_isolated("disposal of a savepoint".to_owned(), Disposal::new(self.services.clone()));
            cx.send(&disposal, Dispose { path, reply });
        }
        Ok(())
    }

    /// What is asked from outside, by those who come back for answers.
    fn ask(&mut self, message: DispatcherMessage, cx: &mut ActorContext<'_>) {
        let now = cx.world().now();
        match message {
            DispatcherMessage::Jobs(reply) => reply.send(self.jobs.keys().copied().chain(self.store.ids(now)).collect()),
            DispatcherMessage::Details { job, reply, again } => match self.jobs.get(&job) {
                Some(job_master) => {
                    let dispatcher: Address<DispatcherMessage> = cx.address();
                    let reply = Reply::new(move |details: Option<Arc<JobDetails>>| match details {
                        None if !again => dispatcher.send(DispatcherMessage::Details { job, reply, again: true }),
                        details => reply.send(details),
                    });
                    cx.send(job_master, JobMasterMessage::Details(reply));
                }
                None => reply.send(self.store.get(job, now)),
            },
            DispatcherMessage::Overview { job, reply } => {
                let reply = Reply::new(move |details: Option<Option<Arc<JobDetails>>>| {
                    reply.send(details.flatten().map(|details| details.overview()));
                });
                self.ask(DispatcherMessage::Details { job, reply, again: false }, cx);
            }
            DispatcherMessage::Trigger { request, reply } => reply.send(self.trigger(request, cx)),
            DispatcherMessage::Dispose { trigger, path, reply } => reply.send(self.dispose(trigger, path, cx)),
            DispatcherMessage::OperationEnded { key, result, then_cancel } => {
                let cancel = then_cancel.filter(|_| result.is_ok());
                self.operations.end(key, result, now);
                if let Some(job_master) = cancel.and_then(|job| self.jobs.get(&job)) {
                    cx.send(job_master, JobMasterMessage::Cancel);
                }
            }
            DispatcherMessage::OperationStatus { key, reply } => reply.send(self.operations.status(key, now)),
            _ => tracing::error!("the dispatcher got a message that nobody handles"),
        }
    }

    fn answer_when_empty(&mut self) {
        if self.jobs.is_empty() {
            // Whoever asked may have given up waiting.
            for reply in &self.shutdown {
                let _ = reply.try_send(());
            }
        }
    }
}

impl Actor for Dispatcher {
    type Message = DispatcherMessage;

    fn handle(&mut self, message: DispatcherMessage, cx: &mut ActorContext<'_>) {
        match message {
            DispatcherMessage::Submit { job, publisher, coordinators } => self.submit(job, publisher, coordinators, cx),
            DispatcherMessage::CoordinatorsLost { job, error } => {
                if let Some(job_master) = self.jobs.get(&job) {
                    cx.send(job_master, JobMasterMessage::CoordinatorsLost(error));
                }
            }
            DispatcherMessage::Reattach { job, coordinators, listener } => {
                if let Some(job_master) = self.jobs.get(&job) {
                    cx.send(job_master, JobMasterMessage::Reattached { coordinators, listener });
                }
            }
            DispatcherMessage::Cancel(job) => {
                if let Some(job_master) = self.jobs.get(&job) {
                    cx.send(job_master, JobMasterMessage::Cancel);
                }
            }
            DispatcherMessage::Report { job, reply } => {
                if let Some(job_master) = self.jobs.get(&job) {
                    cx.send(job_master, JobMasterMessage::Report(reply));
                }
            }
            DispatcherMessage::Savepoint { job, folder, kind, reply } => match self.jobs.get(&job) {
                Some(job_master) => cx.send(job_master, JobMasterMessage::Savepoint { folder, kind, reply }),
                None => reply.send(Err(not_running(job))),
            },
            DispatcherMessage::Ended(details) => {
                self.jobs.remove(&details.id);
                self.store.add(details, cx.world().now());
                self.answer_when_empty();
            }
            DispatcherMessage::Shutdown(reply) => {
                self.shutdown.push(reply);
                self.jobs.values().for_each(|job_master| cx.send(job_master, JobMasterMessage::Cancel));
                self.answer_when_empty();
            }
            other => self.ask(other, cx),
        }
    }
}

fn not_running(job: JobId) -> Error {
    Error::user(format!("job {job} does not run (any more): no savepoint can be made of it"))
}

/// Tells the dispatcher itself what became of something.
fn operation_reply(key: OperationKey, then_cancel: Option<JobId>, cx: &ActorContext<'_>) -> Reply<Result<String>> {
    let dispatcher: Address<DispatcherMessage> = cx.address();
    Reply::new(move |result: Option<Result<String>>| {
        let result = result.unwrap_or_else(|| Err(Error::transient("the job ended before it was done")));
        dispatcher.send(DispatcherMessage::OperationEnded { key, result, then_cancel });
    })
}
