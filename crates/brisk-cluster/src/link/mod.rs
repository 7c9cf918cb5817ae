//! A link: the control connection of two processes, over which their actors reach each other.
//!
//! | what | file |
//! |---|---|
//! | [`Link`]: exported actors, requests that wait for answers, heartbeats | here |
//! | what carries its frames: a connection, or the simulator's network | [`carrier`] |
//! | who dials, who accepts, and what they say first | [`handshake`] |
//!
//! An [`Address`] that is put into a message is exported: the other side gets a number, and what it sends there comes to the actor, until it
//! has let go of all that it got. So the components do not know whether they share a process. A [`Reply`] travels as the number of a request; its answer must come within
//! `pekko.ask.timeout`. Messages of a link keep their order.
//!
//! Invariants: each frame carries the session of the link, and what is of another one ends the link; frames are numbered: one that comes again
//! is not heard, and one that is missing ends the link; what waits to be sent is bounded; what
//! arrives is checked before it is believed, and what is wrong ends the link with an error; a link that is over stays so, and its end is
//! told once.

pub mod carrier;
pub mod handshake;
#[cfg(test)]
mod tests;

use self::carrier::{Carrier, FrameReceiver, FrameSender};
use crate::transport::address::{ActorKey, RemoteActor};
use crate::transport::{Actor, ActorContext, Address, Reply};
use crate::wire::{Input, Output, Wire};
use brisk_base::world::{MonoTime, World};
use brisk_base::{Error, ErrorKind, Result, ResultExt};
use brisk_core::types::{Decoder, put_varint};
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Version of the protocol between the processes of a cluster.
pub const PROTOCOL_VERSION: u32 = 3;

/// Where the number of a frame stands: behind the session.
const NUMBER: std::ops::Range<usize> = 16..24;

/// Bytes that may wait to be sent; beyond that, the other side does not read, and is given up.
const MOST_WAITING: usize = 256 << 20;

/// The number of the actor that each side exports from the beginning.
const ROOT: u64 = 0;

const MESSAGE: u8 = 1;
const ANSWER: u8 = 2;
const NO_ANSWER: u8 = 3;
const HEARTBEAT: u8 = 4;
const FAREWELL: u8 = 5;
const RELEASE: u8 = 6;

/// Numbers the links of this process.
static NEXT_LINK: AtomicU64 = AtomicU64::new(1);

/// How long things may take on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkTimes {
    /// Between heartbeats.
    pub heartbeat_interval: Duration,
    /// Without a sign of life.
    pub heartbeat_timeout: Duration,
    /// Until an answer.
    pub ask_timeout: Duration,
}

/// Hears why a link is over.
pub type OnLost = Box<dyn FnOnce(Error) + Send>;

/// See the module.
pub struct Link {
    /// Tells links of this process from one another.
    number: u64,
    /// The other side, for messages.
    peer: String,
    /// Agreed on at the handshake; the JobManager's are those of its leadership.
    session: u128,
    world: World,
    times: LinkTimes,
    outgoing: Mutex<Outgoing>,
    incoming: Mutex<Option<Box<dyn FrameReceiver>>>,
    /// The number of the next frame that is to be heard. Held while one is.
    expected: Mutex<u64>,
    exports: Mutex<Exports>,
    requests: Mutex<Requests>,
    /// When something was heard last.
    heard: AtomicU64,
    over: AtomicBool,
    on_lost: Mutex<Option<OnLost>>,
    /// Dropped when the link is over.
    connection: Mutex<Option<Box<dyn Any + Send>>>,
}

struct Outgoing {
    /// `None` once the link is over.
    sender: Option<Box<dyn FrameSender>>,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The number of the next frame.
    next: u64,
}

/// Decodes a message and delivers it.
type Deliver = Arc<dyn Fn(&mut Input<'_>) -> Result<()> + Send + Sync>;

#[derive(Default)]
struct Exports {
    next: u64,
    by_key: BTreeMap<ActorKey, u64>,
    table: BTreeMap<u64, Export>,
}

/// An actor that the other side may send to.
struct Export {
    deliver: Deliver,
    key: ActorKey,
    /// How often it has been exported and not been let go.
    held: u64,
}

/// Decodes an answer and gives it to whoever asked; `None`: there will not be one.
type TakeAnswer = Box<dyn FnOnce(Option<&mut Input<'_>>) -> Result<()> + Send>;

#[derive(Default)]
struct Requests {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    until: MonoTime,
    take: TakeAnswer,
}

/// Looks after a link: sends heartbeats, misses those of the other side, and gives up requests.
pub struct LinkKeeper(pub Arc<Link>);

/// Time for the [`LinkKeeper`] to look.
pub struct KeepLink;

impl Actor for LinkKeeper {
    type Message = KeepLink;

    fn handle(&mut self, _message: KeepLink, cx: &mut ActorContext<'_>) {
        if self.0.look_after() {
            let pause = self.0.times.heartbeat_interval.min(self.0.times.ask_timeout / 4).max(Duration::from_millis(1));
            cx.send_self_after(pause, KeepLink);
        } else {
            cx.stop();
        }
    }
}

impl Link {
    /// The link over what carries its frames. `root` is the actor that the other side knows from the beginning; `on_lost` hears of the end.
    pub fn over<M: Wire + Send + 'static>(
        carrier: Carrier,
        peer: String,
        session: u128,
        (world, times): (&World, LinkTimes),
        root: &Address<M>,
        on_lost: OnLost,
    ) -> Arc<Self> {
        let Carrier { sender, receiver, connection } = carrier;
        let link = Arc::new(Self {
            number: NEXT_LINK.fetch_add(1, Ordering::Relaxed),
            peer,
            session,
            world: world.clone(),
            times,
            outgoing: Mutex::new(Outgoing { sender: Some(sender), waiting: VecDeque::new(), bytes: 0, next: 0 }),
            incoming: Mutex::new(Some(receiver)),
            expected: Mutex::new(0),
            exports: Mutex::default(),
            requests: Mutex::default(),
            heard: AtomicU64::new(world.mono().0),
            over: AtomicBool::new(false),
            on_lost: Mutex::new(Some(on_lost)),
            connection: Mutex::new(connection),
        });
        const { assert!(MOST_WAITING > 64 << 20, "at least one frame of any size may wait") };
        link.export_root(root);
        link.drain();
        link
    }

    /// The other side, for messages.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The session that both sides have agreed on.
    pub const fn session(&self) -> u128 {
        self.session
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// When something was heard last.
    pub fn heard(&self) -> MonoTime {
        MonoTime(self.heard.load(Ordering::Relaxed))
    }

    /// The actor that the other side has exported from the beginning.
    pub fn root<M: Wire + Send + 'static>(self: &Arc<Self>) -> Address<M> {
        Address::remote(Arc::new(Exported { link: Arc::clone(self), number: ROOT }))
    }

    /// Ends it, and tells the other side why.
    pub fn close(self: &Arc<Self>, why: &str) {
        let mut frame = self.frame(FAREWELL);
        frame.extend_from_slice(why.as_bytes());
        self.send_frame(frame);
        self.lose(Error::transient(format!("it was closed here: {why}")));
    }

    fn frame(&self, kind: u8) -> Vec<u8> {
        let mut frame = self.session.to_le_bytes().to_vec();
        // Its number is known when it is sent.
        frame.extend_from_slice(&[0; NUMBER.end - NUMBER.start]);
        frame.push(kind);
        frame
    }

    fn send_message<M: Wire>(self: &Arc<Self>, number: u64, message: &M) {
        if self.is_over() {
            return;
        }
        let mut frame = self.frame(MESSAGE);
        put_varint(&mut frame, number);
        let mut out = Output::new(frame, self);
        message.put(&mut out);
        match out.finish() {
            Ok(frame) => self.send_frame(frame),
            Err(error) => tracing::error!(peer = self.peer, %error, "a message cannot be sent to another process"),
        }
    }

    fn send_frame(self: &Arc<Self>, mut frame: Vec<u8>) {
        if self.is_over() {
            return;
        }
        let mut outgoing = lock(&self.outgoing);
        frame[NUMBER].copy_from_slice(&outgoing.next.to_le_bytes());
        outgoing.next += 1;
        outgoing.bytes += frame.len();
        outgoing.waiting.push_back(frame);
        if outgoing.bytes > MOST_WAITING {
            drop(outgoing);
            return self.lose(Error::transient(format!("{MOST_WAITING} bytes wait to be sent: the other side does not read")));
        }
        drop(outgoing);
        self.pump();
    }

    /// Sends what there is room for.
    fn pump(self: &Arc<Self>) {
        let waker = Waker::from(Arc::new(Writable(Arc::downgrade(self))));
        let mut cx = Context::from_waker(&waker);
        let failed = {
            let mut outgoing = lock(&self.outgoing);
            let Outgoing { sender: Some(sender), waiting, bytes, .. } = &mut *outgoing else { return };
            loop {
                let Some(frame) = waiting.front() else { return };
                match sender.poll_send(&mut cx, frame) {
                    Poll::Ready(Ok(())) => {
                        *bytes -= frame.len();
                        waiting.pop_front();
                    }
                    Poll::Ready(Err(error)) => break error,
                    Poll::Pending => return,
                }
            }
        };
        self.lose(failed);
    }

    /// Takes what has arrived.
    fn drain(self: &Arc<Self>) {
        let waker = Waker::from(Arc::new(Readable(Arc::downgrade(self))));
        let mut cx = Context::from_waker(&waker);
        let mut expected = lock(&self.expected);
        loop {
            let received = {
                let mut incoming = lock(&self.incoming);
                let Some(receiver) = incoming.as_mut() else { return };
                receiver.poll_receive(&mut cx)
            };
            let frame = match received {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => return self.lose(error),
                Poll::Ready(None) => return self.lose(Error::transient("the other side has ended it")),
            };
            self.heard.store(self.world.mono().0, Ordering::Relaxed);
            if let Err(error) = self.take(&frame, &mut expected) {
                return self.lose(error);
            }
        }
    }

    fn take(self: &Arc<Self>, frame: &[u8], expected: &mut u64) -> Result<()> {
        let mut input = Input::new(Decoder::new(frame), self);
        let session = input.decoder.take_array().map(u128::from_le_bytes)?;
        if session != self.session {
            let message = format!("a message is of session {session:032x}, but this link is of {:032x}", self.session);
            return Err(Error::new(ErrorKind::Fenced, message));
        }
        let number = input.decoder.take_array().map(u64::from_le_bytes)?;
        if number < *expected {
            return Ok(());
        }
        if number > *expected {
            return Err(Error::transient(format!("frame {number} has come, but {expected} has not: what was said is lost")));
        }
        *expected += 1;
        match input.decoder.byte()? {
            MESSAGE => {
                let number = input.decoder.varint()?;
                let deliver = lock(&self.exports).table.get(&number).map(|export| Arc::clone(&export.deliver));
                let deliver =
                    deliver.ok_or_else(|| Error::corrupt(format!("a message is for actor {number}, which was never exported")))?;
                deliver(&mut input).context(|| "a message")
            }
            ANSWER => {
                let request = input.decoder.varint()?;
                // One that was given up is not waited for.
                let Some(waiting) = lock(&self.requests).waiting.remove(&request) else { return Ok(()) };
                (waiting.take)(Some(&mut input)).context(|| "an answer")
            }
            NO_ANSWER => {
                let request = input.decoder.varint()?;
                let waiting = lock(&self.requests).waiting.remove(&request);
                waiting.map_or(Ok(()), |waiting| (waiting.take)(None))
            }
            RELEASE => {
                let number = input.decoder.varint()?;
                // Dropping it may send something elsewhere: not under the lock.
                let released = lock(&self.exports).release(number);
                drop(released);
                Ok(())
            }
            HEARTBEAT => Ok(()),
            FAREWELL => {
                let why = String::from_utf8_lossy(input.decoder.take(input.decoder.remaining())?).into_owned();
                Err(Error::transient(format!("the other side has ended it: {why}")))
            }
            other => Err(Error::corrupt(format!("a frame of kind {other} is not of this protocol"))),
        }
    }

    /// Exports an actor; gives its number.
    pub(crate) fn export<M: Wire + Send + 'static>(&self, address: &Address<M>) -> u64 {
        let mut exports = lock(&self.exports);
        let key = address.key();
        if let Some(number) = exports.by_key.get(&key).copied() {
            exports.table.entry(number).and_modify(|export| export.held += 1);
            return number;
        }
        let number = exports.next.max(ROOT + 1);
        exports.next = number + 1;
        exports.by_key.insert(key, number);
        exports.table.insert(number, Export { deliver: deliver_to(address), key, held: 1 });
        number
    }

    /// Exports the actor that the other side knows from the beginning.
    fn export_root<M: Wire + Send + 'static>(&self, address: &Address<M>) {
        lock(&self.exports).table.insert(ROOT, Export { deliver: deliver_to(address), key: address.key(), held: 1 });
    }

    /// An actor of the other side, by its number.
    pub(crate) fn import<M: Wire + Send + 'static>(self: &Arc<Self>, number: u64) -> Address<M> {
        Address::remote(Arc::new(Exported { link: Arc::clone(self), number }))
    }

    /// Notes a request; gives the number that its answer will name.
    pub(crate) fn request<T: Wire + Send + 'static>(&self, reply: Reply<T>) -> u64 {
        let take = move |answer: Option<&mut Input<'_>>| {
            if let Some(input) = answer {
                reply.send(T::get(input)?);
            }
            Ok(())
        };
        let until = self.world.mono().after(self.times.ask_timeout);
        let mut requests = lock(&self.requests);
        let number = requests.next;
        requests.next += 1;
        if !self.is_over() {
            requests.waiting.insert(number, Waiting { until, take: Box::new(take) });
        }
        number
    }

    /// Takes the answer to a request of the other side.
    pub(crate) fn reply<T: Wire + Send + 'static>(self: &Arc<Self>, request: u64) -> Reply<T> {
        let link = Arc::clone(self);
        Reply::new(move |answer: Option<T>| {
            let mut frame = link.frame(if answer.is_some() { ANSWER } else { NO_ANSWER });
            put_varint(&mut frame, request);
            let mut out = Output::new(frame, &link);
            if let Some(answer) = answer {
                answer.put(&mut out);
            }
            match out.finish() {
                Ok(frame) => link.send_frame(frame),
                Err(error) => tracing::error!(peer = link.peer, %error, "an answer cannot be sent to another process"),
            }
        })
    }

    /// Sends a heartbeat, and looks whether those of the other side come. False when the link is over.
    fn look_after(self: &Arc<Self>) -> bool {
        if self.is_over() {
            return false;
        }
        let now = self.world.mono();
        let silent = now.since(self.heard());
        if silent > self.times.heartbeat_timeout {
            let timeout = self.times.heartbeat_timeout;
            self.lose(Error::transient(format!("nothing has been heard for {silent:.1?} ('heartbeat.timeout' is {timeout:?})")));
            return false;
        }
        let overdue: Vec<Waiting> = {
            let mut requests = lock(&self.requests);
            let overdue: Vec<u64> =
                requests.waiting.iter().filter(|(_, waiting)| waiting.until <= now).map(|(number, _)| *number).collect();
            overdue.iter().filter_map(|number| requests.waiting.remove(number)).collect()
        };
        if !overdue.is_empty() {
            tracing::warn!(peer = self.peer, requests = overdue.len(), "requests were not answered in time ('pekko.ask.timeout')");
        }
        drop(overdue);
        self.send_frame(self.frame(HEARTBEAT));
        true
    }

    /// It is over. The first reason counts.
    fn lose(self: &Arc<Self>, error: Error) {
        if self.over.swap(true, Ordering::AcqRel) {
            return;
        }
        let error = error.context(format!("link with {}", self.peer));
        let requests = std::mem::take(&mut lock(&self.requests).waiting);
        let exports = std::mem::take(&mut *lock(&self.exports));
        let sender = lock(&self.outgoing).sender.take();
        // Finished rather than dropped, so that what was said last is heard.
        sender.into_iter().for_each(FrameSender::finish);
        let receiver = lock(&self.incoming).take();
        let connection = lock(&self.connection).take();
        drop((requests, exports, receiver));
        if let Some(on_lost) = lock(&self.on_lost).take() {
            on_lost(error);
        }
        // Its threads may be what runs this: they are not waited for then.
        drop(connection);
    }
}

impl Exports {
    /// The other side has let go of one that it got.
    fn release(&mut self, number: u64) -> Option<Export> {
        let export = self.table.get_mut(&number).filter(|_| number != ROOT)?;
        export.held -= 1;
        if export.held > 0 {
            return None;
        }
        let released = self.table.remove(&number)?;
        self.by_key.remove(&released.key);
        Some(released)
    }
}

fn deliver_to<M: Wire + Send + 'static>(address: &Address<M>) -> Deliver {
    let address = address.for_new_sender();
    Arc::new(move |input: &mut Input<'_>| {
        let message = M::get(input)?;
        input.decoder.finish()?;
        address.send(message);
        Ok(())
    })
}

/// An actor that the other side of a link has exported.
struct Exported {
    link: Arc<Link>,
    number: u64,
}

impl<M: Wire> RemoteActor<M> for Exported {
    fn send(&self, message: M) {
        self.link.send_message(self.number, &message);
    }

    fn number(&self) -> (u64, u64) {
        (self.link.number, self.number)
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        if self.number != ROOT {
            let mut frame = self.link.frame(RELEASE);
            put_varint(&mut frame, self.number);
            self.link.send_frame(frame);
        }
    }
}

/// Has a link send on.
struct Writable(Weak<Link>);

impl Wake for Writable {
    fn wake(self: Arc<Self>) {
        if let Some(link) = self.0.upgrade() {
            link.pump();
        }
    }
}

/// Has a link take what has arrived.
struct Readable(Weak<Link>);

impl Wake for Readable {
    fn wake(self: Arc<Self>) {
        if let Some(link) = self.0.upgrade() {
            link.drain();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
