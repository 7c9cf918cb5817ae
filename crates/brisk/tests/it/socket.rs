//! Lines over TCP, through a job that really runs.

use brisk::prelude::*;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

#[test]
fn lines_go_in_and_out() -> Result<()> {
    let (input, output) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let env = StreamEnvironment::get()?;
    env.set_parallelism(2);
    env.socket_text_stream("127.0.0.1", input.local_addr()?.port())
        .try_map(|line: String| Ok(line.parse::<u64>()? * 2))
        .key_by(|number| number % 7)
        .reduce(|sum, number| sum + number)
        .sink_to(SocketSink::new("127.0.0.1", output.local_addr()?.port()))
        .set_parallelism(1);
    let client = env.execute_async("sockets")?;
    let (mut sender, _) = input.accept()?;
    let mut results = BufReader::new(output.accept()?.0).lines();
    // Each answer comes before the next question is put: nothing waits for a batch to fill.
    for (number, sum) in [(7, 14), (1, 2), (14, 42), (8, 18)] {
        writeln!(sender, "{number}")?;
        assert_eq!(results.next().transpose()?, Some(u64::to_string(&sum)));
    }
    drop(sender);
    client.wait()?;
    assert!(results.next().is_none(), "the connection is closed with the job");
    Ok(())
}

#[test]
fn a_job_that_waits_for_a_socket_can_be_cancelled() -> Result<()> {
    let input = TcpListener::bind("127.0.0.1:0")?;
    let env = StreamEnvironment::get()?;
    env.socket_text_stream("127.0.0.1", input.local_addr()?.port()).add_sink(|_| {});
    let client = env.execute_async("waiting")?;
    let (sender, _) = input.accept()?;
    client.cancel();
    client.wait().expect_err("a cancelled job has no result");
    assert_eq!(BufReader::new(sender).lines().count(), 0, "the source has hung up");
    Ok(())
}
