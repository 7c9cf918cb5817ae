//! What JobManager, TaskManagers and the processes of programs tell each other, besides the messages of the components.

use crate::blob::BlobId;
use crate::client::ClientMessage;
use crate::details::JobPlan;
use crate::inspect::ThreadInfo;
use crate::job::{JobSpec, RecordedResult};
use crate::job_manager::job_master::coordinators::CoordinatorsMessage;
use crate::job_manager::{DispatcherMessage, JobMasterMessage};
use crate::process::child::Ending;
use crate::transport::{Address, Reply};
use crate::wire::{Bytes, wire_enum, wire_struct};
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_base::options::Configuration;
use brisk_base::{Error, Result};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a driver begins with.
#[derive(Debug)]
pub struct DriverStart {
    /// Its program.
    pub blob: BlobId,
    /// Bytes of it.
    pub size: u64,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// The options that its environment begins with.
    pub base: Configuration,
    /// What `StreamEnvironment::once` has recorded.
    pub once: BTreeMap<String, Bytes>,
    /// How jobs of it have ended.
    pub results: BTreeMap<u32, RecordedResult>,
    /// Jobs of it that run already, or did when the JobManager ended.
    pub running: BTreeMap<u32, JobId>,
    /// Where its jobs are controlled.
    pub dispatcher: Address<DispatcherMessage>,
}

/// What the JobManager's actor for programs understands.
pub enum ProgramsMessage {
    /// A driver is there.
    Attach {
        /// What it was given.
        token: u128,
        /// Takes what it begins with.
        reply: Reply<Result<DriverStart>>,
    },
    /// A driver executes a job.
    Submit {
        /// What the driver was given.
        token: u128,
        /// The job.
        job: Box<JobSpec>,
        /// Runs its coordinators.
        coordinators: Address<CoordinatorsMessage>,
        /// Hears how it stands.
        client: Address<ClientMessage>,
        /// Hears whether it was taken.
        reply: Reply<Result<()>>,
    },
    /// Run a program.
    Run {
        /// Which, with what.
        request: Box<RunRequest>,
        /// Takes its first job.
        reply: Reply<Result<Started>>,
    },
    /// Run a program up to its first job, and tell that job's plan.
    Plan {
        /// Which, with what.
        request: Box<RunRequest>,
        /// Takes the plan.
        reply: Reply<Result<PlannedJob>>,
    },
    /// The process of a program has ended.
    Exited {
        /// The program.
        token: u128,
        /// Which of its processes.
        run: u64,
        /// How.
        ending: Ending,
    },
    /// A driver cannot be reached any more.
    DriverLost {
        /// The program.
        token: u128,
        /// Why.
        error: Error,
    },
    /// A job of a program has ended; `None` if it did not succeed.
    JobEnded {
        /// The program.
        token: u128,
        /// Which of its jobs.
        number: u32,
        /// How.
        result: Option<RecordedResult>,
    },
    /// How does a program stand?
    Status {
        /// The program.
        token: u128,
        /// Takes the answer.
        reply: Reply<Option<ProgramStatus>>,
    },
    /// Is there still a client of a program?
    Attend {
        /// The program.
        token: u128,
    },
    /// The client of a job lives.
    ClientLives {
        /// One of its jobs.
        job: JobId,
    },
    /// End a program and its jobs.
    End {
        /// The program.
        token: u128,
        /// Whether it is known.
        reply: Reply<bool>,
    },
    /// A program should have executed something by now.
    Overdue {
        /// The program.
        token: u128,
        /// How long it had.
        patience: Duration,
    },
    /// Go on with the programs that ran when the JobManager ended.
    Recover,
}

/// A program to be run.
#[derive(Clone, PartialEq, Debug)]
pub struct RunRequest {
    /// What clients call it.
    pub file_name: String,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// Options over those of the cluster.
    pub options: Configuration,
}

/// A program that runs, and its first job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    /// Names the run of the program.
    pub program: u128,
    /// The job; a text of SQL may have none.
    pub job: Option<JobId>,
}

/// A job that a program would execute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedJob {
    /// What it would be called.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// What it would run.
    pub plan: JobPlan,
}

/// How a program stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramStatus {
    /// Its jobs.
    pub jobs: Vec<JobId>,
    /// How it has ended, if it has.
    pub ending: Option<Ending>,
    /// Where what it prints is kept.
    pub log: std::path::PathBuf,
}

/// What a worker understands from the beginning.
#[derive(Debug)]
pub enum WorkerMessage {
    /// Serve the tasks of a job.
    Open(Box<WorkerOrder>),
    /// Which threads are there, and where?
    Threads(Reply<Vec<ThreadInfo>>),
    /// Log up to this level.
    LogLevel(String),
}

/// What a worker is to do.
#[derive(Debug)]
pub struct WorkerOrder {
    /// The job.
    pub job: JobSpec,
    /// Which of the hosts that the TaskManager opens for the job.
    pub run: u64,
    /// Whom its tasks report to.
    pub job_master: Address<JobMasterMessage>,
    /// The address that it binds its port for batches to.
    pub bind_host: String,
    /// The host at which others reach it.
    pub host: String,
    /// The TaskManager that it belongs to.
    pub task_manager: TaskManagerId,
}

/// What a driver understands from the beginning: nothing.
#[derive(Debug)]
pub enum DriverMessage {
    /// Keeps the type inhabited.
    Nothing,
}

wire_struct! {
    DriverStart { blob, size, arguments, base, once, results, running, dispatcher }
    WorkerOrder { job, run, job_master, bind_host, host, task_manager }
}

wire_enum! {
    ProgramsMessage {
        0 = Attach { token, reply },
        1 = Submit { token, job, coordinators, client, reply },
    } ! _,

    WorkerMessage { 0 = Open(order), 1 = Threads(reply), 2 = LogLevel(level) }

    DriverMessage { 0 = Nothing }
}
