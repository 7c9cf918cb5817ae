//! Chains of toy operators, driven by hand.

use super::super::testing::{Hand, Log, Probe, batch, runtime, show, world};
use super::*;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::job_graph::{OutputRoute, RouteTarget};
use brisk_core::operator::MAIN_PORT;
use std::sync::Mutex;

/// A chain of probes. `routes[i]` gives, for each port of operator i, the operators that read it.
fn chain(probes: Vec<Probe>, routes: &[&[&[usize]]], inputs: usize) -> Chain {
    let world = world(&Arc::new(Hand::default()));
    let route = |targets: &&[usize]| OutputRoute { tag: None, targets: targets.iter().map(|at| RouteTarget::Chained(*at)).collect() };
    let routes = routes.iter().map(|ports| ports.iter().map(route).collect()).collect();
    let operators = probes.into_iter().enumerate().map(|(at, probe)| {
        let runtime = runtime(probe.name, &world);
        (Box::new(probe) as Box<dyn Operator>, runtime, if at == 0 { inputs } else { 1 })
    });
    let mut chain = Chain::new(operators.collect(), Wiring::new(routes, Vec::new()), Budget::new(Arc::clone(&world.clock)), Arc::default());
    chain.begin(MonoTime(0), MonoTime::NEVER);
    chain
}

fn steps(chain: &mut Chain) -> ChainStep {
    loop {
        let step = chain.step(Waker::noop()).expect("no failure");
        if step != ChainStep::Did {
            return step;
        }
    }
}

fn feed(chain: &mut Chain, element: Element) -> ChainStep {
    chain.wiring.push(0, 0, element);
    steps(chain)
}

fn rows(values: &[i64]) -> Element {
    Element::Batch(batch(values.iter().copied()))
}

/// Hands over one row per call.
fn one_by_one(mut rows: Rows<i64>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
    cx.emit(MAIN_PORT, rows.split_front(1));
    Ok(if rows.values.is_empty() { Rest::Consumed } else { Rest::More(Box::new(rows)) })
}

#[test]
fn both_branches_of_a_chain_get_everything_in_order() {
    let log = Log::default();
    let mut chain = chain(["a", "b", "c", "d"].map(|name| Probe::new(name, &log)).into(), &[&[&[1, 3]], &[&[2]], &[], &[]], 1);
    feed(&mut chain, rows(&[1, 2]));
    feed(&mut chain, Element::Watermark(Timestamp(5)));
    feed(&mut chain, Element::EndOfInput);
    let expected = ["a 1,2", "d 1,2", "b 1,2", "c 1,2", "a <5", "d <5", "b <5", "c <5"];
    let end = ["a end 0", "a finish", "d end 0", "d finish", "b end 0", "b finish", "c end 0", "c finish"];
    assert_eq!(log.take(), expected.into_iter().chain(end).collect::<Vec<_>>());
}

#[test]
fn a_rest_waits_until_what_was_emitted_is_consumed() {
    let log = Log::default();
    let slicer = Probe { on_batch: Some(Box::new(one_by_one)), ..Probe::new("a", &log) };
    let mut chain = chain(vec![slicer, Probe::new("b", &log)], &[&[&[1]], &[]], 1);
    chain.wiring.push(0, 0, Element::Watermark(Timestamp(9)));
    chain.wiring.queues[0].push_front((0, rows(&[1, 2, 3])));
    assert_eq!(steps(&mut chain), ChainStep::Idle);
    assert_eq!(log.take(), ["a 1,2,3", "b 1", "a 2,3", "b 2", "a 3", "b 3", "a <9", "b <9"]);
}

#[test]
fn a_blocked_operator_holds_up_the_chain_until_it_has_been_looked_after() {
    let log = Log::default();
    let room = Arc::new(Mutex::new(false));
    let has_room = Arc::clone(&room);
    let mut blocking = Probe::new("b", &log);
    blocking.on_batch = Some(Box::new(move |rows, _| {
        Ok(if *has_room.lock().expect("not poisoned") { Rest::Consumed } else { Rest::Blocked(Box::new(rows)) })
    }));
    blocking.on_pending = Some(Box::new(|(), _| Ok(Progress::Waiting)));
    let mut chain = chain(vec![Probe::new("a", &log), blocking], &[&[&[1]], &[]], 1);
    assert_eq!(feed(&mut chain, rows(&[1])), ChainStep::Blocked);
    assert_eq!(feed(&mut chain, rows(&[2])), ChainStep::Blocked, "nothing overtakes");
    assert_eq!(log.take(), ["a 1", "b 1"]);
    *room.lock().expect("not poisoned") = true;
    chain.poll_pending(Waker::noop()).expect("no failure");
    assert_eq!(steps(&mut chain), ChainStep::Idle);
    assert_eq!(log.take(), ["b pending", "b 1", "a 2", "b 2"]);
}

#[test]
fn a_watermark_that_takes_several_steps_keeps_its_place() {
    let log = Log::default();
    let mut left = 3;
    let mut firing = Probe::new("a", &log);
    firing.on_watermark = Some(Box::new(move |watermark, cx| {
        left -= 1;
        cx.emit(MAIN_PORT, batch([left]));
        if left > 0 {
            return Ok(Progress::More);
        }
        cx.emit_watermark(watermark);
        Ok(Progress::Done)
    }));
    let mut chain = chain(vec![firing, Probe::new("b", &log)], &[&[&[1]], &[]], 1);
    chain.wiring.push(0, 0, Element::Watermark(Timestamp(7)));
    feed(&mut chain, rows(&[8]));
    assert_eq!(log.of("b"), ["2", "1", "0", "<7", "8"]);
}

#[test]
fn a_watermark_that_a_barrier_finds_half_done_is_told_again_as_a_new_one() {
    let log = Log::default();
    let mut firing = Probe::new("a", &log);
    let mut done = false;
    firing.on_watermark = Some(Box::new(move |watermark, _| {
        Ok(if watermark < Timestamp(9) || std::mem::replace(&mut done, true) { Progress::Done } else { Progress::More })
    }));
    let mut chain = chain(vec![firing], &[&[]], 1);
    feed(&mut chain, Element::Watermark(Timestamp(7)));
    chain.wiring.push(0, 0, Element::Watermark(Timestamp(9)));
    assert_eq!(chain.step(Waker::noop()).expect("no failure"), ChainStep::Did);
    let (kind, alignment) = (SnapshotKind::Checkpoint, Alignment::Unaligned);
    let mut taken = |number| {
        let barrier = Barrier { checkpoint: CheckpointId(number), timestamp: Timestamp(0), kind, alignment };
        chain.overtake(barrier, &[], Waker::noop()).expect("no failure");
        let snapshot = chain.take_snapshot().expect("there is one operator");
        let under_way: Vec<String> = snapshot.in_flight.head.iter().map(|(_, element)| format!("{element:?}")).collect();
        steps(&mut chain);
        (snapshot.operators[0].1.watermark, under_way.len())
    };
    assert_eq!(taken(1), (Timestamp(7), 1), "the watermark 9 is under way");
    assert_eq!(taken(2), (Timestamp(9), 0));
}

#[test]
fn the_end_is_passed_on_when_finish_is_done_and_not_before() {
    let log = Log::default();
    let mut left = 2;
    let mut waiting = Probe::new("a", &log);
    waiting.on_finish = Some(Box::new(move |(), cx| {
        left -= 1;
        cx.emit(MAIN_PORT, batch([left]));
        Ok(if left > 0 { Progress::Waiting } else { Progress::Done })
    }));
    waiting.on_pending = Some(Box::new(|(), _| Ok(Progress::Waiting)));
    let mut chain = chain(vec![waiting, Probe::new("b", &log)], &[&[&[1]], &[]], 1);
    assert_eq!(feed(&mut chain, Element::EndOfInput), ChainStep::Blocked);
    assert_eq!(log.take(), ["a end 0", "a finish", "b 1"]);
    chain.begin(MonoTime(0), MonoTime::NEVER);
    assert_eq!(steps(&mut chain), ChainStep::Idle);
    assert_eq!(log.take(), ["a finish", "b 0", "b end 0", "b finish"]);
    assert!(!chain.poll_pending(Waker::noop()).expect("no failure"));
    assert_eq!(log.take(), [""; 0], "it has ended");
}

#[test]
fn an_operator_of_two_inputs_ends_with_the_second() {
    let log = Log::default();
    let mut chain = chain(vec![Probe::new("a", &log), Probe::new("b", &log)], &[&[&[1]], &[]], 2);
    chain.wiring.push(0, 1, Element::EndOfInput);
    chain.wiring.push(0, 0, rows(&[1]));
    assert_eq!(steps(&mut chain), ChainStep::Idle);
    assert_eq!(log.take(), ["a end 1", "a 1", "b 1"]);
    feed(&mut chain, Element::EndOfInput);
    assert_eq!(log.take(), ["a end 0", "a finish", "b end 0", "b finish"]);
}

#[test]
fn side_outputs_have_readers_of_their_own() {
    let log = Log::default();
    let mut splitting = Probe::new("a", &log);
    splitting.on_batch = Some(Box::new(|rows, cx| {
        let (even, odd): (Vec<_>, Vec<_>) = rows.values.into_iter().partition(|value| value % 2 == 0);
        cx.emit(MAIN_PORT, batch(even));
        cx.emit(1, batch(odd));
        cx.emit(2, batch([99]));
        Ok(Rest::Consumed)
    }));
    let mut chain = chain(vec![splitting, Probe::new("even", &log), Probe::new("odd", &log)], &[&[&[1], &[2]], &[], &[]], 1);
    feed(&mut chain, rows(&[1, 2, 3]));
    feed(&mut chain, Element::Watermark(Timestamp(4)));
    feed(&mut chain, Element::Status(brisk_core::element::StreamStatus::Idle));
    feed(&mut chain, Element::EndOfInput);
    let all = log.take();
    let of = |name: &str| all.iter().filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
    assert_eq!(of("even "), ["2", "<4", "end 0", "finish"]);
    assert_eq!(of("odd "), ["1,3", "<4", "end 0", "finish"], "watermarks and the end go to all ports");
}

#[test]
fn an_operator_that_has_ended_hears_no_timers() {
    let log = Log::default();
    let [a, b] = ["a", "b"].map(|name| Probe::new(name, &log));
    for probe in [&a, &b] {
        *probe.time.lock().expect("not poisoned") = Some(Timestamp(10));
    }
    let mut chain = chain(vec![a, b], &[&[&[1]], &[]], 1);
    chain.open(Waker::noop()).expect("no failure");
    chain.wiring.push(0, 0, Element::EndOfInput);
    chain.step(Waker::noop()).expect("no failure");
    log.take();
    chain.refresh_timers();
    chain.fire_timers(Timestamp(10), Waker::noop()).expect("no failure");
    assert_eq!(log.take(), ["b time 10"], "a has passed on its end, b has not met it yet");
    steps(&mut chain);
    assert_eq!(chain.next_time(), None);
}

#[test]
fn timers_wait_while_much_lies_ahead() {
    let log = Log::default();
    let mut blocking = Probe::new("b", &log);
    blocking.on_batch = Some(Box::new(|rows, _| Ok(Rest::Blocked(Box::new(rows)))));
    let mut timed = Probe::new("a", &log);
    timed.on_time = Some(Box::new(|now, cx| {
        cx.emit(MAIN_PORT, batch([now.0]));
        Ok(Progress::Done)
    }));
    *timed.time.lock().expect("not poisoned") = Some(Timestamp(0));
    let mut chain = chain(vec![timed, blocking], &[&[&[1]], &[]], 1);
    chain.open(Waker::noop()).expect("no failure");
    let more = (0..100).map(|now| {
        chain.begin(MonoTime(0), MonoTime::NEVER);
        let more = chain.fire_timers(Timestamp(now), Waker::noop()).expect("no failure");
        steps(&mut chain);
        more
    });
    assert_eq!(more.filter(|more| *more).count(), 100 - MOST_AHEAD, "the others are still to come");
    assert_eq!(chain.wiring.queues[1].len(), MOST_AHEAD);
    assert_eq!(chain.next_time(), None, "no need to wake up for it");
}

#[test]
fn all_are_closed_once_whatever_one_of_them_does() {
    let log = Log::default();
    let mut panicking = Probe::new("b", &log);
    panicking.on_close = Some(Box::new(|| panic!("cannot close")));
    let mut failing = Probe::new("c", &log);
    failing.on_close = Some(Box::new(|| Err(Error::user("will not close"))));
    let mut chain = chain(vec![Probe::new("a", &log), panicking, failing, Probe::new("d", &log)], &[&[&[1]], &[&[2]], &[&[3]], &[]], 1);
    let error = chain.close().expect_err("the first one's").to_string();
    assert!(error.starts_with("operator 'b' (1/1): panicked at ") && error.ends_with("cannot close"), "{error}");
    chain.close().expect("nothing is left to close");
    assert_eq!(log.take(), ["a close", "b close", "c close", "d close"]);
}

#[test]
fn marks_travel_through_a_chain() {
    let log = Log::default();
    let mut marked = Rows::from(vec![1i64, 2]);
    marked.marks.push(brisk_core::batch::Mark { row: 1, watermark: Timestamp(5) });
    assert_eq!(show(&marked), "1,<5,2");
    let slicer = Probe { on_batch: Some(Box::new(one_by_one)), ..Probe::new("a", &log) };
    let mut chain = chain(vec![slicer, Probe::new("b", &log)], &[&[&[1]], &[]], 1);
    feed(&mut chain, Element::Batch(Box::new(marked)));
    assert_eq!(log.of("b"), ["1,<5", "2"]);
}

#[test]
fn operators_count_their_rows_and_tell_their_watermarks() {
    let log = Log::default();
    let mut chain = chain(vec![Probe::new("a", &log), Probe::new("b", &log)], &[&[&[1]], &[]], 1);
    let metrics: Vec<_> = chain.slots.iter().map(|slot| slot.runtime.metrics.clone()).collect();
    let shown = |at: usize, name: &str| {
        let metric = metrics[at].list().into_iter().find(|metric| metric.name == name).expect("it is registered");
        metric.value.to_string()
    };
    feed(&mut chain, rows(&[1, 2, 3]));
    feed(&mut chain, Element::Watermark(Timestamp(7)));
    for (at, out) in [(0, "3"), (1, "0")] {
        assert_eq!([shown(at, "numRecordsIn"), shown(at, "numRecordsOut")], ["3", out], "operator {at}");
        assert_eq!(shown(at, "currentInputWatermark"), "7");
    }
    assert_eq!(shown(0, "currentOutputWatermark"), "7");
}
