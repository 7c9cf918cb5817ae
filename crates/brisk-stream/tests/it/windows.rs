//! Windows: every assigner with every trigger, evictor and lateness against a naive reference, and the scenarios of Flink's documentation.

mod harness;
mod product;
pub(crate) mod reference;
mod scenarios;

pub(crate) use harness::{Event, Harness, environment};

use brisk_base::Timestamp;
use brisk_base::world::Rng;
use brisk_core::batch::Rows;
use brisk_core::types::Key;
use product::{Collected, operator};
use proptest::prelude::*;
use reference::{Assigner, Evictor, Firing, Reference, Spec, Trigger};

/// One step of a stream.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Key, value, timestamp.
    Row(i64, i64, i64),
    /// The watermark advances by so much.
    Watermark(i64),
    /// Processing time advances by so much.
    Processing(i64),
    /// The stream ends.
    End,
}

/// Drops watermarks that are followed by another one at once, and sorts what comes between two watermarks.
fn normal(events: Vec<Event<Firing>>) -> Vec<Event<Firing>> {
    let mut normal: Vec<Event<Firing>> = Vec::new();
    let mut run = Vec::new();
    for event in events {
        match event {
            Event::Row(..) => run.push(event),
            Event::Watermark(_) => {
                if run.is_empty() && matches!(normal.last(), Some(Event::Watermark(_))) {
                    normal.pop();
                }
                sort_into(&mut normal, &mut run);
                normal.push(event);
            }
        }
    }
    sort_into(&mut normal, &mut run);
    normal
}

fn sort_into(normal: &mut Vec<Event<Firing>>, run: &mut Vec<Event<Firing>>) {
    run.sort_by_cached_key(|event| format!("{event:?}"));
    normal.append(run);
}

/// What a run gives: results and watermarks, the records that came too late, and whether no state is left at the end.
type Run = (Vec<Event<Firing>>, Vec<(i64, i64)>, bool);

/// What the reference makes of the steps.
fn expected(spec: &Spec, steps: &[Step]) -> Run {
    let mut model = Reference::new(spec.clone(), 0);
    let (mut watermark, mut now) = (0, 0);
    let mut events = Vec::new();
    for step in steps {
        let mut passed = None;
        match *step {
            Step::Row(key, value, timestamp) => model.element(key, value, timestamp),
            Step::Watermark(by) => {
                watermark += by;
                model.advance_watermark(watermark);
                passed = Some(watermark);
            }
            Step::Processing(by) => {
                now += by;
                model.advance_processing_time(now);
            }
            Step::End => {
                watermark = i64::MAX;
                model.advance_watermark(watermark);
                passed = Some(watermark);
            }
        }
        let timestamp = |firing: &Firing| if firing.2 == i64::MAX { i64::MAX } else { firing.2 - 1 };
        events.extend(model.fired.drain(..).map(|firing| Event::Row(firing.clone(), timestamp(&firing))));
        events.extend(passed.map(Event::Watermark));
    }
    if matches!(steps.last(), Some(Step::End)) && spec.assigner.is_event_time() && spec.lateness < i64::MAX {
        assert!(model.is_clean(), "the reference keeps something for ever: {spec:?} {steps:?}");
    }
    let clean = model.is_clean();
    (events, model.late, clean)
}

/// What the product makes of the steps, cut into random batches with random budgets.
fn actual(spec: &Spec, collected: Collected, steps: &[Step], seed: u64) -> Run {
    let mut rng = Rng::seeded(seed);
    let mut harness = operator(spec, collected).with_small_budgets(rng.next_u64());
    let (mut watermark, mut now) = (0, 0);
    let hashed = rng.one_in(2);
    let mut batch = Rows::default();
    let flush = |batch: &mut Rows<(i64, i64)>, harness: &mut Harness| {
        if !batch.is_blank() {
            if hashed {
                batch.hashes = batch.values.iter().map(|value| value.0.key_hash()).collect();
            }
            harness.batch(0, std::mem::take(batch)).expect("a batch");
        }
    };
    for step in steps {
        if rng.one_in(4) {
            flush(&mut batch, &mut harness);
        }
        match *step {
            Step::Row(key, value, timestamp) => batch.push((key, value), Timestamp(timestamp)),
            Step::Watermark(by) => {
                watermark += by;
                if rng.one_in(3) {
                    flush(&mut batch, &mut harness);
                    harness.watermark(watermark).expect("a watermark");
                } else {
                    batch.mark(Timestamp(watermark));
                }
            }
            Step::Processing(by) => {
                flush(&mut batch, &mut harness);
                now += by;
                harness.advance(now).expect("processing time");
            }
            Step::End => {
                flush(&mut batch, &mut harness);
                harness.watermark(i64::MAX).expect("the last watermark");
            }
        }
    }
    flush(&mut batch, &mut harness);
    (harness.take(0), harness.rows(1), harness.state_entries() == 0)
}

/// Makes one advance of those that follow each other, as batches do.
fn join_watermarks(steps: &[Step]) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        match (joined.last_mut(), step) {
            (_, Step::Watermark(0)) => {}
            (Some(Step::Watermark(last)), Step::Watermark(by)) => *last += by,
            _ => joined.push(*step),
        }
    }
    joined
}

fn check(spec: &Spec, collected: Collected, steps: &[Step], seed: u64) {
    let steps = &join_watermarks(steps);
    let (mut expected, late, clean) = expected(spec, steps);
    let (mut actual, actual_late, actual_clean) = actual(spec, collected, steps, seed);
    if spec.assigner.merges() {
        // In which order the contents of merged windows follow each other is not promised, unless an evictor looks at it.
        sort_values(&mut expected);
        sort_values(&mut actual);
    }
    assert_eq!(normal(actual), normal(expected), "{spec:?} {collected:?} seed {seed} {steps:?}");
    assert!(actual_clean || !clean, "state is left: {spec:?} {collected:?} seed {seed} {steps:?}");
    assert_eq!(actual_late, late, "late records: {spec:?} {collected:?} seed {seed} {steps:?}");
}

fn sort_values(events: &mut [Event<Firing>]) {
    for event in events {
        if let Event::Row((.., values), _) = event {
            values.sort_unstable();
        }
    }
}

const ASSIGNERS: [Assigner; 13] = [
    Assigner::Tumbling { size: 10, offset: 0 },
    Assigner::Tumbling { size: 7, offset: -3 },
    Assigner::Sliding { size: 10, slide: 5, offset: 0 },
    Assigner::Sliding { size: 10, slide: 4, offset: 1 },
    Assigner::Sliding { size: 3, slide: 5, offset: 0 },
    Assigner::Session { gap: 4 },
    Assigner::DynamicSession,
    Assigner::Global,
    Assigner::TumblingProcessing { size: 10, offset: 2 },
    Assigner::SlidingProcessing { size: 9, slide: 3 },
    Assigner::SessionProcessing { gap: 5 },
    Assigner::DynamicSessionProcessing,
    Assigner::Tumbling { size: 1, offset: 0 },
];

/// The triggers that go with an assigner; the first one is its default.
fn triggers(assigner: Assigner) -> Vec<Trigger> {
    let default = match assigner {
        Assigner::Global => Trigger::Never,
        _ if assigner.is_event_time() => Trigger::DefaultEventTime,
        _ => Trigger::ProcessingTime,
    };
    let purging = |nested: Trigger| Trigger::Purging(Box::new(nested));
    let timeout = |nested: Trigger, reset, clear| Trigger::Timeout { nested: Box::new(nested), timeout: 6, reset, clear };
    let mut all = vec![
        default,
        Trigger::EventTime,
        Trigger::Count(1),
        Trigger::Count(3),
        Trigger::ContinuousEventTime(4),
        Trigger::ContinuousProcessingTime(4),
        Trigger::Delta(20),
        purging(Trigger::Count(2)),
        purging(Trigger::EventTime),
        purging(Trigger::ContinuousEventTime(3)),
        timeout(Trigger::Count(3), false, true),
        timeout(Trigger::Count(3), true, false),
        timeout(Trigger::EventTime, true, true),
    ];
    if matches!(assigner, Assigner::Global) {
        all.push(Trigger::EndOfStream);
    }
    all.retain(|trigger| !assigner.merges() || trigger.can_merge());
    all
}

const EVICTORS: [Option<Evictor>; 7] = [
    None,
    Some(Evictor::Count { keep: 2, after: false }),
    Some(Evictor::Count { keep: 1, after: true }),
    Some(Evictor::Time { keep: 5, after: false }),
    Some(Evictor::Time { keep: 3, after: true }),
    Some(Evictor::Delta { threshold: 30, after: false }),
    Some(Evictor::Delta { threshold: 30, after: true }),
];

/// A random stream, out of order, with watermarks that leave some records late.
fn random_steps(rng: &mut Rng, count: usize, processing: bool) -> Vec<Step> {
    let mut time = 0;
    let mut steps: Vec<Step> = Vec::new();
    for _ in 0..count {
        time += rng.below(4) as i64;
        let kind = rng.below(12);
        steps.push(match kind {
            0..=7 => Step::Row(rng.below(3) as i64, rng.below(100) as i64, (time - rng.below(14) as i64).max(0)),
            8..=9 => Step::Watermark(rng.below(9) as i64),
            10 if processing => Step::Processing(rng.below(6) as i64),
            _ => Step::Watermark(1),
        });
    }
    if rng.one_in(2) {
        steps.push(Step::End);
    }
    steps
}

/// Each assigner with each trigger, evictor and lateness, with both kinds of window functions.
#[test]
fn every_combination_agrees_with_the_reference() {
    let mut rng = Rng::seeded(11);
    for assigner in ASSIGNERS {
        for trigger in triggers(assigner) {
            for evictor in EVICTORS {
                for lateness in [0, 3, 25] {
                    let spec = Spec { assigner, trigger: trigger.clone(), evictor, lateness };
                    for collected in [Collected::Elements, Collected::Aggregated] {
                        let steps = random_steps(&mut rng, 40, true);
                        check(&spec, collected, &steps, rng.next_u64());
                    }
                }
            }
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0i64..3, 0i64..100, 0i64..60).prop_map(|(key, value, timestamp)| Step::Row(key, value, timestamp)),
        3 => (1i64..12).prop_map(Step::Watermark),
        1 => (0i64..6).prop_map(Step::Processing),
        1 => Just(Step::End),
    ]
}

fn any_spec() -> impl Strategy<Value = Spec> {
    (
        0..ASSIGNERS.len(),
        any::<proptest::sample::Index>(),
        any::<proptest::sample::Index>(),
        prop_oneof![Just(0i64), Just(5), Just(i64::MAX)],
    )
        .prop_map(|(assigner, trigger, evictor, lateness)| {
            let assigner = ASSIGNERS[assigner];
            let triggers = triggers(assigner);
            Spec {
                assigner,
                trigger: triggers[trigger.index(triggers.len())].clone(),
                evictor: EVICTORS[evictor.index(EVICTORS.len())],
                lateness,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_streams_agree_with_the_reference(spec in any_spec(), aggregated: bool, mut steps in proptest::collection::vec(any_step(), 0..50), seed: u64) {
        if let Some(end) = steps.iter().position(|step| matches!(step, Step::End)) {
            steps.truncate(end + 1);
        }
        let collected = if aggregated { Collected::Aggregated } else { Collected::Elements };
        check(&spec, collected, &steps, seed);
    }
}
