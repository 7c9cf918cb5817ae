//! Options of a table: read one by one, so that what nobody has read is unknown.

use brisk_base::{Error, Millis, Result};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

/// Reads the options of one table. Every error names table and option.
#[derive(Debug)]
pub struct TableOptions<'a> {
    table: &'a str,
    options: &'a BTreeMap<String, String>,
    /// Keys that have been asked for.
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> TableOptions<'a> {
    /// Reads these options. `connector` counts as asked for.
    pub fn new(table: &'a str, options: &'a BTreeMap<String, String>) -> Self {
        Self { table, options, asked: RefCell::new(BTreeSet::from(["connector".to_owned()])) }
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.options.get(key).map(String::as_str)
    }

    fn error(&self, what: impl Display) -> Error {
        Error::user(format!("table '{}': {what}", self.table))
    }

    /// An option that may be left out.
    ///
    /// # Errors
    /// When its value cannot be read.
    pub fn get<T: FromStr>(&self, key: &str, expected: &str) -> Result<Option<T>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.trim().parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.error(format!("option '{key}' is '{text}'; expected {expected}"))),
        }
    }

    /// An option that has to be there.
    ///
    /// # Errors
    /// When it is missing, or its value cannot be read.
    pub fn required<T: FromStr>(&self, key: &str, expected: &str) -> Result<T> {
        let missing = || self.error(format!("option '{key}' is missing; expected {expected}"));
        self.get(key, expected)?.ok_or_else(missing)
    }

    /// An option with few values.
    ///
    /// # Errors
    /// When its value is none of them.
    pub fn one_of(&self, key: &str, values: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match values.iter().find(|value| value.eq_ignore_ascii_case(text)) {
            Some(value) => Ok(Some(value)),
            None => Err(self.error(format!("option '{key}' is '{text}'; expected one of: {}", values.join(", ")))),
        }
    }

    /// An option that is a single byte, such as a delimiter.
    ///
    /// # Errors
    /// When it is longer, or not ASCII.
    pub fn byte(&self, key: &str) -> Result<Option<u8>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.as_bytes() {
            [byte] => Ok(Some(*byte)),
            b"\\t" => Ok(Some(b'\t')),
            _ => Err(self.error(format!("option '{key}' is '{text}'; expected one ASCII character"))),
        }
    }

    /// A span of time, such as `5 s`, `100ms` or `1 min`.
    ///
    /// # Errors
    /// When its value cannot be read.
    pub fn duration(&self, key: &str) -> Result<Option<Millis>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let wrong = || self.error(format!("option '{key}' is '{text}'; expected a span of time such as '500 ms', '5 s' or '1 min'"));
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: i64 = text[..split].parse().map_err(|_| wrong())?;
        let unit = match text[split..].trim() {
            "" | "ms" => 1,
            "s" | "sec" => 1000,
            "min" | "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(|span| Some(Millis(span))).ok_or_else(wrong)
    }

    /// The error of an option whose value is none of its kind.
    ///
    /// # Errors
    /// Always.
    pub fn wrong<T>(&self, key: &str, expected: &str) -> Result<T> {
        let text = self.text(key).unwrap_or_default();
        Err(self.error(format!("option '{key}' is '{text}'; expected {expected}")))
    }

    /// Refuses options that nobody has asked for.
    ///
    /// # Errors
    /// The first of them, with those that are known.
    pub fn finish(&self) -> Result<()> {
        let asked = self.asked.borrow();
        let Some(unknown) = self.options.keys().find(|key| !asked.contains(*key)) else { return Ok(()) };
        let known: Vec<_> = asked.iter().map(|key| format!("'{key}'")).collect();
        Err(self.error(format!("option '{unknown}' is not known to its connector; known: {}", known.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_table_and_option() {
        let options = BTreeMap::from([("rows", "many"), ("sze", "3"), ("every", "3 parsecs")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let options = TableOptions::new("bid", &options);
        let texts = [
            options.get::<u64>("rows", "a number").map(drop).unwrap_err().to_string(),
            options.required::<String>("path", "a folder").map(drop).unwrap_err().to_string(),
            options.duration("every").map(drop).unwrap_err().to_string(),
            options.finish().unwrap_err().to_string(),
        ];
        for (text, option) in texts.iter().zip(["rows", "path", "every", "sze"]) {
            assert!(text.starts_with(&format!("table 'bid': option '{option}'")), "{text}");
        }
    }

    #[test]
    fn spans_have_units() {
        let options = BTreeMap::from([("a", "5 s"), ("b", "100"), ("c", "2min")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let options = TableOptions::new("t", &options);
        let read = |key| options.duration(key).unwrap().map(|span| span.0);
        assert_eq!([read("a"), read("b"), read("c"), read("d")], [Some(5000), Some(100), Some(120_000), None]);
    }
}
