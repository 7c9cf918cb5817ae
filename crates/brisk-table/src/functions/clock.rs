//! Functions that make times, shift them and measure between them, one row at a time.

use super::row::Kind::{Bigint, Text, Time};
use super::row::{Row, RowFunction, world};
use super::temporal::{Part, civil, days_in_month, days_of, parse_time, time};
use super::{Argument, ScalarFunction};
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, Date32Array, TimestampMillisecondArray};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;
/// How times are shown unless a pattern says otherwise.
const USUAL: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) fn all() -> Vec<RowFunction> {
    let now = |_: &Row<'_>| Some(world().now().0);
    vec![
        RowFunction::written("date_format(time, pattern)", &[Time, Text], |row, text| row.write_time(row.millis(0), row.text(1), text)),
        RowFunction::try_time("to_timestamp(text [, pattern])", &[Text, Text], parsed).optional(1),
        RowFunction::try_local_time("to_timestamp_ltz(number, precision)", &[Bigint, Bigint], |row| match row.bigint(1) {
            0 => Ok(row.bigint(0).checked_mul(1000)),
            3 => Ok(Some(row.bigint(0))),
            other => {
                Err(Error::user(format!("TO_TIMESTAMP_LTZ: the precision {other} is not possible; 0 (seconds) or 3 (milliseconds) are")))
            }
        })
        .optional(1),
        RowFunction::try_date("to_date(text [, pattern])", &[Text, Text], |row| {
            Ok(parsed(row)?.and_then(|ms| i32::try_from(ms.div_euclid(DAY_MS)).ok()))
        })
        .optional(1),
        RowFunction::try_text("from_unixtime(seconds [, pattern])", &[Bigint, Text], |row| {
            let Some(ms) = row.bigint(0).checked_mul(1000) else { return Ok(None) };
            let mut text = String::new();
            match row.has(1) {
                true => row.pattern(1)?.write(ms, &mut text),
                false => row.pattern_of(USUAL)?.write(ms, &mut text),
            }
            Ok(Some(text))
        })
        .optional(1),
        RowFunction::try_bigint("unix_timestamp([text [, pattern]])", &[Text, Text], |row| {
            if !row.has(0) {
                return Ok(Some(world().now().0.div_euclid(1000)));
            }
            // As in Flink, a text that does not fit is the least number.
            Ok(Some(parsed(row)?.map_or(i64::MIN, |ms| ms.div_euclid(1000))))
        })
        .optional(2)
        .volatile(),
        RowFunction::date("current_date()", &[], move |row| now(row).and_then(|ms| i32::try_from(ms.div_euclid(DAY_MS)).ok())).volatile(),
        RowFunction::local_time("current_timestamp()", &[], now).volatile(),
        RowFunction::local_time("now()", &[], now).volatile(),
        RowFunction::local_time("current_row_timestamp()", &[], now).volatile(),
        RowFunction::time("localtimestamp()", &[], now).volatile(),
        RowFunction::try_int("timestampdiff(unit, from, to)", &[Text, Time, Time], |row| {
            let unit = Unit::named("TIMESTAMPDIFF", row.text(0))?;
            Ok(i32::try_from(unit.between(row.millis(1), row.millis(2))).ok())
        }),
    ]
}

fn parsed(row: &Row<'_>) -> Result<Option<i64>> {
    Ok(if row.has(1) { row.pattern(1)?.parse(row.text(0)) } else { parse_time(row.text(0)) })
}

/// What time is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Millis(i64),
    Months(i64),
}

impl Unit {
    fn named(function: &str, name: &str) -> Result<Self> {
        Ok(match &*name.to_ascii_uppercase() {
            "MILLISECOND" => Self::Millis(1),
            "SECOND" | "SQL_TSI_SECOND" => Self::Millis(1000),
            "MINUTE" | "SQL_TSI_MINUTE" => Self::Millis(60_000),
            "HOUR" | "SQL_TSI_HOUR" => Self::Millis(3_600_000),
            "DAY" | "SQL_TSI_DAY" => Self::Millis(DAY_MS),
            "WEEK" | "SQL_TSI_WEEK" => Self::Millis(7 * DAY_MS),
            "MONTH" | "SQL_TSI_MONTH" => Self::Months(1),
            "QUARTER" | "SQL_TSI_QUARTER" => Self::Months(3),
            "YEAR" | "SQL_TSI_YEAR" => Self::Months(12),
            _ => {
                return Err(Error::user(format!(
                    "{function}: '{name}' is no unit of time, as SECOND, MINUTE, HOUR, DAY, WEEK, MONTH or YEAR are"
                )));
            }
        })
    }

    /// Whole units from one time to the other, towards zero.
    fn between(self, from: i64, to: i64) -> i64 {
        match self {
            Self::Millis(ms) => to.saturating_sub(from) / ms,
            Self::Months(months) => {
                let of = |ms: i64| {
                    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
                    (year * 12 + i64::from(month), (i64::from(day), ms.rem_euclid(DAY_MS)))
                };
                let ((from_month, from_rest), (to_month, to_rest)) = (of(from), of(to));
                let whole = to_month - from_month;
                let whole = match whole {
                    1.. if to_rest < from_rest => whole - 1,
                    ..=-1 if to_rest > from_rest => whole + 1,
                    _ => whole,
                };
                whole / months
            }
        }
    }

    /// A time so many units later; the day of a shorter month is its last.
    fn added(self, ms: i64, count: i64) -> Option<i64> {
        match self {
            Self::Millis(unit) => ms.checked_add(count.checked_mul(unit)?),
            Self::Months(unit) => {
                let months = count.checked_mul(unit).filter(|months| months.unsigned_abs() < 12_000_000)?;
                let (year, month, day) = civil(ms.div_euclid(DAY_MS));
                let month = i64::from(month) + months;
                let last = days_in_month(year, month);
                Some(days_of(year, month, i64::from(day).min(last)) * DAY_MS + ms.rem_euclid(DAY_MS))
            }
        }
    }

    /// The last begin of a unit that is not later. Weeks begin on Sunday.
    fn floor(self, ms: i64) -> i64 {
        let days = ms.div_euclid(DAY_MS);
        match self {
            Self::Millis(unit) if unit == 7 * DAY_MS => (days - (days + 4).rem_euclid(7)) * DAY_MS,
            Self::Millis(unit) => ms - ms.rem_euclid(unit),
            Self::Months(unit) => {
                let (year, month, _) = civil(days);
                days_of(year, (i64::from(month) - 1) / unit * unit + 1, 1) * DAY_MS
            }
        }
    }
}

/// What is done with a time and a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shift {
    /// `FLOOR(time TO unit)`
    Floor,
    /// `CEIL(time TO unit)`
    Ceil,
    /// `TIMESTAMPADD(unit, count, time)`
    Add,
}

/// A function whose result has the type of the time: a date or a time, with or without zone.
#[derive(Debug)]
pub(super) struct Shifted(pub(super) Shift);

impl Shifted {
    const fn time_at(&self) -> usize {
        if matches!(self.0, Shift::Add) { 2 } else { 0 }
    }
}

impl ScalarFunction for Shifted {
    fn name(&self) -> &str {
        match self.0 {
            Shift::Floor => "floor_to",
            Shift::Ceil => "ceil_to",
            Shift::Add => "timestampadd",
        }
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (usage, count) = match self.0 {
            Shift::Floor => ("FLOOR(time TO unit)", 2),
            Shift::Ceil => ("CEIL(time TO unit)", 2),
            Shift::Add => ("TIMESTAMPADD(unit, count, time)", 3),
        };
        super::string::expect_count(self.name(), given, usage, count..=count)?;
        let time = match &given[self.time_at()] {
            given @ (DataType::Date32 | DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, _)) => given.clone(),
            DataType::Timestamp(_, _) | DataType::Utf8 | DataType::Null => time(),
            other => return Err(Error::user(format!("a {} is not a time: {usage}", crate::sql::sql_type(other)))),
        };
        Ok(match self.0 {
            Shift::Add => vec![DataType::Utf8, DataType::Int64, time],
            _ => vec![time, DataType::Utf8],
        })
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        arguments.get(self.time_at()).cloned().unwrap_or(DataType::Null)
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let name = self.name().to_uppercase();
        let at = self.time_at();
        let unit_of = |row: usize| arguments[if at == 0 { 1 } else { 0 }].text(row).map(|unit| Unit::named(&name, unit)).transpose();
        let times = &arguments[at];
        let dates = times.values().data_type() == &DataType::Date32;
        let shift = |row: usize| -> Result<Option<i64>> {
            let index = if times.is_constant() { 0 } else { row };
            let Some(unit) = unit_of(row)?.filter(|_| times.values().is_valid(index)) else { return Ok(None) };
            let ms = match dates {
                true => i64::from(times.values().as_primitive::<Date32Type>().value(index)) * DAY_MS,
                false => times.values().as_primitive::<TimestampMillisecondType>().value(index),
            };
            let shifted = match self.0 {
                Shift::Floor => Some(unit.floor(ms)),
                Shift::Ceil if unit.floor(ms) == ms => Some(ms),
                Shift::Ceil => unit.added(unit.floor(ms), 1),
                Shift::Add => {
                    let Some(count) = arguments[1].bigint(row) else { return Ok(None) };
                    unit.added(ms, count)
                }
            };
            if dates && shifted.is_some_and(|ms| ms.rem_euclid(DAY_MS) != 0) {
                return Err(Error::user(format!("{name}: a DATE has no time of day; cast it to TIMESTAMP(3)")));
            }
            Ok(shifted)
        };
        let shifted = (0..rows).map(shift);
        Ok(match times.values().data_type() {
            DataType::Date32 => {
                let day = |ms: Option<i64>| ms.and_then(|ms| i32::try_from(ms / DAY_MS).ok());
                Arc::new(shifted.map(|ms| ms.map(day)).collect::<Result<Date32Array>>()?)
            }
            DataType::Timestamp(_, zone) => {
                Arc::new(shifted.collect::<Result<TimestampMillisecondArray>>()?.with_timezone_opt(zone.clone()))
            }
            _ => arrow_array::new_null_array(&time(), rows),
        })
    }
}

/// `DAYOFYEAR(time)` and its like, whose names are not those of EXTRACT.
pub(super) const PARTS: [(&str, Part); 10] = [
    ("year", Part::Year),
    ("quarter", Part::Quarter),
    ("month", Part::Month),
    ("week", Part::Week),
    ("dayofyear", Part::DayOfYear),
    ("dayofmonth", Part::Day),
    ("dayofweek", Part::DayOfWeek),
    ("hour", Part::Hour),
    ("minute", Part::Minute),
    ("second", Part::Second),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        parse_time(text).expect("a time")
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let month = Unit::named("X", "month").unwrap();
        assert_eq!(month.added(at("2020-01-31 10:00:00"), 1), Some(at("2020-02-29 10:00:00")));
        assert_eq!(month.added(at("2020-01-31"), -2), Some(at("2019-11-30")));
        assert_eq!(month.between(at("2020-01-31"), at("2020-02-29")), 0);
        assert_eq!(month.between(at("2020-03-15 00:00:01"), at("2020-02-15")), -1);
        assert_eq!(Unit::named("X", "YEAR").unwrap().between(at("2000-06-01"), at("2020-05-31")), 19);
        assert_eq!(month.added(at("2020-01-31"), i64::MAX), None);
    }

    #[test]
    fn times_are_cut_to_units() {
        let floor = |unit: &str, text: &str| Unit::named("X", unit).unwrap().floor(at(text));
        assert_eq!(floor("HOUR", "2020-05-06 07:08:09"), at("2020-05-06 07:00:00"));
        assert_eq!(floor("QUARTER", "2020-06-30 07:08:09"), at("2020-04-01"));
        assert_eq!(floor("WEEK", "2020-05-06"), at("2020-05-03"));
        assert_eq!(floor("DAY", "1969-12-31 23:00:00"), at("1969-12-31"));
    }
}
