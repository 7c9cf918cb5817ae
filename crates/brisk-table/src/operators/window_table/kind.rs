//! How rows are put into windows.

use std::fmt;

/// How rows are put into windows; all spans are in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Hash, Debug)]
pub enum WindowKind {
    /// Windows of one size behind each other.
    Tumble {
        /// Length of each.
        size: i64,
        /// Where they begin, from 1970 on.
        offset: i64,
    },
    /// Windows of one size that begin at each step.
    Hop {
        /// From one begin to the next.
        slide: i64,
        /// Length of each.
        size: i64,
        /// Where they begin, from 1970 on.
        offset: i64,
    },
    /// Windows of one begin that grow step by step.
    Cumulate {
        /// What each is longer than the one before.
        step: i64,
        /// Length of the longest.
        size: i64,
        /// Where they begin, from 1970 on.
        offset: i64,
    },
    /// Windows that end when nothing has come for this long.
    Session {
        /// How long nothing may come.
        gap: i64,
    },
}

impl fmt::Display for WindowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tumble { size, .. } => write!(f, "TUMBLE(size=[{size} ms])"),
            Self::Hop { slide, size, .. } => write!(f, "HOP(slide=[{slide} ms], size=[{size} ms])"),
            Self::Cumulate { step, size, .. } => write!(f, "CUMULATE(step=[{step} ms], size=[{size} ms])"),
            Self::Session { gap } => write!(f, "SESSION(gap=[{gap} ms])"),
        }
    }
}

/// Start of the last window of a step that begins at or before a time.
const fn start_of(time: i64, step: i64, offset: i64) -> i64 {
    time - (time - offset).rem_euclid(step)
}

impl WindowKind {
    /// Calls `window` with start and end of each window that a time lies in.
    pub(crate) fn windows(self, time: i64, mut window: impl FnMut(i64, i64)) {
        match self {
            Self::Tumble { size, offset } => {
                let start = start_of(time, size, offset);
                window(start, start + size);
            }
            Self::Hop { slide, size, offset } => {
                let last = start_of(time, slide, offset);
                (0..size / slide).rev().for_each(|step| window(last - step * slide, last - step * slide + size));
            }
            Self::Cumulate { step, size, offset } => {
                let start = start_of(time, size, offset);
                let first = (time - start) / step + 1;
                (first..=size / step).for_each(|steps| window(start, start + steps * step));
            }
            // A session of this row alone; the aggregation merges them.
            Self::Session { gap } => window(time, time + gap),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: WindowKind, time: i64) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        kind.windows(time, |start, end| all.push((start, end)));
        all
    }

    #[test]
    fn a_time_lies_in_its_windows() {
        assert_eq!(of(WindowKind::Tumble { size: 10, offset: 0 }, -1), [(-10, 0)]);
        assert_eq!(of(WindowKind::Tumble { size: 10, offset: 3 }, 12), [(3, 13)]);
        assert_eq!(of(WindowKind::Hop { slide: 5, size: 10, offset: 0 }, 12), [(5, 15), (10, 20)]);
        assert_eq!(of(WindowKind::Cumulate { step: 5, size: 15, offset: 0 }, 7), [(0, 10), (0, 15)]);
        assert_eq!(of(WindowKind::Session { gap: 10 }, 7), [(7, 17)]);
    }
}
