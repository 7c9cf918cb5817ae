//! How long one poll may take.
//!
//! The clock is read once per stride of rows; the stride follows the cost of a row, so that cheap rows pay almost nothing and an expensive
//! row is noticed after itself.

use brisk_base::world::{Clock, MonoTime};
use std::sync::Arc;

/// The time that is left of a poll.
pub struct Budget {
    clock: Arc<dyn Clock>,
    deadline: MonoTime,
    /// When the clock was read last.
    checked: MonoTime,
    /// Rows until the clock is read again.
    left: u32,
    /// Rows between the last two readings.
    stride: u32,
    /// Whether the deadline has been seen to pass.
    spent: bool,
}

/// Rows between two readings of the clock, at most: what a function that suddenly becomes slow can do before it is noticed.
const MAX_STRIDE: u32 = 256;

impl Budget {
    /// A budget that begins now; give it a deadline with [`restart`](Self::restart).
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, deadline: MonoTime::NEVER, checked: MonoTime(0), left: 1, stride: 1, spent: false }
    }

    /// Begins a new poll. The learned stride is kept, halved.
    pub fn restart(&mut self, now: MonoTime, deadline: MonoTime) {
        self.deadline = deadline;
        self.checked = now;
        self.stride = (self.stride / 2).max(1);
        self.left = self.stride;
        self.spent = false;
    }

    /// Begins the call of one operator, with the stride that it had at the end of its last call: each operator has a cost of its own.
    pub fn enter(&mut self, stride: u32) {
        self.checked = self.clock.mono();
        self.stride = stride.clamp(1, MAX_STRIDE);
        self.left = self.stride;
    }

    /// The stride of the operator whose call ends.
    pub const fn stride(&self) -> u32 {
        self.stride
    }

    /// Counts one row; true when the time is used up.
    #[inline]
    pub fn row(&mut self) -> bool {
        self.left -= 1;
        self.left == 0 && self.check()
    }

    /// Rows that may be processed before they are counted with [`rows`](Self::rows): for loops that are too short to count each.
    pub const fn allowance(&self) -> usize {
        self.left as usize
    }

    /// Counts rows, at most as many as the [`allowance`](Self::allowance); true when the time is used up.
    pub fn rows(&mut self, count: usize) -> bool {
        self.left -= count as u32;
        self.left == 0 && self.check()
    }

    /// Reads the clock; true when the time is used up.
    #[cold]
    pub fn check(&mut self) -> bool {
        let now = self.clock.mono();
        let per_row_ns = (now.since(self.checked).as_nanos() as u64 / u64::from(self.stride)).max(1);
        let rows_left = self.deadline.since(now).as_nanos() as u64 / per_row_ns;
        self.stride = u32::try_from(rows_left / 2).unwrap_or(MAX_STRIDE).clamp(1, MAX_STRIDE.min(self.stride * 4));
        self.left = self.stride;
        self.checked = now;
        self.spent = now >= self.deadline;
        self.spent
    }

    /// Whether the time was found used up.
    pub const fn is_spent(&self) -> bool {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::Timestamp;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Each reading costs nothing; rows advance it by hand.
    struct Hand(AtomicU64, AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
        fn mono(&self) -> MonoTime {
            self.1.fetch_add(1, Ordering::Relaxed);
            MonoTime(self.0.load(Ordering::Relaxed))
        }
    }

    fn run(row_ns: u64) -> (u64, u64) {
        let clock = Arc::new(Hand(AtomicU64::new(0), AtomicU64::new(0)));
        let mut budget = Budget::new(clock.clone());
        budget.restart(MonoTime(0), MonoTime(1_000_000));
        let mut rows = 0;
        loop {
            clock.0.fetch_add(row_ns, Ordering::Relaxed);
            rows += 1;
            if budget.row() {
                return (rows, clock.1.load(Ordering::Relaxed));
            }
        }
    }

    #[test]
    fn rows_counted_together_count_as_much() {
        let clock = Arc::new(Hand(AtomicU64::new(0), AtomicU64::new(0)));
        let mut budget = Budget::new(clock.clone());
        budget.restart(MonoTime(0), MonoTime(1_000_000));
        let mut rows = 0;
        loop {
            let count = budget.allowance().min(100);
            clock.0.fetch_add(10 * count as u64, Ordering::Relaxed);
            rows += count as u64;
            if budget.rows(count) {
                break;
            }
        }
        assert_eq!((rows, clock.1.load(Ordering::Relaxed)), run(10));
    }

    #[test]
    fn cheap_rows_rarely_read_the_clock_and_dear_rows_stop_in_time() {
        let (rows, readings) = run(10);
        assert!((100_000..=101_100).contains(&rows), "{rows} rows");
        assert!(readings < 1000, "{readings} readings of the clock");
        let (rows, _) = run(400_000);
        assert!(rows <= 4, "{rows} rows of 0.4 ms in a budget of 1 ms");
    }
}
