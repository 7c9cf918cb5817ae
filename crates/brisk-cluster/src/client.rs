//! What a client sees of its job: the state that the JobMaster publishes, and the handle around it.

use crate::job::{JobOutcome, JobReport, JobSpec, RecordedResult};
use crate::job_manager::DispatcherMessage;
use crate::transport::{Actor, ActorContext, Address, Reply};
use brisk_base::ids::JobId;
use brisk_base::{Error, Result};
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::checkpoint_statistics::CheckpointStatistics;
use brisk_core::job::{JobClient, JobProgress, JobResult, JobStatus};
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a client waits for figures of a running job before it makes do with the last ones.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

/// The published state of one job. One writer, its JobMaster; any readers.
pub struct JobView {
    id: JobId,
    name: String,
    /// Whether somebody else drives the cluster, so that a client may block until it answers.
    driven: bool,
    state: Mutex<Published>,
    changed: Condvar,
}

struct Published {
    status: JobStatus,
    /// Set when the job is over.
    result: Option<Result<Duration>>,
    /// The last figures; final once there is a result.
    report: JobReport,
    /// Failures after the first.
    suppressed: Vec<String>,
}

impl JobView {
    /// The view of a job that has just been submitted. `driven` says that the cluster has a thread of its own.
    pub fn new(job: &JobSpec, driven: bool) -> Self {
        let tasks = job.graph.vertices.iter().map(|vertex| vertex.parallelism).sum();
        let progress = JobProgress { watermark: i64::MIN, tasks, ..JobProgress::default() };
        let report = JobReport { progress, ..JobReport::default() };
        let published = Published { status: JobStatus::Initializing, result: None, report, suppressed: Vec::new() };
        Self { id: job.id, name: job.graph.name.clone(), driven, state: Mutex::new(published), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, Published> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a status that is not final.
    fn set_status(&self, status: JobStatus) {
        self.state().status = status;
    }

    /// Publishes how the job ended. The first end counts.
    fn end(&self, outcome: JobOutcome, net_runtime: Duration) {
        let mut state = self.state();
        if state.result.is_none() {
            state.status = outcome.status;
            state.report = outcome.report;
            state.suppressed = outcome.suppressed;
            state.result = Some(outcome.error.map_or(Ok(net_runtime), Err));
        }
        self.changed.notify_all();
    }

    /// The end of a job that could not be run.
    fn refused(&self, error: Error) -> JobOutcome {
        let report = self.state().report.clone();
        JobOutcome { status: JobStatus::Failed, error: Some(error), suppressed: Vec::new(), report }
    }

    fn is_over(&self) -> bool {
        self.state().result.is_some()
    }

    /// The job's status.
    pub fn status(&self) -> JobStatus {
        self.state().status
    }

    /// An outcome, for other processes of its program; `None` if it is no success.
    pub(crate) fn recorded_end(&self, outcome: &JobOutcome, net_runtime: Duration) -> Option<RecordedResult> {
        let accumulators = outcome.report.accumulators.clone();
        let (id, name) = (self.id, self.name.clone());
        (outcome.status == JobStatus::Finished).then_some(RecordedResult { id, name, net_runtime, accumulators, collected: None })
    }

    /// How it has ended, for other processes of its program; `None` while it runs, and if it did not succeed.
    pub(crate) fn recorded(&self) -> Option<RecordedResult> {
        let state = self.state();
        let net_runtime = *state.result.as_ref()?.as_ref().ok()?;
        let accumulators = state.report.accumulators.clone();
        Some(RecordedResult { id: self.id, name: self.name.clone(), net_runtime, accumulators, collected: None })
    }

    /// Failures that followed the first one, as texts.
    pub fn suppressed(&self) -> Vec<String> {
        self.state().suppressed.clone()
    }

    /// The result, waiting for it at most so long.
    pub fn wait_for(&self, timeout: Duration) -> Option<Result<JobResult>> {
        let timeout = if self.driven { timeout } else { Duration::ZERO };
        let state = self.changed.wait_timeout_while(self.state(), timeout, |state| state.result.is_none());
        let state = state.unwrap_or_else(PoisonError::into_inner).0;
        let result = state.result.as_ref()?.as_ref();
        Some(result.map_err(copy_of).map(|net_runtime| JobResult {
            job_id: self.id,
            name: self.name.clone(),
            net_runtime: *net_runtime,
            accumulators: state.report.accumulators.clone(),
        }))
    }
}

/// Publishes to a view. Whoever drops it unfinished (with its cluster) ends the job in the eyes of its clients.
pub struct Publisher {
    view: Arc<JobView>,
    /// Hears the same, in another process.
    listener: Option<Address<ClientMessage>>,
}

/// What a client in another process hears of its job.
#[derive(Debug)]
pub enum ClientMessage {
    /// It has come into a status that is not final.
    Status(JobStatus),
    /// It has ended: how, and how long it ran.
    Ended(Box<JobOutcome>, Duration),
    /// Its cluster is gone.
    Lost(Error),
}

impl Publisher {
    /// The one publisher of a view.
    pub fn new(view: &Arc<JobView>) -> Self {
        Self { view: Arc::clone(view), listener: None }
    }

    /// Tells a client of another process, too.
    #[must_use]
    pub fn heard_by(mut self, listener: Address<ClientMessage>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Tells another client of another process from now on.
    pub(crate) fn set_listener(&mut self, listener: Address<ClientMessage>) {
        self.listener = Some(listener);
    }

    /// Publishes a status that is not final.
    pub(crate) fn set_status(&self, status: JobStatus) {
        self.view.set_status(status);
        self.listener.iter().for_each(|listener| listener.send(ClientMessage::Status(status)));
    }

    /// Publishes how the job ended. The first end counts.
    pub(crate) fn end(&self, outcome: JobOutcome, net_runtime: Duration) {
        if let Some(listener) = self.listener.as_ref().filter(|_| !self.view.is_over()) {
            listener.send(ClientMessage::Ended(Box::new(outcome.duplicate()), net_runtime));
        }
        self.view.end(outcome, net_runtime);
    }

    /// Publishes that the job could not be run to an end.
    pub(crate) fn refuse(&self, error: Error) {
        self.end(self.view.refused(error), Duration::ZERO);
    }
}

/// The client's side of a [`ClientMessage`]: publishes to the view in its own process.
pub struct JobMirror(pub Publisher);

impl Actor for JobMirror {
    type Message = ClientMessage;

    fn handle(&mut self, message: ClientMessage, cx: &mut ActorContext<'_>) {
        match message {
            ClientMessage::Status(status) => return self.0.set_status(status),
            ClientMessage::Ended(outcome, net_runtime) => self.0.end(*outcome, net_runtime),
            ClientMessage::Lost(error) => self.0.refuse(error),
        }
        cx.stop();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if !self.view.is_over() {
            let error = Error::transient("the cluster was shut down before the job ended");
            self.refuse(error.context(format!("job '{}'", self.view.name)));
        }
    }
}

/// A handle to a job of this cluster. It keeps what `keep_alive` holds: an embedded cluster lives as long as somebody looks at its jobs.
pub struct ClusterJobClient<K> {
    view: Arc<JobView>,
    dispatcher: Address<DispatcherMessage>,
    _keep_alive: K,
}

impl<K> ClusterJobClient<K> {
    /// The client of a job that this dispatcher has, or is about to get.
    pub(crate) fn new(view: Arc<JobView>, dispatcher: &Address<DispatcherMessage>, keep_alive: K) -> Self {
        Self { view, dispatcher: dispatcher.for_new_sender(), _keep_alive: keep_alive }
    }

    /// Hands the job in, as the client's first message: a cancellation that follows at once must not come before it.
    pub(crate) fn submit(&self, job: JobSpec, publisher: Publisher) {
        self.dispatcher.send(DispatcherMessage::Submit { job, publisher, coordinators: None });
    }

    /// The published state.
    pub fn view(&self) -> &Arc<JobView> {
        &self.view
    }

    /// Asks for a savepoint; the answer is its folder.
    pub fn request_savepoint(&self, folder: Option<&str>, kind: SnapshotKind) -> Receiver<Result<String>> {
        let (reply, answer) = Reply::channel();
        self.dispatcher.send(DispatcherMessage::Savepoint { job: self.view.id, folder: folder.map(str::to_owned), kind, reply });
        answer
    }

    /// Asks how the job stands; of a job that is over, how it stood at the end.
    fn report(&self) -> JobReport {
        let over = self.view.state().result.is_some();
        if !over && self.view.driven {
            let (reply, answer) = Reply::channel();
            self.dispatcher.send(DispatcherMessage::Report { job: self.view.id, reply });
            if let Ok(report) = answer.recv_timeout(REPORT_PATIENCE) {
                let mut state = self.view.state();
                if state.result.is_none() {
                    state.report = report;
                }
            }
        }
        self.view.state().report.clone()
    }
}

impl<K: Send + Sync> JobClient for ClusterJobClient<K> {
    fn job_id(&self) -> JobId {
        self.view.id
    }

    fn status(&self) -> JobStatus {
        self.view.status()
    }

    fn cancel(&self) {
        self.dispatcher.send(DispatcherMessage::Cancel(self.view.id));
    }

    fn savepoint(&self, folder: Option<&str>, kind: SnapshotKind) -> Result<String> {
        let answer = self.request_savepoint(folder, kind);
        if !self.view.driven {
            return Err(Error::bug("this cluster is driven by its caller, who has to wait for the savepoint itself"));
        }
        answer.recv().unwrap_or_else(|_| Err(Error::transient("the cluster was shut down before the savepoint was made")))
    }

    fn accumulators(&self) -> BTreeMap<String, AccumulatorValue> {
        self.report().accumulators
    }

    fn progress(&self) -> JobProgress {
        self.report().progress
    }

    fn checkpoints(&self) -> CheckpointStatistics {
        self.report().checkpoints
    }

    fn wait_for(&self, timeout: Duration) -> Option<Result<JobResult>> {
        self.view.wait_for(timeout)
    }
}

/// An error that reads the same, without the standard error it was made from.
pub(crate) fn copy_of(error: &Error) -> Error {
    error.places().iter().fold(Error::new(error.kind(), error.message()), |copy, place| copy.context(place))
}
