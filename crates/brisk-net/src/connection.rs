//! A connection over TCP, and how tasks use it.
//!
//! Two threads serve a connection: one reads and never waits for anybody but the other side, since credit guarantees room; one writes.
//! Tasks poll: [`BatchSender::poll_send`] and [`BatchReceiver::poll_receive`] wake them when it is worth trying again.

use crate::credit::Window;
use crate::multiplexer::{ChannelId, Event, Multiplexer, Received};
use brisk_base::world::World;
use brisk_base::{Error, Result};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

/// Bytes that are read or written at once.
const CHUNK: usize = 256 << 10;

/// Takes the channels that the other side opens: descriptor and receiver. Called by the thread that reads, which must not be held up.
/// A receiver that is dropped rejects its channel.
pub type Incoming = Box<dyn FnMut(Vec<u8>, BatchReceiver) + Send>;

/// One connection to another process. Dropped, it is closed, and what is open on it fails.
pub struct Connection {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to be written, or no more.
    output: Condvar,
    stream: TcpStream,
}

struct State {
    multiplexer: Multiplexer,
    /// Tasks that wait for room, by channel.
    senders: BTreeMap<ChannelId, Waker>,
    /// Tasks that wait for batches, by channel.
    receivers: BTreeMap<ChannelId, Waker>,
    /// Whether the connection is over.
    over: bool,
}

impl Connection {
    /// Serves a stream that has just been connected, on either side. Batches are compressed if `compress`.
    ///
    /// # Errors
    /// When there are no threads to be had, or the stream is broken.
    pub fn start(stream: TcpStream, compress: bool, world: &World, incoming: Incoming) -> Result<Self> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr().map_or_else(|_| "a peer that is gone".to_owned(), |peer| peer.to_string());
        let (reading, writing) = (stream.try_clone()?, stream.try_clone()?);
        let state = State { multiplexer: Multiplexer::new(compress), senders: BTreeMap::new(), receivers: BTreeMap::new(), over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), output: Condvar::new(), stream });
        let mut connection = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        let reader = Arc::clone(&shared);
        let (name, place) = (format!("brisk-net-in {peer}"), format!("connection with {peer}"));
        let read = move || {
            let error = reader.read(reading, incoming);
            reader.lose(error.context(place));
        };
        connection.threads.push(world.spawner.spawn(&name, Box::new(read))?);
        let place = format!("connection with {peer}");
        let write = move || {
            if let Err(error) = shared.write(writing) {
                shared.lose(error.with_kind(brisk_base::ErrorKind::Transient).context(place));
            }
        };
        connection.threads.push(world.spawner.spawn(&format!("brisk-net-out {peer}"), Box::new(write))?);
        Ok(connection)
    }

    /// Opens a channel. Batches can be sent once the other side has accepted it.
    ///
    /// # Errors
    /// When the connection has failed, or the descriptor is too large.
    pub fn open(&self, descriptor: &[u8]) -> Result<BatchSender> {
        let channel = self.shared.state().multiplexer.open(descriptor)?;
        self.shared.output.notify_one();
        Ok(BatchSender { shared: Arc::clone(&self.shared), channel, ended: false })
    }

    /// Closes it, whoever still holds it: what is open on it fails.
    pub fn close(&self) {
        self.shared.lose(Error::transient("the connection was closed here"));
    }

    /// Whether the connection is over.
    pub fn is_over(&self) -> bool {
        self.shared.state().over
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.lose(Error::transient("the connection was closed here"));
        for thread in self.threads.drain(..) {
            // A receiver that closes its own connection runs on the thread that reads.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of a connection has panicked");
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until the connection is over; why.
    fn read(self: &Arc<Self>, mut stream: TcpStream, mut incoming: Incoming) -> Error {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = match stream.read(&mut buffer) {
                Ok(0) => return Error::transient("the other side has closed it"),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Error::transient(error.to_string()),
            };
            let fed = self.state().multiplexer.feed(&buffer[..count]);
            let events = match fed {
                Ok(events) => events,
                Err(error) => return error,
            };
            for event in events {
                if let Event::Opened(channel, descriptor) = event {
                    incoming(descriptor, BatchReceiver { shared: Arc::clone(self), channel, ended: false });
                } else {
                    self.wake([event]);
                }
            }
            self.output.notify_one();
        }
    }

    /// Writes until the connection is over.
    fn write(&self, mut stream: TcpStream) -> Result<()> {
        let mut out = Vec::new();
        loop {
            let mut state = self.state();
            while !state.over && !state.multiplexer.has_output() {
                state = self.output.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.over {
                return Ok(());
            }
            out.clear();
            let events = state.multiplexer.take_output(CHUNK, &mut out);
            drop(state);
            self.wake(events);
            stream.write_all(&out)?;
        }
    }

    /// Wakes the tasks that may have waited for these.
    fn wake(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let waker = {
                let mut state = self.state();
                match event {
                    Event::Readable(channel) => state.receivers.remove(&channel),
                    Event::Writable(channel) => state.senders.remove(&channel),
                    Event::Opened(..) => None,
                }
            };
            // A waker may run anything: the lock is free.
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// The connection is over. The first reason counts.
    fn lose(&self, error: Error) {
        let events = {
            let mut state = self.state();
            state.over = true;
            state.multiplexer.lose(&error)
        };
        self.output.notify_all();
        // It may be closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.wake(events);
    }
}

/// The end of a channel at which batches are sent. Dropped before it is [finished](Self::finish), it fails the channel.
pub struct BatchSender {
    shared: Arc<Shared>,
    channel: ChannelId,
    ended: bool,
}

impl BatchSender {
    /// Sends a batch, once the receiver has room for it.
    ///
    /// # Errors
    /// When the channel has failed, or the batch is too large.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, batch: &[u8]) -> Poll<Result<()>> {
        let mut state = self.shared.state();
        match state.multiplexer.send(self.channel, batch) {
            Ok(true) => {}
            Ok(false) => {
                state.senders.insert(self.channel, cx.waker().clone());
                return Poll::Pending;
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
        drop(state);
        self.shared.output.notify_one();
        Poll::Ready(Ok(()))
    }

    /// Whether there is room for a small batch: who asks first does not encode in vain.
    ///
    /// # Errors
    /// When the channel has failed.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.shared.state();
        match state.multiplexer.has_room(self.channel) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                state.senders.insert(self.channel, cx.waker().clone());
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Whether the whole connection is over, and not this channel alone.
    pub fn is_connection_over(&self) -> bool {
        self.shared.state().over
    }

    /// Everything has been sent.
    pub fn finish(mut self) {
        self.ended = true;
        self.shared.state().multiplexer.finish(self.channel);
        self.shared.output.notify_one();
    }
}

impl Drop for BatchSender {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if !self.ended {
            state.multiplexer.fail(self.channel, "it was dropped before its end");
        }
        let waker = state.senders.remove(&self.channel);
        drop(state);
        drop(waker);
        self.shared.output.notify_one();
    }
}

/// The end of a channel at which batches arrive. Dropped before the channel's end, it rejects what is still to come.
pub struct BatchReceiver {
    shared: Arc<Shared>,
    channel: ChannelId,
    ended: bool,
}

impl BatchReceiver {
    /// Accepts the channel: this much may be under way.
    pub fn accept(&mut self, window: Window) {
        self.shared.state().multiplexer.accept(self.channel, window);
        self.shared.output.notify_one();
    }

    /// Rejects the channel.
    pub fn reject(mut self, why: &str) {
        self.ended = true;
        self.shared.state().multiplexer.reject(self.channel, why);
        self.shared.output.notify_one();
    }

    /// Whether the whole connection is over, and not this channel alone.
    pub fn is_connection_over(&self) -> bool {
        self.shared.state().over
    }

    /// The next batch; `None` behind the last.
    ///
    /// # Errors
    /// When the channel has failed.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>>>> {
        let mut state = self.shared.state();
        let received = match state.multiplexer.receive(self.channel) {
            Received::Batch(batch) => Some(Ok(batch)),
            Received::Finished => None,
            Received::Failed(error) => Some(Err(error)),
            Received::Nothing => {
                state.receivers.insert(self.channel, cx.waker().clone());
                return Poll::Pending;
            }
        };
        drop(state);
        self.shared.output.notify_one();
        Poll::Ready(received)
    }
}

impl Drop for BatchReceiver {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if !self.ended {
            state.multiplexer.reject(self.channel, "its receiver is gone");
        }
        let waker = state.receivers.remove(&self.channel);
        drop(state);
        drop(waker);
        self.shared.output.notify_one();
    }
}
