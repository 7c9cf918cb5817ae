//! Random streams of keyed events that are out of order by at most a known span.

use super::any_size;
use brisk_base::world::Rng;

/// Key, event time in milliseconds, value.
pub(super) type Event = (u32, i64, i64);

/// A random stream.
pub(super) struct Events {
    /// In order of arrival.
    pub(super) list: Vec<Event>,
    /// How far an event may be behind the highest time before it.
    pub(super) disorder: i64,
}

impl Events {
    /// At most so many events from about `start` on. Some streams are dense, some have long pauses.
    pub(super) fn draw(rng: &mut Rng, most: u64, start: i64) -> Self {
        let (count, keys) = (any_size(rng, 0, most), any_size(rng, 1, 20));
        let (disorder, pace) = (any_size(rng, 0, 500), any_size(rng, 0, 20));
        let pauses = [20, 100, 5_000][rng.below(3) as usize];
        let mut now = start;
        let mut event = |value: u64| {
            now += rng.below(pace + 1) as i64;
            if rng.one_in(pauses) {
                now += rng.below(5_000) as i64;
            }
            (rng.below(keys) as u32, now - rng.below(disorder + 1) as i64, value as i64)
        };
        let list = (0..count).map(&mut event).collect();
        Self { list, disorder: disorder as i64 }
    }
}

/// When a stream begins: around 1970, also before.
pub(super) fn any_start(rng: &mut Rng) -> i64 {
    rng.below(10_000) as i64 - 5_000
}
