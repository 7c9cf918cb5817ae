//! The exchange between the processes of a job: elements as bytes over the channels of `brisk-net`.
//!
//! | what | file |
//! |---|---|
//! | [`NetworkExchange`]: who is where, connections, channels that come in | here |
//! | an element as bytes | `codec` |
//! | what producers hold | `outgoing` |
//! | what brings elements into a gate | `incoming` |
//!
//! Two processes share one connection, whoever has dialled. A channel is accepted once its consumer has made its operators, because only
//! they know how batches are read; until then credit holds the producer back. Invariant: elements of one channel keep their order, and what
//! is under way is bounded by the window of the channel and by the gate.
//!
//! A channel whose producer ends is finished, however the producer ended: what that means the JobMaster says. A connection that is lost
//! fails the tasks at both of its ends.

mod codec;
mod incoming;
mod outgoing;

pub use outgoing::RemoteChannel;

use self::incoming::Pump;
use self::outgoing::Peer;
use super::GateQueue;
use brisk_base::ids::JobId;
use brisk_base::world::World;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::batch::BatchType;
use brisk_core::types::{Decoder, put_varint};
use brisk_net::{BatchReceiver, Connection, Window};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// What a channel may have under way between two processes.
const WINDOW: Window = Window { bytes: 256 << 10, batches: 8 };

/// How long the first word of a connection may take.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);

/// Channels that may wait for consumers that have not come up.
const MOST_WAITING: usize = 1 << 16;

/// Version of what is said on these channels.
const VERSION: u8 = 1;

/// A process that runs tasks of a job, and where it takes batches.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Endpoint {
    /// Names the process; another one, also at the same address, has another name.
    pub host: u128,
    /// `host:port`.
    pub address: String,
}

/// In which process each subtask runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Locations {
    /// The processes.
    pub endpoints: Vec<Endpoint>,
    /// By vertex and subtask, the index of the process; beyond the end where it is not known.
    pub subtasks: Vec<Vec<u32>>,
}

impl Locations {
    /// Where a subtask runs.
    fn of(&self, vertex: usize, subtask: u32) -> Option<&Endpoint> {
        self.endpoints.get(*self.subtasks.get(vertex)?.get(subtask as usize)? as usize)
    }
}

/// An attempt of a subtask that takes batches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Consumer {
    vertex: u32,
    subtask: u32,
    attempt: u32,
}

/// See the module.
pub struct NetworkExchange {
    me: Endpoint,
    job: JobId,
    world: World,
    /// Whether batches are compressed.
    compress: bool,
    locations: Mutex<Arc<Locations>>,
    /// Connections by process.
    peers: Mutex<HashMap<u128, Arc<Peer>>>,
    /// Connections that others have dialled.
    accepted: Mutex<Vec<Arc<Connection>>>,
    consumers: Mutex<Consumers>,
    /// Whether this exchange is over.
    stopped: AtomicBool,
}

#[derive(Default)]
struct Consumers {
    /// Those that have come up.
    open: HashMap<Consumer, OpenGate>,
    /// Channels of those that have not.
    waiting: HashMap<Consumer, Vec<(u32, BatchReceiver)>>,
    /// Channels that wait.
    waiting_count: usize,
}

/// A gate that takes batches, and what brings them.
struct OpenGate {
    queue: Arc<GateQueue>,
    /// By channel, how its batches are read.
    types: Vec<Option<Arc<dyn BatchType>>>,
    pumps: Vec<Arc<Pump>>,
}

/// What the first channel of a connection, and each channel of batches, is opened with.
enum Descriptor {
    /// Who dials, and whom.
    Hello { job: JobId, from: u128, to: u128 },
    /// A channel of an attempt's gate.
    Channel { job: JobId, to: u128, consumer: Consumer, channel: u32 },
}

impl NetworkExchange {
    /// Listens on an address of this machine; others reach it as `external`, with the port that was found.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn start(world: &World, job: JobId, bind: (&str, u16), external: &str, compress: bool) -> Result<Arc<Self>> {
        let place = || format!("binding '{}:{}' for the exchange between processes", bind.0, bind.1);
        let listener = TcpListener::bind(bind).context(place)?;
        let port = listener.local_addr().context(place)?.port();
        let exchange = Arc::new(Self {
            me: Endpoint { host: world.random_id(), address: format!("{external}:{port}") },
            job,
            world: world.clone(),
            compress,
            locations: Mutex::default(),
            peers: Mutex::default(),
            accepted: Mutex::default(),
            consumers: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&exchange);
        world.spawner.spawn("brisk-data-accept", Box::new(move || accept(&listener, &weak)))?;
        Ok(exchange)
    }

    /// This process, as others reach it.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.me
    }

    /// Says where the subtasks run from now on.
    pub fn set_locations(&self, locations: Arc<Locations>) {
        *lock(&self.locations) = locations;
    }

    /// A channel to an attempt of a subtask that runs in another process; `None` if it runs in this one.
    pub(super) fn channel_to(self: &Arc<Self>, (vertex, subtask, attempt): (usize, u32, u32), channel: u32) -> Option<RemoteChannel> {
        let locations = Arc::clone(&lock(&self.locations));
        let endpoint = locations.of(vertex, subtask).filter(|endpoint| endpoint.host != self.me.host)?;
        let consumer = Consumer { vertex: vertex as u32, subtask, attempt };
        let descriptor = Descriptor::Channel { job: self.job, to: endpoint.host, consumer, channel }.encode();
        Some(RemoteChannel::new(self.peer(endpoint), descriptor))
    }

    /// The connection to a process; dialled when there is none.
    fn peer(self: &Arc<Self>, endpoint: &Endpoint) -> Arc<Peer> {
        let mut peers = lock(&self.peers);
        if let Some(peer) = peers.get(&endpoint.host).filter(|peer| !peer.is_over()) {
            return Arc::clone(peer);
        }
        let peer = Arc::new(Peer::dialling(endpoint.clone()));
        peers.insert(endpoint.host, Arc::clone(&peer));
        drop(peers);
        let (exchange, dialled) = (Arc::clone(self), Arc::clone(&peer));
        let dial = move || {
            let connected = exchange.dial(dialled.endpoint());
            dialled.connected(connected);
        };
        if let Err(error) = self.world.spawner.spawn("brisk-data-dial", Box::new(dial)) {
            peer.connected(Err(error.into()));
        }
        peer
    }

    fn dial(self: &Arc<Self>, endpoint: &Endpoint) -> Result<Arc<Connection>> {
        let place = || format!("connecting with the worker at {}", endpoint.address);
        let connect = || {
            let stream = TcpStream::connect(&endpoint.address).map_err(|error| Error::transient(error.to_string()))?;
            let connection = Connection::start(stream, self.compress, &self.world, self.incoming(None))?;
            let hello = Descriptor::Hello { job: self.job, from: self.me.host, to: endpoint.host };
            connection.open(&hello.encode())?.finish();
            Ok(Arc::new(connection))
        };
        connect().map_err(|error: Error| error.context(place()))
    }

    /// Serves a connection that another process has dialled, and uses it in the other direction, too.
    fn greet(self: &Arc<Self>, stream: TcpStream) -> Result<()> {
        let (sender, hello) = channel();
        let connection = Arc::new(Connection::start(stream, self.compress, &self.world, self.incoming(Some(sender)))?);
        let from = hello
            .recv_timeout(GREETING_PATIENCE)
            .map_err(|_| Error::corrupt("a connection was made that does not say who it is from; it is closed"))?;
        let mut accepted = lock(&self.accepted);
        accepted.retain(|connection| !connection.is_over());
        accepted.push(Arc::clone(&connection));
        drop(accepted);
        let mut peers = lock(&self.peers);
        if peers.get(&from).is_none_or(|peer| peer.is_over()) {
            peers.insert(from, Arc::new(Peer::accepted(from, connection)));
        }
        Ok(())
    }

    /// Takes the channels of a connection.
    fn incoming(self: &Arc<Self>, mut hello: Option<Sender<u128>>) -> brisk_net::Incoming {
        let weak = Arc::downgrade(self);
        Box::new(move |descriptor, receiver| {
            let Some(exchange) = weak.upgrade() else { return receiver.reject("the job has ended here") };
            match exchange.understand(&descriptor) {
                Ok(Descriptor::Hello { from, .. }) => {
                    // Whoever waits for it may have given up.
                    if let Some(hello) = hello.take() {
                        let _ = hello.send(from);
                    }
                }
                Ok(Descriptor::Channel { consumer, channel, .. }) => exchange.take(consumer, channel, receiver),
                Err(error) => {
                    tracing::warn!(%error, "a channel from another process is refused");
                    receiver.reject(&error.to_string());
                }
            }
        })
    }

    fn understand(&self, bytes: &[u8]) -> Result<Descriptor> {
        let descriptor = Descriptor::decode(bytes).context(|| "descriptor of a channel")?;
        let (Descriptor::Hello { job, to, .. } | Descriptor::Channel { job, to, .. }) = &descriptor;
        if *job != self.job || *to != self.me.host {
            let kind = brisk_base::ErrorKind::Fenced;
            return Err(Error::new(kind, format!("it is meant for another worker or job ({job}) than this one's ({})", self.job)));
        }
        Ok(descriptor)
    }

    fn take(&self, consumer: Consumer, channel: u32, receiver: BatchReceiver) {
        let mut consumers = lock(&self.consumers);
        let newer = consumers
            .open
            .keys()
            .any(|open| (open.vertex, open.subtask) == (consumer.vertex, consumer.subtask) && open.attempt > consumer.attempt);
        if newer {
            return receiver.reject("a later attempt of the task runs here");
        }
        let Some(gate) = consumers.open.get_mut(&consumer) else {
            if consumers.waiting_count >= MOST_WAITING {
                return receiver.reject("too many channels wait for their consumers");
            }
            consumers.waiting_count += 1;
            return consumers.waiting.entry(consumer).or_default().push((channel, receiver));
        };
        let pump = gate.pump(channel, receiver);
        drop(consumers);
        pump.into_iter().for_each(|pump| pump.start());
    }

    /// The consumer has made its operators: batches may come. `types` says for each of its channels how they are read.
    pub(super) fn open(&self, at: (usize, u32, u32), queue: Arc<GateQueue>, types: Vec<Option<Arc<dyn BatchType>>>) {
        let consumer = Consumer { vertex: at.0 as u32, subtask: at.1, attempt: at.2 };
        let mut gate = OpenGate { queue, types, pumps: Vec::new() };
        let mut consumers = lock(&self.consumers);
        let stale =
            |other: &Consumer| (other.vertex, other.subtask) == (consumer.vertex, consumer.subtask) && other.attempt < consumer.attempt;
        let old: Vec<Consumer> = consumers.waiting.keys().filter(|other| stale(other)).copied().collect();
        let dropped: Vec<_> = old.iter().filter_map(|other| consumers.waiting.remove(other)).collect();
        consumers.waiting_count -= dropped.iter().map(Vec::len).sum::<usize>();
        let waiting = consumers.waiting.remove(&consumer).unwrap_or_default();
        consumers.waiting_count -= waiting.len();
        let pumps: Vec<_> = waiting.into_iter().filter_map(|(channel, receiver)| gate.pump(channel, receiver)).collect();
        consumers.open.insert(consumer, gate);
        drop(consumers);
        drop(dropped);
        pumps.into_iter().for_each(|pump| pump.start());
    }

    /// The consumer is over.
    pub(super) fn close(&self, at: (usize, u32, u32)) {
        let consumer = Consumer { vertex: at.0 as u32, subtask: at.1, attempt: at.2 };
        let mut consumers = lock(&self.consumers);
        let gate = consumers.open.remove(&consumer);
        let waiting = consumers.waiting.remove(&consumer).unwrap_or_default();
        consumers.waiting_count -= waiting.len();
        drop(consumers);
        gate.into_iter().flat_map(|gate| gate.pumps).for_each(|pump| pump.stop());
        drop(waiting);
    }

    /// Closes all connections and takes no more.
    pub fn stop(&self) {
        if !self.stopped.swap(true, Ordering::AcqRel) {
            let peers = std::mem::take(&mut *lock(&self.peers));
            let accepted = std::mem::take(&mut *lock(&self.accepted));
            peers.values().for_each(|peer| peer.close());
            accepted.iter().for_each(|connection| connection.close());
            wake_acceptor(&self.me.address);
        }
    }
}

impl Drop for NetworkExchange {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whoever accepts looks whether it is to end when somebody comes.
fn wake_acceptor(address: &str) {
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).unwrap_or_default();
    drop(TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1)));
}

fn accept(listener: &TcpListener, exchange: &Weak<NetworkExchange>) {
    for stream in listener.incoming() {
        let Some(exchange) = exchange.upgrade().filter(|exchange| !exchange.stopped.load(Ordering::Acquire)) else { return };
        let Ok(stream) = stream else { continue };
        let world = exchange.world.clone();
        let greet = move || {
            if let Err(error) = exchange.greet(stream) {
                tracing::warn!(%error, "a connection for the exchange between processes is closed");
            }
        };
        if let Err(error) = world.spawner.spawn("brisk-data-greet", Box::new(greet)) {
            tracing::warn!(%error, "a connection cannot be served");
        }
    }
}

impl OpenGate {
    /// Brings what a channel carries into the gate; `None` for a channel that there is not.
    fn pump(&mut self, channel: u32, receiver: BatchReceiver) -> Option<Arc<Pump>> {
        let Some(batch_type) = self.types.get(channel as usize) else {
            receiver.reject("the task has no such channel");
            return None;
        };
        let pump = Arc::new(Pump::new(Arc::clone(&self.queue), channel, batch_type.clone(), receiver));
        self.pumps.push(Arc::clone(&pump));
        Some(pump)
    }
}

impl Descriptor {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Hello { job, from, to } => {
                out.push(0);
                [job.0, *from, *to].iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
            }
            Self::Channel { job, to, consumer, channel } => {
                out.push(1);
                [job.0, *to].iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
                let Consumer { vertex, subtask, attempt } = consumer;
                [vertex, subtask, attempt, channel].iter().for_each(|number| put_varint(&mut out, u64::from(**number)));
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut input = Decoder::new(bytes);
        let version = input.byte()?;
        if version != VERSION {
            return Err(Error::user(format!("it is of version {version}, this is {VERSION}: run the same Brisk everywhere")));
        }
        let kind = input.byte()?;
        let mut id = || input.take_array().map(u128::from_le_bytes);
        let descriptor = match kind {
            0 => Self::Hello { job: JobId(id()?), from: id()?, to: id()? },
            1 => {
                let (job, to) = (JobId(id()?), id()?);
                let mut number = || u32::try_from(input.varint()?).map_err(|_| Error::corrupt("a number is too large"));
                let consumer = Consumer { vertex: number()?, subtask: number()?, attempt: number()? };
                Self::Channel { job, to, consumer, channel: number()? }
            }
            other => return Err(input.unknown_variant("Descriptor", u64::from(other))),
        };
        input.finish()?;
        Ok(descriptor)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
