//! What a user says about sockets.

use super::sink::SocketWriter;
use super::source::{SocketEnumerator, SocketReader, SocketSplit};
use brisk_base::{Millis, Result};
use brisk_core::operator::RuntimeContext;
use brisk_core::sink::{Sink, SinkWriter};
use brisk_core::source::{Boundedness, Source, SourceReader, SplitEnumerator};
use brisk_core::types::Record;
use std::fmt::Display;
use std::marker::PhantomData;

/// Where to connect to, and how often to try again.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    /// Further attempts after the first; `None`: for ever.
    pub(super) retries: Option<u32>,
    /// Wait between attempts.
    pub(super) retry_interval: Millis,
}

impl Address {
    fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, retries: Some(0), retry_interval: Millis(500) }
    }

    /// `socket 'localhost:9999'`: how the connection is named in errors.
    pub(super) fn place(&self) -> String {
        format!("socket '{}:{}'", self.host, self.port)
    }
}

/// Reads lines from a TCP connection that it opens (Flink's `socketTextStream`). One subtask reads, others finish at once.
#[derive(Clone, Debug)]
pub struct SocketSource {
    pub(super) address: Address,
    /// What stands between lines.
    pub(super) delimiter: Vec<u8>,
}

impl SocketSource {
    /// Lines from this server. The source ends when the server closes the connection.
    pub fn new(host: &str, port: u16) -> Self {
        Self { address: Address::new(host, port), delimiter: b"\n".to_vec() }
    }

    /// Another text between records. For `\n`, a `\r` before it is dropped too.
    ///
    /// # Panics
    /// When it is empty.
    #[must_use]
    pub fn delimiter(mut self, delimiter: &str) -> Self {
        assert!(!delimiter.is_empty(), "an empty delimiter delimits nothing");
        delimiter.as_bytes().clone_into(&mut self.delimiter);
        self
    }

    /// Connects again, so many times in a row, when the server cannot be reached or closes the connection.
    #[must_use]
    pub fn retries(mut self, retries: u32, interval: Millis) -> Self {
        self.address = Address { retries: Some(retries), retry_interval: interval, ..self.address };
        self
    }

    /// Connects again and again; the source never ends.
    #[must_use]
    pub fn retry_forever(mut self, interval: Millis) -> Self {
        self.address = Address { retries: None, retry_interval: interval, ..self.address };
        self
    }
}

impl Source for SocketSource {
    type Out = String;
    type Split = SocketSplit;
    type EnumeratorState = bool;

    fn boundedness(&self) -> Boundedness {
        Boundedness::ContinuousUnbounded
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<SocketSplit, bool>>> {
        Ok(Box::new(SocketEnumerator::default()))
    }

    fn restore_enumerator(&self, given: bool) -> Result<Box<dyn SplitEnumerator<SocketSplit, bool>>> {
        Ok(Box::new(SocketEnumerator { given }))
    }

    fn create_reader(&self, _cx: &RuntimeContext) -> Result<Box<dyn SourceReader<String, SocketSplit>>> {
        Ok(Box::new(SocketReader::new(self.clone())))
    }
}

/// Writes each record as it displays itself, with a line break, to a TCP connection (Flink's `SocketClientSink`).
#[derive(Clone, Debug)]
pub struct SocketSink<T> {
    address: Address,
    record: PhantomData<fn(T)>,
}

impl<T> SocketSink<T> {
    /// Lines to this server; each subtask connects.
    pub fn new(host: &str, port: u16) -> Self {
        Self { address: Address::new(host, port), record: PhantomData }
    }

    /// Connects again, so many times in a row, when the server cannot be reached or closes the connection; the batch that failed is
    /// written again.
    #[must_use]
    pub fn retries(mut self, retries: u32, interval: Millis) -> Self {
        self.address = Address { retries: Some(retries), retry_interval: interval, ..self.address };
        self
    }
}

impl<T: Record + Display> Sink for SocketSink<T> {
    type In = T;

    fn create_writer(&self, _cx: &RuntimeContext) -> Result<Box<dyn SinkWriter<T>>> {
        Ok(Box::new(SocketWriter::connect(self.address.clone())?))
    }
}
