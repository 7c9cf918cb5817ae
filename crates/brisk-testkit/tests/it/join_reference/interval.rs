//! The interval join compares each record with all records of the other side that are still kept.

use super::streams::{Input, Reference, Watermarks, any_actions, feed, settled, timed};
use brisk_base::{Millis, Timestamp};
use brisk_core::function::{Collector, OutputTag};
use brisk_stream::join::JoinContext;
use brisk_testkit::{Event, TwoInputHarness};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Key, left value, right value.
type Pair = (i64, i64, i64);

/// What a user says.
#[derive(Clone, Copy, Debug)]
struct Spec {
    lower: i64,
    upper: i64,
    lower_exclusive: bool,
    upper_exclusive: bool,
}

/// See the module. Bounds are inclusive here.
struct Naive {
    lower: i64,
    upper: i64,
    /// Records of both sides in the order of arrival.
    kept: Vec<(bool, Input)>,
    events: Vec<Event<Pair>>,
    late: [Vec<i64>; 2],
}

impl Naive {
    fn new(spec: Spec) -> Self {
        let (lower, upper) = (spec.lower + i64::from(spec.lower_exclusive), spec.upper - i64::from(spec.upper_exclusive));
        Self { lower, upper, kept: Vec::new(), events: Vec::new(), late: [Vec::new(), Vec::new()] }
    }

    /// Buckets of records, and a timer for each.
    fn state_entries(&self) -> u64 {
        2 * self.kept.iter().map(|(second, input)| (*second, input.0, input.2)).collect::<BTreeSet<_>>().len() as u64
    }
}

impl Reference for Naive {
    fn record(&mut self, second: bool, record: Input, watermark: i64) {
        let (key, value, at, _) = record;
        if at < watermark {
            self.late[usize::from(second)].push(value);
            return;
        }
        let mut partners: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (_, partner) in self.kept.iter().filter(|(other, partner)| *other != second && partner.0 == key) {
            let distance = if second { at - partner.2 } else { partner.2 - at };
            if self.lower <= distance && distance <= self.upper {
                partners.entry(partner.2).or_default().push(partner.1);
            }
        }
        for (partner_at, partners) in partners {
            let pair = |partner| if second { (key, partner, value) } else { (key, value, partner) };
            self.events.extend(partners.into_iter().map(|partner| Event::Record(pair(partner), Timestamp(at.max(partner_at)))));
        }
        self.kept.push((second, record));
    }

    fn advance(&mut self, watermark: i64) {
        let (lower, upper) = (self.lower, self.upper);
        self.kept.retain(|(second, input)| input.2 + (if *second { -lower } else { upper }).max(0) > watermark);
        self.events.push(Event::Watermark(Timestamp(watermark)));
    }
}

fn harness(spec: Spec, late: &[OutputTag<Input>; 2]) -> TwoInputHarness<Input, Input, Pair> {
    let harness = TwoInputHarness::of(|left, right| {
        let (left, right) = (timed(&left).key_by(|input| input.0), timed(&right).key_by(|input| input.0));
        let mut join = left.interval_join(&right).between(Millis(spec.lower), Millis(spec.upper));
        if spec.lower_exclusive {
            join = join.lower_bound_exclusive();
        }
        if spec.upper_exclusive {
            join = join.upper_bound_exclusive();
        }
        join.side_output_left_late_data(&late[0]).side_output_right_late_data(&late[1]).process_fn(
            |left: &Input, right: &Input, ctx: &mut JoinContext<'_>, out: &mut Collector<Pair>| {
                assert_eq!((ctx.left_timestamp().0, ctx.right_timestamp().0), (left.2, right.2));
                out.collect((left.0, left.1, right.1));
            },
        )
    });
    harness.expect("a right graph").with_side_output(&late[0]).with_side_output(&late[1])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Pairs with their timestamps, watermarks in their places, late records, and, after each step, just the state that is still needed.
    #[test]
    fn interval_joins_agree(
        actions in any_actions(), lower in -10i64..6, width in 0i64..10, lower_exclusive: bool, upper_exclusive: bool,
    ) {
        let spec = Spec { lower, upper: lower + width, lower_exclusive, upper_exclusive };
        let late = [OutputTag::new("left late"), OutputTag::new("right late")];
        let (mut harness, mut naive, mut watermarks) = (harness(spec, &late), Naive::new(spec), Watermarks::new());
        for action in &actions {
            feed(&mut harness, action);
            watermarks.show(action, &mut naive);
            prop_assert_eq!(harness.state_entries().expect("runs"), naive.state_entries(), "after {:?} of {:?}", action, actions);
        }
        prop_assert_eq!(settled(harness.events().expect("runs")), settled(naive.events), "{:?} {:?}", spec, actions);
        for (tag, late) in late.iter().zip(naive.late) {
            let values: Vec<i64> = harness.side_output(tag).expect("watched").into_iter().map(|input| input.1).collect();
            prop_assert_eq!(values, late);
        }
        prop_assert!(harness.state_is_empty());
    }
}
