//! The windows of one key that merge, and where the contents of each lie (Flink's `MergingWindowSet`).
//!
//! The contents of a merged window stay in the namespace of the first of the windows it was made of: its state window. So a session that
//! grows with each element moves no state.
//!
//! Invariant: no two windows of a set have to be merged, and no two share a state window.

use super::assigner::MergeWindows;
use super::time_window::Window;
use brisk_base::{Error, Timestamp};

/// Windows of one key with their state windows: what lies in state.
pub(crate) type Windows<W> = Vec<(W, W)>;

/// Windows that became one.
#[derive(PartialEq, Debug)]
pub(crate) struct Merged<W> {
    /// The window that they became.
    pub(crate) result: W,
    /// The windows that were there before and are no more.
    pub(crate) merged: Vec<W>,
    /// State window of the result: contents stay there.
    pub(crate) state_window: W,
    /// Where further contents come from.
    pub(crate) from: Vec<W>,
}

/// Adds a window to a set. Gives the window that it has become, and what was merged.
pub(crate) fn add_window<W: Window>(windows: &mut Windows<W>, new: W, merger: &dyn MergeWindows<W>) -> (W, Vec<Merged<W>>) {
    if windows.is_empty() {
        windows.push((new.clone(), new.clone()));
        return (new, Vec::new());
    }
    if windows.iter().any(|(window, _)| *window == new) {
        return (new, Vec::new());
    }
    let all: Vec<W> = windows.iter().map(|(window, _)| window).chain([&new]).cloned().collect();
    let (mut actual, mut merges) = (None, Vec::new());
    for (result, mut group) in merger.merge_windows(&all) {
        if let Some(at) = group.iter().position(|window| *window == new) {
            group.remove(at);
            actual = Some(result.clone());
        }
        let mut from = state_windows(windows, &group);
        if from.is_empty() {
            windows.push((result.clone(), result));
            continue;
        }
        let state_window = from.remove(0);
        windows.push((result.clone(), state_window.clone()));
        group.retain(|window| *window != result);
        if !group.is_empty() {
            merges.push(Merged { result, merged: group, state_window, from });
        }
    }
    let actual = actual.unwrap_or_else(|| {
        windows.push((new.clone(), new.clone()));
        new
    });
    (actual, merges)
}

/// What has become of a window that was added to a set.
pub(crate) enum Placed<W> {
    /// It is in the set by itself.
    New,
    /// It lies in this window of the set, whose state window is the second.
    Within(W, W),
    /// A window of the set has become this one; the second is its state window.
    Grown(W, W),
    /// It joins several windows: [`add_window`] has to see to it.
    Joins,
}

/// Adds a window that joins no two others, without looking at the set as a whole.
pub(crate) fn place_window<W: Window>(windows: &mut Windows<W>, new: &W, two: fn(&W, &W) -> Option<W>) -> Placed<W> {
    let mut touching = windows.iter().enumerate().filter_map(|(at, (window, _))| Some((at, two(window, new)?)));
    let Some((at, result)) = touching.next() else {
        windows.push((new.clone(), new.clone()));
        return Placed::New;
    };
    if touching.next().is_some() {
        return Placed::Joins;
    }
    let (window, state) = &mut windows[at];
    if *window == result {
        return Placed::Within(result, state.clone());
    }
    window.clone_from(&result);
    Placed::Grown(result, state.clone())
}

/// The error for windows that were merged into one that is over.
#[cold]
pub(crate) fn merged_too_late(window: &impl Window, watermark: Timestamp, now: Timestamp) -> Error {
    Error::user(format!(
        "the window assigner merged windows into {window:?}, which is over already (watermark {watermark}, processing time {now}); \
         merged windows must hold all windows they are made of"
    ))
}

/// Takes the state windows of `group` out of the set, in the group's order.
fn state_windows<W: Window>(windows: &mut Windows<W>, group: &[W]) -> Vec<W> {
    let take = |window: &W| windows.iter().position(|(found, _)| found == window).map(|at| windows.remove(at).1);
    group.iter().filter_map(take).collect()
}

/// State window of a window of the set.
pub(crate) fn state_window<'a, W: Window>(windows: &'a Windows<W>, window: &W) -> Option<&'a W> {
    windows.iter().find(|(found, _)| found == window).map(|(_, state)| state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{MergeTimeWindows, TimeWindow};
    use brisk_base::Timestamp;

    fn window(start: i64, end: i64) -> TimeWindow {
        TimeWindow::new(Timestamp(start), Timestamp(end))
    }

    fn add(windows: &mut Windows<TimeWindow>, start: i64, end: i64) -> (TimeWindow, Vec<Merged<TimeWindow>>) {
        add_window(windows, window(start, end), &MergeTimeWindows)
    }

    /// The steps of Flink's `MergingWindowSetTest.testIncrementalMerging`.
    #[test]
    fn contents_stay_with_the_first_window() {
        let mut windows = Windows::new();
        assert_eq!(add(&mut windows, 0, 4), (window(0, 4), vec![]));
        assert_eq!(state_window(&windows, &window(0, 4)), Some(&window(0, 4)));
        // Within an existing window: nothing changes.
        assert_eq!(add(&mut windows, 0, 4), (window(0, 4), vec![]));
        assert_eq!(add(&mut windows, 3, 4), (window(0, 4), vec![]));
        // Longer than the existing one.
        let grown = Merged { result: window(0, 5), merged: vec![window(0, 4)], state_window: window(0, 4), from: vec![] };
        assert_eq!(add(&mut windows, 3, 5), (window(0, 5), vec![grown]));
        assert_eq!(windows, [(window(0, 5), window(0, 4))]);
        // Two of their own, then one that joins them all.
        assert_eq!(add(&mut windows, 11, 14), (window(11, 14), vec![]));
        assert_eq!(add(&mut windows, 10, 13).0, window(10, 14));
        assert_eq!(add(&mut windows, 8, 10).0, window(8, 14));
        assert_eq!(state_window(&windows, &window(8, 14)), Some(&window(11, 14)));
        let (joined, merges) = add(&mut windows, 5, 8);
        assert_eq!(joined, window(0, 14));
        let expected = Merged {
            result: window(0, 14),
            merged: vec![window(0, 5), window(8, 14)],
            state_window: window(0, 4),
            from: vec![window(11, 14)],
        };
        assert_eq!(merges, [expected]);
        assert_eq!(windows, [(window(0, 14), window(0, 4))]);
    }
}
