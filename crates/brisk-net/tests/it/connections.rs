//! Two processes, as far as they can tell: both ends of a connection on this machine.

use brisk_base::world::{Rng, World, mix64};
use brisk_base::{Error, Result};
use brisk_net::{BatchReceiver, BatchSender, Connection, Window};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread, current, park_timeout};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until it is ready. Only a waker makes it poll again: one that is forgotten fails the test.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(current())));
    let (mut cx, mut future) = (Context::from_waker(&waker), pin!(future));
    let mut woken = 0;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        park_timeout(PATIENCE);
        woken += 1;
        assert!(woken < 1_000_000, "it is never ready");
    }
}

fn send(sender: &mut BatchSender, batch: &[u8]) -> Result<()> {
    wait(poll_fn(|cx| sender.poll_send(cx, batch)))
}

fn receive(receiver: &mut BatchReceiver) -> Option<Result<Vec<u8>>> {
    wait(poll_fn(|cx| receiver.poll_receive(cx)))
}

fn spawn(body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    World::real().spawner.spawn("side", Box::new(body)).expect("there are threads")
}

fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("localhost:0").expect("there is a port");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("somebody listens");
    (client, listener.accept().expect("somebody has come").0)
}

/// A connection whose other side hands out the channels that are opened.
fn connected(compress: bool) -> (Connection, Connection, Receiver<(Vec<u8>, BatchReceiver)>) {
    let (client, server) = streams();
    let (opened, channels) = channel();
    let world = World::real();
    let incoming = Box::new(move |descriptor, receiver| drop(opened.send((descriptor, receiver))));
    let here =
        Connection::start(client, compress, &world, Box::new(|_, receiver| receiver.reject("nobody is expected"))).expect("it starts");
    let there = Connection::start(server, compress, &world, incoming).expect("it starts");
    (here, there, channels)
}

fn batch(rng: &mut Rng, largest: u64) -> Vec<u8> {
    let (size, seed) = (rng.below(largest) as usize, rng.below(4));
    (0..size).map(|at| mix64(at as u64 / (1 + seed * 100)) as u8).collect()
}

#[test]
fn many_channels_share_a_connection() {
    for compress in [false, true] {
        let (here, there, channels) = connected(compress);
        let senders: Vec<_> = (0..20u64)
            .map(|number| {
                let mut sender = here.open(&number.to_le_bytes()).expect("it is open");
                spawn(move || {
                    let mut rng = Rng::seeded(number);
                    for _ in 0..100 {
                        send(&mut sender, &batch(&mut rng, 20_000)).expect("the other side reads");
                    }
                    sender.finish();
                })
            })
            .collect();
        let receivers: Vec<_> = (0..20)
            .map(|_| {
                let (descriptor, mut receiver) = channels.recv_timeout(PATIENCE).expect("it is opened");
                spawn(move || {
                    let number = u64::from_le_bytes(descriptor.try_into().expect("eight bytes"));
                    // Some windows are smaller than some batches.
                    receiver.accept(Window { bytes: 1000 << (number % 8), batches: 1 + number as u32 % 5 });
                    let mut rng = Rng::seeded(number);
                    for at in 0..100 {
                        let received = receive(&mut receiver).expect("more is to come").expect("it is sound");
                        assert!(received == batch(&mut rng, 20_000), "channel {number}, batch {at}");
                    }
                    assert!(receive(&mut receiver).is_none());
                })
            })
            .collect();
        senders.into_iter().chain(receivers).for_each(|side| side.join().expect("it goes well"));
        assert!(!here.is_over() && !there.is_over());
    }
}

#[test]
fn who_does_not_read_stops_its_own_sender_alone() {
    let (here, _there, channels) = connected(false);
    let (mut slow, mut fast) = (here.open(b"slow").expect("it is open"), here.open(b"fast").expect("it is open"));
    let [(_, mut stuck), (_, mut reading)] = [(); 2].map(|()| channels.recv_timeout(PATIENCE).expect("it is opened"));
    stuck.accept(Window { bytes: 1000, batches: 2 });
    reading.accept(Window { bytes: 1000, batches: 2 });
    send(&mut slow, &[1; 500]).expect("there is room");
    send(&mut slow, &[2; 500]).expect("there is room");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(slow.poll_send(&mut cx, b"more").is_pending());
    for number in 0..1000u32 {
        send(&mut fast, &number.to_le_bytes()).expect("the other one reads");
        assert_eq!(receive(&mut reading).expect("it comes").expect("it is sound"), number.to_le_bytes());
    }
    assert!(slow.poll_send(&mut cx, b"more").is_pending());
    assert_eq!(receive(&mut stuck).expect("it comes").expect("it is sound"), [1; 500]);
    send(&mut slow, b"more").expect("there is room again");
}

#[test]
fn ends_that_are_dropped_are_noticed_by_the_other_side() {
    let (here, there, channels) = connected(false);
    let mut sender = here.open(b"1").expect("it is open");
    let (_, receiver) = channels.recv_timeout(PATIENCE).expect("it is opened");
    drop(receiver);
    let error = send(&mut sender, b"x").expect_err("nobody receives").to_string();
    assert!(error.contains("its receiver is gone"), "{error}");
    let sender = here.open(b"2").expect("it is open");
    let (_, mut receiver) = channels.recv_timeout(PATIENCE).expect("it is opened");
    receiver.accept(Window::default());
    drop(sender);
    let error = receive(&mut receiver).expect("it fails").expect_err("it was not finished").to_string();
    assert!(error.contains("dropped before its end"), "{error}");
    let mut refused = there.open(b"3").expect("it is open");
    let error = send(&mut refused, b"x").expect_err("it is rejected").to_string();
    assert!(error.contains("nobody is expected"), "{error}");
    let mut left = here.open(b"4").expect("it is open");
    let (_, mut waiting) = channels.recv_timeout(PATIENCE).expect("it is opened");
    let waits = spawn(move || {
        let error: Error = receive(&mut waiting).expect("it fails").expect_err("the connection is gone");
        assert!(error.to_string().contains("the other side has closed it"), "{error}");
    });
    drop(here);
    waits.join().expect("it is woken");
    send(&mut left, b"x").expect_err("it was closed here");
}

#[test]
fn a_peer_that_sends_nonsense_loses_its_connection_and_nothing_else() {
    let mut rng = Rng::seeded(5);
    for _ in 0..50 {
        let (mut peer, server) = streams();
        let world = World::real();
        let connection = Connection::start(server, false, &world, Box::new(|_, _| {})).expect("it starts");
        let mut sender = connection.open(b"to nobody").expect("it is open");
        let nonsense: Vec<u8> = (0..200).map(|_| rng.next_u64() as u8).collect();
        let _ = peer.write_all(&nonsense);
        let error = send(&mut sender, b"x").expect_err("there is no connection").to_string();
        assert!(error.contains("connection with 127.0.0.1") || error.contains("connection with [::1]"), "{error}");
        assert!(error.contains("header is damaged"), "{error}");
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest);
        assert!(connection.is_over());
    }
}
