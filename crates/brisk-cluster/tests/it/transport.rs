//! What the transport promises.

use brisk_base::Error;
use brisk_base::world::{Rng, World};
use brisk_cluster::transport::{Actor, ActorContext, Address, ControlPlane};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Sends on what it gets, with its name; a 0 makes it panic, and `u32::MAX` stops it.
struct Echo {
    name: &'static str,
    heard: Sender<(&'static str, u32)>,
}

impl Actor for Echo {
    type Message = u32;

    fn handle(&mut self, message: u32, cx: &mut ActorContext<'_>) {
        match message {
            0 => panic!("made to panic"),
            u32::MAX => cx.stop(),
            _ => self.heard.send((self.name, message)).expect("a sound test"),
        }
    }

    fn crashed(&mut self, error: Error, _cx: &mut ActorContext<'_>) {
        assert!(error.to_string().contains("made to panic"));
        self.heard.send((self.name, 0)).expect("a sound test");
    }
}

/// Asks for two delayed messages and spawns an isolated echo for the later one.
struct Delays {
    heard: Sender<(&'static str, u32)>,
    echo: Option<Address<u32>>,
}

impl Actor for Delays {
    type Message = u32;

    fn handle(&mut self, message: u32, cx: &mut ActorContext<'_>) {
        match message {
            1 => {
                let echo = Echo { name: "echo", heard: self.heard.clone() };
                self.echo = Some(cx.spawn_isolated("echo".to_owned(), echo));
                cx.send_self_after(Duration::from_millis(2), 3u32);
                cx.send_self_after(Duration::from_millis(1), 2u32);
            }
            _ => cx.send(self.echo.as_ref().expect("a sound test"), message),
        }
    }
}

#[test]
fn messages_of_one_sender_keep_their_order_and_others_do_not() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let (heard, hears) = channel();
        let mut plane = ControlPlane::stepped(&World::real());
        let one = plane.spawn(Echo { name: "echo", heard });
        let other = one.for_new_sender();
        (1..4).for_each(|n| one.send(n));
        (11..14).for_each(|n| other.send(n));
        let mut rng = Rng::seeded(seed);
        while plane.step(&mut rng) {}
        let order: Vec<u32> = hears.try_iter().map(|(_, n)| n).collect();
        let of = |sender: bool| order.iter().copied().filter(|n| (*n > 10) == sender).collect::<Vec<_>>();
        assert_eq!((of(false), of(true)), (vec![1, 2, 3], vec![11, 12, 13]));
        orders.insert(order);
    }
    assert!(orders.len() > 5, "{} orders", orders.len());
}

#[test]
fn an_actor_that_panics_says_so_and_is_gone() {
    let (heard, hears) = channel();
    let mut plane = ControlPlane::stepped(&World::real());
    let [bad, good] = ["bad", "good"].map(|name| plane.spawn(Echo { name, heard: heard.clone() }));
    [0, 1].into_iter().for_each(|n| bad.send(n));
    good.send(1);
    let mut rng = Rng::seeded(1);
    while plane.step(&mut rng) {}
    let mut all: Vec<_> = hears.try_iter().collect();
    all.sort_unstable();
    assert_eq!(all, [("bad", 0), ("good", 1)]);
    assert_eq!(plane.actor_count(), 1);
    good.send(u32::MAX);
    while plane.step(&mut rng) {}
    assert_eq!(plane.actor_count(), 0);
}

#[test]
fn threads_deliver_delayed_messages_in_time_and_end_when_told() {
    let (heard, hears) = channel();
    let mut plane = ControlPlane::threaded(&World::real());
    let delays = plane.spawn(Delays { heard, echo: None });
    let mut thread = plane.start("control").expect("there is a thread");
    delays.send(1);
    let heard: Vec<_> = (0..2).map(|_| hears.recv().expect("a sound test")).collect();
    assert_eq!(heard, [("echo", 2), ("echo", 3)]);
    assert!(thread.stop(Duration::from_secs(60)));
    assert!(hears.recv().is_err(), "both threads have dropped their actors");
}
