//! Accepts jobs, starts a JobMaster for each, and passes on what clients ask.

use super::{JobMasterMessage, JobMasterShell, ResourceManagerMessage};
use crate::client::Publisher;
use crate::job::{JobReport, JobSpec};
use crate::services::Services;
use crate::transport::{Actor, ActorContext, Address};
use brisk_base::ids::JobId;
use brisk_base::{Error, Result};
use brisk_core::checkpoint::SnapshotKind;
use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;

/// What the dispatcher understands.
pub enum DispatcherMessage {
    /// Run a job.
    Submit {
        /// The job.
        job: JobSpec,
        /// Tells its clients.
        publisher: Publisher,
    },
    /// Cancel a job; nothing happens if it is over.
    Cancel(JobId),
    /// A client wants to know how a job stands. Not answered when it is over: its view tells.
    Report {
        /// The job.
        job: JobId,
        /// Takes the answer.
        reply: SyncSender<JobReport>,
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
        reply: SyncSender<Result<String>>,
    },
    /// A JobMaster is done, and so are all tasks of its job.
    Ended(JobId),
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
    /// Who waits for all jobs to end; once there is one, no job is taken.
    shutdown: Vec<SyncSender<()>>,
}

impl Dispatcher {
    /// A dispatcher without jobs.
    pub fn new(resource_manager: Address<ResourceManagerMessage>, services: Services) -> Self {
        Self { resource_manager, services, jobs: BTreeMap::new(), shutdown: Vec::new() }
    }

    fn submit(&mut self, job: JobSpec, publisher: Publisher, cx: &mut ActorContext<'_>) {
        if !self.shutdown.is_empty() {
            return publisher.refuse(Error::transient("the cluster is shutting down and takes no jobs").context(job.place()));
        }
        let id = job.id;
        tracing::info!(job = %id, name = job.graph.name, "job submitted");
        let shell = JobMasterShell::new(job, publisher, self.resource_manager.clone(), cx.address(), self.services.clone());
        let Some(shell) = shell else { return };
        let job_master = cx.spawn(shell);
        cx.send(&job_master, JobMasterMessage::Start);
        self.jobs.insert(id, job_master);
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
            DispatcherMessage::Submit { job, publisher } => self.submit(job, publisher, cx),
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
                None => {
                    drop(reply.try_send(Err(Error::user(format!("job {job} does not run (any more): no savepoint can be made of it")))))
                }
            },
            DispatcherMessage::Ended(job) => {
                self.jobs.remove(&job);
                self.answer_when_empty();
            }
            DispatcherMessage::Shutdown(reply) => {
                self.shutdown.push(reply);
                self.jobs.values().for_each(|job_master| cx.send(job_master, JobMasterMessage::Cancel));
                self.answer_when_empty();
            }
        }
    }
}
