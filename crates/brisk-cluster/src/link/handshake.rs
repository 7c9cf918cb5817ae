//! How a link begins: one side dials and says who it is; the other one answers with the session, or says why not.

use super::carrier::Carrier;
use super::{Link, LinkTimes, OnLost, PROTOCOL_VERSION};
use crate::transport::Address;
use crate::wire::Wire;
use brisk_base::world::World;
use brisk_base::{Error, ErrorKind, Result, ResultExt};
use brisk_core::types::{Decoder, put_bytes, put_varint};
use brisk_net::{BatchReceiver, BatchSender, Connection, Window};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What may be under way in either direction.
const WINDOW: Window = Window { bytes: 8 << 20, batches: 4096 };

/// How long either side may take to say its first word.
const PATIENCE: Duration = Duration::from_secs(10);

/// Begins each first word.
const MAGIC: &[u8; 8] = b"BRISKCTL";

/// What a process is that dials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A TaskManager dials its JobManager.
    TaskManager,
    /// A program that builds jobs dials its JobManager.
    Driver,
    /// A worker dials its TaskManager.
    Worker,
}

/// Who dials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// What it is.
    pub role: Role,
    /// Names it; of a process that was started by the one it dials, the secret that it was given.
    pub id: u128,
    /// For messages.
    pub name: String,
}

/// A connection whose other side has said who it is, and waits for the answer.
pub struct Guest {
    /// What it said.
    pub greeting: Greeting,
    connection: Connection,
    /// Nothing more comes from here; it ends with the connection.
    channels: Channels,
    receiver: BatchReceiver,
    world: World,
}

impl Greeting {
    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_varint(&mut out, u64::from(PROTOCOL_VERSION));
        out.push(match self.role {
            Role::TaskManager => 0,
            Role::Driver => 1,
            Role::Worker => 2,
        });
        out.extend_from_slice(&self.id.to_le_bytes());
        put_bytes(&mut out, self.name.as_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut input = Decoder::new(bytes);
        check_beginning(&mut input)?;
        let role = match input.byte()? {
            0 => Role::TaskManager,
            1 => Role::Driver,
            2 => Role::Worker,
            other => return Err(input.unknown_variant("Role", u64::from(other))),
        };
        let greeting = Self { role, id: u128::from_le_bytes(input.take_array()?), name: input.text()?.to_owned() };
        input.finish()?;
        Ok(greeting)
    }
}

fn check_beginning(input: &mut Decoder<'_>) -> Result<()> {
    if input.take(MAGIC.len())? != MAGIC {
        return Err(Error::corrupt("the other side does not speak Brisk's control protocol"));
    }
    let version = input.varint()?;
    if version != u64::from(PROTOCOL_VERSION) {
        return Err(Error::user(format!(
            "the other side speaks version {version} of the control protocol, this one {PROTOCOL_VERSION}: run the same Brisk on both"
        )));
    }
    Ok(())
}

/// The answer to a greeting.
fn encode_answer(answer: &Result<u128>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_varint(&mut out, u64::from(PROTOCOL_VERSION));
    match answer {
        Ok(session) => {
            out.push(0);
            out.extend_from_slice(&session.to_le_bytes());
        }
        Err(error) => {
            out.push(1);
            let text = error.to_string();
            put_bytes(&mut out, &text.as_bytes()[..text.len().min(1 << 14)]);
        }
    }
    out
}

fn decode_answer(bytes: &[u8]) -> Result<u128> {
    let mut input = Decoder::new(bytes);
    check_beginning(&mut input)?;
    match input.byte()? {
        0 => Ok(u128::from_le_bytes(input.take_array()?)),
        1 => {
            let why = String::from_utf8_lossy(input.bytes()?).into_owned();
            Err(Error::new(ErrorKind::Fenced, format!("the other side refuses: {why}")))
        }
        other => Err(input.unknown_variant("Answer", u64::from(other))),
    }
}

/// Channels of a connection as they come.
type Channels = Receiver<(Vec<u8>, BatchReceiver)>;

fn connection(stream: TcpStream, world: &World) -> Result<(Connection, Channels)> {
    let (sender, channels) = channel();
    let mut opened = false;
    let incoming = move |descriptor, receiver: BatchReceiver| {
        if std::mem::replace(&mut opened, true) {
            return receiver.reject("a link has one channel in each direction");
        }
        // Whoever waits for it may have given up; then the channel is rejected.
        let _ = sender.send((descriptor, receiver));
    };
    Ok((Connection::start(stream, false, world, Box::new(incoming))?, channels))
}

fn first(channels: &Channels) -> Result<(Vec<u8>, BatchReceiver)> {
    channels.recv_timeout(PATIENCE).map_err(|_| Error::transient(format!("the other side does not greet within {PATIENCE:?}, or is gone")))
}

/// Dials a process, exports `root` to it, and makes the link. `on_lost` hears of its end.
///
/// # Errors
/// `Transient` when nobody is there; `Fenced` when the other side refuses; `User` when it is of another version.
pub fn dial<M: Wire + Send + 'static>(
    address: &str,
    greeting: &Greeting,
    world: &World,
    times: LinkTimes,
    root: &Address<M>,
    on_lost: OnLost,
) -> Result<Arc<Link>> {
    let place = || format!("connecting with {address}");
    let transient = |error: std::io::Error| Error::transient(error.to_string());
    let resolved = address.to_socket_addrs().map_err(transient).context(place)?.next();
    let resolved = resolved.ok_or_else(|| Error::user("it has no address")).context(place)?;
    let stream = TcpStream::connect_timeout(&resolved, PATIENCE).map_err(transient).context(place)?;
    let (connection, channels) = connection(stream, world).context(place)?;
    let sender = connection.open(&greeting.encode()).context(place)?;
    let (answer, receiver) = first(&channels).context(place)?;
    let session = decode_answer(&answer).context(place)?;
    Ok(Link::over(carrier(connection, sender, receiver), address.to_owned(), session, (world, times), root, on_lost))
}

/// Takes a connection and hears who dials.
///
/// # Errors
/// When it says nothing, or what is not a greeting; it has been told.
pub fn receive(stream: TcpStream, world: &World) -> Result<Guest> {
    let peer = stream.peer_addr().map_or_else(|_| "a peer that is gone".to_owned(), |peer| peer.to_string());
    let place = || format!("connection from {peer}");
    let (connection, channels) = connection(stream, world).context(place)?;
    let (bytes, receiver) = first(&channels).context(place)?;
    match Greeting::decode(&bytes) {
        Ok(greeting) => Ok(Guest { greeting, connection, channels, receiver, world: world.clone() }),
        Err(error) => {
            let error = error.context(place());
            refuse(&connection, &channels, &error);
            Err(error)
        }
    }
}

/// Says why not, and waits until the other side has heard it and closed the connection.
fn refuse(connection: &Connection, channels: &Channels, why: &Error) {
    let text = Err(Error::new(why.kind(), why.to_string()));
    if let Ok(sender) = connection.open(&encode_answer(&text)) {
        sender.finish();
        let _ = channels.recv_timeout(PATIENCE);
    }
}

impl Guest {
    /// Begins the link. The root actor is made by `root`, which is given the link.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn accept<M: Wire + Send + 'static>(
        self,
        session: u128,
        times: LinkTimes,
        root: &Address<M>,
        on_lost: OnLost,
    ) -> Result<Arc<Link>> {
        let sender = self.connection.open(&encode_answer(&Ok(session)))?;
        let carrier = carrier(self.connection, sender, self.receiver);
        Ok(Link::over(carrier, self.greeting.name, session, (&self.world, times), root, on_lost))
    }

    /// Says why not.
    pub fn refuse(self, why: &Error) {
        refuse(&self.connection, &self.channels, why);
    }
}

/// Both directions of a connection on which the other side has greeted or answered.
fn carrier(connection: Connection, sender: BatchSender, mut receiver: BatchReceiver) -> Carrier {
    receiver.accept(WINDOW);
    Carrier::tcp(connection, sender, receiver)
}

/// A link whose other side is gone: for what needs one to name actors.
#[cfg(test)]
pub(crate) fn testing_link() -> Arc<Link> {
    use super::{NEXT_LINK, Outgoing};
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    Arc::new(Link {
        number: NEXT_LINK.fetch_add(1, Ordering::Relaxed),
        peer: "nobody".to_owned(),
        session: 0,
        world: World::real(),
        times: LinkTimes { heartbeat_interval: PATIENCE, heartbeat_timeout: PATIENCE, ask_timeout: PATIENCE },
        outgoing: Mutex::new(Outgoing { sender: None, waiting: VecDeque::new(), bytes: 0, next: 0 }),
        incoming: Mutex::new(None),
        expected: Mutex::new(0),
        exports: Mutex::default(),
        requests: Mutex::default(),
        heard: AtomicU64::new(0),
        over: AtomicBool::new(true),
        on_lost: Mutex::new(None),
        connection: Mutex::new(None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_by_name() {
        assert_eq!(PROTOCOL_VERSION, 3, "a new version needs a test that the old ones are refused");
        for old in [1, 2] {
            let greeting = [MAGIC.as_slice(), &[old, 0], &7u128.to_le_bytes(), &[0]].concat();
            let answer = [MAGIC.as_slice(), &[old, 0], &42u128.to_le_bytes()].concat();
            let errors = [Greeting::decode(&greeting).map(drop), decode_answer(&answer).map(drop)];
            for error in errors {
                let error = error.expect_err("it is of an old version");
                let text = error.to_string();
                assert!(error.kind() == ErrorKind::User, "{text}");
                assert!(text.contains(&format!("version {old}")) && text.contains("this one 3"), "{text}");
            }
        }
    }
}
