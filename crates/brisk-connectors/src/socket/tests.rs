//! Lines over real connections to this machine.

use super::*;
use crate::harness::{HandClock, SourceHarness, runtime};
use brisk_base::ErrorKind;
use brisk_base::time::millis;
use brisk_core::batch::Rows;
use brisk_core::sink::Sink;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

fn server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the server of the test")]
fn lines_are_read_and_the_last_one_needs_no_end() {
    let (listener, port) = server();
    let sender = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for part in ["to\r\nbe ", "or\nno", "t"] {
            stream.write_all(part.as_bytes()).unwrap();
        }
    });
    let mut harness = SourceHarness::new(SocketSource::new("127.0.0.1", port), 2).unwrap();
    harness.run_to_end().unwrap();
    assert_eq!([harness.take(0), harness.take(1)].concat(), ["to", "be or", "not"]);
    sender.join().unwrap();
    harness.close().unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the server of the test")]
fn more_lines_than_the_queue_holds_arrive_in_order_after_a_retry() {
    let (listener, port) = server();
    let sender = thread::spawn(move || {
        for connection in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let text: String = (0..300_000).map(|n| format!("{}|", connection * 300_000 + n)).collect();
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    let source = SocketSource::new("localhost", port).delimiter("|").retries(1, millis(1));
    let mut harness = SourceHarness::new(source, 1).unwrap();
    // The listener is gone after the second connection: the attempt after it fails, and it is the last.
    let error = harness.run_to_end().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().contains("cannot connect"), "{error}");
    assert!(harness.take(0).iter().map(|text| text.parse::<u32>().unwrap()).eq(0..600_000));
    sender.join().unwrap();
}

#[test]
fn closing_interrupts_a_read() {
    let (listener, port) = server();
    let mut harness = SourceHarness::new(SocketSource::new("127.0.0.1", port), 1).unwrap();
    assert!(!harness.run().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    harness.close().unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "the source has hung up");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let (listener, port) = server();
    drop(listener);
    let mut harness = SourceHarness::new(SocketSource::new("127.0.0.1", port), 1).unwrap();
    let error = harness.run_to_end().unwrap_err().to_string();
    assert!(error.contains(&format!("socket '127.0.0.1:{port}'")) && error.contains("is the server running?"), "{error}");
}

#[test]
fn records_are_written_as_lines_and_again_after_a_break() {
    let (listener, port) = server();
    let sink = SocketSink::<u32>::new("127.0.0.1", port).retries(5, millis(1));
    let mut writer = sink.create_writer(&runtime(0, 1, &Arc::new(HandClock::default()))).unwrap();
    let (first, _) = listener.accept().unwrap();
    writer.write_batch(Rows::from(vec![1, 2])).unwrap();
    let mut lines = BufReader::new(first.try_clone().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    assert_eq!(lines.next().unwrap().unwrap(), "2");
    reset(first);
    drop(lines);
    let second = loop {
        writer.write_batch(Rows::from(vec![3])).unwrap();
        listener.set_nonblocking(true).unwrap();
        if let Ok((stream, _)) = listener.accept() {
            break stream;
        }
    };
    second.set_nonblocking(false).unwrap();
    assert_eq!(BufReader::new(second).lines().next().unwrap().unwrap(), "3");
}

/// Closes a connection.
fn reset(stream: TcpStream) {
    stream.shutdown(std::net::Shutdown::Both).unwrap();
}
