//! Two sides of a link in one process: actors that do not know of it, and what goes wrong.

use super::carrier::{Carrier, FrameReceiver, FrameSender};
use super::handshake::{Greeting, Role, dial, receive};
use super::{KeepLink, Link, LinkKeeper, LinkTimes, MESSAGE};
use crate::transport::{Actor, ActorContext, Address, ControlPlane, PlaneThread, Reply};
use crate::wire::wire_enum;
use brisk_base::world::{Rng, World};
use brisk_base::{Error, ErrorKind};
use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const TIMES: LinkTimes = LinkTimes {
    heartbeat_interval: Duration::from_millis(20),
    heartbeat_timeout: Duration::from_secs(20),
    ask_timeout: Duration::from_secs(20),
};

/// What the actors of these tests say.
#[derive(Debug)]
enum Ping {
    /// Say it to that address.
    Say(String, Address<Ping>),
    /// It was said.
    Said(String),
    /// Double it.
    Ask(u64, Reply<u64>),
    /// Never answers.
    Ignore(Reply<u64>),
    /// Stays here.
    Local,
}

wire_enum! {
    Ping { 0 = Say(text, to), 1 = Said(text), 2 = Ask(number, reply), 3 = Ignore(reply) } ! Self::Local,
}

struct Echo {
    said: Sender<String>,
    /// Kept, so that they are not dropped.
    ignored: Vec<Reply<u64>>,
}

impl Actor for Echo {
    type Message = Ping;

    fn handle(&mut self, message: Ping, cx: &mut ActorContext<'_>) {
        match message {
            Ping::Say(text, to) => cx.send(&to, Ping::Said(text)),
            Ping::Said(text) => drop(self.said.send(text)),
            Ping::Ask(number, reply) => reply.send(number * 2),
            Ping::Ignore(reply) => self.ignored.push(reply),
            Ping::Local => {}
        }
    }
}

/// One side.
struct Side {
    link: Arc<Link>,
    me: Address<Ping>,
    said: Receiver<String>,
    lost: Receiver<Error>,
    _plane: PlaneThread,
}

fn actor(world: &World) -> (ControlPlane, Address<Ping>, Receiver<String>) {
    let mut plane = ControlPlane::threaded(world);
    let (sender, said) = channel();
    let me = plane.spawn(Echo { said: sender, ignored: Vec::new() });
    (plane, me, said)
}

fn greeting() -> Greeting {
    Greeting { role: Role::TaskManager, id: 7, name: "guest".to_owned() }
}

fn sides(times: LinkTimes, keep: bool) -> (Side, Side) {
    let world = World::real();
    let listener = TcpListener::bind("localhost:0").expect("there is a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (accepted, host) = channel();
    let there = world.clone();
    let accept = move || {
        let guest = receive(listener.accept().expect("somebody comes").0, &there).expect("it greets");
        assert_eq!(guest.greeting, greeting());
        let (plane, me, said) = actor(&there);
        let (sender, lost) = channel();
        let link = guest.accept(42, times, &me, Box::new(move |error| drop(sender.send(error)))).expect("it is connected");
        let _ = accepted.send(side(link, (plane, me, said), lost, keep));
    };
    let thread = world.spawner.spawn("host", Box::new(accept)).expect("there is a thread");
    let (plane, me, said) = actor(&world);
    let (sender, lost) = channel();
    let link = dial(&address, &greeting(), &world, times, &me, Box::new(move |error| drop(sender.send(error)))).expect("it answers");
    assert_eq!(link.session(), 42);
    let guest = side(link, (plane, me, said), lost, keep);
    thread.join().expect("no panic");
    (guest, host.recv_timeout(PATIENCE).expect("it has begun"))
}

fn side(
    link: Arc<Link>,
    (mut plane, me, said): (ControlPlane, Address<Ping>, Receiver<String>),
    lost: Receiver<Error>,
    keep: bool,
) -> Side {
    if keep {
        plane.spawn(LinkKeeper(Arc::clone(&link))).send(KeepLink);
    }
    Side { link, me, said, lost, _plane: plane.start("side").expect("there is a thread") }
}

#[test]
fn actors_reach_each_other_without_knowing_of_the_link() {
    let (guest, host) = sides(TIMES, true);
    for number in 0..1000 {
        guest.link.root().send(Ping::Say(number.to_string(), guest.me.clone()));
    }
    for number in 0..1000 {
        assert_eq!(guest.said.recv_timeout(PATIENCE).expect("it comes back"), number.to_string(), "in order");
    }
    let (reply, answer) = Reply::channel();
    host.link.root().send(Ping::Ask(21, reply));
    assert_eq!(answer.recv_timeout(PATIENCE).expect("it is answered"), 42);
    host.link.root().send(Ping::Local);
    assert!(!host.link.is_over(), "what stays within a process is not sent");
}

#[test]
fn actors_that_nobody_holds_any_more_are_forgotten() {
    let (guest, host) = sides(TIMES, true);
    for number in 0..100 {
        guest.link.root().send(Ping::Say(number.to_string(), guest.me.clone()));
        guest.said.recv_timeout(PATIENCE).expect("it comes back");
    }
    // What was said last lets go of it last.
    let (reply, answer) = Reply::channel();
    host.link.root().send(Ping::Ask(1, reply));
    answer.recv_timeout(PATIENCE).expect("it is answered");
    let exports = guest.link.exports.lock().expect("no panic");
    assert!(exports.table.len() <= 2 && exports.by_key.len() == exports.table.len() - 1, "{} actors", exports.table.len());
}

#[test]
fn what_is_not_answered_is_given_up() {
    let (guest, _host) = sides(LinkTimes { ask_timeout: Duration::from_millis(50), ..TIMES }, true);
    let (reply, answer) = Reply::<u64>::channel();
    guest.link.root().send(Ping::Ignore(reply));
    answer.recv_timeout(PATIENCE).expect_err("nobody answers");
    assert!(!guest.link.is_over());
}

#[test]
fn the_end_of_a_link_is_told_once_and_ends_its_requests() {
    let (guest, host) = sides(TIMES, true);
    let (reply, answer) = Reply::<u64>::channel();
    guest.link.root().send(Ping::Ignore(reply));
    host.link.close("it is late");
    guest.lost.recv_timeout(PATIENCE).expect("it hears of it");
    answer.recv_timeout(PATIENCE).expect_err("nobody will answer");
    guest.lost.recv_timeout(Duration::from_millis(10)).expect_err("once");
    let (reply, answer) = Reply::<u64>::channel();
    guest.link.root().send(Ping::Ignore(reply));
    answer.recv_timeout(PATIENCE).expect_err("there is nobody");
}

#[test]
fn who_is_silent_is_given_up() {
    let (guest, host) = sides(LinkTimes { heartbeat_timeout: Duration::from_millis(200), ..TIMES }, false);
    let mut plane = ControlPlane::threaded(&World::real());
    plane.spawn(LinkKeeper(Arc::clone(&guest.link))).send(KeepLink);
    let _plane = plane.start("keeper").expect("there is a thread");
    let error = guest.lost.recv_timeout(PATIENCE).expect("the other side sends no heartbeats").to_string();
    assert!(error.contains("heartbeat.timeout"), "{error}");
    host.lost.recv_timeout(PATIENCE).expect("its connection is closed");
}

#[test]
fn what_is_malformed_ends_the_link_with_a_reason() {
    let frames: [(&[u8], &str); 4] = [
        (&[1, 0, 9], "enum Ping has no variant 9"),
        (&[1, 99, 1], "which was never exported"),
        (&[77], "not of this protocol"),
        (&[1, 0, 1, 100], "exceeds"),
    ];
    for (bytes, expected) in frames {
        let (guest, host) = sides(TIMES, true);
        guest.link.send_frame([&42u128.to_le_bytes()[..], &[0; 8], bytes].concat());
        let error = host.lost.recv_timeout(PATIENCE).expect("it is closed").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let (guest, host) = sides(TIMES, true);
    guest.link.send_frame([&43u128.to_le_bytes()[..], &[0; 8]].concat());
    let error = host.lost.recv_timeout(PATIENCE).expect("it is closed");
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
}

#[test]
fn a_stranger_is_refused_and_told_why() {
    let world = World::real();
    let listener = TcpListener::bind("localhost:0").expect("there is a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let there = world.clone();
    let accept = move || {
        let guest = receive(listener.accept().expect("somebody comes").0, &there).expect("it greets");
        guest.refuse(&Error::user("nobody was expected"));
        let stranger = receive(listener.accept().expect("somebody comes").0, &there);
        assert!(stranger.is_err_and(|error| error.to_string().contains("does not greet")));
    };
    let thread = world.spawner.spawn("host", Box::new(accept)).expect("there is a thread");
    let (_plane, me, _said) = actor(&world);
    let error = dial(&address, &greeting(), &world, TIMES, &me, Box::new(drop)).map(drop).expect_err("it is refused");
    assert!(error.to_string().contains("nobody was expected") && error.kind() == ErrorKind::Fenced, "{error}");
    drop(TcpStream::connect(&address).expect("it listens"));
    thread.join().expect("no panic");
}

/// Frames as they are given to a link, which sends into the void.
struct Frames(VecDeque<Vec<u8>>);

impl FrameSender for Frames {
    fn poll_send(&mut self, _cx: &mut Context<'_>, _frame: &[u8]) -> Poll<brisk_base::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn finish(self: Box<Self>) {}
}

impl FrameReceiver for Frames {
    fn poll_receive(&mut self, _cx: &mut Context<'_>) -> Poll<Option<brisk_base::Result<Vec<u8>>>> {
        self.0.pop_front().map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))))
    }
}

#[test]
fn a_frame_that_comes_again_is_not_heard_and_one_that_is_missing_ends_the_link() {
    let world = World::real();
    let hears = |numbers: &[u64]| {
        let (mut plane, (sender, said)) = (ControlPlane::stepped(&world), channel());
        let me = plane.spawn(Echo { said: sender, ignored: Vec::new() });
        // `Ping::Said("n")` for the first actor.
        let frame = |n: &u64| [&42u128.to_le_bytes()[..], &n.to_le_bytes(), &[MESSAGE, 0, 1, 1, b'0' + *n as u8]].concat();
        let carrier = Carrier {
            sender: Box::new(Frames(VecDeque::new())),
            receiver: Box::new(Frames(numbers.iter().map(frame).collect())),
            connection: None,
        };
        let (sender, lost) = channel();
        let on_lost = Box::new(move |error| drop(sender.send(error)));
        let link = Link::over(carrier, "a peer".to_owned(), 42, (&world, TIMES), &me, on_lost);
        while plane.step(&mut Rng::seeded(1)) {}
        let lost: Option<Error> = lost.try_recv().ok();
        assert_eq!(link.is_over(), lost.is_some());
        (said.try_iter().collect::<String>(), lost.map(|error| error.to_string()))
    };
    assert_eq!(hears(&[0, 0, 1, 0, 2, 2]), ("012".to_owned(), None));
    for missing in [&[0, 1, 3][..], &[0, 1, 3, 2]] {
        let (said, lost) = hears(missing);
        let lost = lost.expect("it is over");
        assert!(said == "01" && lost.contains("frame 3 has come, but 2 has not"), "{said}: {lost}");
    }
}
