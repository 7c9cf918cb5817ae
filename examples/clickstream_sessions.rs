//! Clicks of each user in sessions: a session is over when the user has not clicked for 30 minutes.
//!
//! The clicks come out of order; sessions that turn out to be one are merged.

use brisk::prelude::*;

#[derive(Clone, Debug, Record)]
struct Click {
    user: String,
    time: Timestamp,
}

#[derive(Clone, Debug, PartialEq, PartialOrd, Record)]
struct Session {
    user: String,
    start: Timestamp,
    end: Timestamp,
    clicks: u64,
}

/// Counts clicks.
struct Count;

impl AggregateFunction for Count {
    type In = Click;
    type Acc = u64;
    type Out = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _click: Click) -> Result<()> {
        *count += 1;
        Ok(())
    }

    fn get_result(&self, count: &u64) -> Result<u64> {
        Ok(*count)
    }

    fn merge(&self, into: &mut u64, from: u64) -> Result<()> {
        *into += from;
        Ok(())
    }
}

fn main() -> Result<()> {
    let at = |minute: i64| Timestamp(0) + minutes(minute);
    let click = |(user, minute): (&str, i64)| Click { user: user.to_owned(), time: at(minute) };
    // Minute 25 comes last of ada's, and joins what were two sessions until then.
    let clicks = [("ada", 0), ("bob", 5), ("ada", 50), ("ada", 25), ("bob", 36), ("ada", 100), ("bob", 65)].map(click);

    let env = StreamEnvironment::get()?;
    let mut sessions = env
        .from_elements(clicks)
        .assign_timestamps_and_watermarks(
            WatermarkStrategy::bounded_out_of_orderness(minutes(40)).with_timestamp(|click: &Click| click.time),
        )
        .key_by_ref(|click| &click.user)
        .window(EventTimeSessionWindows::with_gap(minutes(30)))
        .aggregate(Count, |user: &String, window: &TimeWindow, clicks, out: &mut Collector<Session>| {
            out.collect(Session { user: user.clone(), start: window.start(), end: window.end(), clicks });
        })
        .collect()?;
    sessions.sort_by(|a, b| a.partial_cmp(b).expect("times are ordered"));
    for Session { user, start, end, clicks } in &sessions {
        println!("{user}: {clicks} clicks, {start} to {end}");
    }
    let session = |user: &str, start, end, clicks| Session { user: user.to_owned(), start: at(start), end: at(end), clicks };
    let expected = [session("ada", 0, 80, 3), session("ada", 100, 130, 1), session("bob", 5, 35, 1), session("bob", 36, 95, 2)];
    assert_eq!(sessions, expected);
    Ok(())
}
