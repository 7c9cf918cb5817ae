//! Functions of time. Times without a zone and times in UTC are the same here: the session's zone is UTC.

use super::string::expect_count;
use super::{Argument, ScalarFunction};
use arrow_array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// The type of times without a zone.
pub(super) fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

/// The type of moments, which are shown in the session's zone.
pub(super) fn local_time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// Year, month and day of a number of days since 1970.
pub(crate) const fn civil(days: i64) -> (i64, u32, u32) {
    // Years begin in March, so that the leap day is the last; eras have 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + if month <= 2 { 1 } else { 0 }, month as u32, day as u32)
}

/// Days since 1970 of a date, whose month and day may lie outside of the calendar's.
pub(super) const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let year_of_era = shifted.rem_euclid(400);
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Days of a month.
pub(super) const fn days_in_month(year: i64, month: i64) -> i64 {
    days_of(year, month + 1, 1) - days_of(year, month, 1)
}

/// A part of a time, such as its hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Year,
    Quarter,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    /// Of the year, by ISO 8601.
    Week,
    IsoYear,
    DayOfYear,
    /// 1 is Sunday.
    DayOfWeek,
    /// 1 is Monday.
    IsoDayOfWeek,
    Epoch,
    Decade,
    Century,
    Millennium,
}

impl Part {
    /// The part that `EXTRACT` calls so.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match &*name.to_ascii_uppercase() {
            "YEAR" => Self::Year,
            "QUARTER" => Self::Quarter,
            "MONTH" => Self::Month,
            "DAY" => Self::Day,
            "HOUR" => Self::Hour,
            "MINUTE" => Self::Minute,
            "SECOND" => Self::Second,
            "MILLISECOND" => Self::Millisecond,
            "MICROSECOND" => Self::Microsecond,
            "NANOSECOND" => Self::Nanosecond,
            "WEEK" => Self::Week,
            "ISOYEAR" => Self::IsoYear,
            "DOY" => Self::DayOfYear,
            "DOW" => Self::DayOfWeek,
            "ISODOW" => Self::IsoDayOfWeek,
            "EPOCH" => Self::Epoch,
            "DECADE" => Self::Decade,
            "CENTURY" => Self::Century,
            "MILLENNIUM" | "MILLENIUM" => Self::Millennium,
            _ => return None,
        })
    }

    /// A span of milliseconds, counted from 1970, within which it is the same.
    const fn span_ms(self) -> i64 {
        match self {
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second | Self::Epoch => 1000,
            Self::Millisecond | Self::Microsecond | Self::Nanosecond => 1,
            _ => DAY_MS,
        }
    }

    fn of(self, ms: i64) -> i64 {
        let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
        match self {
            Self::Year => civil(days).0,
            Self::Quarter => i64::from((civil(days).1 - 1) / 3 + 1),
            Self::Month => i64::from(civil(days).1),
            Self::Day => i64::from(civil(days).2),
            Self::Hour => of_day / 3_600_000,
            Self::Minute => of_day / 60_000 % 60,
            Self::Second => of_day / 1000 % 60,
            Self::Millisecond => of_day % 1000,
            Self::Microsecond => of_day % 1000 * 1000,
            Self::Nanosecond => of_day % 1000 * 1_000_000,
            Self::Week => {
                // The week's Thursday lies in the year that the week belongs to.
                let thursday = days - (days + 3).rem_euclid(7) + 3;
                (thursday - days_of(civil(thursday).0, 1, 1)) / 7 + 1
            }
            Self::IsoYear => civil(days - (days + 3).rem_euclid(7) + 3).0,
            Self::DayOfYear => days - days_of(civil(days).0, 1, 1) + 1,
            Self::DayOfWeek => (days + 4).rem_euclid(7) + 1,
            Self::IsoDayOfWeek => (days + 3).rem_euclid(7) + 1,
            Self::Epoch => ms.div_euclid(1000),
            Self::Decade => civil(days).0.div_euclid(10),
            Self::Century => (civil(days).0 - 1).div_euclid(100) + 1,
            Self::Millennium => (civil(days).0 - 1).div_euclid(1000) + 1,
        }
    }
}

/// `HOUR(time)` and its like.
#[derive(Debug)]
pub(super) struct TimePart(pub(super) &'static str, pub(super) Part);

impl ScalarFunction for TimePart {
    fn name(&self) -> &str {
        self.0
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, &format!("{}(time)", self.0.to_uppercase()), 1..=1)?;
        Ok(vec![time()])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Int64
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        Ok(Arc::new((0..rows).map(|row| arguments[0].millis(row).map(|ms| self.1.of(ms))).collect::<Int64Array>()))
    }
}

/// `EXTRACT(part FROM time)`.
#[derive(Debug)]
pub(super) struct Extract;

impl ScalarFunction for Extract {
    fn name(&self) -> &str {
        "extract"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "EXTRACT(part FROM time)", 2..=2)?;
        Ok(vec![DataType::Utf8, time()])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Int64
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let name = arguments[0].text(0).unwrap_or_default();
        let part = Part::named(name).ok_or_else(|| Error::user(format!("EXTRACT: '{name}' is no part of a time that is supported")))?;
        Ok(Arc::new((0..rows).map(|row| arguments[1].millis(row).map(|ms| part.of(ms))).collect::<Int64Array>()))
    }
}

/// A piece of a pattern.
enum Piece {
    Literal(String),
    /// A number with leading zeros up to this width.
    Number(Part, usize),
    /// The year in this many digits: two are the last two.
    Year(usize),
    /// The hour of the half day, 1 to 12.
    HalfDayHour(usize),
    /// `AM` or `PM`.
    HalfDay,
    /// This many digits of the second's fraction.
    Fraction(usize),
}

impl Piece {
    fn write(&self, ms: i64, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Literal(literal) => text.write_str(literal),
            Self::Number(part, width) => write!(text, "{:0width$}", part.of(ms)),
            Self::Year(2) => write!(text, "{:02}", Part::Year.of(ms).rem_euclid(100)),
            Self::Year(width) => write!(text, "{:0width$}", Part::Year.of(ms)),
            Self::HalfDayHour(width) => write!(text, "{:0width$}", (Part::Hour.of(ms) + 11) % 12 + 1),
            Self::HalfDay => text.write_str(if Part::Hour.of(ms) < 12 { "AM" } else { "PM" }),
            Self::Fraction(digits) => write!(text, "{:0<digits$.digits$}", format!("{:03}", Part::Millisecond.of(ms))),
        };
    }
}

/// A pattern with the letters of Java's `DateTimeFormatter` that concern date and time of day.
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads one for the function of this name.
    pub(super) fn read(function: &str, pattern: &str) -> Result<Self> {
        pieces(pattern).map(Self).map_err(|error| Error::user(format!("{}: {error}", function.to_uppercase())))
    }

    pub(super) fn write(&self, ms: i64, text: &mut String) {
        self.0.iter().for_each(|piece| piece.write(ms, text));
    }

    /// The times around this one that look the same.
    pub(super) fn same_around(&self, ms: i64) -> Range<i64> {
        let span = self.span_ms();
        let from = ms.div_euclid(span).saturating_mul(span);
        from..from.saturating_add(span)
    }

    /// Milliseconds of the shortest part that it shows: times of one such span, counted from 1970, look the same.
    fn span_ms(&self) -> i64 {
        let spans = self.0.iter().map(|piece| match piece {
            Piece::Literal(_) => DAY_MS,
            Piece::Number(part, _) => part.span_ms(),
            Piece::Year(_) => DAY_MS,
            Piece::HalfDayHour(_) | Piece::HalfDay => 3_600_000,
            Piece::Fraction(_) => 1,
        });
        spans.min().unwrap_or(DAY_MS)
    }

    /// The time that a text shows; `None` if it does not fit. What the pattern does not name is that of 1970-01-01 00:00.
    pub(super) fn parse(&self, text: &str) -> Option<i64> {
        let mut found = Found { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, milli: 0, afternoon: None };
        let mut rest = text;
        for piece in &self.0 {
            rest = piece.read(rest, &mut found)?;
        }
        if rest.is_empty() { found.millis() } else { None }
    }
}

/// The parts of a time that a text shows.
struct Found {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milli: i64,
    afternoon: Option<bool>,
}

impl Found {
    fn millis(&self) -> Option<i64> {
        let hour = match self.afternoon {
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let fits = (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && hour < 24
            && self.minute < 60
            && self.second < 60;
        let of_day = ((hour * 60 + self.minute) * 60 + self.second) * 1000 + self.milli;
        fits.then(|| days_of(self.year, self.month, self.day) * DAY_MS + of_day)
    }
}

/// Leading digits: at least one, at most `most`.
fn number(text: &str, most: usize) -> Option<(i64, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// The time that a text shows in SQL's form, with or without time of day and fraction.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let (year, rest) = number(text.trim(), 6)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let mut found = Found { year, month, day, hour: 0, minute: 0, second: 0, milli: 0, afternoon: None };
    if let Some(rest) = rest.strip_prefix([' ', 'T']) {
        let rest = Piece::Number(Part::Hour, 1).read(rest, &mut found)?;
        let rest = Piece::Number(Part::Minute, 1).read(rest.strip_prefix(':')?, &mut found)?;
        let rest = match rest.strip_prefix(':') {
            Some(rest) => Piece::Number(Part::Second, 1).read(rest, &mut found)?,
            None => rest,
        };
        let fraction = match rest.strip_prefix('.') {
            Some(fraction) if (1..=9).contains(&fraction.len()) => fraction,
            None if rest.is_empty() => return found.millis(),
            _ => return None,
        };
        return if Piece::Fraction(fraction.len()).read(fraction, &mut found)?.is_empty() { found.millis() } else { None };
    }
    if rest.is_empty() { found.millis() } else { None }
}

impl Piece {
    /// Reads itself off the text.
    fn read<'a>(&self, text: &'a str, found: &mut Found) -> Option<&'a str> {
        let width = |width: usize| if width == 1 { 2 } else { width };
        match self {
            Self::Literal(literal) => text.strip_prefix(&**literal),
            Self::Number(part, digits) => {
                let (value, rest) = number(text, width(*digits))?;
                match part {
                    Part::Month => found.month = value,
                    Part::Day => found.day = value,
                    Part::Hour => found.hour = value,
                    Part::Minute => found.minute = value,
                    _ => found.second = value,
                }
                (text.len() - rest.len() >= *digits).then_some(rest)
            }
            Self::Year(2) => {
                let (year, rest) = number(text, 2)?;
                found.year = 2000 + year;
                Some(rest)
            }
            Self::Year(digits) => {
                let (year, rest) = number(text, (*digits).max(4))?;
                found.year = year;
                Some(rest)
            }
            Self::HalfDayHour(digits) => {
                let (hour, rest) = number(text, width(*digits))?;
                found.hour = hour;
                (1..=12).contains(&hour).then_some(rest)
            }
            Self::HalfDay => {
                let half = text.get(..2)?;
                found.afternoon = Some(half.eq_ignore_ascii_case("PM"));
                (found.afternoon == Some(true) || half.eq_ignore_ascii_case("AM")).then(|| &text[2..])
            }
            Self::Fraction(digits) => {
                let fraction = text.get(..*digits)?;
                if !fraction.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                found.milli = format!("{fraction:0<3}")[..3].parse().ok()?;
                Some(&text[*digits..])
            }
        }
    }
}

/// Reads a pattern.
fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let width = rest.chars().take_while(|c| *c == first).count();
        let mut used = first.len_utf8() * width;
        pieces.push(match first {
            'y' | 'u' => Piece::Year(width),
            'M' if width <= 2 => Piece::Number(Part::Month, width),
            'd' => Piece::Number(Part::Day, width),
            'H' => Piece::Number(Part::Hour, width),
            'h' => Piece::HalfDayHour(width),
            'm' => Piece::Number(Part::Minute, width),
            's' => Piece::Number(Part::Second, width),
            'S' => Piece::Fraction(width),
            'a' => Piece::HalfDay,
            '\'' if width >= 2 => {
                used = 2;
                Piece::Literal("'".to_owned())
            }
            '\'' => {
                let mut end = 1;
                loop {
                    let Some(quote) = rest[end..].find('\'') else {
                        return Err(Error::user(format!("a quote is not closed in the pattern '{pattern}'")));
                    };
                    end += quote + 1;
                    if !rest[end..].starts_with('\'') {
                        break;
                    }
                    end += 1;
                }
                used = end;
                Piece::Literal(rest[1..end - 1].replace("''", "'"))
            }
            letter if letter.is_ascii_alphabetic() => {
                return Err(Error::user(format!("'{}' in the pattern '{pattern}' is not supported", &rest[..used])));
            }
            _ => Piece::Literal(rest[..used].to_owned()),
        });
        rest = &rest[used..];
    }
    Ok(pieces)
}

/// Name of the function that makes processing-time attributes.
pub(crate) const PROCTIME: &str = "proctime";

/// `PROCTIME()`: the time of the machine when a row is processed.
#[derive(Debug)]
pub(super) struct ProcessingTime;

impl ScalarFunction for ProcessingTime {
    fn name(&self) -> &str {
        PROCTIME
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "PROCTIME()", 0..=0)?;
        Ok(Vec::new())
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        time()
    }

    fn evaluate(&self, _arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let now = brisk_base::world::World::real().now();
        Ok(Arc::new(TimestampMillisecondArray::from_value(now.0, rows)))
    }

    fn is_deterministic(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(ms: i64, pattern: &str) -> Result<String> {
        let mut text = String::new();
        Pattern::read("date_format", pattern)?.write(ms, &mut text);
        Ok(text)
    }

    #[test]
    fn patterns_are_those_of_java() {
        let ms = 1_436_918_400_000 + 13 * 3_600_000 + 5 * 60_000 + 9007;
        assert_eq!(formatted(ms, "yyyy-MM-dd HH:mm:ss.SSS").unwrap(), "2015-07-15 13:05:09.007");
        assert_eq!(formatted(ms, "yy/M/d h:m a 'o''clock'").unwrap(), "15/7/15 1:5 PM o'clock");
        assert_eq!(formatted(-1, "yyyy-MM-dd").unwrap(), "1969-12-31");
        assert_eq!(formatted(ms, "SSSSSS").unwrap(), "007000");
        assert!(formatted(ms, "EEE").unwrap_err().to_string().contains("'EEE' in the pattern"));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!([civil(0), civil(-1), civil(59), civil(11_016)], [(1970, 1, 1), (1969, 12, 31), (1970, 3, 1), (2000, 2, 29)]);
    }

    #[test]
    fn days_of_dates_and_dates_of_days_agree() {
        for days in (-800_000..800_000).step_by(37) {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year, i64::from(month), i64::from(day)), days);
        }
        assert_eq!([days_in_month(2000, 2), days_in_month(1900, 2), days_in_month(2023, 12)], [29, 28, 31]);
    }

    #[test]
    fn what_a_pattern_writes_it_reads() {
        let ms = 1_436_918_400_000 + 13 * 3_600_000 + 5 * 60_000 + 9007;
        for pattern in ["yyyy-MM-dd HH:mm:ss.SSS", "yy/M/d h:m:s.SSS a", "dd.MM.yyyy 'at' HH'h'mm:ss,SSSSSS", "yyyyMMddHHmmssSSS"] {
            assert_eq!(Pattern::read("x", pattern).unwrap().parse(&formatted(ms, pattern).unwrap()), Some(ms), "{pattern}");
        }
        let parse = |pattern: &str, text: &str| Pattern::read("x", pattern).unwrap().parse(text);
        assert_eq!([parse("yyyy-MM-dd", "2020-02-30"), parse("yyyy-MM-dd", "2020-2-3"), parse("HH", "24"), parse("HH", "1 ")], [None; 4]);
    }

    #[test]
    fn times_that_are_said_to_look_the_same_do() {
        let patterns = ["yyyy-MM-dd", "yyyy", "HH:mm", "h a", "'always'", "yy HH", "mm:ss", "SSS", "a", "MM/dd HH:mm:ss"];
        for (pattern, ms) in patterns.iter().flat_map(|pattern| [0, -1, -86_400_001, 1_436_965_509_007].map(|ms| (pattern, ms))) {
            let same = Pattern::read("x", pattern).unwrap().same_around(ms);
            assert!(same.contains(&ms), "{pattern}");
            let step = ((same.end - same.start) / 1000).max(1) as usize;
            for other in same.clone().step_by(step).chain([same.end - 1]) {
                assert_eq!(formatted(other, pattern).unwrap(), formatted(ms, pattern).unwrap(), "{pattern}: {other} and {ms}");
            }
        }
    }

    #[test]
    fn times_in_the_form_of_sql_are_read() {
        let day = 18_262 * DAY_MS;
        assert_eq!(
            [parse_time("2020-01-01"), parse_time(" 2020-1-1 "), parse_time("2020-01-01T01:00")],
            [Some(day), Some(day), Some(day + 3_600_000)]
        );
        assert_eq!(parse_time("2020-01-01 00:00:01.2345"), Some(day + 1234));
        for text in [
            "",
            "2020",
            "2020-13-01",
            "2020-01-01 25:00:00",
            "2020-01-01 00:00:00.",
            "2020-01-01x",
            "99999999999-01-01",
            "2020-01-01 00:00:00.é",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn parts_follow_the_iso_calendar() {
        // A Friday that belongs to the last week of the year before.
        let ms = parse_time("2021-01-01").unwrap();
        let parts = [Part::Week, Part::IsoYear, Part::DayOfYear, Part::DayOfWeek, Part::IsoDayOfWeek, Part::Century, Part::Decade];
        assert_eq!(parts.map(|part| part.of(ms)), [53, 2020, 1, 6, 5, 21, 202]);
        assert_eq!([Part::Century.of(parse_time("2000-12-31").unwrap()), Part::Epoch.of(-1)], [20, -1]);
    }
}
