//! Functions of text.

use super::{Argument, ScalarFunction};
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use brisk_core::types::hash;
use regex::{CaptureLocations, Regex};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// Checks the number of arguments.
pub(super) fn expect_count(name: &str, given: &[DataType], usage: &str, counts: std::ops::RangeInclusive<usize>) -> Result<()> {
    if counts.contains(&given.len()) {
        return Ok(());
    }
    Err(Error::user(format!("{} is called with {} arguments: {usage}", name.to_uppercase(), given.len())))
}

/// `REGEXP_EXTRACT(text, regex [, group])`: the group of the first match; null where there is none.
#[derive(Debug)]
pub(super) struct RegexpExtract;

impl ScalarFunction for RegexpExtract {
    fn name(&self) -> &str {
        "regexp_extract"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "REGEXP_EXTRACT(text, regex [, group])", 2..=3)?;
        Ok([DataType::Utf8, DataType::Utf8, DataType::Int64][..given.len()].to_vec())
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let mut groups = StringBuilder::new();
        let mut known = Memo::default();
        for row in 0..rows {
            let (text, pattern) = (arguments[0].text(row), arguments[1].text(row));
            let group = arguments.get(2).map_or(Some(0), |group| group.bigint(row));
            let (Some(text), Some(pattern), Some(group)) = (text, pattern, group) else {
                groups.append_null();
                continue;
            };
            // Texts that come again are not searched again, as long as the pattern stays the same.
            let found = if arguments[1].is_constant() && arguments.get(2).is_none_or(Argument::is_constant) {
                known.get_or_find(text, || group_of_first_match(text, pattern, group))?
            } else {
                group_of_first_match(text, pattern, group)?
            };
            groups.append_option(found.map(|found| &text[found]));
        }
        Ok(Arc::new(groups.finish()))
    }
}

thread_local! {
    /// The regular expression that was used last, with room for what it finds: compiling one costs as much as searching thousands of texts.
    static LAST_REGEX: RefCell<Option<(Regex, CaptureLocations)>> = const { RefCell::new(None) };
}

/// Where the group of the first match lies in a text.
fn group_of_first_match(text: &str, pattern: &str, group: i64) -> Result<Option<Range<usize>>> {
    LAST_REGEX.with_borrow_mut(|last| {
        if last.as_ref().is_none_or(|(regex, _)| regex.as_str() != pattern) {
            let regex = Regex::new(pattern);
            let regex = regex.map_err(|error| Error::user(format!("REGEXP_EXTRACT: '{pattern}' is no regular expression: {error}")))?;
            let locations = regex.capture_locations();
            *last = Some((regex, locations));
        }
        let Some((regex, locations)) = last else { return Ok(None) };
        let is_match = regex.captures_read(locations, text).is_some();
        let group = usize::try_from(group).ok().filter(|_| is_match);
        Ok(group.and_then(|group| locations.get(group)).map(|(from, to)| from..to))
    })
}

/// A text, and where in it something was found.
type Searched<'t> = (&'t str, Option<Range<usize>>);

/// What was found in the texts that came last: one of each remainder of their hashes.
#[derive(Default)]
struct Memo<'t> {
    places: Vec<Option<Searched<'t>>>,
}

impl<'t> Memo<'t> {
    /// A power of two.
    const PLACES: usize = 256;

    fn get_or_find(&mut self, text: &'t str, find: impl FnOnce() -> Result<Option<Range<usize>>>) -> Result<Option<Range<usize>>> {
        self.places.resize(Self::PLACES, None);
        let place = &mut self.places[hash::hash_bytes(text.as_bytes()) as usize % Self::PLACES];
        if let Some((known, found)) = place
            && *known == text
        {
            return Ok(found.clone());
        }
        let found = find()?;
        *place = Some((text, found.clone()));
        Ok(found)
    }
}

/// `SPLIT_INDEX(text, separator, index)`: a part between separators, counted from 0; null where there is none.
#[derive(Debug)]
pub(super) struct SplitIndex;

impl ScalarFunction for SplitIndex {
    fn name(&self) -> &str {
        "split_index"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "SPLIT_INDEX(text, separator, index)", 3..=3)?;
        Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int64])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let part = |row: usize| {
            let (text, separator, index) = (arguments[0].text(row)?, arguments[1].text(row)?, arguments[2].bigint(row)?);
            let index = usize::try_from(index).ok()?;
            match separator.as_bytes() {
                [] => (index == 0).then_some(text),
                [byte] if byte.is_ascii() => part_between(text, *byte, index),
                _ => text.split(separator).nth(index),
            }
        };
        Ok(Arc::new((0..rows).map(part).collect::<StringArray>()))
    }
}

/// A part between bytes of ASCII. Parts are short, so that looking at each byte is the fastest way.
fn part_between(text: &str, separator: u8, index: usize) -> Option<&str> {
    let (mut start, mut left) = (0, index);
    for (at, byte) in text.bytes().enumerate() {
        if byte == separator {
            if left == 0 {
                return Some(&text[start..at]);
            }
            (start, left) = (at + 1, left - 1);
        }
    }
    (left == 0).then(|| &text[start..])
}

/// `CONCAT(text, ...)`: null if one of them is.
#[derive(Debug)]
pub(super) struct Concat;

impl ScalarFunction for Concat {
    fn name(&self) -> &str {
        "concat"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "CONCAT(text, ...)", 1..=255)?;
        Ok(vec![DataType::Utf8; given.len()])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let joined = |row: usize| arguments.iter().map(|argument| argument.text(row)).collect::<Option<String>>();
        Ok(Arc::new((0..rows).map(joined).collect::<StringArray>()))
    }
}

/// `CHAR_LENGTH(text)`: the number of characters.
#[derive(Debug)]
pub(super) struct CharLength(pub(super) &'static str);

impl ScalarFunction for CharLength {
    fn name(&self) -> &str {
        self.0
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "CHAR_LENGTH(text)", 1..=1)?;
        Ok(vec![DataType::Utf8])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Int32
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let length = |row: usize| arguments[0].text(row).map(|text| text.chars().count() as i32);
        Ok(Arc::new((0..rows).map(length).collect::<Int32Array>()))
    }
}

/// Nexmark's `count_char(text, 'c')`: how often a character occurs.
#[derive(Debug)]
pub(super) struct CountChar;

impl ScalarFunction for CountChar {
    fn name(&self) -> &str {
        "count_char"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "COUNT_CHAR(text, character)", 2..=2)?;
        Ok(vec![DataType::Utf8, DataType::Utf8])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Int64
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let count = |row: usize| {
            let (text, wanted) = (arguments[0].text(row)?, arguments[1].text(row)?);
            Some(match wanted.chars().next() {
                None => 0,
                // All bytes of other characters are above those of ASCII.
                Some(wanted) if wanted.is_ascii() => text.bytes().filter(|byte| *byte == wanted as u8).count() as i64,
                Some(wanted) => text.chars().filter(|c| *c == wanted).count() as i64,
            })
        };
        Ok(Arc::new((0..rows).map(count).collect::<Int64Array>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_those_of_a_split(text in "[aé/]{0,12}", index in 0usize..8) {
            prop_assert_eq!(part_between(&text, b'/', index), text.split('/').nth(index));
        }
    }

    /// The same text, other texts, and another pattern in between.
    #[test]
    fn what_was_found_before_is_found_again() {
        let regex = |text: &str, pattern: &str, group| {
            group_of_first_match(text, pattern, group).expect("a regular expression").map(|found| text[found].to_owned())
        };
        for _ in 0..2 {
            assert_eq!(regex("a=1&b=22", "(&|^)b=([^&]*)", 2).as_deref(), Some("22"));
            assert_eq!(regex("a=1", "(&|^)b=([^&]*)", 2), None);
            assert_eq!(regex("a=1&b=22", "a=(.)", 1).as_deref(), Some("1"));
            assert_eq!([regex("a=1", "a=(.)", 2), regex("a=1", "a=(.)", -1)], [None, None]);
        }
        let texts: Vec<String> = (0..2000).map(|number| format!("text {}", number % 700)).collect();
        let mut memo = Memo::default();
        for text in &texts {
            let found = memo.get_or_find(text, || Ok(Some(0..text.len()))).expect("is found");
            assert_eq!(found, Some(0..text.len()));
        }
        let mut sought = 0;
        let seek = |sought: &mut u32| {
            *sought += 1;
            Ok(None)
        };
        let mut memo = Memo::default();
        (0..3).for_each(|_| assert_eq!(memo.get_or_find("a", || seek(&mut sought)).expect("is sought"), None));
        assert_eq!(sought, 1);
    }
}
