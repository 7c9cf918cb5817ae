//! Reads a connection on a thread of its own, and takes what it has read.

use super::config::SocketSource;
use super::link::{Link, Taken};
use brisk_base::{Error, Result, ResultExt};
use brisk_core::operator::SourcePoll;
use brisk_core::source::{EnumeratorContext, ReaderContext, SourceOutput, SourceReader, SourceSplit, SplitEnumerator};
use brisk_core::types::Record;
use brisk_formats::{MAX_LINE_BYTES, excerpt};
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The connection: there is one, and nothing of it can be read again.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct SocketSplit {}

impl SourceSplit for SocketSplit {
    fn split_id(&self) -> String {
        "socket".to_owned()
    }
}

/// Gives the one split to the first who asks.
#[derive(Default)]
pub(super) struct SocketEnumerator {
    pub(super) given: bool,
}

impl SplitEnumerator<SocketSplit, bool> for SocketEnumerator {
    fn handle_split_request(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, SocketSplit>) -> Result<()> {
        if !std::mem::replace(&mut self.given, true) {
            cx.assign_split(SocketSplit {}, subtask);
        }
        cx.signal_no_more_splits(subtask);
        Ok(())
    }

    fn add_splits_back(&mut self, splits: Vec<SocketSplit>, _subtask: u32) {
        self.given &= splits.is_empty();
    }

    fn snapshot(&mut self) -> Result<bool> {
        Ok(self.given)
    }
}

/// See the module.
pub(super) struct SocketReader {
    config: Arc<SocketSource>,
    /// Whether the split is this reader's.
    reads: bool,
    /// The thread and its queue, once begun.
    thread: Option<(JoinHandle<()>, Arc<Link>)>,
    no_more: bool,
}

impl SocketReader {
    pub(super) fn new(config: SocketSource) -> Self {
        Self { config: Arc::new(config), reads: false, thread: None, no_more: false }
    }

    fn link(&mut self, cx: &ReaderContext<'_>) -> Result<Arc<Link>> {
        if let Some((_, link)) = &self.thread {
            return Ok(Arc::clone(link));
        }
        let link = Arc::new(Link::default());
        let (config, thread_link) = (Arc::clone(&self.config), Arc::clone(&link));
        let body = move || {
            let result = read_all(&config, &thread_link).context(|| config.address.place());
            thread_link.end(result);
        };
        let handle = cx.runtime.world.spawner.spawn("brisk-socket", Box::new(body)).context(|| "a thread for the socket source")?;
        self.thread = Some((handle, Arc::clone(&link)));
        Ok(link)
    }
}

impl SourceReader<String, SocketSplit> for SocketReader {
    fn poll_next(&mut self, cx: &mut ReaderContext<'_>, out: &mut SourceOutput<String>) -> Result<SourcePoll> {
        if !self.reads {
            return Ok(if self.no_more { SourcePoll::Finished } else { SourcePoll::Waiting });
        }
        let rows = out.full_batch();
        match self.link(cx)?.take(rows, &mut out.rows_mut().values, cx.waker)? {
            Taken::Records => Ok(SourcePoll::More),
            Taken::Nothing => Ok(SourcePoll::Waiting),
            Taken::Ended => Ok(SourcePoll::Finished),
        }
    }

    fn add_splits(&mut self, splits: Vec<SocketSplit>) -> Result<()> {
        self.reads |= !splits.is_empty();
        Ok(())
    }

    fn no_more_splits(&mut self) {
        self.no_more = true;
    }

    fn snapshot(&self) -> Vec<SocketSplit> {
        if self.reads { vec![SocketSplit {}] } else { Vec::new() }
    }

    fn close(&mut self) -> Result<()> {
        let Some((handle, link)) = self.thread.take() else { return Ok(()) };
        link.close();
        // Not joined: the thread may be inside a connection attempt, which ends by itself after CONNECT_TIMEOUT.
        drop(handle);
        Ok(())
    }
}

/// How long one attempt to connect may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn connect(host: &str, port: u16) -> Result<TcpStream> {
    let mut last = Error::transient("the name has no address; check the host");
    for address in (host, port).to_socket_addrs().map_err(|error| Error::transient(format!("the host is not found: {error}")))? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Error::transient(format!("cannot connect: {error}; is the server running?")),
        }
    }
    Err(last)
}

/// Reads connections until there is no further attempt, or the link is closed.
fn read_all(config: &SocketSource, link: &Link) -> Result<()> {
    let mut attempts = 0;
    let mut pending = Vec::new();
    loop {
        let result = match connect(&config.address.host, config.address.port) {
            Ok(stream) => read_connection(config, stream, link, &mut pending, &mut attempts),
            Err(error) => Err(error),
        };
        match result {
            Ok(false) => return Ok(()),
            Err(error) if error.kind() == brisk_base::ErrorKind::User => return Err(error),
            _ => {}
        }
        if config.address.retries.is_some_and(|retries| attempts >= retries) {
            // As in Flink, what came after the last delimiter is a record too.
            if !pending.is_empty() {
                link.put(vec![record(&pending, config)?]);
            }
            return result.map(drop);
        }
        attempts += 1;
        if !link.pause(config.address.retry_interval.to_duration()) {
            return Ok(());
        }
    }
}

/// Reads to the end of one connection. False when the link is closed.
fn read_connection(config: &SocketSource, mut stream: TcpStream, link: &Link, pending: &mut Vec<u8>, attempts: &mut u32) -> Result<bool> {
    if !link.connected(stream.try_clone()?) {
        return Ok(false);
    }
    let mut block = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut block).map_err(|error| Error::transient(format!("cannot read: {error}")))?;
        if read == 0 {
            return Ok(link.pause(Duration::ZERO));
        }
        *attempts = 0;
        pending.extend_from_slice(&block[..read]);
        let records = cut(pending, config)?;
        if !records.is_empty() && !link.put(records) {
            return Ok(false);
        }
    }
}

/// Takes whole records from the front of `pending`.
fn cut(pending: &mut Vec<u8>, config: &SocketSource) -> Result<Vec<String>> {
    let delimiter = config.delimiter.as_slice();
    let (mut records, mut from) = (Vec::new(), 0);
    while let Some(length) = pending[from..].windows(delimiter.len()).position(|window| window == delimiter) {
        records.push(record(&pending[from..from + length], config)?);
        from += length + delimiter.len();
    }
    pending.drain(..from);
    if pending.len() > MAX_LINE_BYTES {
        return Err(Error::user(format!("a line is longer than {MAX_LINE_BYTES} bytes; is the delimiter right?")));
    }
    Ok(records)
}

fn record(bytes: &[u8], config: &SocketSource) -> Result<String> {
    let bytes = if config.delimiter == b"\n" { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let (at, shown) = (error.valid_up_to(), excerpt(&String::from_utf8_lossy(bytes)));
            Err(Error::user(format!("no UTF-8 at byte {at} of the line {shown}; let the server send UTF-8")))
        }
    }
}
