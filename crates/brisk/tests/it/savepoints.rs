//! Savepoints of jobs that really run: with checkpoints and without, stopped and drained.

use brisk::options::checkpoint_options::{CHECKPOINT_INTERVAL, STATE_RECOVERY_PATH};
use brisk::prelude::*;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::yield_now;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Windows of 100 numbers, whose sums are sent.
fn job(env: &StreamEnvironment, sums: Sender<u64>) {
    env.set_parallelism(2);
    env.from_source(
        DataGeneratorSource::new(|n| n).count(2_000).per_second(4_000.0),
        WatermarkStrategy::monotonous_timestamps().with_timestamp(|n: &u64| Timestamp(*n as i64)),
        "Numbers",
    )
    .uid("numbers")
    .key_by(|n: &u64| n % 2)
    .window(TumblingEventTimeWindows::of(millis(100)))
    .reduce(|a, b| a + b)
    .uid("windows")
    .try_add_sink(move |sum| Ok(sums.send(sum)?));
}

fn environment(interval: Option<Duration>, from: Option<&str>) -> Result<StreamEnvironment> {
    let mut config = Configuration::new();
    config.set(&CHECKPOINT_INTERVAL, interval).set(&STATE_RECOVERY_PATH, from.map(str::to_owned));
    StreamEnvironment::get_with(config)
}

/// Stops the job. That its first task has given something does not say that its last one runs: until then, it is tried again.
fn stop(client: &dyn JobClient, drain: bool, folder: &Path) -> Result<String> {
    for _ in 0..1_000_000 {
        match client.stop_with_savepoint(drain, folder.to_str()) {
            Err(error) if error.kind() == ErrorKind::Transient => yield_now(),
            stopped => return stopped,
        }
    }
    panic!("not all tasks of the job run after a million looks")
}

/// Runs the job until it has given a sum, and stops it. Its savepoint, and what it gave.
fn stopped(interval: Option<Duration>, drain: bool, folder: &Path) -> Result<(String, Receiver<u64>)> {
    let env = environment(interval, None)?;
    let (sums, received) = channel();
    job(&env, sums);
    let client = env.execute_async("stopped")?;
    received.recv_timeout(PATIENCE)?;
    let savepoint = stop(&*client, drain, folder)?;
    client.wait_for(PATIENCE).expect("a job that is stopped ends")?;
    assert_eq!(client.status(), JobStatus::Finished);
    Ok((savepoint, received))
}

#[test]
fn a_stopped_job_ends_and_goes_on_from_its_savepoint() -> Result<()> {
    for interval in [None, Some(Duration::from_millis(20))] {
        let folder = tempfile::tempdir()?;
        let (savepoint, before) = stopped(interval, false, folder.path())?;
        let env = environment(interval, Some(&savepoint))?;
        let (sums, after) = channel();
        job(&env, sums);
        env.execute_async("goes on")?.wait_for(PATIENCE).expect("it comes to its end")?;
        drop(env);
        // One sum was read to know when to stop: that of a window of the first hundred.
        let rest: Vec<u64> = before.try_iter().chain(after.try_iter()).collect();
        assert_eq!(rest.len(), 39, "20 windows of 2 keys, {interval:?}");
    }
    Ok(())
}

#[test]
fn a_drained_job_has_fired_all_its_windows() -> Result<()> {
    for interval in [Some(Duration::from_millis(20)), Some(Duration::from_secs(3600))] {
        let folder = tempfile::tempdir()?;
        let env = environment(interval, None)?;
        let (sums, received) = channel();
        // Without its end nothing comes out of the windows.
        env.set_parallelism(2);
        let (seen, first) = channel();
        env.from_source(DataGeneratorSource::new(|n| n).per_second(1_000.0), WatermarkStrategy::no_watermarks(), "Numbers")
            .try_map(move |n: u64| {
                seen.send(())?;
                Ok((n % 2, 1))
            })
            .assign_timestamps_and_watermarks(WatermarkStrategy::monotonous_timestamps().with_timestamp(|_: &(u64, u64)| Timestamp(0)))
            .key_by(|pair: &(u64, u64)| pair.0)
            .window(TumblingEventTimeWindows::of(millis(100)))
            .reduce(|a, b| (a.0, a.1 + b.1))
            .try_add_sink(move |pair| Ok(sums.send(pair.1)?));
        let client = env.execute_async("drained")?;
        first.recv_timeout(PATIENCE)?;
        stop(&*client, true, folder.path())?;
        client.wait_for(PATIENCE).expect("a job that is drained ends")?;
        drop(env);
        assert_eq!(received.try_iter().sum::<u64>() as usize, first.try_iter().count() + 1, "{interval:?}");
    }
    Ok(())
}

/// Counts what it sees under one name, and keeps a list that all subtasks get under another; or nothing at all.
#[derive(Clone)]
struct Remembers {
    knows: bool,
    seen: u64,
    tell: Sender<(u64, Vec<u32>)>,
}

impl MapFunction for Remembers {
    type In = u64;
    type Out = u64;

    fn initialize_state(&mut self, state: &FunctionInitializationContext<'_>) -> Result<()> {
        if self.knows {
            self.seen = state.list_state::<u64>("seen")?.into_iter().sum();
            let _ = self.tell.send((self.seen, state.union_list_state::<u32>("subtasks")?));
        }
        Ok(())
    }

    fn map(&mut self, value: u64) -> Result<u64> {
        self.seen += 1;
        Ok(value)
    }

    fn snapshot_state(&mut self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        if self.knows {
            state.put_list_state("seen", &[self.seen])?;
            state.put_union_list_state("subtasks", &[state.runtime().task.subtask])?;
        }
        Ok(())
    }
}

/// What each subtask has remembered.
type Remembered = Vec<(u64, Vec<u32>)>;

/// Runs a job with a [`Remembers`] until its first record is through, and stops it. The savepoint, and what the function began with.
fn remembered(knows: bool, parallelism: u32, from: Option<&str>, folder: &Path) -> Result<(String, Remembered)> {
    let env = environment(None, from)?;
    let (tell, told) = channel();
    let (passed, through) = channel();
    env.set_parallelism(parallelism);
    env.from_source(DataGeneratorSource::new(|n| n).per_second(1_000.0), WatermarkStrategy::no_watermarks(), "Numbers")
        .uid("numbers")
        .map_with(Remembers { knows, seen: 0, tell })
        .uid("remembers")
        .try_add_sink(move |value| Ok(passed.send(value)?));
    let client = env.execute_async("remembers")?;
    through.recv_timeout(PATIENCE)?;
    let savepoint = stop(&*client, false, folder)?;
    client.wait_for(PATIENCE).expect("a job that is stopped ends")?;
    Ok((savepoint, told.try_iter().collect()))
}

#[test]
fn operator_state_outlives_a_program_that_does_not_know_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (first, _) = remembered(true, 3, None, folder.path())?;
    let (same, began) = remembered(true, 3, Some(&first), folder.path())?;
    let seen: u64 = began.iter().map(|(seen, _)| seen).sum();
    assert!(seen > 0, "{began:?}");
    drop(same);
    let (second, _) = remembered(false, 2, Some(&first), folder.path())?;
    let (third, _) = remembered(false, 3, Some(&second), folder.path())?;
    let (_, began) = remembered(true, 2, Some(&third), folder.path())?;
    assert_eq!(began.iter().map(|(seen, _)| seen).sum::<u64>(), seen, "each item is there once: {began:?}");
    for (_, subtasks) in began {
        let mut subtasks = subtasks;
        subtasks.sort_unstable();
        assert_eq!(subtasks, [0, 1, 2], "every subtask gets the whole list, once");
    }
    Ok(())
}
