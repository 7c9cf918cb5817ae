//! Combines the watermarks and the idleness of a task's channels (Flink's `StatusWatermarkValve`).
//!
//! Invariants: the combined watermark is the minimum over the aligned channels and never goes back. An idle channel is left out; one that
//! becomes active again counts only once it has caught up with the combined watermark. When the last active channel goes idle and it
//! counted, the maximum over all channels is emitted. Cost of an advance: logarithmic in the number of channels.

use brisk_base::Timestamp;
use brisk_core::element::StreamStatus;

/// What a change of a channel means for the task. Applied in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// The task becomes active, before anything else.
    pub active: bool,
    /// The combined watermark advances.
    pub watermark: Option<Timestamp>,
    /// The task becomes idle, after the watermark.
    pub idle: bool,
}

/// See the module.
pub struct WatermarkValve {
    /// Tournament tree over the channels: node i is the minimum of 2i and 2i + 1; leaves begin at `width`. Channels that do not count
    /// are `MAX`.
    tree: Vec<Timestamp>,
    /// Number of leaves, a power of two.
    width: usize,
    /// The last watermark of each channel.
    watermarks: Vec<Timestamp>,
    /// Channels that are idle.
    idle: Vec<bool>,
    /// Channels that are active but have not caught up.
    behind: Vec<bool>,
    /// Channels that are active.
    active: usize,
    /// The combined watermark.
    combined: Timestamp,
}

impl WatermarkValve {
    /// All channels active, no watermark.
    pub fn new(channels: usize) -> Self {
        let width = channels.next_power_of_two().max(1);
        let mut tree = vec![Timestamp::MAX; 2 * width];
        tree[width..width + channels].fill(Timestamp::MIN);
        (1..width).rev().for_each(|node| tree[node] = tree[2 * node].min(tree[2 * node + 1]));
        Self {
            tree,
            width,
            watermarks: vec![Timestamp::MIN; channels],
            idle: vec![false; channels],
            behind: vec![false; channels],
            active: channels,
            combined: Timestamp::MIN,
        }
    }

    /// The combined watermark.
    pub fn combined(&self) -> Timestamp {
        self.combined
    }

    /// Whether a channel is idle.
    pub fn is_idle(&self, channel: usize) -> bool {
        self.idle[channel]
    }

    /// The last watermark of a channel, and whether it is idle.
    pub fn standing(&self, channel: usize) -> (Timestamp, bool) {
        (self.watermarks[channel], self.idle[channel])
    }

    /// A channel's watermark has advanced. Watermarks of idle channels are ignored.
    pub fn watermark(&mut self, channel: usize, watermark: Timestamp) -> Option<Timestamp> {
        if self.idle[channel] || watermark <= self.watermarks[channel] {
            return None;
        }
        self.watermarks[channel] = watermark;
        if self.behind[channel] {
            if watermark < self.combined {
                return None;
            }
            self.behind[channel] = false;
        }
        self.set(channel, watermark);
        self.advance()
    }

    /// A channel's status has changed.
    pub fn status(&mut self, channel: usize, status: StreamStatus) -> Change {
        match status {
            StreamStatus::Idle if !self.idle[channel] => self.becomes_idle(channel),
            StreamStatus::Active if self.idle[channel] => self.becomes_active(channel),
            _ => Change::default(),
        }
    }

    fn becomes_idle(&mut self, channel: usize) -> Change {
        self.idle[channel] = true;
        let counted = !std::mem::replace(&mut self.behind[channel], false);
        self.active -= 1;
        self.set(channel, Timestamp::MAX);
        if self.active > 0 {
            // Channels that are all behind say nothing about the minimum.
            let watermark = if self.tree[1] == Timestamp::MAX && !self.has_ended() { None } else { self.advance() };
            return Change { watermark, ..Change::default() };
        }
        let highest = self.watermarks.iter().copied().max().unwrap_or(Timestamp::MIN);
        let watermark = (counted && highest > self.combined).then(|| {
            self.combined = highest;
            highest
        });
        Change { active: false, watermark, idle: true }
    }

    fn becomes_active(&mut self, channel: usize) -> Change {
        self.idle[channel] = false;
        self.active += 1;
        let watermark = self.watermarks[channel];
        self.behind[channel] = watermark < self.combined;
        if !self.behind[channel] {
            self.set(channel, watermark);
        }
        Change { active: self.active == 1, ..Change::default() }
    }

    /// Whether a channel that counts has given the final watermark.
    fn has_ended(&self) -> bool {
        (0..self.watermarks.len()).any(|at| !self.idle[at] && !self.behind[at] && self.watermarks[at] == Timestamp::MAX)
    }

    fn advance(&mut self) -> Option<Timestamp> {
        let lowest = self.tree[1];
        (lowest > self.combined).then(|| {
            self.combined = lowest;
            lowest
        })
    }

    fn set(&mut self, channel: usize, watermark: Timestamp) {
        let mut node = self.width + channel;
        self.tree[node] = watermark;
        while node > 1 {
            node /= 2;
            let lowest = self.tree[2 * node].min(self.tree[2 * node + 1]);
            if self.tree[node] == lowest {
                return;
            }
            self.tree[node] = lowest;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use StreamStatus::{Active, Idle};
    use proptest::prelude::*;

    #[test]
    fn the_minimum_over_active_channels_counts() {
        let mut valve = WatermarkValve::new(3);
        assert_eq!(valve.watermark(0, Timestamp(5)), None);
        assert_eq!(valve.watermark(1, Timestamp(7)), None);
        assert_eq!(valve.watermark(2, Timestamp(6)), Some(Timestamp(5)));
        assert_eq!(valve.status(0, Idle), Change { watermark: Some(Timestamp(6)), ..Change::default() });
        assert_eq!(valve.status(0, Active), Change::default(), "behind: does not count yet");
        assert_eq!(valve.watermark(2, Timestamp(9)), Some(Timestamp(7)));
        assert_eq!(valve.watermark(0, Timestamp(8)), None, "caught up");
        assert_eq!(valve.watermark(1, Timestamp(10)), Some(Timestamp(8)));
    }

    #[test]
    fn the_last_active_channel_lets_the_maximum_out() {
        let mut valve = WatermarkValve::new(2);
        valve.watermark(0, Timestamp(10));
        assert_eq!(valve.status(0, Idle), Change::default(), "the other one has no watermark yet");
        assert_eq!(valve.status(1, Idle), Change { active: false, watermark: Some(Timestamp(10)), idle: true });
        assert_eq!(valve.status(1, Active), Change { active: true, ..Change::default() });
    }

    #[test]
    fn a_last_channel_that_was_behind_lets_nothing_out() {
        let mut valve = WatermarkValve::new(3);
        [100, 60, 10]
            .into_iter()
            .enumerate()
            .for_each(|(channel, at)| assert!(valve.watermark(channel, Timestamp(at)).is_none() || channel == 2));
        valve.status(2, Idle);
        valve.status(0, Idle);
        assert_eq!((valve.combined(), valve.status(2, Active)), (Timestamp(60), Change::default()));
        assert_eq!(valve.status(1, Idle), Change::default(), "the one that is left is behind");
        assert_eq!(valve.status(2, Idle), Change { idle: true, ..Change::default() });
    }

    /// A straightforward reading of the rules.
    pub(crate) struct Naive {
        /// Watermark, idle, behind.
        channels: Vec<(i64, bool, bool)>,
        combined: i64,
    }

    impl Naive {
        pub(crate) fn new(channels: usize) -> Self {
            Self { channels: vec![(i64::MIN, false, false); channels], combined: i64::MIN }
        }

        fn lowest(&mut self) -> Option<Timestamp> {
            let lowest = self.channels.iter().filter(|(_, idle, behind)| !idle && !behind).map(|(at, ..)| *at).min()?;
            (lowest > self.combined).then(|| {
                self.combined = lowest;
                Timestamp(lowest)
            })
        }

        pub(crate) fn is_idle(&self, channel: usize) -> bool {
            self.channels[channel].1
        }

        pub(crate) fn step(&mut self, channel: usize, what: Option<StreamStatus>, at: i64) -> Change {
            let mut change = Change::default();
            let (watermark, idle, behind) = self.channels[channel];
            match what {
                None if !idle && at > watermark => {
                    self.channels[channel] = (at, false, behind && at < self.combined);
                    if !self.channels[channel].2 {
                        change.watermark = self.lowest();
                    }
                }
                Some(Idle) if !idle => {
                    self.channels[channel] = (watermark, true, false);
                    if self.channels.iter().all(|(_, idle, _)| *idle) {
                        change.idle = true;
                        let highest = self.channels.iter().map(|(at, ..)| *at).max().unwrap_or(i64::MIN);
                        if highest > self.combined && !behind {
                            self.combined = highest;
                            change.watermark = Some(Timestamp(highest));
                        }
                    } else {
                        change.watermark = self.lowest();
                    }
                }
                Some(Active) if idle => {
                    change.active = self.channels.iter().all(|(_, idle, _)| *idle);
                    self.channels[channel] = (watermark, false, watermark < self.combined);
                }
                _ => {}
            }
            change
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_reading(channels in 1usize..6, steps in proptest::collection::vec((0usize..6, 0u8..4, 0i64..40), 0..80)) {
            let mut valve = WatermarkValve::new(channels);
            let mut naive = Naive::new(channels);
            for (channel, what, at) in steps {
                let channel = channel % channels;
                let status = match what { 0 => Some(Idle), 1 => Some(Active), _ => None };
                let expected = naive.step(channel, status, at);
                let found = match status {
                    Some(status) => valve.status(channel, status),
                    None => Change { watermark: valve.watermark(channel, Timestamp(at)), ..Change::default() },
                };
                prop_assert_eq!(found, expected);
            }
        }
    }
}
