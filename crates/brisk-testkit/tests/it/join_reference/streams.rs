//! Two random streams, and what a reference has to know of their watermarks.

use brisk_base::Timestamp;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_stream::DataStream;
use brisk_testkit::{Event, TwoInputHarness};
use proptest::prelude::*;

/// Key, value, timestamp, and the watermark after it, if it advances.
pub(super) type Input = (i64, i64, i64, Option<i64>);

/// What a test does next. `true` is the second stream.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Batch(bool, Vec<Input>),
    End(bool),
}

/// Timestamps and watermarks as the records say.
pub(super) fn timed(stream: &DataStream<Input>) -> DataStream<Input> {
    let strategy = WatermarkStrategy::punctuated(|input: &Input, _| input.3.map(Timestamp));
    stream.assign_timestamps_and_watermarks(strategy.with_timestamp(|input: &Input| Timestamp(input.2)))
}

/// Batches of both streams in random order, and their ends. Values are numbers in the order of arrival. Watermarks follow the timestamps
/// at some distance: some records are late, most are not.
pub(super) fn any_actions() -> impl Strategy<Value = Vec<Action>> {
    let row = (0i64..3, 0i64..12, prop_oneof![2 => Just(None), 1 => (0i64..10).prop_map(Some)]);
    let batches = proptest::collection::vec((any::<bool>(), proptest::collection::vec(row, 1..12)), 0..12);
    (batches, any::<bool>(), any::<prop::sample::Index>()).prop_map(|(batches, first_to_end, early)| {
        let (mut value, mut time, mut watermarks) = (0, [0i64; 2], [i64::MIN; 2]);
        let mut input = |second: bool, (key, ahead, behind): (i64, i64, Option<i64>)| {
            let side = usize::from(second);
            value += 1;
            time[side] += 1;
            let watermark = behind.map(|behind| time[side] - behind + 3).filter(|watermark| *watermark > watermarks[side]);
            watermarks[side] = watermark.unwrap_or(watermarks[side]);
            (key, value, time[side] + ahead - 4, watermark)
        };
        // One of the streams may end long before the other.
        let end = early.index(batches.len() + 1);
        let mut actions = Vec::new();
        for (at, (second, rows)) in batches.into_iter().enumerate() {
            if at == end {
                actions.push(Action::End(first_to_end));
            }
            if at < end || second != first_to_end {
                actions.push(Action::Batch(second, rows.into_iter().map(|row| input(second, row)).collect()));
            }
        }
        if !actions.iter().any(|action| matches!(action, Action::End(_))) {
            actions.push(Action::End(first_to_end));
        }
        actions.push(Action::End(!first_to_end));
        actions
    })
}

/// What a reference does with records and watermarks in turn.
pub(super) trait Reference {
    /// Takes a record; `watermark` is that of both streams before it.
    fn record(&mut self, second: bool, record: Input, watermark: i64);

    /// The watermark of both streams advances.
    fn advance(&mut self, watermark: i64);
}

/// The watermarks of the two streams.
pub(super) struct Watermarks([i64; 2]);

impl Watermarks {
    pub(super) const fn new() -> Self {
        Self([i64::MIN; 2])
    }

    fn combined(&self) -> i64 {
        self.0[0].min(self.0[1])
    }

    fn advance(&mut self, second: bool, to: i64, reference: &mut impl Reference) {
        let before = self.combined();
        self.0[usize::from(second)] = to;
        if self.combined() > before {
            reference.advance(self.combined());
        }
    }

    /// Shows a reference an action.
    pub(super) fn show(&mut self, action: &Action, reference: &mut impl Reference) {
        match action {
            Action::End(second) => self.advance(*second, i64::MAX, reference),
            Action::Batch(second, rows) => {
                for row in rows {
                    reference.record(*second, *row, self.combined());
                    row.3.into_iter().for_each(|to| self.advance(*second, to, reference));
                }
            }
        }
    }
}

/// Gives the harness an action.
pub(super) fn feed<O: brisk_core::types::Record>(harness: &mut TwoInputHarness<Input, Input, O>, action: &Action) {
    let fed = match action {
        Action::Batch(false, rows) => harness.elements1(rows.iter().map(|row| (*row, row.2))),
        Action::Batch(true, rows) => harness.elements2(rows.iter().map(|row| (*row, row.2))),
        Action::End(false) => harness.end_input1(),
        Action::End(true) => harness.end_input2(),
    };
    fed.expect("no failure");
}

/// Events without watermarks that another one follows at once.
pub(super) fn settled<T>(events: impl IntoIterator<Item = Event<T>>) -> Vec<Event<T>> {
    let mut settled = Vec::new();
    for event in events {
        if let (Some(Event::Watermark(last)), Event::Watermark(watermark)) = (settled.last_mut(), &event) {
            *last = *watermark;
        } else {
            settled.push(event);
        }
    }
    settled
}
