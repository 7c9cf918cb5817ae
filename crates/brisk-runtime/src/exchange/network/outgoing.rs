//! The producers' side: connections with other processes, and channels over them.

use super::{Endpoint, codec, lock};
use crate::exchange::Sent;
use brisk_base::{Error, ErrorKind, Result};
use brisk_core::element::Element;
use brisk_net::{BatchSender, Connection};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The connection with a process.
pub(super) struct Peer {
    endpoint: Endpoint,
    state: Mutex<State>,
}

enum State {
    /// It is being made; who waits for it.
    Dialling(Vec<Waker>),
    /// It is there.
    Connected(Arc<Connection>),
    /// It could not be made.
    Failed(ErrorKind, String),
}

impl Peer {
    /// A connection that is being made.
    pub(super) const fn dialling(endpoint: Endpoint) -> Self {
        Self { endpoint, state: Mutex::new(State::Dialling(Vec::new())) }
    }

    /// A connection that the other side has made.
    pub(super) const fn accepted(host: u128, connection: Arc<Connection>) -> Self {
        Self { endpoint: Endpoint { host, address: String::new() }, state: Mutex::new(State::Connected(connection)) }
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What came of dialling.
    pub(super) fn connected(&self, connection: Result<Arc<Connection>>) {
        let next = match connection {
            Ok(connection) => State::Connected(connection),
            Err(error) => State::Failed(error.kind(), error.to_string()),
        };
        let before = std::mem::replace(&mut *lock(&self.state), next);
        match before {
            State::Dialling(waiting) => waiting.into_iter().for_each(Waker::wake),
            State::Connected(connection) => connection.close(),
            State::Failed(..) => {}
        }
    }

    /// Closes it, whoever still holds it.
    pub(super) fn close(&self) {
        self.connected(Err(Error::transient("the job has ended in this process")));
    }

    /// Whether it is of no use any more.
    pub(super) fn is_over(&self) -> bool {
        match &*lock(&self.state) {
            State::Dialling(_) => false,
            State::Connected(connection) => connection.is_over(),
            State::Failed(..) => true,
        }
    }

    fn poll_open(&self, descriptor: &[u8], waker: &Waker) -> Poll<Result<BatchSender>> {
        match &mut *lock(&self.state) {
            State::Dialling(waiting) => {
                if !waiting.iter().any(|other| other.will_wake(waker)) {
                    waiting.push(waker.clone());
                }
                Poll::Pending
            }
            State::Connected(connection) => Poll::Ready(connection.open(descriptor)),
            State::Failed(kind, why) => Poll::Ready(Err(Error::new(*kind, why.clone()))),
        }
    }
}

/// One producer's end of a channel to a task of another process.
pub struct RemoteChannel {
    peer: Arc<Peer>,
    descriptor: Vec<u8>,
    sending: Mutex<Sending>,
}

#[derive(Default)]
struct Sending {
    /// Known once the channel has been opened.
    sender: Option<BatchSender>,
    /// The consumer wants no more.
    closed: bool,
    /// Bytes of the element at hand; kept for its memory.
    encoded: Vec<u8>,
}

impl RemoteChannel {
    pub(super) fn new(peer: Arc<Peer>, descriptor: Vec<u8>) -> Self {
        Self { peer, descriptor, sending: Mutex::default() }
    }

    /// Sends an element, or gives it back when there is no room.
    pub(in crate::exchange) fn send(&self, element: Element, producer: &Waker) -> Sent {
        let mut sending = lock(&self.sending);
        if sending.closed {
            return Sent::Closed;
        }
        match self.poll_send(&mut sending, &element, producer) {
            Poll::Ready(Ok(())) => Sent::Accepted(sending.encoded.len()),
            Poll::Pending => Sent::Refused(element),
            Poll::Ready(Err(error)) => match &sending.sender {
                Some(sender) if !sender.is_connection_over() => {
                    // The consumer alone is gone: whoever has ended it will end this producer, too.
                    tracing::debug!(%error, "a channel to another process is closed");
                    sending.closed = true;
                    sending.sender = None;
                    Sent::Closed
                }
                _ => Sent::Failed(error.with_kind(ErrorKind::Transient)),
            },
        }
    }

    fn poll_send(&self, sending: &mut Sending, element: &Element, producer: &Waker) -> Poll<Result<()>> {
        let sender = match &mut sending.sender {
            Some(sender) => sender,
            none => match self.peer.poll_open(&self.descriptor, producer) {
                Poll::Ready(Ok(sender)) => none.insert(sender),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            },
        };
        let mut cx = Context::from_waker(producer);
        match sender.poll_ready(&mut cx) {
            Poll::Ready(Ok(())) => {}
            other => return other,
        }
        sending.encoded.clear();
        codec::encode(element, &mut sending.encoded);
        sender.poll_send(&mut cx, &sending.encoded)
    }
}

impl Drop for RemoteChannel {
    /// However the producer has ended: what that means the JobMaster says.
    fn drop(&mut self) {
        if let Some(sender) = lock(&self.sending).sender.take() {
            sender.finish();
        }
    }
}
