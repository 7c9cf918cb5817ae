//! Writers: who gets which row, when, and under which watermark.

use super::*;
use crate::exchange::{GateQueue, Received};
use brisk_base::Error;
use brisk_core::batch::{Mark, Rows, Step};
use brisk_core::element::StreamStatus;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a target finds.
#[derive(Clone, PartialEq, Debug)]
enum Seen {
    Row(i64),
    Watermark(i64),
    Status(StreamStatus),
    Latency,
    End,
}

use Seen::{End, Row};

/// Hashes a number to a mix of itself.
struct ByValue;

fn hash_of(value: i64) -> u64 {
    brisk_base::world::mix64(value as u64)
}

impl KeyHasher for ByValue {
    fn hash(&self, batch: &dyn AnyBatch, hashes: &mut Vec<u64>) -> Result<()> {
        hashes.extend(values(batch).iter().map(|value| hash_of(*value)));
        Ok(())
    }

    fn describe(&self) -> String {
        "value".to_owned()
    }
}

/// Sends each number to the target of that number.
struct ToValue;

impl RowSelector for ToValue {
    fn select(&self, batch: &dyn AnyBatch, _count: u32, targets: &mut Vec<u32>) -> Result<()> {
        targets.extend(values(batch).iter().map(|value| *value as u32));
        Ok(())
    }
}

fn values(batch: &dyn AnyBatch) -> &[i64] {
    &batch.as_any().downcast_ref::<Rows<i64>>().expect("numbers").values
}

const MAX_PARALLELISM: u32 = 128;

struct Fixture {
    writer: RecordWriter,
    gates: Vec<Arc<GateQueue>>,
}

impl Fixture {
    fn new(partitioner: &Partitioner, targets: usize) -> Self {
        let gates: Vec<_> = (0..targets).map(|_| Arc::new(GateQueue::new(1, None))).collect();
        let channels = gates.iter().map(|gate| ChannelSender::new(Arc::clone(gate), 0)).collect();
        Self { writer: RecordWriter::new(partitioner, channels, MAX_PARALLELISM, 0, None, &World::real()), gates }
    }

    fn rows(&mut self, values: &[i64], marks: &[(u32, i64)]) -> &mut Self {
        let mut rows = Rows::from(values.to_vec());
        rows.marks = marks.iter().map(|(row, watermark)| Mark { row: *row, watermark: Timestamp(*watermark) }).collect();
        self.element(Element::Batch(Box::new(rows)))
    }

    fn watermark(&mut self, watermark: i64) -> &mut Self {
        self.element(Element::Watermark(Timestamp(watermark)))
    }

    fn element(&mut self, element: Element) -> &mut Self {
        self.writer.write(element, MonoTime(0)).expect("writes");
        self
    }

    /// Flushes at this time, in microseconds.
    fn flush(&mut self, at_us: u64) -> &mut Self {
        self.writer.flush(MonoTime(at_us * 1000));
        self
    }

    fn pump(&mut self) -> bool {
        self.writer.pump(Waker::noop())
    }

    /// What has arrived at a target since the last call.
    fn seen(&mut self, target: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            let done = self.pump();
            while let Received::Element(_, element) = self.gates[target].receive(Waker::noop()) {
                push(&mut seen, element);
            }
            if done {
                return seen;
            }
        }
    }

    /// What has arrived at each target since the last call. Each is read whatever the others do.
    fn all_seen(&mut self) -> Vec<Vec<Seen>> {
        let mut all = vec![Vec::new(); self.gates.len()];
        loop {
            let done = self.pump();
            for (target, gate) in self.gates.iter().enumerate() {
                while let Received::Element(_, element) = gate.receive(Waker::noop()) {
                    push(&mut all[target], element);
                }
            }
            if done {
                return all;
            }
        }
    }
}

fn push(seen: &mut Vec<Seen>, element: Element) {
    match element {
        Element::Batch(batch) => {
            let rows = Rows::<i64>::from_any(batch).expect("numbers");
            assert!(rows.hashes.is_empty() || rows.hashes.len() == rows.values.len());
            seen.extend(rows.into_cursor().map(|step| match step {
                Step::Row(value, ..) => Row(value),
                Step::Watermark(watermark) => Seen::Watermark(watermark.0),
            }));
        }
        Element::Watermark(watermark) => seen.push(Seen::Watermark(watermark.0)),
        Element::Status(status) => seen.push(Seen::Status(status)),
        Element::LatencyMarker(_) => seen.push(Seen::Latency),
        Element::Barrier(barrier) => panic!("nobody sent a barrier: {barrier:?}"),
        Element::EndOfChannel => panic!("nobody ended the channel"),
        Element::EndOfInput => seen.push(End),
    }
}

fn hash() -> Partitioner {
    Partitioner::Hash(Arc::new(ByValue))
}

fn custom() -> Partitioner {
    Partitioner::Custom(Arc::new(ToValue))
}

#[test]
fn rows_gather_until_the_input_drains() {
    let mut fixture = Fixture::new(&Partitioner::Forward, 1);
    fixture.rows(&[1], &[]).watermark(5).rows(&[2], &[]);
    assert_eq!(fixture.seen(0), [], "nothing is full, nothing has drained");
    fixture.flush(0);
    assert_eq!(fixture.gates[0].backlog().0, 0);
    assert_eq!(fixture.seen(0), [Row(1), Seen::Watermark(5), Row(2)]);
    fixture.watermark(6).flush(0);
    assert_eq!(fixture.seen(0), [Seen::Watermark(6)]);
}

#[test]
fn a_full_batch_goes_without_waiting() {
    let full = Rows::<i64>::FULL as i64;
    let mut fixture = Fixture::new(&Partitioner::Rebalance, 2);
    fixture.rows(&(0..full * 2 - 2).collect::<Vec<_>>(), &[]);
    assert_eq!(fixture.all_seen(), [vec![], vec![]]);
    fixture.rows(&[7], &[]);
    let seen = fixture.all_seen();
    assert_eq!((seen[0].len(), seen[1].len()), (full as usize, 0));
}

#[test]
fn hash_sends_a_row_to_the_subtask_of_its_key_group() {
    let mut fixture = Fixture::new(&hash(), 3);
    fixture.rows(&(0..100).collect::<Vec<_>>(), &[]).flush(0);
    for (target, seen) in fixture.all_seen().into_iter().enumerate() {
        let ours = |value: &i64| key_group(hash_of(*value), MAX_PARALLELISM).subtask(MAX_PARALLELISM, 3) as usize == target;
        assert_eq!(seen, (0..100).filter(ours).map(Row).collect::<Vec<_>>());
    }
}

#[test]
fn rebalance_and_rescale_take_turns() {
    for partitioner in [Partitioner::Rebalance, Partitioner::Rescale] {
        let mut fixture = Fixture::new(&partitioner, 3);
        fixture.rows(&[0, 1, 2, 3], &[]).rows(&[4], &[]).flush(0);
        assert_eq!(fixture.all_seen(), [vec![Row(0), Row(3)], vec![Row(1), Row(4)], vec![Row(2)]]);
    }
}

#[test]
fn shuffle_reaches_every_target() {
    let mut fixture = Fixture::new(&Partitioner::Shuffle, 3);
    fixture.rows(&(0..1000).collect::<Vec<_>>(), &[]).flush(0);
    let seen = fixture.all_seen();
    assert!(seen.iter().all(|target| target.len() > 200), "{:?}", seen.iter().map(Vec::len).collect::<Vec<_>>());
}

#[test]
fn broadcast_gives_everything_to_everyone() {
    let mut fixture = Fixture::new(&Partitioner::Broadcast, 3);
    fixture.rows(&[1, 2], &[(1, 5)]).element(Element::EndOfInput);
    assert_eq!(fixture.all_seen(), vec![vec![Row(1), Seen::Watermark(5), Row(2), End]; 3]);
}

#[test]
fn global_gives_rows_to_the_first_and_watermarks_to_all() {
    let mut fixture = Fixture::new(&Partitioner::Global, 3);
    fixture.rows(&[1], &[]).watermark(5).rows(&[2], &[]).watermark(9).flush(0);
    let others = vec![Seen::Watermark(9)];
    assert_eq!(fixture.all_seen(), [vec![Row(1), Seen::Watermark(5), Row(2), Seen::Watermark(9)], others.clone(), others]);
}

#[test]
fn a_custom_target_that_does_not_exist_is_an_error() {
    let mut fixture = Fixture::new(&custom(), 3);
    fixture.rows(&[2, 0], &[]).flush(0);
    assert_eq!(fixture.all_seen(), [vec![Row(0)], vec![], vec![Row(2)]]);
    let error: Error = fixture.writer.write(Element::Batch(Box::new(Rows::from(vec![1i64, 3]))), MonoTime(0)).expect_err("there are 3");
    assert_eq!(error.to_string(), "the partitioner chose target 3, but there are only 3 (0 to 2)");
}

#[test]
fn key_hashes_of_an_earlier_exchange_are_dropped() {
    let mut fixture = Fixture::new(&Partitioner::Rebalance, 1);
    let mut hashed = Rows::from(vec![1i64, 2]);
    hashed.hashes = vec![11, 22];
    fixture.element(Element::Batch(Box::new(hashed))).rows(&[3], &[]).flush(0);
    assert_eq!(fixture.seen(0), [Row(1), Row(2), Row(3)], "and the batch is whole");
    let mut large = Rows::from((0..Rows::<i64>::FULL as i64).collect::<Vec<_>>());
    large.hashes = vec![0; large.values.len()];
    fixture.element(Element::Batch(Box::new(large)));
    assert!(fixture.pump());
    let Received::Element(_, Element::Batch(batch)) = fixture.gates[0].receive(Waker::noop()) else { panic!("a full batch goes at once") };
    assert_eq!(batch.hashes(), [0u64; 0]);
}

#[test]
fn few_targets_get_watermarks_without_rows_at_once() {
    let mut fixture = Fixture::new(&hash(), FEW_TARGETS);
    for watermark in 1..4 {
        fixture.watermark(watermark).flush(0);
        assert_eq!(fixture.all_seen(), vec![vec![Seen::Watermark(watermark)]; FEW_TARGETS]);
    }
}

#[test]
fn many_targets_get_watermarks_without_rows_now_and_then() {
    for partitioner in [Partitioner::Rebalance, Partitioner::Broadcast] {
        let targets = 100;
        let mut fixture = Fixture::new(&partitioner, targets);
        let Some(wait) = ({
            fixture.watermark(1).flush(1_000_000);
            assert_eq!(fixture.all_seen(), vec![vec![Seen::Watermark(1)]; targets], "the first one goes at once");
            fixture.watermark(2).flush(1_000_001);
            fixture.writer.pending_flush()
        }) else {
            panic!("a watermark waits")
        };
        assert_eq!(fixture.all_seen(), vec![vec![]; targets], "too early");
        assert!(wait > MonoTime(1_000_001_000), "{wait:?}");
        fixture.watermark(3).flush(wait.0 / 1000);
        assert_eq!(fixture.all_seen(), vec![vec![Seen::Watermark(3)]; targets]);
        assert_eq!(fixture.writer.pending_flush(), None);
    }
}

#[test]
fn rows_for_one_of_many_targets_go_at_once_under_the_newest_watermark() {
    let mut fixture = Fixture::new(&custom(), 100);
    fixture.rows(&[3], &[]).flush(1_000_000);
    assert_eq!(fixture.seen(3), [Row(3)]);
    fixture.watermark(7).rows(&[5], &[]).flush(1_000_001);
    assert_eq!(fixture.seen(5), [Seen::Watermark(7), Row(5)]);
    assert_eq!(fixture.seen(3), [], "its watermark waits");
    fixture.element(Element::EndOfInput);
    assert_eq!(fixture.seen(3), [Seen::Watermark(7), End]);
    assert_eq!(fixture.seen(5), [End]);
}

#[test]
fn a_status_comes_behind_what_was_written_before() {
    let mut fixture = Fixture::new(&custom(), 2);
    fixture.rows(&[1], &[]).watermark(4).element(Element::Status(StreamStatus::Idle));
    let idle = Seen::Status(StreamStatus::Idle);
    assert_eq!(fixture.all_seen(), [vec![Seen::Watermark(4), idle.clone()], vec![Row(1), Seen::Watermark(4), idle]]);
}

#[test]
fn a_latency_marker_goes_to_one_target_behind_its_rows() {
    let mut fixture = Fixture::new(&custom(), 2);
    fixture.rows(&[0, 1], &[]).element(Element::LatencyMarker(Timestamp(1))).element(Element::LatencyMarker(Timestamp(2))).flush(0);
    assert_eq!(fixture.all_seen(), [vec![Row(0), Seen::Latency], vec![Row(1), Seen::Latency]], "in turn");
}

struct Count(AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn refused_elements_wait_in_order_and_the_task_is_woken() {
    let mut fixture = Fixture::new(&Partitioner::Forward, 1);
    let wakes = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&wakes));
    for value in 0..100 {
        fixture.rows(&[value], &[]).flush(0);
    }
    assert!(!fixture.writer.pump(&waker));
    assert!(fixture.writer.is_blocked());
    let mut seen = Vec::new();
    let mut polls = 0;
    while let Received::Element(_, element) = fixture.gates[0].receive(Waker::noop()) {
        push(&mut seen, element);
        if wakes.0.swap(0, Ordering::SeqCst) > 0 {
            polls += 1;
            fixture.writer.pump(&waker);
        }
    }
    assert_eq!(seen, (0..100).map(Row).collect::<Vec<_>>());
    assert!(!fixture.writer.is_blocked());
    assert!(polls <= 40, "woken for every single element");
}

#[test]
fn a_full_channel_does_not_hold_up_the_others() {
    let mut fixture = Fixture::new(&custom(), 2);
    for _ in 0..100 {
        fixture.rows(&[0], &[]).flush(0);
    }
    fixture.rows(&[1], &[]).flush(0);
    assert!(!fixture.pump());
    assert!(matches!(fixture.gates[1].receive(Waker::noop()), Received::Element(..)));
}

#[test]
fn a_closed_target_takes_everything() {
    let mut fixture = Fixture::new(&custom(), 2);
    fixture.gates[0].close();
    for _ in 0..100 {
        fixture.rows(&[0, 1], &[]).flush(0);
    }
    assert_eq!(fixture.seen(1).len(), 100);
    assert!(!fixture.writer.is_blocked());
}

#[derive(Clone, Debug)]
enum Act {
    Rows(u8, Vec<u8>),
    Watermark,
    Flush(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0u8..6, proptest::collection::vec(0u8..6, 0..3)).prop_map(|(rows, marks)| Act::Rows(rows, marks)),
        2 => Just(Act::Watermark),
        2 => (0u32..3000).prop_map(Act::Flush),
    ];
    proptest::collection::vec(act, 0..60)
}

proptest! {
    /// Whatever the partitioner: each target sees its rows in order, each under the newest watermark of the stream before it, and at the
    /// end the newest watermark and the end.
    #[test]
    fn rows_come_under_the_watermark_they_were_written_under(acts in acts(), which in 0usize..8, targets in prop_oneof![1usize..5, Just(40)]) {
        let partitioner = [
            Partitioner::Rebalance, Partitioner::Rescale, Partitioner::Shuffle, Partitioner::Broadcast, Partitioner::Global,
            hash(), Partitioner::Forward, Partitioner::Rebalance,
        ][which].clone();
        let targets = if matches!(partitioner, Partitioner::Forward) { 1 } else { targets };
        let mut fixture = Fixture::new(&partitioner, targets);
        let mut seen = vec![Vec::new(); targets];
        let (mut row, mut watermark, mut now) = (0i64, 0i64, 0u64);
        let mut under = Vec::new();
        for act in acts {
            match act {
                Act::Rows(rows, marks) => {
                    let mut at: Vec<_> = marks.into_iter().map(|at| u32::from(at.min(rows))).collect();
                    at.sort_unstable();
                    at.dedup();
                    let first = watermark;
                    let marks: Vec<_> = at.iter().enumerate().map(|(i, at)| (*at, first + 1 + i as i64)).collect();
                    for i in 0..u32::from(rows) {
                        under.push(marks.iter().rev().find(|(at, _)| *at <= i).map_or(first, |mark| mark.1));
                    }
                    watermark += marks.len() as i64;
                    fixture.rows(&(row..row + i64::from(rows)).collect::<Vec<_>>(), &marks);
                    row += i64::from(rows);
                }
                Act::Watermark => {
                    watermark += 1;
                    fixture.watermark(watermark);
                }
                Act::Flush(after) => {
                    now += u64::from(after);
                    fixture.flush(now);
                }
            }
            for (all, more) in seen.iter_mut().zip(fixture.all_seen()) {
                all.extend(more);
            }
        }
        fixture.element(Element::EndOfInput);
        for (all, more) in seen.iter_mut().zip(fixture.all_seen()) {
            all.extend(more);
        }
        let mut rows = 0;
        for target in &seen {
            let (mut last, mut current) = (-1, 0);
            for step in &target[..target.len() - 1] {
                match step {
                    Row(value) => {
                        prop_assert!(*value > last);
                        prop_assert_eq!(current, under[*value as usize], "row {}", value);
                        last = *value;
                        rows += 1;
                    }
                    Seen::Watermark(next) => { prop_assert!(*next > current); current = *next; }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(target.last(), Some(&End));
            prop_assert_eq!(current, watermark);
        }
        prop_assert_eq!(rows, if matches!(partitioner, Partitioner::Broadcast) { row * targets as i64 } else { row });
    }
}

#[test]
fn targets_found_by_comparing_are_those_of_the_key_groups() {
    for (max_parallelism, targets) in [(128, 2), (128, 3), (128, 8), (100, 7), (8, 8), (2, 2), (32_768, 5), (1, 1)] {
        let by_comparing = TargetsOfHashes::new(max_parallelism, targets);
        assert!(matches!(by_comparing, TargetsOfHashes::From(_)));
        // Those at the edges of key groups, too.
        let edges = (0..u64::from(max_parallelism)).map(|group| lowest_hash(group, max_parallelism));
        let edges = edges.flat_map(|edge| [edge, edge.wrapping_sub(1)]);
        let hashes: Vec<u64> = edges.chain((0..1000).map(|_| World::real().random())).collect();
        let expected: Vec<u32> = hashes.iter().map(|hash| key_group(*hash, max_parallelism).subtask(max_parallelism, targets)).collect();
        let mut found = Vec::new();
        by_comparing.select(&hashes, &mut found);
        assert_eq!(found, expected, "{targets} targets of {max_parallelism} key groups");
    }
}

/// Many rows at once for the target of the same number go without waiting for more; in order, and behind what waited there.
#[test]
fn many_rows_for_the_home_target_go_at_once() {
    let partitioner = Partitioner::Hash(Arc::new(ByValue));
    let at_home = |value: &i64| key_group(hash_of(*value), MAX_PARALLELISM).subtask(MAX_PARALLELISM, 2) == 0;
    let full = Rows::<i64>::FULL as i64;
    let home = |from: i64| (from..from + full).filter(at_home).map(Row).collect::<Vec<_>>();
    let mut fixture = Fixture::new(&partitioner, 2);
    let batch = |from: i64| (from..from + full).collect::<Vec<_>>();
    fixture.watermark(5).rows(&batch(0), &[(7, 9)]);
    let before = (0..7).filter(at_home).count();
    let mut expected = home(0);
    expected.insert(before, Seen::Watermark(9));
    expected.insert(0, Seen::Watermark(5));
    assert_eq!(fixture.all_seen(), [expected, vec![]]);
    // One row waits: the others wait behind it.
    let first = (full..).find(at_home).expect("half of them are");
    fixture.rows(&[first], &[]).rows(&batch(first + 1), &[]);
    let seen = fixture.flush(0).seen(0);
    let seen: Vec<_> = seen.into_iter().filter(|seen| matches!(seen, Row(_))).collect();
    assert_eq!(seen, (first..=first + full).filter(at_home).map(Row).collect::<Vec<_>>());
}
