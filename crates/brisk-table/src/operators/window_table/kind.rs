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

/// Windows that lie over each other are made of slices: pieces of time that are all within a window or all outside.
impl WindowKind {
    /// The slices, as windows behind each other; none where windows do not lie over each other.
    pub(crate) const fn slices(self) -> Option<Self> {
        match self {
            Self::Hop { slide: size, offset, .. } | Self::Cumulate { step: size, offset, .. } => Some(Self::Tumble { size, offset }),
            Self::Tumble { .. } | Self::Session { .. } => None,
        }
    }

    /// End of the last window in which a slice lies.
    pub(crate) const fn last_end(self, slice_end: i64) -> i64 {
        match self {
            Self::Hop { slide, size, .. } => slice_end + size - slide,
            Self::Cumulate { size, offset, .. } => start_of(slice_end - 1, size, offset) + size,
            Self::Tumble { .. } | Self::Session { .. } => slice_end,
        }
    }

    /// End of the first window in which a slice lies and whose last time is after `over`.
    pub(crate) fn end_after(self, slice_end: i64, over: i64) -> Option<i64> {
        let (Self::Hop { slide: step, .. } | Self::Cumulate { step, .. }) = self else { return None };
        let missing = over.saturating_add(1).saturating_sub(slice_end);
        let steps = if missing < 0 { 0 } else { missing / step + 1 };
        let end = slice_end.checked_add(steps.checked_mul(step)?)?;
        (end <= self.last_end(slice_end)).then_some(end)
    }

    /// Start of the window with this end.
    pub(crate) const fn start_of_window(self, end: i64) -> i64 {
        match self {
            Self::Hop { size, .. } | Self::Tumble { size, .. } => end - size,
            Self::Cumulate { size, offset, .. } => start_of(end - 1, size, offset),
            Self::Session { gap } => end - gap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows of a time are those of its slice.
    #[test]
    fn windows_are_made_of_slices() {
        let kinds = [
            WindowKind::Hop { slide: 5, size: 15, offset: 0 },
            WindowKind::Hop { slide: 4, size: 8, offset: 3 },
            WindowKind::Cumulate { step: 5, size: 15, offset: 0 },
            WindowKind::Cumulate { step: 2, size: 6, offset: -1 },
        ];
        for (kind, time) in kinds.into_iter().flat_map(|kind| (-20..20).map(move |time| (kind, time))) {
            let [(_, slice_end)] = *of(kind.slices().expect("they lie over each other"), time) else { panic!("one slice") };
            let windows = of(kind, time);
            assert_eq!(kind.last_end(slice_end), windows.iter().map(|window| window.1).max().expect("some"), "{kind} {time}");
            assert!(windows.iter().all(|(start, end)| kind.start_of_window(*end) == *start), "{kind} {time}");
            for over in (-40..40).chain([i64::MIN, i64::MAX]) {
                let next = windows.iter().map(|window| window.1).filter(|end| end - 1 > over).min();
                assert_eq!(kind.end_after(slice_end, over), next, "{kind} {time} {over}");
            }
        }
    }

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
