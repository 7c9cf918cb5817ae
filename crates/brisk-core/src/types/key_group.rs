//! Key groups: the unit in which keyed state is spread over subtasks and moved when a job is rescaled.

use brisk_base::{Error, Result};
use std::fmt;
use std::ops::Range;

/// Highest max parallelism, as in Flink.
pub const MAX_MAX_PARALLELISM: u32 = 1 << 15;

/// Lowest max parallelism that is chosen for a user who sets none.
const LEAST_DEFAULT_MAX_PARALLELISM: u32 = 128;

/// Number of a key group, below the operator's max parallelism.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyGroup(pub u16);

/// Consecutive key groups, those of one subtask. May be empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyGroupRange {
    /// The first key group.
    start: u16,
    /// The key group after the last; at least `start`.
    end: u16,
}

/// The max parallelism of an operator that sets none: Flink's rule (1.5 times the parallelism as a power of two, 128 to 32768).
pub const fn default_max_parallelism(parallelism: u32) -> u32 {
    let wanted = parallelism.saturating_add(parallelism / 2);
    if wanted >= MAX_MAX_PARALLELISM {
        return MAX_MAX_PARALLELISM;
    }
    let rounded = wanted.next_power_of_two();
    if rounded < LEAST_DEFAULT_MAX_PARALLELISM { LEAST_DEFAULT_MAX_PARALLELISM } else { rounded }
}

impl KeyGroup {
    /// The subtask that owns this key group: Flink's formula.
    #[inline]
    pub const fn subtask(self, max_parallelism: u32, parallelism: u32) -> u32 {
        self.0 as u32 * parallelism / max_parallelism
    }
}

impl fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl KeyGroupRange {
    /// No key group at all.
    pub const EMPTY: Self = Self { start: 0, end: 0 };

    /// All key groups that there can be.
    pub const ALL: Self = Self { start: 0, end: u16::MAX };

    /// Key groups `start` up to, not including, `end`; empty when `end` is not above `start`.
    pub const fn new(start: u16, end: u16) -> Self {
        if start < end { Self { start, end } } else { Self::EMPTY }
    }

    /// All key groups of an operator.
    ///
    /// # Errors
    /// When the max parallelism is 0 or above [`MAX_MAX_PARALLELISM`].
    pub fn all(max_parallelism: u32) -> Result<Self> {
        Self::of_subtask(max_parallelism, 1, 0)
    }

    /// The key groups of subtask `subtask` of `parallelism`: Flink's formula.
    ///
    /// # Errors
    /// When `subtask < parallelism <= max_parallelism <= MAX_MAX_PARALLELISM` does not hold.
    pub fn of_subtask(max_parallelism: u32, parallelism: u32, subtask: u32) -> Result<Self> {
        if max_parallelism == 0 || max_parallelism > MAX_MAX_PARALLELISM {
            return Err(Error::user(format!("max parallelism is {max_parallelism}: set it between 1 and {MAX_MAX_PARALLELISM}")));
        }
        if parallelism == 0 || parallelism > max_parallelism {
            return Err(Error::user(format!(
                "parallelism is {parallelism}: it must be between 1 and the max parallelism, {max_parallelism} \
                 (which can only be raised for a job that starts without state)"
            )));
        }
        if subtask >= parallelism {
            return Err(Error::bug(format!("subtask {subtask} of only {parallelism} asked for its key groups")));
        }
        let start = (subtask * max_parallelism).div_ceil(parallelism);
        let end = ((subtask + 1) * max_parallelism - 1) / parallelism + 1;
        Ok(Self::new(start as u16, end as u16))
    }

    /// The first key group; 0 when empty.
    pub const fn start(self) -> KeyGroup {
        KeyGroup(self.start)
    }

    /// How many key groups.
    pub const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `group` is one of them.
    #[inline]
    pub const fn contains(self, group: KeyGroup) -> bool {
        self.start <= group.0 && group.0 < self.end
    }

    /// Place of `group` within the range, from 0.
    #[inline]
    pub const fn index_of(self, group: KeyGroup) -> Option<usize> {
        if self.contains(group) { Some((group.0 - self.start) as usize) } else { None }
    }

    /// The key groups that are in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The numbers of the key groups.
    pub const fn numbers(self) -> Range<u16> {
        self.start..self.end
    }

    /// The key groups in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = KeyGroup> + ExactSizeIterator {
        self.numbers().map(KeyGroup)
    }
}

impl fmt::Display for KeyGroupRange {
    /// `[0, 63]`, both ends included, as Flink prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() { f.write_str("[]") } else { write!(f, "[{}, {}]", self.start, self.end - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn default_is_flinks() {
        for (parallelism, expected) in [(1, 128), (85, 128), (86, 256), (171, 256), (172, 512), (20_000, 32_768), (32_768, 32_768)] {
            assert_eq!(default_max_parallelism(parallelism), expected, "parallelism {parallelism}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_spread() {
        for (max_parallelism, parallelism, subtask) in [(0, 1, 0), (32_769, 1, 0), (128, 0, 0), (128, 129, 0), (128, 4, 4)] {
            KeyGroupRange::of_subtask(max_parallelism, parallelism, subtask).expect_err("out of bounds");
        }
        assert_eq!(KeyGroupRange::all(MAX_MAX_PARALLELISM).expect("in bounds").len(), 32_768);
        assert_eq!(KeyGroupRange::of_subtask(128, 3, 1).expect("in bounds").to_string(), "[43, 85]");
        assert_eq!(KeyGroupRange::EMPTY.to_string(), "[]");
    }

    proptest! {
        #[test]
        fn ranges_follow_each_other_and_agree_with_the_owner((max_parallelism, parallelism) in (1u32..2000).prop_flat_map(|max| (Just(max), 1..=max))) {
            let mut next = 0;
            for subtask in 0..parallelism {
                let range = KeyGroupRange::of_subtask(max_parallelism, parallelism, subtask).expect("in bounds");
                prop_assert!(!range.is_empty());
                prop_assert_eq!(range.start().0, next);
                for group in range.iter() {
                    prop_assert_eq!(group.subtask(max_parallelism, parallelism), subtask);
                    prop_assert!(range.contains(group));
                    prop_assert_eq!(range.index_of(group), Some((group.0 - next) as usize));
                }
                next = range.numbers().end;
            }
            prop_assert_eq!(u32::from(next), max_parallelism);
        }

        #[test]
        fn intersection_holds_what_both_hold(a in 0u16..50, b in 0u16..50, c in 0u16..50, d in 0u16..50) {
            let (left, right) = (KeyGroupRange::new(a, b), KeyGroupRange::new(c, d));
            let both = left.intersection(right);
            for group in (0..50).map(KeyGroup) {
                prop_assert_eq!(both.contains(group), left.contains(group) && right.contains(group));
            }
        }
    }
}
