//! Events in, actions out.

use super::machine::{JobAction, JobEvent, JobMaster};
use crate::job::{JobOutcome, JobSpec, SlotId, TaskFigures, TaskReport, TaskSnapshot};
use brisk_base::ids::{AttemptId, JobId, OperatorId, TaskManagerId, VertexId};
use brisk_base::options::Configuration;
use brisk_base::{Error, Timestamp};
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::job::{ExecutionState, JobStatus};
use brisk_core::job_graph::{ChainedOperator, JobGraph, JobVertex};
use brisk_core::operator::{Operator, OperatorSpec, RuntimeContext};
use brisk_core::source::SourceEvent;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const SOURCE: OperatorId = OperatorId(100);

fn vertex(id: u128, name: &str, parallelism: u32, inputs: u32) -> JobVertex {
    let spec =
        OperatorSpec::Factory(Arc::new(|_: &RuntimeContext| -> brisk_base::Result<Box<dyn Operator>> { Err(Error::bug("not run")) }));
    let operator = ChainedOperator {
        id: OperatorId(id + 100),
        name: name.to_owned(),
        uid: None,
        spec,
        source: inputs == 0,
        keyed: false,
        outputs: Vec::new(),
    };
    JobVertex {
        id: VertexId(id),
        name: name.to_owned(),
        operators: vec![operator],
        parallelism,
        max_parallelism: 128,
        inputs,
        incoming: Vec::new(),
        outgoing: if inputs == 0 { vec![0] } else { Vec::new() },
        slot_sharing_group: "default".to_owned(),
        co_location_group: None,
        dedicated_thread: false,
    }
}

/// Source with 2 subtasks, sink with 1.
fn graph() -> JobGraph {
    JobGraph { name: "test".to_owned(), vertices: vec![vertex(0, "source", 2, 0), vertex(1, "sink", 1, 1)], ..JobGraph::default() }
}

const SOURCE_0: AttemptId = AttemptId { vertex: VertexId(0), subtask: 0, attempt: 0 };
const SOURCE_1: AttemptId = AttemptId { vertex: VertexId(0), subtask: 1, attempt: 0 };
const SINK: AttemptId = AttemptId { vertex: VertexId(1), subtask: 0, attempt: 0 };
const ALL: [AttemptId; 3] = [SOURCE_0, SOURCE_1, SINK];
const TM: TaskManagerId = TaskManagerId(7);

/// A job with its actions so far, each as a short text.
struct Job {
    machine: JobMaster,
    outcome: Option<JobOutcome>,
}

impl Job {
    fn of(graph: JobGraph) -> Self {
        let spec = JobSpec::local(JobId(1), Arc::new(graph), Arc::new(Configuration::new()));
        Self { machine: JobMaster::new(spec, Timestamp(0)).expect("the configuration is right"), outcome: None }
    }

    fn new() -> Self {
        Self::of(graph())
    }

    /// A job all of whose tasks run.
    fn running() -> Self {
        let mut job = Self::deployed();
        ALL.into_iter().for_each(|attempt| drop(job.task(attempt, ExecutionState::Running)));
        job
    }

    fn deployed() -> Self {
        let mut job = Self::new();
        job.step(JobEvent::Start);
        job.step(slots(2));
        job.step(JobEvent::HostReady(TM));
        job
    }

    fn step(&mut self, event: JobEvent) -> Vec<String> {
        let mut texts = Vec::new();
        for action in self.machine.step(event, Timestamp(0)) {
            texts.push(text(&action));
            if let JobAction::Done(outcome) = action {
                assert!(self.outcome.replace(outcome).is_none(), "a job ends once");
            }
        }
        texts
    }

    fn task(&mut self, attempt: AttemptId, state: ExecutionState) -> Vec<String> {
        self.step(JobEvent::Task(TaskReport::new(attempt, state)))
    }

    fn fail(&mut self, attempt: AttemptId, message: &str) -> Vec<String> {
        self.step(JobEvent::Task(TaskReport::new(attempt, ExecutionState::Failed).with_error(Some(Error::user(message)))))
    }

    fn end(self) -> (JobStatus, String) {
        let outcome = self.outcome.expect("the job is over");
        (outcome.status, outcome.error.map_or_else(String::new, |error| error.to_string()))
    }
}

fn slots(count: u32) -> JobEvent {
    JobEvent::Slots((0..count).map(|index| SlotId { task_manager: TM, index }).collect())
}

fn short(attempt: &AttemptId) -> String {
    format!("{}.{}", attempt.vertex.0, attempt.subtask)
}

fn text(action: &JobAction) -> String {
    let list = |attempts: &[AttemptId]| attempts.iter().map(short).collect::<Vec<_>>().join(" ");
    match action {
        JobAction::Status(status) => status.to_string(),
        JobAction::RequestSlots(count) => format!("request {count}"),
        JobAction::ReleaseSlots => "release".to_owned(),
        JobAction::OpenHost(_) => "open".to_owned(),
        JobAction::CloseHost(_) => "close".to_owned(),
        JobAction::Deploy(_, tasks) => {
            tasks.iter().fold("deploy".to_owned(), |all, task| format!("{all} {}@{}", short(&task.attempt), task.slot.index))
        }
        JobAction::CancelTasks(_, attempts) => format!("cancel {}", list(attempts)),
        JobAction::ToReader(_, attempt, _, event) => format!("to {} {event:?}", short(attempt)),
        JobAction::StartCoordinator(source, _) => format!("start {source}"),
        JobAction::StopCoordinator(source) => format!("stop {source}"),
        JobAction::CallCoordinator(source, call) => format!("call {source} {call:?}"),
        JobAction::Done(_) => "done".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_job_runs_to_its_end() {
    let mut job = Job::new();
    assert_eq!(job.step(JobEvent::Start), ["RUNNING", "start 0", "request 2"]);
    assert_eq!(job.step(slots(2)), ["open"]);
    assert_eq!(job.step(JobEvent::HostReady(TM)), ["deploy 0.0@0 0.1@1 1.0@0"], "subtask i of each vertex shares slot i");
    assert_eq!(job.task(SOURCE_0, ExecutionState::Initializing), [""; 0]);
    assert_eq!(job.task(SOURCE_0, ExecutionState::Running), ["call 0 AddReader(0)"]);
    assert_eq!(job.task(SINK, ExecutionState::Running), [""; 0]);
    assert_eq!(job.task(SOURCE_0, ExecutionState::Finished), ["call 0 RemoveReader(0)"]);
    assert_eq!(job.task(SOURCE_1, ExecutionState::Finished), ["stop 0"], "finished before it was seen running");
    assert_eq!(job.task(SINK, ExecutionState::Finished), ["FINISHED", "close", "done"]);
    assert_eq!(job.end(), (JobStatus::Finished, String::new()));
}

#[test]
fn repeated_late_and_foreign_messages_change_nothing() {
    let mut job = Job::running();
    let nothing = [""; 0];
    for state in [ExecutionState::Initializing, ExecutionState::Running, ExecutionState::Created, ExecutionState::Reconciling] {
        assert_eq!(job.task(SINK, state), nothing, "{state}");
    }
    job.task(SOURCE_0, ExecutionState::Finished);
    for state in [ExecutionState::Finished, ExecutionState::Failed, ExecutionState::Running, ExecutionState::Canceled] {
        assert_eq!(job.task(SOURCE_0, state), nothing, "{state} after the end");
        assert_eq!(job.task(AttemptId { attempt: 1, ..SOURCE_1 }, state), nothing, "{state} of another attempt");
        assert_eq!(job.task(AttemptId { subtask: 9, ..SOURCE_1 }, state), nothing, "{state} of no subtask");
        assert_eq!(job.task(AttemptId { vertex: VertexId(9), ..SOURCE_1 }, state), nothing, "{state} of no vertex");
    }
    assert_eq!(job.step(JobEvent::FromReader { attempt: SOURCE_0, operator: SOURCE, event: SourceEvent::RequestSplit }), nothing);
    assert_eq!(job.step(JobEvent::Start), nothing);
    assert_eq!(job.step(slots(2)), nothing);
    assert_eq!(job.step(JobEvent::HostReady(TM)), nothing, "nothing is deployed twice");
    assert_eq!(job.machine.status(), JobStatus::Running);
}

#[test]
fn the_first_failure_fails_the_job_when_all_others_are_gone() {
    let mut job = Job::running();
    assert_eq!(job.fail(SOURCE_1, "boom"), ["FAILING", "cancel 0.0 1.0", "stop 0"]);
    assert_eq!(job.fail(SINK, "channel closed"), [""; 0]);
    assert_eq!(job.task(SOURCE_0, ExecutionState::Finished), ["FAILED", "close", "done"], "finishing while being cancelled is cancelled");
    assert_eq!(job.outcome.as_ref().unwrap().suppressed, ["task 'sink' (1/1): channel closed"]);
    assert_eq!(job.end(), (JobStatus::Failed, "job 'test': task 'source' (2/2): boom".to_owned()));
}

#[test]
fn an_error_that_names_its_operator_is_not_told_twice() {
    let mut job = Job::running();
    let error = Error::user("boom").context("operator 'map' (1/2)");
    job.step(JobEvent::Task(TaskReport::new(SOURCE_0, ExecutionState::Failed).with_error(Some(error))));
    job.task(SOURCE_1, ExecutionState::Canceled);
    job.task(SINK, ExecutionState::Canceled);
    assert_eq!(job.end().1, "job 'test': operator 'map' (1/2): boom");
}

#[test]
fn a_cancelled_job_ends_in_every_phase() {
    let cancelled = |mut job: Job, expected: &[&str]| {
        assert_eq!(job.step(JobEvent::Cancel), expected);
        assert_eq!(job.step(JobEvent::Cancel), [""; 0], "once is enough");
        ALL.into_iter().for_each(|attempt| drop(job.task(attempt, ExecutionState::Canceled)));
        assert_eq!(job.end(), (JobStatus::Canceled, "job 'test': the job was cancelled".to_owned()));
    };
    cancelled(Job::new(), &["CANCELLING", "CANCELED", "release", "done"]);
    let mut waiting = Job::new();
    waiting.step(JobEvent::Start);
    cancelled(waiting, &["CANCELLING", "stop 0", "CANCELED", "release", "done"]);
    let mut opening = Job::new();
    opening.step(JobEvent::Start);
    opening.step(slots(2));
    cancelled(opening, &["CANCELLING", "stop 0", "CANCELED", "close", "done"]);
    cancelled(Job::deployed(), &["CANCELLING", "cancel 0.0 0.1 1.0", "stop 0"]);
    cancelled(Job::running(), &["CANCELLING", "cancel 0.0 0.1 1.0", "stop 0"]);
    let mut half = Job::running();
    half.task(SOURCE_0, ExecutionState::Finished);
    cancelled(half, &["CANCELLING", "cancel 0.1 1.0", "stop 0"]);
}

#[test]
fn a_failing_job_can_be_cancelled_and_a_cancelled_one_does_not_fail() {
    let mut job = Job::running();
    job.fail(SINK, "boom");
    assert_eq!(job.step(JobEvent::Cancel), ["CANCELLING"], "the tasks have been told already");
    job.task(SOURCE_0, ExecutionState::Canceled);
    job.task(SOURCE_1, ExecutionState::Canceled);
    let expected = "job 'test': the job was cancelled while it failed: task 'sink' (1/1): boom";
    assert_eq!(job.end(), (JobStatus::Canceled, expected.to_owned()));

    let mut job = Job::running();
    job.step(JobEvent::Cancel);
    assert_eq!(job.fail(SINK, "boom"), [""; 0]);
    job.task(SOURCE_0, ExecutionState::Canceled);
    job.task(SOURCE_1, ExecutionState::Canceled);
    assert_eq!(job.end().0, JobStatus::Canceled);
}

#[test]
fn messages_after_the_end_change_nothing() {
    let mut job = Job::new();
    job.step(JobEvent::Cancel);
    assert_eq!(job.machine.status(), JobStatus::Canceled);
    for event in [JobEvent::Start, slots(2), JobEvent::HostReady(TM), JobEvent::Cancel, lost(TM), JobEvent::Broken(Error::bug("x"))] {
        assert_eq!(job.step(event), [""; 0]);
    }
}

#[test]
fn a_job_without_slots_fails() {
    let mut job = Job::new();
    job.step(JobEvent::Start);
    assert_eq!(job.step(JobEvent::NoSlots(Error::user("none"))), ["FAILING", "stop 0", "FAILED", "release", "done"]);
    assert_eq!(job.end().1, "job 'test': none");
}

#[test]
fn a_task_that_stops_by_itself_is_a_failure() {
    let mut job = Job::running();
    assert_eq!(job.task(SOURCE_0, ExecutionState::Canceled), ["FAILING", "cancel 0.1 1.0", "stop 0"]);
    job.task(SOURCE_1, ExecutionState::Canceled);
    job.task(SINK, ExecutionState::Canceled);
    assert_eq!(job.end(), (JobStatus::Failed, "job 'test': task 'source' (1/2): it stopped without having been cancelled".to_owned()));
}

#[test]
fn a_lost_task_manager_fails_what_ran_there() {
    let mut job = Job::running();
    job.task(SOURCE_0, ExecutionState::Finished);
    let actions = job.step(lost(TM));
    assert_eq!(actions, ["FAILING", "cancel 1.0", "stop 0", "FAILED", "release", "done"]);
    assert!(job.end().1.starts_with("job 'test': task 'source' (2/2): it is gone"));
}

fn lost(task_manager: TaskManagerId) -> JobEvent {
    JobEvent::HostLost(task_manager, Error::transient("it is gone"))
}

/// A job that is restarted at once, on two TaskManagers.
fn restarting_on_two(other: TaskManagerId) -> Job {
    let config = [
        ("restart-strategy.type", "fixed-delay"),
        ("restart-strategy.fixed-delay.delay", "0 ms"),
        ("restart-strategy.fixed-delay.attempts", "9"),
    ];
    let config = config.into_iter().collect();
    let spec = JobSpec::local(JobId(1), Arc::new(graph()), Arc::new(config));
    let mut job = Job { machine: JobMaster::new(spec, Timestamp(0)).expect("the configuration is right"), outcome: None };
    job.step(JobEvent::Start);
    let slot = |task_manager| SlotId { task_manager, index: 0 };
    assert_eq!(job.step(JobEvent::Slots(vec![slot(TM), slot(other)])), ["open", "open"]);
    assert_eq!(job.step(JobEvent::HostReady(TM)), [""; 0], "not before all are ready");
    job.step(JobEvent::HostReady(other));
    ALL.into_iter().for_each(|attempt| drop(job.task(attempt, ExecutionState::Running)));
    job
}

#[test]
fn a_job_goes_on_with_another_task_manager_when_one_is_lost() {
    let (second, third) = (TaskManagerId(8), TaskManagerId(9));
    let mut job = restarting_on_two(second);
    let actions = job.step(lost(second));
    assert!(actions.contains(&"RESTARTING".to_owned()) && actions.contains(&"request 1".to_owned()), "{actions:?}");
    assert_eq!(job.step(JobEvent::Slots(vec![SlotId { task_manager: third, index: 5 }])), ["open"]);
    job.task(SOURCE_0, ExecutionState::Canceled);
    let ready = job.step(JobEvent::HostReady(third));
    assert!(ready.iter().any(|action| action == "deploy 0.1@5"), "{ready:?}");
    assert_eq!(job.machine.status(), JobStatus::Running);
    assert_eq!(job.step(lost(second)), [""; 0], "it is not the job's any more");
}

#[test]
fn a_process_that_dies_is_started_again_where_it_was() {
    let second = TaskManagerId(8);
    let mut job = restarting_on_two(second);
    let actions = job.step(JobEvent::HostFailed(second, Error::transient("killed")));
    assert!(actions.contains(&"open".to_owned()) && !actions.iter().any(|action| action.starts_with("request")), "{actions:?}");
    assert_eq!(job.machine.status(), JobStatus::Restarting);
    job.task(SOURCE_0, ExecutionState::Canceled);
    let ready = job.step(JobEvent::HostReady(second));
    assert!(ready.iter().any(|action| action == "deploy 0.1@0"), "{ready:?}");
    job.step(JobEvent::HostFailed(second, Error::transient("killed")));
    for attempt in [SOURCE_0, SOURCE_1] {
        job.task(AttemptId { attempt: 1, ..attempt }, ExecutionState::Canceled);
    }
    let refused = job.step(JobEvent::HostFailed(second, Error::user("another graph")));
    assert!(refused.contains(&"FAILING".to_owned()), "what the program says of itself will not be better the next time: {refused:?}");
}

#[test]
fn a_task_that_does_not_end_is_named() {
    let mut job = Job::running();
    job.step(JobEvent::Cancel);
    let mut report = TaskReport::new(SINK, ExecutionState::Canceled);
    report.given_up = Some("task 'sink' (1/1): stuck".to_owned());
    job.step(JobEvent::Task(report));
    job.task(SOURCE_0, ExecutionState::Canceled);
    job.task(SOURCE_1, ExecutionState::Canceled);
    let expected = "job 'test' (gave up waiting for task 'sink' (1/1): stuck): the job was cancelled";
    assert_eq!(job.end(), (JobStatus::Canceled, expected.to_owned()));
}

#[test]
fn readers_and_coordinator_talk() {
    let mut job = Job::deployed();
    let request = |attempt| JobEvent::FromReader { attempt, operator: SOURCE, event: SourceEvent::RequestSplit };
    let answer = |reader, event| JobEvent::FromCoordinator { source: 0, to_subtasks: vec![(reader, event)], group_watermark: None };
    let expected = ["call 0 AddReader(1)", "call 0 Event(1, RequestSplit)"];
    assert_eq!(job.step(request(SOURCE_1)), expected, "a message registers its reader");
    assert_eq!(job.task(SOURCE_1, ExecutionState::Running), [""; 0], "but only once");
    assert_eq!(job.step(answer(1, SourceEvent::NoMoreSplits)), ["to 0.1 NoMoreSplits"]);
    job.task(SOURCE_1, ExecutionState::Finished);
    assert_eq!(job.step(answer(1, SourceEvent::NoMoreSplits)), [""; 0], "it is gone");
    assert_eq!(job.step(answer(1, SourceEvent::AddSplits(Vec::new())))[0], "FAILING", "splits would be lost");
    assert_eq!(job.step(request(SOURCE_0)), [""; 0]);
    assert_eq!(job.step(answer(0, SourceEvent::NoMoreSplits)), [""; 0]);
}

#[test]
fn a_sink_hears_what_the_program_has_read_of_it() {
    let sink = OperatorId(101);
    let mut job = Job::running();
    let result = JobEvent::FromReader { attempt: SINK, operator: sink, event: SourceEvent::Custom(vec![7; 3]) };
    assert_eq!(job.step(result).len(), 1, "it goes to the program");
    assert_eq!(job.step(JobEvent::ResultRead(sink, 0, 3)), ["to 1.0 Custom([3, 0, 0, 0, 0, 0, 0, 0])"]);
    for (operator, subtask) in [(sink, 1), (OperatorId(9), 0)] {
        assert_eq!(job.step(JobEvent::ResultRead(operator, subtask, 3)), [""; 0], "there is no such subtask");
    }
    job.task(SINK, ExecutionState::Finished);
    assert_eq!(job.step(JobEvent::ResultRead(sink, 0, 3)), [""; 0], "it is over");
}

#[test]
fn what_a_coordinator_may_not_do() {
    let message =
        |reader| JobEvent::FromCoordinator { source: 0, to_subtasks: vec![(reader, SourceEvent::NoMoreSplits)], group_watermark: None };
    let refused = |mut job: Job, event: JobEvent, expected: &str| {
        assert_eq!(job.step(event)[0], "FAILING");
        ALL.into_iter().for_each(|attempt| drop(job.task(attempt, ExecutionState::Canceled)));
        let (_, error) = job.end();
        assert!(error.contains(expected), "{error}");
    };
    refused(
        Job::running(),
        message(2),
        "split enumerator of operator 'source': it has a message for reader 2, but readers are numbered from 0 to 1",
    );
    let mut early = Job::new();
    early.step(JobEvent::Start);
    refused(early, message(0), "reader 0, which has not registered yet");
    refused(Job::running(), JobEvent::CoordinatorFailed(Error::user("broken")), "job 'test': broken");
    let from_sink = JobEvent::FromReader { attempt: SINK, operator: OperatorId(101), event: SourceEvent::RequestSplit };
    refused(Job::running(), from_sink, "has no coordinator");
}

#[test]
fn sources_of_an_alignment_group_wait_for_the_slowest() {
    let mut graph = graph();
    graph.vertices.push(vertex(2, "other", 1, 0));
    let mut job = Job::of(graph);
    job.step(JobEvent::Start);
    job.step(slots(2));
    job.step(JobEvent::HostReady(TM));
    let report = |source, watermark| JobEvent::FromCoordinator {
        source,
        to_subtasks: Vec::new(),
        group_watermark: Some(("group".to_owned(), Timestamp(watermark))),
    };
    assert_eq!(job.step(report(0, 50)), ["call 0 GroupLimit(Timestamp(50))"]);
    assert_eq!(job.step(report(1, 10)), ["call 0 GroupLimit(Timestamp(10))", "call 1 GroupLimit(Timestamp(10))"]);
    let other = AttemptId { vertex: VertexId(2), subtask: 0, attempt: 0 };
    assert_eq!(job.task(other, ExecutionState::Finished), ["stop 1", "call 0 GroupLimit(Timestamp(50))"], "it holds nobody back any more");
}

#[test]
fn figures_and_accumulators_are_summed() {
    let snapshot = |records_in, records_out, watermark| TaskSnapshot {
        figures: TaskFigures { records_in, records_out, watermark: Timestamp(watermark), state_entries: 1, ..TaskFigures::default() },
        accumulators: BTreeMap::from([("n".to_owned(), AccumulatorValue::Count(records_out as i64))]),
    };
    let mut job = Job::running();
    let mut report = TaskReport::new(SOURCE_0, ExecutionState::Finished);
    report.last = Some(snapshot(10, 20, 90));
    job.step(JobEvent::Task(report));
    let running = HashMap::from([(SOURCE_0, snapshot(1, 2, 1)), (SOURCE_1, snapshot(5, 10, 80)), (SINK, snapshot(12, 0, 70))]);
    let report = job.machine.report(&running);
    assert_eq!((report.progress.records_in, report.progress.records_out, report.progress.watermark), (15, 12, 70));
    assert_eq!((report.progress.tasks_running, report.progress.tasks), (2, 3));
    assert_eq!(report.accumulators["n"], AccumulatorValue::Count(30), "the last figures of a task that is over count once");
}

#[test]
fn slot_sharing_groups_have_slots_of_their_own() {
    use super::slot_sharing::SlotPlan;
    let mut graph = graph();
    graph.vertices.push(vertex(2, "alone", 3, 1));
    graph.vertices[2].slot_sharing_group = "b".to_owned();
    let plan = SlotPlan::new(&graph);
    assert_eq!(plan.count(), 5);
    assert_eq!((plan.slot(0, 1), plan.slot(1, 0), plan.slot(2, 2)), (3 + 1, 3, 2), "groups in the order of their names");
}
