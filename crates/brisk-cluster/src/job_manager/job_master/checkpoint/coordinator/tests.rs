//! What the coordinator decides, event by event.

use super::*;
use brisk_base::ids::VertexId;
use brisk_base::options::Configuration;

type Coordinator = CheckpointCoordinator<&'static str>;

fn coordinator(settings: &[(&str, &str)]) -> Coordinator {
    let mut config: Configuration = settings.iter().copied().collect();
    config.set_text("execution.checkpointing.interval", "1s");
    let mut coordinator = Coordinator::new(CheckpointSettings::of(&config).expect("right settings"));
    coordinator.started(Timestamp(0));
    coordinator
}

fn task(vertex: u128) -> AttemptId {
    AttemptId { vertex: VertexId(vertex), subtask: 0, attempt: 0 }
}

/// A source and a sink, both running.
fn two() -> Standing {
    Standing {
        all_running: true,
        running: [task(1), task(2)].into(),
        roots: vec![task(1)],
        finished: BTreeSet::new(),
        sources: vec![(0, OperatorId(7))],
    }
}

/// What was decided, in words.
fn words(coordinator: &mut Coordinator) -> Vec<String> {
    let word = |decision: Decision<&'static str>| match decision {
        Decision::Begin(barrier, finished) => format!("begin {} after {} tasks", barrier.checkpoint, finished.len()),
        Decision::SnapshotCoordinator(source, id) => format!("snapshot coordinator {source} for {id}"),
        Decision::Trigger(tasks, barrier, _) => format!("trigger {} at {} tasks", barrier.checkpoint, tasks.len()),
        Decision::Write(assembled) => format!("write {} of {} tasks", assembled.checkpoint, assembled.tasks.len()),
        Decision::TellComplete(id) => format!("{id} complete"),
        Decision::TellAborted(id, _) => format!("{id} aborted"),
        Decision::Discard(id, parts) => format!("discard {} parts of {id}", parts.len()),
        Decision::AnswerSavepoint(_, Ok(place)) => format!("savepoint in {place}"),
        Decision::AnswerSavepoint(_, Err(error)) => format!("no savepoint: {}", error.message()),
        Decision::FailJob(error) => format!("fail: {}", error.message()),
    };
    coordinator.take_decisions().into_iter().map(word).collect()
}

/// Begins the next checkpoint and lets it come to its acknowledgements.
fn begin(coordinator: &mut Coordinator, now: i64) {
    coordinator.on_time(Timestamp(now), two);
    let begun = words(coordinator);
    let id = coordinator.next.0 - 1;
    assert_eq!(begun, [format!("begin {id} after 0 tasks"), format!("snapshot coordinator 0 for {id}")]);
    coordinator.coordinator_state(0, CheckpointId(id), Vec::new());
    assert_eq!(words(coordinator), [format!("trigger {id} at 1 tasks")]);
}

#[test]
fn a_checkpoint_goes_through_its_phases() {
    let mut coordinator = coordinator(&[]);
    coordinator.on_time(Timestamp(999), two);
    assert_eq!(words(&mut coordinator), [""; 0]);
    begin(&mut coordinator, 1000);
    let id = CheckpointId(1);
    coordinator.acknowledge(task(1), id, "a");
    assert_eq!(words(&mut coordinator), [""; 0]);
    coordinator.acknowledge(task(2), id, "b");
    assert_eq!(words(&mut coordinator), ["write 1 of 2 tasks"]);
    assert!(coordinator.written(id, Ok("chk-1".into()), Timestamp(1100)));
    assert_eq!(words(&mut coordinator), ["1 complete"]);
    assert_eq!(coordinator.next_time(), Some(Timestamp(2000)));
}

#[test]
fn one_at_a_time_unless_more_are_allowed() {
    let mut one = coordinator(&[]);
    begin(&mut one, 1000);
    one.on_time(Timestamp(2000), two);
    assert_eq!(words(&mut one), [""; 0]);
    let mut several = coordinator(&[("execution.checkpointing.max-concurrent-checkpoints", "2")]);
    begin(&mut several, 1000);
    begin(&mut several, 2000);
    [(1, "a"), (2, "b")].into_iter().for_each(|(at, part)| several.acknowledge(task(at), CheckpointId(2), part));
    several.acknowledge(task(1), CheckpointId(1), "old");
    assert_eq!(words(&mut several), ["write 2 of 2 tasks"]);
    several.written(CheckpointId(2), Ok(String::new()), Timestamp(2100));
    assert_eq!(words(&mut several), ["1 aborted", "discard 1 parts of 1", "2 complete"]);
}

#[test]
fn what_is_late_is_given_up_and_what_comes_later_is_discarded() {
    let mut coordinator =
        coordinator(&[("execution.checkpointing.timeout", "5s"), ("execution.checkpointing.tolerable-failed-checkpoints", "1")]);
    begin(&mut coordinator, 1000);
    coordinator.acknowledge(task(1), CheckpointId(1), "a");
    coordinator.due = None;
    coordinator.on_time(Timestamp(6000), two);
    assert_eq!(words(&mut coordinator), ["1 aborted", "discard 1 parts of 1"]);
    coordinator.acknowledge(task(2), CheckpointId(1), "b");
    assert_eq!(words(&mut coordinator), ["discard 1 parts of 1"]);
    coordinator.due = Some(Timestamp(7000));
    begin(&mut coordinator, 7000);
    coordinator.fail(CheckpointId(2), Error::transient("disk full"));
    let decided = words(&mut coordinator);
    assert_eq!(decided[0], "2 aborted");
    assert!(decided[1].starts_with("fail: checkpoint 2 failed: disk full; 2 in a row"), "{}", decided[1]);
}

#[test]
fn savepoints_are_answered() {
    let mut coordinator = coordinator(&[]);
    let kind = SnapshotKind::StopWithSavepoint { drain: false };
    coordinator.request_savepoint(SavepointRequest { request: 1, target: None, kind }, Timestamp(0), two);
    coordinator.request_savepoint(SavepointRequest { request: 2, target: None, kind }, Timestamp(0), two);
    let decided = words(&mut coordinator);
    let begun = ["begin 1 after 0 tasks", "snapshot coordinator 0 for 1"];
    assert_eq!(decided[..2], begun);
    assert_eq!(decided[2..], ["no savepoint: the job is being stopped with a savepoint already"]);
    coordinator.on_time(Timestamp(1000), two);
    assert_eq!(words(&mut coordinator), [""; 0], "the job is being stopped");
    coordinator.coordinator_state(0, CheckpointId(1), Vec::new());
    [1, 2].into_iter().for_each(|at| coordinator.acknowledge(task(at), CheckpointId(1), "a"));
    words(&mut coordinator);
    coordinator.written(CheckpointId(1), Ok("here".into()), Timestamp(1100));
    assert_eq!(words(&mut coordinator), ["1 complete", "savepoint in here"]);
}

#[test]
fn the_end_of_all_data_brings_the_last_checkpoint() {
    let mut coordinator = coordinator(&[]);
    begin(&mut coordinator, 1000);
    coordinator.end_of_data(task(1), Timestamp(1001), two);
    assert_eq!(words(&mut coordinator), [""; 0]);
    coordinator.end_of_data(task(2), Timestamp(1002), two);
    assert_eq!(words(&mut coordinator), ["1 aborted", "begin 2 after 0 tasks", "snapshot coordinator 0 for 2"]);
}

#[test]
fn a_failure_of_the_job_ends_what_is_under_way() {
    let mut coordinator = coordinator(&[]);
    begin(&mut coordinator, 1000);
    coordinator.suspend(&Error::user("boom"));
    assert_eq!(words(&mut coordinator), ["1 aborted"]);
    assert_eq!(coordinator.next_time(), None);
    coordinator.started(Timestamp(5000));
    begin(&mut coordinator, 6000);
}
