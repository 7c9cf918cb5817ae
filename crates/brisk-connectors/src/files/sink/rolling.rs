//! When a part file is closed and the next one begun.

use brisk_base::time::seconds;
use brisk_base::{Millis, Timestamp};

/// When a part file is closed (Flink's `RollingPolicy`): whichever of its limits is reached first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RollingPolicy {
    max_bytes: u64,
    max_age: Option<Millis>,
    max_inactivity: Option<Millis>,
    on_checkpoint: bool,
}

impl Default for RollingPolicy {
    /// Flink's: at 128 MiB, after 60 s, and when nothing has been written for 60 s.
    fn default() -> Self {
        Self::never().max_bytes(128 << 20).max_age(seconds(60)).max_inactivity(seconds(60))
    }
}

impl RollingPolicy {
    /// One part for all, until the end of the input.
    pub const fn never() -> Self {
        Self { max_bytes: u64::MAX, max_age: None, max_inactivity: None, on_checkpoint: false }
    }

    /// A part per checkpoint: for formats that cannot be continued.
    pub const fn on_checkpoint() -> Self {
        Self { on_checkpoint: true, ..Self::never() }
    }

    /// Closes a part that has about this many bytes.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Closes a part this long after its beginning, in processing time.
    #[must_use]
    pub const fn max_age(mut self, age: Millis) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Closes a part to which nothing has been written for this long.
    #[must_use]
    pub const fn max_inactivity(mut self, span: Millis) -> Self {
        self.max_inactivity = Some(span);
        self
    }

    /// Whether a part of this size is closed.
    pub(super) const fn is_full(&self, bytes: u64) -> bool {
        bytes >= self.max_bytes
    }

    /// When a part is closed that began and was written to at these times.
    pub(super) fn due(&self, began: Timestamp, written: Timestamp) -> Option<Timestamp> {
        let by_age = self.max_age.map(|age| began + age);
        let by_inactivity = self.max_inactivity.map(|span| written + span);
        by_age.into_iter().chain(by_inactivity).min()
    }

    /// Whether a part is closed at each checkpoint.
    pub(super) const fn rolls_on_checkpoint(&self) -> bool {
        self.on_checkpoint
    }
}
