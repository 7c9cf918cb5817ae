//! In which folder a record is written.

use brisk_base::{Error, Result, Timestamp};

/// What is known about a record besides itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BucketContext {
    /// Its timestamp, if it has one.
    pub timestamp: Option<Timestamp>,
    /// The watermark of the sink.
    pub watermark: Timestamp,
    /// Processing time.
    pub now: Timestamp,
}

/// Gives each record a bucket: a folder below that of the sink (Flink's `BucketAssigner`). Closures do, too:
/// `|order: &Order, _: &BucketContext| order.country.clone()`.
pub trait BucketAssigner<T>: Send + Sync {
    /// The bucket's path, with `/` between folders; empty for the sink's own folder.
    ///
    /// # Errors
    /// Fails the task.
    fn bucket(&self, value: &T, cx: &BucketContext) -> Result<String>;
}

impl<T, F: Fn(&T, &BucketContext) -> String + Send + Sync> BucketAssigner<T> for F {
    fn bucket(&self, value: &T, cx: &BucketContext) -> Result<String> {
        Ok(self(value, cx))
    }
}

/// No buckets: all parts lie in the sink's folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct BasePathBuckets;

impl<T> BucketAssigner<T> for BasePathBuckets {
    fn bucket(&self, _value: &T, _cx: &BucketContext) -> Result<String> {
        Ok(String::new())
    }
}

/// A folder per hour or day, in UTC: `2013-01-31--09` or `2013-01-31`.
#[derive(Clone, Copy, Debug)]
pub struct DateTimeBuckets {
    /// Whether days are divided into hours.
    hours: bool,
    /// Whether a record's timestamp counts, and not the time at which it is written.
    event_time: bool,
}

impl DateTimeBuckets {
    /// A folder per hour in which records are written.
    pub const fn hourly() -> Self {
        Self { hours: true, event_time: false }
    }

    /// A folder per day on which records are written.
    pub const fn daily() -> Self {
        Self { hours: false, event_time: false }
    }

    /// Goes by the records' timestamps.
    #[must_use]
    pub const fn by_event_time(mut self) -> Self {
        self.event_time = true;
        self
    }
}

impl<T> BucketAssigner<T> for DateTimeBuckets {
    fn bucket(&self, _value: &T, cx: &BucketContext) -> Result<String> {
        let time = if self.event_time { cx.timestamp } else { Some(cx.now) };
        let Some(time) = time else {
            return Err(Error::user(
                "a record without a timestamp cannot be put into a bucket by event time; call assign_timestamps_and_watermarks before",
            ));
        };
        // `2013-01-31 09:30:00`
        let text = time.to_string();
        let (day, hour) = (text.get(..10).unwrap_or(&text), text.get(11..13).unwrap_or("00"));
        Ok(if self.hours { format!("{day}--{hour}") } else { day.to_owned() })
    }
}

/// Refuses buckets that lie outside of the sink's folder.
pub(super) fn check(bucket: &str) -> Result<()> {
    let leads_out = bucket.starts_with('/') || bucket.split('/').any(|part| part == "..");
    if leads_out { Err(Error::user(format!("the bucket '{bucket}' lies outside of the sink's folder"))) } else { Ok(()) }
}
