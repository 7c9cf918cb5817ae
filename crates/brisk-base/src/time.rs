//! Event and processing time: milliseconds since 1970-01-01T00:00:00Z, and spans of milliseconds.
//!
//! Invariant: arithmetic saturates, so that `Timestamp::MAX + hours(1)` is still the end of time.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Neg, Sub};
use std::time::Duration;

/// A point in time, in milliseconds since the epoch (UTC). The unit and range of Flink's timestamps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Timestamp(pub i64);

/// A span of time in milliseconds; may be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Millis(pub i64);

impl Timestamp {
    /// Before everything; also stands for "this record has no timestamp", as in Flink.
    pub const MIN: Self = Self(i64::MIN);
    /// The watermark of a stream that has ended.
    pub const MAX: Self = Self(i64::MAX);

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whether this is a real timestamp, not the mark for "none".
    pub const fn is_set(self) -> bool {
        self.0 != i64::MIN
    }

    /// Start of the window of length `size` that holds this point, windows being shifted by `offset`.
    ///
    /// Source: Flink's `TimeWindow.getWindowStartWithOffset`; right for negative times too.
    pub const fn window_start(self, offset: Millis, size: Millis) -> Self {
        Self(self.0.wrapping_sub(self.0.wrapping_sub(offset.0).rem_euclid(size.0)))
    }

    /// Parses `YYYY-MM-DD HH:MM:SS[.fff]` (a `T` between date and time and a final `Z` are taken too) as UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.strip_suffix('Z').unwrap_or(text).as_bytes();
        if bytes.len() < 19
            || bytes[4] != b'-'
            || bytes[7] != b'-'
            || !matches!(bytes[10], b' ' | b'T')
            || bytes[13] != b':'
            || bytes[16] != b':'
        {
            return None;
        }
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let fraction = match bytes.len() {
            19 => 0,
            21..=29 if bytes[19] == b'.' => {
                number(20, bytes.len())?;
                let digits = (bytes.len() - 20).min(3);
                number(20, 20 + digits)? * 10i64.pow(3 - digits as u32)
            }
            _ => return None,
        };
        Some(Self((((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction))
    }
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch of a date of the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since the epoch (same source).
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day_of_year - (153 * month_index + 2) / 5 + 1)
}

impl fmt::Display for Timestamp {
    /// `YYYY-MM-DD HH:MM:SS`, with `.fff` only where there are milliseconds; `MIN` and `MAX` are `-inf` and `+inf`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MIN {
            return f.write_str("-inf");
        }
        if *self == Self::MAX {
            return f.write_str("+inf");
        }
        let (days, in_day) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let (seconds, millis) = (in_day / 1000, in_day % 1000);
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if millis > 0 { write!(f, ".{millis:03}") } else { Ok(()) }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({})", self.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

impl fmt::Debug for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Millis({})", self.0)
    }
}

impl Add<Millis> for Timestamp {
    type Output = Self;
    fn add(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Millis> for Timestamp {
    fn add_assign(&mut self, span: Millis) {
        *self = *self + span;
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Self;
    fn sub(self, span: Millis) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Millis;
    fn sub(self, other: Self) -> Millis {
        Millis(self.0.saturating_sub(other.0))
    }
}

impl Add for Millis {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Millis {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<i64> for Millis {
    type Output = Self;
    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl Neg for Millis {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// As a std duration; negative spans are zero.
    pub const fn to_duration(self) -> Duration {
        Duration::from_millis(if self.0 < 0 { 0 } else { self.0 as u64 })
    }
}

/// `n` milliseconds.
pub const fn millis(n: i64) -> Millis {
    Millis(n)
}

/// `n` seconds.
pub const fn seconds(n: i64) -> Millis {
    Millis(n * 1000)
}

/// `n` minutes.
pub const fn minutes(n: i64) -> Millis {
    Millis(n * 60_000)
}

/// `n` hours.
pub const fn hours(n: i64) -> Millis {
    Millis(n * 3_600_000)
}

/// `n` days of 24 hours.
pub const fn days(n: i64) -> Millis {
    Millis(n * 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formats_and_parses_known_dates() {
        for (text, millis) in [
            ("1970-01-01 00:00:00", 0),
            ("2013-01-01 10:15:00", 1_357_035_300_000),
            ("2000-02-29 23:59:59.123", 951_868_799_123),
            ("1969-12-31 23:59:59.999", -1),
        ] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp(millis)));
            assert_eq!(Timestamp(millis).to_string(), text);
        }
        for bad in ["", "2013-02-29 00:00:00", "2013-01-01 24:00:00", "2013-01-01", "2013-01-01 10:15:00.", "2013-01-01 10:15:0x"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn window_start_is_right_below_zero() {
        assert_eq!(Timestamp(-1).window_start(Millis(0), Millis(10)), Timestamp(-10));
        assert_eq!(Timestamp(-10).window_start(Millis(0), Millis(10)), Timestamp(-10));
        assert_eq!(Timestamp(14).window_start(Millis(5), Millis(10)), Timestamp(5));
    }

    proptest! {
        #[test]
        fn any_time_survives_text(millis in -62_135_596_800_000i64..253_402_300_799_999) {
            prop_assert_eq!(Timestamp::parse(&Timestamp(millis).to_string()), Some(Timestamp(millis)));
        }
    }
}
