//! The embedded engine: configuration, executors, life and death.

use brisk::options::{EXECUTOR, EXECUTOR_WORKERS, ExecutorKind};
use brisk::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn both_executors_give_the_same_result() -> Result<()> {
    for executor in [ExecutorKind::Core, ExecutorKind::Dedicated] {
        let mut config = Configuration::new();
        config.set(&EXECUTOR, executor).set(&EXECUTOR_WORKERS, 1);
        let env = StreamEnvironment::get_with(config)?;
        env.set_parallelism(2);
        let mut numbers = env.from_sequence(1, 20_000).rebalance().map(|n| n * 2).collect()?;
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq((1..=20_000).map(|n| n * 2)), "{executor:?}");
    }
    Ok(())
}

#[test]
fn a_wrong_option_is_an_error_before_anything_runs() {
    let mut config = Configuration::new();
    config.set_text("brisk.executor", "gpu");
    let error = StreamEnvironment::get_with(config).err().expect("there is no such executor").to_string();
    assert!(error.contains("brisk.executor") && error.contains("gpu"), "{error}");
}

#[test]
fn one_environment_runs_many_jobs() -> Result<()> {
    let env = StreamEnvironment::get()?;
    for job in 1..=20 {
        assert_eq!(env.from_sequence(1, job).collect()?.len() as i64, job);
    }
    Ok(())
}

#[test]
fn an_endless_job_can_be_cancelled() -> Result<()> {
    let env = StreamEnvironment::get()?;
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let (sent, first) = std::sync::mpsc::channel();
    env.from_source(DataGeneratorSource::new(|n| n).per_second(1000.0), WatermarkStrategy::no_watermarks(), "Numbers").add_sink(
        move |_| {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                let _ = sent.send(());
            }
        },
    );
    let client = env.execute_async("endless")?;
    first.recv_timeout(std::time::Duration::from_secs(20))?;
    assert_eq!(client.status(), JobStatus::Running);
    client.cancel();
    client.wait().expect_err("a cancelled job has no result");
    assert_eq!(client.status(), JobStatus::Canceled);
    assert!(seen.load(Ordering::SeqCst) > 0);
    Ok(())
}

/// As in a program that depends on nothing but `brisk`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Record, Key)]
#[record(crate = brisk)]
struct Point {
    x: i64,
    name: Option<String>,
}

#[test]
fn records_can_be_derived_through_the_facade() -> Result<()> {
    let env = StreamEnvironment::get()?;
    let points: Vec<Point> = (0..10).map(|x| Point { x: x % 3, name: (x % 3 > 0).then(|| format!("p{}", x % 3)) }).collect();
    let counted = env.from_collection(points).map(|point| (point, 1)).key_by_ref(|pair| &pair.0).sum(|pair| &mut pair.1).collect()?;
    let most = counted.into_iter().max_by_key(|(_, count): &(Point, i32)| *count);
    assert_eq!(most, Some((Point { x: 0, name: None }, 4)));
    Ok(())
}
