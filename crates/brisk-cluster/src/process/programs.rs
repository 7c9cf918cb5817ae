//! The JobManager's side of programs: starts a driver for each, takes the jobs that it executes, and goes on with it when its process or the
//! JobManager itself has ended too early.

use super::child::{Child, ChildOrder, Ending, tail};
use super::messages::{DriverStart, PlannedJob, ProgramStatus, ProgramsMessage, RunRequest, Started};
use super::recovery::{NotedProgram, RecoveryStore};
use super::{Origin, ProgramRole, script};
use crate::blob::BlobStore;
use crate::client::{ClientMessage, JobView, Publisher};
use crate::details::JobPlan;
use crate::job::{JobOutcome, JobReport, JobSpec, RecordedResult};
use crate::job_manager::DispatcherMessage;
use crate::job_manager::job_master::coordinators::CoordinatorsMessage;
use crate::options::{CLIENT_HEARTBEAT_TIMEOUT, DRIVER_TIMEOUT, SHUTDOWN_ON_ATTACHED_EXIT};
use crate::transport::{Actor, ActorContext, Address, Reply};
use brisk_base::ids::JobId;
use brisk_base::options::Configuration;
use brisk_base::options::checkpoint_options::{STATE_CLAIM_MODE, STATE_RECOVERY_PATH};
use brisk_base::world::MonoTime;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::job::JobStatus;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the driver of a program is started again without that a job of it has ended in between.
const MOST_RESTARTS: u32 = 10;

/// How long a program that was ended has until its process is killed: its jobs are cancelled at once.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Programs that have ended and can still be asked for.
const KEPT: usize = 100;

/// What programs are started with.
pub struct ProgramSettings {
    /// Where their executables are.
    pub store: BlobStore,
    /// The options of the cluster.
    pub config: Arc<Configuration>,
    /// Where drivers work.
    pub folder: PathBuf,
    /// Where what they print is kept.
    pub logs: PathBuf,
    /// Where drivers report.
    pub address: String,
    /// What is noted of them; `None`: nothing.
    pub recovery: Option<RecoveryStore>,
}

/// See the module.
pub struct Programs {
    settings: ProgramSettings,
    dispatcher: Address<DispatcherMessage>,
    programs: BTreeMap<u128, Program>,
    /// Those that have ended, the oldest first.
    ended: Vec<u128>,
}

struct Program {
    noted: NotedProgram,
    /// All jobs that it has had.
    jobs: BTreeMap<u32, JobId>,
    /// Jobs that the dispatcher has from a driver of this life of the JobManager.
    submitted: BTreeMap<u32, Address<ClientMessage>>,
    child: Option<Child>,
    /// Number of its processes so far.
    runs: u64,
    /// How often it was started again since a job of it has ended.
    restarts: u32,
    /// Who waits for its first job.
    waiting: Option<Waiting>,
    /// How it has ended.
    ending: Option<Ending>,
    /// Whether it is a text of SQL.
    is_script: bool,
    /// When somebody has asked for it last.
    asked: MonoTime,
}

/// What somebody waits for who has a program started.
enum Waiting {
    /// Its first job.
    Job(Reply<Result<Started>>),
    /// The plan of its first job, which is not to run.
    Plan(Reply<Result<PlannedJob>>),
}

impl Waiting {
    fn refuse(self, error: Error) {
        match self {
            Self::Job(reply) => reply.send(Err(error)),
            Self::Plan(reply) => reply.send(Err(error)),
        }
    }
}

impl Programs {
    /// No programs run yet.
    pub const fn new(settings: ProgramSettings, dispatcher: Address<DispatcherMessage>) -> Self {
        Self { settings, dispatcher, programs: BTreeMap::new(), ended: Vec::new() }
    }

    fn log(&self, token: u128) -> PathBuf {
        self.settings.logs.join(format!("program-{token:032x}.log"))
    }

    fn run(&mut self, request: RunRequest, waiting: Waiting, cx: &mut ActorContext<'_>) {
        let blob = match self.settings.store.find(&request.file_name) {
            Ok(blob) => blob,
            Err(error) => return waiting.refuse(error),
        };
        let mut base = (*self.settings.config).clone();
        base.extend(&request.options);
        let noted = NotedProgram { blob: blob.id, size: blob.size, arguments: request.arguments, base, ..NotedProgram::default() };
        let token = cx.world().random_id();
        let patience = match noted.base.get(&DRIVER_TIMEOUT) {
            Ok(patience) => patience,
            Err(error) => return waiting.refuse(error),
        };
        let is_planned = matches!(waiting, Waiting::Plan(_));
        self.programs.insert(token, Program::new(noted, Some(waiting), cx.world().mono()));
        self.attend(token, cx);
        if !is_planned {
            self.note(token);
        }
        self.launch(token, cx);
        if !patience.is_zero() {
            cx.send_self_after(patience, ProgramsMessage::Overdue { token, patience });
        }
    }

    /// A program that has not executed anything yet is given up.
    fn overdue(&mut self, token: u128, patience: Duration) {
        let log = self.log(token);
        let Some(program) = self.programs.get_mut(&token) else { return };
        let Some(waiting) = program.waiting.take() else { return };
        program.child.iter().for_each(|child| child.kill_after(Duration::ZERO));
        let printed = match tail(&log) {
            tail if tail.is_empty() => "it has printed nothing".to_owned(),
            tail => format!("its log '{}' ends with:\n{tail}", log.display()),
        };
        waiting.refuse(Error::user(format!(
            "the program has executed no job within {patience:?}, and is ended: what takes longer before `execute` needs more ('{}'); {printed}",
            DRIVER_TIMEOUT.key()
        )));
    }

    /// A program that is to end with its client is ended if nobody has asked for it for long; it is looked after again and again.
    fn attend(&mut self, token: u128, cx: &mut ActorContext<'_>) {
        let Some(program) = self.programs.get(&token).filter(|program| program.ending.is_none()) else { return };
        // A wrong value is found where the program reads its options.
        let wanted = program.noted.base.get(&SHUTDOWN_ON_ATTACHED_EXIT).unwrap_or_default();
        let Some(patience) = program.noted.base.get(&CLIENT_HEARTBEAT_TIMEOUT).ok().filter(|_| wanted) else { return };
        if cx.world().mono() >= program.asked.after(patience) {
            tracing::warn!(program = format!("{token:032x}"), ?patience, "the client of a program is gone; it is ended with its jobs");
            self.end(token, cx);
            return;
        }
        cx.send_self_after(patience / 4, ProgramsMessage::Attend { token });
    }

    /// Ends a program: its jobs are cancelled, and its process killed if it does not end then. False if it is not known.
    fn end(&mut self, token: u128, cx: &mut ActorContext<'_>) -> bool {
        let Some(program) = self.programs.get_mut(&token) else { return false };
        program.restarts = MOST_RESTARTS;
        for job in program.noted.running.values() {
            cx.send(&self.dispatcher, DispatcherMessage::Cancel(*job));
        }
        program.child.iter().for_each(|child| child.kill_after(LAST_WORDS));
        true
    }

    /// Starts the process of a program.
    fn launch(&mut self, token: u128, cx: &mut ActorContext<'_>) {
        let log = self.log(token);
        let Some(program) = self.programs.get_mut(&token) else { return };
        program.runs += 1;
        let run = program.runs;
        let origin = Origin { role: ProgramRole::Driver, address: self.settings.address.clone(), token, memory: None };
        let me: Address<ProgramsMessage> = cx.address();
        let on_exit = Box::new(move |ending: &Ending| me.send(ProgramsMessage::Exited { token, run, ending: ending.clone() }));
        let started = self.settings.store.path(program.noted.blob).and_then(|path| {
            program.is_script = script::is_script(&path)?;
            let (executable, arguments) = script::command(&path, &program.noted.arguments)?;
            let order = ChildOrder {
                executable: &executable,
                arguments: &arguments,
                origin,
                folder: self.settings.folder.join(format!("program-{token:032x}-{run}")),
                log,
            };
            Child::start(order, cx.world(), on_exit)
        });
        match started {
            Ok(child) => {
                tracing::info!(program = format!("{token:032x}"), process = child.id(), "driver started");
                program.child = Some(child);
            }
            Err(error) => {
                let ending = Ending { success: false, code: None, text: format!("could not be started: {error}") };
                self.exited(token, run, ending, cx);
            }
        }
    }

    /// Notes how a program stands, if that is wanted.
    fn note(&self, token: u128) {
        let (Some(recovery), Some(program)) = (&self.settings.recovery, self.programs.get(&token)) else { return };
        if let Err(error) = recovery.note(token, &program.noted) {
            tracing::error!(%error, "a program cannot be noted; a JobManager that is started again would not go on with it");
        }
    }

    fn attach(&self, token: u128) -> Result<DriverStart> {
        let program = self.programs.get(&token).filter(|program| program.ending.is_none());
        let program = program.ok_or_else(|| Error::user("no driver is expected with this token"))?;
        let NotedProgram { blob, size, arguments, base, once, running, results } = program.noted.clone();
        Ok(DriverStart { blob, size, arguments, base, once, results, running, dispatcher: self.dispatcher.clone() })
    }

    fn submit(
        &mut self,
        token: u128,
        mut job: JobSpec,
        coordinators: Address<CoordinatorsMessage>,
        client: Address<ClientMessage>,
        cx: &mut ActorContext<'_>,
    ) -> Result<()> {
        let program = self.programs.get_mut(&token).ok_or_else(|| Error::user("no driver is expected with this token"))?;
        let spec = job.program.clone().ok_or_else(|| Error::bug("a driver submits a job without its program"))?;
        if let Some(Waiting::Plan(reply)) = program.waiting.take_if(|waiting| matches!(waiting, Waiting::Plan(_))) {
            let plan = JobPlan::of(&job.graph);
            reply.send(Ok(PlannedJob { id: job.id, name: job.graph.name.clone(), plan }));
            program.child.iter().for_each(|child| child.kill_after(Duration::ZERO));
            return Err(Error::user("the program was only to be planned: its jobs are not run"));
        }
        let (number, id) = (spec.number, job.id);
        if program.noted.running.get(&number).is_some_and(|known| *known != id) {
            return Err(Error::bug(format!("job {number} of the program is another one")));
        }
        program.noted.results.extend(spec.results.clone());
        if let Some(result) = program.noted.results.get(&number).filter(|result| result.id == id) {
            // It has ended while nobody was there to hear of it.
            cx.send(&client, ended_well(result));
            return Ok(());
        }
        if let Some(watch) = program.submitted.get(&number) {
            // It runs; only its driver is another one.
            watch.send(ClientMessage::Status(JobStatus::Running));
            let watch =
                cx.spawn(Watch { token, number, programs: cx.address(), client: Some(client), view: Arc::new(JobView::new(&job, true)) });
            program.submitted.insert(number, watch.clone());
            cx.send(&self.dispatcher, DispatcherMessage::Reattach { job: id, coordinators, listener: watch });
            return Ok(());
        }
        if program.noted.running.contains_key(&number)
            && let Some(recovery) = &self.settings.recovery
            && let Some(folder) = recovery.newest_checkpoint(id).context(|| job.place())?
        {
            tracing::info!(job = %id, checkpoint = folder, "the job goes on from its newest checkpoint");
            let config = Arc::make_mut(&mut job.config);
            config.set(&STATE_RECOVERY_PATH, Some(folder));
            config.set(&STATE_CLAIM_MODE, "CLAIM".to_owned());
        }
        program.noted.results.remove(&number);
        program.noted.once.clone_from(&spec.once);
        program.noted.running.insert(number, id);
        program.jobs.insert(number, id);
        let waiting = program.waiting.take();
        self.note(token);
        let view = Arc::new(JobView::new(&job, true));
        let watch = cx.spawn(Watch { token, number, programs: cx.address(), client: Some(client), view: Arc::clone(&view) });
        if let Some(program) = self.programs.get_mut(&token) {
            program.submitted.insert(number, watch.clone());
        }
        let publisher = Publisher::new(&view).heard_by(watch);
        cx.send(&self.dispatcher, DispatcherMessage::Submit { job, publisher, coordinators: Some(coordinators) });
        if let Some(Waiting::Job(reply)) = waiting {
            reply.send(Ok(Started { program: token, job: Some(id) }));
        }
        Ok(())
    }

    fn job_ended(&mut self, token: u128, number: u32, result: Option<RecordedResult>) {
        let Some(program) = self.programs.get_mut(&token) else { return };
        program.submitted.remove(&number);
        program.restarts = 0;
        program.noted.running.remove(&number);
        program.noted.results.extend(result.map(|result| (number, result)));
        self.note(token);
        self.forget_if_over(token);
    }

    fn exited(&mut self, token: u128, run: u64, ending: Ending, cx: &mut ActorContext<'_>) {
        let Some(program) = self.programs.get_mut(&token).filter(|program| program.runs == run) else { return };
        program.child = None;
        if !program.noted.running.is_empty() && program.restarts < MOST_RESTARTS {
            program.restarts += 1;
            tracing::warn!(program = format!("{token:032x}"), how = ending.text, "a driver has ended before its jobs; it is started again");
            return self.launch(token, cx);
        }
        tracing::info!(program = format!("{token:032x}"), how = ending.text, "driver ended");
        match program.waiting.take() {
            // Statements need not be about jobs; whoever follows them hears how they have ended.
            Some(Waiting::Job(reply)) if program.is_script && ending.code.is_some() => {
                reply.send(Ok(Started { program: token, job: None }));
            }
            Some(waiting) => waiting.refuse(Error::user(format!("the program has executed no job: it {}", ending.text))),
            None => {}
        }
        for job in program.noted.running.values() {
            cx.send(&self.dispatcher, DispatcherMessage::Cancel(*job));
        }
        program.ending = Some(ending);
        self.ended.push(token);
        while self.ended.len() > KEPT {
            self.programs.remove(&self.ended.remove(0));
        }
        self.forget_if_over(token);
    }

    /// A program that has ended, and its jobs too, needs not be noted any more.
    fn forget_if_over(&self, token: u128) {
        let over = self.programs.get(&token).filter(|program| program.ending.is_some() && program.noted.running.is_empty());
        if let (Some(program), Some(recovery)) = (over, &self.settings.recovery) {
            recovery.forget(token, program.jobs.values().copied());
        }
    }

    /// A driver cannot be reached: it will end by itself, or is made to.
    fn driver_lost(&mut self, token: u128, error: &Error, cx: &mut ActorContext<'_>) {
        // One without jobs has done with the JobManager, and may have other things to do.
        let Some(program) = self.programs.get(&token).filter(|program| !program.submitted.is_empty()) else { return };
        program.child.iter().for_each(|child| child.kill_after(Duration::from_secs(1)));
        let running = program.submitted.keys().filter_map(|number| program.jobs.get(number));
        for job in running {
            let error = Error::transient(error.to_string());
            cx.send(&self.dispatcher, DispatcherMessage::CoordinatorsLost { job: *job, error });
        }
    }

    fn recover(&mut self, cx: &mut ActorContext<'_>) {
        let Some(recovery) = &self.settings.recovery else { return };
        let noted = match recovery.programs() {
            Ok(noted) => noted,
            Err(error) => return tracing::error!(%error, "what ran before cannot be read; nothing of it is gone on with"),
        };
        for (token, noted) in noted {
            if noted.running.is_empty() {
                // It had executed nothing that would go on.
                recovery.forget(token, noted.results.values().map(|result| result.id));
                continue;
            }
            tracing::info!(program = format!("{token:032x}"), jobs = noted.running.len(), "going on with a program");
            self.programs.insert(token, Program::new(noted, None, cx.world().mono()));
        }
        let recovered: Vec<u128> = self.programs.keys().copied().collect();
        for token in recovered {
            self.launch(token, cx);
            self.attend(token, cx);
        }
    }

    fn status(&mut self, token: u128, now: MonoTime) -> Option<ProgramStatus> {
        let program = self.programs.get_mut(&token)?;
        program.asked = now;
        let program = self.programs.get(&token)?;
        Some(ProgramStatus { jobs: program.jobs.values().copied().collect(), ending: program.ending.clone(), log: self.log(token) })
    }
}

impl Program {
    fn new(noted: NotedProgram, waiting: Option<Waiting>, asked: MonoTime) -> Self {
        let ended = noted.results.iter().map(|(number, result)| (*number, result.id));
        let jobs = noted.running.iter().map(|(number, job)| (*number, *job)).chain(ended).collect();
        Self { noted, jobs, submitted: BTreeMap::new(), child: None, runs: 0, restarts: 0, waiting, ending: None, is_script: false, asked }
    }
}

impl Actor for Programs {
    type Message = ProgramsMessage;

    fn handle(&mut self, message: ProgramsMessage, cx: &mut ActorContext<'_>) {
        match message {
            ProgramsMessage::Attach { token, reply } => reply.send(self.attach(token)),
            ProgramsMessage::Submit { token, job, coordinators, client, reply } => {
                let submitted = self.submit(token, *job, coordinators, client, cx);
                reply.send(submitted);
            }
            ProgramsMessage::Run { request, reply } => self.run(*request, Waiting::Job(reply), cx),
            ProgramsMessage::Plan { request, reply } => self.run(*request, Waiting::Plan(reply), cx),
            ProgramsMessage::Exited { token, run, ending } => self.exited(token, run, ending, cx),
            ProgramsMessage::DriverLost { token, error } => self.driver_lost(token, &error, cx),
            ProgramsMessage::JobEnded { token, number, result } => self.job_ended(token, number, result),
            ProgramsMessage::Status { token, reply } => reply.send(self.status(token, cx.world().mono())),
            ProgramsMessage::Attend { token } => self.attend(token, cx),
            ProgramsMessage::ClientLives { job } => {
                let now = cx.world().mono();
                let of_job = self.programs.values_mut().filter(|program| program.jobs.values().any(|known| *known == job));
                of_job.for_each(|program| program.asked = now);
            }
            ProgramsMessage::End { token, reply } => reply.send(self.end(token, cx)),
            ProgramsMessage::Overdue { token, patience } => self.overdue(token, patience),
            ProgramsMessage::Recover => self.recover(cx),
        }
    }
}

/// What a client is told of a job that has ended before.
fn ended_well(result: &RecordedResult) -> ClientMessage {
    let report = JobReport { accumulators: result.accumulators.clone(), ..JobReport::default() };
    let outcome = JobOutcome { status: JobStatus::Finished, error: None, suppressed: Vec::new(), report };
    ClientMessage::Ended(Box::new(outcome), result.net_runtime)
}

/// Hears of a job's end for its program, and passes everything on to the driver.
struct Watch {
    token: u128,
    number: u32,
    programs: Address<ProgramsMessage>,
    client: Option<Address<ClientMessage>>,
    view: Arc<JobView>,
}

impl Actor for Watch {
    type Message = ClientMessage;

    fn handle(&mut self, message: ClientMessage, cx: &mut ActorContext<'_>) {
        let ended = match &message {
            ClientMessage::Status(_) => None,
            ClientMessage::Ended(outcome, net_runtime) => Some(self.view.recorded_end(outcome, *net_runtime)),
            ClientMessage::Lost(_) => Some(None),
        };
        if let Some(client) = &self.client {
            cx.send(client, message);
        }
        if let Some(result) = ended {
            cx.send(&self.programs, ProgramsMessage::JobEnded { token: self.token, number: self.number, result });
            cx.stop();
        }
    }
}
