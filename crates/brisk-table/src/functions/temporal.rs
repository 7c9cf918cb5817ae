//! Functions of time. Times without a zone and times in UTC are the same here: the session's zone is UTC.

use super::string::expect_count;
use super::{Argument, ScalarFunction};
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result};
use std::fmt::Write as _;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// The type of times.
fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

/// Year, month and day of a number of days since 1970.
pub(super) const fn civil(days: i64) -> (i64, u32, u32) {
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
            _ => return None,
        })
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

/// `DATE_FORMAT(time, pattern)`, with the letters of Java's `DateTimeFormatter` that concern date and time of day.
#[derive(Debug)]
pub(super) struct DateFormat;

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
                        return Err(Error::user(format!("DATE_FORMAT: a quote is not closed in the pattern '{pattern}'")));
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
                return Err(Error::user(format!("DATE_FORMAT: '{}' in the pattern '{pattern}' is not supported", &rest[..used])));
            }
            _ => Piece::Literal(rest[..used].to_owned()),
        });
        rest = &rest[used..];
    }
    Ok(pieces)
}

impl ScalarFunction for DateFormat {
    fn name(&self) -> &str {
        "date_format"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "DATE_FORMAT(time, pattern)", 2..=2)?;
        Ok(vec![time(), DataType::Utf8])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let mut known: Option<(String, Vec<Piece>)> = None;
        let (mut results, mut text) = (StringBuilder::new(), String::new());
        for row in 0..rows {
            let (Some(ms), Some(pattern)) = (arguments[0].millis(row), arguments[1].text(row)) else {
                results.append_null();
                continue;
            };
            if known.as_ref().is_none_or(|(known, _)| known != pattern) {
                known = Some((pattern.to_owned(), pieces(pattern)?));
            }
            text.clear();
            known.iter().flat_map(|(_, pieces)| pieces).for_each(|piece| piece.write(ms, &mut text));
            results.append_value(&text);
        }
        Ok(Arc::new(results.finish()))
    }
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
    use arrow_array::StringArray;
    use arrow_array::cast::AsArray;

    fn formatted(ms: i64, pattern: &str) -> Result<String> {
        let time: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![ms]));
        let pattern: ArrayRef = Arc::new(StringArray::from(vec![pattern]));
        let results = DateFormat.evaluate(&[Argument::new(time, false), Argument::new(pattern, true)], 1)?;
        Ok(results.as_string::<i32>().value(0).to_owned())
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
}
