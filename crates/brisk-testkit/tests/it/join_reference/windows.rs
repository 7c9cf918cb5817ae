//! Joins and co-groups in windows keep lists of records, and look at all of them whenever a window fires.

use super::streams::{Input, Reference, Watermarks, any_actions, feed, timed};
use brisk_base::{Millis, Timestamp};
use brisk_core::function::{Collector, OutputTag};
use brisk_stream::DataStream;
use brisk_stream::join::TaggedUnion;
use brisk_stream::window::{
    CountEvictor, CountTrigger, EventTimeSessionWindows, SlidingEventTimeWindows, TumblingEventTimeWindows, WindowAssigner,
};
use brisk_testkit::{Event, TwoInputHarness};
use proptest::prelude::*;

/// A result of either kind: the values of the first and of the second stream.
type Group = (Vec<i64>, Vec<i64>);
type Either = TaggedUnion<Input, Input>;

#[derive(Clone, Copy, Debug)]
enum Windows {
    Tumbling(i64),
    Sliding(i64, i64),
    Session(i64),
}

/// What a user says.
#[derive(Clone, Copy, Debug)]
struct Spec {
    windows: Windows,
    /// `join`, or `co_group`.
    pairs: bool,
    lateness: i64,
    /// Fires at each so many elements, in the place of the end of the window.
    count_trigger: Option<u64>,
    /// Leaves so many elements when a window fires.
    count_evictor: Option<u64>,
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let windows = prop_oneof![
        (1i64..10).prop_map(Windows::Tumbling),
        (1i64..10, 1i64..6).prop_map(|(size, slide)| Windows::Sliding(size, slide.min(size))),
        (1i64..5).prop_map(Windows::Session),
    ];
    let (trigger, evictor) = (proptest::option::weighted(0.3, 1u64..4), proptest::option::weighted(0.3, 1u64..4));
    (windows, any::<bool>(), 0i64..6, trigger, evictor).prop_map(|(windows, pairs, lateness, count_trigger, count_evictor)| {
        // In which order sessions merge is not promised, and an evictor would show it.
        let count_evictor = count_evictor.filter(|_| !matches!(windows, Windows::Session(_)));
        Spec { windows, pairs, lateness, count_trigger, count_evictor }
    })
}

/// A window of one key.
#[derive(Clone, Debug)]
struct Window {
    key: i64,
    start: i64,
    end: i64,
    /// Stream and value, in the order of arrival.
    elements: Vec<(bool, i64)>,
    /// Elements since the window last fired.
    count: u64,
}

struct Naive {
    spec: Spec,
    windows: Vec<Window>,
    watermark: i64,
    events: Vec<Event<Group>>,
    late: Vec<i64>,
}

impl Naive {
    const fn new(spec: Spec) -> Self {
        Self { spec, windows: Vec::new(), watermark: i64::MIN, events: Vec::new(), late: Vec::new() }
    }

    fn assigned(&self, key: i64, at: i64) -> Vec<Window> {
        let window = |start, size| Window { key, start, end: start + size, elements: Vec::new(), count: 0 };
        match self.spec.windows {
            Windows::Tumbling(size) => vec![window(at.div_euclid(size) * size, size)],
            Windows::Sliding(size, slide) => {
                let starts = (at - size + 1..=at).filter(|start| start.rem_euclid(slide) == 0);
                starts.map(|start| window(start, size)).collect()
            }
            Windows::Session(gap) => vec![window(at, gap)],
        }
    }

    fn is_late(&self, window: &Window) -> bool {
        window.end - 1 + self.spec.lateness <= self.watermark
    }

    /// The window that is there already or, for sessions, is made of those that the new one touches.
    fn joined(&mut self, mut new: Window) -> Window {
        let is_session = matches!(self.spec.windows, Windows::Session(_));
        let touches = |window: &Window| {
            let same = (window.start, window.end) == (new.start, new.end);
            window.key == new.key && (same || is_session && window.start <= new.end && new.start <= window.end)
        };
        let (touched, others) = std::mem::take(&mut self.windows).into_iter().partition::<Vec<_>, _>(touches);
        self.windows = others;
        for window in touched {
            new.start = new.start.min(window.start);
            new.end = new.end.max(window.end);
            new.elements.extend(window.elements);
            new.count += window.count;
        }
        new
    }

    fn fire(&mut self, window: &mut Window) {
        let spec = self.spec;
        if let Some(most) = spec.count_evictor {
            window.elements.drain(..window.elements.len().saturating_sub(most as usize));
        }
        let of = |second: bool| window.elements.iter().filter(|element| element.0 == second).map(|element| element.1).collect::<Vec<_>>();
        let (first, second) = (of(false), of(true));
        let timestamp = Timestamp(window.end - 1);
        if spec.pairs {
            let pairs = first.iter().flat_map(|one| second.iter().map(|two| (vec![*one], vec![*two])));
            self.events.extend(pairs.map(|pair| Event::Record(pair, timestamp)));
        } else {
            self.events.push(Event::Record((first, second), timestamp));
        }
    }
}

impl Reference for Naive {
    fn record(&mut self, second: bool, (key, value, at, _): Input, watermark: i64) {
        self.watermark = watermark;
        let mut taken = false;
        for window in self.assigned(key, at) {
            let mut window = self.joined(window);
            if self.is_late(&window) {
                continue;
            }
            taken = true;
            window.elements.push((second, value));
            window.count += 1;
            let fires = self.spec.count_trigger.map_or(window.end - 1 <= watermark, |count| window.count >= count);
            if fires {
                window.count = 0;
                self.fire(&mut window);
            }
            self.windows.push(window);
        }
        if !taken {
            self.late.push(value);
        }
    }

    fn advance(&mut self, watermark: i64) {
        let before = std::mem::replace(&mut self.watermark, watermark);
        let mut windows = std::mem::take(&mut self.windows);
        windows.sort_by_key(|window| window.end);
        for window in &mut windows {
            if self.spec.count_trigger.is_none() && before < window.end - 1 && window.end - 1 <= watermark {
                self.fire(window);
            }
        }
        windows.retain(|window| !self.is_late(window));
        self.windows = windows;
        self.events.push(Event::Watermark(Timestamp(watermark)));
    }
}

fn join<A: WindowAssigner<Either>>(
    first: &DataStream<Input>,
    second: &DataStream<Input>,
    assigner: A,
    spec: Spec,
    late: &OutputTag<Either>,
) -> DataStream<Group> {
    macro_rules! with_settings {
        ($windows:expr) => {{
            let mut windows = $windows.allowed_lateness(Millis(spec.lateness)).side_output_late_data(late);
            if let Some(count) = spec.count_trigger {
                windows = windows.trigger(CountTrigger::of(count));
            }
            if let Some(count) = spec.count_evictor {
                windows = windows.evictor(CountEvictor::of(count));
            }
            windows
        }};
    }
    if spec.pairs {
        let windows = with_settings!(first.join(second).where_(|input| input.0).equal_to(|input| input.0).window(assigner));
        return windows.apply(|one, two| (vec![one.1], vec![two.1]));
    }
    let windows = with_settings!(first.co_group(second).where_(|input| input.0).equal_to(|input| input.0).window(assigner));
    windows.apply(|first: Vec<Input>, second: Vec<Input>, out: &mut Collector<Group>| {
        let values = |inputs: Vec<Input>| inputs.into_iter().map(|input| input.1).collect();
        out.collect((values(first), values(second)));
    })
}

fn harness(spec: Spec, late: &OutputTag<Either>) -> TwoInputHarness<Input, Input, Group> {
    let harness = TwoInputHarness::of(|first, second| {
        let (first, second) = (timed(&first), timed(&second));
        match spec.windows {
            Windows::Tumbling(size) => join(&first, &second, TumblingEventTimeWindows::of(Millis(size)), spec, late),
            Windows::Sliding(size, slide) => join(&first, &second, SlidingEventTimeWindows::of(Millis(size), Millis(slide)), spec, late),
            Windows::Session(gap) => join(&first, &second, EventTimeSessionWindows::with_gap(Millis(gap)), spec, late),
        }
    });
    harness.expect("a right graph").with_side_output(late)
}

/// Records between two watermarks in some fixed order, those within a result too: windows that fire together come in no promised one.
fn sorted(events: Vec<Event<Group>>) -> Vec<Event<Group>> {
    let mut sorted: Vec<Event<Group>> = Vec::new();
    let mut run = Vec::new();
    for event in events {
        match event {
            Event::Record((mut first, mut second), timestamp) => {
                first.sort_unstable();
                second.sort_unstable();
                run.push((timestamp, first, second));
            }
            other => {
                run.sort_unstable();
                sorted.extend(run.drain(..).map(|(timestamp, first, second)| Event::Record((first, second), timestamp)));
                sorted.push(other);
            }
        }
    }
    super::streams::settled(sorted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 768, failure_persistence: None, ..ProptestConfig::default() })]

    /// Pairs and groups with their timestamps, watermarks in their places, late records; and no state is left in the end.
    #[test]
    fn window_joins_agree(actions in any_actions(), spec in any_spec()) {
        let late = OutputTag::new("late");
        let (mut harness, mut naive, mut watermarks) = (harness(spec, &late), Naive::new(spec), Watermarks::new());
        for action in &actions {
            feed(&mut harness, action);
            watermarks.show(action, &mut naive);
        }
        prop_assert_eq!(sorted(harness.events().expect("runs")), sorted(naive.events), "{:?} {:?}", spec, actions);
        let values = harness.side_output(&late).expect("watched").into_iter().map(|late| match late {
            Either::One(input) | Either::Two(input) => input.1,
        });
        prop_assert_eq!(values.collect::<Vec<_>>(), naive.late);
        prop_assert!(harness.state_is_empty(), "{} entries are left", harness.state_entries().expect("runs"));
    }
}
