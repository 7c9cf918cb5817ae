//! What a task makes of its channels, against a naive reading of the rules.

use super::*;
use crate::barrier::ChannelKey;
use crate::exchange::{ChannelSender, Sent};
use crate::valve::tests::Naive;
use brisk_core::batch::{Rows, Step};
use proptest::prelude::*;

/// What the head operator is given, rows and watermarks apart.
#[derive(Clone, PartialEq, Debug)]
enum Seen {
    Row(usize, i64),
    Watermark(i64),
    Status(StreamStatus),
    End(usize),
}

/// One element of a channel.
#[derive(Clone, Debug)]
enum Sends {
    /// Number of rows, and by how much the watermark advances before some of them.
    Rows(u8, Vec<(u8, u8)>),
    Watermark(u8),
    Status(StreamStatus),
}

fn sends() -> impl Strategy<Value = Sends> {
    prop_oneof![
        4 => (0u8..5, proptest::collection::vec((0u8..6, 1u8..9), 0..4)).prop_map(|(rows, marks)| Sends::Rows(rows, marks)),
        2 => (1u8..9).prop_map(Sends::Watermark),
        1 => Just(Sends::Status(StreamStatus::Idle)),
        1 => Just(Sends::Status(StreamStatus::Active)),
    ]
}

fn channels(input_of: &[u8]) -> Vec<InputChannel> {
    let channel = |(producer, input): (u32, &u8)| InputChannel {
        input: *input,
        key: ChannelKey { to: brisk_base::ids::VertexId(0), gate: 0, producer, consumer: 0 },
        overtakable: false,
    };
    (0..).zip(input_of).map(channel).collect()
}

/// A gate under test beside the model.
struct Fixture {
    queue: Arc<GateQueue>,
    inputs: Inputs,
    input_of: Vec<u8>,
    /// One for each input, the number of each channel in it, and what it combined.
    naive: Vec<Naive>,
    place: Vec<usize>,
    partial: Vec<(i64, bool)>,
    combined: i64,
    /// The last watermark of each channel.
    watermarks: Vec<i64>,
    next_row: i64,
    expected: Vec<Seen>,
    found: Vec<Seen>,
    open: Vec<usize>,
}

impl Fixture {
    fn new(mut input_of: Vec<u8>) -> Self {
        if !input_of.contains(&0) {
            input_of.fill(0);
        }
        let queue = Arc::new(GateQueue::new(input_of.len(), None));
        let open: Vec<usize> = (0..2).map(|input| input_of.iter().filter(|of| **of == input).count()).collect();
        let place = |at: usize| input_of[..at].iter().filter(|of| **of == input_of[at]).count();
        Self {
            inputs: Inputs::new(Arc::clone(&queue), channels(&input_of), None),
            queue,
            naive: open.iter().map(|channels| Naive::new(*channels)).collect(),
            place: (0..input_of.len()).map(place).collect(),
            partial: open.iter().filter(|channels| **channels > 0).map(|_| (i64::MIN, false)).collect(),
            combined: i64::MIN,
            watermarks: vec![0; input_of.len()],
            input_of,
            next_row: 0,
            expected: Vec::new(),
            found: Vec::new(),
            open,
        }
    }

    fn send(&mut self, channel: usize, sends: Sends) {
        let element = match sends {
            Sends::Rows(rows, marks) => self.batch(channel, rows, marks),
            Sends::Watermark(by) => {
                self.watermarks[channel] += i64::from(by);
                self.expect(channel, None, self.watermarks[channel]);
                Element::Watermark(Timestamp(self.watermarks[channel]))
            }
            Sends::Status(status) => {
                self.expect(channel, Some(status), 0);
                Element::Status(status)
            }
        };
        self.deliver(channel, element);
    }

    fn batch(&mut self, channel: usize, rows: u8, mut marks: Vec<(u8, u8)>) -> Element {
        marks.iter_mut().for_each(|(at, _)| *at = (*at).min(rows));
        marks.sort_unstable();
        marks.dedup_by_key(|(at, _)| *at);
        let mut batch = Rows::default();
        for row in 0..=rows {
            if let Some((_, by)) = marks.iter().find(|(at, _)| *at == row) {
                self.watermarks[channel] += i64::from(*by);
                self.expect(channel, None, self.watermarks[channel]);
                batch.mark(Timestamp(self.watermarks[channel]));
            }
            if row < rows {
                self.expected.push(Seen::Row(usize::from(self.input_of[channel]), self.next_row));
                batch.push(self.next_row, Timestamp(self.next_row));
                self.next_row += 1;
            }
        }
        Element::Batch(Box::new(batch))
    }

    fn end(&mut self, channel: usize) {
        if self.naive[usize::from(self.input_of[channel])].is_idle(self.place[channel]) {
            self.expect(channel, Some(StreamStatus::Active), 0);
        }
        self.expect(channel, None, i64::MAX);
        self.deliver(channel, Element::Watermark(Timestamp::MAX));
        let input = usize::from(self.input_of[channel]);
        self.open[input] -= 1;
        if self.open[input] == 0 {
            self.expected.push(Seen::End(input));
        }
        self.deliver(channel, Element::EndOfInput);
    }

    fn expect(&mut self, channel: usize, status: Option<StreamStatus>, watermark: i64) {
        let input = usize::from(self.input_of[channel]);
        let change = self.naive[input].step(self.place[channel], status, watermark);
        let was_idle = self.partial.iter().all(|partial| partial.1);
        self.partial[input].1 &= !change.active;
        if was_idle && change.active {
            self.expected.push(Seen::Status(StreamStatus::Active));
        }
        self.partial[input].0 = change.watermark.map_or(self.partial[input].0, |watermark| watermark.0);
        self.expect_combined();
        if change.idle {
            self.partial[input].1 = true;
            self.expect_combined();
            if self.partial.iter().all(|partial| partial.1) {
                self.expected.push(Seen::Status(StreamStatus::Idle));
            }
        }
    }

    fn expect_combined(&mut self) {
        let lowest = self.partial.iter().filter(|partial| !partial.1).map(|partial| partial.0).min();
        if let Some(lowest) = lowest.filter(|lowest| *lowest > self.combined) {
            self.combined = lowest;
            self.expected.push(Seen::Watermark(lowest));
        }
    }

    fn deliver(&mut self, channel: usize, element: Element) {
        let sent = ChannelSender::new(Arc::clone(&self.queue), channel as u32).send(element, Waker::noop());
        assert!(matches!(sent, Sent::Accepted(_)));
        while let Next::Element(input, element) = self.inputs.next(Waker::noop(), || Timestamp(0)) {
            match element {
                Element::Batch(batch) => {
                    let steps = Rows::<i64>::from_any(batch).expect("numbers").into_cursor();
                    self.found.extend(steps.map(|step| match step {
                        Step::Row(value, ..) => Seen::Row(input, value),
                        Step::Watermark(watermark) => Seen::Watermark(watermark.0),
                    }));
                }
                Element::Watermark(watermark) => self.found.push(Seen::Watermark(watermark.0)),
                Element::Status(status) => self.found.push(Seen::Status(status)),
                Element::EndOfInput => self.found.push(Seen::End(input)),
                Element::LatencyMarker(_) | Element::Barrier(_) | Element::EndOfChannel => {}
            }
        }
    }
}

/// Of several watermarks in a row the last.
fn newest(all: &[Seen]) -> Vec<Seen> {
    let overtaken = |at: &usize| matches!(all[*at..], [Seen::Watermark(_), Seen::Watermark(_), ..]);
    (0..all.len()).filter(|at| !overtaken(at)).map(|at| all[at].clone()).collect()
}

proptest! {
    /// Channels in any order: each row comes under the watermark that a reading of the rules, row by row, gives.
    #[test]
    fn rows_come_under_the_combined_watermark(
        input_of in proptest::collection::vec(0u8..2, 1..5),
        sent in proptest::collection::vec((0usize..5, sends()), 0..60),
        ends in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let channels = input_of.len();
        let mut fixture = Fixture::new(input_of);
        sent.into_iter().for_each(|(channel, sends)| fixture.send(channel % channels, sends));
        ends.into_iter().filter(|channel| *channel < channels).for_each(|channel| fixture.end(channel));
        prop_assert_eq!(newest(&fixture.found), newest(&fixture.expected));
        prop_assert!(fixture.found.contains(&Seen::Watermark(i64::MAX)), "the final watermark came");
    }

    /// Where all channels stay active, the rule is short: a row comes under the minimum over the channels of what each has said before.
    #[test]
    fn without_idleness_the_minimum_over_the_channels_counts(
        channels in 1usize..5,
        sent in proptest::collection::vec((0usize..5, 0u8..4, proptest::collection::vec((0u8..6, 1u8..9), 0..4)), 0..60),
    ) {
        let mut fixture = Fixture::new(vec![0; channels]);
        for (channel, rows, marks) in sent {
            let (channel, before) = (channel % channels, fixture.found.len());
            let others = (0..channels).filter(|other| *other != channel).map(|other| fixture.watermarks[other]).min().unwrap_or(i64::MAX);
            fixture.send(channel, Sends::Rows(rows, marks));
            let mut current = fixture.found[..before].iter().filter_map(|seen| match seen { Seen::Watermark(at) => Some(*at), _ => None }).max().unwrap_or(0);
            for seen in &fixture.found[before..] {
                match seen {
                    Seen::Watermark(at) => { prop_assert!(*at > current); current = *at; }
                    _ => prop_assert!(current <= others),
                }
            }
            prop_assert_eq!(current, others.min(fixture.watermarks[channel]));
        }
    }
}

#[test]
fn a_channel_that_ends_while_idle_still_gives_the_final_watermark() {
    let mut fixture = Fixture::new(vec![0, 0]);
    fixture.send(0, Sends::Watermark(5));
    fixture.send(0, Sends::Status(StreamStatus::Idle));
    fixture.send(1, Sends::Status(StreamStatus::Idle));
    fixture.found.clear();
    fixture.end(0);
    fixture.end(1);
    assert_eq!(fixture.found.last(), Some(&Seen::End(0)));
    assert!(fixture.found.contains(&Seen::Watermark(i64::MAX)), "{:?}", fixture.found);
}
