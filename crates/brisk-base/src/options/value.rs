//! Types of option values, and how they are written: as in Flink.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A type that options can have.
pub trait OptionValue: Sized + Clone + 'static {
    /// How the default is given in a constant.
    type Default: Copy + Sync + 'static;

    /// Reads a value; `None` when the text is none. The text has no blanks around it.
    fn parse(text: &str) -> Option<Self>;

    /// Writes a value so that [`OptionValue::parse`] reads it back.
    fn render(&self) -> String;

    /// The default's value.
    fn from_default(default: Self::Default) -> Self;

    /// Flink's word for the type.
    fn type_name() -> String;

    /// What a value looks like: ends the sentence "expected ...".
    fn form() -> String;
}

/// `OptionValue` of types that are their own default and know how to parse and print.
macro_rules! plain {
    ($($type:ty, $name:literal, $form:literal;)*) => {$(
        impl OptionValue for $type {
            type Default = Self;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn render(&self) -> String {
                self.to_string()
            }

            fn from_default(default: Self) -> Self {
                default
            }

            fn type_name() -> String {
                $name.to_owned()
            }

            fn form() -> String {
                $form.to_owned()
            }
        }
    )*};
}

plain! {
    u16, "Integer", "a whole number from 0 to 65535";
    u32, "Integer", "a whole number from 0 to 4294967295";
    u64, "Long", "a whole number, 0 or more";
    usize, "Long", "a whole number, 0 or more";
    i32, "Integer", "a whole number";
    i64, "Long", "a whole number";
    f64, "Double", "a number such as 0.5";
    MemorySize, "MemorySize", "a size such as '64 kb', '128m' or '1 gb' (without a unit: bytes)";
}

impl OptionValue for bool {
    type Default = Self;

    fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("true") { Some(true) } else { text.eq_ignore_ascii_case("false").then_some(false) }
    }

    fn render(&self) -> String {
        self.to_string()
    }

    fn from_default(default: Self) -> Self {
        default
    }

    fn type_name() -> String {
        "Boolean".to_owned()
    }

    fn form() -> String {
        "'true' or 'false'".to_owned()
    }
}

impl OptionValue for String {
    type Default = &'static str;

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn render(&self) -> String {
        self.clone()
    }

    fn from_default(default: &'static str) -> Self {
        default.to_owned()
    }

    fn type_name() -> String {
        "String".to_owned()
    }

    fn form() -> String {
        "text".to_owned()
    }
}

/// A list, its elements separated by `;`.
impl OptionValue for Vec<String> {
    type Default = &'static [&'static str];

    fn parse(text: &str) -> Option<Self> {
        Some(text.split(';').map(str::trim).filter(|element| !element.is_empty()).map(str::to_owned).collect())
    }

    fn render(&self) -> String {
        self.join(";")
    }

    fn from_default(default: Self::Default) -> Self {
        default.iter().map(|&element| element.to_owned()).collect()
    }

    fn type_name() -> String {
        "List<String>".to_owned()
    }

    fn form() -> String {
        "texts separated by ';'".to_owned()
    }
}

/// A value that may be missing. `(none)`, an empty text and, where -1 is no value, `-1` say so.
impl<T: OptionValue> OptionValue for Option<T> {
    type Default = Option<T::Default>;

    fn parse(text: &str) -> Option<Self> {
        if matches!(text, "" | "(none)") {
            return Some(None);
        }
        match T::parse(text) {
            None if text == "-1" => Some(None),
            None => None,
            value => Some(value),
        }
    }

    fn render(&self) -> String {
        self.as_ref().map_or_else(|| "(none)".to_owned(), T::render)
    }

    fn from_default(default: Self::Default) -> Self {
        default.map(T::from_default)
    }

    fn type_name() -> String {
        T::type_name()
    }

    fn form() -> String {
        format!("{}, or '(none)'", T::form())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MemorySize(pub u64);

/// Units of memory with their short, middle and long names, and their bytes as a power of two.
const MEMORY_UNITS: [([&str; 3], u32); 5] = [
    (["b", "b", "bytes"], 0),
    (["k", "kb", "kibibytes"], 10),
    (["m", "mb", "mebibytes"], 20),
    (["g", "gb", "gibibytes"], 30),
    (["t", "tb", "tebibytes"], 40),
];

impl MemorySize {
    /// A size in bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size in units of 1024 bytes.
    pub const fn kb(kb: u64) -> Self {
        Self(kb << 10)
    }

    /// A size in units of 1024 kb.
    pub const fn mb(mb: u64) -> Self {
        Self(mb << 20)
    }
}

impl FromStr for MemorySize {
    type Err = crate::Error;

    fn from_str(text: &str) -> crate::Result<Self> {
        let parse = || {
            let (number, unit) = number_and_unit(text)?;
            let shift = if unit.is_empty() {
                0
            } else {
                MEMORY_UNITS.iter().find(|(names, _)| names.iter().any(|name| name.eq_ignore_ascii_case(unit)))?.1
            };
            u64::try_from(number.checked_mul(1 << shift)?).ok().map(Self)
        };
        parse().ok_or_else(|| crate::Error::user(format!("'{text}' is no size of memory: expected {}", Self::form())))
    }
}

impl fmt::Display for MemorySize {
    /// In the largest unit that leaves a whole number: `64 kb`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, shift): &&([&str; 3], u32)| self.0.trailing_zeros() >= *shift;
        let (names, shift) = MEMORY_UNITS.iter().rev().filter(|_| self.0 != 0).find(whole).unwrap_or(&MEMORY_UNITS[0]);
        write!(f, "{} {}", self.0 >> shift, if *shift == 0 { "bytes" } else { names[1] })
    }
}

/// Units of time with their names (long ones also with an s), and their nanoseconds.
const TIME_UNITS: [(&[&str], u128); 7] = [
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["h", "hour", "hours"], 3_600_000_000_000),
    (&["min", "m", "minute", "minutes"], 60_000_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["ms", "milli", "millis", "millisecond", "milliseconds"], 1_000_000),
    (&["µs", "us", "micro", "micros", "microsecond", "microseconds"], 1_000),
    (&["ns", "nano", "nanos", "nanosecond", "nanoseconds"], 1),
];

impl OptionValue for Duration {
    type Default = Self;

    fn parse(text: &str) -> Option<Self> {
        if text.starts_with(['P', 'p']) { parse_iso_duration(text) } else { parse_duration(text) }
    }

    /// In the largest unit that leaves a whole number: `200 ms`.
    fn render(&self) -> String {
        let nanos = self.as_nanos();
        let whole = TIME_UNITS.iter().filter(|_| nanos != 0).find(|(_, unit)| nanos.is_multiple_of(*unit));
        whole.map_or_else(|| "0 ms".to_owned(), |(names, unit)| format!("{} {}", nanos / unit, names[0]))
    }

    fn from_default(default: Self) -> Self {
        default
    }

    fn type_name() -> String {
        "Duration".to_owned()
    }

    fn form() -> String {
        "a time such as '10 s', '100 ms', '5 min' or 'PT1H30M' (without a unit: milliseconds)".to_owned()
    }
}

/// `10 s`, `100ms`, `7`.
fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let nanos = if unit.is_empty() {
        1_000_000
    } else {
        TIME_UNITS.iter().find(|(names, _)| names.iter().any(|name| name.eq_ignore_ascii_case(unit)))?.1
    };
    duration_of_nanos(number.checked_mul(nanos)?)
}

/// `PnDTnHnMn.nS`, ISO 8601 as `java.time.Duration` reads it, without signs.
fn parse_iso_duration(text: &str) -> Option<Duration> {
    let upper = text.to_ascii_uppercase();
    let (date, time) = match upper.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (upper.strip_prefix('P')?, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = 0u128;
    for (part, designators) in [(date, "D"), (time, "HMS")] {
        let mut part = part;
        let mut designators = designators;
        while !part.is_empty() {
            let end = part.find(|c: char| c.is_ascii_alphabetic())?;
            let designator = part[end..].chars().next()?;
            designators = &designators[designators.find(designator)? + 1..];
            let unit = match designator {
                'D' => 86_400,
                'H' => 3600,
                'M' => 60,
                _ => 1,
            };
            total = total.checked_add(decimal_nanos(&part[..end], designator == 'S')?.checked_mul(unit)?)?;
            part = &part[end + 1..];
        }
    }
    duration_of_nanos(total)
}

/// `12` or, where allowed, `12.5` as billionths.
fn decimal_nanos(text: &str, may_have_fraction: bool) -> Option<u128> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if may_have_fraction && fraction.len() <= 9 => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let fraction: u128 = format!("{fraction:0<9}").parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(fraction)
}

fn duration_of_nanos(nanos: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// Splits `64 kb` into 64 and `kb`.
fn number_and_unit(text: &str) -> Option<(u128, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_durations_as_flink_does() {
        for (text, millis) in [
            ("7", 7),
            ("10 s", 10_000),
            ("100ms", 100),
            ("5 min", 300_000),
            ("5 Minutes", 300_000),
            ("2 h", 7_200_000),
            ("1 day", 86_400_000),
            ("PT10S", 10_000),
            ("PT1H30M", 5_400_000),
            ("P2DT0.5S", 172_800_500),
            ("pt2m", 120_000),
        ] {
            assert_eq!(Duration::parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(Duration::parse("3 µs"), Some(Duration::from_micros(3)));
        for bad in ["", "s", "10 parsecs", "-1 s", "1.5 s", "P", "PT", "PT1S2M", "P1H", "PT1.5M", "PT.5S", "10000000000000000000 d"] {
            assert_eq!(Duration::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_memory_as_flink_does() {
        for (text, bytes) in [("7", 7), ("64 kb", 65_536), ("1g", 1 << 30), ("128 MB", 128 << 20), ("2 tebibytes", 2 << 40), ("5 bytes", 5)]
        {
            assert_eq!(MemorySize::parse(text), Some(MemorySize(bytes)), "{text}");
        }
        for bad in ["", "kb", "1.5 g", "-1", "1 pb", "99999999999 tb"] {
            assert_eq!(MemorySize::parse(bad), None, "{bad}");
        }
        assert_eq!(MemorySize::mb(64).to_string(), "64 mb");
        assert_eq!(MemorySize(0).to_string(), "0 bytes");
    }

    #[test]
    fn a_missing_value_can_be_said_in_flinks_ways() {
        for none in ["", "(none)", "-1"] {
            assert_eq!(<Option<u32>>::parse(none), Some(None), "{none}");
        }
        assert_eq!(<Option<i32>>::parse("-1"), Some(Some(-1)));
        assert_eq!(<Option<u32>>::parse("x"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0u64..1 << 40, nanos in 0u32..1_000_000_000, bytes: u64) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(Duration::parse(&duration.render()), Some(duration));
            prop_assert_eq!(MemorySize::parse(&MemorySize(bytes).render()), Some(MemorySize(bytes)));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,12}", iso in "P[0-9DTHMS.]{0,12}") {
            for text in [&text, &iso] {
                let _ = (Duration::parse(text), MemorySize::parse(text), <Option<bool>>::parse(text));
            }
        }
    }
}
