//! Two processes of a job, as far as they can tell.

use super::{Endpoint, Locations, NetworkExchange};
use crate::exchange::{ChannelSender, GateQueue, Received, Sent};
use brisk_base::ids::{CheckpointId, JobId};
use brisk_base::world::World;
use brisk_base::{ErrorKind, Timestamp};
use brisk_core::batch::{BatchType, Rows};
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::element::Element;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{Thread, current, park_timeout};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(current())))
}

fn process() -> Arc<NetworkExchange> {
    NetworkExchange::start(&World::real(), JobId(7), ("127.0.0.1", 0), "127.0.0.1", false).expect("there is a port")
}

/// Subtask 0 of vertex 0 runs in `here`, that of vertex 1 in `there`.
fn locations(here: &Endpoint, there: &Endpoint) -> Arc<Locations> {
    Arc::new(Locations { endpoints: vec![here.clone(), there.clone()], subtasks: vec![vec![0], vec![1]] })
}

fn pair() -> (Arc<NetworkExchange>, Arc<NetworkExchange>) {
    let (here, there) = (process(), process());
    let locations = locations(here.endpoint(), there.endpoint());
    here.set_locations(Arc::clone(&locations));
    there.set_locations(locations);
    (here, there)
}

/// A channel from vertex 0 to an attempt of vertex 1.
fn channel(here: &Arc<NetworkExchange>, attempt: u32) -> ChannelSender {
    ChannelSender::Remote(here.channel_to((1, 0, attempt), 0).expect("it runs elsewhere"))
}

fn types() -> Vec<Option<Arc<dyn BatchType>>> {
    vec![Some(Rows::<u64>::batch_type())]
}

fn send(sender: &ChannelSender, element: Element) -> Sent {
    let waker = waker();
    let mut element = element;
    loop {
        match sender.send(element, &waker) {
            Sent::Refused(again) => element = again,
            other => return other,
        }
        park_timeout(PATIENCE);
    }
}

fn receive(queue: &GateQueue) -> Received {
    let waker = waker();
    loop {
        match queue.receive(&waker) {
            Received::Nothing => park_timeout(PATIENCE),
            other => return other,
        }
    }
}

fn rows(from: u64, count: u64) -> Element {
    Element::Batch(Box::new(Rows::from((from..from + count).collect::<Vec<u64>>())))
}

fn barrier(checkpoint: u64, alignment: Alignment) -> Element {
    Element::Barrier(Barrier { checkpoint: CheckpointId(checkpoint), timestamp: Timestamp(1), kind: SnapshotKind::Checkpoint, alignment })
}

#[test]
fn elements_come_in_order_however_the_consumer_reads() {
    let (here, there) = pair();
    let queue = Arc::new(GateQueue::new(1, None));
    there.open((1, 0, 0), Arc::clone(&queue), types());
    let produce = {
        let here = Arc::clone(&here);
        move || {
            let sender = channel(&here, 0);
            for at in 0..500 {
                assert!(matches!(send(&sender, rows(at * 1000, 1000)), Sent::Accepted(_)));
                assert!(matches!(send(&sender, Element::Watermark(Timestamp(at as i64))), Sent::Accepted(_)));
                if at % 100 == 0 {
                    assert!(matches!(send(&sender, barrier(at, Alignment::Aligned)), Sent::Accepted(_)));
                }
            }
            assert!(matches!(send(&sender, Element::EndOfInput), Sent::Accepted(_)));
        }
    };
    let producer = World::real().spawner.spawn("producer", Box::new(produce)).expect("there is a thread");
    for at in 0..500u64 {
        let Received::Element(0, Element::Batch(batch)) = receive(&queue) else { panic!("batch {at}") };
        let rows = Rows::<u64>::from_any(batch).expect("its type");
        assert_eq!((rows.values[0], rows.values.len()), (at * 1000, 1000));
        assert!(matches!(receive(&queue), Received::Element(0, Element::Watermark(watermark)) if watermark.0 == at as i64));
        if at % 100 == 0 {
            assert!(matches!(receive(&queue), Received::Element(0, Element::Barrier(barrier)) if barrier.checkpoint.0 == at));
        }
    }
    assert!(matches!(receive(&queue), Received::Element(0, Element::EndOfInput)));
    producer.join().expect("it sends everything");
}

#[test]
fn a_consumer_that_does_not_read_holds_its_producer_back_and_barriers_are_announced() {
    let (here, there) = pair();
    let sender = channel(&here, 0);
    let waker = waker();
    // Nobody has come up: nothing is taken.
    assert!(matches!(sender.send(rows(0, 1), &waker), Sent::Refused(_)));
    let queue = Arc::new(GateQueue::new(1, None));
    there.open((1, 0, 0), Arc::clone(&queue), types());
    let mut sent = 0u64;
    let mut refused = 0;
    while refused < 50 {
        match sender.send(rows(sent, 5000), &waker) {
            Sent::Accepted(_) => (sent, refused) = (sent + 5000, 0),
            Sent::Refused(_) => {
                refused += 1;
                park_timeout(Duration::from_millis(5));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(sent * 8 < (4 << 20), "{sent} rows are under way");
    let mut read = 0;
    while read < sent {
        let Received::Element(0, Element::Batch(batch)) = receive(&queue) else { panic!("rows") };
        read += batch.len() as u64;
    }
    assert!(matches!(send(&sender, barrier(3, Alignment::Unaligned)), Sent::Accepted(_)));
    assert!(matches!(receive(&queue), Received::Element(0, Element::Barrier(_))));
    assert!(queue.announced().is_some_and(|(channel, barrier)| channel == 0 && barrier.checkpoint.0 == 3));
}

#[test]
fn a_consumer_that_ends_frees_its_producer_and_later_attempts_are_told_apart() {
    let (here, there) = pair();
    let queue = Arc::new(GateQueue::new(1, None));
    let old = channel(&here, 0);
    there.open((1, 0, 0), Arc::clone(&queue), types());
    assert!(matches!(send(&old, rows(0, 1)), Sent::Accepted(_)));
    assert!(matches!(receive(&queue), Received::Element(..)));
    queue.close();
    there.close((1, 0, 0));
    while !matches!(send(&old, rows(1, 1)), Sent::Closed) {}
    let newer = Arc::new(GateQueue::new(1, None));
    there.open((1, 0, 1), Arc::clone(&newer), types());
    let late = channel(&here, 0);
    while !matches!(send(&late, rows(1, 1)), Sent::Closed) {}
    assert!(matches!(send(&channel(&here, 1), rows(2, 2)), Sent::Accepted(_)));
    assert!(matches!(receive(&newer), Received::Element(0, Element::Batch(batch)) if batch.len() == 2));
    // A producer that ends leaves what it has sent, and no failure.
    assert!(matches!(newer.receive(&waker()), Received::Nothing));
}

#[test]
fn a_lost_process_fails_the_tasks_at_both_ends() {
    let (here, there) = pair();
    let queue = Arc::new(GateQueue::new(1, None));
    there.open((1, 0, 0), Arc::clone(&queue), types());
    let sender = channel(&here, 0);
    assert!(matches!(send(&sender, rows(0, 1)), Sent::Accepted(_)));
    assert!(matches!(receive(&queue), Received::Element(..)));
    here.stop();
    let Received::Failed(error) = receive(&queue) else { panic!("the producer's process is gone") };
    assert!(error.kind() == ErrorKind::Transient && error.to_string().contains("from another process"), "{error}");
    let Sent::Failed(error) = send(&sender, rows(1, 1)) else { panic!("there is no connection") };
    assert_eq!(error.kind(), ErrorKind::Transient);
}

#[test]
fn nobody_there_and_somebody_else_there_are_errors() {
    let (here, there) = pair();
    let gone = Endpoint { host: 1, address: "127.0.0.1:1".to_owned() };
    here.set_locations(locations(here.endpoint(), &gone));
    let Sent::Failed(error) = send(&channel(&here, 0), rows(0, 1)) else { panic!("nobody listens") };
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    // Another process has the address by now.
    let other = Endpoint { host: 2, ..there.endpoint().clone() };
    here.set_locations(locations(here.endpoint(), &other));
    let sender = channel(&here, 0);
    assert!(matches!(send(&sender, rows(0, 1)), Sent::Closed | Sent::Failed(_)));
    assert!(here.channel_to((0, 0, 0), 0).is_none(), "it runs here");
}

#[test]
fn batches_of_an_operator_that_does_not_say_its_type_are_an_error() {
    let (here, there) = pair();
    let queue = Arc::new(GateQueue::new(1, None));
    there.open((1, 0, 0), Arc::clone(&queue), vec![None]);
    assert!(matches!(send(&channel(&here, 0), rows(0, 1)), Sent::Accepted(_)));
    let Received::Failed(error) = receive(&queue) else { panic!("nobody can read it") };
    assert!(error.to_string().contains("input_type"), "{error}");
}
