//! Windows: what elements are grouped into. [`TimeWindow`] is an interval of time, [`GlobalWindow`] holds everything of a key.
//!
//! Invariant: a window is a [`Key`], so that it can be the namespace of state and of timers.

use brisk_base::{Millis, Result, Timestamp};
use brisk_core::types::{Decoder, Key, Record, Schema, hash};
use std::fmt;

/// A group of elements of one key (Flink's `Window`).
pub trait Window: Key {
    /// The largest timestamp that still belongs to the window: its results carry it.
    fn max_timestamp(&self) -> Timestamp;
}

/// The interval of time from `start` (inclusive) to `end` (exclusive).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeWindow {
    start: Timestamp,
    end: Timestamp,
}

impl TimeWindow {
    /// The window from `start` up to, not including, `end`.
    #[inline]
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// The window of this length that begins at `start`.
    #[inline]
    pub fn starting_at(start: Timestamp, size: Millis) -> Self {
        Self { start, end: start + size }
    }

    /// First timestamp of the window.
    #[inline]
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// First timestamp behind the window.
    #[inline]
    pub const fn end(&self) -> Timestamp {
        self.end
    }

    /// Whether the two overlap or touch.
    pub fn intersects(&self, other: &Self) -> bool {
        self.start <= other.end && self.end >= other.start
    }

    /// The smallest window that holds both.
    #[must_use]
    pub fn cover(&self, other: &Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Groups windows that overlap or touch: each group with the window that covers it. Groups of one are left out.
    pub fn merge(windows: &[Self]) -> Vec<(Self, Vec<Self>)> {
        let mut sorted = windows.to_vec();
        sorted.sort_unstable();
        let mut groups: Vec<(Self, Vec<Self>)> = Vec::new();
        for window in sorted {
            match groups.last_mut() {
                Some((cover, group)) if cover.intersects(&window) => {
                    *cover = cover.cover(&window);
                    group.push(window);
                }
                _ => groups.push((window, vec![window])),
            }
        }
        groups.retain(|(_, group)| group.len() > 1);
        groups
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

impl fmt::Debug for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeWindow[{}, {})", self.start.0, self.end.0)
    }
}

impl Window for TimeWindow {
    #[inline]
    fn max_timestamp(&self) -> Timestamp {
        Timestamp(self.end.0.saturating_sub(1))
    }
}

impl Record for TimeWindow {
    fn encode(&self, out: &mut Vec<u8>) {
        self.start.encode(out);
        self.end.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self { start: Timestamp::decode(input)?, end: Timestamp::decode(input)? })
    }

    fn schema() -> Schema {
        <(Timestamp, Timestamp)>::schema()
    }
}

impl Key for TimeWindow {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::combine(hash::hash_i64(self.start.0), hash::hash_i64(self.end.0))
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        self.start.encode_ordered(out);
        self.end.encode_ordered(out);
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self { start: Timestamp::decode_ordered(input)?, end: Timestamp::decode_ordered(input)? })
    }
}

/// The one window that holds all elements of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GlobalWindow;

impl Window for GlobalWindow {
    #[inline]
    fn max_timestamp(&self) -> Timestamp {
        Timestamp::MAX
    }
}

impl Record for GlobalWindow {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn decode(_input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self)
    }

    fn schema() -> Schema {
        Schema::Unit
    }
}

impl Key for GlobalWindow {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::hash_null()
    }

    fn encode_ordered(&self, _out: &mut Vec<u8>) {}

    fn decode_ordered(_input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, end: i64) -> TimeWindow {
        TimeWindow::new(Timestamp(start), Timestamp(end))
    }

    /// The cases of Flink's `TimeWindowTest` and `EventTimeSessionWindowsTest`: touching windows merge, groups of one are left out.
    #[test]
    fn windows_that_overlap_or_touch_merge() {
        for (windows, groups) in [
            (vec![], vec![]),
            (vec![(0, 1)], vec![]),
            (vec![(0, 1), (2, 3)], vec![]),
            (vec![(0, 1), (1, 2), (4, 5)], vec![((0, 2), vec![(0, 1), (1, 2)])]),
            (vec![(5, 7), (0, 6), (9, 10), (10, 12)], vec![((0, 7), vec![(0, 6), (5, 7)]), ((9, 12), vec![(9, 10), (10, 12)])]),
            (vec![(0, 10), (2, 3), (5, 11)], vec![((0, 11), vec![(0, 10), (2, 3), (5, 11)])]),
        ] {
            let windows: Vec<_> = windows.into_iter().map(|(start, end)| window(start, end)).collect();
            let expected: Vec<(TimeWindow, Vec<TimeWindow>)> =
                groups.into_iter().map(|((s, e), group)| (window(s, e), group.into_iter().map(|(s, e)| window(s, e)).collect())).collect();
            assert_eq!(TimeWindow::merge(&windows), expected);
        }
    }

    #[test]
    fn the_ordered_encoding_sorts_as_windows_do() {
        let mut windows = [window(0, 10), window(-5, 5), window(-5, 4), window(i64::MIN, i64::MAX), window(7, 8)];
        let encode = |window: &TimeWindow| {
            let mut bytes = Vec::new();
            window.encode_ordered(&mut bytes);
            bytes
        };
        windows.sort_by_key(encode);
        assert!(windows.is_sorted());
        assert!(windows.iter().all(|window| TimeWindow::decode_ordered(&mut Decoder::new(&encode(window))).expect("own bytes") == *window));
    }
}
