//! What sinks leave behind: with checkpoints and without, after failures, and with other parallelism.

use super::*;
use crate::harness::{HandClock, runtime};
use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use brisk_base::time::seconds;
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::function::{FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{RuntimeContext, SnapshotContext};
use brisk_core::sink::{Commits, Sink, SinkWriter};
use brisk_core::state::{OperatorRestore, OperatorSnapshot, RestoredOperatorState};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One subtask of a sink, as the sink operator runs it.
struct Subtask {
    runtime: RuntimeContext,
    writer: Box<dyn SinkWriter<u32>>,
    commits: Commits,
}

/// What a checkpoint leaves of some subtasks, all of it for one.
fn left(snapshots: Vec<OperatorSnapshot>) -> OperatorRestore {
    let mut operator: Vec<RestoredOperatorState> = Vec::new();
    for state in snapshots.into_iter().flat_map(|snapshot| snapshot.operator) {
        match operator.iter_mut().find(|other| other.name == state.name) {
            Some(other) => other.items.extend(state.items),
            None => operator.push(RestoredOperatorState {
                name: state.name,
                redistribution: state.redistribution,
                schema: state.schema,
                items: state.items,
            }),
        }
    }
    OperatorRestore { operator, ..OperatorRestore::default() }
}

impl Subtask {
    fn start(sink: &FileSink<u32>, (subtask, parallelism): (u32, u32), clock: &Arc<HandClock>, restored: Option<OperatorRestore>) -> Self {
        let mut runtime = runtime(subtask, parallelism, clock);
        runtime.state.restored = restored.map(Arc::new);
        let mut writer = sink.create_writer(&runtime).unwrap();
        let committer = sink.create_committer(&runtime).unwrap().or(sink.create_global_committer(&runtime).unwrap()).unwrap();
        let commits = Commits::restored(committer, &runtime).unwrap();
        writer.initialize_state(&FunctionInitializationContext::new(&runtime)).unwrap();
        Self { runtime, writer, commits }
    }

    fn write(&mut self, values: impl IntoIterator<Item = u32>) {
        values.into_iter().for_each(|value| self.writer.write(value, Timestamp::MIN).unwrap());
    }

    fn checkpoint(&mut self, number: u64) -> OperatorSnapshot {
        self.writer.flush(false).unwrap();
        let checkpoint = CheckpointId(number);
        self.commits.add(checkpoint, self.writer.prepare_commit().unwrap());
        let (kind, alignment) = (SnapshotKind::Checkpoint, Alignment::Aligned);
        let barrier = Barrier { checkpoint, timestamp: Timestamp(0), kind, alignment };
        let mut snapshot = OperatorSnapshot::default();
        self.commits.snapshot(&mut snapshot);
        let cx = SnapshotContext { barrier, runtime: &self.runtime };
        self.writer.snapshot_state(&mut FunctionSnapshotContext::new(&mut snapshot, &cx)).unwrap();
        snapshot
    }

    fn complete(&mut self, number: u64) {
        self.commits.complete(CheckpointId(number)).unwrap();
    }

    /// The end of the input, without checkpoints.
    fn end(mut self) {
        self.writer.flush(true).unwrap();
        let prepared = self.writer.prepare_commit().unwrap();
        self.commits.commit(&prepared).unwrap();
        self.writer.close().unwrap();
    }
}

/// Finished and unfinished files below a folder, by their paths in it.
fn files(folder: &Path) -> (BTreeMap<String, String>, usize) {
    let (mut finished, mut unfinished) = (BTreeMap::new(), 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".inprogress") {
                unfinished += 1;
            } else {
                finished.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    (finished, unfinished)
}

/// The numbers in all finished files, sorted, and how many files are unfinished.
fn numbers(folder: &Path) -> (Vec<u32>, usize) {
    let (finished, unfinished) = files(folder);
    let mut numbers: Vec<u32> = finished.values().flat_map(|text| text.lines()).map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    (numbers, unfinished)
}

const ONE: (u32, u32) = (0, 1);

#[test]
fn parts_get_their_names_at_the_end_where_there_are_no_checkpoints() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::default());
    fs::write(dir.path().join("part-9.txt"), "7\n").unwrap();
    let sink = FileSink::text(dir.path());
    let mut subtasks: Vec<_> = (0..3).map(|subtask| Subtask::start(&sink, (subtask, 3), &clock, None)).collect();
    subtasks[0].write([1, 2]);
    subtasks[2].write([3]);
    assert_eq!(numbers(dir.path()), (vec![7], 2));
    subtasks.into_iter().for_each(Subtask::end);
    let (finished, unfinished) = files(dir.path());
    let expected = [("part-00000000-0-0.txt", "1\n2\n"), ("part-00000000-2-0.txt", "3\n"), ("part-9.txt", "7\n")];
    assert!(finished.iter().map(|(name, text)| (&**name, &**text)).eq(expected), "{finished:?}");
    assert_eq!(unfinished, 0);
}

#[test]
fn a_second_attempt_without_checkpoints_writes_everything_again_and_once() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::default());
    let sink = FileSink::text(dir.path()).rolling(RollingPolicy::never().max_bytes(1));
    let mut first = Subtask::start(&sink, ONE, &clock, None);
    first.write([1]);
    first.end();
    let mut crashed = Subtask::start(&sink, ONE, &clock, None);
    crashed.write([1]);
    drop(crashed);
    let mut failed = Subtask::start(&sink, ONE, &clock, None);
    failed.write([1]);
    failed.writer.close().unwrap();
    assert_eq!(numbers(dir.path()), (vec![], 0), "what an earlier attempt of the same job left is gone");
    let mut second = Subtask::start(&sink, ONE, &clock, None);
    second.write([1, 2]);
    second.end();
    assert_eq!(numbers(dir.path()), (vec![1, 2], 0));
}

#[test]
fn each_record_is_there_once_wherever_the_job_fails() {
    for policy in [RollingPolicy::never(), RollingPolicy::on_checkpoint(), RollingPolicy::never().max_bytes(4)] {
        for told in [false, true] {
            let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::default());
            let sink = FileSink::text(dir.path()).rolling(policy);
            let mut subtask = Subtask::start(&sink, ONE, &clock, None);
            for number in 0..6u32 {
                subtask.write((0..3).map(|value| number * 3 + value));
                let snapshot = subtask.checkpoint(number.into());
                if told {
                    subtask.complete(number.into());
                }
                // Behind the barrier comes what is to be forgotten; then the process dies.
                subtask.write([100, 101]);
                drop(subtask);
                subtask = Subtask::start(&sink, ONE, &clock, Some(left(vec![snapshot])));
            }
            subtask.end();
            assert_eq!(numbers(dir.path()), ((0..18).collect(), 0), "{policy:?}, told: {told}");
        }
    }
}

#[test]
fn a_checkpoint_that_was_not_complete_finishes_nothing() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::default());
    let sink = FileSink::text(dir.path()).rolling(RollingPolicy::on_checkpoint());
    let mut subtask = Subtask::start(&sink, ONE, &clock, None);
    subtask.write([1]);
    let first = subtask.checkpoint(1);
    subtask.complete(1);
    subtask.write([2]);
    subtask.checkpoint(2);
    assert_eq!(numbers(dir.path()), (vec![1], 1));
    let mut restored = Subtask::start(&sink, ONE, &clock, Some(left(vec![first])));
    assert_eq!(numbers(dir.path()), (vec![1], 0), "the part of checkpoint 2 is removed");
    restored.write([2, 3]);
    restored.checkpoint(3);
    restored.complete(3);
    assert_eq!(numbers(dir.path()), (vec![1, 2, 3], 0));
}

#[test]
fn one_subtask_takes_over_the_parts_of_two() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::default());
    let sink = FileSink::text(dir.path()).rolling(RollingPolicy::never());
    let mut two: Vec<_> = (0..2).map(|subtask| Subtask::start(&sink, (subtask, 2), &clock, None)).collect();
    two[0].write([1, 2]);
    two[1].write([3]);
    let snapshots = two.iter_mut().map(|subtask| subtask.checkpoint(1)).collect();
    two[1].write([100]);
    let mut one = Subtask::start(&sink, ONE, &clock, Some(left(snapshots)));
    one.write([4]);
    one.end();
    assert_eq!(numbers(dir.path()), (vec![1, 2, 3, 4], 0));
}

#[test]
fn parts_are_closed_by_size_age_and_inactivity() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::<HandClock>::default());
    let policy = RollingPolicy::never().max_age(seconds(10)).max_inactivity(seconds(4));
    let mut subtask = Subtask::start(&FileSink::text(dir.path()).rolling(policy), ONE, &clock, None);
    let mut checkpoint = 0;
    let mut finished = |subtask: &mut Subtask| {
        let now = subtask.runtime.world.now();
        if subtask.writer.next_processing_time().is_some_and(|at| at <= now) {
            subtask.writer.on_processing_time(now).unwrap();
        }
        checkpoint += 1;
        subtask.checkpoint(checkpoint);
        subtask.complete(checkpoint);
        numbers(dir.path()).0
    };
    assert_eq!(subtask.writer.next_processing_time(), None);
    subtask.write([1]);
    for second in 0..9 {
        clock.advance(Duration::from_secs(1));
        subtask.write([2 + second]);
    }
    assert_eq!(finished(&mut subtask), Vec::<u32>::new());
    clock.advance(Duration::from_secs(1));
    assert_eq!(finished(&mut subtask).len(), 10, "10 s old");
    subtask.write([11]);
    clock.advance(Duration::from_secs(4));
    assert_eq!(finished(&mut subtask).len(), 11, "nothing written for 4 s");
}

#[test]
fn buckets_are_folders() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::<HandClock>::default());
    let start = |sink: FileSink<u32>| Subtask::start(&sink, ONE, &clock, None);
    let names = |sub: &str| files(&dir.path().join(sub)).0.into_keys().collect::<Vec<_>>();
    let mut by_hour = start(FileSink::text(dir.path().join("hours")).buckets(DateTimeBuckets::hourly().by_event_time()).part_prefix("p"));
    by_hour.writer.write(1, Timestamp::parse("2013-01-31 09:59:59").unwrap()).unwrap();
    by_hour.writer.write(2, Timestamp::parse("2013-01-31 10:00:00").unwrap()).unwrap();
    assert!(by_hour.writer.write(3, Timestamp::MIN).unwrap_err().to_string().contains("without a timestamp"));
    by_hour.end();
    assert_eq!(names("hours"), ["2013-01-31--09/p-00000000-0-0.txt", "2013-01-31--10/p-00000000-0-1.txt"]);
    let closure = |value: &u32, _: &BucketContext| format!("odd={}", value % 2);
    let mut own = start(FileSink::text(dir.path().join("own")).buckets(closure).part_suffix(".log"));
    own.write([1, 2, 3]);
    own.end();
    assert_eq!(names("own"), ["odd=0/part-00000000-0-1.log", "odd=1/part-00000000-0-0.log"]);
    let mut outside = start(FileSink::text(dir.path()).buckets(|_: &u32, _: &BucketContext| "../x".to_owned()));
    assert!(outside.writer.write(1, Timestamp::MIN).unwrap_err().to_string().contains("outside of the sink's folder"));
}

#[test]
fn a_single_file_is_there_even_without_records_and_goes_on_after_a_failure() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::default());
    let path = dir.path().join("deep/out.txt");
    let sink = FileSink::<u32>::text(&path).single_file();
    Subtask::start(&sink, ONE, &clock, None).end();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    let mut subtask = Subtask::start(&sink, ONE, &clock, None);
    subtask.write([1]);
    let snapshot = subtask.checkpoint(1);
    subtask.write([100]);
    let mut restored = Subtask::start(&sink, ONE, &clock, Some(left(vec![snapshot])));
    restored.write([2]);
    restored.end();
    assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");
    let error = sink.create_writer(&runtime(0, 2, &clock)).err().unwrap().to_string();
    assert!(error.contains("2 subtasks cannot write the one file") && error.contains("parallelism to 1"), "{error}");
}

#[test]
fn the_success_file_comes_last() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::default());
    let sink = FileSink::text(dir.path()).success_file();
    assert!(sink.has_global_committer());
    let mut subtask = Subtask::start(&sink, ONE, &clock, None);
    subtask.write([1]);
    subtask.writer.flush(true).unwrap();
    let prepared = subtask.writer.prepare_commit().unwrap();
    subtask.commits.commit(&prepared).unwrap();
    assert!(!dir.path().join("_SUCCESS").exists());
    subtask.commits.end_of_input().unwrap();
    assert!(dir.path().join("_SUCCESS").exists());
}

#[test]
fn a_header_is_written_once_per_file() {
    #[derive(Clone, serde::Serialize, brisk_core::types::Record)]
    struct Row {
        id: u32,
    }
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::<HandClock>::default());
    let path = dir.path().join("rows.csv");
    let sink = FileSink::<Row>::csv(&path).single_file();
    let mut cx = runtime(0, 1, &clock);
    let mut writer = sink.create_writer(&cx).unwrap();
    writer.write(Row { id: 1 }, Timestamp::MIN).unwrap();
    let mut snapshot = OperatorSnapshot::default();
    let barrier =
        Barrier { checkpoint: CheckpointId(1), timestamp: Timestamp(0), kind: SnapshotKind::Checkpoint, alignment: Alignment::Aligned };
    let snapshot_cx = SnapshotContext { barrier, runtime: &cx };
    writer.snapshot_state(&mut FunctionSnapshotContext::new(&mut snapshot, &snapshot_cx)).unwrap();
    cx.state.restored = Some(Arc::new(left(vec![snapshot])));
    let mut writer = sink.create_writer(&cx).unwrap();
    writer.initialize_state(&FunctionInitializationContext::new(&cx)).unwrap();
    writer.write(Row { id: 2 }, Timestamp::MIN).unwrap();
    writer.flush(true).unwrap();
    let prepared = writer.prepare_commit().unwrap();
    let committer = sink.create_committer(&cx).unwrap().unwrap();
    Commits::restored(committer, &cx).unwrap().commit(&prepared).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "id\n1\n2\n");
}
