//! A program that serves its jobs over HTTP.

use brisk::checkpoint_statistics::CheckpointOutcome;
use brisk::options::checkpoint_options::CHECKPOINT_INTERVAL;
use brisk::options::rest_options::REST_PORT;
use brisk::prelude::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("localhost", port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn an_environment_serves_its_jobs_until_it_ends() -> Result<()> {
    let port = TcpListener::bind("localhost:0")?.local_addr()?.port();
    let mut config = Configuration::new();
    config.set(&REST_PORT, Some(port)).set(&CHECKPOINT_INTERVAL, Some(Duration::from_millis(10)));
    let env = StreamEnvironment::get_with(config)?;
    let (sent, received) = std::sync::mpsc::channel();
    env.from_source(DataGeneratorSource::new(|n| n).per_second(1000.0), WatermarkStrategy::no_watermarks(), "Numbers")
        .try_add_sink(move |n| Ok(sent.send(n)?));
    let client = env.execute_async("served")?;
    received.recv_timeout(PATIENCE)?;
    let answer = get(port, "/jobs/overview")?;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""name":"served""#), "{answer}");
    while client.checkpoints().counts.completed == 0 {
        received.recv_timeout(PATIENCE)?;
    }
    client.cancel();
    client.wait_for(PATIENCE).expect("it ends").expect_err("it was cancelled");
    let checkpoints = client.checkpoints();
    let latest = checkpoints.latest_completed.expect("one was complete");
    assert!(matches!(latest.outcome, CheckpointOutcome::Completed { .. }), "{latest:?}");
    assert_eq!(latest.acknowledged().count(), 1);
    drop((env, client));
    get(port, "/overview").expect_err("nobody listens any more");
    Ok(())
}
