//! How fast a task goes: what it does per second, and how it spends its time, over about the last minute.
//!
//! The task notes where it stands every few seconds, at the beginning of a poll, whose time it is given anyway. What has come since, also a
//! wait that is not over, is added by whoever asks. So a task that waits for long need not be woken, and nothing is read per record.

use brisk_base::world::MonoTime;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time that is looked back to.
const SPAN: Duration = Duration::from_secs(60);

/// Between two notes.
const STEP: Duration = Duration::from_secs(5);

/// What a task has done up to a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Totals {
    pub(super) records_in: u64,
    pub(super) records_out: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) idle: Duration,
    pub(super) back_pressured: Duration,
}

/// What a task does per second, over about the last minute, or its life if that is shorter.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct TaskPace {
    /// Rows received from other tasks; of a source, rows that it gives.
    pub records_in: f64,
    /// Rows sent to other tasks.
    pub records_out: f64,
    /// Bytes received from other tasks.
    pub bytes_in: f64,
    /// Bytes sent to other tasks.
    pub bytes_out: f64,
    /// The part of the time in which it waits for input.
    pub idle: f64,
    /// The part of the time in which it waits for room in its output.
    pub back_pressured: f64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Pace(Mutex<VecDeque<(MonoTime, Totals)>>);

impl Pace {
    fn notes(&self) -> MutexGuard<'_, VecDeque<(MonoTime, Totals)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where the task stands; when that is to be done again.
    pub(super) fn note(&self, now: MonoTime, totals: Totals) -> MonoTime {
        let mut notes = self.notes();
        notes.push_back((now, totals));
        // The one before the span is where it begins.
        while notes.get(1).is_some_and(|(at, _)| now.since(*at) >= SPAN) {
            notes.pop_front();
        }
        now.after(STEP)
    }

    /// The pace at a moment, with what has been done up to it. `waits` is the time since which the task waits, if it does, and whether that
    /// is for its output.
    pub(super) fn at(&self, now: MonoTime, totals: Totals, waits: Option<(MonoTime, bool)>) -> TaskPace {
        let notes = self.notes();
        let Some((mut from, mut before)) = notes.iter().find(|(at, _)| now.since(*at) <= SPAN + STEP).or_else(|| notes.back()).copied()
        else {
            return TaskPace::default();
        };
        if now.since(from) > SPAN + STEP
            && let Some((since, for_output)) = waits.filter(|(since, _)| now.since(*since) > SPAN)
        {
            // It has done nothing but wait: the span begins within that.
            from = MonoTime(now.0.saturating_sub(SPAN.as_nanos() as u64));
            before = totals;
            let waited = from.since(since);
            let span = now.since(since).saturating_sub(waited);
            let sum = if for_output { &mut before.back_pressured } else { &mut before.idle };
            *sum = sum.saturating_sub(span);
        }
        let span = now.since(from).as_secs_f64();
        if span <= 0.0 {
            return TaskPace::default();
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / span;
        let part = |now: Duration, before: Duration| (now.saturating_sub(before).as_secs_f64() / span).min(1.0);
        TaskPace {
            records_in: rate(totals.records_in, before.records_in),
            records_out: rate(totals.records_out, before.records_out),
            bytes_in: rate(totals.bytes_in, before.bytes_in),
            bytes_out: rate(totals.bytes_out, before.bytes_out),
            idle: part(totals.idle, before.idle),
            back_pressured: part(totals.back_pressured, before.back_pressured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> MonoTime {
        MonoTime(1_000_000_000 * (1000 + seconds))
    }

    fn totals(records: u64, idle: u64) -> Totals {
        let (records_out, bytes_in, bytes_out) = (records * 2, records * 8, records * 16);
        Totals { records_in: records, records_out, bytes_in, bytes_out, idle: Duration::from_secs(idle), back_pressured: Duration::ZERO }
    }

    #[test]
    fn a_young_task_is_judged_by_its_life() {
        let pace = Pace::default();
        assert_eq!(pace.at(at(0), totals(9, 0), None), TaskPace::default());
        pace.note(at(0), totals(0, 0));
        let expected = TaskPace { records_in: 5.0, records_out: 10.0, bytes_in: 40.0, bytes_out: 80.0, idle: 0.5, back_pressured: 0.0 };
        assert_eq!(pace.at(at(2), totals(10, 1), None), expected);
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let pace = Pace::default();
        // 1000 records a second for two minutes, then 10 a second.
        let done = |second: u64| totals(second.min(120) * 1000 + second.saturating_sub(120) * 10, 0);
        let mut next = at(0);
        for second in (0..300).filter(|second| second % 2 == 0) {
            if at(second) >= next {
                next = pace.note(at(second), done(second));
            }
        }
        let now = pace.at(at(300), done(300), None);
        assert!((now.records_in - 10.0).abs() < 0.01, "{now:?}");
        assert!(pace.notes().len() <= 14, "{}", pace.notes().len());
    }

    #[test]
    fn a_task_that_has_waited_for_long_does_nothing_but_wait() {
        for for_output in [false, true] {
            let pace = Pace::default();
            pace.note(at(0), Totals::default());
            let wait = Duration::from_secs(990);
            let mut sum = totals(70_000, 0);
            *(if for_output { &mut sum.back_pressured } else { &mut sum.idle }) = wait;
            let now = pace.at(at(1000), sum, Some((at(10), for_output)));
            let (idle, back_pressured) = if for_output { (0.0, 1.0) } else { (1.0, 0.0) };
            assert_eq!(now, TaskPace { idle, back_pressured, ..TaskPace::default() });
        }
    }
}
