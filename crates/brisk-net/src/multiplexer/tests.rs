//! Two sides that exchange bytes in memory.

use super::*;
use brisk_base::world::Rng;
use proptest::prelude::*;

const WINDOW: Window = Window { bytes: 1000, batches: 4 };

/// Hands over what `from` has to say; what came of it.
fn carry(from: &mut Multiplexer, to: &mut Multiplexer) -> Result<Vec<Event>> {
    let mut bytes = Vec::new();
    from.take_output(usize::MAX, &mut bytes);
    to.feed(&bytes)
}

/// Two sides with one open channel.
fn connected() -> (Multiplexer, Multiplexer, ChannelId) {
    let (mut sender, mut receiver) = (Multiplexer::new(true), Multiplexer::new(false));
    let channel = sender.open(b"edge 1").expect("it is open");
    let events = carry(&mut sender, &mut receiver).expect("sound");
    assert_eq!(events, [Event::Opened(channel, b"edge 1".to_vec())]);
    receiver.accept(channel, WINDOW);
    carry(&mut receiver, &mut sender).expect("sound");
    (sender, receiver, channel)
}

#[test]
fn batches_arrive_in_order_up_to_the_credit_and_the_end_behind_them() {
    let (mut sender, mut receiver, channel) = connected();
    for number in 0..4u8 {
        assert!(sender.send(channel, &[number; 10]).expect("it is open"));
    }
    assert!(!sender.send(channel, b"five").expect("it is open"), "four batches are the window");
    assert_eq!(carry(&mut sender, &mut receiver).expect("sound").len(), 4);
    assert!(matches!(receiver.receive(channel), Received::Batch(batch) if batch == [0; 10]));
    assert!(carry(&mut receiver, &mut sender).expect("sound").is_empty(), "half of the window is granted at once");
    assert!(matches!(receiver.receive(channel), Received::Batch(batch) if batch == [1; 10]));
    assert_eq!(carry(&mut receiver, &mut sender).expect("sound"), [Event::Writable(channel)]);
    assert!(sender.send(channel, b"five").expect("it is open"));
    sender.finish(channel);
    carry(&mut sender, &mut receiver).expect("sound");
    for expected in [&[2; 10][..], &[3; 10], b"five"] {
        assert!(matches!(receiver.receive(channel), Received::Batch(batch) if batch == expected));
    }
    assert!(matches!(receiver.receive(channel), Received::Finished));
}

#[test]
fn failures_reach_the_other_side_with_their_reason() {
    let (mut sender, mut receiver, channel) = connected();
    receiver.reject(channel, "the task was cancelled");
    assert_eq!(carry(&mut receiver, &mut sender).expect("sound"), [Event::Writable(channel)]);
    let error = sender.send(channel, b"x").expect_err("nobody wants it").to_string();
    assert!(error.contains("the task was cancelled"), "{error}");
    let (mut sender, mut receiver, channel) = connected();
    sender.fail(channel, "out of memory");
    carry(&mut sender, &mut receiver).expect("sound");
    assert!(matches!(receiver.receive(channel), Received::Failed(error) if error.to_string().contains("out of memory")));
}

#[test]
fn a_damaged_batch_fails_its_channel_on_both_sides_and_no_other() {
    let (mut sender, mut receiver, channel) = connected();
    let other = sender.open(b"edge 2").expect("it is open");
    carry(&mut sender, &mut receiver).expect("sound");
    receiver.accept(other, WINDOW);
    carry(&mut receiver, &mut sender).expect("sound");
    sender.send(channel, b"first").expect("it is open");
    sender.send(other, b"second").expect("it is open");
    let mut bytes = Vec::new();
    sender.take_output(usize::MAX, &mut bytes);
    bytes[frame::HEADER] ^= 1;
    receiver.feed(&bytes).expect("the connection is sound");
    assert!(matches!(receiver.receive(channel), Received::Failed(error) if error.kind() == ErrorKind::Corrupt));
    assert!(matches!(receiver.receive(other), Received::Batch(batch) if batch == b"second"));
    carry(&mut receiver, &mut sender).expect("sound");
    sender.send(channel, b"x").expect_err("the receiver has rejected it");
    assert!(sender.send(other, b"x").expect("it is open"));
}

#[test]
fn who_sends_without_credit_is_refused() {
    let (_, mut receiver, channel) = connected();
    let mut bytes = Vec::new();
    for _ in 0..5 {
        frame::encode(Kind::Data, channel.0, b"x", false, &mut bytes).expect("it is small");
    }
    receiver.feed(&bytes).expect("the connection is sound");
    assert!(matches!(receiver.receive(channel), Received::Failed(error) if error.to_string().contains("though only")));
}

#[test]
fn another_protocol_or_version_is_named() {
    let error = Multiplexer::new(false).feed(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").expect_err("this is no frame").to_string();
    assert!(error.contains("header"), "{error}");
    let mut bytes = Vec::new();
    frame::encode(Kind::Hello, frame::MAGIC, &9u32.to_le_bytes(), false, &mut bytes).expect("it is small");
    let error = Multiplexer::new(false).feed(&bytes).expect_err("there is no such version").to_string();
    assert!(error.contains("version 9"), "{error}");
}

#[test]
fn a_lost_connection_fails_what_is_not_finished() {
    let (mut sender, mut receiver, channel) = connected();
    let unfinished = sender.open(b"edge 2").expect("it is open");
    sender.send(channel, b"all").expect("it is open");
    sender.finish(channel);
    carry(&mut sender, &mut receiver).expect("sound");
    let error = Error::transient("connection reset");
    receiver.lose(&error);
    sender.lose(&error);
    assert!(matches!(receiver.receive(channel), Received::Batch(batch) if batch == b"all"));
    assert!(matches!(receiver.receive(channel), Received::Finished));
    assert!(matches!(receiver.receive(unfinished), Received::Failed(_)));
    sender.send(unfinished, b"x").expect_err("it is lost");
    sender.open(b"edge 3").expect_err("it is lost");
}

#[test]
fn what_waits_to_be_written_is_bounded() {
    let (mut sender, mut receiver, channel) = connected();
    let mut grant = Vec::new();
    let payload = [&u64::from(u32::MAX).to_le_bytes()[..], &1000u32.to_le_bytes()].concat();
    frame::encode(Kind::Credit, channel.0, &payload, false, &mut grant).expect("it is small");
    sender.feed(&grant).expect("a generous receiver");
    let batch: Vec<u8> = (0..1u32 << 18).flat_map(|n| brisk_base::world::mix64(u64::from(n)).to_le_bytes()).collect();
    let sent = (0..100).take_while(|_| sender.send(channel, &batch).expect("it is open")).count();
    assert!((1..=4).contains(&sent), "{sent} batches of 2 MiB");
    let mut bytes = Vec::new();
    let events = sender.take_output(usize::MAX, &mut bytes);
    assert_eq!(events, [Event::Writable(channel)]);
    receiver.feed(&bytes).expect("the connection is sound");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bytes_of_any_kind_do_no_harm(seed in any::<u64>(), damage in 0usize..4) {
        let mut rng = Rng::seeded(seed);
        let mut bytes = Vec::new();
        frame::encode_hello(&mut bytes);
        for _ in 0..rng.below(20) {
            let kinds = [Kind::Hello, Kind::Open, Kind::Data, Kind::Credit, Kind::Finish, Kind::Reject, Kind::Fail];
            let kind = kinds[if rng.one_in(10) { 0 } else { 1 + rng.below(6) as usize }];
            let payload: Vec<u8> = (0..rng.below(20)).map(|_| rng.next_u64() as u8).collect();
            frame::encode(kind, rng.below(3), &payload, rng.one_in(2), &mut bytes).expect("it is small");
        }
        for _ in 0..damage {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] ^= rng.next_u64() as u8;
        }
        let mut side = Multiplexer::new(false);
        let mine = side.open(b"mine").expect("it is open");
        for piece in bytes.chunks(1 + rng.below(100) as usize) {
            let Ok(events) = side.feed(piece) else { break };
            for event in events {
                match event {
                    Event::Opened(channel, _) if rng.one_in(2) => side.accept(channel, WINDOW),
                    Event::Opened(channel, _) => side.reject(channel, "no"),
                    Event::Readable(channel) => drop(side.receive(channel)),
                    Event::Writable(channel) => drop(side.send(channel, b"x")),
                }
            }
            let _ = side.send(mine, b"batch");
            side.take_output(usize::MAX, &mut Vec::new());
        }
        side.lose(&Error::transient("over"));
    }
}
