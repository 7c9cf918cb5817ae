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
